# SPDX-License-Identifier: MIT
"""
Connecting: which socket, which of its methods, and what becomes of it when
something goes wrong.
"""

import asyncio
import errno
import gc
import resource
import socket
import sys

import pytest
from test_sock_cancel import full_port
from two_loops import Written, araised, turns


@pytest.fixture
def listener():
    with socket.create_server(('127.0.0.1', 0)) as sock:
        sock.setblocking(False)
        yield sock


@pytest.fixture
def unused():
    """An address that refuses."""
    with socket.socket() as sock:
        sock.bind(('127.0.0.1', 0))
        yield sock.getsockname()


async def close(transport, protocol):
    transport.close()
    await protocol.lost
    await turns(2)


async def test_the_socket_of_a_connection(loop, listener):
    host, port = listener.getsockname()
    transport, protocol = await loop.create_connection(Written, host, port)
    sock = transport.get_extra_info('socket')
    assert (sock.family, sock.type, sock.proto) == (
        socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    assert sock.gettimeout() == 0
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert sock.getpeername() == (host, port)
    await close(transport, protocol)


@pytest.mark.parametrize('port', [str, lambda port: str(port).encode()])
async def test_a_port_in_words(loop, listener, port):
    host, number = listener.getsockname()
    transport, protocol = await loop.create_connection(
        Written, host, port(number))
    assert transport.get_extra_info('peername') == (host, number)
    await close(transport, protocol)


async def test_a_host_in_bytes(loop, listener):
    host, port = listener.getsockname()
    transport, protocol = await loop.create_connection(
        Written, host.encode(), port)
    assert transport.get_extra_info('peername') == (host, port)
    await close(transport, protocol)


async def test_a_family_that_does_not_fit(loop, listener):
    kind, _ = await araised(loop.create_connection(
        Written, *listener.getsockname(), family=socket.AF_INET6))
    assert kind is socket.gaierror
    await loop.shutdown_default_executor()


async def test_version_6_refuses_with_its_whole_address(loop):
    with socket.socket(socket.AF_INET6) as sock:
        try:
            sock.bind(('::1', 0))
        except OSError:
            pytest.skip('there is no IPv6')
        address = sock.getsockname()
        text = f'[Errno 111] Connect call failed {address}'
        refused = ConnectionRefusedError, text
        assert await araised(
            loop.create_connection(Written, *address[:2])) == refused
        for given in address[:2], address:
            with socket.socket(socket.AF_INET6) as client:
                client.setblocking(False)
                assert await araised(
                    loop.sock_connect(client, given)) == refused


async def test_no_more_descriptors(loop, listener):
    address = listener.getsockname()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with open('/dev/null') as last:
        resource.setrlimit(resource.RLIMIT_NOFILE, (last.fileno() + 1, hard))
    taken = [open('/dev/null')]
    try:
        while True:
            taken.append(open('/dev/null'))
    except OSError:
        pass
    with pytest.raises(OSError) as info:
        await loop.create_connection(Written, *address)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    for file in taken:
        file.close()
    assert info.value.errno == errno.EMFILE


async def test_another_class_in_the_place_of_socket(loop, listener,
                                                    monkeypatch):
    made = []

    class Socket(socket.socket):
        def connect(self, address):
            made.append(address)
            super().connect(address)

    monkeypatch.setattr(socket, 'socket', Socket)
    address = listener.getsockname()
    transport, protocol = await loop.create_connection(Written, *address)
    assert made == [address]
    await close(transport, protocol)


@pytest.mark.parametrize('refuses', [False, True])
async def test_another_connect_in_the_class(loop, listener, monkeypatch,
                                            refuses):
    original, made = socket.socket.connect, []

    def connect(self, address):
        made.append(address)
        if refuses:
            raise RuntimeError('not from here')
        original(self, address)

    monkeypatch.setattr(socket.socket, 'connect', connect)
    address = listener.getsockname()
    if refuses:
        assert await araised(loop.create_connection(Written, *address)) == (
            RuntimeError, 'not from here')
        assert len(made) == 1
        return
    transport, protocol = await loop.create_connection(Written, *address)
    with socket.socket() as sock:
        sock.setblocking(False)
        await loop.sock_connect(sock, address)
    assert made == [address, address]
    await close(transport, protocol)


async def test_auditors_hear_of_a_connection(loop, listener):
    heard = []

    def hook(event, args):
        if event == 'socket.connect':
            heard.append(args[1])

    sys.addaudithook(hook)
    address = listener.getsockname()
    transport, protocol = await loop.create_connection(Written, *address)
    assert heard == [address]
    await close(transport, protocol)


async def test_a_factory_that_fails(loop, listener):
    def factory():
        raise LookupError('no protocol')

    one, other = socket.socketpair()
    with one, other:
        assert await araised(loop.create_connection(factory, sock=one)) == (
            LookupError, 'no protocol')


async def test_a_socket_that_blocks_does_not_any_more(loop):
    one, other = socket.socketpair()
    with other:
        transport, protocol = await loop.create_connection(Written, sock=one)
        assert one.gettimeout() == 0
        assert not one.getblocking()
        await close(transport, protocol)


async def test_a_coroutine_that_is_dropped_closes_its_socket(loop):
    with full_port() as address:
        task = loop.create_task(loop.create_connection(Written, *address))
        await turns(3)
        assert loop._selector.get_key  # it waits
        task.get_coro().close()
        task._log_destroy_pending = False
        task.cancel()
        with pytest.raises((asyncio.CancelledError, RuntimeError)):
            await task
    gc.collect()


async def test_refused_without_a_cycle(loop, unused):
    """The exception does not hold what holds it."""
    gc.collect()
    gc.disable()
    try:
        await araised(loop.create_connection(Written, *unused))
        gc.collect()
        found = [thing for thing in gc.garbage if isinstance(thing, OSError)]
    finally:
        gc.enable()
    assert found == []


async def test_many_that_are_refused(loop, unused):
    results = await asyncio.gather(
        *(loop.create_connection(Written, *unused) for _ in range(50)),
        return_exceptions=True)
    assert {(type(e), e.strerror) for e in results} == {
        (ConnectionRefusedError, f'Connect call failed {unused}')}


async def test_connected_datagram_sockets(loop):
    with socket.socket(type=socket.SOCK_DGRAM) as one, \
            socket.socket(type=socket.SOCK_DGRAM) as other:
        other.bind(('127.0.0.1', 0))
        one.setblocking(False)
        assert await loop.sock_connect(one, other.getsockname()) is None
        assert one.getpeername() == other.getsockname()


async def test_a_socket_that_is_connected(loop, listener):
    address = listener.getsockname()
    with socket.socket() as sock:
        sock.connect(address)
        sock.setblocking(False)
        assert await araised(loop.sock_connect(sock, address)) == (
            OSError, '[Errno 106] Transport endpoint is already connected')
