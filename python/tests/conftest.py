# SPDX-License-Identifier: MIT
"""
Each body under two loops: asyncio's own, which is the oracle, and rota's.

    PYTHONPATH=BUILD/python python3 -m pytest python/tests
        --loops asyncio        only these, names separated by commas; a name is
                               asyncio, rota or MODULE:CALLABLE
        --here                 all in this process: for a debugger

Where ROTA_TEST_UNDER says that something watches (asan, valgrind) it is rota's
alone, because asyncio's is not what is being looked at.

A test asks for the fixture `loop` (a new loop), or `new_loop` (makes loops).
One that is an `async def` is run by `loop`. It must read whatever it makes
asyncio log, warn about or drop on the floor (fixture `noise`), and leave no
descriptor, thread, child or task behind. Each runs in a process of its own,
so that neither a crash nor a hang ends the run. The words of asyncio differ
from version to version: what is compared with texts was run on asyncio.
"""

import asyncio
import ctypes
import faulthandler
import gc
import importlib
import inspect
import json
import logging
import os
import re
import select
import signal
import sys
import tempfile
import threading
import time
import traceback
import warnings

import pytest
from _pytest.runner import runtestprotocol

TIME_LIMIT = 20 * float(os.environ.get('ROTA_TEST_SLOWNESS') or 1)
UNDER = os.environ.get('ROTA_TEST_UNDER')


def pytest_addoption(parser):
    parser.addoption('--loops', default='rota' if UNDER else 'asyncio,rota')
    parser.addoption('--here', action='store_true')


def pytest_configure(config):
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # in the background
        signal.signal(signal.SIGINT, signal.default_int_handler)
    warnings.filterwarnings('ignore', category=DeprecationWarning,
                            module='_pytest')


def pytest_generate_tests(metafunc):
    if 'new_loop' in metafunc.fixturenames:
        names = metafunc.config.getoption('loops').split(',')
        for name in names:
            loop_factory(name)  # imported once, and never skipped in silence
        metafunc.parametrize('new_loop', names, indirect=True)


# Loops


def loop_factory(name):
    if name == 'asyncio':
        return asyncio.SelectorEventLoop
    if name == 'rota':
        name = 'rota:new_event_loop'
    module, _, attribute = name.partition(':')
    return getattr(importlib.import_module(module), attribute)


@pytest.fixture
def new_loop(request, noise):
    """Makes loops; they are closed when the test ends."""
    factory = loop_factory(request.param)
    loops = []

    def new(*, debug=False):
        loop = factory()
        loop.set_debug(debug)
        loops.append(loop)
        return loop

    new.name = request.param
    new.factory = factory
    yield new
    for loop in loops:
        loop.close()


@pytest.fixture
def loop(new_loop):
    return new_loop()


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    if 'noise' in pyfuncitem.funcargs:
        pyfuncitem.funcargs['noise'].listen()  # pytest has hooks of its own
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    loop = pyfuncitem.funcargs['loop']
    names = pyfuncitem._fixtureinfo.argnames
    body = pyfuncitem.obj(**{n: pyfuncitem.funcargs[n] for n in names})
    loop.run_until_complete(settled(body))
    return True


async def settled(body):
    """The body; then a few turns, for connections that are being lost."""
    await body
    for _ in range(10):
        await asyncio.sleep(0)
    left = asyncio.all_tasks() - {asyncio.current_task()}
    assert not left


# What nobody reads


class Noise:
    """What was logged, warned about and dropped, until somebody reads it."""

    def __init__(self):
        self._records = []
        self._warned = []
        self._dropped = []

    def logged(self, level=logging.WARNING):
        """The messages since the last call, from this level on."""
        return [record.getMessage() for record in self.records(level)]

    def records(self, level=logging.WARNING):
        records = [r for r in self._records if r.levelno >= level]
        self._records.clear()
        return records

    def warned(self):
        """The texts of the warnings since the last call."""
        return [text for _, text in self.warnings()]

    def warnings(self):
        """The same, as (category, text)."""
        found = self._warned[:]
        self._warned.clear()
        return found

    def dropped(self):
        """The exceptions since the last call that no one could be given."""
        dropped = self._dropped[:]
        self._dropped.clear()
        return dropped

    def listen(self):
        sys.unraisablehook = self._unraisable
        threading.excepthook = self._thread_failed

    def _warning(self, message, category, *where):
        self._warned.append((category, str(message)))

    def _unraisable(self, info):
        self._dropped.append(info.exc_value)

    def _thread_failed(self, info):
        self._dropped.append(info.exc_value)


class _Keeper(logging.Handler):
    def __init__(self, records):
        super().__init__()
        self.records = records

    def emit(self, record):
        record.msg, record.args = record.getMessage(), ()  # as of now
        self.records.append(record)


@pytest.fixture
def noise():
    seen = Noise()
    logger = logging.getLogger('asyncio')
    keeper = _Keeper(seen._records)
    before = open_fds()
    hooks = sys.unraisablehook, threading.excepthook
    with warnings.catch_warnings():
        warnings.simplefilter('always')
        warnings.showwarning = seen._warning  # a record would keep the source
        seen.listen()
        logger.addHandler(keeper)
        logger.setLevel(logging.DEBUG)
        try:
            yield seen
            asyncio.set_event_loop(None)
            gc.collect()
        finally:
            logger.removeHandler(keeper)
            sys.unraisablehook, threading.excepthook = hooks
        left = [text for category, text in seen.warnings()
                if not issubclass(category, DeprecationWarning)]
    slow = re.compile('Executing <.* took .* seconds')  # the machine's fault
    logged = [text for text in seen.logged() if not slow.fullmatch(text)]
    assert [logged, left, seen.dropped()] == [[], [], []]
    check_nothing_left(before)


def check_nothing_left(before):
    for thread in threading.enumerate():
        if thread is not threading.current_thread():
            thread.join(5)
    assert threading.enumerate() == [threading.current_thread()]
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
    assert open_fds() == before


def open_fds():
    """The descriptors, each with what it leads to."""
    fds = {}
    for name in os.listdir('/proc/self/fd'):
        try:
            fds[int(name)] = os.readlink(f'/proc/self/fd/{name}')
        except FileNotFoundError:  # the folder itself
            pass
    return fds


# A process for each test


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item, nextitem):
    # What a module's test in this process has set up ends with the module.
    item.session._setupstate.teardown_exact(item)
    if item.config.getoption('here') or 'new_loop' not in item.fixturenames:
        return None
    hook = item.ihook
    hook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for report in reports_of_child(item):
        hook.pytest_runtest_logreport(report=report)
    hook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def reports_of_child(item):
    hook = item.config.hook
    with tempfile.TemporaryFile('w+') as stacks:
        sys.stdout.flush()
        sys.stderr.flush()
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(reading)
            run_child(item, writing, stacks)
        os.close(writing)
        answer, status = answer_of(pid, reading)
        stacks.seek(0)
        if answer.endswith('\n') and status == 0:
            return [restored(item.config, data)
                    for data in json.loads(answer)]
        ended = f'ended by status {os.waitstatus_to_exitcode(status)}'
        return [pytest.TestReport(
            nodeid=item.nodeid, location=item.location, when='call',
            keywords={}, outcome='failed',
            longrepr=f'{ended}\n{stacks.read()}')]


def restored(config, data):
    report = config.hook.pytest_report_from_serializable(
        config=config, data=data)
    if isinstance(report.longrepr, list):
        report.longrepr = tuple(report.longrepr)  # why it was skipped
    return report


def run_child(item, writing, stacks):
    os.setpgid(0, 0)
    gc.freeze()  # pytest's own objects: collections are quick without them
    faulthandler.enable(stacks)
    if UNDER == 'asan':  # stderr is pytest's by now
        ctypes.CDLL(None).__sanitizer_set_report_fd(
            ctypes.c_void_p(stacks.fileno()))
    faulthandler.dump_traceback_later(TIME_LIMIT, exit=True, file=stacks)
    try:
        reports = runtestprotocol(item, log=False, nextitem=None)
        hook = item.config.hook
        text = json.dumps([hook.pytest_report_to_serializable(
            config=item.config, report=report) for report in reports])
        with open(writing, 'w') as pipe:
            pipe.write(text + '\n')
    except BaseException:  # a KeyboardInterrupt that nobody expected
        traceback.print_exc(file=stacks)
        stacks.flush()
    os._exit(0)


def answer_of(pid, reading):
    """What the child wrote, and its status: killed if it overstays."""
    deadline = time.monotonic() + TIME_LIMIT + 5
    parts = []
    os.set_blocking(reading, False)
    poll = select.poll()
    poll.register(reading, select.POLLIN)
    try:
        while True:
            left = deadline - time.monotonic()
            if left <= 0 or not poll.poll(left * 1000):
                break
            part = os.read(reading, 1 << 20)
            parts.append(part)
            if not part or part.endswith(b'\n'):
                break
    finally:
        os.close(reading)
        if not parts or not parts[-1].endswith(b'\n'):
            kill_group(pid)
        status = os.waitpid(pid, 0)[1]
    return b''.join(parts).decode(), status


def kill_group(pid):
    """What the dead or stuck test has started goes with it."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
