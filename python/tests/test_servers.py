# SPDX-License-Identifier: MIT
"""
create_server: what it listens on, how it starts, stops and is waited for.
"""

import asyncio
import errno
import gc
import re
import resource
import socket
import weakref

import pytest
from two_loops import (Written, araised, before, connected, eventually,
                       handler_contexts, not_under_valgrind, raised, read_all,
                       since, turns)


def protocols(kept, factory=Written):
    def new():
        kept.append(factory())
        return kept[-1]
    return new


async def start(loop, factory=Written, **kwargs):
    """(server, its protocols, its address), on the loopback."""
    kept = []
    server = await loop.create_server(
        protocols(kept, factory), '127.0.0.1', 0, **kwargs)
    return server, kept, server.sockets[0].getsockname()


async def client(loop, address):
    sock = socket.socket()
    sock.setblocking(False)
    try:
        await loop.sock_connect(sock, address)
    except OSError:
        sock.close()
        raise
    return sock


async def finish(server, kept):
    server.close()
    for protocol in kept:
        protocol.transport.abort()
        await protocol.lost
    await turns(2)


async def test_a_connection_is_accepted(loop):
    server, kept, address = await start(loop)
    with await client(loop, address) as sock:
        await eventually(lambda: kept and kept[0].log)
        protocol, = kept
        assert protocol.log == ['made']
        info = protocol.transport.get_extra_info
        assert info('peername') == sock.getsockname()
        assert info('sockname') == address
        await loop.sock_sendall(sock, b'hello')
        assert await protocol.received(5) == b'hello'
        protocol.transport.write(b'world')
        assert await loop.sock_recv(sock, 10) == b'world'
    await finish(server, kept)


async def test_many_connections_at_once(loop):
    class Echo(Written):
        def data_received(self, data):
            self.transport.write(data)

    server, kept, address = await start(loop, Echo)
    socks = await asyncio.gather(*(client(loop, address) for _ in range(100)))

    async def talk(sock, number):
        message = b'%d' % number
        await loop.sock_sendall(sock, message)
        assert await loop.sock_recv(sock, 100) == message
        sock.close()

    await asyncio.gather(*(talk(s, n) for n, s in enumerate(socks)))
    assert len(kept) == 100
    for protocol in kept:
        assert await protocol.lost is None
    await finish(server, [])


async def test_what_a_server_is(loop):
    server, kept, address = await start(loop)
    assert isinstance(server, asyncio.Server)
    assert isinstance(server, asyncio.AbstractServer)
    assert server.get_loop() is loop
    assert server.is_serving() is True
    sock, = server.sockets
    assert type(sock).__name__ == 'TransportSocket'
    assert sock.getsockname() == address
    assert sock.gettimeout() == 0
    assert repr(server) == f'<Server sockets={server.sockets!r}>'
    server.close()
    assert server.is_serving() is False
    assert server.sockets == ()
    assert sock.fileno() == -1
    assert repr(server) == '<Server sockets=()>'
    server.close()
    await server.wait_closed()


async def test_a_closed_server_accepts_no_more(loop):
    server, kept, address = await start(loop)
    server.close()
    with pytest.raises(ConnectionRefusedError):
        await client(loop, address)
    assert kept == []


async def test_close_leaves_connections_open(loop):
    server, kept, address = await start(loop)
    with await client(loop, address) as sock:
        await eventually(lambda: kept and kept[0].log)
        server.close()
        await loop.sock_sendall(sock, b'still here')
        assert await kept[0].received(10) == b'still here'
    await finish(server, kept)


@before[(3, 12)]
async def test_wait_closed_returned_at_once(loop):
    server, kept, address = await start(loop)
    with await client(loop, address):
        await eventually(lambda: kept and kept[0].log)
        task = loop.create_task(server.wait_closed())
        await turns(2)
        if not task.done():
            server.close()
            await finish(server, kept)
        await task


@since[(3, 13)]
async def test_wait_closed_waits_for_the_connections(loop):
    server, kept, address = await start(loop)
    with await client(loop, address):
        await eventually(lambda: kept and kept[0].log)
        task = loop.create_task(server.wait_closed())
        await turns(3)
        assert not task.done()
        server.close()
        await turns(3)
        assert not task.done()
        kept[0].transport.abort()
        await task
        assert kept[0].lost.done()


async def test_wait_closed_without_connections(loop):
    server, kept, address = await start(loop)
    server.close()
    await asyncio.wait_for(server.wait_closed(), 5)
    await asyncio.wait_for(server.wait_closed(), 5)


async def test_a_server_may_start_later(loop):
    server, kept, address = await start(loop, start_serving=False)
    assert server.is_serving() is False
    with pytest.raises(ConnectionRefusedError):
        await client(loop, address)
    await server.start_serving()
    await server.start_serving()
    assert server.is_serving() is True
    with await client(loop, address):
        await eventually(lambda: kept and kept[0].log)
    await kept[0].lost
    await finish(server, [])


async def test_serve_forever_serves_until_it_is_cancelled(loop):
    server, kept, address = await start(loop, start_serving=False)
    task = loop.create_task(server.serve_forever())
    await turns(2)
    assert server.is_serving()
    text = f'server {server!r} is already being awaited on serve_forever()'
    assert await araised(server.serve_forever()) == (RuntimeError, text)
    with await client(loop, address):
        await eventually(lambda: kept and kept[0].log)
    await kept[0].lost
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not server.is_serving()
    assert await araised(server.serve_forever()) == (
        RuntimeError, f'server {server!r} is closed')


async def test_close_ends_serve_forever(loop):
    server, kept, address = await start(loop)
    task = loop.create_task(server.serve_forever())
    await turns(2)
    server.close()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_server_is_a_context(loop):
    server, kept, address = await start(loop)
    async with server as same:
        assert same is server
        assert server.is_serving()
    assert not server.is_serving()


@since[(3, 13)]
@pytest.mark.parametrize('name', ['close_clients', 'abort_clients'])
async def test_clients_are_closed_or_aborted(loop, name):
    server, kept, address = await start(loop)
    socks = [await client(loop, address) for _ in range(3)]
    await eventually(lambda: len(kept) == 3 and all(p.log for p in kept))
    for protocol in kept:
        protocol.transport.write(bytes(1 << 22))
    server.close()
    getattr(server, name)()
    if name == 'close_clients':
        for sock in socks:
            assert len(await read_all(loop, sock)) == 1 << 22
    await server.wait_closed()
    for protocol, sock in zip(kept, socks):
        assert protocol.lost.done()
        sock.close()


@since[(3, 13)]
@pytest.mark.parametrize('name', ['close_clients', 'abort_clients'])
async def test_the_clients_of_another_server_stay(loop, name):
    one, its, address = await start(loop)
    other, others, other_address = await start(loop)
    socks = [await client(loop, at) for at in (address, other_address)]
    await eventually(lambda: its and its[0].log and others and others[0].log)
    getattr(one, name)()
    await its[0].lost
    await turns(3)
    assert others[0].log == ['made']
    await finish(one, [])
    await finish(other, others)
    await one.wait_closed()
    await other.wait_closed()
    for sock in socks:
        sock.close()


# What it listens on


async def test_on_several_hosts(loop):
    server = await loop.create_server(Written, ['127.0.0.1', '127.0.0.2'], 0)
    assert sorted(s.getsockname()[0] for s in server.sockets) == [
        '127.0.0.1', '127.0.0.2']
    server.close()


async def test_a_host_that_is_named_twice_counts_once(loop):
    with socket.create_server(('127.0.0.1', 0)) as probe:
        port = probe.getsockname()[1]
    server = await loop.create_server(
        Written, ['127.0.0.1', '127.0.0.1'], port)
    assert len(server.sockets) == 1
    server.close()


@pytest.mark.parametrize('host', ['', None])
async def test_on_every_interface(loop, host):
    server = await loop.create_server(Written, host, 0,
                                      family=socket.AF_INET)
    assert [s.getsockname()[0] for s in server.sockets] == ['0.0.0.0']
    server.close()
    await loop.shutdown_default_executor()


async def test_on_a_socket(loop):
    sock = socket.socket()
    sock.bind(('127.0.0.1', 0))
    server = await loop.create_server(Written, sock=sock)
    assert server.sockets[0].fileno() == sock.fileno()
    assert sock.gettimeout() == 0
    server.close()
    assert sock.fileno() == -1


async def test_options_of_its_sockets(loop):
    server, _, _ = await start(loop)
    sock = server.sockets[0]
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR) == 1
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT) == 0
    server.close()
    server, _, address = await start(loop, reuse_address=False,
                                     reuse_port=True)
    sock = server.sockets[0]
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR) == 0
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT) == 1
    second = await loop.create_server(Written, *address, reuse_port=True)
    second.close()
    server.close()


@since[(3, 13)]
async def test_keep_alive(loop):
    server, _, _ = await start(loop, keep_alive=True)
    assert server.sockets[0].getsockopt(
        socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    server.close()


async def test_a_port_that_is_in_use(loop):
    with socket.create_server(('127.0.0.1', 0)) as taken:
        address = taken.getsockname()
        with pytest.raises(OSError) as info:
            await loop.create_server(Written, *address)
        assert info.value.errno == errno.EADDRINUSE
        assert re.search(
            r'error while attempting to bind on address ' +
            re.escape(f'{address}: ') +
            r'(\[errno 98\] )?address already in use$', info.value.strerror)


async def test_arguments_that_make_no_sense(loop):
    new = loop.create_server
    assert await araised(new(Written)) == (
        ValueError, 'Neither host/port nor sock were specified')
    assert await araised(new(Written, '127.0.0.1', 0, ssl=True)) == (
        TypeError, 'ssl argument must be an SSLContext or None')
    assert await araised(new(
        Written, '127.0.0.1', 0, ssl_handshake_timeout=1)) == (
        ValueError, 'ssl_handshake_timeout is only meaningful with ssl')
    assert await araised(new(
        Written, '127.0.0.1', 0, ssl_shutdown_timeout=1)) == (
        ValueError, 'ssl_shutdown_timeout is only meaningful with ssl')
    with socket.socket() as sock:
        assert await araised(new(Written, '127.0.0.1', 0, sock=sock)) == (
            ValueError,
            'host/port and sock can not be specified at the same time')
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        assert await araised(new(Written, sock=sock)) == (
            ValueError, f'A Stream Socket was expected, got {sock!r}')


# Troubles of accepting


async def test_a_factory_that_raises_ends_that_connection_only(loop, noise):
    answers = iter([KeyError('factory')])
    kept = []

    def factory():
        for error in answers:
            raise error
        kept.append(Written())
        return kept[-1]

    server = await loop.create_server(factory, '127.0.0.1', 0)
    address = server.sockets[0].getsockname()
    gc.collect()
    with await client(loop, address) as first:
        pass
    with await client(loop, address):
        await eventually(lambda: kept and kept[0].log)
    await kept[0].lost
    assert first.fileno() == -1
    await finish(server, [])
    gc.collect()
    noise.warned()  # asyncio forgets to close the socket


async def test_in_debug_mode_a_factory_that_raises_is_reported(loop, noise):
    loop.set_debug(True)
    loop.slow_callback_duration = 100
    contexts = handler_contexts(loop)
    error = KeyError('factory')

    def factory():
        raise error

    server = await loop.create_server(factory, '127.0.0.1', 0)
    with await client(loop, server.sockets[0].getsockname()):
        await eventually(lambda: contexts)
    context, = contexts
    assert context['message'] == (
        'Error on transport creation for incoming connection')
    assert context['exception'] is error
    server.close()
    error.__traceback__ = None
    contexts.clear()
    context = None
    gc.collect()
    noise.logged()
    noise.warned()


@not_under_valgrind
async def test_without_descriptors_accepting_pauses(loop):
    contexts = handler_contexts(loop)
    server, kept, address = await start(loop)
    sock = socket.socket()
    sock.setblocking(False)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (sock.fileno() + 1, hard))
    try:
        await loop.sock_connect(sock, address)
        await eventually(lambda: contexts)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    context = contexts[0]
    assert context['message'] == 'socket.accept() out of system resource'
    assert context['exception'].errno == errno.EMFILE
    assert context['socket'].getsockname() == address
    assert kept == []
    await eventually(lambda: kept and kept[0].log)  # after a second
    sock.close()
    await kept[0].lost
    await finish(server, [])


async def test_a_closed_server_is_let_go(loop):
    server, kept, address = await start(loop)
    ref = weakref.ref(server)
    with await client(loop, address):
        await eventually(lambda: kept and kept[0].log)
        server.close()
    await kept[0].lost
    await turns(3)
    del server
    gc.collect()
    assert ref() is None


# Sockets that others accepted


async def test_connect_accepted_socket(loop):
    with socket.create_server(('127.0.0.1', 0)) as listener:
        with socket.create_connection(listener.getsockname()) as sock:
            conn, address = listener.accept()
            transport, protocol = await loop.connect_accepted_socket(
                Written, conn)
            assert protocol.log == ['made']
            assert transport.get_extra_info('peername') == address
            sock.setblocking(False)
            sock.send(b'x')
            assert await protocol.received(1) == b'x'
            transport.write(b'y')
            assert await loop.sock_recv(sock, 1) == b'y'
        await protocol.lost


async def test_connect_accepted_socket_refuses(loop):
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        assert await araised(loop.connect_accepted_socket(Written, sock)) == (
            ValueError, f'A Stream Socket was expected, got {sock!r}')
    with socket.socket() as sock:
        assert await araised(loop.connect_accepted_socket(
            Written, sock, ssl_handshake_timeout=1)) == (
            ValueError, 'ssl_handshake_timeout is only meaningful with ssl')


async def test_a_server_replaced_by_a_method_of_the_instance(loop):
    seen = []
    original = loop.create_task

    def create_task(coro, **kwargs):
        seen.append(coro)
        return original(coro, **kwargs)

    loop.create_task = create_task
    try:
        loop.create_task(turns(1))
        await turns(3)
    finally:
        del loop.create_task
    assert len(seen) == 1
    async with connected(loop) as (transport, protocol, peer):
        assert raised(transport.write, 5)[0] is TypeError
