# SPDX-License-Identifier: MIT
"""
How a loop hears of the end of its children: no thread, no watcher, nobody
else's child, and no zombie. What programs do with children is in
test_subprocesses.py.
"""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from two_loops import before, eventually, not_under_valgrind, turns

@pytest.fixture
def rota_only(new_loop):
    if new_loop.name == 'asyncio':
        pytest.skip('asyncio has threads, or another answer')


async def program(*args, **kwargs):
    return await asyncio.create_subprocess_exec(*args, **kwargs)


async def test_no_thread_waits_for_a_child(loop, rota_only):
    process = await program('cat', stdin=subprocess.PIPE)
    assert threading.active_count() == 1
    process.stdin.close()
    assert await process.wait() == 0


async def test_no_descriptor_or_zombie_is_left(loop):
    async def some():
        process = await program('true')
        assert await process.wait() == 0
        process = await program(
            'cat', stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert await process.communicate(b'bytes') == (b'bytes', None)

    await some()
    await turns(3)
    before = os.listdir('/proc/self/fd')
    for _ in range(20):
        await some()
    await turns(3)
    assert os.listdir('/proc/self/fd') == before
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


async def test_anothers_children_are_left_alone(loop):
    other = subprocess.Popen(['sh', '-c', 'exit 7'])
    third = os.spawnlp(os.P_NOWAIT, 'sh', 'sh', '-c', 'exit 8')
    for code in range(3):
        process = await program('sh', '-c', f'exit {code}')
        assert await process.wait() == code
    assert other.wait() == 7
    assert os.waitstatus_to_exitcode(os.waitpid(third, 0)[1]) == 8


async def test_the_end_of_many_at_once(loop):
    """They all end when the pipe is closed."""
    reading, writing = os.pipe()
    processes = [await program('sh', '-c', f'read x; exit {n}', stdin=reading)
                 for n in range(20)]
    waits = [asyncio.ensure_future(p.wait()) for p in processes]
    await turns(2)
    os.close(writing)
    assert await asyncio.gather(*waits) == list(range(20))
    os.close(reading)


def test_loops_in_threads_start_children_in_parallel(new_loop):
    results = []

    def work():
        loop = new_loop.factory()

        async def one(n):
            process = await program('sh', '-c', f'echo {n}; exit {n}',
                                    stdout=subprocess.PIPE)
            out, _ = await process.communicate()
            assert out == b'%d\n' % n
            return process.returncode

        async def body():
            for _ in range(3):
                results.append(await asyncio.gather(*map(one, range(5))))

        loop.run_until_complete(body())
        loop.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [list(range(5))] * 12


# Somebody else was faster


async def ends_when_told(code):
    """A child, and what makes it end while the loop does not run."""
    reading, writing = os.pipe()
    process = await program('sh', '-c', f'read x; exit {code}', stdin=reading)
    os.close(reading)
    return process, lambda: os.close(writing)


async def test_popen_has_looked_itself(loop, rota_only):
    process, end = await ends_when_told(3)
    end()
    popen = process._transport.get_extra_info('subprocess')
    assert popen.wait() == 3
    assert await process.wait() == 3


async def test_somebody_else_has_reaped_it(loop, rota_only, noise):
    process, end = await ends_when_told(3)
    end()
    os.waitpid(process.pid, 0)
    assert await process.wait() == 255
    assert noise.logged() == [f'Unknown child process pid {process.pid}, '
                              'will report returncode 255']


async def test_popen_knows_as_soon_as_the_loop(loop, rota_only):
    """Else it would take the process for one that is there to be killed."""
    process, end = await ends_when_told(3)
    popen = process._transport.get_extra_info('subprocess')
    seen = []
    callback = loop._child_watcher_callback
    loop._child_watcher_callback = lambda *args: (
        seen.append(popen.returncode), callback(*args))
    end()
    assert await process.wait() == 3
    del loop._child_watcher_callback
    assert seen == [3]


@not_under_valgrind
async def test_nobody_may_reap_it(loop, rota_only, noise):
    """The system does, where SIGCHLD is ignored, before or after the start."""
    handler = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        process = await program('sh', '-c', 'exit 3')
        assert await process.wait() in (0, 255)
    finally:
        signal.signal(signal.SIGCHLD, handler)
    noise.logged()


async def test_a_signal_for_one_that_has_ended(loop, new_loop, noise):
    process = await program('true')
    time.sleep(0.02)  # the loop has not heard of it yet
    process.send_signal(signal.SIGTERM)
    code = await process.wait()
    if new_loop.name == 'asyncio' and code == 255:
        noise.logged()  # Popen looked first, until Python 3.12
    else:
        assert code in (0, -signal.SIGTERM)
    try:
        process.kill()
    except ProcessLookupError:  # until Python 3.12
        pass


# The loop is closed


def test_a_child_may_outlive_the_loop(new_loop, rota_only, noise):
    """asyncio does not close the pidfd then (3.12 to 3.14)."""
    loop = new_loop()

    async def body():
        return await program('sleep', '1000')

    process = loop.run_until_complete(body())
    loop.close()
    os.kill(process.pid, 0)
    process._transport.close()
    popen = process._transport.get_extra_info('subprocess')
    with popen:
        pass
    eventually_no_threads()
    noise.logged()  # a thread of asyncio's (3.11): the loop is closed
    del process, popen


def eventually_no_threads():
    for thread in threading.enumerate():
        if thread is not threading.current_thread():
            thread.join(5)


LEAVES_A_CHILD = '''
import asyncio, gc, os, subprocess, sys, time
import {module} as module
async def body():
    process = await asyncio.create_subprocess_exec(
        'sleep', '1000', {kind})
    return process.pid
with asyncio.Runner(loop_factory=module.new_event_loop) as runner:
    pid = runner.run(body())
gc.collect()
time.sleep(0.05)
try:
    lives = os.waitpid(pid, os.WNOHANG)[0] == 0
except ChildProcessError:
    lives = False
print(lives)
if lives:
    os.kill(pid, 9)
'''


@pytest.mark.parametrize('kind', ['', 'stdout=subprocess.PIPE'])
def test_a_program_that_leaves_a_child(kind):
    """What becomes of the child when nobody has it any more is the version's."""
    both = [subprocess.run(
        [sys.executable, '-c', LEAVES_A_CHILD.format(module=name, kind=kind)],
        capture_output=True, text=True, timeout=20)
        for name in ('asyncio', 'rota')]
    on_asyncio, on_rota = both
    assert [done.returncode for done in both] == [0, 0]
    assert on_rota.stdout == on_asyncio.stdout in ('True\n', 'False\n')
    if sys.version_info < (3, 12):
        assert on_rota.stdout == 'True\n'
        assert on_rota.stderr == ''


# Watchers of asyncio's, until Python 3.13


@before[3, 14]
@pytest.mark.filterwarnings('ignore::DeprecationWarning')
@pytest.mark.parametrize('name', ['SafeChildWatcher', 'FastChildWatcher'])
def test_an_application_has_its_own_watcher(new_loop, name, noise):
    watcher = getattr(asyncio.unix_events, name)()
    heard = []
    add = watcher.add_child_handler
    watcher.add_child_handler = lambda pid, *args: (
        heard.append(pid), add(pid, *args))
    loop = new_loop()
    watcher.attach_loop(loop)
    asyncio.set_child_watcher(watcher)

    async def body():
        process = await program('sh', '-c', 'exit 3')
        assert await process.wait() == 3
        return process.pid

    try:
        assert [loop.run_until_complete(body())] == heard
    finally:
        asyncio.set_child_watcher(None)
    noise.warned()


@before[3, 14]
@pytest.mark.parametrize('make', [False, True])
def test_asyncios_own_watcher_is_not_needed(new_loop, rota_only, make, noise):
    """Whether or not the application has asked for the one that is there."""
    loop = new_loop()
    if make:
        asyncio.get_child_watcher()

    async def body():
        process = await program('cat', stdin=subprocess.PIPE)
        assert threading.active_count() == 1
        process.stdin.close()
        return await process.wait()

    try:
        assert loop.run_until_complete(body()) == 0
    finally:
        asyncio.get_event_loop_policy()._watcher = None
    noise.warned()


# Without pidfds


def test_children_by_sigchld(new_loop, rota_only, monkeypatch):
    monkeypatch.setenv('ROTA_CHILD_WATCHER', 'signal')
    loop = new_loop()

    async def one(code):
        process = await program('sh', '-c', f'exit {code}')
        return await process.wait()

    async def body():
        assert os.listdir('/proc/self/fd') == fds
        process = await program('cat', stdin=subprocess.PIPE)
        assert os.listdir('/proc/self/fd') != fds
        names = [os.readlink(f'/proc/self/fd/{fd}')
                 for fd in set(os.listdir('/proc/self/fd')) - set(fds)
                 if os.path.exists(f'/proc/self/fd/{fd}')]
        assert not any('pidfd' in name for name in names)
        process.stdin.close()
        assert await process.wait() == 0
        codes = await asyncio.gather(*map(one, range(10)))
        assert codes == list(range(10))

    loop.run_until_complete(turns(2))
    fds = os.listdir('/proc/self/fd')
    loop.run_until_complete(body())
    assert signal.getsignal(signal.SIGCHLD) == signal.SIG_DFL


@not_under_valgrind
async def test_a_handler_of_sigchld_beside_children(loop):
    seen = []
    loop.add_signal_handler(signal.SIGCHLD, seen.append, 1)
    process = await program('sh', '-c', 'exit 3')
    assert await process.wait() == 3
    await eventually(lambda: seen)
    loop.remove_signal_handler(signal.SIGCHLD)
