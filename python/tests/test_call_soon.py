# SPDX-License-Identifier: MIT
"""
call_soon and call_soon_threadsafe: order, arguments, contexts, refusals.
"""

import asyncio
import contextvars
import functools
import gc
import sys
import threading
import weakref

import pytest
from two_loops import Elapsed, raised

variable = contextvars.ContextVar('variable', default=0)


def run(loop):
    """One turn and what it leads to, until the loop is idle."""
    loop.call_soon(loop.stop)
    loop.run_forever()


def test_callbacks_run_in_the_order_of_their_calls(loop):
    seen = []
    for number in range(100):
        loop.call_soon(seen.append, number)
    run(loop)
    assert seen == list(range(100))


def test_nothing_runs_before_the_loop_does(loop):
    seen = []
    loop.call_soon(seen.append, 1)
    assert seen == []
    run(loop)
    assert seen == [1]


def test_what_a_callback_adds_runs_in_the_next_turn(loop):
    seen = []

    def first():
        seen.append('first')
        loop.call_soon(third)

    def third():
        seen.append('third')

    loop.call_soon(first)
    loop.call_soon(seen.append, 'second')
    run(loop)
    assert seen == ['first', 'second']
    run(loop)
    assert seen == ['first', 'second', 'third']


@pytest.mark.parametrize('count', [0, 1, 2, 3, 5, 20])
def test_arguments_arrive_as_they_were_given(loop, count):
    seen = []
    args = tuple(object() for _ in range(count))
    loop.call_soon(lambda *given: seen.append(given), *args)
    loop.call_soon_threadsafe(lambda *given: seen.append(given), *args)
    run(loop)
    run(loop)
    assert seen == [args, args]


@pytest.mark.parametrize('name', ['call_soon', 'call_soon_threadsafe'])
def test_keywords_but_context_are_refused(loop, name):
    method = getattr(loop, name)
    with pytest.raises(TypeError):
        method(print, end='')
    with pytest.raises(TypeError):
        method()
    with pytest.raises(TypeError):
        method(context=contextvars.copy_context())


def test_every_kind_of_callable_is_called(loop):
    seen = []

    class Thing:
        def method(self, *args):
            seen.append((self, args))

        def __call__(self, *args):
            seen.append((self, *args))

        @classmethod
        def of_class(cls, *args):
            seen.append((cls, args))

        @staticmethod
        def static(*args):
            seen.append(args)

    thing = Thing()
    loop.call_soon(thing.method, 1)
    loop.call_soon(thing, 2)
    loop.call_soon(Thing.of_class, 3)
    loop.call_soon(Thing.static, 4)
    loop.call_soon(functools.partial(seen.append, 5))
    loop.call_soon(functools.partial(lambda *a, **k: seen.append((a, k)),
                                     6, key=7), 8)
    loop.call_soon(seen.append, 9)
    loop.call_soon(weakref.WeakMethod(thing.method))
    run(loop)
    assert seen == [(thing, (1,)), (thing, 2), (Thing, (3,)), (4,), 5,
                    ((6, 8), {'key': 7}), 9]


def test_a_callback_and_its_arguments_are_let_go_after_the_run(loop):
    class Thing:
        def method(self, other):
            pass

    thing, other = Thing(), Thing()
    refs = weakref.ref(thing), weakref.ref(other)
    loop.call_soon(thing.method, other)
    del thing, other
    assert None not in [ref() for ref in refs]
    run(loop)
    assert [ref() for ref in refs] == [None, None]


def test_the_context_is_a_copy_made_at_the_call(loop):
    seen = []
    variable.set(1)
    loop.call_soon(lambda: seen.append(variable.get()))
    variable.set(2)
    loop.call_soon_threadsafe(lambda: seen.append(variable.get()))
    variable.set(3)
    loop.call_later(0, lambda: seen.append(variable.get()))
    loop.call_at(loop.time(), lambda: seen.append(variable.get()))
    variable.set(4)
    loop.call_later(0.001, loop.stop)
    loop.run_forever()
    assert seen == [1, 2, 3, 3]


def test_what_a_callback_sets_stays_in_its_context(loop):
    seen = []

    def callback():
        seen.append(variable.get())
        variable.set(9)

    loop.call_soon(callback)
    loop.call_soon(callback)
    run(loop)
    assert seen == [0, 0]
    assert variable.get() == 0


@pytest.mark.parametrize('name', ['call_soon', 'call_soon_threadsafe',
                                  'call_later', 'call_at'])
def test_a_context_that_is_given_is_used_itself(loop, name):
    seen = []
    context = contextvars.copy_context()
    context.run(variable.set, 5)

    def callback():
        seen.append(variable.get())
        variable.set(6)

    when = {'call_later': [0], 'call_at': [loop.time()]}.get(name, [])
    getattr(loop, name)(*when, callback, context=context)
    getattr(loop, name)(*when, callback, context=context)
    loop.call_later(0.001, loop.stop)
    loop.run_forever()
    assert seen == [5, 6]
    assert context[variable] == 6


@pytest.mark.parametrize('name', ['call_soon', 'call_soon_threadsafe'])
def test_context_none_means_the_current_one(loop, name):
    seen = []
    variable.set(3)
    getattr(loop, name)(lambda: seen.append(variable.get()), context=None)
    run(loop)
    assert seen == [3]


def test_a_context_that_is_already_entered_is_an_error_for_the_handler(
        loop, noise):
    context = contextvars.copy_context()
    loop.call_soon(print, context=context)
    context.run(run, loop)
    record, = noise.records()
    assert record.getMessage().startswith('Exception in callback print')
    assert record.exc_info[0] is RuntimeError
    assert 'is already entered' in str(record.exc_info[1])


@pytest.mark.parametrize('name', ['call_soon', 'call_soon_threadsafe'])
@pytest.mark.parametrize('debug', [False, True])
def test_a_closed_loop_takes_no_more_callbacks(new_loop, name, debug):
    loop = new_loop(debug=debug)
    loop.close()
    assert raised(getattr(loop, name), print) == (
        RuntimeError, 'Event loop is closed')


def test_cancelled_callbacks_are_not_called(loop):
    seen = []
    handles = [loop.call_soon(seen.append, n) for n in range(10)]
    for handle in handles[::2]:
        handle.cancel()
    run(loop)
    assert seen == [1, 3, 5, 7, 9]


def test_a_callback_cancels_one_of_its_own_turn(loop):
    seen = []
    loop.call_soon(lambda: handle.cancel())
    handle = loop.call_soon(seen.append, 1)
    run(loop)
    assert seen == []
    assert handle.cancelled()


def test_a_callback_may_cancel_itself(loop):
    seen = []

    def callback(value):
        handle.cancel()
        gc.collect()
        seen.append(value)

    handle = loop.call_soon(callback, 'value')
    run(loop)
    assert seen == ['value']
    assert handle.cancelled()


def test_ten_thousand_callbacks_that_beget_each_other_keep_order(loop):
    seen = []

    def callback(number):
        seen.append(number)
        if number < 10000:
            loop.call_soon(callback, number + 100)

    for number in range(100):
        loop.call_soon(callback, number)
    loop.call_later(0, lambda: None)
    while len(seen) < 10100:
        run(loop)
    assert seen == list(range(10100))


# From other threads


def test_a_thread_wakes_a_sleeping_loop(loop):
    def work():
        loop.call_soon_threadsafe(loop.stop)

    sleeping = threading.Event()
    thread = threading.Thread(target=lambda: (sleeping.wait(), work()))
    thread.start()
    alarm = loop.call_later(15, print)
    loop.call_soon(sleeping.set)
    with Elapsed() as elapsed:
        loop.run_forever()
    thread.join()
    alarm.cancel()
    assert elapsed.seconds < 10


def test_the_order_of_one_thread_is_kept(loop):
    seen = []

    def work(name):
        for number in range(2000):
            loop.call_soon_threadsafe(seen.append, (name, number))
        loop.call_soon_threadsafe(done, name)

    ended = []

    def done(name):
        ended.append(name)
        if len(ended) == 3:
            loop.stop()

    threads = [threading.Thread(target=work, args=(n,)) for n in 'abc']
    for thread in threads:
        thread.start()
    loop.run_forever()
    for thread in threads:
        thread.join()
    for name in 'abc':
        assert [n for who, n in seen if who == name] == list(range(2000))


def test_threadsafe_from_the_loops_own_thread_keeps_the_place(loop):
    seen = []
    loop.call_soon(seen.append, 1)
    loop.call_soon_threadsafe(seen.append, 2)
    loop.call_soon(seen.append, 3)
    run(loop)
    assert seen == [1, 2, 3]


def test_a_callback_of_another_thread_can_be_cancelled(loop):
    seen = []
    cancelled = threading.Event()

    def work():
        loop.call_soon_threadsafe(cancelled.wait)
        loop.call_soon_threadsafe(seen.append, 1).cancel()
        loop.call_soon_threadsafe(loop.stop)
        cancelled.set()

    thread = threading.Thread(target=work)
    thread.start()
    loop.run_forever()
    thread.join()
    assert seen == []


def test_the_context_of_the_calling_thread_is_taken(loop):
    seen = []

    def work():
        variable.set('thread')
        loop.call_soon_threadsafe(lambda: seen.append(variable.get()))
        loop.call_soon_threadsafe(loop.stop)

    thread = threading.Thread(target=work)
    thread.start()
    loop.run_forever()
    thread.join()
    assert seen == ['thread']


def test_threads_that_post_while_the_loop_closes_get_an_error(new_loop):
    for _ in range(20):
        loop = new_loop()
        errors = []
        started = threading.Barrier(3)

        def work(loop=loop, errors=errors, started=started):
            started.wait()
            try:
                while True:
                    loop.call_soon_threadsafe(int)
            except RuntimeError as exc:
                errors.append(str(exc))

        threads = [threading.Thread(target=work) for _ in range(2)]
        for thread in threads:
            thread.start()
        started.wait()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
        for thread in threads:
            thread.join()
        assert errors == ['Event loop is closed'] * 2


def test_run_coroutine_threadsafe_returns_results_and_errors(loop):
    async def good():
        await asyncio.sleep(0)
        return 42

    async def bad():
        raise KeyError('bad')

    results = []

    def work():
        results.append(asyncio.run_coroutine_threadsafe(good(), loop).result())
        future = asyncio.run_coroutine_threadsafe(bad(), loop)
        results.append(repr(future.exception()))
        loop.call_soon_threadsafe(loop.stop)

    thread = threading.Thread(target=work)
    thread.start()
    loop.run_forever()
    thread.join()
    assert results == [42, "KeyError('bad')"]


def test_refcounts_of_what_is_queued_are_right(loop):
    def callback(*args):
        pass

    argument = object()
    before = sys.getrefcount(callback), sys.getrefcount(argument)
    for _ in range(100):
        loop.call_soon(callback, argument, argument)
        loop.call_soon(callback, argument).cancel()
        loop.call_soon_threadsafe(callback, argument)
        loop.call_later(0, callback, argument)
        loop.call_later(1000, callback, argument, 5).cancel()
    loop.call_later(0.001, loop.stop)
    loop.run_forever()
    assert (sys.getrefcount(callback), sys.getrefcount(argument)) == before
