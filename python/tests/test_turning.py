# SPDX-License-Identifier: MIT
"""
Who turns the loop without its run, as nest_asyncio does: by _run_once(), or by
loop._selector and loop._ready; also in the middle of a turn.
"""

import asyncio
import socket
import time

import pytest
from two_loops import SLOWNESS, raised


@pytest.fixture
def rota_only(new_loop):
    if new_loop.name == 'asyncio':
        pytest.skip("asyncio's turn breaks when another takes what it has left")


def turn(loop):
    """One turn, by hand: what nest_asyncio's own _run_once() does."""
    timeout = 0 if loop._ready or loop._stopping else None
    loop._process_events(loop._selector.select(timeout))
    for _ in range(len(loop._ready)):
        handle = loop._ready.popleft()
        if not handle._cancelled:
            handle._run()


# What is ready


def test_what_is_ready_is_a_sequence(loop):
    ready = loop._ready
    assert not ready and len(ready) == 0 and list(ready) == []
    seen = []
    handles = [loop.call_soon(seen.append, n) for n in range(3)]
    assert bool(ready) and len(ready) == 3
    assert list(ready) == handles and [*iter(ready)] == handles
    assert ready[0] is handles[0] and ready[2] is ready[-1] is handles[2]
    assert handles[1] in ready and loop.call_later(9, print) not in ready
    assert raised(lambda: ready[3]) == (
        IndexError, 'deque index out of range')
    assert raised(lambda: ready[-4])[0] is IndexError
    assert [h._callback for h in ready] == [seen.append] * 3
    handles[1].cancel()
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert seen == [0, 2]
    assert list(ready) == []


def test_what_is_ready_is_dropped(loop):
    class Argument:
        def __del__(self):
            dropped.append(1)

    dropped, seen = [], []
    loop.call_soon(seen.append, Argument())
    kept = loop.call_soon(seen.append, 2)
    loop._ready.clear()
    assert not loop._ready and dropped == [1]
    assert not kept.cancelled()
    kept.cancel()
    loop.call_soon(seen.append, 3)
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert seen == [3]


def test_what_is_left_of_a_turn_is_ready(loop, rota_only):
    seen = []

    def first():
        seen.append(len(loop._ready))
        loop._ready.clear()
        loop.call_soon(loop.stop)

    loop.call_soon(first)
    loop.call_soon(seen.append, 'dropped')
    loop.call_soon(seen.append, 'dropped')
    loop.run_forever()
    assert seen == [2]


# Waiting


def test_no_time_is_no_wait(loop):
    for timeout in (0, 0.0, -1, False):
        assert loop._selector.select(timeout) == []
    timer = loop.call_later(1000, print)
    assert loop._selector.select(0) == []
    timer.cancel()


@pytest.mark.parametrize('limit', [0.001, 0.01])
def test_a_wait_has_a_limit(loop, limit):
    began = time.monotonic()
    loop._selector.select(limit)
    assert limit - 0.001 <= time.monotonic() - began < 1 * SLOWNESS
    assert len(loop._ready) == 0
    assert raised(lambda: loop._selector.select('1'))[0] is TypeError


def test_a_wait_ends_when_something_is_left_of_the_turn(loop, rota_only):
    seen = []

    def first():
        loop._selector.select()
        seen.append(len(loop._ready))

    loop.call_soon(first)
    loop.call_soon(seen.append, 'rest')
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert seen == [2, 'rest']


# Turns


def test_turns_by_hand(loop):
    seen = []
    loop.call_soon(seen.append, 1)
    loop.call_soon(loop.call_soon, seen.append, 2)
    turn(loop)
    assert seen == [1]
    turn(loop)
    assert seen == [1, 2]


def test_a_turn_inside_of_a_turn_runs_the_rest_first(loop, rota_only):
    seen = []

    def first():
        loop.call_soon(seen.append, 'added')
        turn(loop)
        seen.append('first')

    loop.call_soon(first)
    loop.call_soon(seen.append, 'rest')
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert seen == ['rest', 'added', 'first']


def test_a_stop_is_remembered_by_a_single_turn(loop):
    seen = []
    loop.call_soon(loop.stop)
    loop._run_once()
    assert loop._stopping
    loop.call_soon(lambda: (seen.append('one turn'),
                            loop.call_soon(seen.append, 'no more')))
    loop.run_forever()
    assert seen == ['one turn']
    assert not loop._stopping


def test_a_stop_before_a_turn_inside_ends_the_run(loop):
    turns = []

    def again():
        turns.append(1)
        if len(turns) < 100:
            loop.call_soon(again)
        else:
            loop.stop()

    def first():
        loop.stop()
        loop._run_once()
        assert loop._stopping

    loop.call_soon(first)
    loop.call_soon(again)
    loop.run_forever()
    assert 0 < len(turns) < 5


def test_a_task_in_a_turn_inside(loop):
    async def inner():
        await asyncio.sleep(0)
        return 5

    def outer():
        task = loop.create_task(inner())
        while not task.done():
            turn(loop)
        results.append(task.result())
        loop.stop()

    results = []
    loop.call_soon(outer)
    loop.run_forever()
    assert results == [5]


def test_data_that_came_early_is_read_by_hand(new_loop, rota_only):
    loop = new_loop()
    one, peer = socket.socketpair()
    one.setblocking(False)
    peer.send(b'early')
    peer.close()
    task = loop.create_task(asyncio.open_connection(sock=one))
    asyncio._set_running_loop(loop)
    try:
        while not task.done():
            turn(loop)
        reader, writer = task.result()
        reading = loop.create_task(reader.read())
        while not reading.done():
            turn(loop)
    finally:
        asyncio._set_running_loop(None)
    assert reading.result() == b'early'
    writer.close()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
