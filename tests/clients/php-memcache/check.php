<?php
// pecl memcache: its own client, WordPress's choice; text protocol.
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

$m = new Memcache();
that('connect', $m->connect($host, (int) $port, 10), true);
that('getVersion is three numbers', preg_match('/^1\.6\.\d+/', (string) $m->getVersion()), 1);
that('set', $m->set('wp:a', 'one', 0, 60), true);
that('get', $m->get('wp:a'), 'one');
that('get of a miss', $m->get('none'), false);
that('add of an existing key', $m->add('wp:a', 'x'), false);
that('replace', $m->replace('wp:a', 'two'), true);
that('many', [$m->set('wp:b', ['x' => 1]), $m->get(['wp:a', 'none', 'wp:b'])], [true, ['wp:a' => 'two', 'wp:b' => ['x' => 1]]]);
that('compressed', [$m->set('wp:z', str_repeat('x', 50_000), MEMCACHE_COMPRESSED), $m->get('wp:z')], [true, str_repeat('x', 50_000)]);
that('increment', [$m->set('wp:n', '5'), $m->increment('wp:n', 3), $m->decrement('wp:n')], [true, 8, 7]);
that('delete', [$m->delete('wp:a'), $m->delete('wp:a')], [true, false]);
$stats = $m->getStats();
that('getStats', isset($stats['cmd_get'], $stats['version']), true);
that('flush', [$m->flush(), $m->get('wp:b')], [true, false]);
that('close', $m->close(), true);

foreach ($failed as $failure) {
    echo "php-memcache: $failure\n";
}
echo "php-memcache: $held held, " . count($failed) . " failed\n";
exit($failed || !$held ? 1 : 0);
