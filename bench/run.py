#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""
Runs the benchmark: every row, for every program, in turns

    run.py --build BUILD_DIR [--rounds N] [--quick] [row ...]
    run.py --build BUILD_DIR [--update] instructions

In each round every program runs once, one after the other, so a slow minute
of the machine strikes all of them; every other round goes backwards. README.md
says how to read the table. The status is 0 whether or not rota wins: only a
program that fails, or a count of instructions that grew, makes it 1.
"""

import argparse
import json
import os
import sys

import instructions
import network
from programs import FAILED, all_programs
from table import print_head, print_missing, print_row
from works import WORKS

ALL = [*WORKS, *network.ROWS]
ROW_NAMES = " ".join([*ALL, "instructions"])


class Bench:
    """What all the measurements of one run share."""

    def __init__(self, build, rounds, seconds, things):
        self.build, self.rounds, self.seconds = build, rounds, seconds
        self.things = things
        self.programs = all_programs(build)

    def interleave(self, rows, measure):
        """Fills the rows: measure(program) gives one figure for each."""
        for turn in range(self.rounds):
            for program in self.programs[:: -1 if turn % 2 else 1]:
                for row, figure in zip(rows, measure(program)):
                    row.add(program.name, figure)
        return rows

    def work(self, name):
        work = WORKS[name]
        return self.interleave(
            work.rows(name), lambda p: work.measure(self, name, p)
        )

    def measure(self, name):
        if name in WORKS:
            return self.work(name)
        return network.measure(self, name)


def expand(names):
    """`echo`, `udp`... stand for all the rows that begin so."""
    wanted = []
    for name in names:
        begin = name + "-", name + "x"
        rows = [row for row in ALL if row == name or row.startswith(begin)]
        if not rows:
            sys.exit(f"run.py: no row {name}; rows: {ROW_NAMES}")
        wanted += rows
    return wanted


def build_type(build):
    path = os.path.join(build, "meson-info", "intro-buildoptions.json")
    try:
        with open(path) as file:
            options = json.load(file)
    except FileNotFoundError:
        return "unknown"
    values = {option["name"]: option["value"] for option in options}
    return values["buildtype"]


def print_measured(bench, name):
    """Measures and prints a row; returns how many programs have failed."""
    why_not = WORKS[name].why_not() if name in WORKS else network.why_not(name)
    if why_not:
        print(f"{name}: not measured: {why_not}")
        return 0
    failures = 0
    for row in bench.measure(name):
        print_row(row, bench.programs)
        failures += sum(row.word(p.name) == FAILED for p in bench.programs)
    return failures


def run_table(build, names, rounds, seconds):
    """Measures and prints; returns whether every program did its work."""
    failures = 0
    with network.things(build) as things:
        bench = Bench(build, rounds, seconds, things)
        print(f"build type {build_type(build)}, {rounds} rounds, medians")
        print_missing(bench.programs)
        print_head(bench.programs)
        for name in names:
            failures += print_measured(bench, name)
            sys.stdout.flush()
    return failures == 0


def parse_arguments():
    parser = argparse.ArgumentParser(description="rota's benchmark")
    add = parser.add_argument
    add("--build", required=True, help="the build directory")
    add("--rounds", type=int, help="runs of each program (5)")
    add("--quick", action="store_true", help="one short round")
    add("--update", action="store_true", help="keep the instructions counted")
    add("row", nargs="*", help=ROW_NAMES)
    return parser.parse_args()


def main():
    args = parse_arguments()
    well = True
    names = [name for name in args.row if name != "instructions"]
    if names or not args.row:
        rounds = args.rounds or (1 if args.quick else 5)
        seconds = 0.3 if args.quick else 1.0
        rows = expand(names) if names else ALL
        well = run_table(args.build, rows, rounds, seconds)
    if "instructions" in args.row or not args.row:
        well = instructions.run(args.build, args.update) and well
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
