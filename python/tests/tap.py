#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""
Runs tests by pytest and tells of each in TAP, which is how `meson test` and
tools/count_tests want to hear of it.

    PYTHONPATH=BUILD/python python3 python/tests/tap.py FILE [ARGUMENT...]
"""

import sys

import pytest


class Tap:
    """One line for each test; why it failed as a comment after it."""

    def __init__(self):
        self.count = 0

    @pytest.hookimpl(trylast=True)
    def pytest_configure(self, config):
        config.pluginmanager.unregister(name='terminalreporter')

    def pytest_runtest_logreport(self, report):
        if report.failed or report.skipped or report.when == 'call':
            self.tell(report, report.nodeid.partition('::')[2])

    def pytest_collectreport(self, report):
        if report.failed or report.skipped:
            self.tell(report, report.nodeid)

    def tell(self, report, name):
        self.count += 1
        result = 'not ok' if report.failed else 'ok'
        skipped = f' # SKIP {reason_of(report)}' if report.skipped else ''
        print(f'{result} {self.count} - {name.replace("#", "_")}{skipped}')
        if report.failed:
            text = '\n'.join([report.longreprtext, *(
                f'{title}:\n{content}' for title, content in report.sections)])
            print('\n'.join(f'# {line}' for line in text.splitlines()))
        sys.stdout.flush()


def reason_of(report):
    if isinstance(report.longrepr, tuple):
        return report.longrepr[2].removeprefix('Skipped: ')
    return getattr(report, 'wasxfail', '')


def main(arguments):
    tap = Tap()
    status = pytest.main(['-p', 'no:cacheprovider', *arguments], plugins=[tap])
    if tap.count:
        print(f'1..{tap.count}')
    return status


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
