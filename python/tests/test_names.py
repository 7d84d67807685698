# SPDX-License-Identifier: MIT
"""
getaddrinfo: the answers and errors are socket.getaddrinfo()'s, whoever gives
them.
"""

import asyncio
import itertools
import socket
import sys

import pytest
from two_loops import araised, turns

HOSTS = [
    '127.0.0.1', b'127.0.0.1', '::1', b'::1', '0.0.0.0', '::', None,
    '::ffff:1.2.3.4', 'fe80::1', 'fe80::1%lo', '255.255.255.255',
]
HINTS = [
    {}, {'family': socket.AF_INET}, {'family': socket.AF_INET6},
    {'family': socket.AF_INET6, 'flags': socket.AI_V4MAPPED},
    {'type': socket.SOCK_STREAM}, {'type': socket.SOCK_DGRAM},
    {'type': socket.SOCK_RAW}, {'proto': socket.IPPROTO_TCP},
    {'type': socket.SOCK_STREAM, 'proto': socket.IPPROTO_UDP},
    {'flags': socket.AI_PASSIVE}, {'flags': socket.AI_CANONNAME},
    {'flags': socket.AI_NUMERICSERV | socket.AI_NUMERICHOST},
]
ODD = [
    (('1.2.3', 1), {}), (('0x7f.1', 1), {}),
    (('256.0.0.1', 1), {'flags': socket.AI_NUMERICHOST}),
    (('', 1), {'flags': socket.AI_NUMERICHOST}),
    (('a' * 64, 1), {'flags': socket.AI_NUMERICHOST}),
    (('127.0.0.1\0', 1), {'flags': socket.AI_NUMERICHOST}),
    (('127.0.0.1', 'http'), {}), (('127.0.0.1', b'80'), {}),
    (('127.0.0.1', '80'), {}), (('127.0.0.1', ''), {}),
    (('127.0.0.1', 70000), {}), (('127.0.0.1', -1), {}),
    (('127.0.0.1', 1 << 70), {}), (('127.0.0.1', True), {}),
    (('127.0.0.1', 80.0), {}), (('127.0.0.1', 'no service'), {}),
    ((127, 80), {}), ((bytearray(b'127.0.0.1'), 80), {}),
    (('127.0.0.1', 80), {'family': 99}),
    (('127.0.0.1', 80), {'family': socket.AF_UNIX}),
    (('127.0.0.1', 80), {'type': 99}), (('127.0.0.1', 80), {'proto': 99}),
    (('127.0.0.1', 80), {'flags': 1 << 20}),
    (('127.0.0.1', 80), {'flags': 1 << 40}),
    (('127.0.0.1', 80), {'family': -1}),
    (('127.0.0.1', 80), {'family': 'x'}),
    (('localhost', 80), {'type': socket.SOCK_STREAM}),
    (('localhost', None), {'flags': socket.AI_CANONNAME}),
    ((None, None), {}),
]


def expected(args, named):
    """The answer, with the classes of its numbers; or the exception."""
    try:
        return repr(socket.getaddrinfo(*args, **named))
    except Exception as exc:
        return type(exc), exc.args


async def given(loop, args, named):
    try:
        return repr(await loop.getaddrinfo(*args, **named))
    except Exception as exc:
        return type(exc), exc.args


async def test_numeric_hosts(loop):
    for host, port, named in itertools.product(HOSTS, [80, 0, None], HINTS):
        asked = (host, port), named
        assert await given(loop, *asked) == expected(*asked), asked
    await loop.shutdown_default_executor()


@pytest.mark.parametrize('args, named', ODD, ids=range(len(ODD)))
async def test_odd_questions(loop, args, named):
    assert await given(loop, args, named) == expected(args, named)
    await loop.shutdown_default_executor()


async def test_arguments_by_name(loop):
    found = await loop.getaddrinfo(port=80, host='::1', type=1, flags=0)
    assert found == socket.getaddrinfo('::1', 80, type=1)
    await loop.shutdown_default_executor()


@pytest.mark.parametrize('args, named', [
    ((), {}), (('::1',), {}), (('::1', 1, 2), {}), (('::1', 1), {'x': 1}),
    (('::1', 1), {'port': 1}),
])
def test_arguments_that_make_no_sense(loop, args, named):
    with pytest.raises(TypeError, match='getaddrinfo'):
        loop.getaddrinfo(*args, **named)


async def test_it_is_a_coroutine(loop):
    asked = loop.getaddrinfo('127.0.0.1', 80)
    assert asyncio.iscoroutine(asked)
    assert await asyncio.wait_for(asked, 5)
    task = loop.create_task(loop.getaddrinfo('127.0.0.1', 80))
    assert not task.done()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await loop.shutdown_default_executor()


@pytest.mark.parametrize('host', ['127.0.0.1', 'localhost'])
async def test_a_function_in_its_place_is_asked(loop, monkeypatch, host):
    asked = []

    def getaddrinfo(*args):
        asked.append(args)
        return ['found']

    monkeypatch.setattr(socket, 'getaddrinfo', getaddrinfo)
    assert await loop.getaddrinfo(host, 80, type=1) == ['found']
    assert asked == [(host, 80, 0, 1, 0, 0)]
    await loop.shutdown_default_executor()


@pytest.mark.parametrize('host', ['127.0.0.1', 'localhost'])
async def test_an_overridden_run_in_executor_is_asked(loop, monkeypatch, host):
    asked = []

    def run_in_executor(executor, function, *args):
        asked.append((executor, function, *args))
        future = loop.create_future()
        future.set_result('found')
        return future

    monkeypatch.setattr(loop, 'run_in_executor', run_in_executor)
    assert await loop.getaddrinfo(host, 80, proto=6) == 'found'
    assert asked == [(None, socket.getaddrinfo, host, 80, 0, 0, 6, 0)]


@pytest.mark.parametrize('host', ['127.0.0.1', 'localhost'])
async def test_not_after_the_executor_was_shut_down(loop, host):
    await loop.shutdown_default_executor()
    assert await araised(loop.getaddrinfo(host, 80)) == (
        RuntimeError, 'Executor shutdown has been called')


@pytest.mark.parametrize('host', ['127.0.0.1', 'localhost'])
def test_not_when_the_loop_is_closed(new_loop, host):
    loop = new_loop()
    loop.close()
    asked = loop.getaddrinfo(host, 80)
    with pytest.raises(RuntimeError, match='^Event loop is closed$'):
        asked.send(None)


async def test_debug_mode_tells_how_long_it_took(loop, noise):
    import logging
    loop.set_debug(True)
    await loop.getaddrinfo('127.0.0.1', 80)
    assert any(text.startswith('Getting address info 127.0.0.1:80 took ')
               for text in noise.logged(logging.DEBUG))
    await loop.shutdown_default_executor()


async def test_auditors_hear_of_it(loop):
    heard = []

    def hook(event, args):
        if event == 'socket.getaddrinfo':
            heard.append(args)

    sys.addaudithook(hook)
    await loop.getaddrinfo('127.0.0.1', 80, type=1)
    assert heard == [('127.0.0.1', 80, 0, 1, 0)]
    await loop.shutdown_default_executor()


@pytest.mark.parametrize('host', ['127.0.0.1', 'localhost'])
@pytest.mark.parametrize('count', range(4))
async def test_cancelled(loop, host, count):
    task = loop.create_task(loop.getaddrinfo(host, 80))
    await turns(count)
    task.cancel()
    try:
        assert await task == socket.getaddrinfo(host, 80)
    except asyncio.CancelledError:
        pass
    await loop.shutdown_default_executor()


async def test_an_executor_of_the_applications_own_is_asked(loop):
    from concurrent.futures import ThreadPoolExecutor
    asked = []

    class Executor(ThreadPoolExecutor):
        def submit(self, function, /, *args):
            asked.append((function, *args))
            return super().submit(function, *args)

    loop.set_default_executor(Executor(1))
    assert await loop.getaddrinfo('localhost', 80, type=1) == (
        socket.getaddrinfo('localhost', 80, type=1))
    assert asked == [(socket.getaddrinfo, 'localhost', 80, 0, 1, 0, 0)]
    await loop.shutdown_default_executor()


async def test_the_executor_is_the_loops_own(loop):
    """Names and other calls share its threads, and end with it."""
    import threading
    release = threading.Event()
    found = await loop.getaddrinfo('localhost', 80)
    assert found == socket.getaddrinfo('localhost', 80)
    executor = loop._default_executor
    assert (await loop.run_in_executor(
        None, lambda: threading.current_thread().name)).startswith('asyncio')
    assert loop._default_executor is executor
    busy = [loop.run_in_executor(None, release.wait)
            for _ in range(executor._max_workers)]
    waiting = loop.create_task(loop.getaddrinfo('localhost', 80))
    given_up = loop.create_task(loop.getaddrinfo('localhost', 81))
    await turns(3)
    given_up.cancel()
    with pytest.raises(asyncio.CancelledError):
        await given_up
    assert not waiting.done()
    release.set()
    await asyncio.gather(*busy)
    assert await waiting == found
    await loop.shutdown_default_executor()


def test_the_loop_is_closed_meanwhile(new_loop):
    loop = new_loop()
    task = loop.create_task(loop.getaddrinfo('localhost', 80))
    loop.run_until_complete(asyncio.sleep(0))
    executor = loop._default_executor
    task.cancel()
    loop.run_until_complete(asyncio.wait([task]))
    loop.close()
    executor.shutdown()


async def test_many_names_at_once(loop):
    found = await asyncio.gather(*(
        loop.getaddrinfo('localhost', port) for port in range(200)))
    assert [sorted({info[4][1] for info in infos}) for infos in found] == [
        [port] for port in range(200)]
    await loop.shutdown_default_executor()
