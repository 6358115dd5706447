#!/usr/bin/env python3
"""Prints jump.jsonl with the C++ of Lamping and Veach's paper, as packaged on PyPI.

    pip install jump-consistent-hash
    python3 jump_paper.py > jump.jsonl

Lines {"buckets", "keys", "picks"}: the bucket of each 64-bit key.
"""

import json

import jump as reference

KEYS = [(number * 0x9E3779B97F4A7C15 + 1) & 0xFFFFFFFFFFFFFFFF for number in range(200)] + list(range(56))

for buckets in [1, 2, 3, 4, 5, 8, 10, 16, 100, 1000, 65536, 2**31 - 1]:
    picks = [reference.c_hash(key, buckets) for key in KEYS]
    print(json.dumps({"buckets": buckets, "keys": KEYS, "picks": picks}, separators=(",", ":")))
