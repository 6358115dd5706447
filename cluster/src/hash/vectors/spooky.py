#!/usr/bin/env python3
"""Prints spooky.jsonl with Bob Jenkins' own C++ of SpookyHash V2, as packaged on PyPI.

    pip install spookyhash
    python3 spooky.py > spooky.jsonl

Lines {"seed", "keys", "values"}: the 32-bit hash of each key of the named list of keys.py.
"""

import json

import spookyhash

import keys

for seed in [0, 1, 0xFACE2014, 0xFFFFFFFF]:
    values = [spookyhash.hash32(key, seed) for key in keys.lengths()]
    print(json.dumps({"seed": seed, "keys": "lengths", "values": values}, separators=(",", ":")))
