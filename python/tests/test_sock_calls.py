# SPDX-License-Identifier: MIT
"""
What sock_* give: coroutines, whoever drives them and however they end.
"""

import asyncio
import collections.abc
import gc
import inspect
import socket
import types
import weakref

import pytest
from two_loops import araised, narrow, raised, turns


@pytest.fixture
def pair():
    one, other = socket.socketpair()
    one.setblocking(False)
    other.setblocking(False)
    with one, other:
        yield one, other


def drive(coroutine, value=None):
    """What the coroutine returns, or what it waits for."""
    try:
        return 'waits', coroutine.send(value)
    except StopIteration as stop:
        return 'returned', stop.value


# The protocol


def test_they_are_coroutines(loop, pair):
    call = loop.sock_recv(pair[0], 10)
    assert asyncio.iscoroutine(call)
    assert inspect.isawaitable(call)
    assert isinstance(call, collections.abc.Coroutine)
    assert not asyncio.isfuture(call)
    assert call.__name__ == 'sock_recv'
    assert call.__qualname__.endswith('Loop.sock_recv')
    assert repr(call).startswith('<coroutine object ')
    assert 'Loop.sock_recv at 0x' in repr(call)
    assert call.cr_running is False
    call.close()


def test_nothing_happens_before_the_await(loop, pair):
    pair[1].send(b'x')
    call = loop.sock_recv(pair[0], 10)
    assert pair[0].recv(10) == b'x'
    call.close()


def test_one_that_need_not_wait_can_be_driven_by_hand(loop, pair):
    pair[1].send(b'x')
    assert drive(loop.sock_recv(pair[0], 10)) == ('returned', b'x')
    assert drive(loop.sock_sendall(pair[0], b'y')) == ('returned', None)
    pair[1].send(b'(tuple)')
    assert drive(loop.sock_recvfrom(pair[0], 10)) == (
        'returned', (b'(tuple)', None))


def test_one_that_waits_yields_a_future(loop, pair):
    call = loop.sock_recv(pair[0], 10)
    state, future = drive(call)
    assert state == 'waits' and asyncio.isfuture(future)
    assert future.get_loop() is loop
    assert future._asyncio_future_blocking
    call.close()


def test_a_closed_one_leaves_nothing(loop, pair):
    call = loop.sock_recv(pair[0], 10)
    call.close()
    call.close()
    assert raised(call.send, None) == (
        RuntimeError, 'cannot reuse already awaited coroutine')
    waiting = loop.sock_recv(pair[0], 10)
    drive(waiting)
    waiting.close()
    assert raised(waiting.send, None)[0] is RuntimeError


def test_what_is_thrown_comes_out(loop, pair):
    for waiting in False, True:
        call = loop.sock_recv(pair[0], 10)
        if waiting:
            drive(call)
        error = KeyError('mine')
        with pytest.raises(KeyError) as info:
            call.throw(error)
        assert info.value is error
        assert raised(call.send, None) == (
            RuntimeError, 'cannot reuse already awaited coroutine')
    call = loop.sock_recv(pair[0], 10)
    assert raised(call.throw, ZeroDivisionError)[0] is ZeroDivisionError
    call = loop.sock_recv(pair[0], 10)
    assert raised(call.throw, 5)[0] is TypeError
    call.close()


def test_the_first_value_must_be_none(loop, pair):
    call = loop.sock_recv(pair[0], 10)
    assert raised(call.send, 5) == (
        TypeError, "can't send non-None value to a just-started coroutine")
    call.close()


async def test_one_is_awaited_once(loop, pair):
    pair[1].send(b'xy')
    call = loop.sock_recv(pair[0], 1)
    assert await call == b'x'
    assert await araised(call) == (
        RuntimeError, 'cannot reuse already awaited coroutine')


async def test_two_cannot_await_the_same(loop, pair):
    call = loop.sock_recv(pair[0], 10)

    async def other():
        return await call

    first = loop.create_task(other())
    await turns(2)
    assert await araised(other()) == (
        RuntimeError, 'coroutine is being awaited already')
    pair[1].send(b'x')
    assert await first == b'x'


async def test_a_generator_may_await_it(loop, pair):
    @types.coroutine
    def old_style():
        return (yield from loop.sock_recv(pair[0], 10).__await__())

    async def awaits():
        return await old_style()

    task = loop.create_task(awaits())
    await turns(2)
    pair[1].send(b'x')
    assert await task == b'x'


async def test_resumed_too_early(loop, pair):
    call = loop.sock_recv(pair[0], 10)
    call.send(None)
    with pytest.raises((RuntimeError, asyncio.InvalidStateError)):
        call.send(None)
    pair[1].send(b'kept')
    assert await loop.sock_recv(pair[0], 10) == b'kept'


async def test_the_task_shows_it(loop, pair):
    task = loop.create_task(loop.sock_recv(pair[0], 10))
    await turns(2)
    assert 'sock_recv()' in repr(task)
    assert 'wait_for=<Future pending' in repr(task)
    task.print_stack()
    task.cancel()
    await asyncio.wait([task])


# Dropped


def test_one_that_is_never_awaited_warns(loop, pair, noise):
    loop.sock_recv(pair[0], 10)
    gc.collect()
    [(category, text)] = noise.warnings()
    assert category is RuntimeWarning
    assert 'Loop.sock_recv' in text and text.endswith('was never awaited')


def test_debug_mode_tells_where_it_was_made(new_loop, pair, noise):
    loop = new_loop(debug=True)

    async def body():
        loop.sock_recv(pair[0], 10)

    loop.run_until_complete(body())
    gc.collect()
    [text] = noise.warned()
    assert 'was never awaited\nCoroutine created at' in text
    assert __file__ in text


def test_wrong_arguments_warn_of_nothing(loop, pair):
    assert raised(loop.sock_recv)[0] is TypeError
    assert raised(loop.sock_recv, pair[0])[0] is TypeError
    assert raised(loop.sock_recv, pair[0], 1, 2)[0] is TypeError
    assert raised(loop.sock_recv, pair[0], 1, n=2)[0] is TypeError
    assert raised(loop.sock_recv, pair[0], m=2)[0] is TypeError


async def test_arguments_by_name(loop, pair):
    pair[1].send(b'xy')
    assert await loop.sock_recv(sock=pair[0], n=1) == b'x'
    buffer = bytearray(1)
    assert await loop.sock_recv_into(pair[0], buf=buffer) == 1
    await loop.sock_sendall(data=b'z', sock=pair[0])
    assert await loop.sock_recvfrom(pair[1], bufsize=5) == (b'z', None)


# Other sockets


class Counting(socket.socket):
    """Its methods are called, with what a program would see."""

    def __init__(self, *args, **named):
        super().__init__(*args, **named)
        self.calls = []

    def recv(self, *args):
        self.calls.append(('recv', args))
        return super().recv(*args)

    def send(self, *args):
        self.calls.append(('send', args))
        return super().send(*args)


async def test_a_subclass_has_its_own_methods_called(loop, pair):
    sock = Counting(fileno=pair[0].detach())
    with sock:
        sock.setblocking(False)
        task = loop.create_task(loop.sock_recv(sock, 10))
        await turns(2)
        pair[1].send(b'x')
        assert await task == b'x'
        await loop.sock_sendall(sock, b'y')
        assert sock.calls == [('recv', (10,))] * 2 + [('send', (b'y',))]
        narrow(sock, pair[1])
        task = loop.create_task(loop.sock_sendall(sock, bytes(100_000)))
        size = 0
        while size < 100_001:
            size += len(await loop.sock_recv(pair[1], 5000))
        await task


class Failing:
    """Something that acts as a socket, and always fails."""

    def __init__(self, error, fd=-1):
        self.error = error
        self.fd = fd

    def fileno(self):
        return self.fd

    def gettimeout(self):
        return 0

    def recv(self, size):
        raise self.error

    send = recv


async def test_what_a_strange_socket_raises_comes_out(loop, pair):
    for error in KeyError('mine'), OSError(5, 'five'):
        call = loop.sock_recv(Failing(error), 1)
        assert await araised(call) == (type(error), str(error))
    with pytest.raises((AttributeError, TypeError)):
        await loop.sock_recv(None, 1)


async def test_what_a_strange_socket_raises_when_it_is_ready(loop, pair):
    sock = Failing(BlockingIOError(), pair[0].fileno())
    for call in loop.sock_recv(sock, 1), loop.sock_sendall(sock, b'x'):
        sock.error = BlockingIOError()
        task = loop.create_task(call)
        await turns(1)
        sock.error = KeyError('mine')
        pair[1].send(b'x')
        assert await araised(task) == (KeyError, "'mine'")


def test_debug_mode_wants_them_non_blocking(new_loop, pair):
    loop = new_loop(debug=True)
    pair[0].setblocking(True)

    async def body():
        for call in (loop.sock_recv(pair[0], 1),
                     loop.sock_recv_into(pair[0], bytearray(1)),
                     loop.sock_recvfrom(pair[0], 1),
                     loop.sock_recvfrom_into(pair[0], bytearray(1)),
                     loop.sock_sendall(pair[0], b'x'),
                     loop.sock_sendto(pair[0], b'x', ('127.0.0.1', 1)),
                     loop.sock_accept(pair[0]),
                     loop.sock_connect(pair[0], '/')):
            assert await araised(call) == (
                ValueError, 'the socket must be non-blocking')
        pair[0].setblocking(False)
        pair[1].send(b'x')
        assert await loop.sock_recv(pair[0], 1) == b'x'

    loop.run_until_complete(body())


def test_a_closed_loop_cannot_wait(new_loop, pair):
    loop = new_loop()
    loop.close()
    call = loop.sock_recv(pair[0], 1)
    assert raised(call.send, None) == (RuntimeError, 'Event loop is closed')


# Sending


async def test_many_pieces_and_a_slow_reader(loop, pair):
    narrow(*pair)
    data = bytes(range(256)) * 2000
    task = loop.create_task(loop.sock_sendall(pair[0], memoryview(data)))
    got = bytearray()
    while len(got) < len(data):
        got += await loop.sock_recv(pair[1], 3000)
    await task
    assert got == data


async def test_a_peer_that_closes_in_the_middle(loop, pair):
    narrow(*pair)
    task = loop.create_task(loop.sock_sendall(pair[0], bytes(1 << 20)))
    await turns(3)
    pair[1].close()
    assert (await araised(task))[0] in (BrokenPipeError, ConnectionResetError)


async def test_the_data_is_held_while_it_is_sent(loop, pair):
    narrow(*pair)
    data = bytearray(1 << 20)
    task = loop.create_task(loop.sock_sendall(pair[0], data))
    await turns(3)
    assert raised(data.append, 1)[0] is BufferError
    task.cancel()
    await asyncio.wait([task])
    del task
    gc.collect()
    data.append(1)


async def test_cancelled_in_the_turn_in_which_there_is_room(loop, pair):
    narrow(*pair)
    data = bytes(1 << 20)
    task = loop.create_task(loop.sock_sendall(pair[0], data))
    await turns(3)
    size = len(pair[1].recv(1 << 20))
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    await turns(5)
    pair[0].close()
    while part := pair[1].recv(1 << 20):
        size += len(part)
    assert size < len(data)


async def test_a_cycle_through_the_future_is_collected(loop, pair):
    class Holder:
        pass

    holder = Holder()
    ref = weakref.ref(holder)
    buffer = bytearray(5)
    call = loop.sock_recv_into(pair[0], buffer)
    holder.future = call.send(None)
    holder.call = call
    holder.future.add_done_callback(lambda future, kept=holder: None)
    loop.remove_reader(pair[0])
    del holder, call
    gc.collect()
    assert ref() is None
