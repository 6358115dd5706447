#!/usr/bin/env python3
"""Prints hearth.jsonl: the placements that are Hearth's own, by an implementation that shares no line with the Rust.

    pip install xxhash
    python3 hearth.py > hearth.jsonl

These freeze `rendezvous`, `ring` and the key hash under `jump`: an upgrade that changes one line would send keys to
servers that do not have them. Lines {"hash", "servers", "keys", "picks"}, servers as [name, weight].
"""

import bisect
import json
import math

import xxhash

import keys

MASK = (1 << 64) - 1


def mix(x):
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


def rendezvous(servers):
    seeds = [xxhash.xxh3_64_intdigest(name.encode()) for name, _ in servers]

    def owner(key):
        hashed = xxhash.xxh3_64_intdigest(key)
        times = []
        for index, (seed, (_, weight)) in enumerate(zip(seeds, servers)):
            draw = mix(hashed ^ seed)
            if weight > 0:
                times.append((-math.log(((draw >> 12) + 0.5) / 2**52) / weight, -draw, index))
        return min(times)[2]

    return owner


def ring(points_of_one):
    def build(servers):
        points = []
        for index, (name, weight) in enumerate(servers):
            state = xxhash.xxh3_64_intdigest(name.encode())
            count = max(1, math.floor(weight * points_of_one + 0.5)) if weight > 0 else 0
            for _ in range(count):
                state = (state + 0x9E3779B97F4A7C15) & MASK
                points.append((mix(state), index))
        points.sort()
        positions = [position for position, _ in points]

        def owner(key):
            at = bisect.bisect_left(positions, xxhash.xxh3_64_intdigest(key))
            return points[at % len(points)][1]

        return owner

    return build


def jump(servers):
    def owner(key):
        key = xxhash.xxh3_64_intdigest(key)
        bucket, following = -1, 0
        while following < len(servers):
            bucket = following
            key = (key * 2862933555777941757 + 1) & MASK
            following = int((bucket + 1) * ((1 << 31) / ((key >> 33) + 1)))
        return bucket

    return owner


def even(count):
    return [["n%d" % n, 1] for n in range(1, count + 1)]


ADDRESSES = [["10.0.0.%d:11211" % n, 1] for n in range(1, 9)]
WEIGHTED = [["big", 4], ["half", 0.5], ["drained", 0], ["one", 1], ["third", 0.3], ["heavy", 1024]]

for hash_name, build in [("rendezvous", rendezvous), ("ring", ring(160)), ("ring:40", ring(40)), ("jump", jump)]:
    for servers in [even(1), even(2), even(4), even(5), even(16), ADDRESSES, WEIGHTED]:
        owner = build(servers)
        for list_name, key_list in [("user", keys.user(200)), ("utf8", keys.utf8(50)), ("lengths", keys.lengths())]:
            line = {"hash": hash_name, "servers": servers, "keys": list_name, "picks": [owner(key) for key in key_list]}
            print(json.dumps(line, separators=(",", ":")))
