#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""
Runs the benchmark: every row, for every program, in turns

    run.py --build BUILD_DIR [--rounds N] [--quick] [row ...]
    run.py --build BUILD_DIR [--update] instructions
    run.py --build BUILD_DIR [...] python [row ...]

In each round every program runs once, one after the other, so a slow minute
of the machine strikes all of them; every other round goes backwards. After
`python` the rows are those of rota's Python face, and its peers are Python's
loops. README.md says how to read the table. The status is 0 whether or not
rota wins: only a program that fails, or a count of instructions that grew,
makes it 1.
"""

import argparse
import json
import os
import sys

import instructions
import network
import python_face
from programs import FAILED, all_programs
from table import print_head, print_missing, print_row
from works import WORKS


class Bench:
    """What all the measurements of one run share."""

    def __init__(self, build, rounds, seconds, things, programs):
        self.build, self.rounds, self.seconds = build, rounds, seconds
        self.things, self.programs = things, programs

    def measure(self, name, kind):
        """The lines of a row, filled."""
        rows = kind.rows(name)
        for turn in range(self.rounds):
            for program in self.programs[:: -1 if turn % 2 else 1]:
                figures = kind.measure(self, name, program)
                for row, figure in zip(rows, figures):
                    row.add(program.name, figure)
        return rows


def expand(rows, names):
    """`echo`, `udp`... stand for all the rows that begin so."""
    wanted = {}
    for name in names:
        begin = name + "-", name + "x"
        found = [row for row in rows if row == name or row.startswith(begin)]
        if not found:
            sys.exit(f"run.py: no row {name}; rows: {' '.join(rows)}")
        wanted.update((row, rows[row]) for row in found)
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


def print_measured(bench, name, kind):
    """Measures and prints a row; returns how many programs have failed."""
    why_not = kind.why_not()
    if why_not:
        print(f"{name}: not measured: {why_not}")
        return 0
    failures = 0
    for row in bench.measure(name, kind):
        print_row(row, bench.programs)
        failures += sum(row.word(p.name) == FAILED for p in bench.programs)
    return failures


def run_table(args, programs, rows):
    """Measures and prints; returns whether every program did its work."""
    rounds = args.rounds or (1 if args.quick else 5)
    seconds = 0.3 if args.quick else 1.0
    failures = 0
    with network.things(args.build) as things:
        bench = Bench(args.build, rounds, seconds, things, programs)
        print(f"build type {build_type(args.build)}, {rounds} rounds, medians")
        print_missing(programs)
        print_head(programs)
        for name, kind in rows.items():
            failures += print_measured(bench, name, kind)
            sys.stdout.flush()
    return failures == 0


def run_python(args, names):
    rows = python_face.ROWS
    wanted = expand(rows, names) if names else python_face.USUAL
    programs = python_face.programs(args.build)
    print(python_face.versions())
    return run_table(args, programs, wanted)


def run_library(args, names):
    rows = {**WORKS, **network.ROWS}
    wanted = [name for name in names if name != "instructions"]
    well = True
    if wanted or not names:
        wanted = expand(rows, wanted) if wanted else rows
        well = run_table(args, all_programs(args.build), wanted)
    if "instructions" in names or not names:
        well = instructions.run(args.build, args.update) and well
    return well


def parse_arguments():
    parser = argparse.ArgumentParser(description="rota's benchmark")
    add = parser.add_argument
    add("--build", required=True, help="the build directory")
    add("--rounds", type=int, help="runs of each program (5)")
    add("--quick", action="store_true", help="one short round")
    add("--update", action="store_true", help="keep the instructions counted")
    add("row", nargs="*", help="[python] and what rows begin with")
    return parser.parse_intermixed_args()


def main():
    args = parse_arguments()
    if args.row[:1] == ["python"]:
        return 0 if run_python(args, args.row[1:]) else 1
    return 0 if run_library(args, args.row) else 1


if __name__ == "__main__":
    sys.exit(main())
