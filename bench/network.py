# SPDX-License-Identifier: MIT
"""
The rows of the network: echoes, long transfers, idle connections, HTTP

A measure of a program gives one figure for each line of its row. What a
service needs, a certificate, a long file, a folder, is made once, when the
first row asks for it.
"""

import contextlib
import functools
import os
import resource
import shutil
import subprocess
import tempfile

import loads
import servers
from table import Row, Target

LIMIT = ("limit",)
IDLE = 10_000
ACTIVE = 100
SMALL_FILE = 1024
OWN_LOADS = "unix", "udp", "tls", "lines"  # other services get TCP's


class Served:
    """A row of what a server does: figures() gives one for each line."""

    tool = None  # what the row cannot be measured without

    def measure(self, bench, name, program):
        return servers.guarded(
            lambda: self.figures(bench, program),
            program,
            self.service,
            len(self.rows(name)),
        )

    def why_not(self):
        """Why this machine cannot measure it, or None."""
        tool = "openssl" if self.service == "tls" else self.tool
        return f"no {tool}" if tool and shutil.which(tool) is None else None


class Echo(Served):
    """One request in flight on each connection."""

    def __init__(
        self, service, connections, size, rate=None, cpu=None, load=None
    ):
        self.service, self.connections, self.size = service, connections, size
        self.targets = rate, cpu
        self.load = load or (service if service in OWN_LOADS else "tcp")

    def rows(self, name):
        rate, cpu = self.targets
        return [
            Row(f"{name}, req/s", rate, more_is_better=True),
            Row("  CPU ns a request", cpu),
        ]

    def figures(self, bench, program):
        what = bench.things.certificate if self.service == "tls" else None
        with servers.serving(program, self.service, what) as (server, at):
            before = servers.cpu_ns(server.pid)
            rate, requests = loads.ask(
                bench.build,
                self.load,
                at,
                self.connections,
                self.size,
                bench.seconds,
            )
            return [rate, (servers.cpu_ns(server.pid) - before) / requests]


class Transfer(Served):
    """1 GiB over one connection; relayed: there and back."""

    def __init__(self, service, rate=Target(at_least=0.97, of=LIMIT)):
        self.service, self.rate = service, rate

    def rows(self, name):
        return [
            Row(f"{name}, MiB/s", self.rate, more_is_better=True),
            Row("  CPU ns a MiB"),
        ]

    def what(self, things):
        if self.service == "sendfile":
            return things.long_file
        return str(loads.TRANSFER_BYTES) if self.service == "write" else None

    def figures(self, bench, program):
        way = "relay" if self.service == "relay" else "receive"
        what = self.what(bench.things)
        with servers.serving(program, self.service, what) as (server, at):
            before = servers.cpu_ns(server.pid)
            rate, amount = loads.transfer(bench.build, way, at)
            return [rate, (servers.cpu_ns(server.pid) - before) / amount]


class IdleBytes(Served):
    """What an idle connection costs in memory."""

    service = "echo"

    def __init__(self, at_most):
        self.at_most = at_most

    def rows(self, name):
        return [Row(f"{name}, bytes", Target(at_most=self.at_most))]

    @contextlib.contextmanager
    def held(self, bench, server, at):
        """Idle connections, and what memory each of them takes."""
        loads.ask(bench.build, "tcp", at, 1, 64, 0.05)  # first touches
        before = servers.resident(server.pid)
        with loads.holding(bench.build, at, IDLE):
            yield (servers.resident(server.pid) - before) / IDLE

    def figures(self, bench, program):
        with servers.serving(program, self.service) as (server, at):
            with self.held(bench, server, at) as bytes_each:
                return [bytes_each]

    def why_not(self):
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        if hard != resource.RLIM_INFINITY and hard < IDLE + 2 * ACTIVE:
            return f"a process may have {hard} fds only (ulimit -Hn)"
        return None


class Idle(IdleBytes):
    """The same, and what it costs those that are not idle."""

    def rows(self, name):
        return [
            *super().rows(name),
            Row("  req/s beside them", more_is_better=True),
            Row(
                "  share of those alone",
                Target(at_least=0.97),
                more_is_better=True,
            ),
        ]

    def ask(self, bench, at):
        return loads.ask(bench.build, "tcp", at, ACTIVE, 64, bench.seconds)[0]

    def figures(self, bench, program):
        with servers.serving(program, self.service) as (server, at):
            with self.held(bench, server, at) as bytes_each:
                beside = self.ask(bench, at)
        with servers.serving(program, self.service) as (server, at):
            alone = self.ask(bench, at)
        return [bytes_each, beside, beside / alone]


class Http(Served):
    """A small file by GET, with keep-alive."""

    service = "http"
    tool = "wrk"

    def __init__(self, connections):
        self.connections = connections

    def rows(self, name):
        target = Target(at_least=1.0, of=("libuv", "go"))
        return [
            Row(f"{name}, req/s", target, more_is_better=True),
            Row("  CPU ns a request"),
        ]

    def figures(self, bench, program):
        folder = bench.things.folder
        with servers.serving(program, self.service, folder) as (server, at):
            before = servers.cpu_ns(server.pid)
            rate, requests = loads.wrk(
                at, "/small.bin", self.connections, bench.seconds
            )
            return [rate, (servers.cpu_ns(server.pid) - before) / requests]


class Syscalls(Served):
    """
    System calls a request: what a long load costs more than a short one, so
    that opening and closing the connections is left out
    """

    service = "echo"
    tool = "strace"

    def __init__(self, connections, bound):
        self.connections, self.bound = connections, bound

    def rows(self, name):
        return [Row(f"{name}, a request", Target(at_most=self.bound))]

    def count(self, bench, server, at, seconds):
        with servers.strace(server.pid) as counts:
            _, requests = loads.ask(
                bench.build, "tcp", at, self.connections, 64, seconds
            )
        return sum(counts), requests

    def figures(self, bench, program):
        with servers.serving(program, self.service) as (server, at):
            calls, requests = self.count(bench, server, at, bench.seconds / 4)
            more, more_requests = self.count(bench, server, at, bench.seconds)
        return [(more - calls) / (more_requests - requests)]


def tcp_echo(connections, size):
    rate = Target(at_least=0.98, of=LIMIT) if connections == 50 else None
    cpu = Target(at_most=1.05, of=LIMIT) if connections == 1 else None
    return Echo("echo", connections, size, rate, cpu)


CLOSE = Target(at_least=0.95, of=LIMIT)

ROWS = {
    **{
        f"echo-{connections}x{size}": tcp_echo(connections, size)
        for connections in (1, 50, 500)
        for size in (64, 1024, 16384)
    },
    "unix-50x64": Echo("unix", 50, 64, Target(at_least=0.98, of=LIMIT)),
    **{
        f"udp-{clients}x{size}": Echo("udp", clients, size, CLOSE)
        for clients in (1, 32)
        for size in (64, 1024)
    },
    **{
        f"tls-50x{size}": Echo("tls", 50, size, CLOSE) for size in (64, 16384)
    },
    "transfer-write": Transfer("write"),
    "transfer-sendfile": Transfer("sendfile"),
    "transfer-relay": Transfer("relay"),
    "idle-10000": Idle(5120),
    "http-50": Http(50),
    "syscalls-1": Syscalls(1, 3.0),
    "syscalls-50": Syscalls(50, 2.1),
}


class Things:
    """What services need, in a folder that goes with the run."""

    def __init__(self, place):
        self.place = place

    def path(self, name):
        return os.path.join(self.place, name)

    @functools.cached_property
    def certificate(self):
        pem = self.path("server.pem")
        command = "openssl req -x509 -nodes -days 2 -subj /CN=localhost"
        command += " -newkey ec -pkeyopt ec_paramgen_curve:P-256"
        subprocess.run(
            [*command.split(), "-keyout", pem, "-out", pem + ".crt"],
            check=True,
            capture_output=True,
        )
        with open(pem, "a") as both, open(pem + ".crt") as certificate:
            both.write(certificate.read())
        return pem

    @functools.cached_property
    def long_file(self):
        """All zeros, and read once, so that it is in the page cache."""
        path = self.path("long")
        with open(path, "wb") as file:
            file.truncate(loads.TRANSFER_BYTES)
        with open(path, "rb") as file:
            while file.read(1 << 20):
                pass
        return path

    @functools.cached_property
    def folder(self):
        folder = self.path("www")
        os.mkdir(folder)
        with open(os.path.join(folder, "small.bin"), "wb") as file:
            file.write(b"rota" * (SMALL_FILE // 4))
        return folder


@contextlib.contextmanager
def things(build):
    with tempfile.TemporaryDirectory(dir=os.path.join(build, "bench")) as place:
        yield Things(place)
