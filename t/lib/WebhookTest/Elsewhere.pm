# SPDX-License-Identifier: Apache-2.0
package WebhookTest::Elsewhere;

# A piece of the Internet on loopback: SNS with its certificates, a server of
# JWK Sets; over real TLS, with a CA of its own. Apache ends the TLS, a script
# answers.
#
#   my $net = WebhookTest::Elsewhere->new;
#   $net->fetch               # the WebhookFetch line that leads there
#   $net->sns(Type => 'Notification', ...)   # a signed message
#   $net->jwt({ claims }, 'kid')             # a signed token; keys: rotate()
#   $net->mode('hang')        # how everything is answered from now on; '' as usual
#   $net->count(qr{path})     # requests so far

use strict;
use warnings;
use MIME::Base64 ();
use POSIX ();

my @regions = qw(us-east-1 eu-west-1 wrong-host-1 expired-1 nobody-1 inside-1);

sub new {
    my ($class, %opt) = @_;
    my $dir = WebhookTest::tmp_dir('elsewhere');
    my $self = bless { dir => $dir, ca => WebhookTest::ca(), n => 0 }, $class;
    my $ca = $self->{ca};
    $ca->issue('sns', 'sns.us-east-1.amazonaws.com',
        'subjectAltName=' . join ',', map { "DNS:$_" } (map { "sns.$_.amazonaws.com" } 'us-east-1', 'eu-west-1', 'expired-1'), 'keys.example.test');
    $ca->issue('wrong', 'www.example.test', 'subjectAltName=DNS:www.example.test');
    $self->expired;
    $self->signer('signer', '/CN=sns.amazonaws.com');
    $self->signer('stranger', '/CN=www.example.test');
    chmod 0640, map { "$dir/$_.crt" } qw(signer stranger);
    $self->rotate('one');
    $self->mode('');
    my $up = $self->{up} = WebhookTest::Upstream->new(sub { $self->answer(@_) });
    $self->{front} = WebhookTest::Server->new(name => 'front', webhook => 0, loglevel => 'warn', modules => ['ssl', 'proxy', 'proxy_http'], conf => join '',
        map { $self->vhost($_->[0], $_->[1], $up) } ['good', 'sns'], ['wrong', 'wrong'], ['expired', 'expired']);
    $self->{dead} = WebhookTest::free_port();
    $self->{front}->start;
    return $self;
}

# No network any more.
sub down { my ($self) = @_; $self->{up}->stop; $self->{front}->stop; return }

sub vhost {
    my ($self, $port, $cert, $up) = @_;
    my $ca = $self->{ca};
    my $url = $up->url('/');
    return <<"EOF" . sprintf qq(SSLCertificateFile "%s"\nSSLCertificateKeyFile "%s"\n</VirtualHost>\n), $ca->cert($cert), $ca->key($cert);
Listen 127.0.0.1:\@PORT:$port\@
<VirtualHost *:\@PORT:$port\@>
    ProxyPass "/" "$url"
    ProxyPreserveHost On
    ProxyTimeout 60
    SSLEngine on
EOF
}

# A server certificate that ran out yesterday.
sub expired {
    my ($self) = @_;
    my ($ca, $base) = ($self->{ca}, "$self->{dir}/expired");
    mkdir "$base.d";
    WebhookTest::spew("$base.d/index", '');
    WebhookTest::spew("$base.d/serial", "0A\n");
    WebhookTest::spew("$base.cnf", <<"EOF");
[ca]
default_ca = d
[d]
dir = $base.d
database = $base.d/index
serial = $base.d/serial
new_certs_dir = $base.d
default_md = sha256
policy = p
x509_extensions = e
[p]
commonName = supplied
[e]
subjectAltName = DNS:sns.expired-1.amazonaws.com
EOF
    $ca->openssl(qw(req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=sns.expired-1.amazonaws.com -keyout), $ca->key('expired'),
        '-out', "$base.csr");
    $ca->openssl(qw(ca -batch -config), "$base.cnf", '-in', "$base.csr", '-cert', $ca->cert('ca'), '-keyfile', $ca->key('ca'),
        qw(-startdate 20200101000000Z -enddate 20200201000000Z -notext -out), $ca->cert('expired'));
    return;
}

# A key SNS signs with, and its certificate.
sub signer {
    my ($self, $name, $subject) = @_;
    my ($ca, $base) = ($self->{ca}, "$self->{dir}/$name");
    $ca->openssl(qw(req -newkey rsa:2048 -nodes -subj), $subject, '-keyout', "$base.key", '-out', "$base.csr");
    $ca->openssl(qw(x509 -req -days 2 -CAcreateserial -in), "$base.csr", '-CA', $ca->cert('ca'), '-CAkey', $ca->key('ca'), '-out', "$base.crt");
    return;
}

sub file { my ($self, $name) = @_; return "$self->{dir}/$name" }
sub mode { my ($self, $mode) = @_; WebhookTest::spew($self->file('mode'), $mode); return }
sub count { my ($self, $re) = @_; return scalar grep { $_->{path} =~ $re } $self->{up}->requests }

sub fetch {
    my ($self, $more) = @_;
    my %port = map { $_ => $self->{front}->port($_) } qw(good wrong expired);
    my %to = ('us-east-1' => "127.0.0.1:$port{good}", 'eu-west-1' => "127.0.0.1:$port{good}", 'wrong-host-1' => "127.0.0.1:$port{wrong}",
        'expired-1' => "127.0.0.1:$port{expired}", 'nobody-1' => "127.0.0.1:$self->{dead}", 'inside-1' => "127.0.0.2:$port{good}");
    return sprintf qq(WebhookFetch "ca=%s" allow=127.0.0.1 timeout=8s connect-timeout=8s resolve=%s %s\n), $self->{ca}->cert('ca'),
        join(',', "keys.example.test:443:127.0.0.1:$port{good}", map { "sns.$_.amazonaws.com:443:$to{$_}" } @regions), $more // '';
}

# In a process of its own: what it knows is in files.
sub answer {
    my ($self, $req) = @_;
    my $mode = WebhookTest::slurp($self->file('mode'));
    return 'hang' if $mode eq 'hang' || $req->{path} =~ /hang/;
    return [503, ['Retry-After' => 1], 'later'] if $mode eq 'busy';
    return [302, [Location => 'https://sns.us-east-1.amazonaws.com/SimpleNotificationService-ok.pem']] if $req->{path} =~ /redirect/;
    return [404, [], 'none'] if $req->{path} =~ /missing/;
    return [200, [], 'x' x 200_000] if $req->{path} =~ /huge/;
    return [200, [], 'not a certificate'] if $req->{path} =~ /rubbish/;
    return [200, [], WebhookTest::slurp($self->file('stranger.crt'))] if $req->{path} =~ /stranger/;
    return [200, [], WebhookTest::slurp($self->file('signer.crt'))] if $req->{path} =~ /\.pem$/;
    return [200, ['Cache-Control' => 'public, max-age=7200', 'Content-Type' => 'application/json'], WebhookTest::slurp($self->file('jwks'))]
        if $req->{path} =~ /jwks/;
    return [200, [], '<ConfirmSubscriptionResponse/>'] if $req->{path} =~ /ConfirmSubscription/;
    return [404, [], ''];
}

sub sign {
    my ($self, $key, $text) = @_;
    my $file = $self->file('sign-' . $self->{n}++);
    WebhookTest::spew("$file.in", $text);
    $self->{ca}->openssl(qw(dgst -sha256 -sign), $key, '-out', "$file.out", "$file.in");
    my $sig = WebhookTest::slurp("$file.out");
    unlink "$file.in", "$file.out";
    return $sig;
}

# ---- SNS ----

our $TOPIC = 'arn:aws:sns:us-east-1:123456789012:orders';

sub cert_url { my ($self, $name, $region) = @_; return 'https://sns.' . ($region // 'us-east-1') . ".amazonaws.com/SimpleNotificationService-$name.pem" }

# What SNS would send, as bytes. Everything may be replaced, the signature's key too (signer => 'stranger').
sub sns {
    my ($self, %m) = @_;
    my $signer = delete $m{signer} // 'signer';
    my @t = gmtime;
    %m = (Type => 'Notification', MessageId => sprintf('%08x-0000-4000-8000-%012x', $$, ++$self->{n}), TopicArn => $TOPIC, Message => 'hello',
        Timestamp => POSIX::strftime('%Y-%m-%dT%H:%M:%S.000Z', @t), SignatureVersion => '2', SigningCertURL => $self->cert_url('ok'), %m);
    my @signed = $m{Type} eq 'Notification' ? qw(Message MessageId Subject Timestamp TopicArn Type)
        : qw(Message MessageId SubscribeURL Timestamp Token TopicArn Type);
    $m{Signature} //= MIME::Base64::encode_base64($self->sign($self->file("$signer.key"), join '', map { defined $m{$_} ? "$_\n$m{$_}\n" : () } @signed), '');
    return WebhookTest::json_encode(\%m);
}

sub confirmation {
    my ($self, %m) = @_;
    my $token = $m{Token} // 'tok' . WebhookTest::sha256_hex(rand . $$);
    return $self->sns(Type => 'SubscriptionConfirmation', Token => $token, Message => 'You have chosen to subscribe',
        SubscribeURL => "https://sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn=$TOPIC&Token=$token", %m);
}

# ---- JWT ----

sub b64url { my $s = MIME::Base64::encode_base64($_[0], ''); $s =~ tr{+/}{-_}; $s =~ s/=+$//; return $s }

# A new key, alone in the set.
sub rotate {
    my ($self, $kid) = @_;
    my $key = $self->file("jwt-$kid.key");
    $self->{ca}->openssl(qw(genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out), $key);
    my (undef, $out) = WebhookTest::run_command(WebhookTest::Client::which('openssl'), qw(rsa -noout -modulus -in), $key);
    my ($hex) = $out =~ /Modulus=([0-9A-F]+)/ or die "no modulus: $out\n";
    WebhookTest::spew($self->file('jwks'), WebhookTest::json_encode({ keys => [{ kty => 'RSA', use => 'sig', alg => 'RS256', kid => $kid,
        n => b64url(pack 'H*', $hex), e => 'AQAB' }] }));
    return;
}

sub jwt {
    my ($self, $claims, $kid, $signer) = @_;
    my $text = b64url(WebhookTest::json_encode({ alg => 'RS256', typ => 'JWT', kid => $kid })) . '.' . b64url(WebhookTest::json_encode($claims));
    return "$text." . b64url($self->sign($self->file('jwt-' . ($signer // $kid) . '.key'), $text));
}

1;
