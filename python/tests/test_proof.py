#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""
What loop/ promises to the Python face, tried on the extension _rota_proof.

    test_proof.py FOLDER [NAME...]   the folder holds the extension

Speaks TAP. A test is a function whose name is a sentence.
"""

import asyncio
import contextvars
import faulthandler
import functools
import gc
import os
import signal
import socket
import sys
import threading
import time
import traceback
import tracemalloc
import warnings
import weakref
from contextlib import contextmanager

if os.environ.get('ROTA_TEST_UNDER') == 'valgrind':
    print('1..0 # SKIP the interpreter itself is not clean')
    sys.exit()

sys.path.insert(0, sys.argv[1])
import _rota_proof  # noqa: E402

tests = []


def test(function):
    tests.append(function)
    return function


class Skip(Exception):
    pass


@contextmanager
def new_loop():
    loop = _rota_proof.Loop()
    loop.exception_handler = lambda loop, context: loop.problems.append(
        context) if hasattr(loop, 'problems') else problems.append(context)
    problems.clear()
    try:
        yield loop
    finally:
        loop.close()


problems = []


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
    loop = _rota_proof.Loop()
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
def counting_thread():
    """Counts whenever it gets the GIL, which nobody is made to give up."""
    count = [0]

    def work(done):
        while not done.is_set():
            count[0] += 1
            time.sleep(0)

    with restored(sys.getswitchinterval, sys.setswitchinterval, 1000):
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
    with new_loop() as loop, counting_thread() as count:
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

    seen = []
    with new_loop() as loop, handler(signal.SIGALRM, boom):
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])

        def arm():
            loop.call_soon(seen.append, 1)
            signal.setitimer(signal.ITIMER_REAL, 0.02)
            loop.call_soon(endless(loop))

        loop.call_soon(arm)
        loop.call_later(0.05, loop.stop)
        loop.run_forever()
        assert seen == [1]
        loop.call_soon(seen.append, 2)
        raises(OverflowError, signal.pthread_sigmask, signal.SIG_UNBLOCK,
               [signal.SIGALRM])
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


# The garbage collector


def abandon(prepare):
    """A loop in a cycle must live until it is collected, and no longer."""
    gc.collect()
    gc.disable()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', ResourceWarning)
            loop = _rota_proof.Loop()
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
        assert seen == ['out of 0', 'out of 1', 'out of 2'], seen
        assert not loop.is_running() and loop.pending() == 3
        loop.run_once()
        assert seen[3:] == [0, 1, 2], seen


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


def main():
    chosen = [t for t in tests
              if not sys.argv[2:] or t.__name__ in sys.argv[2:]]
    failed = 0
    print(f'1..{len(chosen)}')
    for number, function in enumerate(chosen, 1):
        faulthandler.dump_traceback_later(60, exit=True)
        try:
            function()
            print(f'ok {number} - {function.__name__}')
        except Skip as reason:
            print(f'ok {number} - {function.__name__} # SKIP {reason}')
        except BaseException:
            failed += 1
            print(f'not ok {number} - {function.__name__}')
            for line in traceback.format_exc().splitlines():
                print('#', line)
        sys.stdout.flush()
    faulthandler.cancel_dump_traceback_later()
    return failed > 0


if __name__ == '__main__':
    sys.exit(main())
