# SPDX-License-Identifier: MIT
"""
asyncio's streams on the loop: lines, limits, the end, drain, subclasses.
"""

import asyncio
import contextlib
import gc
import socket

import pytest
from two_loops import araised, eventually, narrow, read_all, since, turns

LARGE = bytes(range(256)) * 4096


@contextlib.asynccontextmanager
async def streams(loop, limit=2 ** 16, kind=socket.AF_UNIX):
    """(reader, writer, peer): the peer is a non-blocking socket."""
    one, peer = socket.socketpair(kind)
    peer.setblocking(False)
    with peer:
        reader, writer = await asyncio.open_connection(sock=one, limit=limit)
        try:
            yield reader, writer, peer
        finally:
            if not writer.is_closing():
                writer.transport.abort()
            await turns(3)


async def test_read_takes_what_is_there(loop):
    async with streams(loop) as (reader, writer, peer):
        peer.send(b'hello')
        assert await reader.read(3) == b'hel'
        assert await reader.read(100) == b'lo'
        assert await reader.read(0) == b''
        task = loop.create_task(reader.read(100))
        await turns(3)
        assert not task.done()
        peer.send(b'later')
        assert await task == b'later'
        assert type(task.result()) is bytes


async def test_read_until_the_end(loop):
    async with streams(loop) as (reader, writer, peer):
        sent = loop.create_task(loop.sock_sendall(peer, LARGE))
        sent.add_done_callback(lambda _: peer.shutdown(socket.SHUT_WR))
        assert await reader.read() == LARGE
        assert await reader.read() == b''
        assert await reader.read(10) == b''
        assert reader.at_eof() is True


async def test_lines(loop):
    async with streams(loop) as (reader, writer, peer):
        peer.send(b'one\ntwo\n\nthr')
        assert await reader.readline() == b'one\n'
        assert await reader.readline() == b'two\n'
        assert await reader.readline() == b'\n'
        task = loop.create_task(reader.readline())
        await turns(3)
        assert not task.done()
        peer.send(b'ee\nlast')
        assert await task == b'three\n'
        peer.close()
        assert await reader.readline() == b'last'
        assert await reader.readline() == b''


async def test_a_thousand_lines_by_iteration(loop):
    async with streams(loop) as (reader, writer, peer):
        lines = [b'line %d\n' % number for number in range(1000)]
        sent = loop.create_task(loop.sock_sendall(peer, b''.join(lines)))
        sent.add_done_callback(lambda _: peer.close())
        assert [line async for line in reader] == lines


async def test_exactly(loop):
    async with streams(loop) as (reader, writer, peer):
        peer.send(b'abcdef')
        assert await reader.readexactly(0) == b''
        assert await reader.readexactly(4) == b'abcd'
        task = loop.create_task(reader.readexactly(4))
        await turns(3)
        assert not task.done()
        peer.send(b'gh..')
        assert await task == b'efgh'
        peer.close()
        with pytest.raises(asyncio.IncompleteReadError) as info:
            await reader.readexactly(10)
        assert info.value.partial == b'..'
        assert info.value.expected == 10
    assert await araised(reader.readexactly(-1)) == (
        ValueError, 'readexactly size can not be less than zero')


async def test_until(loop):
    async with streams(loop) as (reader, writer, peer):
        peer.send(b'a||b|')
        assert await reader.readuntil(b'||') == b'a||'
        task = loop.create_task(reader.readuntil(b'||'))
        await turns(3)
        peer.send(b'|c')
        assert await task == b'b||'
        peer.close()
        with pytest.raises(asyncio.IncompleteReadError) as info:
            await reader.readuntil(b'||')
        assert info.value.partial == b'c'


async def test_the_limit_of_a_line(loop):
    async with streams(loop, limit=10) as (reader, writer, peer):
        peer.send(b'x' * 30 + b'\nshort\n')
        kind, text = await araised(reader.readline())
        assert kind is ValueError
        assert text == ('Separator is found, but chunk is longer than limit')
        assert await reader.readline() == b'short\n'


async def test_the_limit_of_a_chunk(loop):
    async with streams(loop, limit=10) as (reader, writer, peer):
        peer.send(b'x' * 30)
        with pytest.raises(asyncio.LimitOverrunError) as info:
            await reader.readuntil(b'|')
        assert str(info.value) == (
            'Separator is not found, and chunk exceed the limit')
        assert info.value.consumed == 30


async def test_the_reader_pauses_the_transport_beyond_twice_the_limit(loop):
    async with streams(loop, limit=1000) as (reader, writer, peer):
        narrow(peer)
        sent = loop.create_task(loop.sock_sendall(peer, LARGE))
        await eventually(lambda: not writer.transport.is_reading())
        assert not sent.done()
        assert await reader.readexactly(len(LARGE)) == LARGE
        await sent


async def test_several_may_not_wait_for_one_reader(loop):
    async with streams(loop) as (reader, writer, peer):
        task = loop.create_task(reader.read(1))
        await turns(2)
        assert await araised(reader.readline()) == (
            RuntimeError, 'readuntil() called while another coroutine is '
            'already waiting for incoming data')
        peer.send(b'x')
        assert await task == b'x'


async def test_a_read_that_is_cancelled_loses_nothing(loop):
    async with streams(loop) as (reader, writer, peer):
        for _ in range(3):
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(reader.readexactly(6), 0.002)
            peer.send(b'ab')
            await turns(3)
        assert await reader.readexactly(6) == b'ababab'


async def test_a_reset_is_an_error_of_the_reader(loop):
    import struct
    with socket.create_server(('127.0.0.1', 0)) as listener:
        reader, writer = await asyncio.open_connection(
            *listener.getsockname())
        peer, _ = listener.accept()
        task = loop.create_task(reader.read())
        await turns(2)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                        struct.pack('ii', 1, 0))
        peer.close()
        with pytest.raises(ConnectionResetError):
            await task
        assert isinstance(reader.exception(), ConnectionResetError)
        with pytest.raises(ConnectionResetError):
            await writer.drain()
        writer.close()
        with contextlib.suppress(ConnectionResetError):
            await writer.wait_closed()


# Writing


async def test_writing_and_ending(loop):
    async with streams(loop) as (reader, writer, peer):
        writer.write(b'one ')
        writer.writelines([b'two ', b'three'])
        await writer.drain()
        assert writer.can_write_eof()
        writer.write_eof()
        assert await read_all(loop, peer) == b'one two three'
        peer.send(b'answer')
        peer.close()
        assert await reader.read() == b'answer'


async def test_drain_waits_and_goes_on(loop):
    async with streams(loop) as (reader, writer, peer):
        async def write():
            for start in range(0, len(LARGE), 1 << 16):
                writer.write(LARGE[start:start + (1 << 16)])
                await writer.drain()
            writer.write_eof()

        narrow(writer.get_extra_info('socket'))
        task = loop.create_task(write())
        await asyncio.sleep(0.005)
        assert not task.done()
        assert await read_all(loop, peer) == LARGE
        await task


async def test_several_may_drain(loop):
    async with streams(loop) as (reader, writer, peer):
        writer.write(LARGE)
        tasks = [loop.create_task(writer.drain()) for _ in range(3)]
        await turns(3)
        assert not any(task.done() for task in tasks)
        size = 0
        while size < len(LARGE):
            size += len(await loop.sock_recv(peer, 1 << 20))
        await asyncio.gather(*tasks)


async def test_drain_after_the_connection_is_lost(loop):
    async with streams(loop) as (reader, writer, peer):
        writer.write(LARGE)
        task = loop.create_task(writer.drain())
        await turns(3)
        writer.transport.abort()
        await task
        assert await araised(writer.drain()) == (
            ConnectionResetError, 'Connection lost')


async def test_close_and_wait_closed(loop):
    async with streams(loop) as (reader, writer, peer):
        assert writer.is_closing() is False
        writer.write(LARGE)
        writer.close()
        assert writer.is_closing() is True
        task = loop.create_task(writer.wait_closed())
        await turns(3)
        assert not task.done()
        assert await read_all(loop, peer) == LARGE
        await task
        await writer.wait_closed()


# Servers


async def test_a_server_of_streams(loop):
    ended = []

    async def serve(reader, writer):
        assert writer.get_extra_info('peername')
        while data := await reader.read(1000):
            writer.write(data)
            await writer.drain()
        writer.close()
        await writer.wait_closed()
        ended.append(1)

    async def talk(number):
        reader, writer = await asyncio.open_connection(*address)
        for _ in range(10):
            writer.write(b'%d' % number)
            assert await reader.read(100) == b'%d' % number
        writer.write_eof()
        assert await reader.read() == b''
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, '127.0.0.1', 0)
    address = server.sockets[0].getsockname()
    async with server:
        await asyncio.gather(*map(talk, range(50)))
        while len(ended) < 50:
            await asyncio.sleep(0.001)
    await turns(2)


@since[(3, 12)]
async def test_a_handler_that_raises_is_reported(loop):
    contexts = []
    loop.set_exception_handler(lambda _, context: contexts.append(context))

    async def serve(reader, writer):
        raise KeyError('handler')

    server = await asyncio.start_server(serve, '127.0.0.1', 0)
    address = server.sockets[0].getsockname()
    async with server:
        reader, writer = await asyncio.open_connection(*address)
        while not contexts:
            await asyncio.sleep(0.001)
        assert isinstance(contexts[0]['exception'], KeyError)
        assert contexts[0]['message'] == (
            'Unhandled exception in client_connected_cb')
        contexts[0]['transport'].abort()
        contexts.clear()
        assert await reader.read() == b''
        writer.close()
        await turns(3)
    gc.collect()


async def test_subclasses_see_what_is_fed(loop):
    fed = []

    class Reader(asyncio.StreamReader):
        def feed_data(self, data):
            fed.append(data)
            super().feed_data(data)

        def feed_eof(self):
            fed.append('eof')
            super().feed_eof()

    class Protocol(asyncio.StreamReaderProtocol):
        def data_received(self, data):
            fed.append('received')
            super().data_received(data)

    reader = Reader()
    one, peer = socket.socketpair()
    with peer:
        transport, _ = await loop.create_connection(
            lambda: Protocol(reader), sock=one)
        peer.send(b'x')
        assert await reader.readexactly(1) == b'x'
        peer.shutdown(socket.SHUT_WR)
        assert await reader.read() == b''
        assert fed == ['received', b'x', 'eof']
        transport.close()
        await turns(3)


async def test_a_method_patched_on_the_reader_is_called(loop):
    async with streams(loop) as (reader, writer, peer):
        fed = []
        original = reader.feed_data
        reader.feed_data = lambda data: (fed.append(data), original(data))
        peer.send(b'x')
        assert await reader.readexactly(1) == b'x'
        assert fed == [b'x']


async def test_a_queue_of_messages_both_ways(loop):
    """Lines in both directions, each side waits for the other."""
    async with streams(loop) as (reader, writer, peer):
        async def other():
            left = b''
            for _ in range(500):
                while b'\n' not in left:
                    left += await loop.sock_recv(peer, 100)
                line, _, left = left.partition(b'\n')
                await loop.sock_sendall(peer, line[::-1] + b'\n')

        task = loop.create_task(other())
        for number in range(500):
            writer.write(b'%d\n' % number)
            await writer.drain()
            line = await reader.readline()
            assert line == (b'%d' % number)[::-1] + b'\n'
        await task
