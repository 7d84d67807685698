#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""
CPython's own test_asyncio, all of it, on rota's loop, told of as TAP.

    PYTHONPATH=BUILD/python python3 python/tests/cpython.py

For people there is tools/run_cpython_suite.py, by `./do cpython`; the rules
are the same. Without CPython's test package (Debian: libpython3.X-testsuite),
and where something watches that makes us slow, all is skipped.
"""

import importlib.util
import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / 'tools'))

from cpython_suite_modules import (  # noqa: E402
    GOOD, PACKAGE, Plan, run_modules)
from cpython_suite_verdict import Exceptions, Verdict  # noqa: E402

VERSION = '%d.%d' % sys.version_info[:2]
SECONDS = 30  # for a test


def why_not():
    """Why nothing is to be run, or nothing."""
    watched = os.environ.get('ROTA_TEST_UNDER')
    if watched:
        return f'asyncio is tested, not {watched}'
    try:
        found = importlib.util.find_spec(PACKAGE)
    except ModuleNotFoundError:
        found = None
    return '' if found else f'{PACKAGE} is not installed'


def comment(text):
    for line in text.splitlines():
        print('#', line)


def run_all(plan):
    results = {}
    for module in run_modules(plan, dict.fromkeys(plan.all_modules())):
        results.update(module.results)
        comment(f'{module.name}: {len(module.results)} tests, '
                f'{module.seconds:.1f} s')
        for note in module.notes:
            comment(note)
        sys.stdout.flush()
    return results


def tell(plan, results, verdict):
    """A line for each that counts: those that asyncio skips do not."""
    lines = [(f'ok - {plan.short(test)}', '')
             for test, result in results.items() if result['st'] in GOOD]
    lines += [(f'not ok - {plan.short(test)}', results[test]['detail'])
              for test in verdict.failed]
    lines += [(f'not ok - no exception any more, {test}', '')
              for test in verdict.unnecessary]
    for line, detail in lines:
        print(line.replace('#', ' again, '))
        comment(detail)
    for test in verdict.lucky:
        comment(f'passed at another try: {test}')
    for test in verdict.excused:
        comment(f'asyncio does not pass it either: {test}')
    comment(f'exceptions: {len(verdict.excepted)}')
    print(f'1..{len(lines)}')


def main():
    reason = why_not()
    if reason:
        print('1..0 # SKIP', reason)
        return 0
    slowness = float(os.environ.get('ROTA_TEST_SLOWNESS') or 1)
    plan = Plan('rota:Loop', timeout=SECONDS * slowness, jobs=2)
    text = (HERE / 'cpython_exceptions.txt').read_text()
    results = run_all(plan)
    verdict = Verdict(plan, results, Exceptions(text.splitlines(), VERSION),
                      plan.all_modules())
    tell(plan, results, verdict)
    return 1 if verdict.failed or verdict.unnecessary else 0


if __name__ == '__main__':
    sys.exit(main())
