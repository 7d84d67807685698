# SPDX-License-Identifier: MIT
"""
The garbage collector at every point, and what it must find: abandoned loops,
handles, transports and protocols in cycles.
"""

import asyncio
import functools
import gc
import os
import socket
import subprocess
import sys
import threading
import weakref

import echoes
import pytest
from two_loops import Written, raised, stream_pair, turns


@pytest.fixture
def collector():
    """Collects garbage at nearly each allocation."""
    thresholds = gc.get_threshold()
    gc.set_threshold(1, 1, 1)
    yield
    gc.set_threshold(*thresholds)


@pytest.mark.parametrize('name', echoes.ALL)
def test_a_collection_at_every_point(new_loop, collector, name):
    loop = new_loop()
    loop.run_until_complete(echoes.ALL[name](loop))
    loop.close()


@pytest.mark.parametrize('name', ['protocols', 'sockets', 'timers_and_tasks',
                                  'broken'])
def test_a_collection_in_every_callback(new_loop, name):
    loop = new_loop(debug=True)
    loop.slow_callback_duration = 100

    def collect():
        gc.collect()
        loop.call_soon(collect)

    collect()
    loop.run_until_complete(echoes.ALL[name](loop))
    loop.close()


def test_another_thread_collects(new_loop):
    loop = new_loop()
    over = threading.Event()

    def work():
        while not over.is_set():
            gc.collect()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        for name in ('protocols', 'streams', 'sockets', 'timers_and_tasks'):
            loop.run_until_complete(echoes.ALL[name](loop))
    finally:
        over.set()
        thread.join()


CALLS = {
    'call_soon': lambda loop, sock: loop.call_soon(print),
    'call_later': lambda loop, sock: loop.call_later(1000, print),
    'call_soon_threadsafe': lambda loop, sock: loop.call_soon_threadsafe(print),
    'add_reader': lambda loop, sock: loop.add_reader(sock, print),
    'sock_recv': lambda loop, sock: loop.sock_recv(sock, 10).send(None),
    'transport': lambda loop, sock: loop._make_socket_transport(
        sock, asyncio.Protocol()),
}


@pytest.mark.parametrize('debug', [False, True])
@pytest.mark.parametrize('name', CALLS)
def test_a_collection_closes_the_loop(new_loop, collector, noise, name, debug):
    """What is destroyed in the middle of a call may do so."""
    if new_loop.name == 'asyncio':
        pytest.skip('asyncio fails in its own ways')

    def collecting(phase, info):
        nonlocal left
        left -= phase == 'start'
        if left == 0:
            loop.close()

    for nth in range(1, 8):
        left = 0
        loop = new_loop(debug=debug)
        one, other = socket.socketpair()
        one.setblocking(False)
        with one, other:
            gc.callbacks.append(collecting)
            left = nth
            try:
                CALLS[name](loop, one)
            except (RuntimeError, StopIteration) as exc:
                assert type(exc) is not RuntimeError or 'closed' in str(exc)
            finally:
                gc.callbacks.remove(collecting)
            loop.close()
    gc.collect()
    noise.warned()


LATE = '''
import asyncio, builtins, sys
from {module} import new_event_loop

class Late:
    def __init__(self, loop):
        self.loop = loop
        self.itself = self

    def __del__(self, every=BaseException):
        for use in self.uses:
            try:
                use(self.loop)
            except every:
                pass

    uses = [
        lambda loop: loop.call_soon(len),
        lambda loop: loop.call_later(1, len),
        lambda loop: loop._ready,
        lambda loop: loop.create_future(),
        lambda loop: repr(loop.call_soon_threadsafe(len)),
        lambda loop: loop.add_reader(0, len),
        lambda loop: loop._run_once(),
        lambda loop: loop.close(),
    ]

loop = new_event_loop()
places = [sys, asyncio, sys.modules["{module}"], builtins]
for place in [*places, sys.modules[__name__]]:
    place.late = Late(loop)
loop.call_later(1000, print, Late(loop))
'''


@pytest.mark.parametrize('allocator', ['default', 'debug', 'malloc'])
def test_destructors_use_the_loop_when_the_interpreter_ends(
        new_loop, allocator):
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c',
         LATE.replace('{module}', new_loop.name)],
        env=os.environ | {'PYTHONMALLOC': allocator}, stdin=subprocess.DEVNULL,
        capture_output=True, encoding='utf-8')
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize('method', ['call_soon', 'call_later'])
def test_a_long_chain_of_handles(loop, method):
    """Each is an argument of the next: they go without a deep stack."""
    def ignore(*args):
        pass

    call = loop.call_soon
    if method == 'call_later':
        call = functools.partial(loop.call_later, 1000)
    handle = None
    for _ in range(200_000):
        handle = call(ignore, handle)
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.close()
    del handle


def kept_when_a_run_ends(loop):
    def end():
        loop.handle = loop.call_soon(print)
        loop.stop()

    loop.call_soon(end)
    loop.run_forever()


def abandoned(new_loop, prepare):
    """A weak reference to a loop that nobody closed, after a collection."""
    loop = new_loop.factory()
    prepare(loop)
    ref = weakref.ref(loop)
    del loop
    gc.collect()
    return ref


@pytest.mark.parametrize('prepare', [
    lambda loop: None,
    lambda loop: loop.call_soon(loop.stop),
    lambda loop: loop.call_later(1000, loop.stop),
    lambda loop: loop.call_soon(print, loop),
    lambda loop: loop.set_exception_handler(lambda *_: loop),
    lambda loop: loop.set_task_factory(lambda *_: loop),
    lambda loop: setattr(loop, 'itself', loop),
    lambda loop: loop.call_soon_threadsafe(loop.stop),
    lambda loop: loop.create_future().add_done_callback(print),
    lambda loop: setattr(loop, 'future', loop.create_future()),
    lambda loop: loop.run_until_complete(asyncio.sleep(0)),
    lambda loop: loop.call_later(1000, loop.stop).cancel(),
    lambda loop: setattr(loop, 'handle', loop.call_soon(print)),
    lambda loop: setattr(loop, 'handle', loop.call_soon_threadsafe(print)),
    kept_when_a_run_ends,
], ids=range(15))
def test_an_abandoned_loop_is_collected(new_loop, noise, prepare):
    assert abandoned(new_loop, prepare)() is None
    check_warned(new_loop, noise)


def check_warned(new_loop, noise):
    texts = noise.warned()
    if new_loop.name == 'asyncio':  # whose sockets may be collected first
        noise.dropped()
        texts = [text for text in texts if 'event loop' in text]
    assert len(texts) == 1 and texts[0].startswith('unclosed event loop')


def test_an_abandoned_loop_with_readers_is_collected(new_loop, noise):
    one, other = socket.socketpair()
    with one, other:
        def prepare(loop):
            loop.add_reader(one, loop.stop)
            loop.add_writer(one, loop.stop)

        assert abandoned(new_loop, prepare)() is None
        other.send(b'x')
        assert one.recv(1) == b'x'
    check_warned(new_loop, noise)


def test_an_abandoned_loop_with_a_transport_is_collected(new_loop, noise):
    one, other = socket.socketpair()
    with other:
        def prepare(loop):
            loop.run_until_complete(loop.create_connection(
                asyncio.Protocol, sock=one))

        ref = abandoned(new_loop, prepare)
        del one
        gc.collect()
        assert ref() is None
        texts = noise.warned()
        assert any(t.startswith('unclosed event loop') for t in texts)
        assert any(t.startswith('unclosed transport') for t in texts)
        assert other.recv(1) == b''
        if new_loop.name == 'asyncio':
            noise.dropped()


@pytest.mark.parametrize('closing', [True, False])
def test_a_transport_and_its_protocol_are_collected(new_loop, closing):
    loop = new_loop()
    one, other = stream_pair()
    refs = []

    async def body():
        transport, protocol = await loop.create_connection(Written, sock=one)
        assert protocol.transport is transport  # a cycle
        refs.extend([weakref.ref(transport), weakref.ref(protocol)])
        if closing:
            transport.close()
        else:
            transport.abort()
        await protocol.lost

    with other:
        loop.run_until_complete(body())
        loop.run_until_complete(turns(3))
        gc.collect()
        assert [ref() for ref in refs] == [None, None]


def test_closures_over_the_loop_are_collected(new_loop):
    loop = new_loop()
    refs = []

    class Thing:
        pass

    async def body():
        thing = Thing()
        thing.loop = loop
        thing.itself = thing
        refs.append(weakref.ref(thing))
        loop.call_soon(lambda: thing)
        loop.call_later(0, lambda: thing)
        loop.call_later(1000, lambda: thing).cancel()
        await asyncio.sleep(0.002)

    loop.run_until_complete(body())
    gc.collect()
    assert refs[0]() is None


def test_a_finalizer_may_use_the_loop(new_loop):
    loop = new_loop()
    seen = []

    class Thing:
        def __del__(self):
            loop.call_soon(seen.append, 'soon')
            loop.call_later(0, seen.append, 'later')
            loop.call_soon_threadsafe(seen.append, 'safe')

    def callback(thing):
        pass

    loop.call_soon(callback, Thing())
    loop.call_later(0, callback, Thing())
    loop.call_later(1000, callback, Thing()).cancel()
    loop.run_until_complete(asyncio.sleep(0.005))
    assert sorted(seen) == ['later'] * 3 + ['safe'] * 3 + ['soon'] * 3


def test_a_finalizer_of_a_closing_loop_may_not(new_loop):
    loop = new_loop()
    seen = []

    class Thing:
        def __del__(self):
            seen.append(raised(loop.call_soon, print))

    loop.call_soon(print, Thing())
    loop.call_later(1000, print, Thing())
    loop.close()
    gc.collect()
    assert seen == [(RuntimeError, 'Event loop is closed')] * 2


def test_referents_are_known_to_the_collector(new_loop):
    loop = new_loop()

    class Thing:
        def method(self, *args):
            pass

    thing = Thing()
    handles = [loop.call_soon(thing.method, 1),
               loop.call_later(1000, thing.method)]

    def reaches(start, goal, depth=6):
        level, seen = [start], set()
        for _ in range(depth):
            found = gc.get_referents(*level)
            if any(item is goal for item in found):
                return True
            level = [i for i in found if id(i) not in seen
                     and not isinstance(i, (type, type(gc)))]
            seen.update(map(id, level))
        return False

    for handle in handles:
        assert reaches(handle, thing)
    assert reaches(loop, thing, 4)


def test_collecting_while_the_loop_sleeps(new_loop):
    loop = new_loop()
    for _ in range(3):
        timer = threading.Timer(0.002, gc.collect)
        timer.start()
        loop.run_until_complete(asyncio.sleep(0.01))
        timer.join()
