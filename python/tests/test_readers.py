# SPDX-License-Identifier: MIT
"""
add_reader and add_writer: replaced, removed, both at once, wrong, closed.
"""

import asyncio
import gc
import os
import socket
import weakref

import pytest
from two_loops import connected, raised, turns


@pytest.fixture
def pair():
    one, other = socket.socketpair()
    one.setblocking(False)
    other.setblocking(False)
    with one, other:
        yield one, other


def run_for(loop):
    """For some milliseconds, and for ten polls however late it is."""
    async def sleeps():
        for _ in range(10):
            await asyncio.sleep(0.0003)

    loop.run_until_complete(sleeps())


def test_a_reader_is_called_while_there_is_something_to_read(loop, pair):
    seen = []

    def read(*args):
        seen.append((args, pair[0].recv(1)))
        if len(seen) == 3:
            loop.stop()

    assert loop.add_reader(pair[0], read, 1, 'two') is None
    pair[1].send(b'abc')
    loop.run_forever()
    assert seen == [((1, 'two'), b'a'), ((1, 'two'), b'b'),
                    ((1, 'two'), b'c')]
    run_for(loop)
    assert len(seen) == 3
    assert loop.remove_reader(pair[0]) is True


def test_a_reader_that_does_not_read_is_called_again(loop, pair):
    seen = []
    loop.add_reader(pair[0].fileno(), seen.append, 1)
    pair[1].send(b'x')
    run_for(loop)
    assert len(seen) > 1
    loop.remove_reader(pair[0].fileno())


def test_a_reader_sees_the_end(loop, pair):
    seen = []

    def read():
        seen.append(pair[0].recv(10))
        loop.remove_reader(pair[0])
        loop.stop()

    loop.add_reader(pair[0], read)
    pair[1].close()
    loop.run_forever()
    assert seen == [b'']


def test_what_is_there_already_is_seen(loop, pair):
    pair[1].send(b'early')
    loop.add_reader(pair[0], loop.stop)
    loop.run_forever()
    loop.remove_reader(pair[0])


def test_a_writer_is_called_while_there_is_room(loop, pair):
    seen = []

    def write():
        seen.append(1)
        if len(seen) == 3:
            loop.remove_writer(pair[0])
            loop.stop()

    assert loop.add_writer(pair[0], write) is None
    loop.run_forever()
    run_for(loop)
    assert len(seen) == 3


def test_a_writer_waits_for_room(loop, pair):
    try:
        while True:
            pair[0].send(bytes(4096))
    except BlockingIOError:
        pass
    seen = []
    loop.add_writer(pair[0], seen.append, 1)
    run_for(loop)
    assert seen == []
    try:
        while True:
            pair[1].recv(65536)
    except BlockingIOError:
        pass
    loop.add_writer(pair[0], loop.stop)
    loop.run_forever()
    loop.remove_writer(pair[0])


def test_removing_says_whether_something_was_there(loop, pair):
    assert loop.remove_reader(pair[0]) is False
    assert loop.remove_writer(pair[0]) is False
    loop.add_reader(pair[0], print)
    assert loop.remove_writer(pair[0]) is False
    loop.add_writer(pair[0], print)
    assert loop.remove_reader(pair[0].fileno()) is True
    assert loop.remove_reader(pair[0]) is False
    assert loop.remove_writer(pair[0]) is True
    assert loop.remove_writer(pair[0]) is False


def test_a_new_reader_replaces_the_old_one(loop, pair):
    seen = []
    loop.add_reader(pair[0], seen.append, 'old')
    loop.add_reader(pair[0].fileno(), lambda: (seen.append('new'),
                                               loop.stop()))
    pair[1].send(b'x')
    loop.run_forever()
    assert seen == ['new']
    loop.remove_reader(pair[0])


def test_both_directions_of_one_descriptor(loop, pair):
    seen = []

    def read():
        seen.append(pair[0].recv(10))
        loop.remove_reader(pair[0])

    def write():
        seen.append('written')
        loop.remove_writer(pair[0])

    loop.add_reader(pair[0], read)
    loop.add_writer(pair[0], write)
    run_for(loop)
    assert seen == ['written']
    pair[1].send(b'x')
    run_for(loop)
    assert seen == ['written', b'x']


def test_reading_comes_before_writing(loop, pair):
    seen = []
    loop.add_writer(pair[0], lambda: (seen.append('write'),
                                      loop.remove_writer(pair[0])))
    loop.add_reader(pair[0], lambda: (seen.append('read'),
                                      loop.remove_reader(pair[0])))
    pair[1].send(b'x')
    run_for(loop)
    assert seen == ['read', 'write']


def test_what_is_ready_runs_before_what_the_poll_finds(loop, pair):
    seen = []
    pair[1].send(b'x')
    loop.add_reader(pair[0], lambda: (seen.append('reader'),
                                      loop.remove_reader(pair[0])))
    loop.call_soon(seen.append, 'soon')
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert seen == ['soon', 'reader']


def test_a_ready_callback_may_remove_what_the_poll_finds(loop, pair):
    seen = []
    pair[1].send(b'x')
    loop.add_reader(pair[0], seen.append, 'reader')
    loop.call_soon(loop.remove_reader, pair[0])
    run_for(loop)
    assert seen == []


def test_a_reader_that_is_removed_in_the_same_turn_is_not_called(loop):
    seen = []
    pairs = [socket.socketpair() for _ in range(2)]

    def read(which):
        seen.append(which)
        for one, _ in pairs:
            loop.remove_reader(one)

    for which, (one, other) in enumerate(pairs):
        loop.add_reader(one, read, which)
        other.send(b'x')
    run_for(loop)
    assert len(seen) == 1
    for one, other in pairs:
        one.close()
        other.close()


def test_a_reader_that_removes_and_adds_itself(loop, pair):
    seen = []

    def read():
        seen.append(pair[0].recv(1))
        loop.remove_reader(pair[0])
        loop.add_reader(pair[0], read)

    loop.add_reader(pair[0], read)
    pair[1].send(b'abc')
    run_for(loop)
    assert seen == [b'a', b'b', b'c']
    loop.remove_reader(pair[0])


def test_a_descriptor_that_is_closed_and_used_again(loop):
    seen = []
    for number in range(20):
        one, other = socket.socketpair()
        loop.add_reader(one, seen.append, number)
        other.send(b'x')
        assert loop.remove_reader(one)
        one.close()
        other.close()
        one, other = socket.socketpair()
        loop.add_reader(one, lambda: (seen.append('new'), loop.stop()))
        other.send(b'x')
        loop.run_forever()
        loop.remove_reader(one)
        one.close()
        other.close()
    assert seen == ['new'] * 20


def test_a_descriptor_that_was_closed_can_still_be_removed(loop, pair):
    fd = pair[0].fileno()
    loop.add_reader(fd, print)
    pair[0].close()
    run_for(loop)
    assert loop.remove_reader(fd) is True
    assert loop.remove_reader(fd) is False
    run_for(loop)


def test_a_peer_that_hangs_up_wakes_both(loop, pair):
    seen = []
    loop.add_reader(pair[0], lambda: (seen.append('read'),
                                      loop.remove_reader(pair[0])))
    loop.add_writer(pair[0], lambda: (seen.append('write'),
                                      loop.remove_writer(pair[0])))
    pair[1].close()
    run_for(loop)
    assert seen == ['read', 'write']


def test_a_callback_that_raises_is_reported_and_stays(loop, pair, noise):
    seen = []

    def read():
        seen.append(pair[0].recv(1))
        raise ValueError('reading')

    loop.add_reader(pair[0], read)
    pair[1].send(b'ab')
    run_for(loop)
    assert seen == [b'a', b'b']
    assert len(noise.logged()) == 2
    loop.remove_reader(pair[0])


def test_the_context_is_that_of_the_call(loop, pair):
    import contextvars
    variable = contextvars.ContextVar('variable', default=0)
    seen = []

    def read():
        pair[0].recv(1)
        seen.append(variable.get())
        variable.set(variable.get() + 1)

    variable.set(5)
    loop.add_reader(pair[0], read)
    variable.set(0)
    pair[1].send(b'ab')
    run_for(loop)
    assert seen == [5, 6]
    loop.remove_reader(pair[0])


def test_pipes_and_event_descriptors_work(loop):
    reading, writing = os.pipe()
    seen = []
    loop.add_reader(reading, lambda: seen.append(os.read(reading, 1)))
    loop.add_writer(writing, lambda: (os.write(writing, b'x'),
                                      loop.remove_writer(writing)))
    run_for(loop)
    assert seen == [b'x']
    assert loop.remove_reader(reading)
    os.close(reading)
    os.close(writing)


def test_the_other_end_of_a_pipe_is_closed(loop):
    reading, writing = os.pipe()
    loop.add_writer(writing, loop.stop)
    os.close(reading)
    loop.run_forever()
    assert loop.remove_writer(writing)
    os.close(writing)


@pytest.mark.parametrize('wrong', ['text', None, 1.5, object()])
def test_what_is_no_descriptor_is_refused(loop, wrong):
    for method in (loop.remove_reader, loop.remove_writer):
        assert raised(method, wrong) == (
            ValueError, f'Invalid file object: {wrong!r}')
    for method in (loop.add_reader, loop.add_writer):
        assert raised(method, wrong, print) == (
            ValueError, f'Invalid file object: {wrong!r}')


def test_negative_and_unknown_descriptors_are_refused(loop, pair):
    fd = pair[0].fileno()
    pair[0].close()
    assert raised(loop.add_reader, -1, print) == (
        ValueError, 'Invalid file descriptor: -1')
    with pytest.raises(OSError) as info:
        loop.add_reader(fd, print)
    assert info.value.errno == 9
    with pytest.raises(OSError) as info:
        loop.add_writer(fd, print)
    assert info.value.errno == 9
    assert loop.remove_reader(fd) is False


def test_a_closed_socket_is_refused(loop, pair):
    pair[0].close()
    kind, text = raised(loop.add_reader, pair[0], print)
    assert (kind, text) == (ValueError, 'Invalid file descriptor: -1')


def test_files_that_cannot_be_polled_are_refused(loop, tmp_path):
    with open(tmp_path / 'file', 'w') as file:
        with pytest.raises(PermissionError) as info:
            loop.add_reader(file, print)
        assert info.value.errno == 1
        assert loop.remove_reader(file) is False


async def test_the_descriptor_of_a_transport_is_refused(loop):
    async with connected(loop) as (transport, protocol, peer):
        sock = transport.get_extra_info('socket')
        fd = sock.fileno()
        text = f'File descriptor {fd!r} is used by transport {transport!r}'
        for method in (loop.add_reader, loop.add_writer):
            assert raised(method, fd, print) == (RuntimeError, text)
        for method in (loop.remove_reader, loop.remove_writer):
            assert raised(method, fd) == (RuntimeError, text)
            assert raised(method, sock)[0] is RuntimeError
        transport.abort()
        assert loop.remove_reader(fd) is False
        await turns(2)


def test_a_reader_keeps_its_callback_alive_until_it_is_removed(loop, pair):
    class Thing:
        def method(self):
            pass

    thing = Thing()
    ref = weakref.ref(thing)
    loop.add_reader(pair[0], thing.method)
    del thing
    gc.collect()
    assert ref() is not None
    loop.remove_reader(pair[0])
    gc.collect()
    assert ref() is None


def test_closing_the_loop_lets_go_of_readers(new_loop, pair):
    class Thing:
        def method(self):
            pass

    loop = new_loop()
    thing = Thing()
    ref = weakref.ref(thing)
    loop.add_reader(pair[0], thing.method)
    loop.add_writer(pair[0], thing.method)
    loop.close()
    del thing
    gc.collect()
    assert ref() is None
    pair[1].send(b'x')
    assert pair[0].recv(1) == b'x'  # the socket itself is not touched


def test_one_descriptor_in_two_loops(new_loop, pair):
    loops = [new_loop(), new_loop()]
    for loop in loops:
        loop.add_reader(pair[0], loop.stop)
    pair[1].send(b'x')
    for loop in loops:
        loop.run_forever()
        assert loop.remove_reader(pair[0])


def test_five_hundred_descriptors(loop):
    pairs = [socket.socketpair() for _ in range(250)]
    seen = []

    def read(number):
        seen.append((number, pairs[number][0].recv(10)))
        loop.remove_reader(pairs[number][0])
        if len(seen) == len(pairs):
            loop.stop()

    for number, (one, other) in enumerate(pairs):
        loop.add_reader(one, read, number)
        other.send(b'%d' % number)
    loop.run_forever()
    assert sorted(seen) == [(n, b'%d' % n) for n in range(250)]
    for pair in pairs:
        for sock in pair:
            sock.close()
