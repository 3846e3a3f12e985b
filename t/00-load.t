# SPDX-License-Identifier: Apache-2.0
# The module loads on each MPM, the base server answers, and a handler without
# an endpoint is no place.
use WebhookTest;
use Apache::TestRequest qw(GET POST);

is GET('/index.html')->code, 200, 'the base server serves a file';
is GET('/no-endpoint')->code, 404, 'SetHandler webhook without an endpoint is 404';
is POST('/no-endpoint', content => '{}')->code, 404, 'also for POST';
is base->post('/no-endpoint', '{}')->status, 404, 'and byte by byte';

for my $mpm (grep { defined have_module("mpm_$_") } qw(event worker prefork)) {
    my $srv = WebhookTest::Server->new(name => "load-$mpm", mpm => $mpm);
    my ($rc, $out) = $srv->config_test;
    is $rc, 0, "$mpm: the configuration test passes" or diag $out;
    like $out, qr/Syntax OK/, "$mpm: and says so";
    $srv->start;
    is $srv->get('/')->status, 200, "$mpm: serves";
    $srv->graceful;
    is $srv->get('/')->status, 200, "$mpm: serves after a graceful restart";
    $srv->stop;
    is_deeply [$srv->processes], [], "$mpm: nothing is left after a stop";
}
done_testing;
