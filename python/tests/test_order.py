# SPDX-License-Identifier: MIT
"""
What comes before what: data and the return of whoever connects, writes and
what ends a connection right behind them, callbacks and what is read next.
"""

import asyncio
import contextvars
import gc
import os
import socket
import weakref

import pytest
from two_loops import (Written, WrittenBuffered, before, connected,
                       handler_contexts, narrow, raised, read_all, stream_pair,
                       turns)

name = contextvars.ContextVar('name', default='nobody')
BOTH = pytest.mark.parametrize('factory', [Written, WrittenBuffered])
LARGE = bytes(1 << 22)


def wait_for_end(peer):
    """All that comes, by a blocking socket."""
    peer.settimeout(5)
    parts = []
    while part := peer.recv(1 << 16):
        parts.append(part)
    return b''.join(parts)


# Data, and who has asked for the connection


@BOTH
async def test_who_connects_goes_on_before_data_is_read(loop, factory):
    sock, peer = stream_pair()
    peer.send(b'early')
    with peer:
        transport, protocol = await loop.create_connection(factory, sock=sock)
        assert protocol.log == ['made']
        other = factory()
        other.log.append('took over')
        transport.set_protocol(other)
        assert await other.received(5) == b'early'
        assert protocol.data == b''
        transport.abort()


async def test_reading_may_be_paused_before_the_first_byte(loop):
    sock, peer = stream_pair()
    peer.send(b'early')
    with peer:
        transport, protocol = await loop.create_connection(Written, sock=sock)
        transport.pause_reading()
        await turns(5)
        assert protocol.log == ['made']
        transport.resume_reading()
        assert await protocol.received(5) == b'early'
        transport.abort()


async def test_an_accepted_socket_is_told_of_before_its_data(loop):
    sock, peer = stream_pair()
    peer.send(b'early')
    with peer:
        transport, protocol = await loop.connect_accepted_socket(Written, sock)
        assert protocol.log == ['made']
        assert await protocol.received(5) == b'early'
        transport.abort()


async def test_tasks_of_connection_made_begin_before_data_comes(loop):
    log = []

    async def work():
        log.append('task')

    class Starts(Written):
        def connection_made(self, transport):
            super().connection_made(transport)
            self.task = loop.create_task(work())

        def data_received(self, data):
            log.append('data')
            super().data_received(data)

    sock, peer = stream_pair()
    peer.send(b'x')
    with peer:
        transport, protocol = await loop.create_connection(Starts, sock=sock)
        await protocol.received(1)
        assert log == ['task', 'data']
        transport.abort()


async def test_resumed_reading_comes_behind_what_is_scheduled(loop):
    async with connected(loop) as (transport, protocol, peer):
        log = []
        protocol.data_received = lambda data: log.append('data')
        transport.pause_reading()
        peer.send(b'x')
        await turns(3)
        transport.resume_reading()
        loop.call_soon(log.append, 'callback')
        await turns(3)
        assert log == ['callback', 'data']


# What was written, and then the end


async def test_what_was_written_is_sent_before_abort(loop):
    async with connected(loop) as (transport, protocol, peer):
        transport.write(b'HTTP/1.1 400 Bad Request\r\n')
        transport.write(b'\r\n')
        transport.abort()
        assert await read_all(loop, peer) == b'HTTP/1.1 400 Bad Request\r\n\r\n'


async def test_what_was_written_is_sent_before_a_callback_fails(loop):
    class Fails(Written):
        def data_received(self, data):
            self.transport.write(b'last words')
            raise ZeroDivisionError

    contexts = handler_contexts(loop)
    async with connected(loop, Fails) as (transport, protocol, peer):
        await loop.sock_sendall(peer, b'x')
        assert await read_all(loop, peer) == b'last words'
    assert len(contexts) == 1


async def test_what_was_written_is_sent_before_the_socket_is_used(loop):
    async with connected(loop) as (transport, protocol, peer):
        transport.write(b'before')
        transport.get_extra_info('socket').shutdown(socket.SHUT_WR)
        assert await read_all(loop, peer) == b'before'
        assert protocol.log == ['made']


def test_what_is_written_between_two_runs_is_sent_at_once(new_loop):
    loop = new_loop()
    sock, peer = stream_pair()
    with peer:
        transport, protocol = loop.run_until_complete(
            loop.create_connection(Written, sock=sock))
        transport.write(b'small')
        peer.settimeout(5)
        assert peer.recv(10) == b'small'
        transport.abort()
        loop.run_until_complete(protocol.lost)
    loop.close()


def test_a_closed_loop_sends_what_the_kernel_takes(new_loop, noise):
    loop = new_loop()
    sock, peer = stream_pair()
    with peer:
        transport, _ = loop.run_until_complete(
            loop.create_connection(Written, sock=sock))
        loop.close()
        transport.write(b'small')
        peer.settimeout(5)
        assert peer.recv(10) == b'small'
        assert raised(transport.write, LARGE) == (
            RuntimeError, 'Event loop is closed')
        del transport, _
        gc.collect()
    assert 'unclosed transport' in noise.warned()[0]


@before[3, 14]  # from then on, a task cannot go on in the child
def test_a_forked_child_does_not_send_it_again(new_loop):
    loop = new_loop()
    sock, peer = stream_pair()

    async def main():
        transport, protocol = await loop.create_connection(Written, sock=sock)
        transport.write(b'once')
        child = os.fork()
        if child == 0:
            await turns(3)
            os._exit(0)
        os.waitpid(child, 0)
        transport.close()
        await protocol.lost

    with peer:
        loop.run_until_complete(main())
        assert wait_for_end(peer) == b'once'
    loop.close()


# A loop inside a callback


async def test_a_nested_run_in_a_callback_leaves_the_connection_alone(loop):
    if type(loop) is asyncio.SelectorEventLoop:
        pytest.skip('it reports that the context is entered, again and again')

    class Nests(Written):
        def data_received(self, data):
            super().data_received(data)
            if data == b'nest':
                step(loop, 20)

    async with connected(loop, Nests) as (transport, protocol, peer):
        await loop.sock_sendall(peer, b'nest')
        await protocol.received(4)
        await loop.sock_sendall(peer, b'more')
        assert await protocol.received(8) == b'nestmore'
        assert protocol.log == ['made', 'data']


def step(loop, count):
    """Some turns inside of one, as nest_asyncio makes them."""
    task = asyncio.current_task()
    if task:
        asyncio.tasks._leave_task(loop, task)
    for _ in range(count):
        loop._run_once()
    if task:
        asyncio.tasks._enter_task(loop, task)


# Contexts


class Named(Written):
    def resume_writing(self):
        self.log.append(f'resume for {name.get()}')

    def connection_lost(self, exc):
        self.log.append(f'lost for {name.get()}')
        self.lost.set_result(exc)


async def say(who, function, *args):
    name.set(who)
    function(*args)


async def test_who_writes_is_whom_writing_is_resumed_for(loop):
    sock, peer = stream_pair()
    narrow(sock)
    peer.setblocking(False)
    with peer:
        transport, protocol = await loop.create_connection(Named, sock=sock)
        await loop.create_task(say('writer', transport.write, LARGE))
        assert protocol.log == ['made', 'pause']
        reading = loop.create_task(read_all(loop, peer))
        while protocol.log[-1] == 'pause':
            await asyncio.sleep(0.001)
        assert protocol.log[-1] == 'resume for writer'
        await loop.create_task(say('closer', transport.close))
        await reading
        await protocol.lost
        assert protocol.log[-1] in ('lost for writer', 'lost for closer')


async def test_who_wrote_last_is_whom_the_end_is_told_for(loop):
    async with connected(loop, Named) as (transport, protocol, peer):
        await loop.create_task(say('writer', transport.write, LARGE))
        await loop.create_task(say('closer', transport.close))
        await read_all(loop, peer)
        await protocol.lost
        assert protocol.log[-1] == 'lost for writer'


async def test_who_closes_is_whom_the_end_is_told_for(loop):
    async with connected(loop, Named) as (transport, protocol, peer):
        await loop.create_task(say('closer', transport.close))
        await protocol.lost
        assert protocol.log[-1] == 'lost for closer'


# Who keeps a transport


async def test_one_that_is_paused_is_let_go_when_all_is_sent(loop, noise):
    sock, peer = stream_pair()
    narrow(sock)
    peer.setblocking(False)
    with peer:
        transport, protocol = await loop.create_connection(Written, sock=sock)
        transport.write(LARGE)
        transport.pause_reading()
        assert transport.get_write_buffer_size() > 0
        gone = weakref.ref(transport)
        protocol.transport = None
        del transport
        gc.collect()
        assert gone()
        assert await read_all_of(loop, peer, len(LARGE)) == LARGE
        for _ in range(100):
            await turns(1)
            gc.collect()
            if not gone():
                break
        assert gone() is None
        assert await read_all(loop, peer) == b''
        assert 'unclosed transport' in noise.warned()[0]


async def read_all_of(loop, sock, size):
    parts = bytearray()
    while len(parts) < size:
        parts += await loop.sock_recv(sock, 1 << 16)
    return parts


async def test_a_transport_takes_the_place_of_a_reader(loop):
    sock, peer = stream_pair()
    sock.setblocking(False)
    with peer:
        loop.add_reader(sock, pytest.fail, 'the reader is called')
        transport, protocol = await loop.create_connection(Written, sock=sock)
        peer.send(b'x')
        assert await protocol.received(1) == b'x'
        transport.abort()


# Methods that are replaced


async def test_a_stream_protocols_method_may_be_replaced(loop, monkeypatch):
    got = []
    sock, peer = stream_pair()
    with peer:
        reader, writer = await asyncio.open_connection(sock=sock)
        monkeypatch.setattr(asyncio.StreamReaderProtocol, 'data_received',
                            lambda protocol, data: got.append(data))
        peer.send(b'x')
        while not got:
            await turns(1)
        monkeypatch.undo()
        peer.send(b'y')
        assert await reader.readexactly(1) == b'y'
        assert got == [b'x']
        writer.close()


async def test_a_reader_is_not_fed_behind_its_end(loop):
    contexts = handler_contexts(loop)
    sock, peer = stream_pair()
    with peer:
        reader, writer = await asyncio.open_connection(sock=sock)
        reader.feed_eof()
        peer.send(b'x')
        while not contexts:
            await turns(1)
        assert isinstance(contexts[0]['exception'], AssertionError)
        assert await reader.read() == b''
        writer.close()


async def test_a_buffer_without_a_length_is_an_error(loop):
    class Lends(WrittenBuffered):
        def get_buffer(self, sizehint):
            return 7

    contexts = handler_contexts(loop)
    async with connected(loop, Lends) as (transport, protocol, peer):
        await loop.sock_sendall(peer, b'x')
        exc = await protocol.lost
        assert (type(exc), str(exc)) == (
            TypeError, "object of type 'int' has no len()")
        assert contexts[0]['exception'] is exc
