# SPDX-License-Identifier: MIT
"""
What stream transports read and write, for both kinds of protocols.
"""

import array
import asyncio
import socket
import struct
import sys

import pytest
from two_loops import (Written, WrittenBuffered, connected, eventually,
                       narrow, raised, read_all, turns)

BOTH = pytest.mark.parametrize('factory', [Written, WrittenBuffered])
KINDS = pytest.mark.parametrize('kind', ['tcp', 'unix'])
MEGABYTE = bytes(range(256)) * 4096


@BOTH
@KINDS
async def test_what_the_peer_sends_is_received(loop, factory, kind):
    async with connected(loop, factory, kind) as (transport, protocol, peer):
        assert protocol.transport is transport
        await loop.sock_sendall(peer, b'hello')
        assert await protocol.received(5) == b'hello'
        await loop.sock_sendall(peer, b' world')
        assert await protocol.received(11) == b'hello world'
        assert protocol.log == ['made', 'data', ]


@BOTH
async def test_what_was_there_before_the_transport_is_received(loop, factory):
    one, other = socket.socketpair()
    with other:
        other.send(b'early')
        transport, protocol = await loop.create_connection(factory, sock=one)
        assert await protocol.received(5) == b'early'
        transport.close()
        await protocol.lost
        assert protocol.log == ['made', 'data', 'lost']


@BOTH
@KINDS
async def test_a_megabyte_in_both_directions(loop, factory, kind):
    async with connected(loop, factory, kind) as (transport, protocol, peer):
        narrow(peer, transport.get_extra_info('socket'))
        transport.write(MEGABYTE)
        transport.write_eof()
        sent = loop.create_task(loop.sock_sendall(peer, MEGABYTE))
        assert await read_all(loop, peer) == MEGABYTE
        await sent
        assert await protocol.received(len(MEGABYTE)) == MEGABYTE


async def test_an_echo_of_a_thousand_messages(loop):
    class Echo(asyncio.Protocol):
        def connection_made(self, transport):
            self.transport = transport

        def data_received(self, data):
            self.transport.write(data)

    async with connected(loop, Echo) as (transport, protocol, peer):
        for number in range(1000):
            message = b'message %d' % number
            await loop.sock_sendall(peer, message)
            assert await loop.sock_recv(peer, 100) == message


async def test_an_echo_through_a_lent_buffer(loop):
    class Echo(asyncio.BufferedProtocol):
        def __init__(self):
            self.buffer = bytearray(16)

        def connection_made(self, transport):
            self.transport = transport

        def get_buffer(self, sizehint):
            return self.buffer

        def buffer_updated(self, nbytes):
            self.transport.write(self.buffer[:nbytes])
            self.buffer[:] = b'\xff' * 16  # what was written is not ours

    async with connected(loop, Echo) as (transport, protocol, peer):
        for number in range(100):
            message = b'a message of some length %d' % number
            await loop.sock_sendall(peer, message)
            got = b''
            while len(got) < len(message):
                got += await loop.sock_recv(peer, 100)
            assert got == message


# Lent buffers


async def test_the_size_hint_is_minus_one(loop):
    async with connected(loop, WrittenBuffered) as (_, protocol, peer):
        peer.send(b'x')
        await protocol.received(1)
        assert set(protocol.hints) == {-1}


async def test_a_small_buffer_is_asked_for_until_nothing_is_left(loop):
    async with connected(loop, lambda: WrittenBuffered(3)) as (
            _, protocol, peer):
        peer.send(b'abcdefgh')
        assert await protocol.received(8) == b'abcdefgh'
        assert len(protocol.hints) >= 3


@pytest.mark.parametrize('lend', [
    memoryview, lambda buffer: memoryview(buffer)[2:6], lambda buffer: buffer])
async def test_the_buffer_may_be_any_that_can_be_written(loop, lend):
    class Lender(WrittenBuffered):
        def get_buffer(self, sizehint):
            self.lent = lend(self.buffer)
            return self.lent

        def buffer_updated(self, nbytes):
            self.data += bytes(self.lent[:nbytes])
            self._wake()

    async with connected(loop, Lender) as (_, protocol, peer):
        peer.send(b'abcdefgh')
        assert await protocol.received(8) == b'abcdefgh'


async def test_a_buffer_is_lent_until_it_was_filled_only(loop):
    class Lender(WrittenBuffered):
        def get_buffer(self, sizehint):
            return self.buffer

        def buffer_updated(self, nbytes):
            super().buffer_updated(nbytes)
            self.buffer.extend(b'grows')  # an error while it is exported

    async with connected(loop, Lender) as (_, protocol, peer):
        for _ in range(3):
            size = len(protocol.data)
            peer.send(b'abc')
            await protocol.received(size + 3)
        assert len(protocol.buffer) == 65536 + 15


async def test_what_is_ready_runs_before_what_is_received(loop):
    seen = []

    class Sees(Written):
        def data_received(self, data):
            seen.append(data)

    async with connected(loop, Sees) as (transport, protocol, peer):
        await turns(2)
        peer.send(b'data')
        loop.call_soon(seen.append, 'soon')
        await turns(2)
        assert seen == ['soon', b'data']


# Writing


@pytest.mark.parametrize('kind', [
    bytes, bytearray, memoryview, lambda data: memoryview(bytearray(data)),
    lambda data: memoryview(data + b'x')[:-1]])
async def test_every_kind_of_buffer_is_written(loop, kind):
    async with connected(loop) as (transport, _, peer):
        assert transport.write(kind(b'data')) is None
        transport.writelines([kind(b' and'), kind(b' more')])
        transport.write_eof()
        assert await read_all(loop, peer) == b'data and more'


@pytest.mark.parametrize('wrong', ['text', 5, None, [b'x'], object()])
async def test_what_is_no_buffer_is_refused(loop, wrong):
    async with connected(loop) as (transport, _, peer):
        what = ('bytes, bytearray, or memoryview'
                if sys.version_info >= (3, 14) else 'bytes-like')
        assert raised(transport.write, wrong) == (
            TypeError, f'data argument must be a {what} object, not '
            f'{type(wrong).__name__!r}')
        with pytest.raises(TypeError):
            transport.writelines([b'x', wrong or 5])
        with pytest.raises(TypeError):
            transport.writelines(5)
        assert not transport.is_closing()
    with pytest.raises(TypeError):
        transport.write()


async def test_the_words_of_writelines(loop):
    joins = sys.version_info < (3, 12)  # and then writes
    async with connected(loop) as (transport, _, peer):
        assert raised(transport.writelines, [b'x', 'text']) == (
            TypeError, 'sequence item 1: expected a bytes-like object, '
            'str found' if joins else
            "memoryview: a bytes-like object is required, not 'str'")
        transport.writelines([array.array('b', [120]), b'y'])
        transport.write_eof()
        assert raised(transport.writelines, [b'x']) == (
            RuntimeError, f"Cannot call {'write' if joins else 'writelines'}()"
            ' after write_eof()')
        assert await read_all(loop, peer) == b'xy'


async def test_write_eof_to_one_who_is_gone(loop):
    async with connected(loop) as (transport, protocol, peer):
        transport.pause_reading()
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                        struct.pack('ii', 1, 0))
        peer.close()
        assert raised(transport.write_eof) == (
            OSError, '[Errno 107] Transport endpoint is not connected')
        assert protocol.log == ['made']


async def test_empty_writes_are_nothing(loop):
    async with connected(loop) as (transport, _, peer):
        transport.write(b'')
        transport.write(bytearray())
        transport.write(memoryview(b''))
        transport.writelines([])
        transport.writelines([b'', b''])
        await turns(2)
        with pytest.raises(BlockingIOError):
            peer.recv(1)
        transport.write(b'x')
        assert await loop.sock_recv(peer, 10) == b'x'
        assert transport.get_write_buffer_size() == 0


async def test_writelines_takes_any_iterable(loop):
    async with connected(loop) as (transport, _, peer):
        transport.writelines(b'%d' % n for n in range(5))
        transport.writelines((b'a', b'', bytearray(b'b'), memoryview(b'c')))
        transport.write_eof()
        assert await read_all(loop, peer) == b'01234abc'


async def test_writelines_of_more_pieces_than_the_kernel_takes(loop):
    pieces = [b'%d,' % n for n in range(5000)]
    async with connected(loop) as (transport, _, peer):
        transport.writelines(pieces)
        transport.write_eof()
        assert await read_all(loop, peer) == b''.join(pieces)


async def test_the_order_of_writes_is_kept(loop):
    pieces = [b'%d,' % n * (n % 50) for n in range(3000)]
    async with connected(loop, kind='unix') as (transport, _, peer):
        narrow(transport.get_extra_info('socket'))
        for number, piece in enumerate(pieces):
            if number % 7:
                transport.write(piece)
            else:
                transport.writelines([piece[:3], piece[3:]])
            if number % 100 == 0:
                await turns()
        transport.write_eof()
        assert await read_all(loop, peer) == b''.join(pieces)


async def test_a_write_is_on_its_way_when_the_turn_ends(loop):
    async with connected(loop) as (transport, _, peer):
        transport.write(b'now')
        await turns(2)
        assert peer.recv(10) == b'now'


async def test_a_mutable_buffer_may_be_changed_after_the_write(loop, new_loop):
    if new_loop.name == 'asyncio' and sys.version_info >= (3, 12):
        pytest.skip('asyncio keeps a view')
    async with connected(loop, kind='unix') as (transport, _, peer):
        buffer = bytearray(MEGABYTE)
        transport.write(buffer)
        transport.write(memoryview(buffer)[:1000])
        transport.writelines([buffer[:10], memoryview(buffer)[:5]])
        assert transport.get_write_buffer_size() > 0
        buffer[:] = bytes(len(buffer))
        buffer.clear()  # nor is it held
        transport.write_eof()
        assert await read_all(loop, peer) == (
            MEGABYTE + MEGABYTE[:1000] + MEGABYTE[:10] + MEGABYTE[:5])


async def test_a_view_of_more_than_one_byte_per_item(loop):
    async with connected(loop) as (transport, _, peer):
        view = memoryview(bytes(range(32)))
        transport.write(view.cast('B'))
        transport.write_eof()
        assert await read_all(loop, peer) == bytes(range(32))


async def test_writing_in_connection_made(loop):
    class Early(Written):
        def connection_made(self, transport):
            super().connection_made(transport)
            transport.write(b'hello')
            transport.write_eof()

    async with connected(loop, Early) as (transport, _, peer):
        assert await read_all(loop, peer) == b'hello'


# Reading is paused and resumed


@BOTH
async def test_a_paused_transport_reads_nothing(loop, factory):
    async with connected(loop, factory) as (transport, protocol, peer):
        assert transport.is_reading() is True
        transport.pause_reading()
        transport.pause_reading()
        assert transport.is_reading() is False
        peer.send(b'waits')
        await turns(5)
        assert protocol.data == b''
        transport.resume_reading()
        transport.resume_reading()
        assert transport.is_reading() is True
        assert await protocol.received(5) == b'waits'


@BOTH
async def test_no_byte_is_lost_over_many_pauses(loop, factory):
    class Pauses(factory):
        def data_received(self, data):
            super().data_received(data)
            self.pauses()

        def buffer_updated(self, nbytes):
            super().buffer_updated(nbytes)
            self.pauses()

        def pauses(self):
            self.transport.pause_reading()
            assert not self.paused
            self.paused = True
            loop.call_soon(self.resumes)

        def resumes(self):
            self.paused = False
            self.transport.resume_reading()

        paused = False

    async with connected(loop, Pauses, 'unix') as (transport, protocol, peer):
        narrow(peer)
        sent = loop.create_task(loop.sock_sendall(peer, MEGABYTE))
        assert await protocol.received(len(MEGABYTE)) == MEGABYTE
        await sent
        await turns(2)


async def test_pausing_in_the_callback_keeps_the_rest_back(loop):
    class Once(WrittenBuffered):
        def buffer_updated(self, nbytes):
            super().buffer_updated(nbytes)
            self.transport.pause_reading()

    async with connected(loop, lambda: Once(4)) as (transport, protocol, peer):
        peer.send(b'abcdefgh')
        await protocol.received(4)
        await turns(5)
        assert protocol.data == b'abcd'
        transport.resume_reading()
        assert await protocol.received(8) == b'abcdefgh'


async def test_paused_in_connection_made(loop):
    class Paused(Written):
        def connection_made(self, transport):
            super().connection_made(transport)
            transport.pause_reading()

    one, other = socket.socketpair()
    with other:
        other.send(b'x')
        transport, protocol = await loop.create_connection(Paused, sock=one)
        await turns(5)
        if not transport.is_reading():
            assert protocol.data in (b'', b'x')
        transport.resume_reading()
        assert await protocol.received(1) == b'x'
        transport.close()
        await protocol.lost


async def test_the_end_waits_while_reading_is_paused(loop):
    async with connected(loop) as (transport, protocol, peer):
        transport.pause_reading()
        peer.send(b'last')
        peer.close()
        await turns(5)
        assert protocol.log == ['made']
        transport.resume_reading()
        await protocol.lost
        assert protocol.log == ['made', 'data', 'eof', 'lost']
        assert protocol.data == b'last'


async def test_reading_that_resumes_meets_the_end_again(loop):
    class Patient(Written):
        def eof_received(self):
            self.log.append('eof')
            return len(self.log) < 3

    async with connected(loop, Patient) as (transport, protocol, peer):
        peer.shutdown(socket.SHUT_WR)
        await eventually(lambda: protocol.log == ['made', 'eof'])
        transport.pause_reading()
        await turns(3)
        assert protocol.log == ['made', 'eof']
        transport.resume_reading()
        await protocol.lost
        assert protocol.log == ['made', 'eof', 'eof', 'lost']


async def test_reading_that_resumes_after_the_end_meets_a_reset(loop):
    class Patient(Written):
        def eof_received(self):
            self.log.append('eof')
            return True

    async with connected(loop, Patient, 'unix') as (
            transport, protocol, peer):
        peer.shutdown(socket.SHUT_WR)
        await eventually(lambda: protocol.log == ['made', 'eof'])
        transport.pause_reading()
        transport.write(b'never read')
        await turns(2)
        peer.close()
        transport.resume_reading()
        assert isinstance(await protocol.lost, ConnectionResetError)


async def test_after_close_pausing_and_resuming_do_nothing(loop):
    async with connected(loop) as (transport, protocol, peer):
        transport.close()
        assert transport.is_reading() is False
        transport.pause_reading()
        transport.resume_reading()
        peer.send(b'x')
        await protocol.lost
        assert protocol.log == ['made', 'lost']
        transport.pause_reading()
        transport.resume_reading()


# Other protocols


@pytest.mark.parametrize('first, second', [
    (Written, WrittenBuffered), (WrittenBuffered, Written),
    (Written, Written), (WrittenBuffered, WrittenBuffered)])
async def test_the_protocol_is_replaced(loop, first, second):
    async with connected(loop, first) as (transport, protocol, peer):
        peer.send(b'one')
        await protocol.received(3)
        other = second()
        other.log.append('set')
        assert transport.get_protocol() is protocol
        assert transport.set_protocol(other) is None
        assert transport.get_protocol() is other
        peer.send(b'two')
        assert await other.received(3) == b'two'
        assert protocol.data == b'one'
        transport.close()
        await other.lost
        assert protocol.log == ['made', 'data']
        assert other.log == ['set', 'data', 'lost']


async def test_the_protocol_is_replaced_in_its_callback(loop):
    class First(Written):
        def data_received(self, data):
            super().data_received(data)
            self.transport.set_protocol(other)

    async with connected(loop, First) as (transport, protocol, peer):
        other = WrittenBuffered()
        other.log.append('set')
        peer.send(b'one')
        await eventually(lambda: protocol.data)
        peer.send(b'two')
        assert await other.received(3) == b'two'
        assert protocol.data == b'one'


async def test_a_method_that_is_set_on_the_instance_is_called(loop):
    async with connected(loop) as (transport, protocol, peer):
        peer.send(b'x')
        await protocol.received(1)
        seen = loop.create_future()
        protocol.data_received = seen.set_result
        peer.send(b'y')
        assert await seen in (b'y',)


async def test_a_protocol_without_a_base_class(loop):
    class Bare:
        def connection_made(self, transport):
            self.data = loop.create_future()

        def data_received(self, data):
            self.data.set_result(data)

        def connection_lost(self, exc):
            self.data = exc

    async with connected(loop, Bare) as (transport, protocol, peer):
        peer.send(b'x')
        assert await protocol.data == b'x'
    assert protocol.data is None
