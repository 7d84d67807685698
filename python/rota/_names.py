# SPDX-License-Identifier: MIT
# mypy: ignore-errors
"""Names: asked in the default executor, as asyncio does, with less on the way.

asyncio chains a future of the loop to one of the executor. Here the thread
gives its answer to the loop's own future; the executor's is only there to be
cancelled. An executor of the application's own gets all that asyncio gives it.
"""

from __future__ import annotations

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor

_PREFIX = "asyncio"  # of the threads of the executor that a loop makes itself


def _default_executor(loop):
    """The loop's own, or None if the application has set another one."""
    executor = loop._default_executor
    if executor is None:
        executor = loop._default_executor = ThreadPoolExecutor(thread_name_prefix=_PREFIX)
    elif type(executor) is not ThreadPoolExecutor or executor._thread_name_prefix != _PREFIX:
        return None
    return executor


def _answer(future, exc, found):
    if future.done():
        return
    if exc is None:
        future.set_result(found)
    else:
        future.set_exception(exc)


def _ask(loop, future, question):
    """In a thread."""
    found = failure = None
    try:
        found = socket.getaddrinfo(*question)
    except BaseException as exc:
        failure = exc
    try:
        loop.call_soon_threadsafe(_answer, future, failure, found)
    except RuntimeError:
        pass  # the loop is closed
    finally:
        future = failure = None  # no cycle through its traceback


async def look_up(loop, host, port, family, type, proto, flags):
    """As BaseEventLoop.getaddrinfo()."""
    loop._check_closed()
    loop._check_default_executor()
    executor = _default_executor(loop)
    if executor is None:
        return await asyncio.BaseEventLoop.getaddrinfo(
            loop, host, port, family=family, type=type, proto=proto, flags=flags
        )
    future = loop.create_future()
    asked = executor.submit(_ask, loop, future, (host, port, family, type, proto, flags))
    try:
        return await future
    except asyncio.CancelledError:
        asked.cancel()
        raise
    finally:
        future = None
