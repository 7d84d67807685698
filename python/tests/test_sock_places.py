# SPDX-License-Identifier: MIT
"""
sock_* on descriptors that change hands: a socket that was waited for is closed
and its number used again, or somebody else wants to watch it.
"""

import asyncio
import gc
import os
import random
import socket

import pytest
from two_loops import Written, narrow, read_all, stream_pair, turns


@pytest.fixture(params=['unix', 'tcp'])
def pair(request):
    one, other = stream_pair(request.param)
    one.setblocking(False)
    other.setblocking(False)
    with one, other:
        yield one, other


async def waited(loop, sock, peer, data=b'x'):
    """Receives something that was not there at first."""
    task = loop.create_task(loop.sock_recv(sock, 100))
    await turns(2)
    peer.send(data)
    assert await asyncio.wait_for(task, 10) == data


# The same number again


async def test_a_number_that_is_used_again(loop):
    numbers = set()
    for _ in range(50):
        one, other = stream_pair()
        with one, other:
            one.setblocking(False)
            numbers.add(one.fileno())
            await waited(loop, one, other)
            await waited(loop, one, other)
    assert len(numbers) < 50


async def test_a_number_that_goes_to_another_kind(loop):
    one, other = stream_pair()
    one.setblocking(False)
    await waited(loop, one, other)
    number = one.fileno()
    reading, writing = os.pipe()
    one.close()
    got = loop.create_future()
    try:
        os.dup2(reading, number)
        loop.add_reader(number, lambda: got.done() or got.set_result(
            os.read(number, 10)))
        os.write(writing, b'pipe')
        assert await asyncio.wait_for(got, 10) == b'pipe'
        assert loop.remove_reader(number)
    finally:
        other.close()
        for fd in reading, writing, number:
            os.close(fd)


async def test_a_number_that_goes_to_a_transport(loop):
    one, other = stream_pair()
    one.setblocking(False)
    await waited(loop, one, other)
    number = one.fileno()
    one.close()
    other.close()
    socks = stream_pair()
    while number not in [sock.fileno() for sock in socks]:
        socks += stream_pair()
    index = [sock.fileno() for sock in socks].index(number)
    peer = socks[index ^ 1]
    transport, protocol = await loop.create_connection(
        Written, sock=socks[index])
    peer.send(b'hello')
    assert await asyncio.wait_for(protocol.received(5), 10) == b'hello'
    transport.abort()
    for sock in socks:
        if sock is not socks[index]:
            sock.close()
    await turns(3)


async def test_a_number_that_goes_to_a_datagram_transport(loop):
    one, other = stream_pair()
    one.setblocking(False)
    await waited(loop, one, other)
    one.close()
    transport, _ = await loop.create_datagram_endpoint(
        asyncio.DatagramProtocol, local_addr=('127.0.0.1', 0))
    transport.close()
    other.close()
    await turns(3)


async def test_a_number_that_goes_to_a_child(loop):
    for _ in range(3):
        one, other = stream_pair()
        one.setblocking(False)
        await waited(loop, one, other)
        one.close()
        child = await asyncio.create_subprocess_exec(
            'cat', stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE)
        assert (await child.communicate(b'words'))[0] == b'words'
        other.close()


async def test_a_socket_object_for_the_same_number(loop, pair):
    await waited(loop, *pair)
    again = socket.socket(fileno=pair[0].detach())
    with again:
        again.setblocking(False)
        await waited(loop, again, pair[1])
        await waited(loop, again, pair[1])


async def test_a_copy_of_the_descriptor(loop, pair):
    await waited(loop, *pair)
    with pair[0].dup() as copy:
        copy.setblocking(False)
        pair[0].close()
        await waited(loop, copy, pair[1])
        await waited(loop, copy, pair[1])


async def test_a_socket_that_is_closed_while_somebody_waits(
        loop, new_loop, pair):
    if new_loop.name == 'asyncio':
        pytest.skip('asyncio waits for the new one in vain')
    task = loop.create_task(loop.sock_recv(pair[0], 10))
    await turns(2)
    pair[0].close()
    one, other = stream_pair()
    with one, other:
        one.setblocking(False)
        other.setblocking(False)
        await waited(loop, one, other)
        await waited(loop, other, one)
    task.cancel()
    await asyncio.wait([task])


# Other ways to use it


async def test_a_reader_after_a_call(loop, pair):
    await waited(loop, *pair)
    got = []
    loop.add_reader(pair[0], lambda: got.append(pair[0].recv(10)))
    pair[1].send(b'reader')
    while not got:
        await asyncio.sleep(0)
    assert got == [b'reader']
    assert loop.remove_reader(pair[0])
    await waited(loop, *pair)


async def test_a_reader_beside_a_writing_call(loop, pair):
    narrow(*pair)
    await waited(loop, *pair)
    data = os.urandom(1 << 20)
    task = loop.create_task(loop.sock_sendall(pair[0], data))
    await turns(3)
    got = loop.create_future()
    loop.add_reader(pair[0], lambda: got.done() or got.set_result(
        pair[0].recv(10)))
    pair[1].send(b'answer')
    received = bytearray()
    while len(received) < len(data):
        received += await loop.sock_recv(pair[1], 1 << 16)
    await task
    assert received == data
    assert await got == b'answer'
    assert loop.remove_reader(pair[0])


async def test_a_writer_beside_a_reading_call(loop, pair):
    task = loop.create_task(loop.sock_recv(pair[0], 10))
    await turns(2)
    writable = loop.create_future()
    loop.add_writer(pair[0], lambda: writable.done() or writable.set_result(1))
    await writable
    assert loop.remove_writer(pair[0])
    pair[1].send(b'x')
    assert await asyncio.wait_for(task, 10) == b'x'


async def test_remove_reader_ends_the_wait(loop, pair):
    await waited(loop, *pair)
    task = loop.create_task(loop.sock_recv(pair[0], 10))
    await turns(2)
    assert loop.remove_reader(pair[0]) is True
    assert loop.remove_reader(pair[0]) is False
    pair[1].send(b'kept')
    await turns(5)
    assert not task.done()
    task.cancel()
    await asyncio.wait([task])
    assert await loop.sock_recv(pair[0], 10) == b'kept'


async def test_add_reader_takes_the_place_of_a_call(loop, pair):
    task = loop.create_task(loop.sock_recv(pair[0], 10))
    await turns(2)
    got = loop.create_future()
    loop.add_reader(pair[0], lambda: got.done() or got.set_result(
        pair[0].recv(10)))
    pair[1].send(b'x')
    assert await got == b'x'
    assert not task.done()
    task.cancel()
    await asyncio.wait([task])
    loop.remove_reader(pair[0])


async def test_a_call_takes_the_place_of_a_reader(loop, pair):
    called = []
    loop.add_reader(pair[0], called.append, 1)
    task = loop.create_task(loop.sock_recv(pair[0], 10))
    await turns(2)
    pair[1].send(b'x')
    assert await task == b'x'
    assert not called
    assert loop.remove_reader(pair[0]) is False


async def test_a_transport_for_a_socket_that_was_waited_for(loop, pair):
    await waited(loop, *pair)
    await waited(loop, *pair)
    transport, protocol = await loop.create_connection(Written, sock=pair[0])
    pair[1].send(b'for the protocol')
    assert await protocol.received(16) == b'for the protocol'
    transport.write(b'answer')
    assert await loop.sock_recv(pair[1], 10) == b'answer'
    transport.close()
    await protocol.lost
    await turns(2)


async def test_two_loops_in_turn(loop, new_loop, pair):
    await waited(loop, *pair)

    def in_another():
        second = new_loop()
        second.run_until_complete(waited(second, *pair))
        second.run_until_complete(waited(second, *pair))
        second.close()

    await loop.run_in_executor(None, in_another)
    await waited(loop, *pair)
    await loop.shutdown_default_executor()


# What is there is noticed


async def test_what_the_program_reads_itself_is_not_missed(loop, pair):
    await waited(loop, *pair)
    for number in range(20):
        pair[1].send(b'%d' % number)
        if number % 3 == 0:
            await asyncio.sleep(0.001)
            assert pair[0].recv(10) == b'%d' % number
        else:
            assert await asyncio.wait_for(
                loop.sock_recv(pair[0], 10), 10) == b'%d' % number


async def test_the_end_right_behind_the_last_bytes(loop):
    for kind in 'tcp', 'unix':
        for pause in False, True:
            one, other = stream_pair(kind)
            with one, other:
                one.setblocking(False)
                await waited(loop, one, other)
                task = loop.create_task(loop.sock_recv(one, 100))
                await turns(2)
                other.send(b'last')
                other.shutdown(socket.SHUT_WR)
                assert await task == b'last'
                if pause:
                    await asyncio.sleep(0.001)
                end = await asyncio.wait_for(loop.sock_recv(one, 100), 10)
                assert end == b''
                assert await loop.sock_recv(one, 100) == b''


async def test_a_reset_is_told(loop):
    one, other = stream_pair()
    with one:
        one.setblocking(False)
        await waited(loop, one, other)
        task = loop.create_task(loop.sock_recv(one, 100))
        await turns(2)
        other.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                         b'\1\0\0\0\0\0\0\0')
        other.close()
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(task, 10)


async def test_small_reads_of_much(loop, pair):
    await waited(loop, *pair)
    pair[1].send(bytes(range(200)))
    got = bytearray()
    while len(got) < 200:
        got += await asyncio.wait_for(loop.sock_recv(pair[0], 7), 10)
    assert got == bytes(range(200))
    await waited(loop, *pair)


async def test_datagrams_that_come_together(loop):
    with socket.socket(type=socket.SOCK_DGRAM) as one, \
            socket.socket(type=socket.SOCK_DGRAM) as other:
        one.bind(('127.0.0.1', 0))
        other.connect(one.getsockname())
        one.setblocking(False)
        for _ in range(20):
            task = loop.create_task(loop.sock_recvfrom(one, 100))
            await turns(2)
            for data in b'a', b'', b'c':
                other.send(data)
            got = [(await asyncio.wait_for(task, 10))[0]]
            got += [(await asyncio.wait_for(
                loop.sock_recv(one, 100), 10)) for _ in range(2)]
            assert got == [b'a', b'', b'c']


async def test_connections_that_come_together(loop):
    with socket.create_server(('127.0.0.1', 0)) as listener:
        listener.setblocking(False)
        for _ in range(5):
            task = loop.create_task(loop.sock_accept(listener))
            await turns(2)
            clients = [socket.create_connection(listener.getsockname())
                       for _ in range(3)]
            found = [await asyncio.wait_for(task, 10)]
            found += [await asyncio.wait_for(loop.sock_accept(listener), 10)
                      for _ in range(2)]
            assert [address for _, address in found] == [
                client.getsockname() for client in clients]
            for sock in [conn for conn, _ in found] + clients:
                sock.close()


# Nothing is lost, whoever is cancelled when


@pytest.mark.parametrize('seed', range(4))
async def test_cancelled_at_random_moments(loop, new_loop, pair, seed):
    if new_loop.name == 'asyncio':
        pytest.skip('asyncio loses what has come when it is cancelled')
    dice = random.Random(seed)
    narrow(*pair)
    data = dice.randbytes(300_000)

    async def send():
        at = 0
        while at < len(data):
            size = dice.randrange(1, 20_000)
            await loop.sock_sendall(pair[0], data[at:at + size])
            at += size
            if dice.random() < 0.3:
                await turns(dice.randrange(3))
        pair[0].shutdown(socket.SHUT_WR)

    async def receive():
        got = bytearray()
        while True:
            task = loop.create_task(
                loop.sock_recv(pair[1], dice.choice([1000, 65536, 100_000])))
            await turns(dice.randrange(4))
            if dice.random() < 0.4:
                task.cancel()
            try:
                part = await task
            except asyncio.CancelledError:
                continue
            if not part:
                return got
            got += part

    _, got = await asyncio.gather(send(), receive())
    assert got == data


async def test_nothing_is_left_after_many_calls(loop, pair):
    gc.collect()
    fds, objects = len(os.listdir('/proc/self/fd')), len(gc.get_objects())
    for number in range(10_000):
        task = loop.create_task(loop.sock_recv(pair[0], 10))
        if number % 3 == 0:
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
        else:
            await loop.sock_sendall(pair[1], b'x')
            await task
    del task
    gc.collect()
    assert len(gc.get_objects()) - objects < 200
    assert len(os.listdir('/proc/self/fd')) == fds


async def test_collected_at_every_allocation(loop, pair):
    narrow(*pair)
    data = os.urandom(50_000)
    before = gc.get_threshold()
    gc.set_threshold(1)
    try:
        await waited(loop, *pair)
        reading = loop.create_task(read_all(loop, pair[1]))
        await loop.sock_sendall(pair[0], data)
        for _ in range(10):
            task = loop.create_task(loop.sock_recv(pair[0], 10))
            await turns(2)
            task.cancel()
            await asyncio.wait([task])
        pair[0].shutdown(socket.SHUT_WR)
        assert await reading == data
    finally:
        gc.set_threshold(*before)
