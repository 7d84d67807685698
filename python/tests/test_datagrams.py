# SPDX-License-Identifier: MIT
"""
Datagram endpoints: addressed and connected, empty, refused, Unix, closed.
"""

import asyncio
import errno
import re
import socket
import sys

import pytest
from two_loops import (WrittenDatagrams, araised, handler_contexts, raised,
                       since, turns)

LOCAL = ('127.0.0.1', 0)


async def endpoint(loop, local=LOCAL, remote=None, factory=WrittenDatagrams,
                   **kwargs):
    """(transport, protocol, its own address)"""
    transport, protocol = await loop.create_datagram_endpoint(
        factory, local, remote, **kwargs)
    return transport, protocol, transport.get_extra_info('sockname')


async def close(*transports):
    for transport in transports:
        transport.close()
    await turns(3)


async def test_two_that_talk(loop):
    one, first, a = await endpoint(loop)
    two, second, b = await endpoint(loop)
    assert first.log == ['made'] and first.transport is one
    assert one.sendto(b'hello', b) is None
    assert (await second.entries(2))[1] == (b'hello', a)
    two.sendto(b'world', a)
    assert (await first.entries(2))[1] == (b'world', b)
    await close(one, two)
    assert first.log[2:] == ['lost'] and second.log[2:] == ['lost']
    assert first.lost.result() is None


async def test_each_datagram_keeps_its_bounds_and_its_place(loop):
    one, _, a = await endpoint(loop)
    two, second, b = await endpoint(loop)
    messages = [b'%d' % n * (n + 1) for n in range(50)]
    for message in messages:
        one.sendto(message, b)
    assert (await second.entries(51))[1:] == [(m, a) for m in messages]
    await close(one, two)


@pytest.mark.parametrize('kind', [bytes, bytearray, memoryview])
async def test_every_kind_of_buffer_is_sent(loop, kind):
    one, _, a = await endpoint(loop)
    two, second, b = await endpoint(loop)
    one.sendto(kind(b'data'), b)
    assert (await second.entries(2))[1] == (b'data', a)
    assert type(second.log[1][0]) is bytes
    await close(one, two)


async def test_what_is_no_buffer_is_refused(loop):
    one, _, _ = await endpoint(loop)
    assert raised(one.sendto, 'text', ('127.0.0.1', 9)) == (
        TypeError, "data argument must be a bytes-like object, not 'str'")
    await close(one)


async def test_empty_datagrams_are_received(loop):
    two, second, b = await endpoint(loop)
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.bind(LOCAL)
        sock.sendto(b'', b)
        sock.sendto(b'after', b)
        assert (await second.entries(3))[1:] == [
            (b'', sock.getsockname()), (b'after', sock.getsockname())]
    await close(two)


@since[(3, 14)]
async def test_empty_datagrams_are_sent(loop):
    one, _, a = await endpoint(loop)
    two, second, b = await endpoint(loop)
    one.sendto(b'', b)
    assert (await second.entries(2))[1] == (b'', a)
    await close(one, two)


async def test_a_connected_endpoint(loop):
    two, second, b = await endpoint(loop)
    one, first, a = await endpoint(loop, None, b)
    assert one.get_extra_info('peername') == b
    one.sendto(b'one')
    one.sendto(b'two', None)
    one.sendto(b'three', b)
    assert [d for d, _ in (await second.entries(4))[1:]] == [
        b'one', b'two', b'three']
    assert raised(one.sendto, b'x', ('127.0.0.1', 1)) == (
        ValueError, f'Invalid address: must be None or {b}')
    two.sendto(b'back', one.get_extra_info('sockname'))
    assert (await first.entries(2))[1] == (b'back', b)
    await close(one, two)


async def test_a_refusal_is_told_to_a_connected_endpoint(loop):
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.bind(LOCAL)
        unused = sock.getsockname()
    one, first, _ = await endpoint(loop, None, unused)
    one.sendto(b'nobody')
    error = (await first.entries(2))[1]
    assert type(error) is ConnectionRefusedError
    assert error.errno == errno.ECONNREFUSED
    assert not one.is_closing()
    await close(one)


async def test_a_datagram_that_is_too_long(loop):
    one, first, _ = await endpoint(loop)
    two, second, b = await endpoint(loop)
    one.sendto(bytes(1 << 17), b)
    assert (await first.entries(2))[1].errno == errno.EMSGSIZE
    one.sendto(b'fits', b)
    assert (await second.entries(2))[1][0] == b'fits'
    await close(one, two)


async def test_a_large_datagram(loop):
    one, _, a = await endpoint(loop)
    two, second, b = await endpoint(loop)
    data = bytes(range(256)) * 200
    one.sendto(data, b)
    assert (await second.entries(2))[1] == (data, a)
    await close(one, two)


async def test_broadcasting_must_be_allowed(loop):
    one, first, _ = await endpoint(loop)
    sock = one.get_extra_info('socket')
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST) == 0
    one.sendto(b'x', ('255.255.255.255', 9))
    assert (await first.entries(2))[1].errno in (
        errno.EACCES, errno.ENETUNREACH)
    two, _, _ = await endpoint(loop, allow_broadcast=True)
    sock = two.get_extra_info('socket')
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST) == 1
    await close(one, two)


async def test_ports_may_be_shared(loop):
    one, _, a = await endpoint(loop, reuse_port=True)
    two, _, b = await endpoint(loop, a, reuse_port=True)
    assert a == b
    await close(one, two)
    one, _, a = await endpoint(loop)
    with pytest.raises(OSError) as info:
        await endpoint(loop, a)
    assert info.value.errno == errno.EADDRINUSE
    await close(one)


async def test_a_socket_may_be_given(loop):
    sock = socket.socket(type=socket.SOCK_DGRAM)
    sock.bind(LOCAL)
    transport, protocol = await loop.create_datagram_endpoint(
        WrittenDatagrams, sock=sock)
    assert sock.gettimeout() == 0
    assert transport.get_extra_info('socket').fileno() == sock.fileno()
    transport.sendto(b'self', sock.getsockname())
    assert (await protocol.entries(2))[1] == (b'self', sock.getsockname())
    await close(transport)
    assert sock.fileno() == -1


async def test_a_socket_that_is_connected(loop):
    two, second, b = await endpoint(loop)
    sock = socket.socket(type=socket.SOCK_DGRAM)
    sock.connect(b)
    one, _ = await loop.create_datagram_endpoint(WrittenDatagrams, sock=sock)
    assert one.get_extra_info('peername') == b
    one.sendto(b'x')
    assert (await second.entries(2))[1][0] == b'x'
    await close(one, two)


async def test_unix_datagrams(loop, tmp_path):
    names = [str(tmp_path / name) for name in 'ab']
    one, first, a = await endpoint(loop, names[0], family=socket.AF_UNIX)
    two, second, b = await endpoint(loop, names[1], family=socket.AF_UNIX)
    assert (a, b) == tuple(names)
    one.sendto(b'hello', b)
    assert (await second.entries(2))[1] == (b'hello', a)
    three, third, c = await endpoint(loop, None, b, family=socket.AF_UNIX)
    three.sendto(b'unnamed')
    data, address = (await second.entries(3))[2]
    assert data == b'unnamed' and address in ('', None)
    await close(one, two, three)


async def test_a_stale_unix_socket_is_replaced(loop, tmp_path):
    name = str(tmp_path / 'a')
    for _ in range(2):
        one, _, a = await endpoint(loop, name, family=socket.AF_UNIX)
        await close(one)


async def to_a_slow_peer(loop, tmp_path):
    """(transport, protocol, peer): the peer's queue is a few messages long."""
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    peer.bind(str(tmp_path / 'peer'))
    peer.setblocking(False)
    transport, protocol, _ = await endpoint(
        loop, None, peer.getsockname(), family=socket.AF_UNIX)
    return transport, protocol, peer


async def test_unix_datagrams_wait_for_room(loop, new_loop, tmp_path):
    if new_loop.name == 'asyncio' and sys.version_info >= (3, 13):
        pytest.skip('asyncio counts what each datagram adds, and forgets it')
    transport, protocol, peer = await to_a_slow_peer(loop, tmp_path)
    with peer:
        transport.set_write_buffer_limits(high=100)
        sent = 0
        while protocol.log[-1] != 'pause':
            transport.sendto(b'%06d' % sent)
            sent += 1
        assert transport.get_write_buffer_size() > 100
        got = []
        while len(got) < sent:
            got.append(await loop.sock_recv(peer, 100))
            await turns()
        assert got == [b'%06d' % n for n in range(sent)]
        assert protocol.log == ['made', 'pause', 'resume']
        assert transport.get_write_buffer_size() == 0
        await close(transport)


async def clogged(loop, tmp_path):
    """The same with datagrams queued."""
    transport, protocol, peer = await to_a_slow_peer(loop, tmp_path)
    buffer = bytearray(b'x' * 100)
    while not transport.get_write_buffer_size():
        transport.sendto(buffer)
    buffer[:] = b'y' * 100
    return transport, protocol, peer


async def test_close_sends_what_is_queued(loop, tmp_path):
    transport, protocol, peer = await clogged(loop, tmp_path)
    with peer:
        transport.close()
        assert transport.is_closing()
        await turns(2)
        assert protocol.log == ['made']
        while not protocol.lost.done():
            assert await loop.sock_recv(peer, 200) == b'x' * 100
            await turns(2)
        assert protocol.log == ['made', 'lost']
        assert await loop.sock_recv(peer, 200) == b'x' * 100


async def test_abort_drops_what_is_queued(loop, tmp_path):
    transport, protocol, peer = await clogged(loop, tmp_path)
    with peer:
        transport.abort()
        assert transport.is_closing()
        assert await protocol.lost is None
        await turns(1)


async def test_sending_after_the_end(loop, noise):
    two, _, b = await endpoint(loop)
    one, first, _ = await endpoint(loop, None, b)
    one.abort()
    await turns(2)
    for _ in range(4):
        one.sendto(b'late')
    assert noise.logged() == []
    one.sendto(b'late')
    assert noise.logged() == ['socket.send() raised exception.']
    await close(two)


async def test_what_a_datagram_transport_is(loop):
    one, protocol, a = await endpoint(loop)
    assert isinstance(one, asyncio.BaseTransport)
    assert one.get_protocol() is protocol
    assert one.get_extra_info('peername') is None
    assert one.get_write_buffer_size() == 0
    assert one.get_write_buffer_limits() == (16384, 65536)
    fd = one.get_extra_info('socket').fileno()
    assert re.match(rf'<\w+ fd={fd} read=polling write=<idle, bufsize=0>>',
                    repr(one))
    other = WrittenDatagrams()
    one.set_protocol(other)
    assert one.get_protocol() is other
    await close(one)
    assert other.log == ['lost'] and protocol.log == ['made']


@pytest.mark.parametrize('name', ['datagram_received', 'error_received'])
async def test_a_callback_that_raises_is_reported(loop, name):
    contexts = handler_contexts(loop)

    class Fails(WrittenDatagrams):
        pass

    def fail(self, *args):
        raise KeyError(name)

    setattr(Fails, name, fail)
    one, protocol, a = await endpoint(loop, factory=Fails)
    if name == 'datagram_received':
        one.sendto(b'x', a)
        while not contexts:
            await asyncio.sleep(0.001)
        assert isinstance(contexts[0]['exception'], KeyError)
        assert contexts[0]['message'].startswith('Exception in callback ')
    else:
        with pytest.raises(KeyError):
            one.sendto(bytes(1 << 17), a)
    assert not one.is_closing()
    await close(one)


async def test_connection_lost_that_raises_still_closes(loop):
    contexts = handler_contexts(loop)

    class Fails(WrittenDatagrams):
        def connection_lost(self, exc):
            raise KeyError('lost')

    one, protocol, a = await endpoint(loop, factory=Fails)
    sock = one.get_extra_info('socket')
    await close(one)
    assert isinstance(contexts[0]['exception'], KeyError)
    assert sock.fileno() == -1


async def test_arguments_that_make_no_sense(loop, tmp_path):
    new = loop.create_datagram_endpoint
    assert await araised(new(WrittenDatagrams)) == (
        ValueError, 'unexpected address family')
    assert await araised(new(WrittenDatagrams, local_addr='x')) == (
        TypeError, '2-tuple is expected')
    assert await araised(new(WrittenDatagrams, local_addr=('x', 1),
                             family=socket.AF_UNIX)) == (
        TypeError, 'string is expected')
    with socket.socket() as sock:
        kind, text = await araised(new(WrittenDatagrams, sock=sock))
        assert kind is ValueError
        assert text in (f'A UDP Socket was expected, got {sock!r}',
                        f'A datagram socket was expected, got {sock!r}')
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        assert await araised(new(WrittenDatagrams, LOCAL, sock=sock)) == (
            ValueError, 'socket modifier keyword arguments can not be used '
            f'when sock is specified. (local_addr={LOCAL})')


async def test_a_family_without_addresses(loop):
    one, protocol = await loop.create_datagram_endpoint(
        WrittenDatagrams, family=socket.AF_INET)
    two, second, b = await endpoint(loop)
    one.sendto(b'x', b)
    assert (await second.entries(2))[1][0] == b'x'
    await close(one, two)
