# SPDX-License-Identifier: MIT
"""
sock_recv and its sisters on sockets that the test owns.
"""

import asyncio
import errno
import gc
import socket
import ssl
import weakref

import pytest
from two_loops import araised, narrow, raised, turns

MEGABYTE = bytes(range(256)) * 4096


@pytest.fixture(params=['unix', 'tcp'])
def pair(request):
    from two_loops import stream_pair
    one, other = stream_pair(request.param)
    one.setblocking(False)
    other.setblocking(False)
    with one, other:
        yield one, other


@pytest.fixture
def udp():
    socks = [socket.socket(type=socket.SOCK_DGRAM) for _ in range(2)]
    for sock in socks:
        sock.bind(('127.0.0.1', 0))
        sock.setblocking(False)
    with socks[0], socks[1]:
        yield socks


# Streams


async def test_recv_takes_what_is_there(loop, pair):
    pair[1].send(b'there')
    data = await loop.sock_recv(pair[0], 100)
    assert type(data) is bytes and data == b'there'


async def test_recv_takes_no_more_than_was_asked_for(loop, pair):
    pair[1].send(b'abcdef')
    assert await loop.sock_recv(pair[0], 2) == b'ab'
    assert await loop.sock_recv(pair[0], 100) == b'cdef'


async def test_recv_waits(loop, pair):
    task = loop.create_task(loop.sock_recv(pair[0], 100))
    await turns(3)
    assert not task.done()
    await loop.sock_sendall(pair[1], b'later')
    assert await task == b'later'
    assert loop.remove_reader(pair[0]) is False


async def test_recv_at_the_end_gives_nothing(loop, pair):
    task = loop.create_task(loop.sock_recv(pair[0], 100))
    await turns(2)
    pair[1].close()
    assert await task == b''
    assert await loop.sock_recv(pair[0], 100) == b''


async def test_recv_of_zero_bytes(loop, pair):
    pair[1].send(b'x')
    assert await loop.sock_recv(pair[0], 0) == b''
    assert await loop.sock_recv(pair[0], 1) == b'x'


async def test_recv_refuses_negative_and_wrong_sizes(loop, pair):
    assert await araised(loop.sock_recv(pair[0], -1)) == (
        ValueError, 'negative buffersize in recv')
    assert (await araised(loop.sock_recv(pair[0], 'x')))[0] is TypeError
    assert (await araised(loop.sock_recv(pair[0], 1.5)))[0] is TypeError


async def test_recv_into_fills_the_buffer(loop, pair):
    buffer = bytearray(b'......')
    task = loop.create_task(loop.sock_recv_into(pair[0], buffer))
    await turns(2)
    pair[1].send(b'abc')
    assert await task == 3
    assert buffer == b'abc...'
    pair[1].send(b'xyzxyzxyz')
    assert await loop.sock_recv_into(pair[0], memoryview(buffer)[4:]) == 2
    assert buffer == b'abc.xy'


async def test_recv_into_refuses_what_cannot_be_written(loop, pair):
    pair[1].send(b'x')
    assert (await araised(loop.sock_recv_into(pair[0], b'x')))[0] is TypeError
    assert await loop.sock_recv(pair[0], 1) == b'x'


async def test_recv_into_keeps_the_buffer_while_it_waits(loop, pair):
    class Buffer(bytearray):
        pass

    buffer = Buffer(10)
    ref = weakref.ref(buffer)
    task = loop.create_task(loop.sock_recv_into(pair[0], buffer))
    del buffer
    await turns(2)
    gc.collect()
    assert ref() is not None
    pair[1].send(b'x')
    assert await task == 1
    assert ref() is None


async def test_sendall_sends_more_than_the_kernel_takes(loop, pair):
    narrow(*pair)

    async def receive():
        got = bytearray()
        while len(got) < len(MEGABYTE):
            got += await loop.sock_recv(pair[0], 1 << 16)
        return got

    task = loop.create_task(receive())
    assert await loop.sock_sendall(pair[1], MEGABYTE) is None
    assert await task == MEGABYTE
    assert loop.remove_writer(pair[1]) is False


@pytest.mark.parametrize('kind', [bytes, bytearray, memoryview])
async def test_sendall_takes_every_buffer(loop, pair, kind):
    await loop.sock_sendall(pair[1], kind(b'data'))
    assert await loop.sock_recv(pair[0], 10) == b'data'


async def test_sendall_of_nothing(loop, pair):
    assert await loop.sock_sendall(pair[1], b'') is None


async def test_sendall_refuses_text(loop, pair):
    assert (await araised(loop.sock_sendall(pair[1], 'x')))[0] is TypeError


async def test_sendall_to_a_closed_peer(loop, pair):
    pair[0].close()
    with pytest.raises((BrokenPipeError, ConnectionResetError)) as info:
        for _ in range(3):
            await loop.sock_sendall(pair[1], MEGABYTE)
    assert info.value.errno in (errno.EPIPE, errno.ECONNRESET)


async def test_both_directions_at_once(loop, pair):
    narrow(*pair)

    async def receive(sock):
        size = 0
        while size < len(MEGABYTE):
            size += len(await loop.sock_recv(sock, 1 << 16))
        return size

    results = await asyncio.gather(
        receive(pair[0]), receive(pair[1]),
        loop.sock_sendall(pair[0], MEGABYTE),
        loop.sock_sendall(pair[1], MEGABYTE))
    assert results == [len(MEGABYTE)] * 2 + [None] * 2


# Connecting and accepting


async def test_accept_and_connect(loop):
    with socket.create_server(('127.0.0.1', 0)) as listener, \
            socket.socket() as client:
        listener.setblocking(False)
        client.setblocking(False)
        task = loop.create_task(loop.sock_accept(listener))
        await turns(2)
        assert await loop.sock_connect(client, listener.getsockname()) is None
        conn, address = await task
        with conn:
            assert address == client.getsockname()
            assert conn.gettimeout() == 0
            assert type(conn) is socket.socket
            await loop.sock_sendall(client, b'hello')
            assert await loop.sock_recv(conn, 10) == b'hello'
            assert loop.remove_reader(listener) is False


async def test_accept_of_one_that_waits_already(loop):
    with socket.create_server(('127.0.0.1', 0)) as listener:
        listener.setblocking(False)
        with socket.create_connection(listener.getsockname()) as client:
            conn, address = await loop.sock_accept(listener)
            assert address == client.getsockname()
            conn.close()


async def test_connect_by_name(loop):
    with socket.create_server(('127.0.0.1', 0)) as listener, \
            socket.socket() as client:
        client.setblocking(False)
        port = listener.getsockname()[1]
        await loop.sock_connect(client, ('localhost', port))
        assert client.getpeername() == ('127.0.0.1', port)
    await loop.shutdown_default_executor()


async def test_connect_to_a_unix_socket(loop, tmp_path):
    path = str(tmp_path / 'sock')
    with socket.socket(socket.AF_UNIX) as listener, \
            socket.socket(socket.AF_UNIX) as client:
        listener.bind(path)
        listener.listen()
        client.setblocking(False)
        listener.setblocking(False)
        await loop.sock_connect(client, path)
        conn, address = await loop.sock_accept(listener)
        conn.close()
        assert address == ''


async def test_a_refused_connection(loop):
    with socket.socket() as unused, socket.socket() as client:
        unused.bind(('127.0.0.1', 0))
        address = unused.getsockname()
        client.setblocking(False)
        with pytest.raises(ConnectionRefusedError) as info:
            await loop.sock_connect(client, address)
        assert info.value.errno == errno.ECONNREFUSED
        assert info.value.strerror in (
            f'Connect call failed {address}', 'Connection refused')
        assert loop.remove_writer(client) is False


async def test_a_missing_unix_socket(loop, tmp_path):
    with socket.socket(socket.AF_UNIX) as client:
        client.setblocking(False)
        with pytest.raises(FileNotFoundError) as info:
            await loop.sock_connect(client, str(tmp_path / 'nothing'))
        assert info.value.errno == errno.ENOENT


async def test_connect_refuses_a_wrong_address(loop):
    with socket.socket(socket.AF_UNIX) as client:
        client.setblocking(False)
        kind, _ = await araised(loop.sock_connect(client, 5))
        assert kind is TypeError


async def test_sockets_that_are_not_connected_or_closed(loop):
    with socket.socket() as sock:
        sock.setblocking(False)
        with pytest.raises(OSError) as info:
            await loop.sock_recv(sock, 1)
        assert info.value.errno == errno.ENOTCONN
        with pytest.raises(OSError) as info:
            await loop.sock_accept(sock)
        assert info.value.errno == errno.EINVAL
    with pytest.raises(OSError) as info:
        await loop.sock_recv(sock, 1)
    assert info.value.errno == errno.EBADF
    with pytest.raises(OSError) as info:
        await loop.sock_sendall(sock, b'x')
    assert info.value.errno == errno.EBADF


async def test_ssl_sockets_are_refused(loop):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    one, other = socket.socketpair()
    with other, context.wrap_socket(one, server_hostname='x',
                                    do_handshake_on_connect=False) as sock:
        sock.setblocking(False)
        text = 'Socket cannot be of type SSLSocket'
        for coro in [loop.sock_recv(sock, 1), loop.sock_sendall(sock, b'x'),
                     loop.sock_recv_into(sock, bytearray(1)),
                     loop.sock_connect(sock, 'x'), loop.sock_accept(sock)]:
            assert await araised(coro) == (TypeError, text)


async def test_a_transports_socket_is_refused(loop, pair):
    transport, _ = await loop.create_connection(asyncio.Protocol,
                                                sock=pair[0])
    assert (await araised(loop.sock_recv(pair[0], 1))) == (
        RuntimeError, f'File descriptor {pair[0].fileno()!r} is used by '
        f'transport {transport!r}')
    transport.close()
    await turns(2)


# Datagrams


async def test_sendto_and_recvfrom(loop, udp):
    one, other = udp
    task = loop.create_task(loop.sock_recvfrom(one, 100))
    await turns(2)
    assert await loop.sock_sendto(other, b'data', one.getsockname()) == 4
    assert await task == (b'data', other.getsockname())
    await loop.sock_sendto(other, b'', one.getsockname())
    assert await loop.sock_recvfrom(one, 10) == (b'', other.getsockname())


async def test_recvfrom_cuts_what_is_too_long(loop, udp):
    one, other = udp
    other.sendto(b'abcdef', one.getsockname())
    other.sendto(b'next', one.getsockname())
    assert (await loop.sock_recvfrom(one, 3))[0] == b'abc'
    assert (await loop.sock_recvfrom(one, 30))[0] == b'next'


async def test_recvfrom_into(loop, udp):
    one, other = udp
    buffer = bytearray(b'........')
    task = loop.create_task(loop.sock_recvfrom_into(one, buffer))
    await turns(2)
    other.sendto(b'abc', one.getsockname())
    assert await task == (3, other.getsockname())
    assert buffer == b'abc.....'
    other.sendto(b'xyz', one.getsockname())
    assert (await loop.sock_recvfrom_into(one, buffer, 2))[0] == 2
    assert buffer == b'xyc.....'


async def test_sendto_errors(loop, udp):
    assert (await araised(loop.sock_sendto(udp[0], b'x', 5)))[0] is TypeError
    with pytest.raises(OSError) as info:
        await loop.sock_sendto(udp[0], bytes(1 << 17), udp[1].getsockname())
    assert info.value.errno == errno.EMSGSIZE


async def test_sendto_waits_for_room(loop):
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with one, other:
        one.setblocking(False)
        other.setblocking(False)
        count = 0
        try:
            while True:
                one.send(b'x')
                count += 1
        except BlockingIOError:
            pass
        task = loop.create_task(loop.sock_sendall(one, b'last'))
        await turns(3)
        assert not task.done()
        for _ in range(count):
            await loop.sock_recv(other, 10)
        await task
        assert await loop.sock_recv(other, 10) == b'last'


# What is kept


async def test_nothing_is_kept_of_what_is_done(loop, pair):
    class Buffer(bytearray):
        pass

    buffer = Buffer(100)
    ref = weakref.ref(buffer)
    pair[1].send(b'x')
    await loop.sock_recv_into(pair[0], buffer)
    task = loop.create_task(loop.sock_recv_into(pair[0], buffer))
    await turns(2)
    pair[1].send(b'x')
    await task
    del buffer, task
    gc.collect()
    assert ref() is None


async def test_a_thousand_round_trips(loop, pair):
    async def echo():
        while data := await loop.sock_recv(pair[1], 100):
            await loop.sock_sendall(pair[1], data)

    task = loop.create_task(echo())
    for number in range(1000):
        await loop.sock_sendall(pair[0], b'%d' % number)
        assert await loop.sock_recv(pair[0], 100) == b'%d' % number
    pair[0].shutdown(socket.SHUT_WR)
    await task


def test_the_methods_are_coroutines_or_awaitables(loop, pair):
    pair[1].send(b'x')
    assert loop.run_until_complete(loop.sock_recv(pair[0], 1)) == b'x'
    assert raised(loop.sock_recv, pair[0])[0] is TypeError

    async def body():
        task = asyncio.ensure_future(loop.sock_recv(pair[0], 1))
        done, _ = await asyncio.wait([task], timeout=0)
        assert not done
        pair[1].send(b'y')
        assert await asyncio.wait_for(task, 10) == b'y'
        pair[1].send(b'z')
        got = await asyncio.gather(loop.sock_recv(pair[0], 1),
                                   loop.sock_sendall(pair[0], b'back'))
        assert got == [b'z', None]

    loop.run_until_complete(body())
