'use strict';
// What the Node scripts share: count claims, say which one failed, set the exit code.
const { isDeepStrictEqual, inspect } = require('util');

module.exports = (client) => {
  let held = 0;
  let failed = 0;
  return {
    that(claim, seen, expected) {
      if (isDeepStrictEqual(seen, expected)) held += 1;
      else {
        failed += 1;
        console.log(`${client}: ${claim}: expected ${inspect(expected)}, got ${inspect(seen)}`);
      }
    },
    finish() {
      console.log(`${client}: ${held} held, ${failed} failed`);
      process.exit(failed || !held ? 1 : 0);
    },
  };
};
