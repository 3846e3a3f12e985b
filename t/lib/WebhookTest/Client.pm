# SPDX-License-Identifier: Apache-2.0
package WebhookTest::Client;

# Requests to one server: request() for the ordinary ones, connect() for bytes
# by hand, curl() for TLS and HTTP/2. Base class of WebhookTest::Server.

use strict;
use warnings;
use IO::Socket::IP ();
use POSIX ();
use Time::HiRes ();

our $PATIENCE = 120; # seconds for any one answer; a ceiling

sub new { my ($class, %self) = @_; return bless { %self }, $class }

sub port { my ($self) = @_; return $self->{port} }
sub url { my ($self, $path) = @_; return 'http://127.0.0.1:' . $self->port . ($path // '/') }

# request(METHOD => PATH, headers => [name => value, ...], body => bytes,
#   chunked => 1 | [pieces], version => '1.1', host => ..., keepalive => 0,
#   port => ..., address => '127.0.0.1')
# Content-Length, Host and Connection are added unless given; an undefined
# value keeps one of them out. Returns a WebhookTest::Response, status 0 if the
# server closed without an answer.
sub request {
    my ($self, $method, $path, %opt) = @_;
    my $conn = $self->connect(%opt) or return WebhookTest::Response->none("connect: $@");
    $conn->print(request_bytes($method, $path, host => 'localhost:' . $self->port, %opt));
    my $res = $conn->response($method);
    $conn->close;
    return $res;
}

# The same request as bytes, to be sent as one likes.
sub request_bytes {
    my ($method, $path, %opt) = @_;
    my @headers = @{ $opt{headers} // [] };
    my %has;
    for (my $i = 0; $i < @headers; $i += 2) { $has{ lc $headers[$i] } = 1 }
    my $body = $opt{body};
    my $chunked = $opt{chunked};
    push @headers, Host => $opt{host} // 'localhost' if !$has{host};
    push @headers, Connection => 'close' if !$has{connection} && !$opt{keepalive};
    if ($chunked) {
        push @headers, 'Transfer-Encoding' => 'chunked' if !$has{'transfer-encoding'};
        my @pieces = ref $chunked ? @$chunked : ($body);
        $body = join '', map { sprintf "%x\r\n%s\r\n", length, $_ } grep { length } @pieces;
        $body .= "0\r\n\r\n";
    }
    elsif (defined $body && !$has{'content-length'}) {
        push @headers, 'Content-Length' => length $body;
    }
    my $head = "$method $path HTTP/" . ($opt{version} // '1.1') . "\r\n";
    while (my ($name, $value) = splice @headers, 0, 2) {
        $head .= "$name: $value\r\n" if defined $value;
    }
    return "$head\r\n" . ($body // '');
}

sub get { my ($self, $path, %opt) = @_; return $self->request(GET => $path, %opt) }
sub post { my ($self, $path, $body, %opt) = @_; return $self->request(POST => $path, body => $body, %opt) }

# A GitHub delivery, signed: github(PATH, SECRET, BODY, event =>, id =>, headers => [more], ...).
sub github {
    my ($self, $path, $secret, $body, %opt) = @_;
    my $headers = WebhookTest::github_headers($secret, $body, %opt);
    push @$headers, @{ $opt{headers} // [] };
    return $self->request(POST => $path, body => $body, %opt, headers => $headers);
}

# A connection: print BYTES, response [METHOD], eof, shutdown, close.
sub connect {
    my ($self, %opt) = @_;
    my $sock = IO::Socket::IP->new(PeerHost => $opt{address} // '127.0.0.1', PeerPort => $opt{port} // $self->port,
        Type => Socket::SOCK_STREAM(), Timeout => $PATIENCE) or return;
    binmode $sock;
    $sock->autoflush(1);
    return bless { sock => $sock, buf => '' }, 'WebhookTest::Connection';
}

# curl with these arguments (the URL among them). Returns a response with
# ->curl (its exit code), ->error and ->version ("2" for HTTP/2).
sub curl {
    my ($self, @args) = @_;
    my $dir = WebhookTest::tmp_dir('curl');
    my ($rc, $out, $err) = WebhookTest::run_command(which('curl'), '-q', '-sS', '--noproxy', '*', '--max-time', $PATIENCE,
        '-o', "$dir/body", '-D', "$dir/head", '-w', '%{http_code} %{http_version}', @args);
    my ($status, $version) = split ' ', $out // '';
    my @heads = split /\r?\n\r?\n/, WebhookTest::slurp("$dir/head") // '';
    my $res = WebhookTest::Response->parse(($heads[-1] // '') . "\r\n\r\n");
    @$res{qw(status version body curl error)} = (0 + ($status || 0), $version, WebhookTest::slurp("$dir/body") // '', $rc, $err);
    return $res;
}

sub which { my ($name) = @_; -x "$_/$name" and return "$_/$name" for split /:/, $ENV{PATH}; die "no $name\n" }

package WebhookTest::Connection;

use strict;
use warnings;

sub print {
    my ($self, @bytes) = @_;
    for my $bytes (@bytes) {
        my $at = 0;
        while ($at < length $bytes) {
            # a server that refuses early stops reading: then its answer is what counts
            my $n = syswrite $self->{sock}, $bytes, length($bytes) - $at, $at;
            return 0 if !defined $n;
            $at += $n;
        }
    }
    return 1;
}

# More bytes into the buffer; false at the end, or when patience ran out.
sub fill {
    my ($self, $seconds) = @_;
    my $in = '';
    vec($in, fileno $self->{sock}, 1) = 1;
    select($in, undef, undef, $seconds // $WebhookTest::Client::PATIENCE) > 0 or do { $self->{timeout} = 1; return 0 };
    return sysread $self->{sock}, $self->{buf}, 65536, length $self->{buf};
}

# Reads one answer; interim ones (100, 103) are kept in ->interim.
sub response {
    my ($self, $method) = @_;
    my @interim;
    while (1) {
        while ($self->{buf} !~ /\r?\n\r?\n/) {
            $self->fill or return WebhookTest::Response->none($self->{timeout} ? 'timeout' : 'closed', raw => $self->{buf}, interim => \@interim);
        }
        $self->{buf} =~ s/\A(.*?\r?\n\r?\n)//s;
        my $res = WebhookTest::Response->parse($1);
        if ($res->{status} >= 100 && $res->{status} < 200 && $res->{status} != 101) {
            push @interim, $res->{status};
            next;
        }
        $res->{interim} = \@interim;
        $res->{body} = $self->body($res, $method // 'GET');
        $res->{complete} = defined $res->{body} ? 1 : 0;
        $res->{body} //= '';
        return $res;
    }
}

sub body {
    my ($self, $res, $method) = @_;
    return '' if $method eq 'HEAD' || $res->{status} == 204 || $res->{status} == 304;
    if (($res->header('Transfer-Encoding') // '') =~ /chunked/i) {
        my $body = '';
        while (1) {
            while ($self->{buf} !~ /\r\n/) { $self->fill or return }
            $self->{buf} =~ s/\A([0-9a-fA-F]+)[^\r\n]*\r\n// or return;
            my $size = hex $1;
            while (length $self->{buf} < $size + 2) { $self->fill or return }
            $body .= substr $self->{buf}, 0, $size, '';
            substr $self->{buf}, 0, 2, '';
            return $body if !$size;
        }
    }
    my $length = $res->header('Content-Length');
    if (defined $length) {
        while (length $self->{buf} < $length) { $self->fill or return }
        return substr $self->{buf}, 0, $length, '';
    }
    1 while $self->fill;
    my $body = $self->{buf};
    $self->{buf} = '';
    return $body;
}

# Whether the server has closed, with nothing unread before it.
sub eof {
    my ($self, $seconds) = @_;
    return 0 if length $self->{buf};
    my $n = $self->fill($seconds);
    return defined $n && $n == 0 && !delete $self->{timeout} ? 1 : defined $n ? 0 : 1;
}

sub sock { $_[0]{sock} }
sub shutdown { my ($self) = @_; return CORE::shutdown $self->{sock}, 1 }
sub close { my ($self) = @_; return CORE::close $self->{sock} }

# Ends the connection with a reset.
sub reset {
    my ($self) = @_;
    setsockopt $self->{sock}, Socket::SOL_SOCKET(), Socket::SO_LINGER(), pack 'ii', 1, 0;
    return CORE::close $self->{sock};
}

package WebhookTest::Response;

use strict;
use warnings;

sub none { my ($class, $error, %more) = @_; return bless { status => 0, headers => [], body => '', interim => [], error => $error, %more }, $class }

sub parse {
    my ($class, $head) = @_;
    my ($first, @lines) = split /\r?\n/, $head;
    my ($version, $status, $reason) = ($first // '') =~ m{\AHTTP/(\S+) (\d{3}) ?(.*)};
    my @headers = map { my ($n, $v) = split /:\s*/, $_, 2; [$n, $v // ''] } grep { /:/ } @lines;
    return bless { status => $status // 0, version => $version, reason => $reason, headers => \@headers,
        raw => $head, body => '', interim => [] }, $class;
}

sub status { $_[0]{status} }
sub reason { $_[0]{reason} }
sub body { $_[0]{body} }
sub raw { $_[0]{raw} }
sub version { $_[0]{version} }
sub curl { $_[0]{curl} }
sub error { $_[0]{error} }
sub interim { @{ $_[0]{interim} } }

# The field's value, several joined with a comma; undef when there is none.
sub header {
    my ($self, $name) = @_;
    my @values = map { $_->[1] } grep { lc $_->[0] eq lc $name } @{ $self->{headers} };
    return @values ? join(', ', @values) : undef;
}

# The decoded body, undef if it is not JSON.
sub json { my ($self) = @_; return eval { WebhookTest::json_decode($self->{body}) } }

1;
