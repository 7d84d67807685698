# SPDX-License-Identifier: MIT
"""
tools/run_cpython_suite.py, on a suite in which everything goes wrong.

CPython's own, which it is for, is run by `./do cpython`.
"""

import os
import sys

import pytest
from programs import SOURCE
from two_loops import SLOWNESS

sys.path.insert(0, str(SOURCE / 'tools'))

from cpython_suite_modules import Plan, run_modules  # noqa: E402
from cpython_suite_verdict import Exceptions, Verdict, covers  # noqa: E402

SUITE = '''\
import asyncio
import os
import time
import unittest

ON_ROTA = asyncio.SelectorEventLoop.__module__.startswith('rota')


class SomeTests(unittest.TestCase):
    def test_crashes(self):
        if ON_ROTA:
            os.abort()

    def test_fails(self):
        self.assertFalse(ON_ROTA)

    def test_fails_everywhere(self):
        self.fail()

    def test_hangs(self):
        while ON_ROTA:
            time.sleep(1)

    def test_is_skipped(self):
        if ON_ROTA:
            self.skipTest('rota')

    def test_passes(self):
        asyncio.new_event_loop().close()

    def test_passes_the_second_time(self):
        if ON_ROTA and not os.path.exists(__file__ + '.seen'):
            open(__file__ + '.seen', 'w').close()
            self.fail()


class DataTests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if ON_ROTA:
            raise OSError('no data')

    def test_never_begins(self):
        pass
'''


@pytest.fixture
def plan(tmp_path, monkeypatch):
    package = tmp_path / 'odd_suite'
    package.mkdir()
    (package / '__init__.py').touch()
    (package / 'test_some.py').write_text(SUITE)
    path = os.pathsep.join([str(tmp_path), os.environ['PYTHONPATH']])
    monkeypatch.setenv('PYTHONPATH', path)
    return Plan('rota:Loop', package='odd_suite', timeout=2 * SLOWNESS)


def results_of(plan, only=None):
    results = {}
    for module in run_modules(plan, {'test_some': only}):
        results.update(module.results)
    return {name.split('.')[-1]: result for name, result in results.items()}


def test_every_end_of_a_test_is_told(plan):
    states = {name: result['st']
              for name, result in results_of(plan).items()}
    assert states == {
        'test_crashes': 'crash',
        'test_fails': 'failed',
        'test_fails_everywhere': 'failed',
        'test_hangs': 'timeout',
        'test_is_skipped': 'skipped',
        'test_passes': 'passed',
        'test_passes_the_second_time': 'failed',
        'test_never_begins': 'notrun',
    }


def test_some_tests_run_on_asyncio_as_it_is(plan):
    name = 'odd_suite.test_some.SomeTests.test_'
    results = results_of(plan.on_stock(), [name + 'passes', name + 'hangs'])
    assert results['test_passes']['loops'] == 1
    assert results['test_hangs']['loops'] == 0
    assert {result['st'] for result in results.values()} == {'passed'}


def test_the_verdict_holds_them_against_the_exceptions(plan):
    tests = 'odd_suite.test_some.SomeTests.test_'
    listed = 'test_some.SomeTests.test_'
    exceptions = Exceptions([
        '# a comment',
        f'3.11-3.13  {listed}crashes  _x  is known to',
        f'3.13  {listed}passes  _x  does not any more',
        f'3.13  {listed}is_gone  _x  was renamed',
        f'3.12  {listed}fails  _x  only there',
    ], '3.13')
    results = {}
    for module in run_modules(plan, {'test_some': None}):
        results.update(module.results)
    verdict = Verdict(plan, results, exceptions, ['test_some'])
    assert verdict.lucky == [tests + 'passes_the_second_time']
    assert verdict.excused == [tests + 'fails_everywhere']
    assert verdict.excepted == [listed + 'crashes']
    assert verdict.unnecessary == [listed + 'passes', listed + 'is_gone']
    assert sorted(verdict.failed) == [
        'odd_suite.test_some.DataTests.test_never_begins',
        tests + 'fails', tests + 'hangs', tests + 'is_skipped']


def test_versions_are_lists_of_ranges():
    assert covers('3.9-3.11,3.14', '3.10')
    assert covers('3.9-3.11,3.14', '3.14')
    assert not covers('3.9-3.11,3.14', '3.13')
    with pytest.raises(ValueError, match='not a version: 3'):
        covers('3', '3.13')
    with pytest.raises(ValueError, match='line 2: VERSIONS TEST MEMBER'):
        Exceptions(['', '3.13 test_some _x'], '3.13')
