# SPDX-License-Identifier: MIT
"""
The servers of the benchmark: how one is started, and what is read off it

A server has one CPU and the load the other. What can be read off it is the CPU
time of all its threads and its resident memory, both as the kernel counts
them, and system calls, as strace counts them.
"""

import contextlib
import glob
import os
import signal
import socket
import subprocess
import tempfile
import time

from programs import (
    SERVER_CPU,
    UNSUPPORTED,
    UNSUPPORTED_STATUS,
    complain,
    pin,
)

START_SECONDS = 10
PAGE = os.sysconf("SC_PAGESIZE")
HOST = "127.0.0.1"


class Unsupported(Exception):
    """The program has not this service."""


def free_port():
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def address_of(service):
    """Where the server is to be: a port, or the path of a Unix socket."""
    if service != "unix":
        yield str(free_port())
        return
    with tempfile.TemporaryDirectory() as folder:
        yield os.path.join(folder, "socket")


def answers(service, at):
    """Whether there is somebody at the address."""
    if service == "unix":
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect(at)
    elif service == "udp":
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.settimeout(0.1)
            probe.connect((HOST, int(at)))
            probe.send(b"?")
            probe.recv(1)
    else:
        socket.create_connection((HOST, int(at))).close()


def wait_until_listening(server, service, at):
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and server.poll() is None:
        try:
            return answers(service, at)
        except OSError:
            time.sleep(0.01)
    if server.poll() == UNSUPPORTED_STATUS:
        raise Unsupported
    raise OSError("the server does not listen")


@contextlib.contextmanager
def serving(program, service, what=None):
    """The server as a process, and where it is, until the block ends."""
    with address_of(service) as at:
        command = program.server(service, at, what)
        with subprocess.Popen(
            command, preexec_fn=pin(SERVER_CPU), stdout=subprocess.DEVNULL
        ) as server:
            try:
                wait_until_listening(server, service, at)
                yield server, at
            except OSError as error:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    words = f"the server ended: {server.wait(0.2)}; {error}"
                    raise OSError(words) from error
                raise
            else:
                if server.poll() is not None:
                    raise OSError(f"the server ended: {server.returncode}")
            finally:
                server.kill()


def guarded(measure, program, service, words):
    """measure(), or as many words as it would have given figures."""
    word = program.serves(service)
    if word:
        return [word] * words
    try:
        return measure()
    except Unsupported:
        return [UNSUPPORTED] * words
    except (OSError, subprocess.SubprocessError, ZeroDivisionError) as error:
        command = program.server(service, "AT", "WHAT")
        return [complain(command, str(error))] * words


def cpu_ns(pid):
    total = 0
    for path in glob.glob(f"/proc/{pid}/task/*/schedstat"):
        with open(path) as schedstat:
            total += int(schedstat.read().split()[0])
    return total


def resident(pid):
    with open(f"/proc/{pid}/statm") as statm:
        return int(statm.read().split()[1]) * PAGE


@contextlib.contextmanager
def strace(pid):
    """Counts the calls of a process; gives a list that is filled at the end."""
    counts = []
    with tempfile.NamedTemporaryFile("r") as summary:
        command = ["strace", "-f", "-c", "-o", summary.name, "-p", str(pid)]
        with subprocess.Popen(
            command, stderr=subprocess.PIPE, text=True
        ) as tracer:
            if "attached" not in tracer.stderr.readline():
                raise OSError("strace cannot attach to the server")
            try:
                yield counts
            finally:
                tracer.send_signal(signal.SIGINT)
                tracer.communicate()
        counts.extend(parse_summary(summary))


def parse_summary(lines):
    """The column `calls` of every line of `strace -c` but the total."""
    for line in lines:
        fields = line.split()
        if len(fields) >= 5 and fields[3].isdigit() and fields[-1] != "total":
            yield int(fields[3])
