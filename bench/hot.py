#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""
Where the instructions of one operation of a loop for Python go

    hot.py --build BUILD_DIR [--loop MODULE] WORK SHORT LONG

callgrind counts a run of SHORT operations and one of LONG; what the second has
more, over its additional operations, is one operation without start and end.
It is printed by function, the dearest first. PYTHON= names the interpreter.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter

import python_face
from programs import loop_for_python

LEAST = 5  # instructions an operation; functions with fewer are left out
COST = re.compile(r"\s*([\d,]+) \(\s*[\d.]+%\)\s+(.*)")


def counted(command, n):
    """Instructions of a run, by function."""
    with tempfile.NamedTemporaryFile() as profile:
        subprocess.run(
            [
                *("valgrind", "--tool=callgrind"),
                f"--callgrind-out-file={profile.name}",
                *(*command, str(n)),
            ],
            env={**os.environ, "PYTHONHASHSEED": "0"},
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        annotate = ["callgrind_annotate", "--threshold=100", "--auto=no"]
        listed = subprocess.run(
            [*annotate, profile.name],
            check=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
    counts = Counter()
    for line in listed.stdout.splitlines():
        cost = COST.match(line)
        if cost and "TOTALS" not in cost[2]:
            counts[short_name(cost[2])] += int(cost[1].replace(",", ""))
    return counts


def short_name(function):
    """FILE:FUNCTION, without folders, recursion and the linker's parts."""
    name = function.split(" [")[0].rsplit("/", 1)[-1]
    return re.sub(r"'\d+$|\.(lto_priv|part|constprop|isra)\.\d+", "", name)


def main():
    parser = argparse.ArgumentParser(description="hot spots of a loop")
    add = parser.add_argument
    add("--build", required=True, help="the build directory")
    add("--loop", default="rota", metavar="MODULE")
    add("work", metavar="WORK")
    add("short", type=int, metavar="SHORT")
    add("long", type=int, metavar="LONG")
    args = parser.parse_args()
    python_face.find_modules(args.build)
    command = [*loop_for_python(args.loop), args.work]
    less, more = counted(command, args.short), counted(command, args.long)
    more.subtract(less)
    each = {name: more[name] / (args.long - args.short) for name in more}
    print(f"{sum(each.values()):9,.1f}  {args.loop} {args.work}")
    for name, cost in sorted(each.items(), key=lambda item: -item[1]):
        if cost >= LEAST:
            print(f"{cost:9,.1f}  {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
