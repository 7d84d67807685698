# SPDX-License-Identifier: MIT
"""
call_later and call_at: never early, in order, cancelled, refused.
"""

import asyncio
import gc
import math
import random
import weakref

import pytest
from two_loops import Elapsed, eventually, raised


def run_for(loop, seconds):
    loop.call_later(seconds, loop.stop)
    loop.run_forever()


@pytest.mark.parametrize('delay', [0, 0.0004, 0.0013, 0.01, 0.0257])
def test_a_timer_is_never_early(loop, delay):
    times = []

    def callback(due):
        times.append(loop.time() - due)
        if len(times) == 10:
            loop.stop()
        else:
            loop.call_later(delay, callback, loop.time() + delay)

    resolution = 1e-6  # asyncio: the clock's, 1e-9
    loop.call_later(delay, callback, loop.time() + delay)
    loop.run_forever()
    assert min(times) > -resolution
    assert min(times) < 0.05


def test_timers_fire_in_the_order_of_their_times(loop):
    seen = []
    delays = [n / 1000 for n in range(20)]
    random.Random(1).shuffle(delays)
    base = loop.time()
    for delay in delays:
        loop.call_at(base + delay, seen.append, delay)
    run_for(loop, 0.03)
    assert seen == sorted(delays)


def test_timers_that_are_long_due_fire_by_time_and_before_later_calls(loop):
    seen = []
    base = loop.time()
    loop.call_soon(seen.append, 'soon')
    for number in (3, 1, 2):
        loop.call_at(base - number, seen.append, -number)
    loop.call_soon(seen.append, 'soon too')
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert seen == ['soon', 'soon too', -3, -2, -1]


def test_a_thousand_timers_of_random_times_fire_in_order(loop):
    seen = []
    choose = random.Random(7)
    base = loop.time()
    whens = [base + choose.random() / 100 for _ in range(1000)]
    for when in whens:
        loop.call_at(when, seen.append, when)
    run_for(loop, 0.03)
    assert seen == sorted(whens)


def test_call_later_takes_ints_floats_and_negative_delays(loop):
    seen = []
    handle = loop.call_later(-5, seen.append, 'negative')
    assert handle.when() < loop.time() - 4
    loop.call_later(0, seen.append, 'zero')
    loop.call_later(False, seen.append, 'false')
    loop.call_later(0.0, seen.append, 'float')
    loop.call_soon(loop.stop)
    loop.run_forever()
    run_for(loop, 0.001)
    assert seen[0] == 'negative'
    assert sorted(seen) == ['false', 'float', 'negative', 'zero']


def test_a_delay_of_zero_waits_for_the_next_poll(loop):
    seen = []

    def callback():
        loop.call_later(0, seen.append, 'timer')
        loop.call_soon(seen.append, 'soon')

    loop.call_soon(callback)
    loop.run_until_complete(eventually(lambda: len(seen) == 2))
    assert sorted(seen) == ['soon', 'timer']


def test_what_a_timer_adds_runs_in_a_later_turn(loop):
    seen = []

    def first():
        loop.call_soon(seen.append, 'added')
        seen.append('first')

    base = loop.time()
    loop.call_at(base, first)
    loop.call_at(base, seen.append, 'second')
    loop.run_until_complete(eventually(lambda: len(seen) == 3))
    assert seen.index('added') > seen.index('first')
    assert sorted(seen) == ['added', 'first', 'second']


def test_a_time_that_is_no_number_has_come(loop):
    seen = []
    later = loop.call_later(math.nan, seen.append, 'later')
    assert math.isnan(later.when())
    loop.run_until_complete(eventually(lambda: seen == ['later']))
    loop.call_at(math.nan, seen.append, 'at')
    loop.run_until_complete(eventually(lambda: seen == ['later', 'at']))


def test_when_is_the_time_asked_for(loop):
    when = loop.time() + 1000
    assert loop.call_at(when, print).when() == when
    base = loop.time()
    handle = loop.call_later(500.25, print)
    assert base + 500.25 <= handle.when() <= loop.time() + 500.25
    assert type(handle.when()) is float


def test_the_time_is_that_of_time_monotonic(loop):
    import time
    before = time.monotonic()
    now = loop.time()
    assert before <= now <= time.monotonic()
    assert type(now) is float


def test_cancelled_timers_do_not_fire(loop):
    seen = []
    handles = [loop.call_later(0.001 * (n % 3), seen.append, n)
               for n in range(30)]
    for handle in handles[::2]:
        handle.cancel()
        handle.cancel()
    run_for(loop, 0.01)
    assert sorted(seen) == list(range(1, 30, 2))


def test_a_timer_cancels_another_that_is_due_in_the_same_turn(loop):
    seen = []
    base = loop.time()
    loop.call_at(base - 2, lambda: handle.cancel())
    handle = loop.call_at(base - 1, seen.append, 1)
    run_for(loop, 0.002)
    assert seen == []


def test_a_timer_may_cancel_itself_and_be_cancelled_after_it_fired(loop):
    seen = []

    def callback():
        handle.cancel()
        gc.collect()
        seen.append(handle.cancelled())

    handle = loop.call_later(0, callback)
    run_for(loop, 0.002)
    handle.cancel()
    assert seen == [True]


def test_cancelled_timers_let_go_of_their_callbacks(loop):
    class Thing:
        def method(self):
            pass

    thing = Thing()
    ref = weakref.ref(thing)
    handle = loop.call_later(1000, thing.method)
    del thing
    assert ref() is not None
    handle.cancel()
    assert ref() is None


def test_many_timers_are_armed_and_cancelled(loop):
    seen = []
    for _ in range(50):
        handles = [loop.call_later(100 + n, print) for n in range(200)]
        for handle in handles:
            handle.cancel()
    loop.call_later(0.001, seen.append, 1)
    run_for(loop, 0.005)
    assert seen == [1]


def test_a_distant_timer_does_not_keep_the_loop_from_waking(loop):
    handle = loop.call_later(1e9, print)
    further = loop.call_later(1e300, print)
    seen = []
    loop.call_later(0.002, seen.append, 1)
    run_for(loop, 0.004)
    assert seen == [1]
    handle.cancel()
    further.cancel()


def test_an_infinite_time_never_comes(loop):
    handle = loop.call_at(float('inf'), print)
    run_for(loop, 0.002)
    assert not handle.cancelled()
    assert handle.when() == float('inf')


def test_sleeping_takes_as_long_as_was_asked_for(loop):
    with Elapsed() as elapsed:
        loop.run_until_complete(asyncio.sleep(0.02))
    assert elapsed.seconds >= 0.02


@pytest.mark.parametrize('debug', [False, True])
def test_none_is_no_time(new_loop, debug):
    loop = new_loop(debug=debug)
    assert raised(loop.call_later, None, print) == (
        TypeError, 'delay must not be None')
    assert raised(loop.call_at, None, print) == (
        TypeError, 'when cannot be None')


def test_missing_arguments_are_type_errors(loop):
    for call in [lambda: loop.call_later(), lambda: loop.call_at(),
                 lambda: loop.call_later(1), lambda: loop.call_at(1),
                 lambda: loop.call_later('1', print)]:
        with pytest.raises(TypeError):
            call()


def test_the_arguments_may_be_given_by_name(loop):
    seen = []
    loop.call_later(delay=0, callback=lambda: seen.append(1))
    loop.call_at(when=loop.time(), callback=lambda: seen.append(2))
    loop.call_soon(callback=lambda: seen.append(3))
    loop.call_soon_threadsafe(callback=lambda: seen.append(4))
    run_for(loop, 0.002)
    assert sorted(seen) == [1, 2, 3, 4]


@pytest.mark.parametrize('debug', [False, True])
def test_a_closed_loop_takes_no_timers(new_loop, debug):
    loop = new_loop(debug=debug)
    loop.close()
    assert raised(loop.call_later, 1, print) == (
        RuntimeError, 'Event loop is closed')
    assert raised(loop.call_at, 1, print) == (
        RuntimeError, 'Event loop is closed')


def test_timers_of_a_closed_loop_are_let_go(new_loop):
    class Thing:
        def method(self):
            pass

    loop = new_loop()
    thing = Thing()
    ref = weakref.ref(thing)
    loop.call_later(1000, thing.method)
    loop.call_soon(thing.method)
    loop.close()
    del thing
    gc.collect()
    assert ref() is None


def test_a_timer_outlives_its_closed_loop(new_loop):
    loop = new_loop()
    handle = loop.call_later(1000, print)
    soon = loop.call_soon(print)
    loop.close()
    del loop
    gc.collect()
    handle.cancel()
    soon.cancel()
    assert handle.cancelled() and soon.cancelled()


def test_wait_for_and_timeout_end_what_takes_too_long(loop):
    async def body():
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.sleep(100), 0.002)
        with pytest.raises(asyncio.TimeoutError):
            async with asyncio.timeout(0.002):
                await asyncio.sleep(100)
        async with asyncio.timeout(100) as scope:
            scope.reschedule(loop.time() + 50)
        assert await asyncio.wait_for(asyncio.sleep(0, 7), 100) == 7

    loop.run_until_complete(body())
