# SPDX-License-Identifier: MIT
"""
Loops in sub-interpreters: one after another, in a callback of the main
interpreter's loop, and, where interpreters have locks of their own, at once.

The code that runs there cannot ask for fixtures: it is a text, for each loop.
"""

import asyncio
import gc
import sys
import threading

import pytest
from two_loops import since, turns

if sys.version_info >= (3, 13):
    import _interpreters as interpreters

    def create():
        return interpreters.create()
else:
    import _xxsubinterpreters as interpreters

    def create():
        """One that may have threads."""
        return interpreters.create(isolated=False)

WORK = '''
import asyncio, os, signal
from {module} import new_event_loop

async def answer(reader, writer):
    writer.write(await reader.readline())
    writer.close()

async def body():
    loop = asyncio.get_running_loop()
    assert type(loop) is kind
    server = await asyncio.start_server(answer, '127.0.0.1', 0)
    for _ in range(3):
        address = server.sockets[0].getsockname()
        reader, writer = await asyncio.open_connection(*address)
        writer.write(b'hello\\n')
        assert await reader.read() == b'hello\\n'
        writer.close()
    server.close()
    await asyncio.gather(*(asyncio.sleep(i / 1e5) for i in range(100)))
    for i in range(500):
        await asyncio.sleep(0)
    reading, writing = os.pipe()
    pipe, protocol = await loop.connect_write_pipe(
        asyncio.BaseProtocol, open(writing, 'wb', 0))
    pipe.write(b'bytes')
    assert os.read(reading, 10) == b'bytes'
    pipe.close()
    os.close(reading)
    assert await loop.run_in_executor(None, int, '5') == 5
    try:
        loop.add_signal_handler(signal.SIGUSR1, print)
    except RuntimeError as exc:
        assert 'main thread' in str(exc), exc
    else:
        raise AssertionError('signals are the main interpreter\\'s')
    return 42

made = new_event_loop()
kind = type(made)
made.close()
for _ in range(2):
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        assert runner.run(body()) == 42
'''


def run_code(code):
    one = create()
    try:
        if hasattr(interpreters, 'exec'):
            failed = interpreters.exec(one, code)
            assert failed is None, failed.errdisplay
        else:
            interpreters.run_string(one, code)
    finally:
        interpreters.destroy(one)


@pytest.fixture
def work(new_loop):
    if new_loop.name not in ('asyncio', 'rota'):
        pytest.skip('the factory is not known by name')
    return WORK.replace('{module}', new_loop.name)


def test_one_after_another(work):
    for _ in range(3):
        run_code(work)


def test_beside_a_loop_that_stands(new_loop, work):
    loop = new_loop()
    loop.run_until_complete(asyncio.sleep(0))
    run_code(work)
    assert loop.run_until_complete(asyncio.sleep(0.001, 7)) == 7


@since[3, 12]  # before, asyncio knows one running loop a thread
async def test_in_a_callback_of_the_main_interpreter(loop, work):
    timer = loop.call_later(1000, print)
    run_code(work)
    await turns(3)
    timer.cancel()
    assert await loop.run_in_executor(None, run_code, work) is None
    await loop.shutdown_default_executor()


@since[3, 13]
@pytest.mark.parametrize('count', [2, 8])
def test_several_at_once(work, count):
    failed = []

    def run():
        try:
            run_code(work)
        except BaseException as exc:
            failed.append(exc)

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


@since[3, 14]
async def test_a_pool_of_interpreters(loop):
    from concurrent.futures import InterpreterPoolExecutor

    with InterpreterPoolExecutor(2) as pool:
        results = await asyncio.gather(*(
            loop.run_in_executor(pool, pow, 2, i) for i in range(10)))
    assert results == [2 ** i for i in range(10)]


@since[3, 14]
async def test_loops_in_a_pool_of_interpreters(loop, work):
    from concurrent.futures import InterpreterPoolExecutor

    with InterpreterPoolExecutor(2) as pool:
        await asyncio.gather(*(
            loop.run_in_executor(pool, exec, work, {}) for _ in range(4)))


LEAVE = '''
import {module} as module
loop = module.new_event_loop()
loop.call_later(1000, print, loop)
loop.call_soon(print, loop)
'''


def grown(code):
    """The blocks of memory that an interpreter leaves behind."""
    for _ in range(3):
        run_code(code)
    gc.collect()
    before = sys.getallocatedblocks()
    for _ in range(5):
        run_code(code)
    gc.collect()
    return (sys.getallocatedblocks() - before) / 5


def test_an_interpreter_that_leaves_its_loop(new_loop, work, noise):
    """It goes, and its module and its types with it: some 9,000 blocks."""
    code = LEAVE.replace('{module}', new_loop.name)
    nothing = grown(f'import {new_loop.name}')
    assert grown(code) < nothing + 500
    run_code(work)
