'use strict';
// npm memcache: a young client of the text protocol.
const { Memcache } = require('memcache');
const checks = require('../checks.js')('npm-memcache');

const [, , host, port] = process.argv;

(async () => {
  const m = new Memcache({ nodes: [`${host}:${port}`], timeout: 10000 });
  checks.that('set', await m.set('a', 'one', 60), true);
  checks.that('get', await m.get('a'), 'one');
  checks.that('get of a miss', await m.get('none'), undefined);
  checks.that('add of an existing key', await m.add('a', 'x'), false);
  checks.that('replace', await m.replace('a', 'two'), true);
  checks.that('append', await m.append('a', '3'), true);
  checks.that('prepend', await m.prepend('a', '1'), true);
  const many = await m.gets(['a', 'none']);
  checks.that('many', [...many.entries()], [['a', '1two3']]);
  checks.that('incr and decr', [await m.set('n', '5'), await m.incr('n', 3), await m.decr('n', 1)], [true, 8, 7]);
  checks.that('touch', await m.touch('a', 100), true);
  checks.that('delete', [await m.delete('a'), await m.delete('a')], [true, false]);
  const versions = await m.version();
  checks.that('version', [...versions.values()].every((version) => /^(VERSION )?1\.6\.\d+/.test(version)), true);
  const stats = await m.stats();
  checks.that('stats', [...stats.values()].every((stat) => 'cmd_get' in stat), true);
  checks.that('flush', await m.flush(), true);
  checks.that('get after flush', await m.get('n'), undefined);
  await m.quit();
  checks.finish();
})();
