# SPDX-License-Identifier: MIT
"""
Runs modules of CPython's test_asyncio, each in processes of its own.

A test that exceeds its limit, or kills its process, is recorded as such; its
process group is killed, and the module goes on with the next test.

A result is a dict: `st` is one of STATES, `detail` a traceback or reason,
`loops` how many loops under test the test made, `sec` how long it took.
"""

import concurrent.futures
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PACKAGE = 'test.test_asyncio'
STATES = ('passed', 'failed', 'error', 'skipped', 'xfail', 'xpass',
          'timeout', 'crash', 'notrun')
GOOD = ('passed', 'xfail')
BAD = ('failed', 'error', 'xpass', 'timeout', 'crash', 'notrun')
INSIDE = Path(__file__).resolve().with_name('cpython_suite_inside.py')


class Plan:
    """What holds for all modules of a run."""

    def __init__(self, loop, *, python=sys.executable, package=PACKAGE,
                 timeout=30, trace=False, jobs=1):
        self.loop = loop
        self.python = python
        self.package = package
        self.timeout = timeout
        self.trace = trace
        self.jobs = jobs

    def on_stock(self):
        return Plan('stock', python=self.python, package=self.package,
                    timeout=self.timeout, jobs=self.jobs)

    def alone(self):
        """The same, one process after the other."""
        return Plan(self.loop, python=self.python, package=self.package,
                    timeout=self.timeout)

    def short(self, test):
        """A test's name without the package's."""
        return test.removeprefix(self.package + '.')

    def all_modules(self):
        code = (f'import os, {self.package} as package\n'
                'print(*os.listdir(package.__path__[0]))')
        names = subprocess.check_output([self.python, '-c', code], text=True)
        return sorted(name[:-3] for name in names.split()
                      if name.startswith('test_') and name.endswith('.py'))


class Process:
    """One process that works at a module: its log, its end."""

    def __init__(self, order, plan, folder):
        self.plan = plan
        self.log = Path(folder, 'log')
        self.errors = Path(folder, 'err')
        self.position = 0
        self.running = None  # the test that has begun and not ended
        self.since = time.monotonic()
        self.timed_out = False
        self.done = False
        order = dict(order, log=str(self.log))
        work = Path(folder, 'work')
        work.mkdir()
        with open(self.errors, 'wb') as err:
            self.child = subprocess.Popen(
                [plan.python, str(INSIDE), json.dumps(order)],
                stdin=subprocess.DEVNULL, stdout=err, stderr=err, cwd=work,
                start_new_session=True)

    def events(self):
        """What has come since the last call."""
        try:
            data = self.log.read_bytes()[self.position:]
        except FileNotFoundError:
            return
        data = data[:data.rfind(b'\n') + 1]
        self.position += len(data)
        for line in data.splitlines():
            event = json.loads(line)
            self.since = time.monotonic()
            if event['event'] == 'start':
                self.running = event['id']
            elif event['event'] == 'end':
                self.running = None
            elif event['event'] == 'done':
                self.done = True
            yield event

    def watch(self):
        """All events, until the process is over and gone."""
        while not self.done and self.child.poll() is None:
            yield from self.events()
            silence = time.monotonic() - self.since
            limit = self.plan.timeout * (1 if self.running else 2)
            if silence > limit:
                self.timed_out = True
                self.abort()
                break
            time.sleep(0.02)
        self.kill()
        yield from self.events()

    def abort(self):
        """Lets it print its stacks."""
        os.kill(self.child.pid, signal.SIGABRT)
        try:
            self.child.wait(2)
        except subprocess.TimeoutExpired:
            pass

    def kill(self):
        try:
            os.killpg(self.child.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.child.wait()

    def last_words(self):
        return self.errors.read_bytes()[-3000:].decode(errors='replace')


class Module:
    """One module's results, over as many processes as it takes."""

    def __init__(self, plan, name, only=None):
        self.plan = plan
        self.name = name
        self.only = only
        self.ids = []
        self.results = {}
        self.notes = []
        self.seconds = 0.0

    def run(self):
        began = time.monotonic()
        while True:
            before = len(self.results)
            finished = self.run_process()
            if finished or not self.missing():
                break
            if len(self.results) == before:
                break  # it dies between the tests
        why = '; '.join(self.notes)[-1500:]
        for name in self.missing():
            self.results[name] = {'st': 'notrun', 'detail': why}
        self.seconds = time.monotonic() - began
        return self

    def missing(self):
        return [name for name in self.ids if name not in self.results]

    def order(self):
        return {'loop': self.plan.loop, 'package': self.plan.package,
                'module': self.name, 'trace': self.plan.trace,
                'only': self.only, 'done': list(self.results)}

    def run_process(self):
        with tempfile.TemporaryDirectory(
                prefix='rota-suite-', ignore_cleanup_errors=True) as folder:
            process = Process(self.order(), self.plan, folder)
            for event in process.watch():
                self.take(event)
            if process.done:
                return True
            detail = f'{process.child.returncode}\n{process.last_words()}'
        if process.running:
            state = 'timeout' if process.timed_out else 'crash'
            self.results[process.running] = {'st': state, 'detail': detail}
        elif not self.ids:
            self.results[self.name] = {'st': 'error', 'detail': detail}
        else:
            self.notes.append(f'{self.name}: ended between tests: {detail}')
        return False

    def take(self, event):
        kind = event.pop('event')
        if kind == 'list':
            self.ids = event['ids']
        elif kind == 'end':
            self.results[event['id']] = event
        elif kind == 'module_skip':
            self.results[self.name] = dict(event, st='skipped')
        elif kind == 'fixture':
            self.notes.append(f'{event["id"]}: {event["detail"]}')


def run_modules(plan, only):
    """
    Yields each Module when it is over, in the order of `only`: a dict of
    modules, each with the tests to run, or None for all.
    """
    with concurrent.futures.ThreadPoolExecutor(plan.jobs) as pool:
        modules = [Module(plan, name, tests) for name, tests in only.items()]
        yield from pool.map(Module.run, modules)
