# SPDX-License-Identifier: MIT
"""
Instructions an operation, which no neighbour on the machine can blur

callgrind counts a run of N operations and a run of more; what the second has
more, over its additional operations, is one operation without start and end.
The counts are kept in instructions.json, so that growth is noticed. They
belong to one compiler and one architecture: another has to keep its own.
"""

import json
import os
import re
import subprocess

from programs import HERE, RUN_SECONDS

KEPT = os.path.join(HERE, "instructions.json")
GROWTH = 1.03

WORKS = {  # operations in the short run and in the long run
    "switch": (100_000, 300_000),
    "yield2": (100_000, 300_000),
    "spawn1": (10_000, 30_000),
    "timer_arm": (10_000, 30_000),
    "executor-own": (10_000, 30_000),
    "echo": (1_000, 3_000),
}


def count(micro, work, n):
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
    run = subprocess.run(
        [*command, micro, work, str(n)],
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS,
    )
    collected = re.search(r"Collected : (\d+)", run.stderr)
    if run.returncode != 0 or collected is None:
        raise OSError(f"callgrind {work} {n}: status {run.returncode}")
    return int(collected.group(1))


def per_operation(micro, work):
    short, long = WORKS[work]
    more = count(micro, work, long) - count(micro, work, short)
    return more / (long - short)


def load_kept():
    try:
        with open(KEPT) as file:
            return json.load(file)
    except FileNotFoundError:
        return {}


def keep(counts):
    rounded = {work: round(n, 2) for work, n in counts.items()}
    with open(KEPT, "w") as file:
        json.dump(rounded, file, indent=4)
        file.write("\n")


def verdict(now, before):
    if before is None:
        return "nothing kept: run with --update"
    grew = f"{(now / before - 1) * 100:+.1f} %"
    return grew if now <= before * GROWTH else f"{grew}: GREW"


def measure(micro):
    """Counts by work; a work that cannot be counted is named and left out."""
    counts = {}
    for work in WORKS:
        try:
            counts[work] = per_operation(micro, work)
        except (OSError, subprocess.SubprocessError) as error:
            print(f"{work:12}{'failed':>12}  {error}")
    return counts


def run(build, update):
    """Measures, compares, and returns whether all is well."""
    micro = os.path.join(build, "bench", "rota_micro")
    if not os.path.exists(micro):
        print(f"instructions: no {micro}")
        return False
    kept = load_kept()
    counts = measure(micro)
    for work, now in counts.items():
        before = kept.get(work)
        shown = "" if before is None else f"{before:,.1f}"
        print(f"{work:12}{now:>12,.1f}{shown:>12}  {verdict(now, before)}")
    if update:
        keep(counts)
    kept = load_kept()
    return len(counts) == len(WORKS) and all(
        now <= kept.get(work, 0) * GROWTH for work, now in counts.items()
    )
