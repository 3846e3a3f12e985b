# SPDX-License-Identifier: Apache-2.0
#
# The store under a running server: full, damaged, replaced, deleted, locked. Never acknowledged into, a clear error, 503 with Retry-After,
# and accepting goes on by itself when the file is right again.
use lib 't/lib';
use WebhookTest;
use Fcntl qw(F_WRLCK SEEK_SET);

my $secret = 'store-secret';
my $where = <<'EOF';
<Location "/hook">
    SetHandler webhook
    WebhookVerify  github
    WebhookSecret  file:@DIR@/secret
    WebhookDeliver "file:@DIR@/out/lines"
</Location>
EOF
sub server {
    my ($name, $store) = @_;
    my $srv = WebhookTest::Server->new(name => $name, conf => qq(WebhookStore "sqlite:\@DIR\@/state/queue.db" $store\n$where));
    spew($srv->path('secret'), $secret, 0600);
    return $srv;
}
my $n = 0;
sub push_one { my ($srv, $size) = @_; return $srv->github('/hook', $secret, github_push(n => $n++, pad => 'x' x ($size // 10))) }
sub refused {
    my ($res, $reason, $name) = @_;
    is $res->status, 503, "$name: 503";
    is $res->json->{reason}, $reason, "$name: $reason";
    like $res->header('Retry-After'), qr/^[1-9]\d*$/, "$name: Retry-After";
}
sub delivered { my ($srv) = @_; return scalar(() = json_lines($srv->path('out', 'lines'))) }
announce(qr/WH05\d\d|WH03\d\d|WH06\d\d|WH0405/); # the errors this file is about

# ---- rows ----
{
    my $srv = server('rows', 'rows=5')->start;
    is push_one($srv)->status, 202, 'rows: there is room' for 1 .. 5;
    refused(push_one($srv), 'store-full', 'rows: the sixth');
    wait_for { delivered($srv) == 5 } 30, 'rows: what was accepted is delivered all the same';
    is(($srv->ctl('check'))[1], "consistent\n", 'rows: consistent');
}

# ---- free space that is not there ----
{
    my $srv = server('free', 'free=1000000G')->start;
    refused(push_one($srv), 'store-full', 'free: less than must stay free');
    $srv->write_conf($where);
    $srv->graceful;
    is push_one($srv)->status, 202, 'free: with the default there is room';
}

# ---- large bodies go to files ----
{
    my $srv = server('bodies', 'body-file=2K')->start;
    my $body = github_push(pad => 'y' x 100_000);
    my $res = $srv->github('/hook', $secret, $body);
    is $res->status, 202, 'bodies: accepted';
    wait_for { delivered($srv) == 1 } 30, 'bodies: delivered';
    my ($line) = json_lines($srv->path('out', 'lines'));
    is $line->{body}, $body, 'bodies: identical';
    ok scalar(grep { -s $_ == length $body } glob $srv->path('state', 'queue.db-bodies/*/*')), 'bodies: in a file of its own';
    is(($srv->ctl('show', $res->json->{id}, '--body'))[1], $body, 'bodies: the tool shows it');
    my ($mode) = map { sprintf '%o', (stat $_)[2] & 07777 } $srv->path('state');
    is $mode, '700', 'the state directory is private';
    is sprintf('%o', (stat $srv->path('state', $_))[2] & 07777), '600', "$_ is private" for qw(queue.db queue.db-wal queue.db.lock);
}

# ---- deleted and put back ----
{
    my $srv = server('deleted', '')->start;
    is push_one($srv)->status, 202, 'deleted: accepted before';
    wait_for { delivered($srv) == 1 } 30;
    rename $srv->path('state', 'queue.db'), $srv->path('state', 'away') or die;
    refused(push_one($srv), 'store-failed', 'deleted');
    ok !-e $srv->path('state', 'queue.db'), 'deleted: not made anew silently';
    $srv->graceful;
    refused(push_one($srv), 'store-failed', 'deleted, also after a graceful restart');
    ok scalar($srv->error_log_lines(qr/queue\.db/)), 'deleted: the error log names the file';
    rename $srv->path('state', 'away'), $srv->path('state', 'queue.db') or die;
    ok wait_for(sub { push_one($srv)->status == 202 }, 30), 'deleted: heals when the file is back';
    wait_for { delivered($srv) >= 2 } 30, 'deleted: and delivers';
}

# ---- replaced by something else ----
{
    my $srv = server('foreign', '')->start;
    is push_one($srv)->status, 202, 'foreign: accepted before';
    wait_for { delivered($srv) == 1 } 30;
    rename $srv->path('state', 'queue.db'), $srv->path('state', 'away') or die;
    spew($srv->path('state', 'queue.db'), "this is not a database\n" x 1000, 0600);
    refused(push_one($srv), 'store-failed', 'foreign');
    is slurp($srv->path('state', 'queue.db')), "this is not a database\n" x 1000, 'foreign: not touched';
    rename $srv->path('state', 'away'), $srv->path('state', 'queue.db') or die;
    ok wait_for(sub { push_one($srv)->status == 202 }, 30), 'foreign: heals';
}

# ---- damaged at the start ----
{
    my $srv = server('damaged', '')->start;
    is push_one($srv)->status, 202, 'damaged: accepted before';
    $srv->stop;
    my $file = $srv->path('state', 'queue.db');
    my $good = slurp($file);
    my $wal = slurp("$file-wal");
    unlink "$file-wal", "$file-shm";
    my $bad = $good;
    substr($bad, 0, 100) = 'X' x 100;
    spew($file, $bad, 0600);
    $srv->start;
    is $srv->get('/')->status, 200, 'damaged: the rest of the server works';
    refused(push_one($srv), 'store-failed', 'damaged');
    is slurp($file), $bad, 'damaged: the file is left as it is';
    $srv->stop;
    spew($file, $good, 0600);
    spew("$file-wal", $wal, 0600) if length $wal;
    $srv->start;
    is push_one($srv)->status, 202, 'damaged: works again with the file as it was';
}

# ---- somebody holds the lock ----
{
    my $srv = server('locked', 'lock-timeout=1s')->start;
    # a second of patience is what this needs, and more than a second the dispatcher may have the lock now and then
    wait_for { push_one($srv)->status == 202 } 30, 'locked: accepted before';
    open my $fh, '+<', $srv->path('state', 'queue.db.lock') or die $!;
    my $lock = pack 's s x4 q q i x4', F_WRLCK, SEEK_SET, 0, 1, 0;
    wait_for { fcntl $fh, 37, $lock } 30, 'locked: the lock is ours'; # F_OFD_SETLK
    refused(push_one($srv), 'store-busy', 'locked');
    close $fh;
    wait_for { push_one($srv)->status == 202 } 30, 'locked: goes on when it is free';
}

# ---- not writable ----
SKIP: {
    skip 'root writes everywhere', 5 if $> == 0;
    my $srv = server('readonly', '')->start;
    is push_one($srv)->status, 202, 'readonly: accepted before';
    $srv->stop;
    chmod 0500, $srv->path('state');
    chmod 0400, glob $srv->path('state', 'queue.db*');
    $srv->start;
    refused(push_one($srv), 'store-failed', 'readonly');
    chmod 0600, glob $srv->path('state', 'queue.db*');
    chmod 0700, $srv->path('state');
    ok wait_for(sub { push_one($srv)->status == 202 }, 30), 'readonly: heals';
}

# ---- jobs of a handler that is no longer configured wait ----
{
    my $srv = server('orphaned', '');
    my $held = $where;
    $held =~ s/"file:[^"]*"/held/;
    $srv->write_conf(qq(<WebhookHandler held>\nWebhookSend pipe "/bin/false"\nWebhookRetry first=1h cap=1h within=1d\n</WebhookHandler>\n$held));
    $srv->start;
    my $id = push_one($srv)->json->{id};
    wait_for { ($srv->ctl_json('show', $id))[0]{jobs}[0]{attempts} == 1 } 30, 'orphaned: tried once';
    $srv->write_conf($where);
    $srv->graceful;
    $srv->ctl('replay', $id, '--handler', 'nowhere');
    wait_for { scalar $srv->error_log_lines(qr/held.*(?:not|no longer) configured/) } 90, 'orphaned: said once';
    is(($srv->ctl_json('show', $id))[0]{jobs}[0]{state}, 'retry', 'orphaned: the job waits');
    is push_one($srv)->status, 202, 'orphaned: the others go on';
    wait_for { delivered($srv) == 1 } 30, 'orphaned: and are delivered';
}
done_testing;
