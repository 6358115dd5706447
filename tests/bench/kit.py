"""What the bench scripts share: servers on free ports of loopback, one core each, and `loadtest bench` between them."""

import atexit
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(os.environ.get("HEARTH_BIN_DIR", ROOT / "target" / "release"))

# The keys and values of DESIGN: 100,000 keys of 32 bytes, values of 100, 50 connections.
SHAPE = ["-K", "32", "-d", "100", "--key-maximum", "100000", "-c", "50"]
MODES = {
    "get p1": ["--ratio", "0:1", "--pipeline", "1"],
    "get p16": ["--ratio", "0:1", "--pipeline", "16"],
    "get p32": ["--ratio", "0:1", "--pipeline", "32"],
    "set p1": ["--ratio", "1:0", "--pipeline", "1"],
    "90/10 p1": ["--ratio", "1:9", "--pipeline", "1"],
    "mget 50": ["--ratio", "0:1", "--pipeline", "1", "--multi-key-get", "50"],
}


def ours(name):
    path = BIN / name
    if not path.is_file():
        sys.exit(f"no {path}: cargo build --release --workspace, or set HEARTH_BIN_DIR")
    return str(path)


def peers(*wanted):
    """Programs to stand beside ours: (label, path) of those that are here. MEMCACHED=path names a build of your own."""
    found = []
    for label, variable, name in wanted:
        path = os.environ.get(variable) if variable else None
        if path and not Path(path).is_file():
            sys.exit(f"{variable}={path} is not a file")
        path = path or (shutil.which(name) if name else None)
        if path:
            found.append((label, path))
        else:
            print(f"without {label}: {f'set {variable}=path' if variable else f'no {name} on PATH'}")
    return found


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


# A script that is told to stop takes its servers with it, as one that ends does.
for stop in (signal.SIGTERM, signal.SIGHUP):
    signal.signal(stop, lambda number, _frame: sys.exit(128 + number))


class Server:
    """One process under measurement. Core 0 is the servers', core 1 the client's and the backends'."""

    def __init__(self, name, argv, port, core=0, wrap=()):
        self.name, self.port = name, port
        cores = os.sched_getaffinity(0)
        # Where there is only one core, everything shares it.
        self.core = {core} if core in cores and len(cores) > 1 else cores
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [*wrap, *argv],
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
            preexec_fn=lambda: os.sched_setaffinity(0, self.core),
            start_new_session=True,
        )
        atexit.register(self.stop)
        self.wait_ready(120 if wrap else 20)

    @property
    def pid(self):
        return self.process.pid

    def wait_ready(self, seconds):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=5) as probe:
                    # twemproxy knows no `version` without a server; a get is answered by all.
                    probe.sendall(b"get ready-probe\r\n")
                    if probe.recv(100):
                        return
            except OSError:
                pass
            time.sleep(0.02)
        self.stop()
        self.log.seek(0)
        sys.exit(f"{self.name} did not start: {self.log.read().decode(errors='replace')[-2000:]}")

    def target(self):
        return f"{self.name}=127.0.0.1:{self.port},{self.pid}"

    def rss(self):
        with open(f"/proc/{self.pid}/status") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS"))

    def stop(self):
        atexit.unregister(self.stop)
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def cache_node(name="cache-node", memory=1024, core=0, wrap=(), args=()):
    port = free_port()
    argv = [ours("cache-node"), "-l", "127.0.0.1", "-p", str(port), *threads(args), "-m", str(memory), "-c", "20000", *args]
    return Server(name, argv, port, core, wrap)


def memcached(name, path, memory=1024, core=0, wrap=(), args=()):
    port = free_port()
    user = ["-u", "root"] if os.getuid() == 0 else []
    # -R 100: with the default of 20 a pipeline of 32 is answered in two parts, to memcached's loss.
    argv = [path, "-l", "127.0.0.1", "-p", str(port), "-U", "0", "-t", "1", "-m", str(memory), "-c", "20000", "-R", "100"]
    return Server(name, [*argv, *user, *args], port, core, wrap)


def pogocache(path, memory="1gb", core=0):
    port = free_port()
    argv = [path, "-h", "127.0.0.1", "-p", str(port), "--threads", "1", "--maxmemory", memory, "--maxconns", "20000"]
    return Server("pogocache", argv, port, core)


def threads(args):
    """One worker, unless `args` say otherwise."""
    return () if "-t" in args else ("-t", "1")


def named(backends):
    return [f"n{index}=127.0.0.1:{backend.port}" for index, backend in enumerate(backends)]


def router(backends, core=0, wrap=(), args=()):
    port = free_port()
    servers = ",".join(named(backends))
    argv = [ours("router"), "-l", "127.0.0.1", "-p", str(port), *threads(args), "--sharded", servers, *args]
    return Server("router", argv, port, core, wrap)


def router_by(config, name="router", core=0, args=()):
    """A router over the configuration file `config`."""
    port = free_port()
    argv = [ours("router"), "-l", "127.0.0.1", "-p", str(port), *threads(args), "-c", str(config), *args]
    return Server(name, argv, port, core)


def nutcracker(path, backends, core=0, wrap=()):
    port = free_port()
    config = tempfile.NamedTemporaryFile("w", suffix=".yml", delete=False)
    config.write(f"pool:\n  listen: 127.0.0.1:{port}\n  hash: fnv1a_64\n  distribution: ketama\n  preconnect: true\n")
    config.write("  auto_eject_hosts: false\n  servers:\n")
    config.writelines(f"   - 127.0.0.1:{backend.port}:1 n{index}\n" for index, backend in enumerate(backends))
    config.close()
    stats = str(free_port())
    return Server("twemproxy", [path, "-c", config.name, "-s", stats, "-a", "127.0.0.1", "-v", "2"], port, core, wrap)


# A request for any key goes to its server; jump hash over as many servers as there are.
MEMCACHED_PROXY_LUA = """
function mcp_config_pools()
    local backends = {{}}
    for index, port in ipairs({{ {ports} }}) do
        backends[index] = mcp.backend("n" .. index, "127.0.0.1", port)
    end
    return mcp.pool(backends)
end
function mcp_config_routes(pool)
    local route = mcp.funcgen_new()
    local handle = route:new_handle(pool)
    route:ready({{ n = "pool", f = function(context)
        return function(request) return context:enqueue_and_wait(request, handle) end
    end }})
    mcp.attach(mcp.CMD_ANY_STORAGE, route)
end
"""


def memcached_proxy(path, backends, core=0):
    """memcached's built-in proxy; needs a memcached built with --enable-proxy."""
    config = tempfile.NamedTemporaryFile("w", suffix=".lua", delete=False)
    config.write(MEMCACHED_PROXY_LUA.format(ports=", ".join(str(backend.port) for backend in backends)))
    config.close()
    return memcached("memcached-proxy", path, memory=64, core=core, args=["-o", f"proxy_config={config.name}"])


def proxies(backends):
    """The proxies that are here, over `backends`."""
    found = [nutcracker(path, backends) for _, path in peers(("twemproxy", "NUTCRACKER", "nutcracker"))]
    return found + [memcached_proxy(path, backends) for _, path in peers(("memcached-proxy", "MEMCACHED_PROXY", None))]


def allow_open_files(wanted):
    """For this process and those it starts."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        if hard < wanted:
            sys.exit(f"needs {wanted} open files, the limit is {hard} (ulimit -Hn)")
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def memory_of_connections(server, count, request, end):
    """RSS before, and bytes of RSS that each of `count` connections adds once it has been served and is idle."""
    idle = server.rss()
    held = []
    for _ in range(count):
        wire = socket.create_connection(("127.0.0.1", server.port), timeout=30)
        wire.sendall(request)
        reply = b""
        while not reply.endswith(end):
            more = wire.recv(1 << 16)
            if not more:
                sys.exit(f"{server.name} hung up after {reply[:100]!r}")
            reply += more
        held.append(wire)
    each = (server.rss() - idle) / count
    for wire in held:
        wire.close()
    return idle, each


def bench(servers, flags, shape=SHAPE, lag_allowed=False, cores=frozenset({1})):
    """Drives `servers` in alternating slices from `cores`; the figures as loadtest writes them.

    With `lag_allowed` an open loop whose schedule was not kept (exit 3) is no failure: its latencies tell of it.
    """
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        targets = [word for server in servers for word in ("--target", server.target())]
        argv = [ours("loadtest"), "bench", *targets, *shape, *flags, "--json", out.name]
        there = os.sched_getaffinity(0)
        client = cores if cores <= there else there
        done = subprocess.run(argv, capture_output=True, text=True, preexec_fn=lambda: os.sched_setaffinity(0, client))
        if done.returncode not in ((0, 3) if lag_allowed else (0,)):
            sys.exit(f"{' '.join(argv)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        figures = json.loads(Path(out.name).read_text())
    for target in figures["targets"]:
        for fault in ("errors", "timeouts", "mismatches"):
            if target[fault]:
                sys.exit(f"{target['name']}: {target[fault]} {fault}; the figures would mean nothing")
    return figures


def compare(ours, peer, flags):
    """One mode in alternating slices: CPU us per request of both, our CPU ratio to the peer, our throughput ratio."""
    figures = bench([peer, ours], flags)
    cpu = {target["name"]: target["server_cpu_us_per_request"] for target in figures["targets"]}
    ratio = figures["ratios"][0]
    if ratio["target"] == ours.name:
        return cpu, ratio["cpu"], ratio["throughput"]
    return cpu, 1 / ratio["cpu"], 1 / ratio["throughput"]


def compare_all(title, ours, peers, modes, rounds):
    """A table of `modes`: ours beside each peer."""
    names = [ours.name, *(peer.name for peer in peers)]
    header = ["", *(f"{name} us" for name in names)]
    header += [f"cpu / {peer.name}" for peer in peers] + [f"req/s / {peer.name}" for peer in peers]
    rows = []
    for mode in modes:
        cpu, ratios, throughput = {}, [], []
        # One peer at a time: the neighbour of each slice of ours is a slice of that peer.
        for peer in peers:
            seen, ratio, faster = compare(ours, peer, [*MODES[mode], "--rounds", str(rounds)])
            cpu |= seen
            ratios.append(f"{ratio:.2f}x")
            throughput.append(f"{faster:.2f}x")
        rows.append([mode, *(f"{cpu[name]:.2f}" for name in names), *ratios, *throughput])
        print(f"  {mode}: {', '.join(ratios)}", flush=True)
    table(title, header, rows)


def table(title, header, rows):
    print(f"\n{title}")
    widths = [max(len(str(row[column])) for row in [header, *rows]) for column in range(len(header))]
    for row in [header, *rows]:
        cells = [str(cell).ljust(width) if column == 0 else str(cell).rjust(width) for column, (cell, width) in enumerate(zip(row, widths))]
        print("  ".join(cells).rstrip())
    sys.stdout.flush()
