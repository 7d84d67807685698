#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""
What loop/ promises to the Python face: asyncio's own tasks and futures, runs
inside of runs, and the garbage collector.

proof_case.py says how to run it.
"""

import asyncio
import gc
import socket
import sys
import time
import tracemalloc
import warnings
import weakref

from proof_case import (main, new_loop, problems, raises, restored, run,
                        run_for, test, thread_of)
from _rota_proof import Loop


# asyncio's own tasks and futures


@test
def tasks_are_the_ones_in_c():
    assert asyncio.Task is __import__('_asyncio').Task

    async def main():
        assert asyncio.get_running_loop() is loop
        assert asyncio.current_task().get_loop() is loop
        return await asyncio.sleep(0, 'result')

    with new_loop() as loop:
        assert run(loop, main()) == 'result'
        assert type(loop.create_future()) is asyncio.Future


@test
def tasks_sleep_gather_and_play_ping_pong():
    async def player(mine, other, serves):
        if serves:
            await other.put(0)
        while (ball := await mine.get()) < 1000:
            await other.put(ball + 1)
        await other.put(ball + 1)
        return ball

    async def main():
        start = time.monotonic()
        await asyncio.sleep(0.01)
        assert time.monotonic() - start >= 0.01
        one, two = asyncio.Queue(), asyncio.Queue()
        balls = await asyncio.gather(player(one, two, True),
                                     player(two, one, False))
        assert sorted(balls) == [1000, 1001], balls
        return await asyncio.gather(
            *(asyncio.sleep(0.01, i) for i in range(100)))

    with new_loop() as loop:
        assert run(loop, main()) == list(range(100))
    assert not problems, problems


@test
def cancel_timeouts_and_errors_work_as_in_asyncio():
    async def fail():
        raise LookupError

    async def main():
        try:
            await asyncio.wait_for(loop.create_future(), 0.01)
        except TimeoutError:
            seen.append('timeout')
        try:
            async with asyncio.timeout(0.01):
                await asyncio.sleep(1000)
        except TimeoutError:
            seen.append('scope')
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(asyncio.sleep(1000))
                group.create_task(fail())
        except* LookupError:
            seen.append('group')
        task = asyncio.create_task(asyncio.sleep(1000), name='sleeper')
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled() and task.get_name() == 'sleeper'
        return await fail()

    seen = []
    with new_loop() as loop:
        raises(LookupError, run, loop, main())
        assert loop.pending() == 0
    assert seen == ['timeout', 'scope', 'group']


@test
def a_thread_waits_for_a_task():
    async def double(n):
        await asyncio.sleep(0.001)
        return 2 * n

    def ask(done):
        for i in range(20):
            future = asyncio.run_coroutine_threadsafe(double(i), loop)
            answers.append(future.result(10))
        loop.call_soon_threadsafe(loop.stop)

    answers = []
    with new_loop() as loop, thread_of(ask):
        loop.run_forever()
    assert answers == [2 * i for i in range(20)]


@test
def a_sub_interpreter_has_a_loop_of_its_own():
    try:
        import _interpreters as interpreters
    except ImportError:
        import _xxsubinterpreters as interpreters
    program = f'''if True:
        import sys
        sys.path.insert(0, {sys.argv[1]!r})
        import asyncio
        import _rota_proof
        loop = _rota_proof.Loop()
        loop.nested = {{nested}}
        async def main():
            await asyncio.sleep(0.01)
            await asyncio.gather(*(asyncio.sleep(0) for _ in range(10)))
            loop.stop()
        task = loop.create_task(main())
        loop.run_forever()
        task.result()
        loop.close()
    '''

    def sub(nested):
        interpreter = interpreters.create()
        try:
            failed = interpreters.run_string(
                interpreter, program.format(nested=nested))
            assert not failed, failed
        finally:
            interpreters.destroy(interpreter)

    sub(False)
    with new_loop() as loop:
        loop.call_soon(sub, True)
        loop.call_soon(loop.stop)
        loop.run_forever()
    assert not problems, problems[0]['exception']


# Nested runs


@test
def a_nested_run_is_an_error_unless_it_is_allowed():
    def nest():
        caught.append(raises(RuntimeError, loop.run_forever))
        loop.stop()

    caught = []
    with new_loop() as loop:
        loop.call_soon(nest)
        loop.run_forever()
    assert 'already running' in str(caught[0])


@test
def a_nested_run_begins_with_the_rest_of_the_outer_turn():
    seen = []

    def nest():
        seen.append('nest')
        loop.call_soon(seen.append, 'added inside')
        loop.run_once()
        seen.append('nest ends')
        assert loop.is_running()
        assert asyncio._get_running_loop() is loop

    with new_loop() as loop:
        loop.nested = True
        loop.call_soon(seen.append, 'first')
        loop.call_soon(nest)
        loop.call_soon(lambda: loop.call_soon(seen.append, 'next turn'))
        loop.call_soon(seen.append, 'last')
        loop.run_once()
        assert seen == ['first', 'nest', 'last', 'added inside',
                        'nest ends'], seen
        loop.run_once()
        assert seen[-1] == 'next turn'
        assert not loop.is_running() and loop.pending() == 0


@test
def a_nested_run_does_not_sleep_while_the_outer_turn_has_work():
    seen = []

    def nest():
        loop.run_forever()
        seen.append('nest ends')
        loop.stop()

    with new_loop() as loop:
        loop.nested = True
        loop.call_soon(nest)
        loop.call_soon(loop.stop)
        loop.run_forever()
        assert seen == ['nest ends'] and loop.waits == 0


@test
def a_stop_ends_the_run_that_it_was_asked_in():
    seen = []

    def nest():
        loop.stop()
        run_for(loop, 0.01)
        seen.append('nest ends')

    with new_loop() as loop:
        loop.nested = True
        loop.call_soon(nest)
        loop.call_later(0.005, seen.append, 'inside')
        loop.run_forever()
        assert seen == ['inside', 'nest ends'], seen


@test
def an_error_ends_nested_runs_one_after_the_other():
    seen = []

    def fatal():
        raise KeyboardInterrupt

    def nest(depth):
        loop.call_soon(nest, depth - 1) if depth else loop.call_soon(fatal)
        loop.call_soon(seen.append, depth)
        try:
            loop.run_forever()
        finally:
            seen.append(f'out of {depth}')

    with new_loop() as loop:
        loop.nested = True
        loop.call_soon(nest, 2)
        raises(KeyboardInterrupt, loop.run_forever)
        assert seen == [2, 1, 'out of 0', 'out of 1', 'out of 2'], seen
        assert not loop.is_running() and loop.pending() == 1
        loop.run_once()
        assert seen[5:] == [0], seen


@test
def a_loop_runs_inside_another_ones_callback():
    seen = []

    def nest():
        run_for(inner, 0.01)
        assert asyncio._get_running_loop() is outer
        seen.append('inner')

    with new_loop() as outer, new_loop() as inner:
        inner.nested = True
        outer.call_soon(nest)
        outer.call_soon(outer.stop)
        outer.run_forever()
    assert seen == ['inner']


@test
def tasks_go_on_in_a_run_nested_inside_a_task():
    """As nest_asyncio does it: the outer task steps aside."""
    seen = []

    async def other():
        for i in range(3):
            await asyncio.sleep(0)
            seen.append(i)

    async def main():
        me = asyncio.current_task()
        asyncio.tasks._leave_task(loop, me)
        try:
            run(loop, other())
        finally:
            asyncio.tasks._enter_task(loop, me)
        seen.append('main')
        await asyncio.sleep(0)
        return 'result'

    with new_loop() as loop:
        loop.nested = True
        assert run(loop, main()) == 'result'
    assert seen == [0, 1, 2, 'main']


# The garbage collector


def abandon(prepare):
    """A loop in a cycle must live until it is collected, and no longer."""
    gc.collect()
    gc.disable()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', ResourceWarning)
            loop = Loop()
            watch = weakref.ref(loop)
            kept = prepare(loop)
            del loop
            assert watch(), 'there was no cycle'
            gc.collect()
            assert not watch(), gc.get_referrers(watch())
            del kept
    finally:
        gc.enable()


@test
def an_abandoned_loop_with_ready_callbacks_is_collected():
    def prepare(loop):
        loop.call_soon(loop.stop)
        loop.call_soon(print, [loop])

    abandon(prepare)


@test
def an_abandoned_loop_with_timers_is_collected():
    def prepare(loop):
        for delay in range(100, 200):
            loop.call_later(delay, loop.stop)

    abandon(prepare)


@test
def an_abandoned_loop_with_posts_is_collected():
    def prepare(loop):
        loop.call_soon_threadsafe(loop.stop)
        loop.call_soon_threadsafe(print, [loop])

    abandon(prepare)


@test
def an_abandoned_loop_with_readers_is_collected():
    def prepare(loop):
        left, right = socket.socketpair()
        loop.add_reader(left, loop.stop)
        return left, right

    abandon(prepare)


@test
def an_abandoned_loop_with_sleeping_tasks_is_collected():
    async def main():
        await asyncio.sleep(1000)

    def prepare(loop):
        loop.exception_handler = lambda loop, context: None
        for _ in range(10):
            loop.create_task(main())
        loop.run_once()
        loop.run_once()

    abandon(prepare)


@test
def an_abandoned_loop_left_in_the_middle_of_a_turn_is_collected():
    def fatal():
        raise KeyboardInterrupt

    def prepare(loop):
        loop.call_soon(fatal)
        loop.call_soon(loop.stop)
        raises(KeyboardInterrupt, loop.run_forever)

    abandon(prepare)


async def busy(rounds):
    queue = asyncio.Queue(3)

    async def put():
        for i in range(rounds):
            await queue.put([i])

    async def get():
        return sum([(await queue.get())[0] for _ in range(rounds)])

    _, total = await asyncio.gather(put(), get())
    assert total == rounds * (rounds - 1) // 2
    for _ in range(rounds // 10):
        await asyncio.sleep(0)
        await asyncio.wait_for(asyncio.sleep(0.0001), 100)


@test
def the_collector_may_come_at_any_time():
    def post(done):
        while not done.is_set():
            loop.call_soon_threadsafe(int)
            time.sleep(0.0005)

    with restored(gc.get_threshold, lambda t: gc.set_threshold(*t),
                  (1, 1, 1)):
        with new_loop() as loop, thread_of(post):
            run(loop, busy(100))


@test
def the_collector_may_come_on_another_thread():
    def collect(done):
        while not done.is_set():
            gc.collect(0)
            loop.call_soon_threadsafe(int)
            time.sleep(0)

    left, right = socket.socketpair()
    with left, right, new_loop() as loop, thread_of(collect):

        def pong():
            right.send(left.recv(100))

        def ping():
            left.send(right.recv(100))

        for _ in range(100):
            loop.call_later(1000, loop.stop)
        loop.add_reader(left, pong)
        loop.add_reader(right, ping)
        left.send(b'ball')
        for i in range(1000):
            loop.call_later(i / 5000, int)
        run_for(loop, 0.25)


# Leaks


def churn():
    left, right = socket.socketpair()
    with left, right, new_loop() as loop:
        loop.nested = True
        for i in range(1000):
            loop.call_soon(int)
            loop.call_soon(int, i).cancel()
            loop.call_soon_threadsafe(int, i)
            loop.call_later(i / 1e6, int)
            loop.call_later(1000, int, i).cancel()
            loop.call_later(1000, loop.stop)
        loop.call_soon(lambda: 1 / 0)
        loop.call_soon(loop.run_once)
        loop.add_reader(left, left.recv, 1)
        right.send(b'x')
        run(loop, busy(50))
    problems.clear()


@test
def thousands_of_handles_leave_nothing_behind():
    def measure():
        gc.collect()
        return (len(gc.get_objects()), tracemalloc.get_traced_memory()[0],
                getattr(sys, 'gettotalrefcount', int)())

    tracemalloc.start()
    try:
        for _ in range(3):
            churn()
        before = measure()
        for _ in range(5):
            churn()
        objects, memory, references = (
            after - before for after, before in zip(measure(), before))
    finally:
        tracemalloc.stop()
    assert objects < 50, objects
    assert memory < 20_000, memory
    assert references < 500, references


if __name__ == '__main__':
    sys.exit(main())
