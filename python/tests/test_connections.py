# SPDX-License-Identifier: MIT
"""
create_connection: the search for an address, its errors and its arguments.
"""

import asyncio
import errno
import re
import socket

import pytest
from two_loops import Written, araised, eventually, since, turns


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


def resolves_to(loop, monkeypatch, *addresses):
    async def getaddrinfo(host, port, **kwargs):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, '', address)
                for address in addresses]

    monkeypatch.setattr(loop, 'getaddrinfo', getaddrinfo)


async def close(transport, protocol):
    transport.close()
    await protocol.lost
    await turns(2)


async def test_to_an_address(loop, listener):
    address = listener.getsockname()
    transport, protocol = await loop.create_connection(Written, *address)
    assert protocol.log == ['made']
    assert protocol.transport is transport
    assert transport.get_extra_info('peername') == address
    conn, _ = await loop.sock_accept(listener)
    with conn:
        await loop.sock_sendall(conn, b'x')
        assert await protocol.received(1) == b'x'
    await close(transport, protocol)


async def test_to_a_name(loop, listener):
    port = listener.getsockname()[1]
    transport, protocol = await loop.create_connection(
        Written, 'localhost', port, family=socket.AF_INET)
    assert transport.get_extra_info('peername') == ('127.0.0.1', port)
    await close(transport, protocol)
    await loop.shutdown_default_executor()


async def test_from_an_address(loop, listener):
    with socket.socket() as probe:
        probe.bind(('127.0.0.2', 0))
        local = probe.getsockname()
    transport, protocol = await loop.create_connection(
        Written, *listener.getsockname(), local_addr=local)
    assert transport.get_extra_info('sockname') == local
    await close(transport, protocol)


async def test_from_an_address_that_is_taken(loop, listener):
    address = listener.getsockname()
    with pytest.raises(OSError) as info:
        await loop.create_connection(Written, *address, local_addr=address)
    assert info.value.errno == errno.EADDRINUSE
    assert re.search(
        r'error while attempting to bind on address ' +
        re.escape(f'{address}: ') +
        r'(\[errno 98\] )?address already in use$', info.value.strerror)


async def test_refused(loop, unused):
    with pytest.raises(ConnectionRefusedError) as info:
        await loop.create_connection(Written, *unused)
    assert info.value.errno == errno.ECONNREFUSED
    assert info.value.strerror == f'Connect call failed {unused}'


async def test_the_next_address_is_tried(loop, listener, unused, monkeypatch):
    resolves_to(loop, monkeypatch, unused, listener.getsockname())
    transport, protocol = await loop.create_connection(Written, 'name', 1)
    assert transport.get_extra_info('peername') == listener.getsockname()
    await close(transport, protocol)


async def test_all_addresses_refuse_in_the_same_words(loop, unused,
                                                      monkeypatch):
    resolves_to(loop, monkeypatch, unused, unused)
    with pytest.raises(ConnectionRefusedError) as info:
        await loop.create_connection(Written, 'name', 1)
    assert info.value.strerror == f'Connect call failed {unused}'


async def test_all_addresses_refuse_in_different_words(loop, unused,
                                                       monkeypatch):
    with socket.socket() as sock:
        sock.bind(('127.0.0.1', 0))
        other = sock.getsockname()
        resolves_to(loop, monkeypatch, unused, other)
        assert await araised(loop.create_connection(Written, 'name', 1)) == (
            OSError, 'Multiple exceptions: [Errno 111] Connect call failed '
            f'{unused}, [Errno 111] Connect call failed {other}')


@since[(3, 12)]
async def test_all_errors_in_a_group(loop, unused, monkeypatch):
    resolves_to(loop, monkeypatch, unused, unused)
    with pytest.raises(ExceptionGroup) as info:
        await loop.create_connection(Written, 'name', 1, all_errors=True)
    assert info.value.message == 'create_connection failed'
    assert [type(e) for e in info.value.exceptions] == [
        ConnectionRefusedError] * 2


async def test_no_address(loop, monkeypatch):
    resolves_to(loop, monkeypatch)
    assert await araised(loop.create_connection(Written, 'name', 1)) == (
        OSError, 'getaddrinfo() returned empty list')


async def test_happy_eyeballs(loop, listener, unused, monkeypatch):
    resolves_to(loop, monkeypatch, unused, unused, listener.getsockname())
    transport, protocol = await loop.create_connection(
        Written, 'name', 1, happy_eyeballs_delay=0.01)
    assert transport.get_extra_info('peername') == listener.getsockname()
    await close(transport, protocol)


async def test_happy_eyeballs_do_not_wait_for_a_silent_address(
        loop, listener, monkeypatch):
    from test_sock_cancel import full_port
    with full_port() as silent:
        resolves_to(loop, monkeypatch, silent, listener.getsockname())
        transport, protocol = await loop.create_connection(
            Written, 'name', 1, happy_eyeballs_delay=0.005)
        assert transport.get_extra_info('peername') == listener.getsockname()
        await close(transport, protocol)


async def test_happy_eyeballs_that_all_fail(loop, unused, monkeypatch):
    resolves_to(loop, monkeypatch, unused, unused)
    with pytest.raises(ConnectionRefusedError):
        await loop.create_connection(Written, 'name', 1,
                                     happy_eyeballs_delay=0.001)


@pytest.mark.parametrize('interleave', [None, 1, 2])
async def test_families_are_interleaved(loop, monkeypatch, interleave):
    tried = []

    async def getaddrinfo(host, port, **kwargs):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, '', ('127.0.0.1', n))
                for n in (1, 2, 3)] + [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, '', ('::1', n))
            for n in (4, 5)]

    async def sock_connect(sock, address):
        tried.append(address[1])
        raise ConnectionRefusedError(111, 'always')

    monkeypatch.setattr(loop, 'getaddrinfo', getaddrinfo)
    monkeypatch.setattr(loop, 'sock_connect', sock_connect)
    with pytest.raises(OSError):
        await loop.create_connection(Written, 'name', 1,
                                     interleave=interleave)
    if 4 in tried:  # the machine has IPv6
        assert tried == {None: [1, 2, 3, 4, 5], 1: [1, 4, 2, 5, 3],
                         2: [1, 2, 4, 3, 5]}[interleave]


async def test_a_socket_that_is_connected(loop):
    one, other = socket.socketpair()
    with other:
        transport, protocol = await loop.create_connection(Written, sock=one)
        assert protocol.log == ['made']
        await close(transport, protocol)


async def test_connection_made_comes_before_the_result(loop):
    order = []

    class Protocol(Written):
        def connection_made(self, transport):
            super().connection_made(transport)
            order.append('made')

    one, other = socket.socketpair()
    with other:
        other.send(b'x')

        async def connect():
            result = await loop.create_connection(Protocol, sock=one)
            order.append('returned')
            return result

        transport, protocol = await connect()
        await eventually(lambda: protocol.data)
        assert order == ['made', 'returned']
        await close(transport, protocol)


async def test_arguments_that_make_no_sense(loop, listener):
    new = loop.create_connection
    address = listener.getsockname()
    cases = [
        ({}, (), 'host and port was not specified and no sock specified'),
        ({'sock': listener}, address,
         'host/port and sock can not be specified at the same time'),
        ({'server_hostname': 'x'}, address,
         'server_hostname is only meaningful with ssl'),
        ({'ssl_handshake_timeout': 1}, address,
         'ssl_handshake_timeout is only meaningful with ssl'),
        ({'ssl_shutdown_timeout': 1}, address,
         'ssl_shutdown_timeout is only meaningful with ssl'),
        ({'ssl': True}, (),
         'You must set server_hostname when using ssl without a host')]
    for kwargs, args, text in cases:
        assert await araised(new(Written, *args, **kwargs)) == (
            ValueError, text)
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        assert await araised(new(Written, sock=sock)) == (
            ValueError, f'A Stream Socket was expected, got {sock!r}')


async def test_a_socket_that_is_not_connected(loop):
    sock = socket.socket()
    transport, protocol = await loop.create_connection(Written, sock=sock)
    assert transport.get_extra_info('peername') is None
    await protocol.lost
    assert protocol.log[0] == 'made'
    assert protocol.log[-1].startswith('lost')


async def test_a_closed_socket_is_refused(loop):
    sock = socket.socket()
    sock.close()
    kind, _ = await araised(loop.create_connection(Written, sock=sock))
    assert issubclass(kind, (OSError, ValueError))


async def test_the_methods_of_the_instance_are_used(loop, listener,
                                                    monkeypatch):
    seen = []
    original = loop.sock_connect

    async def sock_connect(sock, address):
        seen.append(address)
        return await original(sock, address)

    monkeypatch.setattr(loop, 'sock_connect', sock_connect)
    transport, protocol = await loop.create_connection(
        Written, *listener.getsockname())
    assert seen == [listener.getsockname()]
    await close(transport, protocol)


async def test_fifty_connections_at_once(loop, listener):
    address = listener.getsockname()
    made = await asyncio.gather(*(
        loop.create_connection(Written, *address) for _ in range(50)))
    names = {t.get_extra_info('sockname') for t, _ in made}
    assert len(names) == 50
    for transport, protocol in made:
        await close(transport, protocol)


async def test_in_debug_mode_a_connection_is_logged(loop, listener, noise):
    import logging
    loop.set_debug(True)
    host, port = listener.getsockname()
    transport, protocol = await loop.create_connection(Written, host, port)
    texts = noise.logged(logging.DEBUG)
    assert any(f' connected to {host}:{port}: ' in text for text in texts)
    await close(transport, protocol)
