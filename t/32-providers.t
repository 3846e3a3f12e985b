# SPDX-License-Identifier: Apache-2.0
#
# The lines to paste of the manual's page of providers: every block as it is
# there, with a key of the right kind in each file, is a good configuration, and
# takes a recorded request of its sender.
use lib 't/lib';
use WebhookTest;
use WebhookTest::Vectors;
use MIME::Base64 ();

announce(qr/WH0113.* begins or ends with white space/);

my $page = slurp(stage() . '/mod_webhook/manual/providers.md');
my %block = map { my ($name) = /WebhookVerify ([\w-]+)/; ($name => $_) } map { s/^    //gmr } $page =~ /^(    <Location .*?^    <\/Location>\n)/msg;
cmp_ok scalar(keys %block), '>=', 100, 'blocks';

my %record;
for my $record (map { WebhookTest::Vectors::load($_) } qw(portable portable-docref made)) {
    $record{ $record->{provider} } //= $record if $record->{expect} eq 'accept' && $record->{now} == 1796000000;
}

my $dir = tmp_dir('keys');
my $clock = spew("$dir/now", pack 'q', 1796000000 * 1_000_000);
my $conf = '';
my $fetched = '';
for my $name (sort keys %block) {
    my $record = $record{$name} or next;
    my ($secrets, $options) = WebhookTest::Vectors::directives($record->{key});
    # what belongs to the recorded sender instead of the page's example: ids of keys, options, scheme and host
    my %given = (map({ @$_ } @$options), url => $record->{url} =~ m{^(\w+://[^/?]+)});
    my $text = $block{$name};
    if ($text !~ /WebhookSecret/) {
        # keys that live elsewhere: here as a file, what leads there is looked at on its own
        $fetched .= $text =~ s{</Location>}{    WebhookDeliver drop\n</Location>}r;
        $text =~ s/ (?:jwks|demand)=\S+//g;
        $text =~ s{</Location>}{'    WebhookSecret ' . (defined $secrets->[0][0] ? 'id=x ' : '') . "file:/etc/apache2/webhook/$name.key\n</Location>"}e;
    }
    my $n = 0;
    my $body = MIME::Base64::decode($record->{body});
    @$secrets = sort { (index($body, $b->[0] // "\0") >= 0) <=> (index($body, $a->[0] // "\0") >= 0) } @$secrets; # the one that the request names
    $text =~ s{WebhookSecret (?:id=(\S+) )?file:/etc/apache2/webhook/(\S+)}{
        my ($id, $file) = ($1, "$dir/$2");
        my $secret = $secrets->[$n] // $secrets->[0];
        $id = $secret->[0] if $secrets->[$n] && defined $secret->[0];
        $n++;
        spew($file, $secret->[1] . ($secret->[1] =~ /\n\z/ ? "\n" : ''), 0600);
        'WebhookSecret ' . (defined $id ? WebhookTest::Vectors::quoted("id=$id") . ' ' : '') . "file:$file";
    }ge;
    for my $option (sort keys %given) {
        $text =~ s{ \Q$option\E=\S+}{" $option=" . $given{$option}}e;
    }
    # the record's own path, for senders that sign it
    my ($path, $query) = $record->{url} =~ m{^\w+://[^/?]+([^?]*)(.*)};
    $text =~ s{"/hooks/\S+"}{'"/' . $name . $path . '"'}e;
    $text =~ s{ url=\S+}{ WebhookTest::Vectors::quoted("url=$record->{url}") =~ s/^/ /r }e;
    @$record{qw(target address)} = ("/$name$path$query", '127.0.0.1');
    $text =~ s{pending-secret=\S+}{pending-secret=$dir/$name.pending};
    $conf .= $text =~ s{</Location>}{    WebhookDeliver drop\n</Location>}r;
}
my $srv = WebhookTest::Server->new(name => 'providers', preload => build_file('modules/shim_clock.so'), env => { WEBHOOK_CLOCK => $clock }, conf => $conf);
cmp_ok scalar(() = $fetched =~ /<Location/g), '>=', 3, 'some fetch their keys';
is((WebhookTest::Server->new(name => 'fetched', conf => $fetched)->config_test)[0], 0, 'a good configuration too');
my ($rc, $out) = $srv->config_test;
is $rc, 0, 'the configuration is good' or diag map { "$_\n" } grep { /:error\]|Syntax/ } split /\n/, $out;
$srv->start;
for my $name (sort keys %block) {
    my $record = $record{$name};
    if (!$record) { fail "$name: a recorded request"; next }
    # signed by the path that comes in, which url= does not replace
    my $own_path = grep { $_ eq $name } qw(atlassian-connect contentful);
    my $res = WebhookTest::Vectors::send($srv, $record);
    if ($own_path) { is $res->status, 401, "$name: signed for another path" }
    else { like $res->status, qr/^20[0-4]$/, "$name: its lines take its request" or diag $record->{id}, ' ', $res->body }
    is $res->body, '', "$name: nothing in the answer" if $block{$name} =~ /WebhookAnswer 200 text\/plain ""/;
}
done_testing;
