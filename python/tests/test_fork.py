# SPDX-License-Identifier: MIT
"""
Forks while a loop is there: the child may do anything with it, or make loops
of its own, and the parent's goes on as if nothing had been.

Where a child touches its parent's loop, asyncio's own disturbs the parent: it
is no oracle for that.
"""

import asyncio
import concurrent.futures
import gc
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback

import pytest
from two_loops import Written, before, connected, eventually, turns

NEW_LOOPS = 'asyncio', 'rota'


@pytest.fixture(autouse=True)
def threads_and_forks(noise):
    """Python 3.12 warns of a fork that leaves threads behind."""
    yield
    left = [text for text in noise.warned() if 'multi-threaded' not in text]
    assert left == []


@pytest.fixture
def rota_only(new_loop):
    if new_loop.name == 'asyncio':
        pytest.skip("asyncio's child disturbs its parent")


def forked(function, *args):
    """The exit code of a child that runs the function and no clean-up."""
    pid = os.fork()
    if pid == 0:
        run_and_leave(function, args)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def run_and_leave(function, args):
    code = 1
    try:
        function(*args)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


async def echo(transport, protocol, peer):
    """Both directions of a connection work."""
    size = len(protocol.data)
    peer.send(b'ping')
    assert (await protocol.received(size + 4))[size:] == b'ping'
    transport.write(b'pong')
    await turns(2)
    assert peer.recv(100) == b'pong'


def use_new_loop(factory):
    async def body():
        loop = asyncio.get_running_loop()
        async with connected(loop) as connection:
            await echo(*connection)
        await asyncio.sleep(0.001)
        process = await asyncio.create_subprocess_exec('true')
        assert await process.wait() == 0
        return await loop.run_in_executor(None, int, '42')

    for _ in range(2):
        with asyncio.Runner(loop_factory=factory) as runner:
            assert runner.run(body()) == 42


# The child has loops of its own


def test_a_child_of_a_loop_that_stands(new_loop):
    loop = new_loop()
    loop.run_until_complete(asyncio.sleep(0))
    assert forked(use_new_loop, new_loop.factory) == 0
    assert loop.run_until_complete(asyncio.sleep(0.001, 7)) == 7


async def test_a_child_of_a_loop_that_runs(loop, new_loop):
    async with connected(loop) as connection:
        await echo(*connection)
        assert forked(use_new_loop, new_loop.factory) == 0
        await echo(*connection)


async def test_a_child_of_another_thread(loop, new_loop):
    async with connected(loop) as connection:
        code = await loop.run_in_executor(
            None, forked, use_new_loop, new_loop.factory)
        assert code == 0
        await echo(*connection)
    await loop.shutdown_default_executor()


def no_running_loop():
    assert asyncio._get_running_loop() is None
    with pytest.raises(RuntimeError):
        asyncio.get_running_loop()


async def test_no_loop_runs_in_a_child(loop):
    assert forked(no_running_loop) == 0
    assert asyncio.get_running_loop() is loop


# The child has to do with its parent's


def test_a_child_closes_its_parents_loop(new_loop, rota_only):
    loop = new_loop()
    one, other = socket.socketpair()
    seen = []
    with one, other:
        loop.add_reader(one, lambda: (seen.append(one.recv(10)), loop.stop()))
        loop.run_until_complete(asyncio.sleep(0))
        assert forked(loop.close) == 0
        other.send(b'here')
        loop.run_forever()
        loop.remove_reader(one)
    assert seen == [b'here']
    timer = threading.Timer(
        0.01, loop.call_soon_threadsafe, [loop.stop])
    timer.start()
    loop.run_forever()
    timer.join()


async def test_a_child_closes_its_parents_connections(loop, rota_only):
    def close_all(transports):
        for transport in transports:
            transport.close()

    async with connected(loop) as one, connected(loop, kind='unix') as two:
        reading, writing = os.pipe()
        pipe, received = await loop.connect_read_pipe(
            Written, open(reading, 'rb', 0))
        assert forked(close_all, [one[0], two[0], pipe]) == 0
        await echo(*one)
        await echo(*two)
        os.write(writing, b'bytes')
        assert await received.received(5) == b'bytes'
        os.close(writing)
        await received.lost


def test_a_child_drops_its_parents_loop(new_loop, rota_only, noise):
    code = f'''
import asyncio, gc, os, socket, sys, threading
import {'asyncio' if new_loop.name == 'asyncio' else 'rota'} as module
one, other = socket.socketpair()
def work():
    global loop
    loop = module.new_event_loop()
    loop.add_reader(one, lambda: (one.recv(10), loop.stop()))
    up.set()
    loop.run_forever()
    loop.close()
for _ in range(3):
    up = threading.Event()
    thread = threading.Thread(target=work)
    thread.start()
    up.wait()
    if os.fork() == 0:
        del loop
        gc.collect()
        sys.exit(0)
    assert os.wait()[1] == 0
    other.send(b'stop')
    thread.join()
print('over')
'''
    done = subprocess.run(
        [sys.executable, '-W', 'ignore::DeprecationWarning', '-c', code],
        capture_output=True, text=True, timeout=20)
    assert done.stdout == 'over\n'
    assert done.returncode == 0
    errors = [line for line in done.stderr.splitlines()
              if 'ResourceWarning' not in line and line[0] != ' ']
    assert errors == []


def test_a_child_goes_on_with_a_server(new_loop):
    """As a daemon does, which forks when all is ready."""
    loop = new_loop()

    async def answer(reader, writer):
        writer.write(await reader.readexactly(4))
        writer.close()

    server = loop.run_until_complete(
        asyncio.start_server(answer, '127.0.0.1', 0))
    address = server.sockets[0].getsockname()

    async def body():
        for _ in range(3):
            reader, writer = await asyncio.open_connection(*address)
            writer.write(b'ping')
            assert await reader.read() == b'ping'
            writer.close()

    assert forked(lambda: loop.run_until_complete(body())) == 0
    server.close()
    loop.run_until_complete(turns(3))


def test_parent_and_child_both_go_on(new_loop, rota_only):
    loop = new_loop()
    pairs = [socket.socketpair(), socket.socketpair()]
    seen = []
    for number, (one, _) in enumerate(pairs):
        loop.add_reader(one, lambda *given: (
            seen.append(given[0].recv(10)), loop.stop()), one)
    loop.run_until_complete(asyncio.sleep(0))

    def in_child():
        timer = threading.Timer(
            0.01, loop.call_soon_threadsafe, [pairs[0][1].send, b'child'])
        timer.start()
        loop.run_forever()
        assert seen == [b'child']

    assert forked(in_child) == 0
    loop.call_soon(pairs[1][1].send, b'parent')
    loop.run_forever()
    assert seen == [b'parent']
    for pair in pairs:
        loop.remove_reader(pair[0])
        for sock in pair:
            sock.close()


@before[3, 14]  # whose tasks want asyncio to know of the running loop
def test_a_child_goes_on_in_the_middle_of_a_run(new_loop, rota_only):
    """asyncio says that no loop runs in the child then, but it does."""
    loop = new_loop()
    one, other = socket.socketpair()
    one.setblocking(False)

    async def talk():
        with concurrent.futures.ThreadPoolExecutor() as pool:
            await loop.run_in_executor(pool, time.sleep, 0.001)
            sent = loop.run_in_executor(pool, other.send, b'hello')
            assert await loop.sock_recv(one, 10) == b'hello'
            assert await sent == 5

    async def body():
        await talk()
        pid = os.fork()
        if pid == 0:
            try:
                await talk()
                os._exit(0)
            finally:
                traceback.print_exc()
                os._exit(1)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        await talk()
        return code

    with one, other:
        assert loop.run_until_complete(body()) == 0


def test_many_generations(new_loop):
    def generation(left):
        with asyncio.Runner(loop_factory=new_loop.factory) as runner:
            runner.run(asyncio.sleep(0))
            if left:
                assert forked(generation, left - 1) == 0
            runner.run(asyncio.sleep(0.001))

    generation(4)


async def test_a_child_does_not_end_its_parents_children(loop, rota_only):
    def collect():
        nonlocal process
        process = None
        gc.collect()

    process = await asyncio.create_subprocess_exec(
        'cat', stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert forked(collect) == 0
    process.stdin.write(b'alive')
    process.stdin.write_eof()
    assert await process.stdout.read() == b'alive'
    assert await process.wait() == 0


# Signals


def test_signals_of_a_child_are_not_its_parents(new_loop, rota_only):
    loop = new_loop()
    seen = []

    def in_child():
        os.kill(os.getpid(), signal.SIGUSR1)

    async def body():
        loop.add_signal_handler(signal.SIGUSR1, seen.append, 1)
        assert forked(in_child) == 0
        await asyncio.sleep(0.01)
        assert seen == []
        os.kill(os.getpid(), signal.SIGUSR1)
        await eventually(lambda: seen)
        loop.remove_signal_handler(signal.SIGUSR1)

    loop.run_until_complete(body())
    assert seen == [1]


def test_a_child_has_signals_of_its_own(new_loop, rota_only):
    loop = new_loop()
    seen = []
    loop.add_signal_handler(signal.SIGUSR1, seen.append, 1)

    def in_child():
        async def body():
            os.kill(os.getpid(), signal.SIGUSR1)
            await eventually(lambda: seen)

        loop.run_until_complete(body())
        loop.close()
        assert signal.set_wakeup_fd(-1) == -1

    assert forked(in_child) == 0
    assert seen == []
    loop.remove_signal_handler(signal.SIGUSR1)


def test_anothers_wake_up_descriptor_stays(new_loop):
    loop = new_loop()
    loop.run_until_complete(asyncio.sleep(0))
    one, other = socket.socketpair()
    with one, other:
        one.setblocking(False)
        signal.set_wakeup_fd(one.fileno())

        def in_child():
            # asyncio's own hook drops it, since 3.12
            left = signal.set_wakeup_fd(-1)
            assert left in (-1, one.fileno())

        assert forked(in_child) == 0
        assert signal.set_wakeup_fd(-1) == one.fileno()


def test_a_loop_of_another_thread_stands_still_in_a_child(new_loop, rota_only):
    loop = new_loop()
    begun = threading.Event()

    def run():
        loop.call_soon(begun.set)
        loop.run_forever()

    def in_child():
        assert not loop.is_running()
        loop.call_soon(loop.stop)
        loop.run_forever()
        loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    begun.wait()
    assert loop.is_running()
    assert forked(in_child) == 0
    loop.call_soon_threadsafe(loop.stop)
    thread.join()


def test_one_loop_that_fails_in_a_child_leaves_the_others(
        new_loop, rota_only, monkeypatch):
    """Those behind it are separated from the parent's all the same."""
    module = sys.modules['rota._fork']
    done = []

    class Mine(type(new_loop())):
        def _flush(self):
            self._forked()

        def _forked(self):
            done.append(self)
            if self is loops[1]:
                raise OSError('this one')

    loops = [Mine() for _ in range(3)]
    monkeypatch.setattr(module, 'loops', loops)
    for step in (module._before, module._after_in_child):
        with pytest.raises(OSError, match='this one'):
            step()
    monkeypatch.undo()
    for loop in loops:
        loop.close()
    assert done == loops * 2


# multiprocessing


def run_in_process(name):
    import rota

    factory = asyncio.new_event_loop if name == 'asyncio' else rota.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(asyncio.sleep(0.001, os.getpid()))


@pytest.mark.parametrize('method', ['fork', 'spawn'])
async def test_processes_have_loops(loop, method):
    context = multiprocessing.get_context(method)
    process = context.Process(target=run_in_process, args=('rota',))
    process.start()
    await loop.run_in_executor(None, process.join)
    assert process.exitcode == 0
    process.close()
    await loop.shutdown_default_executor()
    if method == 'spawn':
        multiprocessing.resource_tracker._resource_tracker._stop()


@pytest.mark.parametrize('method', ['fork', 'spawn'])
async def test_a_pool_of_processes_with_loops(loop, method):
    context = multiprocessing.get_context(method)
    with concurrent.futures.ProcessPoolExecutor(2, context) as pool:
        pids = await asyncio.gather(*(
            loop.run_in_executor(pool, run_in_process, NEW_LOOPS[i % 2])
            for i in range(6)))
    assert os.getpid() not in pids
    if method == 'spawn':
        multiprocessing.resource_tracker._resource_tracker._stop()
