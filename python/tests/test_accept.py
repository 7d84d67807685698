# SPDX-License-Identifier: MIT
"""
A server's new connections, several at once: whatever the application does with
the first of them, the others are served.
"""

import asyncio
import contextvars
import gc
import socket

import pytest
from two_loops import eventually, turns

variable = contextvars.ContextVar('variable', default='nothing')


class Closing(asyncio.Protocol):
    """It tells that it was made, and hangs up."""

    def connection_made(self, transport):
        transport.close()


def clients(address, count, family=socket.AF_INET):
    """Connected sockets that nobody has accepted yet."""
    made = [socket.socket(family) for _ in range(count)]
    for sock in made:
        sock.connect(address)
    return made


async def ended(loop, socks):
    """All of them have come to their ends."""
    for sock in socks:
        sock.setblocking(False)
        try:
            assert await loop.sock_recv(sock, 1) == b''
        except ConnectionResetError:
            pass
        sock.close()


@pytest.mark.parametrize('host', ['127.0.0.1', '::1'])
async def test_the_socket_of_a_connection(loop, host):
    seen = []

    class Protocol(Closing):
        def connection_made(self, transport):
            sock = transport.get_extra_info('socket')
            seen.append((sock.family, sock.type, sock.proto,
                         sock.gettimeout(), sock.getsockname()[:2]))
            transport.close()

    try:
        server = await loop.create_server(Protocol, host, 0)
    except OSError:
        pytest.skip('there is no IPv6')
    listener = server.sockets[0]
    address = listener.getsockname()
    await ended(loop, clients(address, 1, listener.family))
    assert seen == [(listener.family, socket.SOCK_STREAM, socket.IPPROTO_TCP,
                     0, address[:2])]
    server.close()
    await server.wait_closed()


async def test_a_factory_that_closes_the_server(loop, noise):
    made = []

    def factory():
        made.append(1)
        server.close()
        return Closing()

    server = await loop.create_server(factory, '127.0.0.1', 0)
    socks = clients(server.sockets[0].getsockname(), 3)
    await eventually(lambda: len(made) == 3)
    await turns(3)
    for sock in socks:
        sock.close()
    gc.collect()
    noise.warned()  # asyncio drops the sockets: the server takes none any more
    noise.dropped()


async def test_the_number_of_a_closed_listener_is_used_again(loop, noise):
    made, others, socks = [], [], []

    def factory():
        made.append(1)
        server.close()
        if not others:
            others.append(socket.create_server(('127.0.0.1', 0)))
            others[0].setblocking(False)
            socks.extend(clients(others[0].getsockname(), 1))
        return Closing()

    server = await loop.create_server(factory, '127.0.0.1', 0)
    socks += clients(server.sockets[0].getsockname(), 2)
    await eventually(lambda: len(made) == 2)
    await turns(3)
    with others[0]:
        others[0].accept()[0].close()  # nobody else has taken it
    for sock in socks:
        sock.close()
    gc.collect()
    noise.warned()
    noise.dropped()


async def test_each_connection_has_a_context_of_its_own(loop):
    seen = []

    class Protocol(asyncio.Protocol):
        def __init__(self):
            seen.append(('factory', variable.get()))
            variable.set('set by a factory')

        def connection_made(self, transport):
            seen.append(('made', variable.get()))

        def data_received(self, data):
            seen.append(('data', variable.get()))

        def connection_lost(self, exc):
            seen.append(('lost', variable.get()))

    variable.set('set by the server')
    server = await loop.create_server(Protocol, '127.0.0.1', 0)
    variable.set('set later')
    for _ in range(2):
        seen.clear()
        sock, = clients(server.sockets[0].getsockname(), 1)
        sock.send(b'x')
        await eventually(lambda: ('data', 'set by a factory') in seen)
        sock.close()
        await eventually(lambda: len(seen) == 4)
        assert seen == [
            ('factory', 'set by the server'), ('made', 'set by a factory'),
            ('data', 'set by a factory'), ('lost', 'set by a factory')]
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize('kind', [KeyboardInterrupt, SystemExit])
def test_a_factory_that_ends_the_run(new_loop, noise, kind):
    loop = new_loop()
    made = []

    def factory():
        made.append(1)
        if len(made) == 2:
            raise kind
        return Closing()

    async def begin():
        return await loop.create_server(factory, '127.0.0.1', 0)

    server = loop.run_until_complete(begin())
    socks = clients(server.sockets[0].getsockname(), 4)
    with pytest.raises(kind):
        loop.run_forever()
    others = [socks[0], *socks[2:]]
    loop.run_until_complete(asyncio.wait_for(ended(loop, others), 5))
    assert len(made) == 4
    server.close()
    loop.run_until_complete(server.wait_closed())
    socks[1].close()
    loop.close()
    gc.collect()
    noise.logged()  # asyncio's task and its socket
    noise.warned()


async def test_more_than_a_round(loop):
    made = []

    def factory():
        made.append(1)
        return Closing()

    server = await loop.create_server(factory, '127.0.0.1', 0, backlog=3)
    for _ in range(3):
        await ended(loop, clients(server.sockets[0].getsockname(), 4))
    assert len(made) == 12
    server.close()
    await server.wait_closed()


async def test_a_hundred_at_once(loop):
    made = []

    def factory():
        made.append(1)
        return Closing()

    server = await loop.create_server(factory, '127.0.0.1', 0)
    await ended(loop, clients(server.sockets[0].getsockname(), 100))
    assert len(made) == 100
    server.close()
    await server.wait_closed()


async def test_a_socket_of_another_class_listens(loop):
    accepted = []

    class Socket(socket.socket):
        def accept(self):
            accepted.append(1)
            return super().accept()

    listener = Socket()
    listener.bind(('127.0.0.1', 0))
    server = await loop.create_server(Closing, sock=listener)
    await ended(loop, clients(listener.getsockname(), 1))
    assert accepted
    server.close()
    await server.wait_closed()
