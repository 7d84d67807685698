#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""
What loop/ promises to the Python face: callbacks, the GIL, signals.

proof_case.py says how to run it.
"""

import asyncio
import contextvars
import functools
import gc
import os
import signal
import socket
import sys
import threading
import time
import weakref
from contextlib import contextmanager

from proof_case import (main, new_loop, problems, raises, restored, run_for,
                        test, thread_of)
from _rota_proof import Loop


# Callbacks


@test
def callbacks_run_in_order_each_in_its_context():
    variable = contextvars.ContextVar('variable', default=0)
    seen = []

    def callback(name, *rest):
        seen.append((name, variable.get(), *rest))
        variable.set(99)

    given = contextvars.copy_context()
    given.run(variable.set, 7)
    with new_loop() as loop:
        for name in range(3):
            variable.set(name)
            loop.call_soon(callback, name, 'more')
        loop.call_soon(callback, 'given', context=given)
        loop.call_soon(callback, 'again', context=given)
        loop.call_soon(loop.stop)
        loop.run_forever()
    assert seen == [(0, 0, 'more'), (1, 1, 'more'), (2, 2, 'more'),
                    ('given', 7), ('again', 99)], seen
    assert variable.get() == 2


@test
def what_a_callback_adds_runs_in_the_next_turn():
    seen = []
    with new_loop() as loop:
        loop.call_soon(lambda: loop.call_soon(seen.append, 'later'))
        loop.call_soon(seen.append, 'now')
        loop.run_once()
        assert seen == ['now']
        loop.run_once()
    assert seen == ['now', 'later']


@test
def a_bound_method_and_a_c_function_are_called_with_their_arguments():
    class Thing:
        def method(self, *args):
            gc.collect()  # while args[-1] is borrowed for self
            seen.append((self, args))

    thing = Thing()
    seen = []
    with new_loop() as loop:
        loop.call_soon(thing.method)
        loop.call_soon(thing.method, 1, 2)
        loop.call_soon(seen.append, 3)
        loop.run_once()
    assert seen == [(thing, ()), (thing, (1, 2)), 3]


@test
def timers_fire_in_order_and_never_early():
    seen = []
    with new_loop() as loop:
        start = loop.time()

        def fire(delay):
            seen.append(delay)
            assert loop.time() >= start + delay

        for delay in (0.03, 0.01, 0.02, -1):
            loop.call_later(delay, fire, delay)
        loop.call_at(start + 0.015, fire, 0.015)
        loop.call_later(0.04, loop.stop)
        loop.run_forever()
    assert seen == [-1, 0.01, 0.015, 0.02, 0.03], seen
    assert not problems, problems


@test
def a_cancelled_handle_lets_go_of_its_arguments_at_once():
    class Thing:
        pass

    with new_loop() as loop:
        for schedule in (loop.call_soon, loop.call_soon_threadsafe,
                         functools.partial(loop.call_later, 0.0),
                         functools.partial(loop.call_later, 1000.0)):
            thing = Thing()
            watch = weakref.ref(thing)
            handle = schedule(thing.__init__, thing)
            del thing
            assert watch()
            handle.cancel()
            assert handle.cancelled() and not watch()
            handle.cancel()
        loop.run_once()
        assert loop.pending() == 0

        def cancel_myself(*args):
            handle.cancel()
            seen.extend(args)

        seen = []
        handle = loop.call_soon(cancel_myself, object(), Thing())
        loop.run_once()
        assert len(seen) == 2


@test
def an_error_is_reported_and_the_loop_goes_on():
    seen = []
    with new_loop() as loop:
        loop.call_soon(lambda: 1 / 0)
        loop.call_soon(seen.append, 1)
        loop.call_soon(loop.stop)
        loop.run_forever()
    assert seen == [1]
    assert isinstance(problems[0]['exception'], ZeroDivisionError)
    assert problems[0]['exception'].__traceback__


@test
def readers_are_called_while_there_is_something_to_read():
    left, right = socket.socketpair()
    seen = []
    with left, right, new_loop() as loop:

        def read(name):
            seen.append((name, left.recv(1)))
            if len(seen) == 3:
                assert loop.remove_reader(left)
                loop.stop()

        loop.add_reader(left, read, 'replaced')
        loop.add_reader(left, read, 'reader')
        right.send(b'abcd')
        loop.run_forever()
        assert seen == [('reader', byte) for byte in (b'a', b'b', b'c')]
        assert not loop.remove_reader(left)
        raises(OSError, loop.add_reader, 10**6, read)


@test
def a_closed_loop_drops_what_is_queued_and_refuses_more():
    class Thing:
        def __del__(self):
            raises(RuntimeError, loop.call_soon, print)
            other.cancel()
            gone.append(1)

        def use(self):
            pass

    gone = []
    left, right = socket.socketpair()
    loop = Loop()
    loop.call_soon(Thing().use)
    loop.call_later(1000, Thing().use)
    loop.call_soon_threadsafe(Thing().use)
    loop.add_reader(left, Thing().use)
    other = loop.call_soon(print)
    loop.close()
    assert len(gone) == 4 and loop.pending() == 0
    loop.close()
    raises(RuntimeError, loop.run_forever)
    raises(RuntimeError, loop.call_later, 1, print)
    left.close()
    right.close()


# The GIL


@contextmanager
def counting_thread(switch_interval=1000):
    """Counts whenever it gets the GIL, which nobody is made to give up."""
    count = [0]

    def work(done):
        while not done.is_set():
            count[0] += 1
            time.sleep(0)

    with restored(sys.getswitchinterval, sys.setswitchinterval,
                  switch_interval):
        with thread_of(work):
            yield count


@test
def a_wait_that_sleeps_lets_other_threads_run():
    with new_loop() as loop, counting_thread() as count:
        before = count[0]
        run_for(loop, 0.1)
        assert count[0] - before > 10, count[0] - before
        assert loop.waits >= 1


@test
def a_poll_that_returns_at_once_keeps_the_gil():
    """A busy machine may take us off for longer than we keep it at most."""
    counts = set()

    def chain(left):
        if left == 100:
            counts.add(count[0])
        elif left == 0:
            counts.add(count[0])
            loop.stop()
            return
        loop.call_soon(chain, left - 1)

    with new_loop() as loop, counting_thread() as count:
        left, right = socket.socketpair()
        right.send(b'always readable')
        loop.add_reader(left, int)
        for _ in range(20):
            counts.clear()
            loop.call_soon(chain, 100)
            loop.run_forever()
            if len(counts) == 1:
                break
        assert len(counts) == 1, counts
        assert loop.waits == 0
        left.close()
        right.close()


def endless(loop):
    """A callback that is C all through and schedules itself for ever."""
    chain = functools.partial(loop.call_soon)
    chain.__setstate__((loop.call_soon, (chain,), {}, None))
    return chain


@test
def callbacks_in_c_do_not_starve_other_threads():
    with new_loop() as loop, counting_thread(0.005) as count:
        before = count[0]
        loop.call_soon(endless(loop))
        run_for(loop, 0.2)
        assert count[0] - before > 5
        assert loop.waits == 0


@test
def threads_wake_the_loop_and_keep_their_order():
    seen = []

    def post(done):
        for i in range(1000):
            loop.call_soon_threadsafe(seen.append, i)
            if i % 100 == 0:
                time.sleep(0.002)
        loop.call_soon_threadsafe(loop.stop)

    with new_loop() as loop, thread_of(post):
        loop.run_forever()
    assert seen == list(range(1000))


# Signals, and errors that end the run


@contextmanager
def handler(number, function):
    before = signal.signal(number, function)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(number, before)


@test
def sigint_interrupts_a_wait_and_comes_out_of_run_forever():
    def interrupt(done):
        time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    seen = []
    with new_loop() as loop:
        with handler(signal.SIGINT, signal.default_int_handler):
            loop.call_later(0.3, seen.append, 'still there')
            with thread_of(interrupt):
                raises(KeyboardInterrupt, loop.run_forever)
        assert not loop.is_running() and loop.pending() == 1
        assert asyncio._get_running_loop() is None
        run_for(loop, 0.4)
    assert seen == ['still there']


@test
def a_signal_is_seen_before_the_callbacks_that_it_came_with():
    def boom(*_):
        raise OverflowError

    def post(done):
        time.sleep(0.05)
        loop.call_soon_threadsafe(seen.append, 1)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGALRM)

    seen = []
    with new_loop() as loop, handler(signal.SIGALRM, boom):
        with restored(sys.getswitchinterval, sys.setswitchinterval, 1000):
            with thread_of(post):
                raises(OverflowError, loop.run_forever)
        assert seen == [] and loop.pending() == 1
        loop.run_once()
        assert seen == [1]


@test
def a_signal_ends_a_run_of_callbacks_in_c():
    def boom(*_):
        raise OverflowError

    with new_loop() as loop, handler(signal.SIGALRM, boom):
        loop.call_soon(endless(loop))
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        raises(OverflowError, loop.run_forever)
        assert loop.waits == 0 and loop.pending() == 1


@test
def a_signal_to_another_thread_wakes_the_wait_by_the_wakeup_fd():
    left, right = socket.socketpair()
    left.setblocking(False)
    right.setblocking(False)

    def interrupt(done):
        time.sleep(0.05)
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)
        done.wait()

    with left, right, new_loop() as loop:
        loop.add_reader(left, left.recv, 100)
        before = signal.set_wakeup_fd(right.fileno())
        try:
            with handler(signal.SIGINT, signal.default_int_handler):
                with thread_of(interrupt):
                    raises(KeyboardInterrupt, loop.run_forever)
        finally:
            signal.set_wakeup_fd(before)


@test
def a_fatal_error_ends_the_turn_and_leaves_the_rest_queued():
    seen = []

    def fatal(exception):
        seen.append(exception)
        loop.call_soon(seen.append, 'added')
        raise exception

    with new_loop() as loop:
        for exception in (KeyboardInterrupt, SystemExit):
            seen.clear()
            loop.call_soon(seen.append, 1)
            loop.call_soon(fatal, exception)
            loop.call_soon(seen.append, 2)
            raises(exception, loop.run_forever)
            assert seen == [1, exception] and loop.pending() == 2
            loop.run_once()
            assert seen == [1, exception, 2, 'added']


if __name__ == '__main__':
    sys.exit(main())
