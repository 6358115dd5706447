#!/usr/bin/env python3
"""Prints libmemcached.jsonl: what the installed libmemcached itself answers.

    apt-get install libmemcached11
    python3 libmemcached.py > libmemcached.jsonl

Lines {"hash", "keys", "values"}: the 32-bit hash of each key. Lines {"mode", "servers", "keys", "picks"}: the index of
the server that memcached_generate_hash() names for each key; servers are [host, port, weight]. `keys` says which list
of keys.py, and of what length.
"""

import ctypes
import json
import sys

import keys

LIBRARY = ctypes.CDLL("libmemcached.so.11")
LIBRARY.memcached_create.restype = ctypes.c_void_p
LIBRARY.memcached_free.argtypes = [ctypes.c_void_p]
LIBRARY.memcached_behavior_set.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_uint64]
LIBRARY.memcached_server_add_with_weight.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_uint16, ctypes.c_uint32]
LIBRARY.memcached_generate_hash.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t]
LIBRARY.memcached_generate_hash.restype = ctypes.c_uint32
LIBRARY.memcached_generate_hash_value.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int]
LIBRARY.memcached_generate_hash_value.restype = ctypes.c_uint32
LIBRARY.memcached_lib_version.restype = ctypes.c_char_p

# Numbers of the public enums memcached_behavior_t, memcached_hash_t and memcached_server_distribution_t.
HASH, KETAMA, DISTRIBUTION, KETAMA_WEIGHTED = 2, 3, 9, 16
KETAMA_SPY = 4
HASHES = {"one_at_a_time": 0, "md5": 1, "crc32": 2, "fnv1_64": 3, "fnv1a_64": 4, "fnv1_32": 5, "fnv1a_32": 6,
          "murmur": 8, "jenkins": 9, "murmur3": 10}  # 7, hsieh, is not compiled into Debian's build

EVEN = [["10.0.1.%d" % n, 11211, 1] for n in range(1, 6)]
PORTS = [["127.0.0.1", 11211 + n, 1] for n in range(8)]
MIXED = [["10.0.1.1", 11211, 1], ["10.0.1.2", 11311, 2], ["10.0.1.3", 11411, 5], ["cache-4.internal", 11211, 3],
         ["cache-5.internal", 21211, 7]]


def picks(behaviours, servers, key_list):
    memc = LIBRARY.memcached_create(None)
    for behaviour, value in behaviours:
        assert LIBRARY.memcached_behavior_set(memc, behaviour, value) == 0, (behaviour, value)
    for host, port, weight in servers:
        assert LIBRARY.memcached_server_add_with_weight(memc, host.encode(), port, weight) == 0
    answer = [LIBRARY.memcached_generate_hash(memc, key, len(key)) for key in key_list]
    LIBRARY.memcached_free(memc)
    return answer


def line(**fields):
    print(json.dumps(fields, separators=(",", ":")))


def main():
    print("libmemcached", LIBRARY.memcached_lib_version().decode(), file=sys.stderr)
    for name, number in HASHES.items():
        for list_name, key_list in [("user", keys.user(8)), ("utf8", keys.utf8(16)), ("lengths", keys.lengths())]:
            values = [LIBRARY.memcached_generate_hash_value(key, len(key), number) for key in key_list]
            line(hash=name, keys=list_name, values=values)
    modes = [("ketama", [(KETAMA_WEIGHTED, 1)])]
    for name, number in HASHES.items():
        modes.append(("modulo:" + name, [(HASH, number)]))
        modes.append(("ketama-libmemcached:" + name, [(KETAMA, 1), (HASH, number)]))
        modes.append(("ketama-spy:" + name, [(DISTRIBUTION, KETAMA_SPY), (HASH, number)]))
    for mode, behaviours in modes:
        for servers in [EVEN, PORTS, MIXED]:
            for list_name, key_list in [("user", keys.user(200)), ("utf8", keys.utf8(50))]:
                answer = picks(behaviours, servers, key_list)
                line(mode=mode, servers=servers, keys=list_name, picks=answer)


main()
