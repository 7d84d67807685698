# SPDX-License-Identifier: MIT
# mypy: ignore-errors
"""What the C half calls for cold work: texts, reports, asyncio's slow paths.

Everything here runs when something is unusual: debug mode, a failed callback,
a task factory. The C half looks the functions up by name.
"""

from __future__ import annotations

import asyncio
import selectors
import sys
import warnings
from asyncio import (
    base_events,
    events,
    format_helpers,
    futures,
    selector_events,
    trsock,
)
from asyncio.log import logger
from typing import Any

from rota import _core
from rota._names import look_up  # noqa: F401
from rota._pipes import (  # noqa: F401
    lost_pipe_write,
    open_pipe,
    pipe_failed,
    pipe_repr,
)

create_task: Any = asyncio.BaseEventLoop.create_task
accept_connection: Any = asyncio.SelectorEventLoop._accept_connection


def set_result_unless_done(future, result):
    """For one that may have been woken before."""
    if not future.done():
        future.set_result(result)


def fail_empty_waiter(future, exc):
    """What tells loop.sendfile() that the connection is lost."""
    if not future.done():
        future.set_exception(exc or ConnectionError("Connection is closed by peer"))


def wake_waiter(waiter):
    """What tells create_connection() that connection_made() was called."""
    futures._set_result_unless_cancelled(waiter, None)


# Calls whose arguments have names come here to be sorted, and go on in C: to a
# subclass's method, which has called us, they would come back for ever.


def call_soon(loop, callback, *args, context=None):
    """As BaseEventLoop.call_soon()."""
    return _core.Loop.call_soon(loop, callback, *args, context=context)


def call_soon_threadsafe(loop, callback, *args, context=None):
    """As BaseEventLoop.call_soon_threadsafe()."""
    return _core.Loop.call_soon_threadsafe(loop, callback, *args, context=context)


def call_later(loop, delay, callback, *args, context=None):
    """As BaseEventLoop.call_later()."""
    return _core.Loop.call_later(loop, delay, callback, *args, context=context)


def call_at(loop, when, callback, *args, context=None):
    """As BaseEventLoop.call_at()."""
    return _core.Loop.call_at(loop, when, callback, *args, context=context)


def check_callback(callback, method):
    """What BaseEventLoop's does, which uses nothing of its loop."""
    asyncio.BaseEventLoop._check_callback(None, callback, method)


def callback_failed(loop, handle, exc):
    """Report the exception of a handle's callback, as Handle._run does."""
    shown = {"debug": loop.get_debug()} if sys.version_info >= (3, 13) else {}
    cb = format_helpers._format_callback_source(handle._callback, handle._args or (), **shown)
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
    text = base_events._format_handle(who) if hasattr(who, "_callback") else repr(who)
    base_events.logger.warning("Executing %s took %.3f seconds", text, seconds)


# --- Transports -----------------------------------------------------------------


def socket_extra(extra, sock):
    """What get_extra_info() of a socket's transport knows."""
    known = {"socket": trsock.TransportSocket(sock)}
    try:
        known["sockname"] = sock.getsockname()
    except OSError:
        known["sockname"] = None
    if extra is None or "peername" not in extra:
        try:
            known["peername"] = sock.getpeername()
        except OSError:
            known["peername"] = None
    if extra:
        known.update(extra)
    return known


def named_extra(extra, sock, sockname, peername):
    """The same, for names that are known already."""
    known = {"socket": trsock.TransportSocket(sock), "sockname": sockname, "peername": peername}
    if extra:
        known.update(extra)
    return known


class Clients:
    """Server._clients, where most are only counted: the loop knows them by their fds.

    A weak reference to each would make an idle connection a fifth larger.
    """

    __slots__ = ("count", "_loop", "_others")

    def __init__(self, loop, others):
        self.count = 0
        self._loop = loop
        self._others = others

    def add(self, transport):
        """One that is not of ours."""
        self._others.add(transport)

    def discard(self, transport):
        """One that is not of ours, or nothing."""
        self._others.discard(transport)

    def __len__(self):
        return self.count + len(self._others)

    def __iter__(self):
        return iter(self.copy())

    def copy(self):
        """Those that can be closed."""
        ours = (t for t in self._loop._socket_transports() if is_client(t, self))
        return [*ours, *self._others]


def is_client(transport, clients):
    """Whether a transport belongs to the server that has these."""
    return getattr(transport._server, "_clients", None) is clients


if sys.version_info >= (3, 13):

    def server_attach(server, transport):
        """A server has one client more."""
        if type(server) is not base_events.Server:
            server._attach(transport)
            return
        assert server._sockets is not None  # as Server._attach()
        if type(server._clients) is not Clients:
            server._clients = Clients(transport._loop, server._clients)
        server._clients.count += 1

    def server_detach(server, transport):
        """A server has one client less."""
        if type(server) is base_events.Server:
            server._clients.count -= 1
        server._detach(transport)

else:

    def server_attach(server, transport):
        """A server has one client more."""
        server._attach()

    def server_detach(server, transport):
        """A server has one client less."""
        server._detach()


def make_foreign_transport(loop, sock, protocol, waiter, extra, server):
    """For what is no socket of Python's but acts like one."""
    return selector_events._SelectorSocketTransport(loop, sock, protocol, waiter, extra, server)


def pause_reader(reader):
    """The end of StreamReader.feed_data(), when there is too much."""
    if reader._transport is not None and not reader._paused:
        try:
            reader._transport.pause_reading()
        except NotImplementedError:
            reader._transport = None
        else:
            reader._paused = True


def make_datagram_transport(loop, sock, protocol, address, waiter, extra):
    """For sockets that are not plain ones of Python's, or of an unusual family."""
    return selector_events._SelectorDatagramTransport(
        loop, sock, protocol, address, waiter, extra
    )


def write_buffer_limits(high, low):
    """The low-water mark from the high one and the other way round, as asyncio's."""
    if high is None:
        high = 64 * 1024 if low is None else 4 * low
    if low is None:
        low = high // 4
    if not high >= low >= 0:
        raise ValueError(f"high ({high!r}) must be >= low ({low!r}) must be >= 0")
    return high, low


def log_debug(text, who):
    """A line of debug mode."""
    log = logger.info if text.endswith("by peer") else logger.debug
    log(text, who)


def lost_write():
    """Somebody writes on, though the connection is lost."""
    logger.warning("socket.send() raised exception.")


def fatal_error(loop, transport, protocol, exc, message):
    """What ends a connection: an OSError is the network's, the rest is a bug."""
    if isinstance(exc, OSError):
        if loop.get_debug():
            logger.debug("%r: %s", transport, message, exc_info=exc)
    else:
        loop.call_exception_handler(
            {
                "message": message,
                "exception": exc,
                "transport": transport,
                "protocol": protocol,
            }
        )


def socket_repr(transport):
    """The text of a socket's transport, as asyncio's."""
    info = [type(transport).__name__]
    if transport._sock is None:
        info.append("closed")
    elif transport._closing:
        info.append("closing")
    info.append(f"fd={transport._sock_fd}")
    loop = transport._loop
    if loop is not None and not loop.is_closed() and transport._sock is not None:
        info.append("read=polling" if transport.is_reading() else "read=idle")
        state = "polling" if transport._writing else "idle"
        info.append(f"write=<{state}, bufsize={transport._buffered}>")
    return "<{}>".format(" ".join(info))


# --- What tools see of the loop ---------------------------------------------------


class Selector:
    """loop._selector, for tools that turn the loop themselves or look into it."""

    def __init__(self, loop):
        self._loop = loop

    def select(self, timeout=None):
        """Wait until something is ready; the loop knows its timers itself."""
        self._loop._wait(timeout)
        return []

    def close(self):
        """The loop's close() has done it."""

    def get_key(self, fileobj):
        """What add_reader() and add_writer() have registered."""
        fd, reader, writer = self._loop._watched(fileobj)
        if reader is None and writer is None:
            raise KeyError(f"{fileobj!r} is not registered")
        events = (reader is not None) | (writer is not None) << 1
        return selectors.SelectorKey(fileobj, fd, events, (reader, writer))


# --- sock_* ---------------------------------------------------------------------

ensure_fd_no_transport: Any = selector_events.BaseSelectorEventLoop._ensure_fd_no_transport
sock_connect: Any = selector_events.BaseSelectorEventLoop.sock_connect

# What the C half does for numeric addresses and plain sockets.

connect_sock: Any = asyncio.BaseEventLoop._connect_sock
create_connection_transport: Any = asyncio.BaseEventLoop._create_connection_transport
ensure_resolved: Any = asyncio.BaseEventLoop._ensure_resolved
getaddrinfo: Any = asyncio.BaseEventLoop.getaddrinfo
run_in_executor: Any = asyncio.BaseEventLoop.run_in_executor


def check_socket(loop, sock):
    """Refuse what sock_* cannot have: a TLS socket, in debug mode a blocking one."""
    base_events._check_ssl_socket(sock)
    if loop.get_debug() and sock.gettimeout() != 0:
        raise ValueError("the socket must be non-blocking")


def coroutine_origin():
    """Where a coroutine is being made, as cr_origin has it."""
    depth = sys.get_coroutine_origin_tracking_depth()
    frame = sys._getframe(1)
    origin = []
    while frame is not None and len(origin) < depth:
        origin.append((frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name))
        frame = frame.f_back
    return tuple(origin) or None


def never_awaited(coroutine):
    """Warn of a coroutine that was dropped before it ran."""
    warnings._warn_unawaited_coroutine(coroutine)
