# SPDX-License-Identifier: MIT
"""
The works of the benchmark: what is counted, and what rota must reach

A work is done by one process, pinned to one CPU, and the answer is a figure.
"""

import os
import shutil

from programs import CPUS, LOAD_CPU, SERVER_CPU, run_work
from table import Row, Target

LIMIT = ("limit",)
LIBUV = ("libuv",)


class Work:
    """One line: a work on one CPU, or on all of them."""

    def __init__(self, unit, target=None, more_is_better=False, cpus=None):
        self.unit, self.target, self.cpus = unit, target, cpus
        self.more_is_better = more_is_better

    def rows(self, name):
        label = f"{name}, {self.unit}"
        return [Row(label, self.target, self.more_is_better)]

    def environment(self, bench):
        return {**os.environ, "TMPDIR": bench.things.place}

    def measure(self, bench, name, program):
        cpus = self.cpus or [SERVER_CPU]
        environment = self.environment(bench)
        return [run_work(program, name, cpus=cpus, environment=environment)]

    def why_not(self):
        """Why this machine cannot measure it, or None."""


class Pipe(Work):
    """Two lines: the child on the same CPU, and on the other one."""

    def __init__(self):
        target = Target(at_least=0.95, of=LIMIT)
        super().__init__("MiB/s", target, more_is_better=True)

    def rows(self, name):
        beside = Row("  child on its own CPU", None, self.more_is_better)
        return [*super().rows(name), beside]

    def measure(self, bench, name, program):
        environment = self.environment(bench)
        beside = {**environment, "BENCH_CHILD": f"taskset -c {LOAD_CPU}"}
        return [
            run_work(program, name, environment=environment),
            run_work(program, name, environment=beside),
        ]

    def why_not(self):
        return None if shutil.which("taskset") else "no taskset"


def at_most(bound, of=()):
    return Target(at_most=bound, of=of)


WORKS = {
    "switch": Work("ns", at_most(3.5)),
    "yield2": Work("ns", at_most(10)),
    "yield1000": Work("ns", at_most(14)),
    "spawn1": Work("ns", at_most(45)),
    "spawn1000": Work("ns", at_most(70)),
    "gather1000": Work("ns", at_most(90)),
    "queue": Work("ns", at_most(40)),
    "lock": Work("ns", at_most(5)),
    "timeout": Work("ns", at_most(50)),
    "print": Work("ms", at_most(1000)),
    "call_soon": Work("ns", at_most(6)),
    "timer_arm": Work("ns", at_most(22)),
    "timer_cancel": Work("ns", at_most(25)),
    "timer_fire": Work("ns", at_most(200)),
    "timer_churn": Work("ns", at_most(20)),
    "rss": Work("bytes", at_most(4400)),
    "million": Work("bytes", at_most(4400)),
    "executor-1": Work("ns", at_most(0.7, LIBUV)),
    "executor-64": Work("ns", at_most(0.65, LIBUV)),
    "executor-1-wall": Work("ns", cpus=CPUS),
    "executor-64-wall": Work("ns", cpus=CPUS),
    "processes-1": Work("ns"),
    "processes-map": Work("ns"),
    "child-1": Work("us", at_most(1.02, LIMIT)),
    "child-big": Work("us", at_most(1.02, LIMIT)),
    "child-1000": Work("ms"),
    "pipe-out": Pipe(),
    "pipe-in": Pipe(),
    "pipe-both": Pipe(),
    "file-pread": Work("ns"),
    "file-small": Work("ns"),
    "file-sync": Work("us"),
    "signal": Work("ns"),
}
