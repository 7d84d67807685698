#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""
One module of CPython's test_asyncio on another event loop, in this process.

    cpython_suite_inside.py ORDER

ORDER is JSON: `loop`, `package`, `module`, `log`, `trace`, and `only` and
`done`, lists of tests to run and to leave out. The log receives a line of
JSON for each event; tools/run_cpython_suite.py writes the order and reads
the log.

The suite has no switch for the loop. So each name through which its tests
obtain one is replaced, before a test is imported, by an adapter: a subclass
of the loop under test that takes SelectorEventLoop's `selector` and ignores
it. asyncio.run, Runner and IsolatedAsyncioTestCase follow from the default
policy. Tests that build BaseEventLoop, BaseSelectorEventLoop or TestLoop by
themselves never meet the loop under test; `loops` counts the others' loops.

With `loop` "stock", asyncio stays as it is. With `trace`, the private names
of the loop that a test touches are noted.
"""

import collections
import ctypes
import faulthandler
import importlib
import json
import os
import signal
import sys
import time
import unittest

RANKS = ('passed', 'skipped', 'xfail', 'xpass', 'failed', 'error')
MAX_DETAIL = 6000
DEATH_SIGNAL = 1  # prctl's PR_SET_PDEATHSIG


class Seen:
    """What the adapter saw during the test that runs."""

    loops = 0
    private = collections.Counter()


def find_loop(name):
    module, _, attribute = name.partition(':')
    return getattr(importlib.import_module(module), attribute or 'Loop')


def count_stock_loops(cls):
    original = cls.__init__

    def __init__(self, *args, **kwargs):
        Seen.loops += 1
        original(self, *args, **kwargs)

    cls.__init__ = __init__


def tracing_members(target):
    """Attributes for a subclass of target that notes private names."""

    def note(name):
        if not name.startswith('_') or name.startswith('__'):
            return
        file = sys._getframe(2).f_code.co_filename
        if file.endswith('unittest/mock.py'):
            Seen.private['mock.patch:' + name] += 1
        elif '/test_asyncio/' in file and not file.endswith('/utils.py'):
            Seen.private[name] += 1

    def __getattribute__(self, name):
        note(name)
        return target.__getattribute__(self, name)

    def __setattr__(self, name, value):
        note(name)
        target.__setattr__(self, name, value)

    return {'__getattribute__': __getattribute__, '__setattr__': __setattr__}


def adapter_of(target, trace):
    """The class to hand out wherever the suite asks for a loop."""
    is_stock = target.__module__.startswith('asyncio.')

    def __new__(cls, selector=None):
        return target.__new__(cls)

    def __init__(self, selector=None):
        Seen.loops += 1
        target.__init__(self, *([selector] if is_stock else []))

    members = tracing_members(target) if trace else {}
    members.update(__new__=__new__, __init__=__init__,
                   __module__=target.__module__,
                   __qualname__=target.__qualname__)
    return type(target.__name__, (target,), members)


def install(name, trace):
    """Replaces asyncio's ways to make a loop."""
    import asyncio
    from asyncio import unix_events

    stock = asyncio.SelectorEventLoop
    if name == 'stock' and not trace:
        count_stock_loops(stock)
        return
    adapter = adapter_of(stock if name == 'stock' else find_loop(name), trace)
    for module in (asyncio, unix_events):
        module.SelectorEventLoop = adapter
        if hasattr(module, 'EventLoop'):
            module.EventLoop = adapter
    for name in ('_UnixDefaultEventLoopPolicy', '_DefaultEventLoopPolicy'):
        policy = getattr(unix_events, name, None)
        if policy:
            policy._loop_factory = staticmethod(adapter)


def close_by_public_names(loop):
    if not loop.is_closed() and not loop.is_running():
        loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()


def patch_close_loop(package):
    """TestCase.close_loop reads BaseEventLoop's executor: not every loop's."""
    try:
        utils = importlib.import_module(package + '.utils')
    except ImportError:
        return
    original = utils.TestCase.close_loop

    def close_loop(loop):
        own = hasattr(loop, '_default_executor')
        (original if own else close_by_public_names)(loop)

    utils.TestCase.close_loop = staticmethod(close_loop)


class Log:
    """Events for the parent, in the order in which they happened."""

    def __init__(self, path):
        self.pid = os.getpid()
        self.fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def write(self, event, **what):
        if os.getpid() == self.pid:  # not a child that a test has forked
            what['event'] = event
            os.write(self.fd, (json.dumps(what) + '\n').encode())


class Result(unittest.TestResult):
    """Sends each test's result to the log."""

    def __init__(self, log, ids):
        super().__init__()
        self.log = log
        self.ids = ids  # by the test's identity: names come twice
        self.state = 'passed'
        self.detail = ''
        self.began = 0.0

    def startTest(self, test):
        super().startTest(test)
        Seen.loops = 0
        Seen.private = collections.Counter()
        self.state, self.detail = 'passed', ''
        self.began = time.monotonic()
        self.log.write('start', id=self.ids[id(test)])

    def stopTest(self, test):
        self.log.write('end', id=self.ids[id(test)], st=self.state,
                       detail=self.detail, loops=Seen.loops,
                       private=dict(Seen.private),
                       sec=round(time.monotonic() - self.began, 3))
        super().stopTest(test)

    def becomes(self, test, state, detail=''):
        if id(test) not in self.ids:  # setUpClass, setUpModule
            self.log.write('fixture', id=str(test), detail=detail[-4000:])
            return
        self.state = max(self.state, state, key=RANKS.index)
        self.detail = (self.detail + detail)[-MAX_DETAIL:]

    def addError(self, test, err):
        self.becomes(test, 'error', self._exc_info_to_string(err, test))

    def addFailure(self, test, err):
        self.becomes(test, 'failed', self._exc_info_to_string(err, test))

    def addSubTest(self, test, subtest, err):
        if err is not None:
            failed = issubclass(err[0], test.failureException)
            self.becomes(test, 'failed' if failed else 'error',
                         self._exc_info_to_string(err, test))

    def addSkip(self, test, reason):
        self.becomes(test, 'skipped', str(reason))

    def addExpectedFailure(self, test, err):
        self.becomes(test, 'xfail')

    def addUnexpectedSuccess(self, test):
        self.becomes(test, 'xpass')


def flatten(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from flatten(test)
        else:
            yield test


def named(tests):
    """(name, test), where a name that comes again has a number."""
    seen = collections.Counter()
    for test in tests:
        name = test.id()
        seen[name] += 1
        yield name + (f'#{seen[name]}' if seen[name] > 1 else ''), test


def prepare_process():
    faulthandler.enable()
    ctypes.CDLL(None).prctl(DEATH_SIGNAL, signal.SIGKILL)
    # A shell's background job hands these down ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)


def chosen(order, pairs):
    """Those that are asked for: by a whole name, or by its beginning."""
    for name, test in pairs:
        wanted = order['only'] is None or any(
            name == only or name.startswith(only + '.')
            for only in order['only'])
        if wanted:
            yield name, test


def run(order, log):
    install(order['loop'], order['trace'])
    patch_close_loop(order['package'])
    from test import support
    support.verbose = 0
    name = f'{order["package"]}.{order["module"]}'
    try:
        suite = unittest.defaultTestLoader.loadTestsFromName(name)
    except unittest.SkipTest as skip:  # a module for Windows
        log.write('module_skip', detail=str(skip))
        return
    pairs = list(chosen(order, named(flatten(suite))))
    log.write('list', ids=[name for name, _ in pairs])
    done = set(order['done'])
    pairs = [pair for pair in pairs if pair[0] not in done]
    result = Result(log, {id(test): name for name, test in pairs})
    unittest.TestSuite(test for _, test in pairs).run(result)


def main(order):
    prepare_process()
    log = Log(order['log'])
    run(order, log)
    log.write('done')
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # what a broken loop left behind must not hold us


if __name__ == '__main__':
    main(json.loads(sys.argv[1]))
