# SPDX-License-Identifier: MIT
"""
TLS where it is unusual: exceptions in every callback, transports and
SSLObjects of somebody else's, early words, ends.
"""

import asyncio
import gc
import logging
import ssl
import sys
from asyncio import log

import pytest
from certificates import client_context, server_context
from test_tls import tls_pair, told
from two_loops import (Written, WrittenBuffered, eventually, handler_contexts,
                       raised, turns)

LARGE = bytes(range(256)) * 1024
BOTH = pytest.mark.parametrize('factory', [Written, WrittenBuffered])


def messages(contexts):
    return [(context['message'], type(context['exception']))
            for context in contexts]


def raising(base, name, exception=ZeroDivisionError):
    """The factory of a protocol whose method `name` raises."""
    def method(self, *args):
        getattr(base, name)(self, *args)
        raise exception

    return type('Raising', (base,), {name: method})


# Exceptions


class LendsOnce(WrittenBuffered):
    """asyncio asks for a buffer when the handshake is over, too."""

    def get_buffer(self, sizehint):
        if self.hints:
            raise ZeroDivisionError
        return super().get_buffer(sizehint)


@pytest.mark.parametrize('factory', [
    raising(Written, 'data_received'),
    raising(WrittenBuffered, 'buffer_updated'), LendsOnce])
async def test_an_exception_while_data_comes_ends_it(loop, factory):
    contexts = handler_contexts(loop)
    async with tls_pair(loop, factory) as (transport, one, other):
        other.transport.write(b'x')
        assert type(await one.lost) is ZeroDivisionError
        await other.lost
    assert messages(contexts) == [
        ('Fatal error on SSL protocol', ZeroDivisionError)]


async def test_an_exception_in_connection_made_ends_it(loop):
    contexts = handler_contexts(loop)
    factory = raising(Written, 'connection_made')
    async with tls_pair(loop, server_factory=factory) as (
            transport, one, other):
        assert type(await other.lost) is ZeroDivisionError
        await one.lost
    assert messages(contexts) == [
        ('Fatal error: protocol.buffer_updated() call failed.',
         ZeroDivisionError)]


async def test_an_exception_in_eof_received_ends_it(loop):
    contexts = handler_contexts(loop)
    factory = raising(Written, 'eof_received')
    async with tls_pair(loop, factory) as (transport, one, other):
        other.transport.close()
        assert type(await one.lost) is ZeroDivisionError
    assert messages(contexts) == [
        ('Error calling eof_received()', ZeroDivisionError)]


@pytest.mark.parametrize('name', ['pause_writing', 'resume_writing'])
async def test_an_exception_in_flow_control_is_reported(loop, name):
    contexts = handler_contexts(loop)
    factory = raising(Written, name)
    async with tls_pair(loop, factory) as (transport, one, other):
        other.transport.pause_reading()
        while 'pause' not in one.log:
            transport.write(LARGE)
            await turns()
        other.transport.resume_reading()
        await eventually(lambda: one.log[-1] == 'resume')
        assert not transport.is_closing()
    assert messages(contexts) == [
        (f'protocol.{name}() failed', ZeroDivisionError)]


@pytest.mark.parametrize('kind', [KeyboardInterrupt, SystemExit])
@BOTH
def test_what_ends_the_run(loop, factory, kind):
    name = {Written: 'data_received',
            WrittenBuffered: 'buffer_updated'}[factory]
    kept = []

    async def talk():
        async with tls_pair(loop, raising(factory, name, kind)) as (
                transport, one, other):
            kept.append(one)
            other.transport.write(b'x')
            await one.lost

    task = loop.create_task(talk())
    with pytest.raises(kind):
        loop.run_until_complete(task)
    assert kept[0].data == b'x'
    kept[0].transport.abort()
    loop.run_until_complete(task)


def test_what_ends_the_run_in_connection_lost(loop, monkeypatch):
    async def talk():
        async with tls_pair(loop) as (transport, one, other):
            def connection_lost(self, exc):
                lost(self, exc)
                if self is protocol:
                    raise KeyboardInterrupt('here')

            protocol = transport._ssl_protocol
            kind = type(protocol)
            lost = kind.connection_lost
            monkeypatch.setattr(kind, 'connection_lost', connection_lost)
            transport.close()
            await one.lost
            return one

    task = loop.create_task(talk())
    with pytest.raises(KeyboardInterrupt, match='here'):
        loop.run_until_complete(task)
    assert told(loop.run_until_complete(task)) == ['made', 'eof', 'lost']


async def test_an_end_in_the_middle_of_a_write(loop, monkeypatch):
    """A log's handler runs the loop, as nest_asyncio does, to the end."""
    def end(record):
        nonlocal below
        if 'Fatal write error' in record.getMessage():
            below.abort()
            below = None
            for _ in range(5):
                loop.call_soon(int)
                loop._run_once()
            ended.append(one.lost.done())
        return False

    def write():
        transport.write(LARGE)
        written.set_result(None)

    ended = []
    written = loop.create_future()
    async with tls_pair(loop) as (transport, one, other):
        below = transport._ssl_protocol._transport
        below.pause_reading()
        other.transport.abort()
        await other.lost
        transport.write(b'to nobody')
        await turns(2)
        monkeypatch.setattr(log.logger, 'filters', [end])
        monkeypatch.setattr(log.logger, 'level', logging.DEBUG)
        log.logger.manager._clear_cache()
        loop.set_debug(True)
        loop.call_soon(write)
        await written
        assert ended == [True]


async def test_a_peer_that_breaks_the_cipher(loop):
    contexts = handler_contexts(loop)
    async with tls_pair(loop) as (transport, one, other):
        other.transport._ssl_protocol._transport.write(b'no record\n' * 5)
        assert isinstance(await one.lost, ssl.SSLError)
    assert messages(contexts) in ([], [
        ('Fatal error on SSL protocol', ssl.SSLError)])


# Transports and SSLObjects of somebody else's


class Wire(asyncio.Transport):
    """One end of a wire in memory, as a program might write it."""

    _start_tls_compatible = True

    def __init__(self, loop):
        super().__init__({'color': 'red'})
        self.loop = loop
        self.protocol = self.peer = None
        self.paused = self.closed = False
        self.waiting = []

    def set_protocol(self, protocol):
        self.protocol = protocol

    def pause_reading(self):
        self.paused = True

    def resume_reading(self):
        self.paused = False
        self.loop.call_soon(self.deliver)

    def write(self, data):
        assert type(data) is bytes and data
        if not self.closed:
            self.peer.waiting.append(data)
            self.loop.call_soon(self.peer.deliver)

    def deliver(self):
        while self.waiting and not self.paused and not self.closed:
            asyncio.protocols._feed_data_to_buffered_proto(
                self.protocol, self.waiting.pop(0))

    def is_closing(self):
        return self.closed

    def close(self):
        self._force_close(None)

    abort = close

    def _force_close(self, exc):
        if not self.closed:
            self.closed = True
            self.loop.call_soon(self.protocol.connection_lost, exc)


def wires(loop):
    one, other = Wire(loop), Wire(loop)
    one.peer, other.peer = other, one
    return one, other


@BOTH
async def test_a_transport_in_python(loop, factory):
    one, other = wires(loop)
    protocols = factory(), factory()
    for protocol in protocols:
        protocol.log.append('made')
    client, server = await asyncio.gather(
        loop.start_tls(one, protocols[0], client_context(),
                       server_hostname='localhost'),
        loop.start_tls(other, protocols[1], server_context(),
                       server_side=True))
    client.write(LARGE)
    server.write(b'small')
    assert await protocols[1].received(len(LARGE)) == LARGE
    assert await protocols[0].received(5) == b'small'
    assert client.get_extra_info('color') == 'red'
    client.close()
    for protocol in protocols:
        assert await protocol.lost is None


class Counted(ssl.SSLObject):
    reads = writes = 0

    def read(self, *args):
        Counted.reads += 1
        return super().read(*args)

    def write(self, data):
        Counted.writes += 1
        return super().write(data)


@BOTH
async def test_an_ssl_object_of_the_program(loop, factory):
    context = client_context()
    context.sslobject_class = Counted
    async with tls_pair(loop, factory, ssl=context) as (
            transport, one, other):
        assert type(transport.get_extra_info('ssl_object')) is Counted
        transport.write(LARGE)
        other.transport.write(LARGE)
        assert await other.received(len(LARGE)) == LARGE
        assert await one.received(len(LARGE)) == LARGE
        assert Counted.reads and Counted.writes
        transport.close()
        assert await one.lost is None


# Early words


async def test_the_first_words_of_tls_came_early(loop, new_loop):
    """A client that does not wait for the answer to STARTTLS."""
    if new_loop.name == 'asyncio' and sys.version_info < (3, 14):
        pytest.skip('asyncio loses them')
    got = loop.create_future()

    async def serve(reader, writer):
        assert await reader.readline() == b'STARTTLS\n'
        await eventually(lambda: reader._buffer)
        await writer.start_tls(server_context())
        got.set_result(await reader.readline())
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, '127.0.0.1', 0)
    async with server:
        reader, writer = await asyncio.open_connection(
            *server.sockets[0].getsockname())
        writer.write(b'STARTTLS\n')
        await writer.start_tls(client_context(), server_hostname='localhost')
        writer.write(b'secret\n')
        assert await got == b'secret\n'
        assert await reader.read() == b''
        writer.close()
        await writer.wait_closed()
    await turns(3)


# Ends


async def test_a_transport_that_is_closed_twice(loop):
    async with tls_pair(loop) as (transport, one, other):
        transport.close()
        transport.close()
        for call in (transport.get_protocol, transport.is_reading,
                     transport.pause_reading, transport.resume_reading,
                     transport.get_write_buffer_size):
            assert raised(call)[0] is AttributeError
        assert raised(transport.write, b'x')[0] is AttributeError
        assert transport.is_closing() is True
        await one.lost


async def test_what_was_written_before_abort_is_sent(loop):
    async with tls_pair(loop) as (transport, one, other):
        transport.write(b'last words')
        transport.abort()
        await other.lost
        assert other.data == b'last words'


async def test_closing_while_data_comes(loop):
    class Closes(Written):
        def data_received(self, data):
            super().data_received(data)
            self.transport.write(b'bye')
            self.transport.close()

    async with tls_pair(loop, Closes) as (transport, one, other):
        other.transport.write(b'x')
        assert await other.lost is None
        assert other.data == b'bye'
        assert await one.lost is None
        assert told(one)[:2] == ['made', 'data']


async def test_the_last_words_when_the_peer_reads_late(loop):
    """Far more than the kernel takes; the end is still told."""
    async with tls_pair(loop) as (transport, one, other):
        other.transport.pause_reading()
        for _ in range(40):
            transport.write(LARGE)
        transport.close()
        await asyncio.sleep(0.01)
        other.transport.resume_reading()
        assert await other.lost is None
        assert len(other.data) == 40 * len(LARGE)
        assert told(other) == ['made', 'data', 'eof', 'lost']


def end_below(protocol):
    """The end of TCP, without a word of TLS."""
    protocol.transport._ssl_protocol._transport.write_eof()


async def test_the_end_waits_for_a_small_lent_buffer(loop, new_loop):
    if new_loop.name == 'asyncio':
        pytest.skip('asyncio loses all but the first piece')
    async with tls_pair(loop, lambda: WrittenBuffered(7)) as (
            transport, one, other):
        other.transport.write(LARGE)
        end_below(other)
        await one.lost
        assert one.data == LARGE
        assert told(one)[:2] == ['made', 'data']


async def test_the_end_waits_for_one_that_pauses(loop, new_loop):
    class Pauses(WrittenBuffered):
        def buffer_updated(self, nbytes):
            super().buffer_updated(nbytes)
            self.transport.pause_reading()
            loop.call_later(0.001, self.transport.resume_reading)

    if new_loop.name == 'asyncio':
        pytest.skip('asyncio loses what waits')
    async with tls_pair(loop, lambda: Pauses(30000)) as (
            transport, one, other):
        other.transport.write(LARGE)
        end_below(other)
        await one.lost
        assert one.data == LARGE


async def test_closing_when_the_end_has_come_but_is_not_read(loop, new_loop):
    if new_loop.name == 'asyncio':
        pytest.skip('asyncio never closes it')
    async with tls_pair(loop) as (transport, one, other):
        transport.pause_reading()
        end_below(other)
        await eventually(lambda: transport._ssl_protocol._eof_received)
        transport.close()
        assert await one.lost is None
        assert one.data == b''


async def test_aborting_while_the_end_is_read(loop, new_loop, noise):
    class Aborts(Written):
        def data_received(self, data):
            super().data_received(data)
            self.transport.abort()

    if new_loop.name == 'asyncio':
        pytest.skip('asyncio reports a wrong state')
    contexts = handler_contexts(loop)
    async with tls_pair(loop, Aborts) as (transport, one, other):
        transport.pause_reading()
        other.transport.write(b'x')
        end_below(other)
        await eventually(lambda: transport._ssl_protocol._eof_received)
        transport.resume_reading()
        assert await one.lost is None
        assert one.data == b'x'
    assert contexts == []


async def test_a_dropped_transport_warns(loop, noise):
    one, other = wires(loop)
    other.set_protocol(WrittenBuffered())
    other.protocol.log.append('made')
    task = loop.create_task(loop.start_tls(
        one, asyncio.Protocol(), client_context(),
        server_hostname='localhost'))
    await turns(2)
    transport = one.protocol._app_transport
    one.protocol._app_transport = None
    del transport
    gc.collect()
    assert noise.warned() == [
        'unclosed transport <asyncio._SSLProtocolTransport object>']
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await turns(3)


@BOTH
async def test_the_collector_runs_all_the_time(loop, factory):
    before = gc.get_threshold()
    gc.set_threshold(1)
    try:
        async with tls_pair(loop, factory, factory) as (
                transport, one, other):
            for number in range(20):
                transport.write(b'x' * number * 100)
                other.transport.write(LARGE[:number * 999])
                await turns()
            assert len(await one.received(190 * 999)) == 190 * 999
            assert await other.received(19000) == b'x' * 19000
            transport.close()
            assert await other.lost is None
            assert await one.lost is None
    finally:
        gc.set_threshold(*before)
