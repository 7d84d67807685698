# SPDX-License-Identifier: MIT
"""
Signals: handlers on the loop, Python's own, Ctrl-C, the wake-up descriptor.
"""

import asyncio
import gc
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
from two_loops import raised, turns

USR1, USR2 = signal.SIGUSR1, signal.SIGUSR2


def send(signum):
    os.kill(os.getpid(), signum)


def run_for(loop, seconds):
    """So long, and the turns that a signal needs when all is late."""
    loop.run_until_complete(asyncio.sleep(seconds))
    loop.run_until_complete(turns(5))


@pytest.fixture(autouse=True)
def as_before():
    """A test leaves no handler and no wake-up descriptor behind."""
    signums = USR1, USR2, signal.SIGINT, signal.SIGTERM
    handlers = [signal.getsignal(s) for s in signums]
    yield
    assert [signal.getsignal(s) for s in signums] == handlers
    descriptor = signal.set_wakeup_fd(-1)
    assert descriptor == -1


def test_a_handler_is_called_with_its_arguments(new_loop):
    loop = new_loop()
    seen = []
    loop.add_signal_handler(USR1, lambda *args: (seen.append(args),
                                                 loop.stop()), 1, 'two')
    loop.call_soon(send, USR1)
    loop.run_forever()
    assert seen == [(1, 'two')]
    assert loop.remove_signal_handler(USR1) is True
    assert loop.remove_signal_handler(USR1) is False


def test_a_signal_wakes_a_sleeping_loop(new_loop):
    loop = new_loop()
    loop.add_signal_handler(USR1, loop.stop)
    timer = threading.Timer(0.02, send, [USR1])
    timer.start()
    loop.run_forever()
    timer.join()
    loop.close()


def test_a_signal_sent_before_the_run_is_not_lost(new_loop):
    loop = new_loop()
    seen = []
    loop.add_signal_handler(USR1, seen.append, 1)
    send(USR1)
    assert seen == []
    run_for(loop, 0.01)
    assert seen == [1]
    loop.close()


def test_the_last_handler_counts(new_loop):
    loop = new_loop()
    seen = []
    loop.add_signal_handler(USR1, seen.append, 'old')
    loop.add_signal_handler(USR1, seen.append, 'new')
    loop.call_soon(send, USR1)
    run_for(loop, 0.01)
    assert seen == ['new']
    loop.close()


def test_several_signals_have_handlers_of_their_own(new_loop):
    loop = new_loop()
    seen = []
    loop.add_signal_handler(USR1, seen.append, 1)
    loop.add_signal_handler(USR2, seen.append, 2)
    loop.call_soon(send, USR1)
    loop.call_soon(send, USR2)
    run_for(loop, 0.01)
    assert sorted(seen) == [1, 2]
    assert loop.remove_signal_handler(USR1)
    loop.call_soon(send, USR2)
    run_for(loop, 0.01)
    assert sorted(seen) == [1, 2, 2]
    loop.close()


def test_close_removes_the_handlers(new_loop):
    loop = new_loop()
    loop.add_signal_handler(USR1, print)
    loop.add_signal_handler(signal.SIGINT, print)
    assert signal.getsignal(USR1) is not signal.SIG_DFL
    loop.close()
    assert signal.getsignal(USR1) is signal.SIG_DFL
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_handler_may_remove_itself(new_loop):
    loop = new_loop()
    seen = []

    def handler():
        seen.append(loop.remove_signal_handler(USR1))

    loop.add_signal_handler(USR1, handler)
    loop.call_soon(send, USR1)
    run_for(loop, 0.01)
    assert seen == [True]


def test_a_handler_that_raises_is_reported(new_loop, noise):
    loop = new_loop()

    def handler():
        raise ValueError('in the handler')

    loop.add_signal_handler(USR1, handler)
    loop.call_soon(send, USR1)
    run_for(loop, 0.01)
    record, = noise.records()
    assert record.getMessage().startswith('Exception in callback ')
    assert str(record.exc_info[1]) == 'in the handler'
    loop.close()


def test_the_handler_runs_as_a_callback_in_its_context(new_loop):
    import contextvars
    variable = contextvars.ContextVar('variable', default=0)
    loop = new_loop()
    seen = []
    variable.set(5)
    loop.add_signal_handler(USR1, lambda: seen.append(
        (variable.get(), asyncio.get_running_loop())))
    variable.set(6)
    loop.call_soon(send, USR1)
    run_for(loop, 0.01)
    assert seen == [(5, loop)]
    loop.close()


def test_a_hundred_signals_of_different_numbers_are_all_seen(new_loop):
    loop = new_loop()
    seen = []
    numbers = range(signal.SIGRTMIN, signal.SIGRTMIN + 10)
    for number in numbers:
        loop.add_signal_handler(number, seen.append, number)
    for _ in range(10):
        for number in numbers:
            loop.call_soon(send, number)
    run_for(loop, 0.02)
    assert set(seen) == set(numbers)
    loop.close()


@pytest.mark.parametrize('signum', ['USR1', 1.5, None])
def test_the_number_must_be_an_integer(loop, signum):
    text = f'sig must be an int, not {signum!r}'
    assert raised(loop.add_signal_handler, signum, print) == (TypeError, text)
    assert raised(loop.remove_signal_handler, signum) == (TypeError, text)


@pytest.mark.parametrize('signum', [0, -1, 1000])
def test_the_number_must_be_valid(loop, signum):
    text = f'invalid signal number {signum}'
    assert raised(loop.add_signal_handler, signum, print) == (
        ValueError, text)
    assert raised(loop.remove_signal_handler, signum) == (ValueError, text)


@pytest.mark.parametrize('signum', [signal.SIGKILL, signal.SIGSTOP])
def test_what_cannot_be_caught_is_refused(loop, signum):
    assert raised(loop.add_signal_handler, signum, print) == (
        RuntimeError, f'sig {signum} cannot be caught')


def test_only_the_main_thread_has_signals(new_loop):
    seen = []

    def work():
        loop = new_loop()
        seen.append(raised(loop.add_signal_handler, USR1, print)[0])
        loop.close()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [RuntimeError]


def test_pythons_own_handlers_run_while_the_loop_sleeps(new_loop):
    loop = new_loop()
    seen = []
    before = signal.signal(USR1, lambda *args: (seen.append(args[0]),
                                                loop.stop()))
    try:
        timer = threading.Timer(0.02, send, [USR1])
        timer.start()
        keep = loop.call_later(0.5, print)  # asyncio wakes at stop() only
        loop.call_later(0.1, loop.stop)
        loop.run_forever()
        timer.join()
        keep.cancel()
    finally:
        signal.signal(USR1, before)
    assert seen == [USR1]


def test_pythons_own_handler_wakes_the_loop_by_call_soon_threadsafe(new_loop):
    loop = new_loop()
    before = signal.signal(
        USR1, lambda *args: loop.call_soon_threadsafe(loop.stop))
    try:
        timer = threading.Timer(0.02, send, [USR1])
        timer.start()
        loop.run_forever()
        timer.join()
    finally:
        signal.signal(USR1, before)


def test_an_exception_of_pythons_own_handler_leaves_the_run(new_loop):
    def handler(*args):
        raise KeyError('handler')

    loop = new_loop()
    before = signal.signal(USR1, handler)
    try:
        timer = threading.Timer(0.02, send, [USR1])
        timer.start()
        assert raised(loop.run_forever) == (KeyError, "'handler'")
        timer.join()
    finally:
        signal.signal(USR1, before)
    assert loop.run_until_complete(asyncio.sleep(0, 5)) == 5


def test_ctrl_c_interrupts_a_sleeping_run(new_loop):
    loop = new_loop()
    task = loop.create_task(asyncio.sleep(1000))
    timer = threading.Timer(0.02, send, [signal.SIGINT])
    timer.start()
    assert raised(loop.run_until_complete, task)[0] is KeyboardInterrupt
    timer.join()
    assert not loop.is_running()
    assert not task.done()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(task)


def test_ctrl_c_interrupts_a_loop_that_never_sleeps(new_loop):
    loop = new_loop()

    def busy():
        loop.call_soon(busy)

    busy()
    timer = threading.Timer(0.02, send, [signal.SIGINT])
    timer.start()
    assert raised(loop.run_forever)[0] is KeyboardInterrupt
    timer.join()


def test_ctrl_c_interrupts_an_idle_loop(new_loop):
    loop = new_loop()
    timer = threading.Timer(0.02, send, [signal.SIGINT])
    timer.start()
    assert raised(loop.run_forever)[0] is KeyboardInterrupt
    timer.join()


def test_ctrl_c_cancels_the_main_task_of_a_runner(new_loop):
    seen = []

    async def body():
        timer = threading.Timer(0.02, send, [signal.SIGINT])
        timer.start()
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            seen.append('cancelled')
            raise
        finally:
            timer.join()

    with asyncio.Runner(loop_factory=new_loop.factory) as runner:
        assert raised(runner.run, body())[0] is KeyboardInterrupt
    assert seen == ['cancelled']


def test_a_second_ctrl_c_ends_a_runner_at_once(new_loop):
    seen = []

    async def body():
        send(signal.SIGINT)
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            seen.append('cancelled')
            # In a callback: else it might come in the midst of this code.
            asyncio.get_running_loop().call_later(0.001, send, signal.SIGINT)
            await asyncio.sleep(1000)
        finally:
            seen.append('finally')

    with asyncio.Runner(loop_factory=new_loop.factory) as runner:
        assert raised(runner.run, body())[0] is KeyboardInterrupt
        assert seen == ['cancelled']
    assert seen == ['cancelled', 'finally']


def test_a_body_may_swallow_the_first_ctrl_c(new_loop):
    async def body():
        send(signal.SIGINT)
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            asyncio.current_task().uncancel()
        return 42

    with asyncio.Runner(loop_factory=new_loop.factory) as runner:
        assert runner.run(body()) == 42
        assert runner.run(asyncio.sleep(0, 43)) == 43


def test_a_handler_for_ctrl_c_replaces_the_interrupt(new_loop):
    loop = new_loop()
    seen = []
    loop.add_signal_handler(signal.SIGINT, seen.append, 'handled')
    loop.call_soon(send, signal.SIGINT)
    run_for(loop, 0.01)
    assert seen == ['handled']
    assert loop.remove_signal_handler(signal.SIGINT)
    loop.call_soon(send, signal.SIGINT)
    assert raised(loop.run_forever)[0] is KeyboardInterrupt


def test_system_calls_are_restarted(new_loop):
    loop = new_loop()
    seen = []
    loop.add_signal_handler(USR1, seen.append, 1)
    timer = threading.Timer(0.01, send, [USR1])
    timer.start()
    time.sleep(0.03)
    run_for(loop, 0.01)
    timer.join()
    assert seen == [1]
    loop.close()


def test_signals_interrupt_a_program_as_usual(new_loop):
    if new_loop.name not in ('asyncio', 'rota'):
        pytest.skip('the factory is not known by name')
    code = ('import asyncio, {0} as m\n'
            'async def body():\n'
            '    print("up", flush=True)\n'
            '    await asyncio.sleep(1000)\n'
            'with asyncio.Runner(loop_factory=m.new_event_loop) as runner:\n'
            '    runner.run(body())\n').format(new_loop.name)
    for signum in (signal.SIGINT, signal.SIGTERM):
        with subprocess.Popen([sys.executable, '-c', code], text=True,
                              stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE) as child:
            assert child.stdout.readline() == 'up\n'
            child.send_signal(signum)
            errors = child.stderr.read()
        assert child.returncode == -signum
        assert ('KeyboardInterrupt' in errors) == (signum == signal.SIGINT)


def test_a_dropped_loop_with_handlers_is_collected(new_loop, noise):
    loop = new_loop.factory()
    loop.add_signal_handler(USR1, print)
    del loop
    gc.collect()
    assert any(text.startswith('unclosed event loop')
               for text in noise.warned())
    if new_loop.name == 'asyncio':  # whose sockets may be collected first
        noise.dropped()
        signal.signal(USR1, signal.SIG_DFL)
        signal.set_wakeup_fd(-1)


# Python's wake-up descriptor


def test_a_signal_between_two_runs_is_heard_in_the_next(loop):
    seen = []
    loop.add_signal_handler(USR1, seen.append, 1)
    loop.run_until_complete(asyncio.sleep(0))
    send(USR1)
    run_for(loop, 0.001)
    assert seen == [1]
    loop.remove_signal_handler(USR1)


def test_a_wake_up_descriptor_that_is_set_in_a_run_stays(loop):
    one, other = socket.socketpair()

    async def body(descriptor):
        signal.set_wakeup_fd(descriptor)

    with one, other:
        one.setblocking(False)
        loop.run_until_complete(body(one.fileno()))
        loop.run_until_complete(asyncio.sleep(0))
        assert signal.set_wakeup_fd(-1) == one.fileno()
        loop.run_until_complete(body(-1))
        assert signal.set_wakeup_fd(-1) == -1


def test_a_wake_up_descriptor_is_closed_in_a_run(loop):
    async def body():
        one, other = socket.socketpair()
        with one, other:
            one.setblocking(False)
            signal.set_wakeup_fd(one.fileno())
            return one.fileno()

    descriptor = loop.run_until_complete(body())
    assert signal.set_wakeup_fd(-1) in (-1, descriptor)


def test_an_interruption_leaves_no_wake_up_descriptor(new_loop, monkeypatch):
    """As soon as it is set: closing the loop must not leave its number."""
    set_wakeup_fd = signal.set_wakeup_fd

    def interrupted(descriptor, **named):
        before = set_wakeup_fd(descriptor, **named)
        if descriptor != -1:
            signal.raise_signal(signal.SIGINT)
        return before

    loop = new_loop()
    main = loop.create_task(asyncio.sleep(0))
    monkeypatch.setattr(signal, 'set_wakeup_fd', interrupted)
    try:
        loop.run_until_complete(main)
    except KeyboardInterrupt:
        assert new_loop.name != 'asyncio'  # which leaves it alone
    monkeypatch.undo()
    assert set_wakeup_fd(-1) == -1
    loop.run_until_complete(main)
    assert sys.get_coroutine_origin_tracking_depth() == 0


def test_a_run_without_a_free_descriptor(new_loop):
    loop = new_loop(debug=True)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    main = loop.create_task(asyncio.sleep(0.001, 5))
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
    try:
        assert loop.run_until_complete(main) == 5
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert sys.get_coroutine_origin_tracking_depth() == 0
    assert signal.set_wakeup_fd(-1) == -1
    timer = threading.Timer(0.01, send, [signal.SIGINT])
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        loop.run_until_complete(asyncio.Event().wait())
    timer.join()
