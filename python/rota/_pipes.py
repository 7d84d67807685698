# SPDX-License-Identifier: MIT
# mypy: ignore-errors
"""Pipes: what their transports in C leave to Python.

What asyncio checks of a file, and what it says of one. Called by name, through
rota._support.
"""

from __future__ import annotations

import errno
import os
import stat
from asyncio.log import logger


def open_pipe(pipe, extra, writer):
    """Check a file as asyncio does: (fd, extra info, whether it has an end to hear of)."""
    fileno = pipe.fileno()
    extra = {} if extra is None else extra
    extra["pipe"] = pipe
    mode = os.fstat(fileno).st_mode
    is_stream = stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)
    if not is_stream and not stat.S_ISCHR(mode):
        raise ValueError(
            "Pipe transport is only for pipes, sockets and character devices"
            if writer
            else "Pipe transport is for pipes/sockets only."
        )
    os.set_blocking(fileno, False)
    return fileno, extra, is_stream or not writer


def lost_pipe_write():
    """Somebody writes on, though nobody reads any more."""
    logger.warning("pipe closed by peer or os.write(pipe, data) raised exception.")


def _is_ordinary(transport, exc):
    if hasattr(transport, "write"):
        return isinstance(exc, OSError)
    return isinstance(exc, OSError) and exc.errno == errno.EIO


def pipe_failed(loop, transport, protocol, exc, message):
    """What ends a pipe: the other side's doing is no report's worth."""
    if not _is_ordinary(transport, exc):
        loop.call_exception_handler(
            {
                "message": message,
                "exception": exc,
                "transport": transport,
                "protocol": protocol,
            }
        )
    elif loop.get_debug():
        logger.debug("%r: %s", transport, message, exc_info=exc)


def pipe_repr(transport):
    """The text of a pipe's transport, as asyncio's."""
    info = [type(transport).__name__]
    is_open = transport._pipe is not None
    if not is_open:
        info.append("closed")
    elif transport._closing:
        info.append("closing")
    info.append(f"fd={transport._fileno}")
    if not is_open:
        info.append("closed")
    elif transport._loop.is_closed():
        info.append("open")
    else:
        info.append("polling" if transport._polling else "idle")
        if hasattr(transport, "write"):
            info.append(f"bufsize={transport.get_write_buffer_size()}")
    return "<{}>".format(" ".join(info))
