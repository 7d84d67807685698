# SPDX-License-Identifier: MIT
"""
The programs of the benchmark, and how one is run

A program runs pinned to one CPU, the same for all, unless a row says
otherwise. What it answers is a float, or one of the three words that stand in
the table for a figure that is not there: a program that was not built, a work
that it does not have, a failure.
"""

import os
import resource
import subprocess
import sys

MISSING = "missing"
UNSUPPORTED = "-"
FAILED = "failed"

HERE = os.path.dirname(os.path.abspath(__file__))
PYTHON = os.environ.get("PYTHON") or "/usr/bin/python3"
UNSUPPORTED_STATUS = 3
RUN_SECONDS = 180

CPUS = sorted(os.sched_getaffinity(0))
LOAD_CPU, SERVER_CPU = CPUS[0], CPUS[-1]


class Program:
    def __init__(self, name, micro, server, needs, instead=None):
        self.name = name
        self.micro = micro  # followed by WORK [N]; None: has no works
        self.any_server = server  # followed by SERVICE AT [WHAT]; or None
        self.instead = instead or {}  # service -> function(at, what), command
        self.missing_why = needs()

    def server(self, service, at, what):
        if service in self.instead:
            return self.instead[service](at, what)
        return [*self.any_server, service, at] + ([what] if what else [])

    def serves(self, service):
        """Whether this service can be asked for: a word if not."""
        if self.any_server is None:
            return UNSUPPORTED
        return self.word(self.server(service, "", ""))

    def runs(self):
        """Whether a work can be asked for: a word if not."""
        return UNSUPPORTED if self.micro is None else self.word(self.micro)

    def word(self, command):
        missing = self.missing_why or not os.path.exists(command[0])
        return MISSING if missing else None


def pin(*cpus):
    """To be called in a child: its CPUs, and as many fds as it may have."""

    def in_child():
        os.sched_setaffinity(0, cpus)
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    return in_child


def files(*paths):
    def needs():
        absent = [path for path in paths if not os.path.exists(path)]
        return f"no {', '.join(absent)}" if absent else None

    return needs


def module(name):
    """One that makes event loops."""

    def needs():
        code = f"from {name} import new_event_loop"
        try:
            subprocess.run(
                [PYTHON, "-c", code],
                check=True,
                cwd="/",  # not here, where a folder has rota's name
                stderr=subprocess.DEVNULL,
            )
        except (OSError, subprocess.CalledProcessError):
            return f"{PYTHON} cannot import {name}"
        return None

    return needs


def loop_for_python(module):
    script = os.path.join(HERE, "peers", "asyncio_peer.py")
    return [PYTHON, script, "--loop", module]


def all_programs(build):
    """
    Rota first: by tasks, and by callbacks alone. Then the bare limit, then the
    peers.
    """

    def built(name):
        return os.path.join(build, "bench", name)

    def peer(name, services=True):
        path = built(f"peer_{name}")
        server = [path] if services else None
        return Program(name, [path], server, files(path))

    def python(name):
        command = loop_for_python(name)
        return Program(name, command, command, module(name))

    def http(at, folder):
        return [os.path.join(build, "examples", "http_files"), folder, at]

    micro, serve = built("rota_micro"), built("rota_serve")
    callbacks = built("rota_callbacks")
    needs = files(micro, serve, callbacks)
    return [
        Program("rota", [micro], [serve], needs, {"http": http}),
        Program("callbacks", None, [callbacks], needs),
        peer("limit"),
        peer("libuv"),
        peer("libev"),
        peer("libevent"),
        peer("boost", services=False),
        peer("tokio"),
        peer("go"),
        python("asyncio"),
        python("uvloop"),
    ]


def complain(command, text):
    print(f"! {' '.join(command)}: {text.strip()}", file=sys.stderr)
    return FAILED


def run_work(program, work, cpus=(SERVER_CPU,), environment=None):
    """One run of one work: a figure, or a word."""
    word = program.runs()
    if word:
        return word
    command = [*program.micro, work]
    try:
        run = subprocess.run(
            command,
            preexec_fn=pin(*cpus),
            env=environment,
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
