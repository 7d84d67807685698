# SPDX-License-Identifier: MIT
"""
Debug mode: slow callbacks, calls from the wrong thread, wrong callables,
origins; and how debug mode is asked for.
"""

import asyncio
import gc
import logging
import re
import socket
import subprocess
import sys
import threading
import time

import pytest
from two_loops import connected, raised, turns

HERE = __file__
WRONG_THREAD = (RuntimeError, 'Non-thread-safe operation invoked on an event '
                'loop other than the current one')


@pytest.fixture
def loop(new_loop):
    return new_loop(debug=True)


def run(loop):
    loop.call_soon(loop.stop)
    loop.run_forever()


def slow():
    time.sleep(0.003)


def reports(noise, words):
    """What was logged that has these words: anything may be slow today."""
    return [text for text in noise.logged() if words in text]


def test_slow_callbacks_are_reported(loop, noise):
    loop.slow_callback_duration = 0.002
    handle = loop.call_soon(slow)
    loop.call_soon(int)
    run(loop)
    text, = reports(noise, 'slow()')
    found = re.fullmatch(r'Executing (<Handle slow\(\) .*>) took (0\.\d{3}) '
                         r'seconds', text)
    assert found[1] == repr(handle)
    assert 0.003 <= float(found[2]) < 1


def test_slow_steps_of_a_task_are_reported_with_the_task(loop, noise):
    async def body():
        await asyncio.sleep(0)
        slow()

    loop.slow_callback_duration = 0.002
    task = loop.create_task(body(), name='slow task')
    loop.run_until_complete(task)
    text, = reports(noise, 'finished')
    assert re.match(r"Executing <Task finished name='slow task' "
                    r'coro=<.*body\(\) done, defined at .*> result=None '
                    r'created at .*> took 0\.\d{3} seconds', text)


def test_no_callback_is_slow_below_the_limit_or_without_debug(
        new_loop, noise):
    loop = new_loop(debug=True)
    loop.slow_callback_duration = 10
    loop.call_soon(slow)
    run(loop)
    loop.set_debug(False)
    loop.slow_callback_duration = 0.001
    loop.call_soon(slow)
    run(loop)
    assert noise.logged() == []


def test_the_report_has_the_level_of_a_warning(loop, noise):
    loop.slow_callback_duration = 0
    loop.call_soon(loop.stop)
    loop.run_forever()
    record, = noise.records()
    assert record.levelno == logging.WARNING
    assert record.name == 'asyncio'


def test_a_handle_cancelled_while_it_runs_is_still_named(loop, noise):
    def cancels():
        handle.cancel()
        slow()

    loop.slow_callback_duration = 0.002
    handle = loop.call_soon(cancels)
    run(loop)
    text, = reports(noise, 'cancels()')
    assert text.startswith('Executing <Handle ')


@pytest.mark.parametrize('name', ['call_soon', 'call_later', 'call_at'])
def test_calls_of_another_thread_are_refused_while_the_loop_runs(loop, name):
    args = [] if name == 'call_soon' else [1000]
    seen = []

    def work():
        seen.append(raised(getattr(loop, name), *args, print))
        loop.call_soon_threadsafe(loop.stop)

    thread = threading.Thread(target=work)
    loop.call_soon(thread.start)
    loop.run_forever()
    thread.join()
    assert seen == [WRONG_THREAD]


def test_futures_of_another_thread_are_refused(loop):
    seen = []
    future = loop.create_future()
    future.add_done_callback(seen.append)

    def work():
        seen.append(raised(future.set_result, 1))
        loop.call_soon_threadsafe(loop.stop)

    thread = threading.Thread(target=work)
    loop.call_soon(thread.start)
    loop.run_forever()
    thread.join()
    assert seen[0] == WRONG_THREAD


def test_without_debug_other_threads_are_not_noticed(new_loop):
    loop = new_loop()
    seen = []

    def work():
        loop.call_soon(seen.append, 1)
        loop.call_soon_threadsafe(loop.stop)

    thread = threading.Thread(target=work)
    loop.call_soon(thread.start)
    loop.run_forever()
    thread.join()
    run(loop)
    assert seen == [1]


def test_a_loop_that_does_not_run_may_be_called_from_any_thread(loop):
    seen = []

    def work():
        loop.call_soon(seen.append, 1)
        loop.call_later(0, seen.append, 2)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    loop.call_later(0.001, loop.stop)
    loop.run_forever()
    assert seen == [1, 2]


@pytest.mark.parametrize('name, args', [
    ('call_soon', []), ('call_soon_threadsafe', []), ('call_at', [1]),
    ('run_in_executor', [None])])
def test_what_cannot_be_called_is_refused(loop, name, args):
    async def coroutine():
        pass

    method = getattr(loop, name)
    assert raised(method, *args, 'text') == (
        TypeError, f"a callable object was expected by {name}(), got 'text'")
    assert raised(method, *args, coroutine) == (
        TypeError, f'coroutines cannot be used with {name}()')
    coro = coroutine()
    assert raised(method, *args, coro) == (
        TypeError, f'coroutines cannot be used with {name}()')
    coro.close()


def test_call_later_names_call_at(loop):
    assert raised(loop.call_later, 1, 'text') == (
        TypeError, "a callable object was expected by call_at(), got 'text'")


def test_without_debug_it_is_found_at_the_call(new_loop):
    loop = new_loop()
    contexts = []
    loop.set_exception_handler(lambda loop, context: contexts.append(context))
    loop.call_soon('text')
    run(loop)
    assert isinstance(contexts[0]['exception'], TypeError)
    assert contexts[0]['message'] == "Exception in callback 'text'()"


def test_the_origin_of_coroutines_is_tracked_during_the_run(new_loop, noise):
    async def forgotten():
        pass

    def forget():
        seen.append(sys.get_coroutine_origin_tracking_depth())
        forgotten()

    seen = []
    for debug, depth in [(True, 10), (False, 0)]:
        loop = new_loop(debug=debug)
        loop.call_soon(forget)
        run(loop)
        gc.collect()
        text, = noise.warned()
        assert 'forgotten\' was never awaited' in text
        assert ('Coroutine created at' in text) == debug
        assert seen.pop() == depth
        assert sys.get_coroutine_origin_tracking_depth() == 0


def test_debug_may_be_switched_while_the_loop_runs(new_loop):
    loop = new_loop()
    seen = []

    async def body():
        for debug in (True, False, True):
            loop.set_debug(debug)
            await turns(2)
            seen.append(sys.get_coroutine_origin_tracking_depth())
            assert loop.get_debug() is debug

    loop.run_until_complete(body())
    assert seen == [10, 0, 10]
    assert sys.get_coroutine_origin_tracking_depth() == 0


def test_any_truth_value_sets_debug(new_loop):
    loop = new_loop()
    loop.set_debug(1)
    assert loop.get_debug()
    loop.set_debug('')
    assert not loop.get_debug()


def test_the_environment_and_the_mode_of_development_switch_it_on(new_loop):
    if new_loop.name not in ('asyncio', 'rota'):
        pytest.skip('the factory is not known by name')
    module = 'asyncio' if new_loop.name == 'asyncio' else 'rota'
    code = (f'import {module} as m; loop = m.new_event_loop(); '
            f'print(loop.get_debug()); loop.close()')
    for options, env, answer in [([], {}, 'False'), (['-X', 'dev'], {}, 'True'),
                                 ([], {'PYTHONASYNCIODEBUG': '1'}, 'True')]:
        import os
        out = subprocess.run(
            [sys.executable, *options, '-c', code], text=True, check=True,
            env={**os.environ, **env}, capture_output=True).stdout
        assert out.strip() == answer


def test_closing_is_logged(new_loop, noise):
    loop = new_loop(debug=True)
    text = repr(loop)
    noise.logged()
    loop.close()
    assert f'Close {text}' in noise.logged(logging.DEBUG)


def test_blocking_sockets_are_refused(loop):
    one, other = socket.socketpair()
    with one, other:
        async def body(awaitable):
            with pytest.raises(ValueError) as info:
                await awaitable
            return str(info.value)

        for coro in [loop.sock_recv(one, 1), loop.sock_sendall(one, b'x'),
                     loop.sock_recv_into(one, bytearray(1)),
                     loop.sock_accept(one), loop.sock_connect(one, 'x'),
                     loop.sock_recvfrom(one, 1), loop.sock_sendto(one, b'', 0),
                     loop.sock_recvfrom_into(one, bytearray(1))]:
            text = loop.run_until_complete(body(coro))
            assert text == 'the socket must be non-blocking'


async def test_transports_log_what_they_do(loop, noise):
    async with connected(loop) as (transport, protocol, peer):
        noise.logged(logging.DEBUG)
        transport.pause_reading()
        transport.resume_reading()
        lines = noise.logged(logging.DEBUG)
        assert [line.split('> ')[-1] for line in lines] == [
            'pauses reading', 'resumes reading']
        peer.close()
        await protocol.lost
        lines = noise.logged(logging.DEBUG)
        assert any(line.endswith('> received EOF') for line in lines)


def test_an_unclosed_loop_in_debug_mode(new_loop, noise):
    loop = new_loop.factory()
    loop.set_debug(True)
    loop.call_soon(print)
    text = repr(loop)
    del loop
    gc.collect()
    assert noise.warned() == [f'unclosed event loop {text}']


def test_wrong_callables_for_signals_are_refused(loop):
    async def coroutine():
        pass

    assert raised(loop.add_signal_handler, 10, coroutine) == (
        TypeError, 'coroutines cannot be used with add_signal_handler()')


def test_a_slow_callback_that_fails_is_reported_twice(loop, noise):
    def bad():
        slow()
        raise ValueError

    loop.slow_callback_duration = 0.002
    loop.call_soon(bad)
    run(loop)
    texts = reports(noise, 'bad()')
    assert texts[0].startswith('Exception in callback ')
    assert texts[1].startswith('Executing <Handle ')
    assert len(texts) == 2


def test_an_error_inside_of_a_callback_names_the_handle(loop, noise):
    def callback():
        loop.call_exception_handler({'message': 'mine'})

    loop.call_soon(callback)
    run(loop)
    text, = noise.logged()
    assert text.startswith('mine\nhandle_traceback: Handle created at (most '
                           'recent call last):\n')
    assert text.endswith('loop.call_soon(callback)')
