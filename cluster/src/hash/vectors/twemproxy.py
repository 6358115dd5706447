#!/usr/bin/env python3
"""Prints twemproxy.jsonl: which server the installed nutcracker really sends each key to.

    apt-get install nutcracker
    python3 twemproxy.py > twemproxy.jsonl

Starts nutcracker on loopback with one pool per line below and a listener of ours for every server. The listeners answer
every get with a miss and note the key. Lines {"hash", "servers", "keys", "picks"}: `hash` as Hearth names the scheme,
servers as [name, weight] with the name twemproxy places by, `keys` a list of keys.py.
"""

import json
import os
import signal
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
import time

import keys

HASHES = ["one_at_a_time", "md5", "crc16", "crc32", "crc32a", "fnv1_64", "fnv1a_64", "fnv1_32", "fnv1a_32", "hsieh",
          "murmur", "jenkins"]
# Addresses are written into point names, so they are fixed; an unusual corner of 127/8 keeps them free.
HOSTS = [("127.83.11.%d" % n, 11211) for n in range(1, 4)] + [("127.83.11.%d" % n, 21000 + n) for n in range(4, 8)]
PROXY_HOST, PROXY_PORT, STATS_PORT = "127.83.12.1", 23000, 22999

# (label of the servers, weight and given name of each): a server without a name is placed by its address.
EVEN = [(1, None)] * 7
WEIGHTED = [(1, None), (2, None), (5, None), (3, None), (1, None), (7, None), (4, None)]
NAMED = [(1, "alpha"), (1, "beta"), (1, "gamma"), (1, "delta"), (1, "epsilon"), (1, "zeta"), (1, "eta")]
NAMED_WEIGHTED = [(weight, name) for (weight, _), (_, name) in zip(WEIGHTED, NAMED)]
NAMED_FOUR = NAMED[:4]

seen = []  # indices of the servers that were asked, in order


class Backend(socketserver.StreamRequestHandler):
    def handle(self):
        for command in self.rfile:
            if command == b"quit\r\n":
                return
            assert command.startswith(b"get "), command
            seen.append(self.server.index)
            self.wfile.write(b"END\r\n")


class Listener(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


def pools():
    for distribution, scheme in [("ketama", "ketama-twemproxy"), ("modula", "modulo-twemproxy")]:
        for hash_name in HASHES:
            for servers in [EVEN, WEIGHTED]:
                yield distribution, hash_name, "%s:%s" % (scheme, hash_name), servers
        for servers in [NAMED, NAMED_WEIGHTED, NAMED_FOUR]:
            yield distribution, "fnv1a_64", scheme, servers


def config():
    text = []
    for number, (distribution, hash_name, _, servers) in enumerate(pools()):
        text += ["pool%d:" % number, "  listen: %s:%d" % (PROXY_HOST, PROXY_PORT + number), "  hash: " + hash_name,
                 "  distribution: " + distribution, "  auto_eject_hosts: false", "  timeout: 5000", "  servers:"]
        for (host, port), (weight, name) in zip(HOSTS, servers):
            text.append("   - %s:%d:%d%s" % (host, port, weight, " " + name if name else ""))
    return "\n".join(text) + "\n"


def connect(address, deadline=10.0):
    """Nutcracker listens a moment after it starts."""
    end = time.monotonic() + deadline
    while True:
        try:
            return socket.create_connection(address)
        except ConnectionRefusedError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


def ask(number, key_list):
    """The server each key went to. One key at a time, so that what is seen next is the answer."""
    seen.clear()
    with connect((PROXY_HOST, PROXY_PORT + number)) as client:
        replies = client.makefile("rb")
        for count, key in enumerate(key_list, start=1):
            client.sendall(b"get " + key + b"\r\n")
            assert replies.readline() == b"END\r\n"
            assert len(seen) == count
    return list(seen)


def main():
    for index, address in enumerate(HOSTS):
        listener = Listener(address, Backend)
        listener.index = index
        threading.Thread(target=listener.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "nutcracker.yml")
        with open(path, "w") as file:
            file.write(config())
        proxy = subprocess.Popen(["nutcracker", "-c", path, "-a", "127.0.0.1", "-s", str(STATS_PORT), "-p",
                                  os.path.join(folder, "pid")], stderr=subprocess.DEVNULL)
        try:
            for number, (_, _, scheme, servers) in enumerate(pools()):
                placed_by = [[name or "%s:%d" % address, weight] for address, (weight, name) in zip(HOSTS, servers)]
                for list_name, key_list in [("user", keys.user(200)), ("utf8", keys.utf8(50))]:
                    line = {"hash": scheme, "servers": placed_by, "keys": list_name, "picks": ask(number, key_list)}
                    print(json.dumps(line, separators=(",", ":")))
        finally:
            proxy.send_signal(signal.SIGTERM)
            proxy.wait()


if __name__ == "__main__":
    sys.exit(main())
