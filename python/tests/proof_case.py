# SPDX-License-Identifier: MIT
"""
What the proof's test programs share: a runner that speaks TAP, and loops.

    test_X.py FOLDER [NAME...]   the folder holds the extension

A test is a function, marked @test, whose name is a sentence.
"""

import faulthandler
import os
import sys
import threading
import traceback
from contextlib import contextmanager

if os.environ.get('ROTA_TEST_UNDER') == 'valgrind':
    print('1..0 # SKIP the interpreter itself is not clean')
    sys.exit()

if os.environ.get('ROTA_POLLER') == 'sim':
    print('1..0 # SKIP the interpreter lives in real time')
    sys.exit()

sys.path.insert(0, sys.argv[1])
import _rota_proof  # noqa: E402

TIME_LIMIT = 30 * float(os.environ.get('ROTA_TEST_SLOWNESS') or 1)

tests = []


def test(function):
    tests.append(function)
    return function


def main():
    chosen = [t for t in tests
              if not sys.argv[2:] or t.__name__ in sys.argv[2:]]
    failed = 0
    print(f'1..{len(chosen)}')
    for number, function in enumerate(chosen, 1):
        faulthandler.dump_traceback_later(TIME_LIMIT, exit=True)
        try:
            function()
            print(f'ok {number} - {function.__name__}')
        except BaseException:
            failed += 1
            print(f'not ok {number} - {function.__name__}')
            for line in traceback.format_exc().splitlines():
                print('#', line)
        sys.stdout.flush()
    faulthandler.cancel_dump_traceback_later()
    return failed > 0


problems = []  # what the loop's exception handler was told


@contextmanager
def new_loop():
    loop = _rota_proof.Loop()
    loop.exception_handler = lambda loop, context: problems.append(context)
    problems.clear()
    try:
        yield loop
    finally:
        loop.close()


def run(loop, main):
    """asyncio's run_until_complete, as far as it matters here."""
    task = loop.create_task(main)
    task.add_done_callback(lambda task: loop.stop())
    loop.run_forever()
    return task.result()


def run_for(loop, seconds):
    loop.call_later(seconds, loop.stop)
    loop.run_forever()


@contextmanager
def thread_of(function):
    """Runs function(done) on another thread until the end of the block."""
    done = threading.Event()
    thread = threading.Thread(target=function, args=(done,))
    thread.start()
    try:
        yield thread
    finally:
        done.set()
        thread.join()


@contextmanager
def restored(get, change, value):
    before = get()
    change(value)
    try:
        yield
    finally:
        change(before)


def raises(exception, function, *args):
    try:
        function(*args)
    except exception as caught:
        return caught
    raise AssertionError(f'no {exception.__name__}')
