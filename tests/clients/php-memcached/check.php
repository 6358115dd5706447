<?php
// php-memcached (libmemcached): the text protocol, as a cache and as many PHP applications use it.
[, $host, $port] = $argv;
$held = 0;
$failed = [];
function that(string $claim, mixed $seen, mixed $expected): void
{
    global $held, $failed;
    if ($seen === $expected) {
        $held++;
    } else {
        $failed[] = "$claim: expected " . var_export($expected, true) . ', got ' . var_export($seen, true);
    }
}

$m = new Memcached();
$m->setOption(Memcached::OPT_BINARY_PROTOCOL, false);
$m->setOption(Memcached::OPT_RECV_TIMEOUT, 10_000_000);
$m->addServer($host, (int) $port);

that('flush', $m->flush(), true);
$versions = array_values($m->getVersion());
that('getVersion is three numbers', preg_match('/^1\.6\.\d+$/', $versions[0] ?? ''), 1);
that('set', $m->set('a', 'one'), true);
that('get', $m->get('a'), 'one');
that('get of a miss', [$m->get('none'), $m->getResultCode()], [false, Memcached::RES_NOTFOUND]);
that('add of an existing key', [$m->add('a', 'x'), $m->getResultCode()], [false, Memcached::RES_NOTSTORED]);
that('replace of a missing key', $m->replace('none', 'x'), false);
$m->setOption(Memcached::OPT_COMPRESSION, false);
that('append and prepend', [$m->append('a', '2'), $m->prepend('a', '0'), $m->get('a')], [true, true, '0one2']);
that('types by flags', [$m->set('i', 42), $m->get('i'), $m->set('f', 1.5), $m->get('f')], [true, 42, true, 1.5]);
that('types by flags, again', [$m->set('t', true), $m->get('t'), $m->set('r', ['x' => [1]]), $m->get('r')], [true, true, true, ['x' => [1]]]);
$many = [];
for ($n = 0; $n < 100; $n++) {
    $many["k$n"] = "v$n";
}
that('setMulti', $m->setMulti($many), true);
that('getMulti', $m->getMulti(array_merge(array_keys($many), ['none'])), $many);
that('deleteMulti', array_unique($m->deleteMulti(array_keys($many))), ['k0' => true]);
that('getMulti after deleteMulti', $m->getMulti(['k1', 'k2']), []);
$got = $m->get('a', null, Memcached::GET_EXTENDED);
that('cas', $m->cas($got['cas'], 'a', 'cas'), true);
that('cas with a stale unique', [$m->cas($got['cas'], 'a', 'late'), $m->getResultCode()], [false, Memcached::RES_DATA_EXISTS]);
that('increment', [$m->set('n', 5), $m->increment('n', 3), $m->decrement('n', 100)], [true, 8, 0]);
that('increment of a missing key', $m->increment('nothing'), false);
that('touch', [$m->touch('a', 100), $m->touch('none', 100)], [true, false]);
that('delete', [$m->delete('a'), $m->delete('a')], [true, false]);
that('a value that is too large', [$m->set('big', random_bytes(1 << 20)), $m->getResultCode()], [false, Memcached::RES_E2BIG]);
that('the client goes on after it', $m->get('n'), 0);
$blob = random_bytes(300_000);
that('300,000 random bytes', [$m->set('blob', $blob), $m->get('blob') === $blob], [true, true]);
$stats = array_values($m->getStats());
that('getStats', isset($stats[0]['cmd_get'], $stats[0]['curr_items'], $stats[0]['limit_maxbytes']), true);

// Fetching as replies come in, as iterators do.
$m->setMulti(['x' => '1', 'y' => '2']);
that('getDelayed', $m->getDelayed(['x', 'y', 'z'], true), true);
$seen = [];
while ($row = $m->fetch()) {
    $seen[$row['key']] = $row['value'];
}
ksort($seen);
that('fetch', $seen, ['x' => '1', 'y' => '2']);

// A lock as the session handler takes it, and Laravel's options.
that('a lock by add', [$m->add('lock.abc', '1', 30), $m->add('lock.abc', '1', 30), $m->delete('lock.abc')], [true, false, true]);
$k = new Memcached();
$k->setOptions([
    Memcached::OPT_LIBKETAMA_COMPATIBLE => true,
    Memcached::OPT_NO_BLOCK => true,
    Memcached::OPT_TCP_NODELAY => true,
    Memcached::OPT_PREFIX_KEY => 'app:',
]);
$k->addServer($host, (int) $port);
that('ketama, prefix, no block', [$k->set('k', 'v'), $k->get('k'), $m->get('app:k')], [true, 'v', 'v']);
$b = new Memcached();
$b->setOption(Memcached::OPT_BUFFER_WRITES, true);
$b->addServer($host, (int) $port);
for ($n = 0; $n < 100; $n++) {
    $b->set('buffered', (string) $n);
}
that('buffered writes', $b->get('buffered'), '99');
that('quit', $m->quit(), true);

foreach ($failed as $failure) {
    echo "php-memcached: $failure\n";
}
echo "php-memcached: $held held, " . count($failed) . " failed\n";
exit($failed || !$held ? 1 : 0);
