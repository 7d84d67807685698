# SPDX-License-Identifier: MIT
"""
Handle and TimerHandle: how they print, compare, hash and are cancelled.
"""

import asyncio
import contextvars
import functools
import gc
import sys
import weakref

import pytest

HERE = __file__


def callback(*args):
    pass


LINE = callback.__code__.co_firstlineno


def shown(args, debug):
    """Since 3.13 arguments are shown in debug mode only."""
    return f'({args})' if debug or sys.version_info < (3, 13) else '()'


def makers(loop):
    return [loop.call_soon, loop.call_soon_threadsafe,
            functools.partial(loop.call_later, 1000),
            functools.partial(loop.call_at, loop.time() + 1000)]


def test_the_types_are_those_of_asyncio(loop):
    for make in makers(loop)[:2]:
        assert isinstance(make(callback), asyncio.Handle)
        assert not isinstance(make(callback), asyncio.TimerHandle)
    for make in makers(loop)[2:]:
        assert isinstance(make(callback), asyncio.TimerHandle)
        assert isinstance(make(callback), asyncio.Handle)


def test_handles_can_be_made_by_hand(loop):
    seen = []
    handle = asyncio.Handle(seen.append, (1,), loop, None)
    assert not handle.cancelled()
    handle._run()
    assert seen == [1]
    timer = asyncio.TimerHandle(5, seen.append, (2,), loop)
    assert timer.when() == 5


def test_what_a_handle_prints(loop):
    handle = loop.call_soon(callback, 1, 'two')
    args = shown("1, 'two'", False)
    assert repr(handle) == f'<Handle callback{args} at {HERE}:{LINE}>'
    handle.cancel()
    assert repr(handle) == '<Handle cancelled>'


def test_what_a_handle_of_a_c_function_prints(loop):
    args = shown("'x'", False)
    assert repr(loop.call_soon(print, 'x')) == f'<Handle print{args}>'


def test_what_a_handle_of_a_partial_and_a_method_prints(loop):
    class Thing:
        def method(self):
            pass

    partial = functools.partial(callback, 1, key=2)
    inner, outer = shown('1, key=2', False), shown('3', False)
    assert repr(loop.call_soon(partial, 3)) == (
        f'<Handle callback{inner}{outer} at {HERE}:{LINE}>')
    assert repr(loop.call_soon(Thing().method)) == (
        f'<Handle {Thing.method.__qualname__}()>')


def test_what_a_timer_prints(loop):
    timer = loop.call_at(123.25, callback, 1)
    args = shown('1', False)
    assert repr(timer) == (
        f'<TimerHandle when=123.25 callback{args} at {HERE}:{LINE}>')
    timer.cancel()
    assert repr(timer) == '<TimerHandle cancelled when=123.25>'


def test_what_a_timer_at_an_integer_prints(loop):
    assert repr(loop.call_at(10 ** 6, print)) in (
        '<TimerHandle when=1000000 print()>',
        '<TimerHandle when=1000000.0 print()>')


def test_in_debug_mode_the_origin_is_printed(new_loop):
    loop = new_loop(debug=True)
    line = sys._getframe().f_lineno + 1
    handle = loop.call_soon(callback, 1)
    assert repr(handle) == (f'<Handle callback(1) at {HERE}:{LINE} '
                            f'created at {HERE}:{line}>')
    line = sys._getframe().f_lineno + 1
    timer = loop.call_at(9.5, callback, 1)
    assert repr(timer) == (f'<TimerHandle when=9.5 callback(1) at '
                           f'{HERE}:{LINE} created at {HERE}:{line}>')


def test_in_debug_mode_a_cancelled_handle_says_what_it_was(new_loop):
    loop = new_loop(debug=True)
    line = sys._getframe().f_lineno + 1
    handle = loop.call_soon(callback, 1)
    handle.cancel()
    assert repr(handle) == (f'<Handle cancelled callback(1) at {HERE}:{LINE} '
                            f'created at {HERE}:{line}>')
    line = sys._getframe().f_lineno + 1
    timer = loop.call_at(9.5, callback, 1)
    timer.cancel()
    assert repr(timer) == (
        f'<TimerHandle cancelled when=9.5 callback(1) at {HERE}:{LINE} '
        f'created at {HERE}:{line}>')


@pytest.mark.parametrize('which', range(4))
def test_the_origin_is_the_callers_line_for_each_method(new_loop, which):
    loop = new_loop(debug=True)
    make = makers(loop)[which]
    line = sys._getframe().f_lineno + 1
    handle = make(callback)
    assert repr(handle).endswith(f' created at {HERE}:{line}>')
    frame = handle._source_traceback[-1]
    assert (frame.filename, frame.lineno) == (HERE, line)


def test_without_debug_there_is_no_origin(loop):
    for make in makers(loop):
        assert make(callback)._source_traceback is None


def test_cancelled_says_so(loop):
    for make in makers(loop):
        handle = make(callback)
        assert handle.cancelled() is False
        assert handle.cancel() is None
        assert handle.cancelled() is True
        assert handle.cancel() is None
        assert handle.cancelled() is True


def test_the_context_of_a_handle_is_known(loop):
    import contextvars
    context = contextvars.copy_context()
    if sys.version_info >= (3, 12):
        handle = loop.call_soon(callback, context=context)
        assert handle.get_context() is context
        assert loop.call_soon(callback).get_context() is not context
    assert loop.call_soon(callback, context=context)._context is context


def test_private_names_that_tools_read_are_there(loop):
    handle = loop.call_soon(callback, 1, 2)
    assert handle._callback is callback
    assert handle._args == (1, 2)
    assert handle._loop is loop
    assert handle._cancelled is False
    handle.cancel()
    assert handle._callback is None
    assert handle._args is None
    assert handle._cancelled is True
    timer = loop.call_later(1000, callback)
    assert timer._when == timer.when()
    assert timer._scheduled is True


def test_timers_compare_by_time(loop):
    one, two = loop.call_at(1, callback), loop.call_at(2, callback)
    same = loop.call_at(1, callback)
    other = loop.call_at(1, print)
    assert one < two and one <= two and two > one and two >= one
    assert not one > two and not one >= two
    assert not two < one and not two <= one
    assert one == same and one <= same and one >= same
    assert one != two and one != other
    assert not one < other and not one > other
    assert not one <= other and not one >= other
    same.cancel()
    assert one != same


def test_timers_that_cancel_each_other_when_they_are_compared(loop):
    class Callback:
        __hash__ = object.__hash__
        cancels = None

        def __call__(self, *args):
            pass

        def __eq__(self, other):
            if self.cancels:
                self.cancels.cancel()
            return True

    for which in (0, 1):
        for args in [(), (1, [2]), (object(),)]:
            timers = [loop.call_at(10, Callback(), *args) for _ in range(2)]
            timers[0]._callback.cancels = timers[which]
            assert (timers[0] == timers[1]) is False
            timers = [loop.call_at(10, print, *args, Callback())
                      for _ in range(2)]
            timers[0]._args[-1].cancels = timers[which]
            assert (timers[0] == timers[1]) is False
            assert timers[which].cancelled()


def test_timers_hash_by_time(loop):
    one = loop.call_at(1.5, callback)
    assert hash(one) == hash(loop.call_at(1.5, print)) == hash(1.5)
    assert len({one, loop.call_at(1.5, callback)}) == 1


def test_timers_do_not_compare_with_other_things(loop):
    timer = loop.call_at(1, callback)
    for other in (1, None, loop.call_soon(callback), object()):
        assert timer != other
        assert (timer == other) is False
        for operation in ('__lt__', '__le__', '__gt__', '__ge__', '__eq__'):
            assert getattr(timer, operation)(other) is NotImplemented
        with pytest.raises(TypeError):
            timer < other
        with pytest.raises(TypeError):
            timer >= other


def test_timers_sort(loop):
    whens = [5, 1, 4, 1.5, 3]
    timers = [loop.call_at(when, callback) for when in whens]
    assert [t.when() for t in sorted(timers)] == sorted(whens)
    assert min(timers).when() == 1


def test_handles_compare_by_identity(loop):
    one, two = loop.call_soon(callback), loop.call_soon(callback)
    assert one == one and one != two
    assert len({one, two}) == 2


def test_handles_can_be_referred_to_weakly(loop):
    for make in makers(loop)[:2]:
        handle = make(callback)
        ref = weakref.ref(handle)
        assert ref() is handle
        del handle
        loop.call_soon(loop.stop)
        loop.run_forever()
        gc.collect()
        assert ref() is None
    timer = loop.call_later(1000, callback)
    ref = weakref.ref(timer)
    timer.cancel()
    del timer
    loop.close()
    gc.collect()
    assert ref() is None


def test_a_handle_that_ran_is_not_cancelled(loop):
    handle = loop.call_soon(callback)
    timer = loop.call_later(0, callback)
    loop.call_later(0.001, loop.stop)
    loop.run_forever()
    assert not handle.cancelled() and not timer.cancelled()
    assert repr(handle) == f'<Handle callback() at {HERE}:{LINE}>'


def test_a_handle_that_cancels_itself_lets_its_callback_go(loop):
    class Callback:
        def __call__(self, argument):
            handle.cancel()

    one, other = Callback(), Callback()
    refs = weakref.ref(one), weakref.ref(other)
    handle = loop.call_soon(one, other)
    del one, other
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert handle._callback is None and handle._args is None
    gc.collect()
    assert [ref() for ref in refs] == [None, None]


def test_a_cancelled_handle_in_a_cycle_is_collected(loop):
    """It keeps its context, and so what its variables have."""
    variable = contextvars.ContextVar('variable')

    def cancel():
        context = contextvars.copy_context()
        handle = loop.call_soon(callback, context=context)
        context.run(variable.set, handle)
        handle.cancel()
        refs.append(weakref.ref(handle))
        loop.call_soon(loop.stop)

    refs = []
    loop.call_soon(cancel)
    loop.run_forever()
    gc.collect()
    assert refs[0]() is None


def test_handles_in_a_cycle_are_collected(new_loop):
    class Thing:
        def method(self, handles):
            pass

    loop = new_loop()
    thing = Thing()
    ref = weakref.ref(thing)
    thing.handles = []
    thing.handles.append(loop.call_soon(thing.method, thing.handles))
    thing.handles.append(loop.call_later(0, thing.method, thing.handles))
    loop.call_later(0.001, loop.stop)
    loop.run_forever()
    del thing
    gc.collect()
    assert ref() is None
