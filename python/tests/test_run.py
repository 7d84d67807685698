# SPDX-License-Identifier: MIT
"""
run_forever, run_until_complete, stop, close: what each does when, and the
errors of using them at the wrong time or place.
"""

import asyncio
import gc
import os
import sys
import threading
import time
import weakref

import pytest
from two_loops import Elapsed, raised, since

CLOSED = RuntimeError, 'Event loop is closed'
RUNNING = RuntimeError, 'This event loop is already running'
ANOTHER = (RuntimeError,
           'Cannot run the event loop while another loop is running')


def throw(exc):
    raise exc


async def answer(value=42):
    await asyncio.sleep(0)
    return value


def test_run_until_complete_returns_the_result(loop):
    assert loop.run_until_complete(answer()) == 42
    future = loop.create_future()
    loop.call_soon(future.set_result, 'x')
    assert loop.run_until_complete(future) == 'x'
    assert loop.run_until_complete(future) == 'x'  # done already


def test_run_until_complete_takes_awaitables_and_tasks(loop):
    class Awaitable:
        def __await__(self):
            yield
            return 7

    assert loop.run_until_complete(Awaitable()) == 7
    assert loop.run_until_complete(loop.create_task(answer(8))) == 8


def test_run_until_complete_raises_what_was_raised(loop):
    async def fail():
        raise KeyError('key')

    assert raised(loop.run_until_complete, fail()) == (KeyError, "'key'")
    assert loop.run_until_complete(answer()) == 42


def test_run_until_complete_raises_the_cancellation(loop):
    async def fail():
        asyncio.current_task().cancel()
        await asyncio.sleep(10)

    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(fail())


@pytest.mark.parametrize('wrong', [None, 5, 'text', print])
def test_run_until_complete_refuses_what_is_no_awaitable(loop, wrong):
    with pytest.raises(TypeError, match='(is|are) required'):
        loop.run_until_complete(wrong)
    assert not loop.is_running()


def test_run_until_complete_refuses_the_future_of_another_loop(new_loop):
    loop, other = new_loop(), new_loop()
    kind, text = raised(loop.run_until_complete, other.create_future())
    assert kind is ValueError
    assert text.startswith('The future belongs to a different loop')


def test_a_loop_that_is_stopped_before_the_future_is_done(loop):
    future = loop.create_future()
    loop.call_soon(loop.stop)
    assert raised(loop.run_until_complete, future) == (
        RuntimeError, 'Event loop stopped before Future completed.')
    assert not future.done()
    future.set_result(1)
    assert loop.run_until_complete(future) == 1


def test_a_task_that_is_left_pending_is_not_reported(loop):
    loop.call_soon(loop.stop)
    assert raised(loop.run_until_complete, asyncio.sleep(1000))[0] is (
        RuntimeError)
    gc.collect()


def test_the_done_callback_is_removed_after_an_interruption(loop):
    future = loop.create_future()

    def interrupt():
        raise KeyboardInterrupt

    loop.call_soon(interrupt)
    assert raised(loop.run_until_complete, future)[0] is KeyboardInterrupt
    future.set_result(None)
    seen = []
    loop.call_soon(lambda: loop.call_soon(seen.append, 1))
    assert loop.run_until_complete(answer()) == 42
    loop.call_later(0, loop.stop)
    loop.run_forever()
    assert seen == [1]


def test_stop_before_the_run_runs_one_turn(loop):
    seen = []
    loop.call_soon(lambda: loop.call_soon(seen.append, 'next turn'))
    loop.call_soon(seen.append, 'this turn')
    loop.stop()
    loop.run_forever()
    assert seen == ['this turn']
    loop.stop()
    loop.run_forever()
    assert seen == ['this turn', 'next turn']


def test_stop_ends_the_run_after_the_turn_in_hand(loop):
    seen = []
    loop.call_soon(loop.stop)
    loop.call_soon(seen.append, 'same turn')
    loop.call_soon(lambda: loop.call_soon(seen.append, 'next turn'))
    loop.run_forever()
    assert seen == ['same turn']


def test_stop_counts_once(loop):
    seen = []
    loop.stop()
    loop.stop()
    loop.run_forever()
    loop.call_later(0.001, seen.append, 1)
    loop.call_later(0.002, loop.stop)
    loop.run_forever()
    assert seen == [1]


def test_a_run_can_be_resumed(loop):
    seen = []

    async def body():
        for number in range(6):
            seen.append(number)
            if number in (1, 3):
                loop.stop()
            await asyncio.sleep(0)

    task = loop.create_task(body())
    loop.run_forever()
    assert seen == [0, 1]
    loop.run_forever()
    assert seen == [0, 1, 2, 3]
    loop.run_until_complete(task)
    assert seen == [0, 1, 2, 3, 4, 5]


def test_is_running_and_is_closed(new_loop):
    loop = new_loop()
    assert (loop.is_running(), loop.is_closed()) == (False, False)
    seen = []
    loop.call_soon(lambda: seen.append((loop.is_running(), loop.is_closed())))
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert seen == [(True, False)]
    assert (loop.is_running(), loop.is_closed()) == (False, False)
    loop.close()
    loop.close()
    assert (loop.is_running(), loop.is_closed()) == (False, True)


def test_what_a_loop_prints(new_loop):
    loop = new_loop()
    name = type(loop).__name__
    assert repr(loop) == f'<{name} running=False closed=False debug=False>'
    loop.set_debug(True)
    loop.call_soon(lambda: seen.append(repr(loop)))
    loop.stop()
    seen = []
    loop.run_forever()
    assert seen == [f'<{name} running=True closed=False debug=True>']
    loop.close()
    assert repr(loop) == f'<{name} running=False closed=True debug=True>'


def test_the_running_loop_is_set_while_it_runs(loop):
    seen = []
    loop.call_soon(lambda: seen.append(asyncio.get_running_loop()))
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert seen == [loop]
    assert raised(asyncio.get_running_loop) == (
        RuntimeError, 'no running event loop')


async def test_a_running_loop_cannot_be_run_again(loop):
    assert raised(loop.run_forever) == RUNNING
    coro = answer()
    assert raised(loop.run_until_complete, coro) == RUNNING
    coro.close()
    assert await answer() == 42  # no harm done


def test_another_loop_cannot_be_run_inside(new_loop):
    loop, other = new_loop(), new_loop()

    async def body():
        assert raised(other.run_forever) == ANOTHER
        coro = answer()
        assert raised(other.run_until_complete, coro) == ANOTHER
        coro.close()
        assert not other.is_running()
        assert asyncio.get_running_loop() is loop

    loop.run_until_complete(body())
    assert other.run_until_complete(answer()) == 42


async def test_asyncio_run_is_refused_inside(loop):
    coro = answer()
    assert raised(asyncio.run, coro) == (
        RuntimeError, 'asyncio.run() cannot be called from a running event '
        'loop')
    coro.close()


async def test_a_running_loop_cannot_be_closed(loop):
    assert raised(loop.close) == (
        RuntimeError, 'Cannot close a running event loop')
    assert not loop.is_closed()


def test_a_closed_loop_refuses_everything(new_loop):
    loop = new_loop()
    loop.close()
    coro = answer()
    assert raised(loop.run_forever) == CLOSED
    assert raised(loop.run_until_complete, coro) == CLOSED
    assert raised(loop.create_task, coro) == CLOSED
    assert raised(loop.run_in_executor, None, print) == CLOSED
    assert raised(loop.add_reader, 0, print) == CLOSED
    assert raised(loop.add_writer, 0, print) == CLOSED
    assert raised(loop.add_signal_handler, 10, print) == CLOSED
    coro.close()
    assert loop.remove_reader(0) is False
    assert loop.remove_writer(0) is False
    assert loop.remove_signal_handler(10) is False
    loop.stop()
    assert loop.time() > 0


def test_a_loop_can_be_closed_before_it_ran(new_loop, noise):
    loop = new_loop()
    loop.call_soon(print)
    loop.call_later(1, print)
    loop.close()
    assert noise.logged() == []


def test_an_unclosed_loop_warns_and_is_collected(new_loop, noise):
    loop = new_loop.factory()
    loop.call_soon(print)
    loop.call_later(100, print)
    text, ref = repr(loop), weakref.ref(loop)
    loop = None
    gc.collect()
    assert ref() is None
    assert noise.warnings() == [
        (ResourceWarning, f'unclosed event loop {text}')]


def test_a_loop_in_a_thread_of_its_own(new_loop):
    seen = []

    def work(number):
        loop = new_loop()
        seen.append(loop.run_until_complete(answer(number)))
        loop.close()

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seen) == list(range(8))


def test_loops_of_two_threads_talk_to_each_other(new_loop):
    rounds = 200
    loops = [new_loop(), new_loop()]
    counts = [0, 0]

    def hit(which):
        counts[which] += 1
        if counts[which] == rounds:
            loops[which].stop()
        if counts[1 - which] < rounds:
            loops[1 - which].call_soon_threadsafe(hit, 1 - which)

    loops[0].call_soon(hit, 0)
    thread = threading.Thread(target=loops[1].run_forever)
    thread.start()
    loops[0].run_forever()
    thread.join()
    assert counts == [rounds, rounds]


def test_a_loop_may_move_to_another_thread_between_runs(loop):
    seen = []
    assert loop.run_until_complete(answer(1)) == 1

    def work():
        seen.append(loop.run_until_complete(answer(2)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [2]
    assert loop.run_until_complete(answer(3)) == 3


def test_a_running_loop_of_another_thread_is_already_running(loop):
    started = threading.Event()
    loop.call_soon(started.set)
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    started.wait()
    assert raised(loop.run_forever) == RUNNING
    assert raised(loop.close) == (
        RuntimeError, 'Cannot close a running event loop')
    loop.call_soon_threadsafe(loop.stop)
    thread.join()


def in_child(function):
    """The exit status of function() in a forked child."""
    pid = os.fork()
    if pid == 0:
        try:
            os._exit(function())
        except BaseException:
            os._exit(99)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.filterwarnings('ignore')
def test_a_forked_child_has_no_running_loop(new_loop):
    loop = new_loop()

    def child():
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            other = new_loop.factory()
            result = other.run_until_complete(answer(7))
            other.close()
            return result
        return 98

    async def body():
        return in_child(child)

    assert loop.run_until_complete(body()) == 7
    assert loop.run_until_complete(answer()) == 42


def test_a_fork_between_runs_leaves_the_parents_loop_alone(new_loop):
    loop = new_loop()
    seen = []
    loop.call_later(0.01, seen.append, 1)

    def child():
        other = new_loop.factory()
        result = other.run_until_complete(answer(5))
        other.close()
        return result

    assert in_child(child) == 5
    loop.call_later(0.012, loop.stop)
    loop.run_forever()
    assert seen == [1]


def test_an_idle_loop_uses_no_processor(loop):
    start = time.process_time()
    with Elapsed() as elapsed:
        loop.run_until_complete(asyncio.sleep(0.2))
    assert elapsed.seconds >= 0.2
    assert time.process_time() - start < 0.1


def test_asyncio_run_and_runner_take_the_factory(new_loop):
    seen = []

    async def body():
        seen.append(asyncio.get_running_loop())
        return 42

    with asyncio.Runner(loop_factory=new_loop.factory) as runner:
        assert runner.run(body()) == 42
        assert runner.run(body()) == 42
        assert runner.get_loop() is seen[0]
    assert seen[0] is seen[1]
    assert type(seen[0]) is type(new_loop())
    assert seen[0].is_closed()


@since[(3, 12)]
def test_asyncio_run_takes_the_factory(new_loop):
    assert asyncio.run(answer(), loop_factory=new_loop.factory) == 42


def test_a_runner_cancels_what_is_left(new_loop):
    seen = []

    async def other():
        try:
            await asyncio.sleep(1000)
        finally:
            seen.append('cancelled')

    async def body():
        seen.append(asyncio.create_task(other()))
        await asyncio.sleep(0)

    with asyncio.Runner(loop_factory=new_loop.factory) as runner:
        runner.run(body())
    assert seen[1] == 'cancelled'
    assert seen[0].cancelled()


def test_the_loop_is_what_tools_expect(loop):
    assert isinstance(loop, asyncio.AbstractEventLoop)
    assert isinstance(loop, asyncio.BaseEventLoop)
    assert loop.get_debug() is False
    assert loop.get_task_factory() is None
    assert loop.get_exception_handler() is None
    assert loop.slow_callback_duration == 0.1
    weakref.ref(loop)
    loop.an_attribute = 1
    assert loop.an_attribute == 1
    assert loop in {loop}


def test_a_subclass_may_override_what_it_wants(new_loop):
    seen = []

    class Mine(type(new_loop())):
        def call_soon(self, callback, *args, context=None):
            seen.append(callback)
            return super().call_soon(callback, *args, context=context)

        def call_exception_handler(self, context):
            seen.append(context['exception'])

    loop = Mine()
    wrong = ZeroDivisionError()
    loop.call_soon(throw, wrong)
    assert loop.run_until_complete(answer()) == 42
    loop.close()
    assert wrong in seen
    assert len(seen) > 2


def test_a_subclass_may_give_the_arguments_by_name(new_loop):
    class Mine(type(new_loop())):
        def call_soon(self, callback, *args, context=None):
            return super().call_soon(callback=callback, context=context)

        def call_soon_threadsafe(self, callback, *args, context=None):
            return super().call_soon_threadsafe(callback=callback)

        def call_later(self, delay, callback, *args, context=None):
            return super().call_later(delay=delay, callback=callback)

        def call_at(self, when, callback, *args, context=None):
            return super().call_at(when, callback=callback)

    loop = Mine()
    seen = []
    loop.call_soon(lambda: seen.append('soon'))
    loop.call_soon_threadsafe(lambda: seen.append('from a thread'))
    loop.call_at(loop.time(), lambda: seen.append('at'))
    loop.call_later(0.001, lambda: (seen.append('later'), loop.stop()))
    loop.run_forever()
    loop.close()
    assert seen == ['soon', 'from a thread', 'at', 'later']


def test_recursion_errors_in_a_callback_are_reported(loop, noise):
    def deep():
        deep()

    loop.call_soon(deep)
    loop.call_soon(loop.stop)
    loop.run_forever()
    record, = noise.records()
    assert record.exc_info[0] is RecursionError
    assert sys.getrecursionlimit() > 100
