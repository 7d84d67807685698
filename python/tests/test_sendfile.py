# SPDX-License-Identifier: MIT
"""
sendfile and sock_sendfile: by the system, by reading, and what is refused.
"""

import asyncio
import io
import os
import resource
import socket

import pytest
from two_loops import (Written, araised, connected, narrow, read_all,
                       since, stream_pair, turns)

DATA = bytes(range(256)) * 8192  # two megabytes


@pytest.fixture
def file(tmp_path):
    path = tmp_path / 'file'
    path.write_bytes(DATA)
    with open(path, 'rb') as opened:
        yield opened


@pytest.fixture
def pair():
    one, other = stream_pair()
    one.setblocking(False)
    other.setblocking(False)
    with one, other:
        yield one, other


async def received(loop, sock, sending, shut):
    """What the peer gets of what is sent, and the answer of the sender."""
    task = loop.create_task(read_all(loop, sock))
    answer = await sending
    shut()
    return answer, await task


# The socket's


@pytest.mark.parametrize('offset, count', [
    (0, None), (1000, None), (0, 10), (5, 70000), (0, len(DATA)),
    (0, len(DATA) + 5), (len(DATA) - 3, None)])
async def test_a_part_of_a_file(loop, pair, file, offset, count):
    end = len(DATA) if count is None else min(offset + count, len(DATA))
    answer, data = await received(
        loop, pair[1], loop.sock_sendfile(pair[0], file, offset, count),
        lambda: pair[0].shutdown(socket.SHUT_WR))
    assert data == DATA[offset:end]
    assert answer == end - offset
    assert file.tell() == end


@pytest.mark.parametrize('fallback', [True, False])
async def test_the_system_sends(loop, pair, file, fallback, monkeypatch):
    calls = []
    original = os.sendfile

    def sendfile(*args):
        calls.append(args)
        return original(*args)

    monkeypatch.setattr(os, 'sendfile', sendfile)
    answer, data = await received(
        loop, pair[1], loop.sock_sendfile(pair[0], file, fallback=fallback),
        lambda: pair[0].shutdown(socket.SHUT_WR))
    assert (answer, data) == (len(DATA), DATA)


async def test_a_file_in_memory_is_read(loop, pair):
    file = io.BytesIO(DATA)
    answer, data = await received(
        loop, pair[1], loop.sock_sendfile(pair[0], file, 10, 100000),
        lambda: pair[0].shutdown(socket.SHUT_WR))
    assert (answer, data) == (100000, DATA[10:100010])
    assert file.tell() == 100010
    await loop.shutdown_default_executor()


async def test_without_a_fallback_a_file_in_memory_is_refused(loop, pair):
    assert await araised(loop.sock_sendfile(
        pair[0], io.BytesIO(DATA), fallback=False)) == (
        asyncio.SendfileNotAvailableError, 'not a regular file')


async def test_an_empty_file(loop, pair, tmp_path):
    path = tmp_path / 'empty'
    path.write_bytes(b'')
    with open(path, 'rb') as file:
        assert await loop.sock_sendfile(pair[0], file) == 0
    with pytest.raises(BlockingIOError):
        pair[1].recv(1)


async def test_beyond_the_end(loop, pair, file):
    assert await loop.sock_sendfile(pair[0], file, len(DATA) + 10) == 0


async def test_arguments_that_make_no_sense(loop, pair, file, tmp_path):
    send = loop.sock_sendfile
    with open(tmp_path / 'file') as text:
        assert await araised(send(pair[0], text)) == (
            ValueError, 'file should be opened in binary mode')
    for count in (0, -1):
        assert await araised(send(pair[0], file, 0, count)) == (
            ValueError, f'count must be a positive integer (got {count})')
    assert await araised(send(pair[0], file, 0, 1.5)) == (
        TypeError, 'count must be a positive integer (got 1.5)')
    assert await araised(send(pair[0], file, -1)) == (
        ValueError, 'offset must be a non-negative integer (got -1)')
    assert await araised(send(pair[0], file, 'x')) == (
        TypeError, "offset must be a non-negative integer (got 'x')")
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        assert await araised(send(sock, file)) == (
            ValueError, 'only SOCK_STREAM type sockets are supported')


async def test_a_blocking_socket_is_refused_in_debug_mode(loop, pair, file):
    loop.set_debug(True)
    pair[0].setblocking(True)
    assert await araised(loop.sock_sendfile(pair[0], file)) == (
        ValueError, 'the socket must be non-blocking')


async def test_a_peer_that_goes_away(loop, pair, tmp_path):
    narrow(pair[0])
    path = tmp_path / 'large'
    path.write_bytes(b'')
    os.truncate(path, 1 << 26)
    with open(path, 'rb') as file:
        task = loop.create_task(loop.sock_sendfile(pair[0], file))
        await turns(3)
        assert not task.done()
        pair[1].close()
        kind, _ = await araised(task)
        assert issubclass(kind, ConnectionError)
        assert 0 < file.tell() < 1 << 26


# The transport's


@pytest.mark.parametrize('offset, count', [(0, None), (100, 100000), (7, 1)])
@pytest.mark.parametrize('fallback', [True, False])
async def test_through_a_transport(loop, file, offset, count, fallback):
    async with connected(loop) as (transport, protocol, peer):
        end = len(DATA) if count is None else offset + count
        answer, data = await received(
            loop, peer, loop.sendfile(transport, file, offset, count,
                                      fallback=fallback),
            transport.write_eof)
        assert data == DATA[offset:end]
        assert answer == end - offset
        assert file.tell() == end
        assert protocol.log == ['made']


async def test_what_was_written_before_comes_first(loop, file):
    async with connected(loop) as (transport, protocol, peer):
        transport.write(DATA)
        task = loop.create_task(loop.sendfile(transport, file))
        task.add_done_callback(lambda _: (transport.write(b'after'),
                                          transport.write_eof()))
        assert await read_all(loop, peer) == DATA + DATA + b'after'
        assert await task == len(DATA)


async def test_a_file_in_memory_through_a_transport(loop):
    async with connected(loop) as (transport, protocol, peer):
        answer, data = await received(
            loop, peer, loop.sendfile(transport, io.BytesIO(DATA), 5, 50000),
            transport.write_eof)
        assert (answer, data) == (50000, DATA[5:50005])
        assert transport.get_protocol() is protocol
        kind, _ = await araised(loop.sendfile(
            transport, io.BytesIO(DATA), fallback=False))
        assert kind is asyncio.SendfileNotAvailableError
    await loop.shutdown_default_executor()


async def test_nothing_may_be_written_meanwhile(loop, file):
    async with connected(loop) as (transport, protocol, peer):
        narrow(transport.get_extra_info('socket'))
        task = loop.create_task(loop.sendfile(transport, file))
        await turns(3)
        with pytest.raises(RuntimeError) as info:
            transport.write(b'x')
        assert str(info.value) == 'unable to write; sendfile is in progress'
        with pytest.raises(RuntimeError, match='; sendfile is in progress'):
            transport.writelines([b'x'])
        reading = loop.create_task(read_all(loop, peer))
        assert await task == len(DATA)
        transport.write(b'x')
        transport.write_eof()
        assert await reading == DATA + b'x'


async def test_reading_pauses_meanwhile_and_goes_on(loop, file):
    async with connected(loop) as (transport, protocol, peer):
        narrow(transport.get_extra_info('socket'))
        task = loop.create_task(loop.sendfile(transport, file))
        await turns(3)
        assert transport.is_reading() is False
        await loop.sock_sendall(peer, b'later')
        reading = loop.create_task(read_all(loop, peer))
        await task
        assert transport.is_reading() is True
        assert await protocol.received(5) == b'later'
        transport.write_eof()
        assert await reading == DATA


async def test_a_closing_transport_is_refused(loop, file):
    async with connected(loop) as (transport, protocol, peer):
        transport.close()
        assert await araised(loop.sendfile(transport, file)) == (
            RuntimeError, 'Transport is closing')
        await protocol.lost


async def test_a_transport_that_cannot_is_refused(loop, file):
    transport, protocol = await loop.create_datagram_endpoint(
        asyncio.DatagramProtocol, ('127.0.0.1', 0))
    assert await araised(loop.sendfile(transport, file)) == (
        RuntimeError, f'sendfile is not supported for transport '
        f'{transport!r}')
    transport.close()
    await turns(2)


async def test_a_connection_that_breaks(loop, tmp_path):
    path = tmp_path / 'large'
    path.write_bytes(b'')
    os.truncate(path, 1 << 26)
    async with connected(loop) as (transport, protocol, peer):
        narrow(transport.get_extra_info('socket'))
        with open(path, 'rb') as file:
            task = loop.create_task(loop.sendfile(transport, file))
            await turns(5)
            peer.close()
            kind, _ = await araised(task)
            assert issubclass(kind, ConnectionError)
            assert file.tell() < 1 << 26


@pytest.mark.parametrize('who', ['peer', 'transport'])
async def test_a_connection_that_is_lost_before(loop, file, noise, who):
    async with connected(loop) as (transport, protocol, peer):
        narrow(transport.get_extra_info('socket'))
        transport.write(DATA)
        task = loop.create_task(loop.sendfile(transport, file))
        await turns(3)
        if who == 'peer':
            peer.close()
        else:
            transport.abort()
        kind, text = await araised(task)
        assert issubclass(kind, ConnectionError)
        if who == 'transport':
            assert text == 'Connection is closed by peer'
        await protocol.lost
    noise.logged()  # asyncio's own wakes the sender twice


async def test_without_a_free_descriptor(loop, file):
    await loop.run_in_executor(None, int)  # its code is in files, too
    async with connected(loop) as (transport, protocol, peer):
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
        try:
            assert await loop.sendfile(transport, file, 0, 10) == 10
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        assert transport.is_reading()
        transport.write(b'end')
        data = b''
        while len(data) < 13:
            data += await loop.sock_recv(peer, 100)
        assert data == DATA[:10] + b'end'
    await loop.shutdown_default_executor()


@pytest.mark.parametrize('count', range(6))
async def test_cancelled(loop, file, count):
    async with connected(loop, Written) as (transport, protocol, peer):
        narrow(transport.get_extra_info('socket'), peer)
        task = loop.create_task(loop.sendfile(transport, file))
        await turns(count)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert transport.is_reading() is True
        transport.write(b'x')
        await loop.sock_sendall(peer, b'alive')
        assert await protocol.received(5) == b'alive'
