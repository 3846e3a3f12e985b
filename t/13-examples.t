# SPDX-License-Identifier: Apache-2.0
#
# The examples of README.md and of the manual's page of directives pass configtest as they stand there; only the files they name are made first,
# and what they take for granted (another handler, the endpoint they use, the section they are in) is put around them.
use lib 't/lib';
use WebhookTest;

my @modules = qw(proxy proxy_http authz_user);
my $srv = WebhookTest::Server->new(name => 'examples', modules => \@modules, store => 0, conf => '');
my $dir = $srv->dir;
mkdir $_ or die "$_: $!\n" for "$dir/conf", "$dir/conf/schemas";
spew("$dir/conf/$_", 'a-secret-of-the-examples', 0600) for qw(github.key app.key partner.key github-2026.key github-2025.key);
spew("$dir/conf/schemas/$_.json", '{"type":"object"}', 0644) for qw(push any);
spew("$dir/conf/inside.pem", slurp(ca()->cert('ca')), 0644);

# Examples of a page: [heading, contexts, text].
sub examples {
    my ($page) = @_;
    my ($heading, $context, $block, @found) = ('', '', '');
    my $end = sub { push @found, [$heading, $context, $block] if $block =~ /^\s*<?Webhook|^<Location/m; $block = '' };
    for my $line (split /\n/, slurp(stage() . "/$page")) {
        if ($line =~ /^(?:    |$)/) { $block .= ($line =~ s/^    //r) . "\n" if $block ne '' || $line ne ''; next }
        $end->();
        ($heading, $context) = ($1, '') if $line =~ /^#+ (.+)/;
        $context = $1 if $line =~ /^\* Context: (.+)/;
    }
    $end->();
    return @found;
}

my %uses = (archive => 'file out/archive', deploy => 'file out/deploy', triage => 'file out/triage', billing => 'file out/billing');
sub surrounded {
    my ($context, $text) = @_;
    $text =~ s{/etc/apache2/webhook/}{$dir/conf/}g;
    $text =~ s{/etc/ssl/}{$dir/conf/}g;
    $text =~ s{/var/(?:lib/webhook|log/apache2)/}{$dir/}g;
    $text =~ s{/usr/local/bin/\w+}{/bin/true}g;
    if ($context eq 'handler' && $text !~ /^<WebhookHandler/) {
        $text = qq(<WebhookHandler h>\n) . ($text =~ /^WebhookSend /m ? '' : qq(WebhookSend upstream "https://billing.internal/in"\n)) . "$text</WebhookHandler>\n";
    }
    elsif ($context =~ /section|endpoint/ && $text !~ /^</) {
        my $own = $text =~ /^WebhookVerify/m ? '' : "WebhookVerify github\n";
        $own .= "WebhookSecret file:conf/github.key\n" if $text !~ /^WebhookSecret/m;
        $text = "<Location \"/example\">\n$own$text</Location>\n";
    }
    my %missing = map { $_ => 1 } grep { exists $uses{$_} } $text =~ /WebhookDeliver (\w+)/g;
    delete @missing{ $text =~ /<WebhookHandler (\w+)/g };
    $text = join('', map { "<WebhookHandler $_>\nWebhookSend $uses{$_}\n</WebhookHandler>\n" } sort keys %missing) . $text;
    $text = "<WebhookEndpoint $1>\nWebhookVerify github\nWebhookSecret file:conf/github.key\n</WebhookEndpoint>\n$text"
        if $text =~ /WebhookUse +(\w+)/ && $text !~ /<WebhookEndpoint/;
    return $text =~ /^WebhookStore /m ? $text : "WebhookStore \"sqlite:$dir/state/queue.db\"\n$text";
}

my $n = 0;
for my $page ('README.md', 'mod_webhook/manual/directives.md') {
    for my $example (examples($page)) {
        my ($heading, $context, $text) = @$example;
        my $conf = surrounded($context, $text);
        $srv->write_conf($conf);
        my ($rc, $out) = $srv->config_test;
        is $rc, 0, "$page: $heading" or diag "$conf\n$out";
        $n++;
    }
}
cmp_ok $n, '>=', 28, 'that many examples were found';

done_testing;
