# SPDX-License-Identifier: MIT
"""
A little of everything, as one scenario: for tests that repeat it while they
watch memory, descriptors and the garbage collector.
"""

import asyncio
import os
import socket
import threading

from certificates import client_context, server_context
from two_loops import (Written, WrittenBuffered, WrittenDatagrams,
                       descriptors_are, turns)


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


async def echo(loop, factory, **ssl):
    server = await loop.create_server(
        Echo, '127.0.0.1', 0, ssl=server_context() if ssl else None)
    transport, protocol = await loop.create_connection(
        factory, *server.sockets[0].getsockname(), **ssl)
    for number in range(1, 4):
        transport.write(bytes(1000))
        transport.writelines([b'x' * 500, bytearray(500)])
        await protocol.received(number * 2000)
    transport.close()
    await protocol.lost
    server.close()
    await server.wait_closed()


async def protocols(loop):
    await echo(loop, Written)
    await echo(loop, WrittenBuffered)


async def tls(loop):
    count = len(os.listdir('/proc/self/fd'))
    await echo(loop, Written, ssl=client_context())
    if threading.active_count() == 1:
        await descriptors_are(count)
    else:
        await asyncio.sleep(0.02)


async def streams(loop):
    async def serve(reader, writer):
        writer.write(await reader.readline())
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, '127.0.0.1', 0)
    async with server:
        reader, writer = await asyncio.open_connection(
            *server.sockets[0].getsockname())
        writer.write(b'line\n')
        assert await reader.readline() == b'line\n'
        assert await reader.read() == b''
        writer.close()
        await writer.wait_closed()
    await turns(3)


async def sockets(loop):
    one, other = socket.socketpair()
    with one, other:
        one.setblocking(False)
        other.setblocking(False)
        for _ in range(5):
            task = loop.create_task(loop.sock_recv(one, 100))
            await turns(2)
            await loop.sock_sendall(other, b'data')
            assert await task == b'data'
        task = loop.create_task(loop.sock_recv_into(one, bytearray(10)))
        await turns(2)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        loop.add_reader(one, print)
        loop.add_writer(one, int)
        await turns(2)
        loop.remove_reader(one)
        loop.remove_writer(one)


async def datagrams(loop):
    one, first = await loop.create_datagram_endpoint(
        WrittenDatagrams, ('127.0.0.1', 0))
    address = one.get_extra_info('sockname')
    two, second = await loop.create_datagram_endpoint(
        WrittenDatagrams, remote_addr=address)
    two.sendto(b'data')
    await first.entries(2)
    one.close()
    two.close()
    await turns(3)


async def pipes(loop):
    reading, writing = os.pipe()
    one, reader = await loop.connect_read_pipe(Written, open(reading, 'rb', 0))
    two, _ = await loop.connect_write_pipe(Written, open(writing, 'wb', 0))
    two.write(b'data')
    await reader.received(4)
    two.close()
    await reader.lost
    await turns(3)


async def children(loop):
    process = await asyncio.create_subprocess_exec(
        'cat', stdin=-1, stdout=-1)
    assert await process.communicate(b'data') == (b'data', None)


async def timers_and_tasks(loop):
    handles = [loop.call_later(1000, print, n) for n in range(20)]
    for handle in handles:
        handle.cancel()
    await asyncio.sleep(0.001)
    async with asyncio.timeout(1000):
        await asyncio.gather(*(asyncio.sleep(0, n) for n in range(10)))
    queue = asyncio.Queue()
    loop.call_soon_threadsafe(queue.put_nowait, 1)
    assert await queue.get() == 1
    failing = loop.create_future()
    failing.set_exception(KeyError())
    await asyncio.gather(failing, return_exceptions=True)


async def broken(loop):
    """Connections that end in errors."""
    class Fails(Written):
        def data_received(self, data):
            raise KeyError('data')

    loop.set_exception_handler(lambda loop, context: None)
    one, other = socket.socketpair()
    with other:
        transport, protocol = await loop.create_connection(Fails, sock=one)
        other.send(b'x')
        await protocol.lost
    one, other = socket.socketpair()
    with other:
        transport, protocol = await loop.create_connection(Written, sock=one)
        transport.write(bytes(1 << 21))
        transport.abort()
        await protocol.lost
    with socket.socket() as unused:
        unused.bind(('127.0.0.1', 0))
        try:
            await loop.create_connection(Written, *unused.getsockname())
        except ConnectionRefusedError:
            pass
    loop.set_exception_handler(None)


ALL = {scenario.__name__: scenario for scenario in [
    protocols, tls, streams, sockets, datagrams, pipes, children,
    timers_and_tasks, broken]}
