# SPDX-License-Identifier: MIT
"""
The programs of the benchmark, and how one is run

A program runs pinned to one CPU, the same for all. What it answers is a float,
or one of the three words that stand in the table for a figure that is not
there: a program that was not built, a work that it does not have, a failure.
"""

import os
import subprocess
import sys

MISSING = "missing"
UNSUPPORTED = "-"
FAILED = "failed"

HERE = os.path.dirname(os.path.abspath(__file__))
PYTHON = "/usr/bin/python3"
UNSUPPORTED_STATUS = 3
RUN_SECONDS = 180

CPUS = sorted(os.sched_getaffinity(0))
LOAD_CPU, SERVER_CPU = CPUS[0], CPUS[-1]


class Program:
    def __init__(self, name, micro, echo, needs):
        self.name = name
        self.micro = micro  # followed by WORK [N]; None: has no works
        self.echo = echo  # followed by PORT; None: has no echo
        self.missing_why = needs()

    def runs(self, command):
        """Whether this command of ours can be run: a word if not."""
        if command is None:
            return UNSUPPORTED
        if self.missing_why or not os.path.exists(command[0]):
            return MISSING
        return None


def pin(cpu):
    return lambda: os.sched_setaffinity(0, {cpu})


def files(*paths):
    def needs():
        absent = [path for path in paths if not os.path.exists(path)]
        return f"no {', '.join(absent)}" if absent else None

    return needs


def modules(*names):
    def needs():
        imports = f"import {', '.join(names)}"
        try:
            subprocess.run(
                [PYTHON, "-c", imports], check=True, stderr=subprocess.DEVNULL
            )
        except (OSError, subprocess.CalledProcessError):
            return f"{PYTHON} cannot {imports}"
        return None

    return needs


def all_programs(build):
    """Rota first, the bare limit second, then the peers."""

    def built(name):
        return os.path.join(build, "bench", name)

    def peer(name, echo=True):
        path = built(f"peer_{name}")
        server = [path, "echo"] if echo else None
        return Program(name, [path], server, files(path))

    def python(name, *options):
        script = os.path.join(HERE, "peers", "asyncio_peer.py")
        command = [PYTHON, script, *options]
        return Program(name, command, [*command, "echo"], modules(name))

    micro, echo = built("rota_micro"), built("rota_echo")
    return [
        Program("rota", [micro], [echo], files(micro, echo)),
        peer("limit"),
        peer("libuv"),
        peer("libev"),
        peer("libevent"),
        peer("boost", echo=False),
        peer("go"),
        python("asyncio"),
        python("uvloop", "--uvloop"),
    ]


def complain(command, text):
    print(f"! {' '.join(command)}: {text.strip()}", file=sys.stderr)
    return FAILED


def run_work(program, work, n=None):
    """One run of one work: a figure, or a word."""
    word = program.runs(program.micro)
    if word:
        return word
    command = [*program.micro, work] + ([str(n)] if n else [])
    try:
        run = subprocess.run(
            command,
            preexec_fn=pin(SERVER_CPU),
            capture_output=True,
            text=True,
            timeout=RUN_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return complain(command, f"not done in {RUN_SECONDS} s")
    if run.returncode == UNSUPPORTED_STATUS:
        return UNSUPPORTED
    answer = run.stdout.split()
    if run.returncode != 0 or len(answer) != 2 or answer[0] != work:
        return complain(command, f"status {run.returncode}: {run.stderr}")
    return float(answer[1])
