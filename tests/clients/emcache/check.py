"""emcache: asyncio, Cython; classic commands including gat and gats."""

import asyncio
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
from checks import Checks, address

import emcache


async def main():
    c = Checks("emcache")
    m = await emcache.create_client([emcache.MemcachedHostAddress(*address())], timeout=10.0)

    async def refused(call):
        try:
            await call
        except (emcache.NotStoredStorageCommandError, emcache.CommandError):
            return True
        return False

    await m.set(b"a", b"1")
    item = await m.get(b"a")
    c.that("set and get", item.value, b"1")
    c.that("get of a miss", await m.get(b"none-emcache"), None)
    c.that("add of an existing key", await refused(m.add(b"a", b"2")), True)
    await m.append(b"a", b"2")
    await m.prepend(b"a", b"0")
    item = await m.gets(b"a")
    c.that("gets", item.value, b"012")
    await m.cas(b"a", b"x", item.cas)
    c.that("cas with a stale unique", await refused(m.cas(b"a", b"y", item.cas)), True)
    many = await m.get_many([b"a", b"none-emcache"])
    c.that("get_many", {key: value.value for key, value in many.items()}, {b"a": b"x"})
    c.that("gat", (await m.gat(100, b"a")).value, b"x")
    c.that("gats", (await m.gats(100, b"a")).value, b"x")
    c.that("gats_many", list(await m.gats_many(100, [b"a", b"none-emcache"])), [b"a"])
    await m.set(b"n", b"5")
    c.that("increment", await m.increment(b"n", 5), 10)
    c.that("decrement", await m.decrement(b"n", 3), 7)
    await m.touch(b"a", 100)
    await m.set(b"q", b"1", noreply=True)
    await m.delete(b"a")
    c.that("get after delete", await m.get(b"a"), None)
    await m.close()
    c.finish()


asyncio.run(main())
