# SPDX-License-Identifier: MIT
"""
Connections that become TLS on the way, and streams over TLS.
"""

import asyncio
import gc
import os
import socket
import ssl

import pytest
from certificates import client_context, server_context
from two_loops import Written, WrittenBuffered, araised, eventually, turns

LARGE = bytes(range(256)) * 4096
BOTH = pytest.mark.parametrize('factory', [Written, WrittenBuffered])


async def plain_pair(loop, factory=Written):
    """((transport, protocol), (transport, protocol)), not yet TLS"""
    one, other = socket.socketpair()
    return (await loop.create_connection(factory, sock=one),
            await loop.create_connection(factory, sock=other))


async def upgraded(loop, one, other, **kwargs):
    """The two, as TLS: the first is the client."""
    return await asyncio.gather(
        loop.start_tls(*one, client_context(), server_hostname='localhost',
                       **kwargs),
        loop.start_tls(*other, server_context(), server_side=True, **kwargs))


async def finish(*protocols, transports):
    for transport in transports:
        transport.close()
    for protocol in protocols:
        await protocol.lost
    await turns(3)


@BOTH
async def test_both_sides_upgrade(loop, factory):
    one, other = await plain_pair(loop, factory)
    one[0].write(b'plain')
    assert await other[1].received(5) == b'plain'
    client, server = await upgraded(loop, one, other)
    assert client is not one[0]
    assert client.get_protocol() is one[1]
    client.write(LARGE)
    server.write(b'encrypted')
    assert await one[1].received(9) == b'encrypted'
    assert await other[1].received(len(LARGE) + 5) == b'plain' + LARGE
    assert client.get_extra_info('cipher')
    assert client.get_extra_info('peercert')['version'] == 3
    assert one[1].log[0] == 'made' and one[1].log.count('made') == 1
    await finish(one[1], other[1], transports=[client])
    assert one[1].log[-1] == 'lost' and other[1].log[-1] == 'lost'


async def test_what_was_written_before_comes_before(loop):
    one, other = await plain_pair(loop)
    one[0].write(LARGE)
    assert await other[1].received(len(LARGE)) == LARGE
    client, server = await upgraded(loop, one, other)
    client.write(b'after')
    assert (await other[1].received(len(LARGE) + 5))[-5:] == b'after'
    await finish(one[1], other[1], transports=[server])


async def test_a_handshake_that_waits_in_the_kernel_is_not_lost(loop):
    one, other = await plain_pair(loop)
    other[0].pause_reading()
    client = loop.create_task(loop.start_tls(
        *one, client_context(), server_hostname='localhost'))
    sock = other[0].get_extra_info('socket')
    with socket.socket(fileno=os.dup(sock.fileno())) as peeks:
        peeks.setblocking(False)

        def arrived():
            try:
                return peeks.recv(10, socket.MSG_PEEK)
            except BlockingIOError:
                return False

        await eventually(arrived)
    server = await loop.start_tls(*other, server_context(), server_side=True)
    transport = await client
    transport.write(b'x')
    assert await other[1].received(1) == b'x'
    await finish(one[1], other[1], transports=[server])


async def test_a_peer_that_is_not_trusted(loop):
    one, other = await plain_pair(loop)
    results = await asyncio.gather(
        loop.start_tls(*one, client_context(trust=False),
                       server_hostname='localhost'),
        loop.start_tls(*other, server_context(), server_side=True),
        return_exceptions=True)
    assert type(results[0]) is ssl.SSLCertVerificationError
    if isinstance(results[1], BaseException):
        assert isinstance(results[1], (ssl.SSLError, ConnectionError))
    else:
        results[1].close()
    await turns(10)


async def test_a_peer_that_says_nothing(loop):
    one, other = await plain_pair(loop)
    kind, text = await araised(loop.start_tls(
        *one, client_context(), server_hostname='localhost',
        ssl_handshake_timeout=0.02))
    assert kind is ConnectionAbortedError
    assert text.startswith('SSL handshake is taking longer than 0.02 seconds')
    other[0].close()
    await other[1].lost
    await turns(3)


@pytest.mark.parametrize('count', range(5))
async def test_cancelled(loop, count):
    one, other = await plain_pair(loop)
    task = loop.create_task(loop.start_tls(
        *one, client_context(), server_hostname='localhost'))
    await turns(count)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    if count:  # else it did not begin
        await turns(3)
        assert one[0].is_closing()
    else:
        one[0].abort()
    other[0].abort()
    await other[1].lost
    await turns(5)
    gc.collect()


async def test_what_cannot_be_upgraded(loop):
    one, other = await plain_pair(loop)
    kind, text = await araised(loop.start_tls(*one, None))
    assert (kind, text) == (
        TypeError,
        'sslcontext is expected to be an instance of ssl.SSLContext, '
        'got None')
    thing = asyncio.Transport()
    assert await araised(loop.start_tls(
        thing, one[1], client_context())) == (
        TypeError, f'transport {thing!r} is not supported by start_tls()')
    one[0].abort()
    other[0].abort()
    await turns(3)


async def test_tls_inside_of_tls(loop):
    one, other = await plain_pair(loop)
    client, server = await upgraded(loop, one, other)
    inner, inner_server = await upgraded(
        loop, (client, one[1]), (server, other[1]))
    inner.write(b'twice')
    assert await other[1].received(5) == b'twice'
    inner_server.write(LARGE)
    assert await one[1].received(len(LARGE)) == LARGE
    await finish(one[1], other[1], transports=[inner])


# Streams


async def test_streams_over_tls(loop):
    done = loop.create_future()

    async def serve(reader, writer):
        while line := await reader.readline():
            writer.write(line.upper())
            await writer.drain()
        writer.close()
        await writer.wait_closed()
        done.set_result(None)

    server = await asyncio.start_server(serve, '127.0.0.1', 0,
                                        ssl=server_context())
    async with server:
        reader, writer = await asyncio.open_connection(
            *server.sockets[0].getsockname(), ssl=client_context())
        for number in range(100):
            writer.write(b'line %d\n' % number)
            assert await reader.readline() == b'LINE %d\n' % number
        writer.close()
        await writer.wait_closed()
        await done
    await turns(3)


async def test_streams_that_upgrade(loop):
    done = loop.create_future()

    async def serve(reader, writer):
        assert await reader.readline() == b'STARTTLS\n'
        writer.write(b'go\n')
        await writer.start_tls(server_context())
        assert writer.get_extra_info('cipher')
        writer.write(await reader.readexactly(len(LARGE)))
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        done.set_result(None)

    server = await asyncio.start_server(serve, '127.0.0.1', 0)
    async with server:
        reader, writer = await asyncio.open_connection(
            *server.sockets[0].getsockname())
        writer.write(b'STARTTLS\n')
        assert await reader.readline() == b'go\n'
        await writer.start_tls(client_context(), server_hostname='localhost')
        writer.write(LARGE)
        assert await reader.readexactly(len(LARGE)) == LARGE
        assert await reader.read() == b''
        writer.close()
        await done
    await turns(5)


async def test_a_hundred_tls_connections(loop):
    kept = []

    class Echo(Written):
        def connection_made(self, transport):
            super().connection_made(transport)
            kept.append(self)

        def data_received(self, data):
            self.transport.write(data)

    server = await loop.create_server(Echo, '127.0.0.1', 0,
                                      ssl=server_context())
    context = client_context()

    async def talk(number):
        transport, protocol = await loop.create_connection(
            Written, *server.sockets[0].getsockname(), ssl=context)
        transport.write(b'%03d' % number)
        assert await protocol.received(3) == b'%03d' % number
        transport.close()
        await protocol.lost

    await asyncio.gather(*map(talk, range(50)))
    for protocol in kept:
        await protocol.lost
    server.close()
    await eventually(lambda: len(kept) == 50)
