# SPDX-License-Identifier: MIT
"""
The loads on the servers: who asks, sends, receives, or is only there

Each runs on the load's CPU and checks what it gets; one that finds a fault
ends with words on stderr, and there is no figure.
"""

import contextlib
import os
import re
import subprocess

from programs import LOAD_CPU, pin

LOAD_SECONDS = 60
TRANSFER_BYTES = 1 << 30


def run(command, seconds=0):
    """What a program of the load prints."""
    done = subprocess.run(
        [str(word) for word in command],
        preexec_fn=pin(LOAD_CPU),
        capture_output=True,
        text=True,
        timeout=seconds + LOAD_SECONDS,
    )
    if done.returncode != 0:
        raise OSError(done.stderr or done.stdout)
    return done.stdout


def program_of(build, name):
    return os.path.join(build, "bench", name)


def ask(build, kind, at, connections, size, seconds):
    """Requests a second, and how many requests."""
    command = [program_of(build, "load"), kind, at, connections, size, seconds]
    rate, requests = run(command, seconds).split()
    return float(rate), int(requests)


def transfer(build, way, at):
    """MiB a second, and how many MiB."""
    command = [program_of(build, "transfer"), way, at, TRANSFER_BYTES]
    rate, amount = run(command).split()
    return float(rate), float(amount)


@contextlib.contextmanager
def holding(build, at, connections):
    """As many idle connections until the block ends."""
    command = [program_of(build, "hold"), at, str(connections)]
    with subprocess.Popen(
        command,
        preexec_fn=pin(LOAD_CPU),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as holder:
        if holder.stdout.readline() != "ready\n":
            raise OSError(holder.stderr.read())
        yield
        holder.stdin.close()


@contextlib.contextmanager
def accepting(build):
    """The port of a program that accepts, until the block ends."""
    with subprocess.Popen(
        [program_of(build, "accept")],
        preexec_fn=pin(LOAD_CPU),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as acceptor:
        yield acceptor.stdout.readline().strip()
        acceptor.stdin.close()


def wrk(at, path, connections, seconds):
    """Requests a second, and how many requests."""
    url = f"http://127.0.0.1:{at}{path}"
    seconds = max(1, round(seconds))
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", url]
    said = run(command, seconds)
    if "Non-2xx" in said or "Socket errors" in said:
        raise OSError(said)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
    requests = re.search(r"(\d+) requests in", said)
    return float(rate[1]), int(requests[1])
