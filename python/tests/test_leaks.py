# SPDX-License-Identifier: MIT
"""
Nothing grows: objects, memory and descriptors over repeated runs.
"""

import asyncio
import gc
import logging
import sys

import echoes
import pytest
from two_loops import UNDER, raised

QUICK = [name for name in echoes.ALL if name not in ('children', 'tls')]


@pytest.fixture(autouse=True)
def no_records(noise):
    """What is logged for debugging would be kept, and counted."""
    logging.getLogger('asyncio').setLevel(logging.WARNING)


def counted():
    """How many objects of each type there are."""
    gc.collect()
    counts = {}
    for thing in gc.get_objects():
        counts[type(thing)] = counts.get(type(thing), 0) + 1
    return counts


def growth(action, rounds=6):
    """
    What each round of the action leaves behind, by type's name. But tuples
    and dicts: the collector knows only those of them that might be in a cycle.
    """
    for _ in range(3):
        action()
    before = counted()
    for _ in range(rounds):
        action()
    after = counted()
    return {kind.__qualname__: count - before.get(kind, 0)
            for kind, count in after.items()
            if count - before.get(kind, 0) >= rounds
            and kind not in (tuple, dict)}


@pytest.mark.parametrize('name', echoes.ALL)
def test_no_object_is_left_by_a_loop_of_its_own(new_loop, name):
    def action():
        loop = new_loop.factory()
        loop.run_until_complete(echoes.ALL[name](loop))
        loop.close()

    assert growth(action) == {}


@pytest.mark.parametrize('name', echoes.ALL)
def test_no_object_is_left_in_one_loop(loop, name):
    assert growth(lambda: loop.run_until_complete(
        echoes.ALL[name](loop))) == {}


@pytest.mark.parametrize('name', QUICK)
def test_no_block_of_memory_is_left_in_one_loop(loop, name):
    """
    Free lists need a while to fill: then less is left than one block for
    each end of a connection.
    """
    def blocks(rounds):
        for _ in range(rounds):
            loop.run_until_complete(echoes.ALL[name](loop))
        gc.collect()
        return sys.getallocatedblocks()

    before = blocks(100)
    assert blocks(50) - before < 4 * 50


@pytest.mark.skipif(not hasattr(sys, 'gettotalrefcount'),
                    reason='a debug build of Python counts them')
@pytest.mark.parametrize('name', QUICK)
def test_no_reference_is_left_in_one_loop(loop, name):
    def references(rounds):
        for _ in range(rounds):
            loop.run_until_complete(echoes.ALL[name](loop))
        gc.collect()
        return sys.gettotalrefcount()

    before = references(30)
    assert references(20) - before < 20


def resident():
    with open('/proc/self/statm') as file:
        return int(file.read().split()[1]) * 4096


@pytest.mark.skipif(UNDER is not None, reason='what is freed is kept there')
@pytest.mark.parametrize('name', ['protocols', 'sockets', 'timers_and_tasks'])
def test_the_process_does_not_grow(new_loop, name):
    """Here what C allocates is seen as well."""
    def rounds(count):
        for _ in range(count):
            loop = new_loop.factory()
            for _ in range(3):
                loop.run_until_complete(echoes.ALL[name](loop))
            loop.close()
        gc.collect()

    rounds(20)
    before = resident()
    rounds(40)
    assert resident() - before < 40 * 4096


def test_descriptors_of_closed_loops_are_free(new_loop):
    import os
    before = len(os.listdir('/proc/self/fd'))
    kept = []
    for _ in range(20):
        loop = new_loop.factory()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
        kept.append(loop)
    assert len(os.listdir('/proc/self/fd')) == before


def test_references_of_wrong_calls(loop):
    class Thing:
        pass

    one, other = Thing(), Thing()
    for function in [
            lambda a, b: raised(loop.call_soon),
            lambda a, b: raised(loop.call_soon, a, b, wrong=a),
            lambda a, b: raised(loop.call_later, a, b),
            lambda a, b: raised(loop.call_later, None, b),
            lambda a, b: raised(loop.call_at, None, b, a),
            lambda a, b: raised(loop.add_reader, a, b),
            lambda a, b: raised(loop.add_writer, a, b, a),
            lambda a, b: raised(loop.remove_reader, a),
            lambda a, b: raised(loop.run_until_complete, a),
            lambda a, b: raised(loop.create_task, a),
            lambda a, b: raised(loop.add_signal_handler, a, b),
            lambda a, b: raised(loop.set_exception_handler, a),
            lambda a, b: raised(loop.set_default_executor, a)]:
        before = sys.getrefcount(one), sys.getrefcount(other)
        for _ in range(50):
            function(one, other)
        gc.collect()
        assert (sys.getrefcount(one), sys.getrefcount(other)) == before


def test_references_of_wrong_calls_in_debug_mode(new_loop):
    loop = new_loop(debug=True)
    thing = ['not callable']
    for method, args in [(loop.call_soon, ()), (loop.call_later, (1,)),
                         (loop.call_at, (1,)),
                         (loop.call_soon_threadsafe, ())]:
        before = sys.getrefcount(thing)
        for _ in range(20):
            raised(method, *args, thing)
        gc.collect()
        assert sys.getrefcount(thing) == before


def test_references_of_the_loop(loop):
    loop.run_until_complete(asyncio.sleep(0))
    gc.collect()
    before = sys.getrefcount(loop)
    for _ in range(50):
        loop.call_soon(print).cancel()
        loop.call_later(1000, print).cancel()
        loop.create_future().cancel()
        loop.run_until_complete(asyncio.sleep(0))
    loop.call_soon(int)
    loop.run_until_complete(asyncio.sleep(0.001))
    gc.collect()
    assert sys.getrefcount(loop) - before < 20
