#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""
Runs CPython's own test_asyncio on another event loop, and counts.

    run_cpython_suite.py --loop rota:Loop --exceptions FILE
    run_cpython_suite.py --loop rota:Loop test_events test_tasks.RunCoroTests
    run_cpython_suite.py --loop stock --json FILE
    run_cpython_suite.py --loop stock --trace-private --json FILE

A name is a module of the suite, or a class or a test in one; without names
all modules run. Without --exceptions each test must pass. With it, the run
fails for a test that passes on asyncio's own loop but not here and is not in
the file, and for an entry that is unnecessary: cpython_suite_verdict.py says
what a file looks like. A test that fails gets two more tries, alone.

Needs CPython's test package (Debian: libpython3.X-testsuite).
"""

import argparse
import collections
import json
import sys
import time
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))

from cpython_suite_modules import (  # noqa: E402
    BAD, PACKAGE, STATES, Plan, run_modules)
from cpython_suite_verdict import Exceptions, Verdict  # noqa: E402

VERSION = '%d.%d' % sys.version_info[:2]


def parse(arguments):
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('names', nargs='*', metavar='NAME')
    parser.add_argument('--loop', default='stock',
                        help="'stock', or module:class")
    parser.add_argument('--exceptions', metavar='FILE')
    parser.add_argument('--exclude', metavar='MODULE,...', default='')
    parser.add_argument('--jobs', type=int, default=1,
                        help='modules that run at the same time')
    parser.add_argument('--timeout', type=float, default=30,
                        help='seconds for a test')
    parser.add_argument('--failing', metavar='FILE',
                        help='receives the names of the failing tests')
    parser.add_argument('--json', metavar='FILE',
                        help='receives every result')
    parser.add_argument('--trace-private', action='store_true',
                        help='note the private names that a test touches')
    return parser.parse_args(arguments)


def order_of(plan, names, excluded):
    """The modules to run, each with the names in it, or None for all."""
    only = {}
    for name in names:
        module = name.split('.')[0]
        only.setdefault(module, []).append(f'{plan.package}.{name}')
    if not names:
        only = dict.fromkeys(plan.all_modules())
    return {module: wanted for module, wanted in only.items()
            if module not in excluded}


def states_of(results):
    return collections.Counter(result['st'] for result in results)


def print_row(name, states, touched, seconds):
    print(f'{name:24}', *(f'{states[state]:7}' for state in STATES),
          f'{touched:7} {seconds:6.1f} s', flush=True)


def run_all(plan, only):
    """Every module's results and notes; prints a row for each."""
    print(f'{"module":24}', *(f'{state:>7}' for state in STATES), 'touched')
    results, notes = {}, []
    began = time.monotonic()
    for module in run_modules(plan, only):
        results.update(module.results)
        notes += module.notes
        print_row(module.name, states_of(module.results.values()),
                  len(touching(module.results)), module.seconds)
    seconds = time.monotonic() - began
    touched = touching(results)
    print_row('all', states_of(results.values()), len(touched), seconds)
    print_row('all that touch the loop', states_of(touched), len(touched),
              seconds)
    return results, notes


def touching(results):
    """The results of those tests that made a loop under test, or died."""
    return [result for result in results.values()
            if result.get('loops') or result['st'] in ('timeout', 'crash')]


def reason_of(result):
    lines = result.get('detail', '').strip().splitlines() or ['']
    fatal = [line for line in lines if line.startswith('Fatal Python error')]
    return f'{result["st"]}: {(fatal or lines)[-1][:160]}'


def judge(plan, results, lines, whole):
    """Prints what the exceptions make of the results; the exit status."""
    exceptions = Exceptions(lines, VERSION)
    verdict = Verdict(plan, results, exceptions, whole)
    for test in verdict.lucky:
        print('passed at another try:', test)
    for test in verdict.excused:
        if results[test]['st'] != 'skipped':
            print('not counted, asyncio does not pass it either:', test)
    for test in verdict.failed:
        print(f'failed: {test}: {reason_of(results[test])}')
    for test in verdict.unnecessary:
        print('failed: no longer an exception:', test)
    states = states_of(results.values())
    print(f'Python {VERSION}, {plan.loop}: '
          f'{states["passed"] + states["xfail"]} passed, '
          f'{len(verdict.failed) + len(verdict.unnecessary)} failed, '
          f'{len(verdict.excepted)} excepted, '
          f'{len(verdict.excused)} not counted')
    return 1 if verdict.failed or verdict.unnecessary else 0


def write_files(args, results, notes):
    if args.failing:
        failing = [f'{result["st"]} {test}\n'
                   for test, result in results.items() if result['st'] in BAD]
        Path(args.failing).write_text(''.join(failing))
    if args.json:
        Path(args.json).write_text(json.dumps(
            {'loop': args.loop, 'python': sys.version, 'results': results,
             'notes': notes}, indent=1))


def main(arguments):
    args = parse(arguments)
    plan = Plan(args.loop, package=PACKAGE, timeout=args.timeout,
                trace=args.trace_private, jobs=args.jobs)
    only = order_of(plan, args.names, args.exclude.split(','))
    results, notes = run_all(plan, only)
    for note in notes:
        print('note:', note.strip().splitlines()[-1][:160])
    if args.exceptions:
        lines = Path(args.exceptions).read_text().splitlines()
        whole = [name for name in only if not args.names or name in args.names]
        status = judge(plan, results, lines, whole)
    else:
        bad = [test for test, result in results.items()
               if result['st'] in BAD]
        for test in bad:
            print(f'failed: {test}: {reason_of(results[test])}')
        status = 1 if bad or not results else 0
    write_files(args, results, notes)
    return status


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
