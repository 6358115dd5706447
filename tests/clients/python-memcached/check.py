"""python-memcached: sends a blank before each line end and pipelines set_multi."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
from checks import Checks, address

import memcache

c = Checks("python-memcached")
host, port = address()
m = memcache.Client([f"{host}:{port}"], cache_cas=True, socket_timeout=10)

m.flush_all()
c.that("set", m.set("a", "1"), True)
c.that("get", m.get("a"), "1")
c.that("get of a miss", m.get("none"), None)
c.that("set with time", m.set("t", "1", time=60), True)
c.that("add of an existing key", m.add("a", "2"), False)
c.that("add", m.add("b", "2"), True)
c.that("replace of a missing key", m.replace("none", "2"), False)
c.that("append", m.append("b", "3"), True)
c.that("prepend", m.prepend("b", "1"), True)
c.that("get after append and prepend", m.get("b"), "123")
c.that("set_multi", m.set_multi({f"k{n}": n for n in range(100)}), [])
c.that("get_multi", m.get_multi([f"k{n}" for n in range(100)] + ["none"]), {f"k{n}": n for n in range(100)})
c.that("delete_multi", m.delete_multi(["k1", "k2"]), 1)
c.that("get_multi after delete_multi", m.get_multi(["k1", "k2", "k3"]), {"k3": 3})
c.that("gets then cas", (m.gets("a"), m.cas("a", "2"), m.get("a")), ("1", True, "2"))
m.gets("a")
memcache.Client([f"{host}:{port}"]).set("a", "other")
c.that("cas with a stale unique", m.cas("a", "3"), False)
c.that("incr and decr", (m.set("n", 5), m.incr("n", 2), m.decr("n")), (True, 7, 6))
c.that("incr of a missing key", m.incr("none"), None)
c.that("touch", m.touch("a", 100), 1)
c.that("delete", m.delete("a"), 1)
c.that("delete of a missing key", m.delete("a"), 0)
c.that("an object", (m.set("o", {"x": (1, 2)}), m.get("o")), (True, {"x": (1, 2)}))
c.that("100,000 bytes", (m.set("blob", b"\r\n" * 50_000), m.get("blob")), (True, b"\r\n" * 50_000))
stats = m.get_stats()
c.that("stats", len(stats) == 1 and "cmd_get" in stats[0][1], True)
m.disconnect_all()
c.that("connects again", m.get("b"), "123")
c.finish()
