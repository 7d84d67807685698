# SPDX-License-Identifier: MIT
"""
What transports tell about themselves: get_extra_info, repr, their socket.
"""

import asyncio
import copy
import gc
import pickle
import re
import socket
import weakref

import pytest
from two_loops import Written, connected, raised, stream_pair, turns


@pytest.mark.parametrize('kind', ['tcp', 'unix'])
async def test_the_names_and_addresses(loop, kind):
    async with connected(loop, kind=kind) as (transport, protocol, peer):
        info = transport.get_extra_info
        assert info('sockname') == peer.getpeername()
        assert info('peername') == peer.getsockname()
        assert info('unknown') is None
        assert info('unknown', 42) == 42
        assert info('unknown', default=43) == 43
        assert info('sslcontext') is None
        assert info('socket').getsockname() == info('sockname')


async def test_the_information_stays_after_the_end(loop):
    async with connected(loop) as (transport, protocol, peer):
        before = transport.get_extra_info('peername')
        transport.close()
        await protocol.lost
        await turns(1)
        assert transport.get_extra_info('peername') == before
        assert transport.get_extra_info('sockname') == peer.getpeername()
        assert transport.get_extra_info('socket').fileno() == -1


async def test_a_peer_that_went_away_before_the_transport_was_made(loop):
    one, other = stream_pair()
    other.close()
    await asyncio.sleep(0.001)
    transport, protocol = await loop.create_connection(Written, sock=one)
    assert transport.get_extra_info('sockname')[0] == '127.0.0.1'
    await protocol.lost
    assert protocol.log == ['made', 'eof', 'lost']


async def test_tcp_transports_send_without_delay(loop):
    async with connected(loop) as (transport, protocol, peer):
        sock = transport.get_extra_info('socket')
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


async def test_the_types(loop):
    async with connected(loop) as (transport, protocol, peer):
        assert isinstance(transport, asyncio.Transport)
        assert isinstance(transport, asyncio.ReadTransport)
        assert isinstance(transport, asyncio.WriteTransport)
        assert not isinstance(transport, asyncio.DatagramTransport)
        assert weakref.ref(transport)() is transport
        assert hash(transport) == hash(transport)
        assert transport == transport
        assert len({transport, transport}) == 1


STATES = r'<(\w+) (closed |closing )?fd=(\d+)( read=(polling|idle) ' \
         r'write=<(polling|idle), bufsize=(\d+)>)?>'


async def test_what_a_transport_prints(loop):
    async with connected(loop, kind='unix') as (transport, protocol, peer):
        def shown():
            return re.fullmatch(STATES, repr(transport)).groups()[1:]

        await turns(2)
        fd = str(transport.get_extra_info('socket').fileno())
        assert shown()[:2] == (None, fd)
        assert shown()[3:] == ('polling', 'idle', '0')
        transport.pause_reading()
        assert shown()[3:] == ('idle', 'idle', '0')
        transport.resume_reading()
        transport.write(bytes(1 << 22))
        size = str(transport.get_write_buffer_size())
        assert shown()[3:] == ('polling', 'polling', size)
        transport.close()
        assert shown()[0] == 'closing '
        assert shown()[3:] == ('idle', 'polling', size)
        transport.abort()
        await protocol.lost
        await turns(1)
        assert re.fullmatch(STATES, repr(transport))[2] == 'closed '




def test_a_transport_outlives_its_loop(new_loop, noise):
    loop = new_loop()
    one, other = socket.socketpair()
    with other:
        async def body():
            return await loop.create_connection(asyncio.Protocol, sock=one)

        transport, _ = loop.run_until_complete(body())
        fd = one.fileno()
        loop.close()
        assert re.fullmatch(rf'<\w+ fd={fd}>', repr(transport))
        assert not transport.is_closing()
        del transport
        gc.collect()
        assert noise.warned()[0].startswith('unclosed transport <')


# The socket


async def test_the_socket_of_a_transport(loop):
    async with connected(loop) as (transport, protocol, peer):
        sock = transport.get_extra_info('socket')
        assert type(sock).__name__ == 'TransportSocket'
        assert (sock.family, sock.type, sock.proto) == (
            socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        assert sock.getsockname() == peer.getpeername()
        assert sock.getpeername() == peer.getsockname()
        assert sock.fileno() > 2
        assert sock.get_inheritable() is False
        assert sock.gettimeout() == 0
        assert sock.settimeout(0) is None
        assert sock.setblocking(False) is None
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert repr(sock) == (
            f'<asyncio.TransportSocket fd={sock.fileno()}, '
            f'family={socket.AF_INET!s}, type={socket.SOCK_STREAM!s}, '
            f'proto=6, laddr={sock.getsockname()}, '
            f'raddr={sock.getpeername()}>')


async def test_what_its_socket_does_not_allow(loop):
    async with connected(loop) as (transport, protocol, peer):
        sock = transport.get_extra_info('socket')
        assert raised(sock.settimeout, 1) == (
            ValueError,
            'settimeout(): only 0 timeout is allowed on transport sockets')
        assert raised(sock.setblocking, True) == (
            ValueError, 'setblocking(): transport sockets cannot be blocking')
        for name in ('close', 'detach', 'recv', 'send', 'accept', 'listen',
                     'bind', 'connect', 'makefile'):
            assert not hasattr(sock, name)
        for operation in (pickle.dumps, copy.copy, copy.deepcopy):
            assert raised(operation, sock)[0] is TypeError


async def test_its_socket_can_be_duplicated_and_shut_down(loop):
    async with connected(loop) as (transport, protocol, peer):
        sock = transport.get_extra_info('socket')
        with sock.dup() as copied:
            assert copied.fileno() != sock.fileno()
            assert copied.getsockname() == sock.getsockname()
        sock.shutdown(socket.SHUT_WR)
        assert await loop.sock_recv(peer, 1) == b''


async def test_the_socket_is_the_same_each_time(loop):
    async with connected(loop) as (transport, protocol, peer):
        assert (transport.get_extra_info('socket')
                is transport.get_extra_info('socket'))


async def test_the_given_socket_belongs_to_the_transport(loop):
    one, other = socket.socketpair()
    with other:
        one.setblocking(True)
        transport, protocol = await loop.create_connection(Written, sock=one)
        assert one.gettimeout() == 0
        transport.close()
        await protocol.lost
        await turns(1)
        assert one.fileno() == -1
