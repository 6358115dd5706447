"""pymemcache: Django's client. noreply is its default; any unexpected word closes its socket."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
from checks import Checks, address

from pymemcache import serde
from pymemcache.client.base import Client, PooledClient
from pymemcache.client.hash import HashClient
from pymemcache.exceptions import MemcacheClientError, MemcacheServerError

c = Checks("pymemcache")
m = Client(address(), default_noreply=False, timeout=10, connect_timeout=10)

c.that("flush_all", m.flush_all(), True)
c.that("version", m.version().split(b" ")[0].count(b"."), 2)
c.that("set", m.set("a", "1"), True)
c.that("get", m.get("a"), b"1")
c.that("get of a miss", m.get("none"), None)
c.that("add of an existing key", m.add("a", "2"), False)
c.that("add", m.add("b", "2"), True)
c.that("replace of a missing key", m.replace("none", "2"), False)
c.that("replace", m.replace("b", "3"), True)
c.that("append", m.append("b", "4"), True)
c.that("prepend", m.prepend("b", "2"), True)
c.that("get after append and prepend", m.get("b"), b"234")
c.that("get_many", m.get_many(["a", "none", "b"]), {"a": b"1", "b": b"234"})
c.that("set_many", m.set_many({f"k{n}": str(n) for n in range(100)}), [])
c.that("get_many of 100", m.get_many([f"k{n}" for n in range(100)]), {f"k{n}": str(n).encode() for n in range(100)})
c.that("delete_many", m.delete_many([f"k{n}" for n in range(100)]), True)
c.that("get_many after delete_many", m.get_many([f"k{n}" for n in range(100)]), {})

value, unique = m.gets("a")
c.that("gets", value, b"1")
c.that("cas", m.cas("a", "2", unique), True)
c.that("cas with a stale unique", m.cas("a", "3", unique), False)
c.that("cas of a missing key", m.cas("none", "3", unique), None)
c.that("gets_many", sorted(m.gets_many(["a", "b"])), ["a", "b"])

c.that("incr", m.incr("a", 5), 7)
c.that("decr below zero", m.decr("a", 100), 0)
c.that("incr of a missing key", m.incr("none", 1), None)
c.raises("incr of a word", MemcacheClientError, lambda: (m.set("w", "word"), m.incr("w", 1)))
c.that("the client goes on after an error", m.get("w"), b"word")
c.that("touch", m.touch("a", 100), True)
c.that("touch of a missing key", m.touch("none", 100), False)
c.that("delete", m.delete("a"), True)
c.that("delete of a missing key", m.delete("a"), False)
c.that("set that is already expired", (m.set("e", "1", expire=-1), m.get("e")), (True, None))

blob = bytes(range(256)) * 2000
c.that("set of 512,000 bytes of every value", m.set("blob", blob), True)
c.that("get of 512,000 bytes", m.get("blob"), blob)
c.that("an empty value", (m.set("empty", b""), m.get("empty")), (True, b""))
c.that("a key of 250 bytes", (m.set("k" * 250, "x"), m.get("k" * 250)), (True, b"x"))
c.raises("a value that is too large", MemcacheServerError, m.set, "big", b"x" * (1 << 20))
c.that("the client goes on after a value that is too large", m.get("empty"), b"")

stats = m.stats()
c.that("stats has cmd_get as a number", isinstance(stats.get(b"cmd_get"), int), True)

# noreply, the default of plain users: silent, pipelined into the next request's segment, in order.
n = Client(address(), timeout=10)
for round_ in range(200):
    n.set("counter", str(round_))
    n.delete("gone")
    n.add("counter", "x")
    n.append("counter", "!")
c.that("noreply set, delete, add, append", n.get("counter"), b"199!")
n.set("n", "1")
n.incr("n", 1, noreply=True)
n.touch("n", 100)
c.that("noreply incr and touch", n.get("n"), b"2")
n.set_many({"x": "1", "y": "2"})
c.that("noreply set_many", n.get_many(["x", "y"]), {"x": b"1", "y": b"2"})
n.flush_all()
c.that("noreply flush_all", n.get("x"), None)

# Objects with flags, as Django stores them.
o = PooledClient(address(), serde=serde.pickle_serde, default_noreply=False, allow_unicode_keys=True, max_pool_size=3)
c.that("a pickled object", (o.set("obj", {"a": [1, 2.5, None]}), o.get("obj")), (True, {"a": [1, 2.5, None]}))
c.that("an int keeps its type by flags", (o.set("int", 42), o.get("int")), (True, 42))
c.that("a key that is not ASCII", (o.set("schlüssel-ключ", "wert"), o.get("schlüssel-ключ")), (True, "wert"))

h = HashClient([address()], default_noreply=False, timeout=10)
c.that("HashClient", (h.set("h", "1"), h.get("h"), h.get_many(["h", "i"])), (True, b"1", {"h": b"1"}))
c.that("quit", m.quit(), None)
c.finish()
