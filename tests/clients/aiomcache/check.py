"""aiomcache: asyncio, two pooled connections used in turn, `stats` with a trailing blank."""

import asyncio
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
from checks import Checks, address

import aiomcache


async def main():
    c = Checks("aiomcache")
    m = aiomcache.Client(*address(), pool_size=2)
    c.that("flush_all", await m.flush_all(), None)
    c.that("version", (await m.version()).split(b" ")[0].count(b"."), 2)
    c.that("set", await m.set(b"a", b"1"), True)
    c.that("get", await m.get(b"a"), b"1")
    c.that("get of a miss", await m.get(b"none"), None)
    c.that("get of a miss with a default", await m.get(b"none", b"d"), b"d")
    c.that("add of an existing key", await m.add(b"a", b"2"), False)
    c.that("replace", await m.replace(b"a", b"2"), True)
    c.that("append and prepend", (await m.append(b"a", b"3"), await m.prepend(b"a", b"1")), (True, True))
    c.that("multi_get", await m.multi_get(b"a", b"none", b"a2"), (b"123", None, None))
    value, unique = await m.gets(b"a")
    c.that("gets", value, b"123")
    c.that("cas", await m.cas(b"a", b"4", unique), True)
    c.that("cas with a stale unique", await m.cas(b"a", b"5", unique), False)
    c.that("incr and decr", (await m.set(b"n", b"5"), await m.incr(b"n", 2), await m.decr(b"n", 1)), (True, 7, 6))
    try:
        c.that("incr of a missing key", await m.incr(b"none"), "NOT_FOUND")
    except aiomcache.ClientException as error:
        c.that("incr of a missing key", "NOT_FOUND" in str(error), True)
    c.that("touch", await m.touch(b"a", 100), True)
    c.that("delete", (await m.delete(b"a"), await m.delete(b"a")), (True, False))
    stats = await m.stats()
    c.that("stats", b"cmd_get" in stats, True)
    both = await asyncio.gather(*(m.set(b"p%d" % n, b"%d" % n) for n in range(100)))
    c.that("a hundred sets at once", all(both), True)
    got = await asyncio.gather(*(m.get(b"p%d" % n) for n in range(100)))
    c.that("a hundred gets at once", got, [b"%d" % n for n in range(100)])
    await m.close()
    c.finish()


asyncio.run(main())
