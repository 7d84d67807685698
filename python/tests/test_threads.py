# SPDX-License-Identifier: MIT
"""
Threads that hammer a loop, several loops at once, executors under load.
"""

import asyncio
import functools
import os
import socket
import sys
import threading

import echoes
import pytest
from two_loops import turns


@pytest.fixture(autouse=True)
def switches():
    """Threads take turns as often as the interpreter can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def all_run(targets):
    errors = []

    def guarded(target):
        try:
            target()
        except BaseException as exc:
            errors.append(exc)

    threads = [threading.Thread(target=guarded, args=(t,)) for t in targets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_hammering_call_soon_threadsafe(loop):
    count, threads = 3000, 4
    seen = []
    left = [threads]

    def ends():
        left[0] -= 1
        if not left[0]:
            loop.stop()

    def work(name):
        for number in range(count):
            handle = loop.call_soon_threadsafe(seen.append, (name, number))
            if number % 10 == 0:
                repr(handle)
        loop.call_soon_threadsafe(ends)

    workers = [threading.Thread(target=work, args=(n,))
               for n in range(threads)]
    for worker in workers:
        worker.start()
    loop.run_forever()
    for worker in workers:
        worker.join()
    assert len(seen) == count * threads
    for name in range(threads):
        assert [n for who, n in seen if who == name] == list(range(count))


def test_hammering_while_the_loop_works_and_sleeps(loop):
    over = threading.Event()
    seen = []

    def work():
        number = 0
        while not over.is_set():
            loop.call_soon_threadsafe(seen.append, number)
            number += 1
            if number % 50 == 0:
                over.wait(0.0005)

    async def body():
        await asyncio.sleep(0.02)
        await echoes.sockets(loop)
        await echoes.timers_and_tasks(loop)
        await asyncio.sleep(0.02)

    worker = threading.Thread(target=work)
    worker.start()
    loop.run_until_complete(body())
    over.set()
    worker.join()
    loop.run_until_complete(turns(2))
    assert seen == list(range(len(seen))) and seen


def test_no_wake_up_is_lost(loop):
    """Each round's thread posts once, at about the time the loop sleeps."""
    async def body():
        for _ in range(300):
            future = loop.create_future()
            await loop.run_in_executor(
                None, loop.call_soon_threadsafe, future.set_result, None)
            await future
        await loop.shutdown_default_executor()

    loop.run_until_complete(body())


def test_futures_of_threads(loop):
    async def add(a, b):
        await asyncio.sleep(0)
        return a + b

    results = []

    def work(name):
        for number in range(100):
            future = asyncio.run_coroutine_threadsafe(add(name, number), loop)
            results.append(future.result())
        loop.call_soon_threadsafe(ended)

    left = [3]

    def ended():
        left[0] -= 1
        if not left[0]:
            loop.stop()

    workers = [threading.Thread(target=work, args=(n * 1000,))
               for n in range(3)]
    for worker in workers:
        worker.start()
    loop.run_forever()
    for worker in workers:
        worker.join()
    assert sorted(results) == sorted(
        n * 1000 + m for n in range(3) for m in range(100))


@pytest.mark.parametrize('name', ['protocols', 'streams', 'sockets',
                                  'timers_and_tasks', 'tls', 'datagrams'])
def test_loops_in_several_threads(new_loop, name):
    def work():
        for _ in range(2):
            loop = new_loop.factory()
            try:
                loop.run_until_complete(echoes.ALL[name](loop))
            finally:
                loop.close()

    all_run([work] * 4)


def test_loops_are_made_and_closed_in_several_threads(new_loop):
    def work():
        for _ in range(30):
            loop = new_loop.factory()
            loop.call_soon_threadsafe(loop.stop)
            loop.run_forever()
            loop.close()

    all_run([work] * 4)


def test_two_loops_over_one_connection(new_loop):
    one, other = socket.socketpair()
    size = 1 << 21
    got = []

    def send():
        loop = new_loop.factory()
        one.setblocking(False)
        loop.run_until_complete(loop.sock_sendall(one, bytes(size)))
        one.close()
        loop.close()

    def receive():
        loop = new_loop.factory()

        async def body():
            reader, writer = await asyncio.open_connection(sock=other)
            got.append(len(await reader.read()))
            writer.close()
            await writer.wait_closed()

        loop.run_until_complete(body())
        loop.close()

    all_run([send, receive])
    assert got == [size]


def test_stop_from_another_thread(loop):
    for _ in range(50):
        worker = threading.Thread(
            target=loop.call_soon_threadsafe, args=(loop.stop,))
        worker.start()
        loop.run_forever()
        worker.join()


def test_python_threads_run_while_the_loop_is_busy(loop):
    """Even callbacks in C that never sleep let go of the interpreter."""
    begun = threading.Event()
    again = functools.partial(int)
    again.__setstate__((loop.call_soon, (again,), {}, {}))

    def work():
        begun.wait()
        for _ in range(100000):  # more than one turn of ours
            pass
        loop.call_soon_threadsafe(loop.stop)

    worker = threading.Thread(target=work)
    worker.start()
    loop.call_soon(begun.set)
    loop.call_soon(again)
    loop.run_forever()
    worker.join()


def test_a_fork_while_threads_post(new_loop, noise):
    loop = new_loop()
    over = threading.Event()

    def work():
        while not over.is_set():
            loop.call_soon_threadsafe(int)

    worker = threading.Thread(target=work)
    worker.start()

    async def body():
        await asyncio.sleep(0.005)
        pid = os.fork()
        if pid == 0:
            os._exit(7)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    assert loop.run_until_complete(body()) == 7
    over.set()
    worker.join()
    noise.warned()  # Python's, about threads and fork
