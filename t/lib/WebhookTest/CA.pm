# SPDX-License-Identifier: Apache-2.0
package WebhookTest::CA;

# A throw-away certificate authority, made with openssl(1) when a test needs
# it: PEM files by name, ca, server (localhost, 127.0.0.1, ::1), client. More
# with issue().

use strict;
use warnings;

sub new {
    my ($class, $dir) = @_;
    my $self = bless { dir => $dir }, $class;
    $self->openssl(qw(req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj), '/CN=Test CA',
        '-addext', 'basicConstraints=critical,CA:TRUE', '-keyout', $self->key('ca'), '-out', $self->cert('ca'));
    $self->issue('server', 'localhost', 'subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1');
    $self->issue('client', 'client', 'extendedKeyUsage=clientAuth');
    return $self;
}

sub cert { my ($self, $name) = @_; return "$self->{dir}/$name.crt" }
sub key { my ($self, $name) = @_; return "$self->{dir}/$name.key" }

# issue(NAME, CN, EXTENSIONS...)
sub issue {
    my ($self, $name, $cn, @ext) = @_;
    my $base = "$self->{dir}/$name";
    WebhookTest::spew("$base.ext", join '', map { "$_\n" } 'basicConstraints=CA:FALSE', @ext);
    $self->openssl(qw(req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj), "/CN=$cn", '-keyout', "$base.key", '-out', "$base.csr");
    $self->openssl(qw(x509 -req -days 2 -CAcreateserial -in), "$base.csr", '-CA', $self->cert('ca'), '-CAkey', $self->key('ca'),
        '-extfile', "$base.ext", '-out', "$base.crt");
    return $self;
}

sub openssl {
    my ($self, @args) = @_;
    my ($rc, $out, $err) = WebhookTest::run_command(WebhookTest::Client::which('openssl'), @args);
    die "openssl @args: $err\n" if $rc;
    return;
}

# Directives that switch TLS on with the server's certificate.
sub conf {
    my ($self) = @_;
    return sprintf qq(SSLEngine on\nSSLCertificateFile "%s"\nSSLCertificateKeyFile "%s"\n), $self->cert('server'), $self->key('server');
}

1;
