"""meta-memcache: only meta commands; base64 keys, flags in every order, leases and stale values."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
from checks import Checks, address

from meta_memcache import (
    CacheClient,
    Key,
    LeasePolicy,
    RecachePolicy,
    ServerAddress,
    SetMode,
    StalePolicy,
    connection_pool_factory_builder,
)

c = Checks("meta-memcache")
host, port = address()
m = CacheClient.cache_client_from_servers(
    servers=[ServerAddress(host, port)],
    connection_pool_factory_fn=connection_pool_factory_builder(recv_timeout=10),
)

c.that("set", m.set(key=Key("a"), value="1", ttl=100), True)
c.that("get", m.get(key=Key("a")), "1")
c.that("get of a miss", m.get(key=Key("none")), None)
c.that("an object by flags", (m.set(key=Key("o"), value={"x": [1]}, ttl=100), m.get(key=Key("o"))), (True, {"x": [1]}))
c.that("bytes", (m.set(key=Key("y"), value=b"\x00\r\n", ttl=100), m.get(key=Key("y"))), (True, b"\x00\r\n"))
c.that("add mode", m.set(key=Key("a"), value="2", ttl=100, set_mode=SetMode.ADD), False)
c.that("replace mode", m.set(key=Key("none"), value="2", ttl=100, set_mode=SetMode.REPLACE), False)
c.that("append mode", m.set(key=Key("a"), value="2", ttl=100, set_mode=SetMode.APPEND), True)
c.that("prepend mode", m.set(key=Key("a"), value="0", ttl=100, set_mode=SetMode.PREPEND), True)
c.that("get after append and prepend", m.get(key=Key("a")), "012")

value, token = m.get_cas(key=Key("a"))
c.that("get_cas", value, "012")
# This client reads a cas unique into 32 bits and drops a larger one, and with it the condition.
c.that("the cas token fits this client", isinstance(token, int), True)
c.that("set with a cas token", m.set(key=Key("a"), value="3", ttl=100, cas_token=token), True)
c.that("set with a stale cas token", m.set(key=Key("a"), value="4", ttl=100, cas_token=token), False)

keys = [Key(f"k{n}") for n in range(50)]
for n, key in enumerate(keys):
    m.set(key=key, value=n, ttl=100)
got = m.multi_get(keys=keys + [Key("none")])
c.that("multi_get", [got[key] for key in keys] + [got[Key("none")]], list(range(50)) + [None])
c.that("a key that is not ASCII, in base64", (m.set(key=Key("schlüssel"), value="w", ttl=100), m.get(key=Key("schlüssel"))), (True, "w"))
c.that("a key longer than a key", (m.set(key=Key("k" * 400), value="w", ttl=100), m.get(key=Key("k" * 400))), (True, "w"))
c.that("touch", m.touch(key=Key("a"), ttl=100), True)
c.that("touch of a missing key", m.touch(key=Key("none"), ttl=100), False)
c.that("get and touch", m.get(key=Key("a"), touch_ttl=200), "3")
c.that("delta that makes", m.delta_initialize(key=Key("n"), delta=1, initial_value=10, initial_ttl=100), True)
c.that("delta", m.delta(key=Key("n"), delta=5), True)
c.that("delta and get", m.delta_and_get(key=Key("n"), delta=-3), 12)
c.that("delta of a missing key", m.delta_and_get(key=Key("none"), delta=1), None)
c.that("delete", m.delete(key=Key("a")), True)
c.that("delete of a missing key", m.delete(key=Key("a")), False)
c.that("get after delete", m.get(key=Key("a")), None)

policy = LeasePolicy(ttl=30, miss_retries=1, miss_retry_wait=0.01)
lease = m.get_or_lease_cas(key=Key("leased"), lease_policy=policy)[1]
c.that("the first reader of a miss gets the lease", lease is not None, True)
c.that("the winner fills", (m.set(key=Key("leased"), value="filled", ttl=100), m.get(key=Key("leased"))), (True, "filled"))
c.that("invalidate", m.invalidate(key=Key("leased"), stale_policy=StalePolicy(mark_stale_on_deletion_ttl=30)), True)
recache = RecachePolicy(ttl=30)
c.that("the first reader after it recaches", m.get(key=Key("leased"), recache_policy=recache), None)
c.that("the next readers are served stale", m.get(key=Key("leased"), recache_policy=recache), "filled")
c.finish()
