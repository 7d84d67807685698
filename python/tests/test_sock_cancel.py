# SPDX-License-Identifier: MIT
"""
sock_* and create_connection cancelled at every await: the descriptor is free
again, nothing that was received is lost, nothing is left behind.
"""

import asyncio
import contextlib
import gc
import socket

import pytest
from two_loops import narrow, turns

FULL = bytes(1 << 22)


@pytest.fixture
def pair():
    one, other = socket.socketpair()
    for sock in (one, other):
        sock.setblocking(False)
    with one, other:
        yield one, other


async def cancelled_after(count, awaitable):
    """True if it was still waiting after so many turns."""
    task = asyncio.ensure_future(awaitable)
    await turns(count)
    if task.done():
        task.result()
        return False
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    return True


@pytest.mark.parametrize('count', range(4))
async def test_recv(loop, pair, count):
    assert await cancelled_after(count, loop.sock_recv(pair[0], 10))
    assert loop.remove_reader(pair[0]) is False
    pair[1].send(b'kept')
    assert await loop.sock_recv(pair[0], 10) == b'kept'


@pytest.mark.parametrize('count', range(4))
async def test_recv_into(loop, pair, count):
    buffer = bytearray(10)
    assert await cancelled_after(count, loop.sock_recv_into(pair[0], buffer))
    assert loop.remove_reader(pair[0]) is False
    pair[1].send(b'kept')
    await turns(3)
    assert buffer == bytes(10)
    buffer.append(0)  # is not held any more
    assert await loop.sock_recv(pair[0], 10) == b'kept'


@pytest.mark.parametrize('count', range(4))
async def test_sendall(loop, pair, count):
    narrow(*pair)
    assert await cancelled_after(count, loop.sock_sendall(pair[0], FULL))
    assert loop.remove_writer(pair[0]) is False
    with contextlib.suppress(BlockingIOError):
        while pair[1].recv(1 << 16):
            pass
    await loop.sock_sendall(pair[0], b'next')
    assert await loop.sock_recv(pair[1], 10) == b'next'


@pytest.mark.parametrize('count', range(4))
async def test_accept(loop, count):
    with socket.create_server(('127.0.0.1', 0)) as listener:
        listener.setblocking(False)
        assert await cancelled_after(count, loop.sock_accept(listener))
        assert loop.remove_reader(listener) is False
        with socket.create_connection(listener.getsockname()) as client:
            conn, address = await loop.sock_accept(listener)
            conn.close()
            assert address == client.getsockname()


@contextlib.contextmanager
def full_port():
    """The address of a listener that the kernel lets nobody reach any more."""
    with socket.create_server(('127.0.0.1', 0), backlog=0) as listener:
        address = listener.getsockname()
        with contextlib.ExitStack() as stack:
            for _ in range(3):
                sock = stack.enter_context(socket.socket())
                sock.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    sock.connect(address)
            yield address


@pytest.mark.parametrize('count', range(4))
async def test_connect(loop, count):
    with full_port() as address, socket.socket() as sock:
        sock.setblocking(False)
        assert await cancelled_after(count, loop.sock_connect(sock, address))
        assert loop.remove_writer(sock) is False


@pytest.mark.parametrize('count', range(5))
async def test_create_connection(loop, count):
    with full_port() as address:
        assert await cancelled_after(count, loop.create_connection(
            asyncio.Protocol, *address))
    gc.collect()


@pytest.mark.parametrize('count', range(12))
async def test_create_connection_that_would_succeed(loop, count):
    with socket.create_server(('127.0.0.1', 0)) as listener:
        task = asyncio.ensure_future(loop.create_connection(
            asyncio.Protocol, *listener.getsockname()))
        await turns(count)
        if not task.done():
            task.cancel()
        try:
            transport, _ = await task
        except asyncio.CancelledError:
            pass
        else:
            transport.abort()
        await turns(3)
    gc.collect()


@pytest.mark.parametrize('count', range(8))
async def test_create_connection_with_a_socket(loop, pair, count):
    task = asyncio.ensure_future(loop.create_connection(
        asyncio.Protocol, sock=pair[0]))
    await turns(count)
    if not task.done():
        task.cancel()
    try:
        transport, _ = await task
    except asyncio.CancelledError:
        if count:  # else it did not begin
            await turns(3)
            assert pair[0].fileno() == -1
    else:
        transport.abort()
        await turns(3)
        assert pair[0].fileno() == -1


@pytest.mark.parametrize('count', range(4))
async def test_recvfrom(loop, count):
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.bind(('127.0.0.1', 0))
        sock.setblocking(False)
        assert await cancelled_after(count, loop.sock_recvfrom(sock, 10))
        assert await cancelled_after(count, loop.sock_recvfrom_into(
            sock, bytearray(10)))
        assert loop.remove_reader(sock) is False
        sock.sendto(b'kept', sock.getsockname())
        assert (await loop.sock_recvfrom(sock, 10))[0] == b'kept'


async def test_cancelled_when_the_data_is_there_already(loop, pair):
    task = asyncio.ensure_future(loop.sock_recv(pair[0], 10))
    await turns(2)
    pair[1].send(b'kept')
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await loop.sock_recv(pair[0], 10) == b'kept'


async def test_a_timeout_around_recv(loop, pair):
    for _ in range(3):
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(loop.sock_recv(pair[0], 10), 0.002)
    pair[1].send(b'x')
    assert await loop.sock_recv(pair[0], 10) == b'x'


async def test_the_socket_is_closed_after_the_cancellation(loop, pair):
    task = asyncio.ensure_future(loop.sock_recv(pair[0], 10))
    await turns(2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    fd = pair[0].fileno()
    pair[0].close()
    one, other = socket.socketpair()
    with one, other:
        one.setblocking(False)
        assert fd in (one.fileno(), other.fileno())
        other.send(b'new')
        assert await loop.sock_recv(one, 10) == b'new'


async def test_two_tasks_on_one_socket_the_second_takes_over(loop, pair):
    first = asyncio.ensure_future(loop.sock_recv(pair[0], 10))
    await turns(2)
    second = asyncio.ensure_future(loop.sock_recv(pair[0], 10))
    await turns(2)
    pair[1].send(b'x')
    assert await second == b'x'
    assert not first.done()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_reading_and_writing_are_cancelled_apart(loop, pair):
    narrow(*pair)
    reading = asyncio.ensure_future(loop.sock_recv(pair[0], 10))
    writing = asyncio.ensure_future(loop.sock_sendall(pair[0], FULL))
    await turns(2)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    size = 0
    while size < len(FULL):
        size += len(await loop.sock_recv(pair[1], 1 << 20))
    await writing


@pytest.mark.parametrize('count', range(4))
async def test_sendfile(loop, pair, tmp_path, count):
    narrow(*pair)
    path = tmp_path / 'file'
    path.write_bytes(FULL)
    with open(path, 'rb') as file:
        assert await cancelled_after(
            count, loop.sock_sendfile(pair[0], file))
    assert loop.remove_writer(pair[0]) is False


def test_a_loop_closed_while_tasks_wait(new_loop, pair):
    loop = new_loop()
    tasks = []

    async def body():
        tasks.append(loop.create_task(loop.sock_recv(pair[0], 10)))
        tasks.append(loop.create_task(loop.sock_recv_into(
            pair[1], bytearray(5))))
        await turns(2)

    loop.run_until_complete(body())
    for task in tasks:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
    loop.close()


def test_a_waiting_task_that_is_dropped_with_its_loop(new_loop, pair, noise):
    loop = new_loop.factory()
    loop.set_exception_handler(lambda loop, context: None)

    async def body():
        loop.create_task(loop.sock_recv(pair[0], 10))
        await turns(2)

    loop.run_until_complete(body())
    loop.close()
    del loop
    gc.collect()
