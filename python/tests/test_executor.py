# SPDX-License-Identifier: MIT
"""
run_in_executor with threads and processes, and how executors are shut down.
"""

import asyncio
import concurrent.futures
import multiprocessing
import os
import socket
import sys
import threading
import time

import pytest
from two_loops import Elapsed, araised, raised, since


def multiply(*args):
    result = 1
    for arg in args:
        result *= arg
    return result


async def test_the_default_executor_has_threads(loop):
    assert await loop.run_in_executor(None, multiply, 2, 3, 7) == 42
    name = await loop.run_in_executor(
        None, lambda: threading.current_thread().name)
    assert name.startswith('asyncio_')
    await loop.shutdown_default_executor()


async def test_exceptions_come_back(loop):
    def fail():
        raise KeyError('there')

    assert await araised(loop.run_in_executor(None, fail)) == (
        KeyError, "'there'")
    await loop.shutdown_default_executor()


async def test_what_is_returned_is_a_future_of_the_loop(loop):
    future = loop.run_in_executor(None, multiply)
    assert isinstance(future, asyncio.Future)
    assert future.get_loop() is loop
    assert await future == 1
    await loop.shutdown_default_executor()


async def test_an_executor_may_be_given(loop):
    with concurrent.futures.ThreadPoolExecutor(
            1, thread_name_prefix='mine') as pool:
        name = await loop.run_in_executor(
            pool, lambda: threading.current_thread().name)
    assert name.startswith('mine')


@pytest.mark.filterwarnings('ignore')
async def test_an_executor_of_processes(loop):
    context = multiprocessing.get_context('fork')
    with concurrent.futures.ProcessPoolExecutor(
            1, mp_context=context) as pool:
        assert await loop.run_in_executor(pool, multiply, 6, 7) == 42
        assert await loop.run_in_executor(pool, os.getpid) != os.getpid()


async def test_any_object_with_submit_is_an_executor(loop):
    class Mine:
        def submit(self, function, *args):
            future = concurrent.futures.Future()
            future.set_result(function(*args))
            return future

    assert await loop.run_in_executor(Mine(), multiply, 5) == 5


async def test_many_jobs_keep_their_results_apart(loop):
    results = await asyncio.gather(*(
        loop.run_in_executor(None, multiply, n, n) for n in range(200)))
    assert results == [n * n for n in range(200)]
    await loop.shutdown_default_executor()


async def test_cancelling_a_job_that_waits_takes_it_back(loop):
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        go = threading.Event()
        first = loop.run_in_executor(pool, go.wait)
        second = loop.run_in_executor(pool, multiply)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        go.set()
        assert await first is True


async def test_cancelling_a_job_that_runs_leaves_it_running(loop):
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        started, go = threading.Event(), threading.Event()
        ended = []

        def job():
            started.set()
            go.wait()
            ended.append(1)

        future = loop.run_in_executor(pool, job)
        started.wait()
        future.cancel()
        with pytest.raises(asyncio.CancelledError):
            await future
        assert ended == []
        go.set()
    assert ended == [1]


async def test_the_default_executor_may_be_replaced(loop):
    pool = concurrent.futures.ThreadPoolExecutor(
        1, thread_name_prefix='replaced')
    loop.set_default_executor(pool)
    name = await loop.run_in_executor(
        None, lambda: threading.current_thread().name)
    assert name.startswith('replaced')
    await loop.shutdown_default_executor()
    assert raised(pool.submit, multiply)[0] is RuntimeError


@pytest.mark.parametrize('wrong', [None, 5, object()])
def test_the_default_executor_must_have_threads(loop, wrong):
    assert raised(loop.set_default_executor, wrong) == (
        TypeError, 'executor must be ThreadPoolExecutor instance')


async def test_after_the_shutdown_the_default_executor_is_refused(loop):
    await loop.shutdown_default_executor()
    await loop.shutdown_default_executor()
    assert raised(loop.run_in_executor, None, multiply) == (
        RuntimeError, 'Executor shutdown has been called')
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        assert await loop.run_in_executor(pool, multiply, 3) == 3


async def test_the_shutdown_waits_for_the_jobs(loop):
    ended = []

    def job():
        time.sleep(0.02)
        ended.append(1)

    loop.run_in_executor(None, job)
    await loop.shutdown_default_executor()
    assert ended == [1]


@since[(3, 13)]
async def test_the_shutdown_gives_up_after_its_timeout(loop, noise):
    go = threading.Event()
    future = loop.run_in_executor(None, go.wait)
    with Elapsed() as elapsed:
        await loop.shutdown_default_executor(timeout=0.02)
    assert 0.02 <= elapsed.seconds < 5
    assert noise.warnings() == [(
        RuntimeWarning, 'The executor did not finishing joining its threads '
        'within 0.02 seconds.')]
    go.set()
    await future


def test_closing_the_loop_does_not_wait_for_jobs(new_loop):
    loop = new_loop()
    go = threading.Event()

    async def body():
        loop.run_in_executor(None, go.wait)

    loop.run_until_complete(body())
    with Elapsed() as elapsed:
        loop.close()
    assert elapsed.seconds < 5
    go.set()


def test_a_job_that_ends_after_the_loop_is_closed_is_dropped(new_loop):
    loop = new_loop()
    go, ended = threading.Event(), threading.Event()

    def job():
        go.wait()
        ended.set()

    async def body():
        loop.run_in_executor(None, job)

    loop.run_until_complete(body())
    loop.close()
    go.set()
    assert ended.wait(5)


async def test_to_thread_keeps_the_context(loop):
    import contextvars
    variable = contextvars.ContextVar('variable')
    variable.set('there')
    assert await asyncio.to_thread(variable.get) == 'there'
    await loop.shutdown_default_executor()


async def test_getaddrinfo_and_getnameinfo(loop):
    found = await loop.getaddrinfo('127.0.0.1', 80, type=socket.SOCK_STREAM)
    assert found == socket.getaddrinfo('127.0.0.1', 80,
                                       type=socket.SOCK_STREAM)
    name = await loop.getnameinfo(
        ('127.0.0.1', 80), socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)
    assert name == ('127.0.0.1', '80')
    kind, _ = await araised(loop.getaddrinfo(
        'not an address', 80, flags=socket.AI_NUMERICHOST))
    assert kind is socket.gaierror
    await loop.shutdown_default_executor()


def test_a_process_ends_although_its_loop_is_not_closed(new_loop):
    import subprocess
    if new_loop.name not in ('asyncio', 'rota'):
        pytest.skip('the factory is not known by name')
    code = ('import asyncio, {0} as m\n'
            'loop = m.new_event_loop()\n'
            'async def body():\n'
            '    return await loop.run_in_executor(None, int, "42")\n'
            'print(loop.run_until_complete(body()))\n').format(new_loop.name)
    ran = subprocess.run([sys.executable, '-W', 'ignore', '-c', code],
                         capture_output=True, text=True, timeout=15)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, '42\n', '')
