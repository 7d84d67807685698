# SPDX-License-Identifier: MIT
"""
The table of rota's Python face: its rows, their targets, and its peers

All loops run the same programs on the same Python. The limit is of two kinds:
of servers, the bare epoll loop in C; of tasks and callbacks, the least loop
that CPython's own tasks can run on. Most targets are multiples of uvloop.
"""

import os
import re
import shutil
import subprocess

import loads
from network import Echo, IdleBytes, Transfer
from programs import (
    PYTHON,
    UNSUPPORTED,
    UNSUPPORTED_STATUS,
    Program,
    complain,
    files,
    loop_for_python,
    module,
    run_work,
)
from table import Ahead, Row, Target
from works import Work

# For a server in C these are all the same.
ECHOES = "buffered", "twice", "relay", "lines", "sock"


def find_modules(build):
    """Lets every Python that is started find rota and the limit's loop."""
    places = [os.path.abspath(os.path.join(build, "python")), bench_of(build)]
    os.environ["PYTHONPATH"] = os.pathsep.join(places)


def bench_of(build):
    return os.path.abspath(os.path.join(build, "bench"))


def programs(build):
    """Rota first, then the limit, then the peers."""
    find_modules(build)
    built = bench_of(build)

    def loop(name):
        command = loop_for_python(name)
        return Program(name, command, command, module(name))

    def limit():
        server = os.path.join(built, "peer_limit")
        works = loop_for_python("limit_loop")
        return Program(
            "limit",
            None if module("limit_loop")() else works,
            [server],
            files(server),
            dict.fromkeys(ECHOES, lambda at, what: [server, "echo", at]),
        )

    return [loop("rota"), limit(), loop("asyncio"), loop("uvloop")]


def versions():
    """Of the Python that runs all, and of the loops that have one."""
    code = """
import importlib, platform
print(platform.python_implementation(), platform.python_version())
for name in "rota", "uvloop":
    try:
        print(name, importlib.import_module(name).__version__)
    except (ImportError, AttributeError):
        pass
"""
    command = [PYTHON, "-c", code]
    run = subprocess.run(command, cwd="/", capture_output=True, text=True)
    return ", ".join(run.stdout.splitlines())


def ahead(times=1.0, of="uvloop"):
    return Ahead(times, of)


class Connect(Work):
    """A client's work, with another program on the other side."""

    def measure(self, bench, name, program):
        with loads.accepting(bench.build) as port:
            environment = {**self.environment(bench), "BENCH_PORT": port}
            return [run_work(program, name, environment=environment)]


class Late(Work):
    """Two lines: the median, and the sleep that ended soonest."""

    def __init__(self, at_most):
        super().__init__("us", Target(at_most=at_most))

    def rows(self, name):
        soonest = Row("  the soonest", Target(at_least=0))
        rows = [*super().rows(name), soonest]
        for row in rows:
            row.has_ratios = False  # the figures may be negative
        return rows

    def measure(self, bench, name, program):
        return [run_work(program, name), run_work(program, f"{name}-least")]


class Instructions(Work):
    """By callgrind: what a long run has more than a short one; see hot.py."""

    def __init__(self, work, short, long):
        super().__init__("instructions")
        self.work, self.lengths = work, (short, long)

    def why_not(self):
        return None if shutil.which("valgrind") else "no valgrind"

    def count(self, program, n):
        command = ["valgrind", "--tool=callgrind"]
        command += ["--callgrind-out-file=/dev/null", *program.micro]
        run = subprocess.run(
            [*command, self.work, str(n)],
            env={**os.environ, "PYTHONHASHSEED": "0"},
            capture_output=True,
            text=True,
        )
        if run.returncode == UNSUPPORTED_STATUS:
            return None
        collected = re.search(r"Collected : (\d+)", run.stderr)
        if run.returncode != 0 or collected is None:
            raise OSError(f"status {run.returncode}: {run.stderr}")
        return int(collected[1])

    def measure(self, bench, name, program):
        word = program.runs()
        if word:
            return [word]
        try:
            counts = [self.count(program, n) for n in self.lengths]
        except OSError as error:
            return [complain([*program.micro, self.work], str(error))]
        if None in counts:
            return [UNSUPPORTED]
        (short, long), (less, more) = self.lengths, counts
        return [(more - less) / (long - short)]


def echo(connections, size):
    near_limit = Target(at_least=0.97, of=("limit",))
    return Echo("echo", connections, size, near_limit, ahead(1.2))


def of_server(service, connections, size, times=1.0, load=None):
    """The target is of the CPU time: that of the load is not in it."""
    return Echo(service, connections, size, cpu=ahead(times), load=load)


CALLS = {
    "call_soon": Work("ns", ahead(2)),
    "call_soon-chain": Work("ns", ahead(4.5)),
    "call_later": Work("ns", ahead(6)),
    "call_later-fire": Work("ns", ahead(1.3)),
    "call_later-fire100000": Work("ns", ahead()),
    "sleep0-1": Work("ns", ahead(2.5)),
    "sleep0-100": Work("ns", ahead(1.4)),
    "spawn1": Work("ns", ahead(2.5)),
    "gather1000": Work("ns", ahead(1.3)),
    "taskgroup1000": Work("ns", ahead(1.35)),
    "future": Work("ns", ahead(2.8)),
    "queue": Work("ns", ahead(1.6)),
    "timeout": Work("ns", ahead(2.2)),
    "threadsafe": Work("ns", ahead(2)),
    "threadsafe-1": Work("ns", ahead()),
    "executor-1": Work("ns", ahead(1.3)),
    "executor-64": Work("ns", ahead()),
    "reader": Work("ns", ahead(1.15)),
    "late": Late(at_most=100),
    "getaddrinfo": Work("ns", ahead()),
    "getaddrinfo-ip": Work("ns", ahead()),
    "child-1": Work("us", ahead()),
    "connect": Connect("ns", ahead()),
}

SERVERS = {
    **{
        f"echo-{connections}x{size}": echo(connections, size)
        for connections in (50, 500)
        for size in (64, 1024, 16384)
    },
    "echo-1x64": of_server("echo", 1, 64, 1.2),
    "buffered-50x64": of_server("buffered", 50, 64, 1.2),
    "streams-50x64": of_server("relay", 50, 64, 1.4),
    "streams-500x64": of_server("relay", 500, 64, 1.4),
    "streams-50x16384": of_server("relay", 50, 16384, 1.4),
    "streams-50x102400": of_server("relay", 50, 102400, 1.15),
    "streams-1x64": of_server("relay", 1, 64, 1.25),
    "twice-50x64": of_server("twice", 50, 64, 1.7),
    "lines-50x1024": of_server("lines", 50, 1024, 3),
    "sock-50x64": of_server("sock", 50, 64, 3.4),
    "tls-50x64": of_server("tls", 50, 64, 1.3),
    "tls-50x16384": of_server("tls", 50, 16384, 1.2),
    "unix-50x64": of_server("unix", 50, 64, 1.25),
    "udp-1x64": of_server("udp", 1, 64),
    "udp-32x64": of_server("udp", 32, 64),
    "udp-32x1024": of_server("udp", 32, 1024),
    "accept-50x64": of_server("echo", 50, 64, load="accept"),
    "transfer-sendfile": Transfer("sendfile", ahead(of="asyncio")),
    "idle-10000": IdleBytes(at_most=800),
}

USUAL = {**CALLS, **SERVERS}
ROWS = {
    **USUAL,
    "instructions-call_soon": Instructions("call_soon", 20_000, 60_000),
    "instructions-chain": Instructions("call_soon-chain", 20_000, 60_000),
    "instructions-sleep0": Instructions("sleep0-1", 20_000, 60_000),
    "instructions-spawn1": Instructions("spawn1", 10_000, 30_000),
    "instructions-rally": Instructions("rally", 5_000, 15_000),
    "instructions-streams": Instructions("rally-streams", 5_000, 15_000),
    "instructions-sock": Instructions("rally-sock", 5_000, 15_000),
}
