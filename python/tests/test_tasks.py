# SPDX-License-Identifier: MIT
"""
Tasks and futures on the loop, task factories, asynchronous generators.
"""

import asyncio
import contextvars
import gc
import os
import sys
import weakref

import pytest
from two_loops import handler_contexts, raised, since, turns

variable = contextvars.ContextVar('variable', default=0)


async def answer(value=42):
    await asyncio.sleep(0)
    return value


def run(loop):
    loop.call_soon(loop.stop)
    loop.run_forever()


# Tasks


def test_create_task_starts_in_the_next_turn(loop):
    seen = []

    async def body():
        seen.append('task')

    task = loop.create_task(body(), name='mine')
    seen.append('created')
    assert type(task) is asyncio.Task
    assert task.get_name() == 'mine'
    assert task.get_loop() is loop
    run(loop)
    assert seen == ['created', 'task']


def test_tasks_and_callbacks_share_one_order(loop):
    seen = []

    async def body(name):
        seen.append(name)
        await asyncio.sleep(0)
        seen.append(name + ' again')

    loop.call_soon(seen.append, 'callback')
    loop.create_task(body('task'))
    loop.call_soon(seen.append, 'callback too')
    run(loop)
    loop.call_soon(seen.append, 'third')
    run(loop)
    assert seen == ['callback', 'task', 'callback too', 'task again', 'third']


def test_a_task_may_be_given_a_context(loop):
    async def body():
        variable.set(variable.get() + 1)
        await asyncio.sleep(0)
        return variable.get()

    context = contextvars.copy_context()
    context.run(variable.set, 5)
    task = loop.create_task(body(), context=context)
    assert loop.run_until_complete(task) == 6
    assert context[variable] == 6
    assert variable.get() == 0


def test_create_task_refuses_what_is_no_coroutine(loop):
    kind, text = raised(loop.create_task, 5)
    assert kind is TypeError
    assert text == 'a coroutine was expected, got 5'


@pytest.mark.parametrize('debug', [False, True])
@pytest.mark.parametrize('named', [
    {'loop': None}, {'foo': 1}, {'eager_start': False},
    {'name': 5}, {'name': None, 'context': None}, {'name': 'x', 'foo': 1}])
def test_create_task_takes_the_names_that_asyncio_takes(
        new_loop, named, debug):
    def attempt(loop):
        coroutine = answer()
        try:
            return loop.run_until_complete(
                loop.create_task(coroutine, **named))
        except TypeError as exc:
            coroutine.close()
            return str(exc)

    theirs = asyncio.SelectorEventLoop()
    theirs.set_debug(debug)
    expected = attempt(theirs)
    theirs.close()
    assert attempt(new_loop(debug=debug)) == expected


def test_create_future_belongs_to_the_loop(loop):
    future = loop.create_future()
    assert type(future) is asyncio.Future
    assert future.get_loop() is loop
    assert not future.done()


def test_sleep_zero_yields_one_turn(loop):
    seen = []

    async def body(name):
        for number in range(3):
            seen.append(name + str(number))
            await asyncio.sleep(0)

    async def both():
        await asyncio.gather(body('a'), body('b'))

    loop.run_until_complete(both())
    assert seen == ['a0', 'b0', 'a1', 'b1', 'a2', 'b2']


def test_cancelling_before_the_start(loop):
    async def body():
        seen.append('started')

    seen = []
    task = loop.create_task(body())
    task.cancel('why')
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(task)
    assert seen == []


async def test_gather_groups_queues_and_locks_work(loop):
    assert await asyncio.gather(*map(answer, range(50))) == list(range(50))
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(answer(n)) for n in range(50)]
    assert [t.result() for t in tasks] == list(range(50))
    queue = asyncio.Queue(2)

    async def produce():
        for number in range(10):
            await queue.put(number)

    async def consume():
        return [await queue.get() for _ in range(10)]

    got, _ = await asyncio.gather(consume(), produce())
    assert got == list(range(10))
    lock = asyncio.Lock()
    async with lock:
        assert lock.locked()


async def test_as_completed_and_wait_follow_the_order_of_completion(loop):
    events = [asyncio.Event() for _ in range(3)]

    async def body(number):
        await events[number].wait()
        return number

    tasks = [asyncio.create_task(body(n)) for n in range(3)]
    seen = []
    for number in (2, 0, 1):
        events[number].set()
        await turns(3)
    for future in asyncio.as_completed(tasks):
        seen.append(await future)
    assert sorted(seen) == [0, 1, 2]
    done, pending = await asyncio.wait(tasks)
    assert done == set(tasks) and not pending


# The factory


def test_the_task_factory_makes_the_tasks(loop):
    made = []

    class Mine(asyncio.Task):
        pass

    def factory(loop, coro, **kwargs):
        made.append(sorted(kwargs))
        return Mine(coro, loop=loop, **kwargs)

    loop.set_task_factory(factory)
    assert loop.get_task_factory() is factory
    task = loop.create_task(answer(), name='named')
    assert type(task) is Mine
    assert task.get_name() == 'named'
    assert loop.run_until_complete(task) == 42
    other = loop.create_task(answer(), context=contextvars.copy_context())
    assert loop.run_until_complete(other) == 42
    assert made[0] in ([], ['name'], ['context', 'name'])
    assert 'context' in made[1]
    loop.set_task_factory(None)
    assert loop.get_task_factory() is None
    assert type(loop.create_task(answer())) is asyncio.Task
    run(loop)
    run(loop)


def test_the_task_factory_must_be_callable(loop):
    assert raised(loop.set_task_factory, 5) == (
        TypeError, 'task factory must be a callable or None')


def test_a_task_factory_that_raises(loop):
    def factory(loop, coro, **kwargs):
        coro.close()
        raise KeyError('factory')

    loop.set_task_factory(factory)
    assert raised(loop.create_task, answer()) == (KeyError, "'factory'")
    assert raised(loop.run_until_complete, answer()) == (
        KeyError, "'factory'")


@since[(3, 12)]
def test_eager_tasks_run_at_once(loop):
    seen = []

    async def body():
        seen.append('started')
        assert asyncio.current_task() is not outer
        await asyncio.sleep(0)
        seen.append('ended')
        return 7

    async def at_once():
        return 8

    async def main():
        nonlocal outer
        outer = asyncio.current_task()
        loop.set_task_factory(asyncio.eager_task_factory)
        task = loop.create_task(body())
        seen.append('created')
        quick = loop.create_task(at_once())
        assert quick.done() and quick.result() == 8
        assert not task.done()
        assert asyncio.current_task() is outer
        return await task

    outer = None
    assert loop.run_until_complete(main()) == 7
    assert seen == ['started', 'created', 'ended']


# Asynchronous generators


async def numbers(seen, fails=False):
    try:
        for number in range(10):
            yield number
    finally:
        await asyncio.sleep(0)
        seen.append('closed')
        if fails:
            raise KeyError('closing')


async def begin(generator):
    assert await generator.__anext__() == 0


def test_shutdown_asyncgens_closes_what_is_open(loop):
    seen = []
    generators = [numbers(seen) for _ in range(3)]

    async def body():
        for generator in generators:
            await begin(generator)

    loop.run_until_complete(body())
    assert seen == []
    loop.run_until_complete(loop.shutdown_asyncgens())
    assert seen == ['closed'] * 3


def test_a_generator_that_fails_to_close_is_reported(loop):
    contexts = handler_contexts(loop)
    generator = numbers([], fails=True)
    loop.run_until_complete(begin(generator))
    loop.run_until_complete(loop.shutdown_asyncgens())
    context, = contexts
    assert context['message'] == ('an error occurred during closing of '
                                  f'asynchronous generator {generator!r}')
    assert isinstance(context['exception'], KeyError)
    assert context['asyncgen'] is generator


def test_a_dropped_generator_is_closed_by_the_loop(loop):
    seen = []

    async def body():
        async for _ in numbers(seen):
            break
        gc.collect()
        await turns(4)

    loop.run_until_complete(body())
    assert seen == ['closed']


def test_a_generator_begun_after_the_shutdown_warns(loop, noise):
    generator = numbers([])
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.run_until_complete(begin(generator))
    assert noise.warned() == [
        f'asynchronous generator {generator!r} was scheduled after '
        f'loop.shutdown_asyncgens() call']
    loop.run_until_complete(generator.aclose())


def test_the_hooks_are_set_during_the_run_only(loop):
    def first(generator):
        pass

    sys.set_asyncgen_hooks(firstiter=first)
    try:
        seen = []
        loop.call_soon(lambda: seen.append(sys.get_asyncgen_hooks()))
        run(loop)
        assert seen[0].firstiter is not first
        assert seen[0].finalizer is not None
        assert sys.get_asyncgen_hooks() == (first, None)
    finally:
        sys.set_asyncgen_hooks(None, None)


def test_a_generator_dropped_after_the_loop_is_closed(new_loop):
    loop = new_loop()

    async def plain():
        yield 0

    generator = plain()
    loop.run_until_complete(begin(generator))
    loop.close()
    ref = weakref.ref(generator)
    del generator
    gc.collect()
    assert ref() is None


def test_a_thousand_tasks_that_wait_for_each_other(loop):
    async def link(before, after):
        after.set_result(await before + 1)

    async def body():
        first = before = loop.create_future()
        tasks = []
        for _ in range(1000):
            after = loop.create_future()
            tasks.append(loop.create_task(link(before, after)))
            before = after
        first.set_result(0)
        await asyncio.gather(*tasks)
        return await before

    assert loop.run_until_complete(body()) == 1000


# What Python's own tools see


async def sleeps():
    await asyncio.sleep(1000)


async def waits():
    async with asyncio.TaskGroup() as group:
        group.create_task(sleeps(), name='who sleeps')


@since[3, 14]
async def test_the_call_graph_of_a_task(loop):
    task = loop.create_task(waits(), name='who waits')
    await turns(3)
    graph = asyncio.capture_call_graph(task)
    assert graph.future is task
    assert graph.call_stack[-1].frame.f_code is waits.__code__
    inner, = asyncio.all_tasks() - {task, asyncio.current_task()}
    graph = asyncio.capture_call_graph(inner)
    assert [one.future for one in graph.awaited_by] == [task]
    assert graph.call_stack[-1].frame.f_code is sleeps.__code__
    assert asyncio.capture_call_graph().future is asyncio.current_task()
    task.cancel()
    await asyncio.wait([task])


@since[3, 14]
@pytest.mark.parametrize('tool', ['ps', 'pstree'])
async def test_a_process_is_looked_at_from_outside(loop, tool):
    task = loop.create_task(waits(), name='who waits')
    process = await asyncio.create_subprocess_exec(
        sys.executable, '-m', 'asyncio', tool, str(os.getpid()),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
    said, failed = map(bytes.decode, await process.communicate())
    task.cancel()
    await asyncio.wait([task])
    if 'Permission' in failed or 'not permitted' in failed:
        pytest.skip('we may not look')
    assert failed == ''
    for word in 'who waits', 'who sleeps', 'waits', 'sleeps', 'communicate':
        assert word in said
