# SPDX-License-Identifier: Apache-2.0
#
# Keys that live elsewhere, SNS: certificates are fetched by the dispatcher alone, from the exact hosts alone, once; until then 503, later from
# the disk. Confirmations are visited when switched on, and only then.
use lib 't/lib';
use WebhookTest;

plan(skip_all => 'no mod_ssl') if !defined have_module('ssl') || !defined have_module('proxy_http');
announce(qr/WH0680/, qr/ssl:(?:warn|error)/, qr/AH\d+:.*(?:proxy|SSL)/, qr/proxy/, qr/WH0415/, qr/WH0687/);
my $net = WebhookTest::Elsewhere->new;
my $topic = $WebhookTest::Elsewhere::TOPIC;
my $conf = $net->fetch . <<"EOF";
<WebhookHandler sink>
    WebhookSend file "\@DIR\@/out/sink"
</WebhookHandler>
<Location "/sns">
    SetHandler     webhook
    WebhookName    sns
    WebhookVerify  aws-sns
    WebhookDeliver sink
</Location>
<Location "/confirm">
    SetHandler     webhook
    WebhookName    confirm
    WebhookVerify  aws-sns confirm=on demand=json:TopicArn=$topic
    WebhookDeliver sink
</Location>
<Location "/files">
    SetHandler     webhook
    WebhookName    files
    WebhookVerify  aws-sns
    WebhookSecret  id=https://sns.us-east-1.amazonaws.com/SimpleNotificationService-mine.pem file:${\ $net->file('signer.crt') }
    WebhookDeliver sink
</Location>
EOF
my $srv = WebhookTest::Server->new(name => 'keys', conf => $conf, loglevel => 'warn webhook:trace2')->start;
my $dir = $srv->path('state', 'keys');

sub post { my ($path, $body) = @_; return $srv->post($path, $body, headers => ['Content-Type' => 'text/plain; charset=UTF-8']) }
sub reason { my ($res) = @_; return eval { $res->json->{reason} } // eval { $res->json->{code} } // $res->body }
sub wants { return grep { /\.want$/ } glob "$dir/*" }
sub fetched { my ($re) = @_; return scalar $srv->error_log_lines(qr/WH0685: fetching \w+ .*$re/) }
# until it is not 503 any more
sub settle { my ($path, $body) = @_; my $res; wait_for { $res = post($path, $body); $res->status != 503 } 30; return $res }

# ---- the first message ----

is sprintf('%04o', (stat $dir)[2] & 07777), '0700', 'the cache is nobody else\'s';
my $first = $net->sns;
my $res = post('/sns', $first);
is $res->status, 503, 'no certificate yet: come again';
like $res->body, qr/key-pending/, 'key-pending';
like $res->header('Retry-After') // '', qr/^\d+$/, 'with Retry-After';
$res = settle('/sns', $first);
is $res->status, 202, 'the certificate came';
is $net->count(qr/ok\.pem/), 1, 'fetched once';
my ($file) = glob "$dir/certificate-*.key";
is sprintf('%04o', (stat $file)[2] & 07777), '0600', 'the file too';
wait_for { !wants() } 30, 'nothing is wanted any more';
is post('/sns', $net->sns(Message => 'again'))->status, 202, 'from then on at once';
is $net->count(qr/ok\.pem/), 1, 'and not fetched again';
is post('/sns', $net->sns(Message => 'x', Signature => 'AAAA' x 85 . 'AA=='))->status, 401, 'a signature is still needed';
is post('/sns', $net->sns(signer => 'stranger'))->status, 401, 'with that key';
(my $changed = $net->sns) =~ s/hello/hullo/;
is post('/sns', $changed)->status, 401, 'over that message';
wait_for { $srv->error_log_lines(qr/WH0683: certificate https:.*ok\.pem was fetched from 127\.0\.0\.1/) } 30, 'logged';

# a crowd asks once
my $crowd = $net->sns(SigningCertURL => $net->cert_url('crowd'));
my @conns = map { my $c = $srv->connect; $c->print(WebhookTest::Client::request_bytes(POST => '/sns', body => $crowd, headers => ['Content-Type' => 'text/plain'])); $c } 1 .. 20;
$_->response('POST') for @conns;
$res = settle('/sns', $crowd);
is $res->status, $res->status == 200 ? 200 : 202, 'a crowd is answered';
is $net->count(qr/crowd/), 1, 'and its key fetched once';

# ---- addresses that are none of SNS's ----

my @spellings = map { s/^\s+|\s+$//gr } grep { /\S/ } split /\n/, <<'EOF';
http://sns.us-east-1.amazonaws.com/x.pem
HTTPS://sns.us-east-1.amazonaws.com/x.pem
https:sns.us-east-1.amazonaws.com/x.pem
https:/sns.us-east-1.amazonaws.com/x.pem
https:///sns.us-east-1.amazonaws.com/x.pem
//sns.us-east-1.amazonaws.com/x.pem
ftp://sns.us-east-1.amazonaws.com/x.pem
file:///etc/passwd.pem
gopher://sns.us-east-1.amazonaws.com/x.pem
https://user@sns.us-east-1.amazonaws.com/x.pem
https://user:pass@sns.us-east-1.amazonaws.com/x.pem
https://sns.us-east-1.amazonaws.com@evil.example/x.pem
https://sns.us-east-1.amazonaws.com:443@evil.example/x.pem
https://evil.example\@sns.us-east-1.amazonaws.com/x.pem
https://evil.example#@sns.us-east-1.amazonaws.com/x.pem
https://evil.example?@sns.us-east-1.amazonaws.com/x.pem
https://evil.example/sns.us-east-1.amazonaws.com/x.pem
https://sns.us-east-1.amazonaws.com\.evil.example/x.pem
https://sns.us-east-1.amazonaws.com%2f.evil.example/x.pem
https://sns.us-east-1.amazonaws.com%2eevil.example/x.pem
https://sns.us-east-1.amazonaws.com%00.evil.example/x.pem
https://sns.us-east-1.amazonaws.com.evil.example/x.pem
https://sns.us-east-1.amazonaws.com./x.pem
https://sns.us-east-1.amazonaws.com:443/x.pem
https://sns.us-east-1.amazonaws.com:8443/x.pem
https://sns.us-east-1.amazonaws.com:/x.pem
https://SNS.us-east-1.amazonaws.com/x.pem
https://sns.US-EAST-1.amazonaws.com/x.pem
https://sns.us-east-1.AMAZONAWS.com/x.pem
https://sns.us-east-1.amazonaws.co/x.pem
https://sns.us-east-1.amazonaws.com.br/x.pem
https://sns.us-east-1.amazonaws.org/x.pem
https://sns.us-east-1.xamazonaws.com/x.pem
https://xsns.us-east-1.amazonaws.com/x.pem
https://sns-us-east-1.amazonaws.com/x.pem
https://sns..amazonaws.com/x.pem
https://sns.a.amazonaws.com/x.pem
https://sns.ab.amazonaws.com/x.pem
https://sns.amazonaws.com/x.pem
https://sns.s3.us-east-1.amazonaws.com/x.pem
https://sns.us-east-1.s3.amazonaws.com/x.pem
https://s3.amazonaws.com/sns/x.pem
https://sns.s3-website-us-east-1.amazonaws.com.evil.example/x.pem
https://sqs.us-east-1.amazonaws.com/x.pem
https://127.0.0.1/x.pem
https://2130706433/x.pem
https://0x7f000001/x.pem
https://0177.0.0.1/x.pem
https://127.1/x.pem
https://[::1]/x.pem
https://[::ffff:127.0.0.1]/x.pem
https://169.254.169.254/latest/meta-data/x.pem
https://localhost/x.pem
https://sns.us-east-1.amazonaws.com/x.txt
https://sns.us-east-1.amazonaws.com/x.pem?y
https://sns.us-east-1.amazonaws.com/x.pem#y
https://sns.us-east-1.amazonaws.com/?x.pem
https://sns.us-east-1.amazonaws.com/.pem
https://sns.us-east-1.amazonaws.com/../x.pem
https://sns.us-east-1.amazonaws.com/%2e%2e/x.pem
https://sns.us-east-1.amazonaws.com/a b.pem
https://sns.us-east-1.amazonaws.com
https://sns.us-east-1.amazonaws.com/
https://sns.us-east-1.amazonaws.com\x.pem
https://snѕ.us-east-1.amazonaws.com/x.pem
https://sns.us‐east‐1.amazonaws.com/x.pem
https://sns.us-east-1。amazonaws。com/x.pem
https://sns.us-east-1.amazonaws.com／x.pem
EOF
push @spellings, "https://sns.us-east-1.amazonaws.com/x\r\nHost: evil.pem", "https://sns.us-east-1.amazonaws.com/x.pem\t", "\thttps://sns.us-east-1.amazonaws.com/x.pem", '', 'x' x 3000;
cmp_ok scalar(@spellings), '>=', 60, scalar(@spellings) . ' spellings';
my ($before, $asked) = ($net->count(qr/./), fetched(qr/./));
my @bad = grep { post('/sns', $net->sns(SigningCertURL => $_, Signature => 'AAAA'))->status != 401 } @spellings;
is "@bad", '', 'every spelling is refused';
is scalar(wants()), 0, 'none is asked for';
is fetched(qr/./), $asked, 'nothing is fetched, no socket is opened';
is $net->count(qr/./), $before, 'and nobody is asked';

# ---- what may go wrong ----

my %bad = (
    'redirect' => [401, undef, qr/http-status: status 302, and redirects are not followed/],
    'missing'  => [401, undef, qr/http-status: status 404/],
    'huge'     => [401, undef, qr/too-large: the answer is larger than 16384 bytes/],
    'rubbish'  => [401, undef, qr/unusable: what came is not a certificate/],
    'stranger' => [401, undef, qr/unusable: what came is a certificate for another name/],
    'hang'     => [503, undef, qr/timeout/],
    'a'        => [503, 'wrong-host-1', qr/tls: .*(?:name|match)/],
    'b'        => [503, 'expired-1', qr/tls: .*expired/],
    'c'        => [503, 'nobody-1', qr/connect/],
    'd'        => [503, 'inside-1', qr/address-denied: the address 127\.0\.0\.2 is not connected to: loopback/],
);
my %message = map { $_ => $net->sns(SigningCertURL => $net->cert_url("bad-$_", $bad{$_}[1])) } sort keys %bad;
my $asked_at = time;
is post('/sns', $message{$_})->status, 503, "$_: asked for" for sort keys %message;
for my $name (sort keys %bad) {
    my ($status, $region, $re) = @{ $bad{$name} };
    my $url = quotemeta $net->cert_url("bad-$name", $region);
    wait_for { $srv->error_log_lines(qr/WH0680: certificate $url could not be fetched/) } 30;
    my ($line) = $srv->error_log_lines(qr/WH0680: certificate $url could not be fetched/);
    wait_for { grep { (slurp($_) // '') =~ /$url$/m } glob "$dir/*.fail" } 30; # written down after it is said
    like $line // '', $re, "$name: said why";
    my %seen;
    $seen{ post('/sns', $message{$name})->status }++ for 1 .. 10;
    is join(',', sort keys %seen), $status, "$name: $status from then on";
    my $times = fetched($url);
    # what may be tried again is, after ten seconds
    ok $times == 1 || $status == 503 && time - $asked_at >= 10, "$name: fetched once" or diag "$times times";
}
is scalar($srv->error_log_lines(qr/WH0415/)), 0, 'the dispatcher lived through it';
unlike join(' ', map { slurp($_) } glob "$dir/*.key"), qr/not a certificate|xxxxx|www\.example/, 'nothing of it is kept';

# ---- a flood of names that may be asked for ----

$net->mode('hang');
for my $n (1 .. 150) {
    post('/sns', $net->sns(SigningCertURL => $net->cert_url("flood-missing-$n"), Signature => 'AAAA' x 86));
}
cmp_ok scalar(wants()), '<=', 64, 'a flood of wants is bounded';
cmp_ok scalar(wants()), '>=', 30, '(there were many)';
ok scalar($srv->error_log_lines(qr/WH0842/)), 'and said';
is post('/sns', $net->sns)->status, 202, 'a key at hand is not disturbed';
$net->mode('');

# ---- the dispatcher is killed while it fetches ----

$srv->stop;
unlink glob "$dir/*.want";
$srv->start;
$net->mode('hang');
my $late = $net->sns(SigningCertURL => $net->cert_url('late'));
is post('/sns', $late)->status, 503, 'asked for';
wait_for { $net->count(qr/late/) } 30, 'the fetch is under way';
kill KILL => $srv->dispatcher;
$net->mode('');
is settle('/sns', $late)->status, 202, 'its successor fetches what was wanted';

# ---- confirmations ----

my $token = 'T0KEN' . sha256_hex(rand);
$res = post('/sns', $net->confirmation(Token => $token));
is $res->status, 202, 'a confirmation that is not switched on is a delivery';
my $id = $res->json->{id};
my ($note) = $srv->error_log_lines(qr/WH0416/);
like $note // '', qr{endpoint sns: id \Q$id\E: a confirmation is asked for at https://sns\.us-east-1\.amazonaws\.com/\.\.\. .*json:SubscribeURL}, 'the operator is told where it is';
my $on = 'T0KON' . sha256_hex(rand);
$res = post('/confirm', $net->confirmation(Token => $on));
is $res->status, 200, 'switched on: answered';
wait_for { $net->count(qr/\Q$on\E/) } 30, 'visited';
wait_for { !wants() } 30;
is $net->count(qr/ConfirmSubscription/), 1, 'once';
wait_for { $srv->error_log_lines(qr/WH0684.*\Q$topic\E/) } 30, 'said for which topic';
is post('/confirm', $net->confirmation(TopicArn => "$topic-other"))->status, 401, 'another topic is refused';
is post('/confirm', $net->confirmation(signer => 'stranger'))->status, 401, 'so is another signature';
for my $url ('https://sns.us-east-1.amazonaws.com/?Action=Unsubscribe&Token=x', 'https://evil.example/?Action=ConfirmSubscription&Token=x',
    'https://sns.us-east-1.amazonaws.com@evil.example/?Action=ConfirmSubscription&Token=x', 'http://sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription&Token=x',
    'https://sns.us-east-1.amazonaws.com:443/?Action=ConfirmSubscription&Token=x', 'https://sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription&Token=x#y',
    'https://sns.us-east-1.s3.amazonaws.com/?Action=ConfirmSubscription&Token=x', 'https://127.0.0.1/?Action=ConfirmSubscription&Token=x') {
    $asked = fetched(qr/./);
    is post('/confirm', $net->confirmation(SubscribeURL => $url))->status, 202, "not visited: $url";
    is fetched(qr/./) . scalar(wants()), $asked . 0, '(and not asked for)';
}
$res = post('/confirm', $net->sns(Type => 'UnsubscribeConfirmation', Token => 'T0KUN', SubscribeURL => 'https://sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn=x&Token=T0KUN'));
is $res->status, 202, 'the end of a subscription is a delivery';
like join(' ', $srv->error_log_lines(qr/WH0416/)), qr/UnsubscribeConfirmation came/, 'and the operator is told';
is $net->count(qr/T0KUN/), 0, 'it is not taken back';
unlike slurp($srv->error_log), qr/T0KEN|T0KON|T0KUN/, 'no token is in the log';

# ---- files go on as before ----

my $mine = $net->sns(SigningCertURL => $net->cert_url('mine'));
is post('/files', $mine)->status, 202, 'a certificate in a file';
is post('/files', $net->sns(SigningCertURL => $net->cert_url('other')))->status, 401, 'and no other';
is $net->count(qr/mine|other/), 0, 'nothing is fetched for it';

# ---- without a network ----

$net->down;
my $soon = $net->sns(SigningCertURL => $net->cert_url('soon'));
is post('/sns', $soon)->status, 503, 'no network, no key';
$srv->graceful;
is post('/sns', $net->sns(MessageId => 'after-graceful'))->status, 202, 'a graceful restart needs none';
$srv->stop->start;
is post('/sns', $net->sns(MessageId => 'after-start'))->status, 202, 'nor does a start';
is post('/sns', $soon)->status, 503, 'what was not there is not there';

# a cache that somebody spoilt is no key
$srv->stop;
my ($whole) = grep { slurp($_) =~ /-ok\.pem$/m } glob "$dir/certificate-*.key";
my $bytes = slurp($whole);
for my $len (0, 20, 120, 400) {
    $srv->stop if $srv->pid;
    spew($whole, substr($bytes, 0, $len) =~ s/^made \d+/made 1/mr);
    $srv->start;
    is post('/sns', $net->sns)->status, 503, "the first $len bytes of a file are no key";
}

done_testing;
