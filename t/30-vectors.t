# SPDX-License-Identifier: Apache-2.0
#
# Recorded requests of every sender through a running server. First each at the
# moment it was recorded, its signature untouched: verdict and reason as the
# record and webhookctl say. Then requests signed afresh, at the real time.
use lib 't/lib';
use WebhookTest;
use WebhookTest::Vectors;
use MIME::Base64 ();

announce(qr/WH0113.* begins or ends with white space/); # keys of the records are any bytes

my @sets = qw(portable portable-docref made);
my @records = map { WebhookTest::Vectors::load($_) } @sets;
my $ctl = build_file('webhookctl');

# What the tool says of them: id => undef (accepted) or the reason
my %reason;
for my $set (@sets) {
    my ($rc, $out) = run_command($ctl, 'verify', '--vectors', WebhookTest::Vectors::file($set));
    is $rc, 0, "webhookctl runs all of $set";
    $reason{$1} = $2 while $out =~ /^(\S+) (?:accepted|refused (.+))$/mg;
}
my %scheme = map { $_->{name} => $_ } map { json_decode($_) } split /\n/, (run_command($ctl, 'schemes', '--json'))[1];

# The delivery's id is wanted back here, also from those whose sender wants other words (t/31-handshakes.t has these).
my %silent = map { $_->{name} => 1 } grep { ($_->{status} // 0) == 204 } values %scheme;
$scheme{$_}{status} = 200 for keys %silent;
sub with_id { my ($scheme) = @_; return ((defined $scheme->{success_body} ? ['answer-body', 'id'] : ()), $silent{ $scheme->{name} } ? ['status', 200] : ()) }

# ---- as recorded ----

my $clock = spew(tmp_dir('clock') . '/now', pack 'q', 0);
sub clock {
    open my $fh, '+<:raw', $clock or die "$clock: $!\n";
    syswrite $fh, pack('q', $_[0] * 1_000_000) or die "$clock: $!\n";
}
my $dir = tmp_dir('keys');
my ($fresh_conf, @fresh) = fresh_endpoints($dir);
my $srv = WebhookTest::Server->new(name => 'vectors', preload => build_file('modules/shim_clock.so'), env => { WEBHOOK_CLOCK => $clock },
    conf => qq(WebhookStore "sqlite:\@DIR\@/state/queue.db" done=1000w\n) . $fresh_conf . WebhookTest::Vectors::place($dir, \@records, sub { [with_id($scheme{ $_[0]{provider} })] }));
clock(1796000000);
$srv->start;

# Gates look at method, type and required headers before anything else.
my %gate = map { $_ => 1 } qw(content-type method-not-allowed signature-missing);
my (%count, %bad, $kept);
for my $record (sort { $a->{now} <=> $b->{now} } @records) {
    clock($record->{now});
    my $res = WebhookTest::Vectors::send($srv, $record);
    my $name = $record->{provider};
    my $status = $res->status;
    my $json = $res->json;
    my $why = ref $json eq 'HASH' && $json->{reason} || '';
    if ($record->{expect} eq 'accept') {
        $count{$name}[0]++;
        if (ref $json eq 'HASH' && $json->{id} && $status == ($scheme{$name}{status} // 202)) { $kept++ }
        elsif ($status < 200 || $status > 204 || !$scheme{$name}{handshakes}) {
            push @{ $bad{$name} }, "$record->{id}: expected it to be accepted, got $status $why";
        }
    }
    else {
        $count{$name}[1]++;
        my $same = $why eq ($reason{ $record->{id} } // '') || $gate{$why} || $scheme{$name}{options} && grep { $_ eq 'refusal-body=empty' } @{ $scheme{$name}{options} };
        push @{ $bad{$name} }, "$record->{id}: expected $reason{ $record->{id} }, got $status $why"
            if $status < 400 || $status > 499 || !$same;
    }
}
for my $name (sort keys %count) {
    my ($accepted, $refused) = map { $_ // 0 } @{ $count{$name} }[0, 1];
    ok !$bad{$name}, "$name: $accepted accepted, $refused refused, as recorded" or diag map { "$_\n" } @{ $bad{$name} };
}
is_deeply [grep { !$_->{generic} && !$count{ $_->{name} }[0] } values %scheme], [], 'no preset without an accepted request';
is_deeply [grep { !$_->{generic} && !$count{ $_->{name} }[1] } values %scheme], [], 'nor without a refused one';
cmp_ok scalar(keys %count), '>=', 110, 'presets';

# ---- afresh ----

# What lies in the body cannot be put there by the tool.
my %inside = map { $_ => 1 } qw(adyen-payments aws-sns azure-event-grid braintree dropbox-sign figma kinde mailgun msgraph);

# An endpoint with a new key for each other preset: (configuration, {name, key, path}, ...)
sub fresh_endpoints {
    my ($dir) = @_;
    my $conf = '';
    my @list;
    for my $scheme (sort { $a->{name} cmp $b->{name} } grep { !$_->{generic} } values %scheme) {
        my $name = $scheme->{name};
        my %option = map { /^([^=]+)=(.*)/s } @{ $scheme->{options} };
        my @more = $scheme->{uses_url} ? ('url=https://hooks.example.com') : ();
        push @more, map { "$_=value-of-$_" } grep { !/\?/ } split / /, $scheme->{variables} // '';
        push @more, map { join '=', @$_ } with_id($scheme);
        my $algorithm = ($option{algorithm} // '') =~ s/,.*//r;
        my $file = "$dir/fresh-$name";
        my $public = $algorithm =~ /^ed25519/ ? 'ED25519' : $algorithm =~ /^(?:ecdsa|ES)/ ? 'EC' : $algorithm =~ /^(?:\d+:)?(?:rsa|RS)/ ? 'RSA' : undef;
        my ($sign, $verify) = ($file) x 2;
        if ($public) {
            ($sign, $verify) = ("$file.key", "$file.pub");
            private_key($public, $sign, $verify);
            push @more, 'key-encoding=pem';
        }
        else {
            my $bytes = join '', map { chr 33 + ($_ * 7 + length $name) % 90 } 1 .. 32;
            my $coding = $option{'key-encoding'} // '';
            spew($file, ($option{'key-prefix'} // '') . ($coding eq 'hex' ? unpack 'H*', $bytes
                : $coding eq 'base64' ? MIME::Base64::encode($bytes, '') : ($option{signature} // '') =~ /basic/ ? 'user:pass word' : $bytes =~ tr/!-~/a-z/r), 0600);
        }
        $conf .= "<Location \"/fresh/$name\">\n    SetHandler webhook\n    WebhookName fresh-$name\n    WebhookVerify $name "
            . join(' ', map { WebhookTest::Vectors::quoted($_) } @more) . "\n    WebhookSecret file:$verify\n    WebhookDrop\n</Location>\n";
        push @list, { name => $name, scheme => $scheme, options => \@more, key => $sign, path => "/fresh/$name" };
    }
    return ($conf, @list);
}

my %made;
sub private_key {
    my ($type, $key, $public) = @_;
    my @how = $type eq 'EC' ? ('EC', '-pkeyopt', 'ec_paramgen_curve:P-256') : $type eq 'RSA' ? ('RSA', '-pkeyopt', 'rsa_keygen_bits:2048') : ($type);
    $made{$type} //= do { # one of each type is enough
        run_command('openssl', 'genpkey', '-algorithm', @how, '-out', $key);
        run_command('openssl', 'pkey', '-in', $key, '-pubout', '-out', $public);
        [slurp($key), slurp($public)];
    };
    spew($key, $made{$type}[0], 0600);
    spew($public, $made{$type}[1], 0600);
    return;
}

# A request signed by the tool for a moment: (method, target, headers, body), or what the tool says
my $number = 0;
sub fresh {
    my ($ep, $now) = @_;
    my ($type) = grep { m{^\w+/[\w+.-]+$} } @{ $ep->{scheme}{content_types} // [] };
    $type = 'application/json' if !$type || $ep->{name} eq 'twilio-json';
    my $id = 'evt-' . ++$number;
    my $body = $type =~ /urlencoded/ ? "payload=%7B%22id%22%3A%22$id%22%7D&CallSid=CA1&Body=a%20b%2Bc"
        : json_encode({ id => $id, type => 'thing.made', webhookTimestamp => $now * 1000, data => { id => $id, text => "\x{e9}\x{20ac}" } });
    my $target = "$ep->{path}?data.id=17" . ($ep->{name} eq 'twilio-json' ? '&bodySHA256=' . sha256_hex($body) : '');
    my @given = ('Content-Type' => $type);
    push @given, 'x-request-id' => $id if $ep->{name} eq 'mercadopago';
    push @given, 'X-Plivo-Signature-V3-Nonce' => $id if $ep->{name} eq 'plivo-v3';
    push @given, 'X-Lark-Request-Nonce' => $id if $ep->{name} =~ /^lark/;
    push @given, 'PAYPAL-TRANSMISSION-ID' => $id if $ep->{name} eq 'paypal';
    spew("$dir/body", $body);
    my ($rc, $out, $err) = run_command($ctl, 'sign', $ep->{name}, @{ $ep->{options} }, '--secret', "file:$ep->{key}", '--id', $id, '--event', 'thing.made',
        '--url', "https://hooks.example.com$target", '--now', $now, '--body', "$dir/body",
        map { ('--header', "$given[2 * $_]: $given[2 * $_ + 1]") } 0 .. $#given / 2);
    return { error => $err } if $rc;
    my %seen = map { lc $_ => 1 } $out =~ /^([^:]+): /mg;
    return { target => $target, body => $body, headers => [(map { ($given[2 * $_], $given[2 * $_ + 1]) } grep { !$seen{ lc $given[2 * $_] } } 0 .. $#given / 2),
        map { /^([^:]+): (.*)$/ ? ($1, $2) : () } split /\n/, $out] };
}

sub post {
    my ($req, $body) = @_;
    return $srv->request(POST => $req->{target}, host => 'hooks.example.com', headers => $req->{headers}, body => $body // $req->{body});
}

my @twice;
clock(0);
for my $ep (@fresh) {
    my ($name, $scheme) = @$ep{qw(name scheme)};
    my $req = fresh($ep, time);
    if ($inside{$name}) {
        ok $req->{error}, "$name: the tool says that it cannot sign";
        next;
    }
    if ($req->{error}) {
        fail "$name: signed afresh";
        diag $req->{error};
        next;
    }
    my $res = post($req);
    is $res->status, $scheme->{status} // 202, "$name: signed afresh, accepted" or diag $res->body;
    my $first = ($res->json // {})->{id} // '';
    $kept++ if $first;
    my $second = (post($req)->json // {})->{id} // '';
    push @twice, [$name, $first, $second] if $first;
    $kept++ if $second ne $first;
    my $other = post($req, $req->{body} =~ s/evt/odd/r);
    if ($scheme->{protects_body}) {
        is $other->status, 401, "$name: not with another body";
    }
    elsif ($other->status == ($scheme->{status} // 202) && (($other->json // {})->{id} // '') ne $first) {
        $kept++; # the manual says so
    }
    next if !$scheme->{window_seconds};
    for my $far (-$scheme->{window_seconds} - 60, $scheme->{window_seconds} + 60) {
        my $late = fresh($ep, time + $far);
        my $got = post($late);
        is +($got->json // {})->{reason}, 'timestamp-outside-window', "$name: not " . abs($far) . ' s ' . ($far < 0 ? 'late' : 'early');
    }
}

is $srv->ctl_json('stats')->{store}{deliveries}, $kept, 'every accepted delivery is kept, once';
my %row = map { $_->{id} => $_ } $srv->ctl_json('list', '--limit', 1000);
my ($once, $moment) = (0, 0);
for (@twice) {
    my ($name, $first, $second) = @$_;
    if (length($row{$first}{sender_id} // '')) { $once++; is $second, $first, "$name: the same again is the same delivery" }
    elsif ($scheme{$name}{moment}) { $moment++; is $second, $first, "$name: without the sender's id it is known by its signed time and body" }
    else { isnt $second, $first, "$name: without the sender's id and a signed time it is a new one" }
}
cmp_ok $once, '>=', 50, 'deliveries known by the id';
cmp_ok $moment, '>=', 10, 'deliveries known by their signed time and body';
done_testing;
