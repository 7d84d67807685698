# SPDX-License-Identifier: MIT
"""
Transports that nobody has any more, or that outlive their loop or server.
"""

import asyncio
import gc
import socket
import sys

import pytest
from two_loops import handler_contexts, read_all, stream_pair, turns

LARGE = bytes(1 << 22)


async def test_a_paused_one_that_closes_is_told_of_the_end(loop):
    class Says(asyncio.Protocol):
        def __init__(self):
            self.lost = loop.create_future()

        def connection_made(self, transport):
            transport.pause_reading()
            transport.write(LARGE)
            transport.close()

        def connection_lost(self, exc):
            self.lost.set_result(exc)

    sock, peer = stream_pair()
    peer.setblocking(False)
    with peer:
        made = await loop.create_connection(Says, sock=sock)
        lost = made[1].lost
        del made
        assert await read_all(loop, peer) == LARGE
        assert await lost is None


async def test_half_open_ones_are_collected(loop, noise):
    class StaysOpen(asyncio.Protocol):
        def eof_received(self):
            return True

    async def wait_for_end(peer):
        return await asyncio.wait_for(loop.sock_recv(peer, 10), 5)

    server = await loop.create_server(StaysOpen, '127.0.0.1', 0)
    address = server.sockets[0].getsockname()
    for _ in range(3):
        with socket.create_connection(address) as peer:
            peer.setblocking(False)
            peer.shutdown(socket.SHUT_WR)
            await turns(10)
            gc.collect()
            assert await wait_for_end(peer) == b''
    server.close()
    assert all('unclosed' in text for text in noise.warned())


@pytest.mark.parametrize('closed', [True, False])
def test_a_loop_ends_before_a_paused_transport(new_loop, noise, closed):
    loop = new_loop()
    sock, peer = stream_pair()
    with peer:
        transport, _ = loop.run_until_complete(
            loop.create_connection(asyncio.Protocol, sock=sock))
        transport.pause_reading()
        if closed:
            loop.close()
            transport.pause_reading()
            assert 'fd=' in repr(transport)
        del loop, transport, _
        gc.collect()
    assert any('unclosed transport' in text for text in noise.warned())


async def test_a_server_does_not_wait_for_what_it_could_not_make(loop, noise):
    server = await loop.create_server(lambda: None, '127.0.0.1', 0)
    contexts = handler_contexts(loop)
    peer = socket.create_connection(server.sockets[0].getsockname())
    await turns(10)
    peer.close()
    gc.collect()
    server.close()
    if sys.version_info >= (3, 12):
        await asyncio.wait_for(server.wait_closed(), 5)
    noise.warned()
    del contexts
