# SPDX-License-Identifier: MIT
"""
Exceptions of callbacks and tasks: who is told, with which words, and what
goes on afterwards.
"""

import asyncio
import gc
import logging
import socket
import sys

import pytest
from two_loops import handler_contexts, raised
from test_handles import shown

HERE = __file__


def fail(*args):
    raise ValueError('the reason')


AT = f'at {HERE}:{fail.__code__.co_firstlineno}'


def run(loop):
    loop.call_soon(loop.stop)
    loop.run_forever()


def test_an_exception_is_logged_and_the_loop_goes_on(loop, noise):
    seen = []
    handle = loop.call_soon(fail, 1)
    loop.call_soon(seen.append, 1)
    run(loop)
    record, = noise.records()
    args = shown('1', False)
    assert record.levelno == logging.ERROR
    assert record.getMessage() == (
        f'Exception in callback fail{args} {AT}\nhandle: {handle!r}')
    assert record.exc_info[0] is ValueError
    assert seen == [1]


def test_the_handler_gets_the_exception_and_the_handle(loop):
    contexts = handler_contexts(loop)
    handle = loop.call_soon(fail)
    timer = loop.call_later(0, fail)
    loop.call_later(0.001, loop.stop)
    loop.run_forever()
    assert [c['handle'] for c in contexts] == [handle, timer]
    for context in contexts:
        assert context['message'] == f'Exception in callback fail() {AT}'
        assert repr(context['exception']) == "ValueError('the reason')"
        assert set(context) == {'message', 'exception', 'handle'}
        names = [entry.name for entry in __import__('traceback').extract_tb(
            context['exception'].__traceback__)]
        assert names[-1] == 'fail'


def test_the_handler_gets_the_origin_in_debug_mode(new_loop):
    loop = new_loop(debug=True)
    contexts = handler_contexts(loop)
    loop.call_soon(fail, 1)
    run(loop)
    context, = contexts
    assert context['message'] == f'Exception in callback fail(1) {AT}'
    frame = context['source_traceback'][-1]
    assert frame.filename == HERE
    assert frame.line == 'loop.call_soon(fail, 1)'


def test_the_default_handler_prints_the_origin_in_debug_mode(new_loop, noise):
    loop = new_loop(debug=True)
    loop.call_soon(fail, 1)
    run(loop)
    text, = noise.logged()
    lines = text.splitlines()
    assert lines[0] == f'Exception in callback fail(1) {AT}'
    assert lines[1].startswith(f'handle: <Handle fail(1) {AT} created at ')
    assert lines[2] == (
        'source_traceback: Object created at (most recent call last):')
    assert lines[-1] == '    loop.call_soon(fail, 1)'


@pytest.mark.parametrize('kind', [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize('debug', [False, True])
def test_these_two_leave_the_run(new_loop, kind, debug):
    loop = new_loop(debug=debug)
    seen = []

    def leave():
        raise kind('now')

    loop.call_soon(seen.append, 1)
    loop.call_soon(leave)
    loop.call_soon(seen.append, 2)
    assert raised(loop.run_forever) == (kind, 'now')
    assert seen == [1]
    assert not loop.is_running()
    assert raised(asyncio.get_running_loop)[0] is RuntimeError
    run(loop)
    assert seen == [1, 2]


def test_other_base_exceptions_are_told_to_the_handler(loop):
    class Odd(BaseException):
        pass

    def odd():
        raise Odd('odd')

    contexts = handler_contexts(loop)
    loop.call_soon(odd)
    loop.call_soon(asyncio.run)  # a TypeError without a frame of its own
    run(loop)
    assert [type(c['exception']) for c in contexts] == [Odd, TypeError]


@pytest.mark.parametrize('kind', [KeyboardInterrupt, SystemExit])
def test_a_task_that_raises_them_leaves_the_run(loop, kind):
    async def leave():
        raise kind('now')

    assert raised(loop.run_until_complete, leave()) == (kind, 'now')
    task = loop.create_task(leave())
    assert raised(loop.run_forever) == (kind, 'now')
    assert repr(task.exception()) == repr(kind('now'))


def test_a_handler_that_raises_is_reported_in_its_turn(loop, noise):
    def handler(loop, context):
        raise KeyError('of the handler')

    loop.set_exception_handler(handler)
    loop.call_soon(fail)
    run(loop)
    record, = noise.records()
    assert record.getMessage().startswith(
        'Unhandled error in exception handler\ncontext: {')
    assert record.exc_info[0] is KeyError


def test_a_default_handler_that_raises_is_reported_in_its_turn(
        loop, noise, monkeypatch):
    def handler(context):
        raise KeyError('of the default handler')

    monkeypatch.setattr(loop, 'default_exception_handler', handler)
    loop.call_soon(fail)
    run(loop)
    record, = noise.records()
    assert record.getMessage() == 'Exception in default exception handler'
    assert record.exc_info[0] is KeyError

    loop.set_exception_handler(lambda *_: fail())
    loop.call_soon(fail)
    run(loop)
    assert noise.logged() == [
        'Exception in default exception handler while handling an unexpected '
        'error in custom exception handler']


@pytest.mark.parametrize('kind', [KeyboardInterrupt, SystemExit])
def test_a_handler_may_leave_the_run(loop, kind):
    def handler(loop, context):
        raise kind('of the handler')

    loop.set_exception_handler(handler)
    loop.call_soon(fail)
    assert raised(loop.run_forever) == (kind, 'of the handler')
    loop.set_exception_handler(None)
    run(loop)


def test_the_handler_can_be_set_read_and_reset(loop, noise):
    def handler(loop, context):
        pass

    assert loop.get_exception_handler() is None
    loop.set_exception_handler(handler)
    assert loop.get_exception_handler() is handler
    assert raised(loop.set_exception_handler, 5) == (
        TypeError, 'A callable object or None is expected, got 5')
    assert loop.get_exception_handler() is handler
    loop.call_soon(fail)
    run(loop)
    assert noise.logged() == []
    loop.set_exception_handler(None)
    loop.call_soon(fail)
    run(loop)
    assert len(noise.logged()) == 1


def test_the_handler_is_given_the_loop(loop):
    seen = []
    loop.set_exception_handler(lambda *args: seen.append(args))
    context = {'message': 'mine'}
    loop.call_exception_handler(context)
    assert seen == [(loop, context)]


def test_a_handler_may_be_replaced_on_the_instance(loop, monkeypatch):
    seen = []
    monkeypatch.setattr(loop, 'call_exception_handler', seen.append)
    loop.call_soon(fail)
    run(loop)
    assert [c['message'] for c in seen] == [
        f'Exception in callback fail() {AT}']


def test_what_the_default_handler_logs(loop, noise):
    loop.default_exception_handler({'message': 'words', 'z': 1, 'a': 'two'})
    record, = noise.records()
    assert record.getMessage() == "words\na: 'two'\nz: 1"
    assert not record.exc_info
    loop.default_exception_handler({'exception': KeyError(1)})
    record, = noise.records()
    assert record.getMessage() == 'Unhandled exception in event loop'
    assert record.exc_info[0] is KeyError


def test_a_handler_may_call_the_default_one(loop, noise):
    loop.set_exception_handler(
        lambda loop, context: loop.default_exception_handler(context))
    loop.call_soon(fail)
    run(loop)
    assert noise.logged()[0].startswith('Exception in callback fail()')


def test_a_task_whose_exception_nobody_reads_is_reported(loop, noise):
    async def coro():
        raise ValueError('unread')

    task = loop.create_task(coro(), name='the task')
    run(loop)
    run(loop)
    text = repr(task)
    assert 'finished' in text
    del task
    gc.collect()
    record, = noise.records()
    assert record.getMessage() == (
        f'Task exception was never retrieved\nfuture: {text}')
    assert record.exc_info[0] is ValueError


def test_a_future_whose_exception_nobody_reads_is_told_to_the_handler(loop):
    contexts = handler_contexts(loop)
    future = loop.create_future()
    future.set_exception(KeyError('unread'))
    del future
    gc.collect()
    context, = contexts
    assert context['message'] == 'Future exception was never retrieved'
    assert isinstance(context['exception'], KeyError)


def test_a_pending_task_that_is_dropped_is_reported(loop):
    contexts = handler_contexts(loop)

    async def coro():
        await loop.create_future()

    loop.create_task(coro())
    run(loop)
    gc.collect()
    run(loop)
    gc.collect()
    assert [c['message'] for c in contexts] == [
        'Task was destroyed but it is pending!']


def test_done_callbacks_that_raise_are_reported(loop):
    contexts = handler_contexts(loop)
    seen = []
    future = loop.create_future()
    future.add_done_callback(fail)
    future.add_done_callback(seen.append)
    future.set_result(None)
    run(loop)
    assert seen == [future]
    context, = contexts
    assert context['message'].startswith('Exception in callback fail(')
    assert isinstance(context['exception'], ValueError)


def test_the_exception_of_a_callback_is_let_go(loop):
    import weakref

    class Thing(Exception):
        pass

    refs = []

    def callback():
        exc = Thing()
        refs.append(weakref.ref(exc))
        raise exc

    loop.set_exception_handler(lambda loop, context: None)
    gc.disable()
    try:
        loop.call_soon(callback)
        run(loop)
        # the frame of the callback holds exc, which holds the traceback
        gc.collect()
        assert refs[0]() is None
    finally:
        gc.enable()


def test_the_message_names_the_callable(loop):
    import functools

    class Thing:
        def method(self):
            raise ValueError

        def __repr__(self):
            return 'Thing()'

        def __call__(self):
            raise ValueError

    contexts = handler_contexts(loop)
    loop.call_soon(functools.partial(fail, 1), 2)
    loop.call_soon(Thing().method)
    loop.call_soon(Thing())
    loop.call_soon(int, 'x')
    run(loop)
    name = Thing.method.__qualname__
    one, two = shown('1', False), shown('2', False)
    assert [c['message'] for c in contexts] == [
        f'Exception in callback fail{one}{two} {AT}',
        f'Exception in callback {name}()',
        'Exception in callback Thing()()',
        'Exception in callback int' + shown("'x'", False)]


def test_the_handler_runs_in_the_context_of_the_callback(loop):
    import contextvars
    import sys
    variable = contextvars.ContextVar('variable', default=0)
    seen = []
    loop.set_exception_handler(lambda *_: seen.append(variable.get()))

    def callback():
        variable.set(7)
        raise ValueError

    loop.call_soon(callback)
    run(loop)
    assert seen == ([7] if sys.version_info >= (3, 12) else [0])


def test_an_exception_while_the_loop_is_closed_in_the_handler(new_loop):
    loop = new_loop()
    seen = []

    def handler(loop, context):
        seen.append(context['message'])
        seen.append(raised(loop.close))

    loop.set_exception_handler(handler)
    loop.call_soon(fail)
    run(loop)
    assert seen == [f'Exception in callback fail() {AT}', (
        RuntimeError, 'Cannot close a running event loop')]


async def test_a_handler_runs_as_in_an_except_clause(loop):
    wrong, seen = ZeroDivisionError(), []

    def fail():
        raise wrong

    class Fails(asyncio.Protocol):
        def data_received(self, data):
            fail()

    loop.set_exception_handler(lambda *_: seen.append(sys.exc_info()[1]))
    sock, peer = socket.socketpair()
    with peer:
        await loop.create_connection(Fails, sock=sock)
        peer.send(b'x')
        loop.call_soon(fail)
        while len(seen) < 2:
            await asyncio.sleep(0)
    assert seen == [wrong, wrong]
    await asyncio.sleep(0)
    assert sys.exc_info()[1] is None
