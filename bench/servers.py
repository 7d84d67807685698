# SPDX-License-Identifier: MIT
"""
The echo servers under load

The server has one CPU and the load the other. Three figures come of it:
requests a second, as the load counts them; the CPU time of all the server's
threads, as the kernel counts it; and system calls, as strace counts them.
"""

import contextlib
import glob
import os
import signal
import socket
import subprocess
import tempfile
import time

from programs import LOAD_CPU, SERVER_CPU, complain, pin

START_SECONDS = 10


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until_listening(server, port):
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and server.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except ConnectionRefusedError:
            time.sleep(0.01)
    raise OSError("the server does not listen")


@contextlib.contextmanager
def serving(program):
    """The server as a process, and its port, until the block ends."""
    port = free_port()
    command = [*program.echo, str(port)]
    with subprocess.Popen(command, preexec_fn=pin(SERVER_CPU)) as server:
        try:
            wait_until_listening(server, port)
            yield server, port
        finally:
            server.terminate()


def cpu_ns(pid):
    total = 0
    for path in glob.glob(f"/proc/{pid}/task/*/schedstat"):
        with open(path) as schedstat:
            total += int(schedstat.read().split()[0])
    return total


def run_load(build, port, connections, size, seconds):
    """Requests a second, and how many requests."""
    command = [os.path.join(build, "bench", "load")]
    command += [str(arg) for arg in (port, connections, size, seconds)]
    run = subprocess.run(
        command,
        preexec_fn=pin(LOAD_CPU),
        capture_output=True,
        text=True,
        timeout=seconds + START_SECONDS,
    )
    if run.returncode != 0:
        raise OSError(run.stderr)
    rate, requests = run.stdout.split()
    return float(rate), int(requests)


def guarded(measure, program, words):
    """measure(), or as many words as it would have given figures."""
    word = program.runs(program.echo)
    if word:
        return [word] * words
    try:
        return measure()
    except (OSError, subprocess.SubprocessError, ZeroDivisionError) as error:
        return [complain(program.echo, str(error))] * words


def echo(build, program, connections, size, seconds):
    """[requests a second, CPU nanoseconds a request]"""

    def measure():
        with serving(program) as (server, port):
            before = cpu_ns(server.pid)
            rate, requests = run_load(build, port, connections, size, seconds)
            return [rate, (cpu_ns(server.pid) - before) / requests]

    return guarded(measure, program, 2)


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


def count_calls(build, server, port, connections, seconds):
    with strace(server.pid) as counts:
        _, requests = run_load(build, port, connections, 64, seconds)
    return sum(counts), requests


def syscalls(build, program, connections, seconds):
    """
    [system calls a request]: what a long load costs more than a short one, so
    that opening and closing the connections is left out
    """

    def measure():
        with serving(program) as (server, port):
            calls, requests = count_calls(
                build, server, port, connections, seconds / 4
            )
            more_calls, more_requests = count_calls(
                build, server, port, connections, seconds
            )
        return [(more_calls - calls) / (more_requests - requests)]

    return guarded(measure, program, 1)
