# SPDX-License-Identifier: MIT
"""
The ways to rota's loop from Python: rota.run, factories, the policy.

test_program.py is about `python3 -m rota`.
"""

import asyncio
import contextvars
import errno
import gc
import os
import resource
import signal
import subprocess
import sys
import threading
import unittest
import warnings

import pytest
import rota
from programs import ENVIRONMENT, SOURCE
from two_loops import raised

LAZY = contextvars.ContextVar('LAZY', default='not set')


async def running_loop():
    await asyncio.sleep(0)
    return asyncio.get_running_loop()


def test_run_returns_the_result_and_closes_its_loop():
    loop = rota.run(running_loop())
    assert type(loop) is rota.Loop
    assert loop.is_closed()
    assert rota.run(running_loop()) is not loop


def test_run_raises_what_the_coroutine_raises():
    async def bad():
        raise LookupError('bad')

    assert raised(rota.run, bad()) == (LookupError, 'bad')


def test_run_cancels_and_awaits_what_is_left():
    seen = []

    async def left():
        try:
            await asyncio.sleep(1000)
        finally:
            await asyncio.sleep(0)
            seen.append('ended')

    async def main():
        seen.append(asyncio.ensure_future(left()))
        await asyncio.sleep(0)

    rota.run(main())
    task, ended = seen
    assert task.cancelled() and ended == 'ended'


def test_run_ends_generators_and_executor():
    seen = []

    async def numbers():
        try:
            yield 1
        finally:
            seen.append('generator')

    async def main():
        seen.append(await asyncio.to_thread(threading.current_thread))
        async for _ in (generator := numbers()):
            seen.append(generator)
            break

    rota.run(main())
    assert not seen[0].is_alive()
    assert seen[2] == 'generator'


def test_run_knows_about_debug_mode():
    async def debug():
        return asyncio.get_running_loop().get_debug()

    assert rota.run(debug(), debug=True) is True
    assert rota.run(debug(), debug=False) is False
    assert rota.run(debug()) is False


def test_run_keeps_the_context_of_its_caller():
    async def main():
        LAZY.set(LAZY.get() + ' inside')
        return LAZY.get()

    LAZY.set('outside')
    assert rota.run(main()) == 'outside inside'
    assert LAZY.get() == 'outside'


def test_run_refuses_what_asyncio_run_refuses():
    async def main(run):
        coroutine = running_loop()
        try:
            return raised(run, coroutine)
        finally:
            coroutine.close()

    kind, text = rota.run(main(asyncio.run))
    assert kind is RuntimeError
    assert rota.run(main(rota.run)) == (kind, text.replace('asyncio', 'rota'))
    assert raised(rota.run, 5) == raised(asyncio.run, 5)


def test_run_leaves_the_current_loop_alone():
    with asyncio.Runner() as runner:
        current = runner.get_loop()
        rota.run(running_loop())
        assert asyncio.get_event_loop_policy().get_event_loop() is current


def test_run_turns_ctrl_c_into_a_cancellation():
    seen = []

    async def main():
        os.kill(os.getpid(), signal.SIGINT)
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            seen.append('cancelled')
            raise

    with pytest.raises(KeyboardInterrupt):
        rota.run(main())
    assert seen == ['cancelled']
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_run_in_another_thread():
    loops = []
    thread = threading.Thread(
        target=lambda: loops.append(rota.run(running_loop())))
    thread.start()
    thread.join()
    assert type(loops[0]) is rota.Loop


def test_a_runner_takes_the_factory():
    with asyncio.Runner(loop_factory=rota.new_event_loop) as runner:
        assert type(runner.get_loop()) is rota.Loop
        assert runner.run(running_loop()) is runner.get_loop()
    with asyncio.Runner(loop_factory=rota.Loop) as runner:
        assert type(runner.run(running_loop())) is rota.Loop


def test_a_loop_is_one_of_asyncio_s():
    loop = rota.new_event_loop()
    assert isinstance(loop, rota.Loop)
    assert isinstance(loop, asyncio.AbstractEventLoop)
    assert isinstance(loop, asyncio.BaseEventLoop)
    assert not loop.is_running() and not loop.is_closed()
    loop.close()
    assert loop.is_closed()


def test_without_descriptors_there_is_no_loop(noise):
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, before[1]))
    try:
        with pytest.raises(OSError) as info:
            rota.new_event_loop()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert info.value.errno == errno.EMFILE
    del info
    gc.collect()
    assert not noise.dropped()


def test_a_test_case_takes_the_policy(restored_policy):
    seen = []

    class Case(unittest.IsolatedAsyncioTestCase):
        async def test(self):
            seen.append(await running_loop())

    rota.install()
    result = unittest.TestResult()
    Case('test').run(result)
    assert result.wasSuccessful() and type(seen[0]) is rota.Loop


# Policies


@pytest.fixture
def restored_policy():
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', DeprecationWarning)
        yield
        asyncio.set_event_loop_policy(None)


def test_install_makes_asyncio_s_loops_rota_s(restored_policy):
    rota.install()
    assert type(asyncio.run(running_loop())) is rota.Loop
    with asyncio.Runner() as runner:
        assert type(runner.get_loop()) is rota.Loop
    loop = asyncio.new_event_loop()
    assert type(loop) is rota.Loop
    loop.close()


def test_a_policy_gives_each_thread_its_loop(restored_policy):
    seen = []

    def in_thread():
        seen.append(raised(policy.get_event_loop))
        policy.set_event_loop(other)
        seen.append(policy.get_event_loop())

    policy = rota.EventLoopPolicy()
    loop, other = policy.new_event_loop(), policy.new_event_loop()
    policy.set_event_loop(loop)
    thread = threading.Thread(target=in_thread, name='other')
    thread.start()
    thread.join()
    assert policy.get_event_loop() is loop
    (kind, text), current = seen
    assert kind is RuntimeError and 'other' in text
    assert current is other
    assert {type(loop), type(other)} == {rota.Loop}
    loop.close()
    other.close()


def test_a_policy_is_one_of_asyncio_s(restored_policy):
    policy = rota.EventLoopPolicy()
    assert isinstance(policy, asyncio.AbstractEventLoopPolicy)
    asyncio.set_event_loop_policy(policy)
    assert asyncio.get_event_loop_policy() is policy


def test_only_install_warns_and_only_where_python_does(noise, restored_policy):
    code = 'import rota; rota.EventLoopPolicy(); print("made"); rota.install()'
    done = subprocess.run(
        [sys.executable, '-W', 'error', '-c', code], env=ENVIRONMENT,
        capture_output=True, encoding='utf-8')
    assert done.stdout == 'made\n'
    if sys.version_info >= (3, 14):
        assert 'DeprecationWarning: rota.install() sets' in done.stderr
    else:
        assert done.stderr == ''


def test_the_version_is_the_project_s():
    text = (SOURCE / 'meson.build').read_text(encoding='utf-8')
    assert f"version: '{rota.__version__}'," in text
