# SPDX-License-Identifier: Apache-2.0
package WebhookTest::Manual;

# Recipes of the manual, so that the tests run the very text people paste. A
# recipe is the indented block behind "<!-- recipe NAME -->".

use strict;
use warnings;

# recipe(PAGE, NAME, from => to, ...): the block, each text replaced by another, which must occur.
sub recipe {
    my ($page, $name, @replace) = @_;
    my $file = WebhookTest::stage() . "/mod_webhook/manual/$page";
    my $text = WebhookTest::slurp($file) // die "no $file\n";
    my ($block) = $text =~ /^<!-- recipe \Q$name\E -->\n\n((?:(?:    .*)?\n)+)/m or die "$page has no recipe $name\n";
    $block =~ s/^    //mg;
    while (my ($from, $to) = splice @replace, 0, 2) {
        $block =~ s/\Q$from\E/$to/g or die "recipe $name of $page has no $from\n";
    }
    return $block;
}

# Names of all recipes of a page.
sub recipes {
    my ($page) = @_;
    return WebhookTest::slurp(WebhookTest::stage() . "/mod_webhook/manual/$page") =~ /^<!-- recipe (\S+) -->$/mg;
}

1;
