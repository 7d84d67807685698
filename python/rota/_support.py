# SPDX-License-Identifier: MIT
"""What the C half calls for cold work: texts, reports, asyncio's slow paths.

Everything here runs when something is unusual: debug mode, a failed callback,
a task factory. The C half looks the functions up by name.
"""

from __future__ import annotations

import asyncio
from asyncio import base_events, events, format_helpers
from asyncio.log import logger

create_task = asyncio.BaseEventLoop.create_task
check_callback = None  # set below: needs an instance's method


def _check_callback(callback, method):
    """What BaseEventLoop's does, which uses nothing of its loop."""
    asyncio.BaseEventLoop._check_callback(None, callback, method)


check_callback = _check_callback


def callback_failed(loop, handle, exc):
    """Report the exception of a handle's callback, as Handle._run does."""
    cb = format_helpers._format_callback_source(handle._callback, handle._args or ())
    context = {"message": f"Exception in callback {cb}", "exception": exc, "handle": handle}
    if handle._source_traceback:
        context["source_traceback"] = handle._source_traceback
    loop.call_exception_handler(context)


def handle_repr(handle):
    """The text of a Handle or TimerHandle, as asyncio's."""
    if handle._repr is not None:
        return handle._repr
    info = events.Handle._repr_info(handle)
    if hasattr(handle, "when"):
        info.insert(2 if handle._cancelled else 1, f"when={handle._when}")
    return "<{}>".format(" ".join(info))


def slow_callback(who, seconds):
    """Debug mode: a step took longer than slow_callback_duration."""
    logger.warning("Executing %s took %.3f seconds", base_events._format_handle(who), seconds)
