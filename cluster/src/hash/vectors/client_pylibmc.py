#!/usr/bin/env python3
"""Prints client-pylibmc.jsonl: which server pylibmc, configured as its users configure it, really asks for each key.

    pip install pylibmc
    python3 client_pylibmc.py > client-pylibmc.jsonl

Format as twemproxy.jsonl, whose loopback listeners this borrows.
"""

import json
import threading

import pylibmc

import keys
import twemproxy

BEHAVIOURS = [
    ("modulo", {}),
    ("modulo:crc32", {"hash": "crc"}),
    ("ketama-libmemcached", {"ketama": True}),
    ("ketama-libmemcached", {"distribution": "consistent"}),
    ("ketama-libmemcached:md5", {"ketama": True, "hash": "md5"}),
    ("ketama", {"ketama_weighted": True}),
]


def main():
    for index, address in enumerate(twemproxy.HOSTS):
        listener = twemproxy.Listener(address, twemproxy.Backend)
        listener.index = index
        threading.Thread(target=listener.serve_forever, daemon=True).start()
    names = ["%s:%d" % address for address in twemproxy.HOSTS]
    for hash_name, behaviours in BEHAVIOURS:
        client = pylibmc.Client(names, behaviors=behaviours)
        twemproxy.seen.clear()
        for key in keys.user(200):
            client.get(key.decode())
        line = {"hash": hash_name, "servers": [[name, 1] for name in names], "keys": "user",
                "picks": list(twemproxy.seen)}
        assert len(line["picks"]) == 200
        print(json.dumps(line, separators=(",", ":")))


main()
