'use strict';
// npm memcached: classic commands; reads `version` with a strict pattern and dereferences the match unguarded.
const Memcached = require('memcached');
const checks = require('../checks.js')('npm-memcached');

const [, , host, port] = process.argv;
const m = new Memcached(`${host}:${port}`, { timeout: 10000, retries: 0 });
const call = (name, ...args) => new Promise((done) => m[name](...args, (error, data) => done(error ? `${error}` : data)));

(async () => {
  checks.that('flush', await call('flush'), [true]);
  const version = (await call('version'))[0] || {};
  checks.that('version is three numbers', [version.major, version.minor], ['1', '6']);
  checks.that('set', await call('set', 'a', 'one', 60), true);
  checks.that('get', await call('get', 'a'), 'one');
  checks.that('get of a miss', await call('get', 'none'), undefined);
  checks.that('add of an existing key', await call('add', 'a', 'x', 60), 'Error: Item is not stored');
  checks.that('replace', await call('replace', 'a', 'two', 60), true);
  checks.that('append', await call('append', 'a', '3'), true);
  checks.that('prepend', await call('prepend', 'a', '1'), true);
  checks.that('get after append and prepend', await call('get', 'a'), '1two3');
  checks.that('an object by flags', [await call('set', 'o', { x: [1] }, 60), await call('get', 'o')], [true, { x: [1] }]);
  checks.that('a buffer', [await call('set', 'b', Buffer.from([0, 13, 10, 255]), 60), (await call('get', 'b')).toString('hex')], [true, '000d0aff']);
  const keys = [];
  for (let n = 0; n < 100; n += 1) keys.push(`k${n}`);
  checks.that('a hundred sets at once', (await Promise.all(keys.map((key) => call('set', key, key, 60)))).every((stored) => stored === true), true);
  const many = await call('getMulti', [...keys, 'none']);
  checks.that('getMulti', Object.keys(many).length, 100);
  checks.that('getMulti values', keys.every((key) => many[key] === key), true);
  const got = await call('gets', 'a');
  checks.that('cas', await call('cas', 'a', 'cas', got.cas, 60), true);
  checks.that('cas with a stale unique', await call('cas', 'a', 'late', got.cas, 60), false);
  checks.that('incr', [await call('set', 'n', 5, 60), await call('incr', 'n', 3), await call('decr', 'n', 1)], [true, 8, 7]);
  checks.that('incr of a missing key', await call('incr', 'nothing', 1), false);
  checks.that('touch', await call('touch', 'a', 100), true);
  checks.that('delete', [await call('del', 'a'), await call('del', 'a')], [true, false]);
  const stats = (await call('stats'))[0] || {};
  checks.that('stats', typeof stats.cmd_get, 'number');
  checks.that('500,000 characters', [await call('set', 'blob', 'x'.repeat(500000), 60), (await call('get', 'blob')).length], [true, 500000]);
  m.end();
  checks.finish();
})();
