# SPDX-License-Identifier: MIT
"""
Holds the results of CPython's test_asyncio against a list of exceptions.

A test may fail if asyncio itself fails it here, or if the list names it. The
list has a line for each exception: VERSIONS TEST MEMBER REASON, as in

    3.11-3.13,3.14  test_events.SomeTests.test_some  _selector  reads it

TEST is without the package's name. MEMBER is the private member of asyncio's
classes that the test reaches for. An entry whose test passes, or is not
there, has become unnecessary: that fails the run as well.
"""

import re

from cpython_suite_modules import BAD, GOOD, run_modules

MAX_RETRIED = 60  # with more, something is broken, not unlucky
TRIES = 2
RANGE = re.compile(r'(\d+\.\d+)(?:-(\d+\.\d+))?$')


class Exceptions:
    """The entries that hold for one version of Python, by their tests."""

    def __init__(self, lines, version):
        self.entries = {}
        for number, line in enumerate(lines, 1):
            words = line.split('#')[0].split(None, 3)
            if not words:
                continue
            if len(words) < 4:
                raise ValueError(f'line {number}: VERSIONS TEST MEMBER REASON')
            if covers(words[0], version):
                self.entries[words[1]] = words[2:]

    def __contains__(self, test):
        return test in self.entries


def numbers(version):
    return tuple(int(part) for part in version.split('.'))


def covers(versions, version):
    """Whether 3.11-3.13,3.14 and the like include a version."""
    for part in versions.split(','):
        found = RANGE.match(part)
        if not found:
            raise ValueError(f'not a version: {part}')
        first, last = found[1], found[2] or found[1]
        if numbers(first) <= numbers(version) <= numbers(last):
            return True
    return False


class Verdict:
    """
    `failed`: tests that pass on asyncio and not here, and are not excepted.
    `unnecessary`: exceptions that are none. `lucky`: passed at a later try.
    `excused`: asyncio does not pass them here either. An entry is judged if
    its module is one of `whole`, those that have run from end to end.
    """

    def __init__(self, plan, results, exceptions, whole):
        self.plan = plan
        self.results = results
        self.exceptions = exceptions
        self.lucky = []
        suspects = [test for test, result in results.items()
                    if result['st'] not in GOOD
                    and self.plan.short(test) not in exceptions]
        self.retry([test for test in suspects
                    if results[test]['st'] in BAD])
        suspects = [test for test in suspects
                    if results[test]['st'] not in GOOD]
        on_stock = self.run(plan.on_stock(), suspects)
        self.failed = [test for test in suspects
                       if on_stock.get(test, {'st': 'passed'})['st'] in GOOD]
        self.excused = [test for test in suspects if test not in self.failed]
        self.unnecessary = [test for test in exceptions.entries
                            if test.split('.')[0] in whole
                            and self.state(test) in GOOD]
        self.excepted = [test for test in exceptions.entries
                         if self.state(test) in BAD]

    def state(self, test):
        result = self.results.get(f'{self.plan.package}.{test}')
        return result['st'] if result else 'passed'

    def retry(self, tests):
        if len(tests) > MAX_RETRIED:
            return
        for test in tests:
            for _ in range(TRIES):
                result = self.run(self.plan.alone(), [test]).get(test)
                if result and result['st'] in GOOD:
                    self.results[test] = result
                    self.lucky.append(test)
                    break

    def run(self, plan, tests):
        """The results of some tests, whatever their modules."""
        only = {}
        for test in tests:
            module = self.plan.short(test).split('.')[0]
            only.setdefault(module, []).append(test)
        results = {}
        for module in run_modules(plan, only):
            results.update(module.results)
        return results
