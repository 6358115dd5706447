"""pylibmc: libmemcached underneath; with and without cas, and with its quiet behaviours."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
from checks import Checks, address

import pylibmc

c = Checks("pylibmc")
host, port = address()
server = [f"{host}:{port}"]
m = pylibmc.Client(server, behaviors={"tcp_nodelay": True, "cas": True, "receive_timeout": 10_000_000})

c.that("flush_all", m.flush_all(), True)
c.that("set", m.set("a", "1"), True)
c.that("get", m.get("a"), "1")
c.that("get of a miss", m.get("none"), None)
c.that("add of an existing key", m.add("a", "2"), False)
c.that("add", m.add("b", "2"), True)
c.that("replace of a missing key", m.replace("none", "2"), False)
c.that("append", m.append("b", "3"), True)
c.that("prepend", m.prepend("b", "1"), True)
c.that("get after append and prepend", m.get("b"), "123")
c.that("set_multi", m.set_multi({f"k{n}": n for n in range(100)}), [])
c.that("get_multi", m.get_multi([f"k{n}" for n in range(100)] + ["none"]), {f"k{n}": n for n in range(100)})
c.that("delete_multi", m.delete_multi([f"k{n}" for n in range(100)]), True)
c.that("get_multi after delete_multi", m.get_multi(["k1", "k2"]), {})

value, unique = m.gets("a")
c.that("gets", value, "1")
c.that("cas", m.cas("a", "2", unique), True)
c.that("cas with a stale unique", m.cas("a", "3", unique), False)
c.raises("cas of a missing key", pylibmc.NotFound, m.cas, "none", "3", unique)

c.that("an int, incremented", (m.set("n", 7), m.incr("n"), m.incr("n", 10), m.decr("n", 3)), (True, 8, 18, 15))
c.raises("incr of a missing key", pylibmc.NotFound, m.incr, "none")
c.that("touch", m.touch("a", 100), True)
c.that("touch of a missing key", m.touch("none", 100), False)
c.that("delete", m.delete("a"), True)
c.that("delete of a missing key", m.delete("a"), False)
c.that("an object by pickle and flags", (m.set("o", {"x": [1, 2]}), m.get("o")), (True, {"x": [1, 2]}))
c.that("bytes of every value", (m.set("blob", bytes(range(256)) * 1000), m.get("blob")), (True, bytes(range(256)) * 1000))
c.that("compressed", (m.set("z", "x" * 100_000, min_compress_len=1000), m.get("z")), (True, "x" * 100_000))
c.that("an empty value", (m.set("empty", b""), m.get("empty")), (True, b""))
# libmemcached gives "object too large" a name of its own, from the exact words of the server.
c.raises("a value that is too large", pylibmc.Error, m.set, "big", bytes(1 << 20), 0, 0)
c.that("the client goes on after it", m.get("empty"), b"")
stats = m.get_stats()
c.that("stats of one server", len(stats), 1)
c.that("stats names", {b"cmd_get", b"version"} <= {k if isinstance(k, bytes) else k.encode() for k in stats[0][1]}, True)

# Ketama and the other text behaviours ask `version` when they connect.
k = pylibmc.Client(server, behaviors={"ketama": True, "remove_failed": 1, "retry_timeout": 1, "dead_timeout": 60})
c.that("ketama", (k.set("k", "v"), k.get("k"), k.get_multi(["k"])), (True, "v", {"k": "v"}))
b = pylibmc.Client(server, behaviors={"no_block": True, "buffer_requests": False, "verify_keys": True})
c.that("no_block", (b.set("k", "w"), b.get("k")), (True, "w"))
r = pylibmc.Client(server, behaviors={"noreply": True} if "noreply" in pylibmc.all_behaviors else {})
for n in range(200):
    r.set("r", str(n))
c.that("noreply sets", r.get("r"), "199")
m.disconnect_all()
c.that("connects again", m.get("b"), "123")
c.finish()
