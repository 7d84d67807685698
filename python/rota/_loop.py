# SPDX-License-Identifier: MIT
"""The loop: what is hot in C, what is cold asyncio's own.

``_core.Loop`` comes first in the class's order and replaces what programs do
often; everything else (how an address is chosen, what a server is, which text
an error has) is the code of the running Python's asyncio, so that it behaves
as that version does.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
import threading
import weakref
from asyncio import constants, coroutines, exceptions

from rota import _children, _core, _fork


class Loop(_core.Loop, asyncio.SelectorEventLoop):
    """A complete asyncio event loop: asyncio.AbstractEventLoop has its manual.

    It belongs to the thread that runs it; from others only call_soon_threadsafe()
    and what stands on it is allowed. Whoever makes a loop closes it. OSError if
    the system has no descriptors left.
    """

    # What asyncio's code keeps in a loop; attributes that are not here would
    # give every loop a dict, and slow down the look-up of its methods.
    __slots__ = (
        "_asyncgens",
        "_asyncgens_shutdown_called",
        "_clock_resolution",
        "_coroutine_origin_tracking_enabled",
        "_coroutine_origin_tracking_saved_depth",
        "_csock",
        "_default_executor",
        "_exception_handler",
        "_executor_shutdown_called",
        "_old_agen_hooks",
        "_room",  # TLS in C keeps it here
        "_scheduled",
        "_signal_handlers",
        "_ssock",
        "_timer_cancelled_count",
        "_transports",
        "_unix_server_sockets",
        "_wakeup_taken",  # Python's wake-up fd may be ours
        "_watcher",
    )

    def __init__(self, selector: object = None) -> None:
        """Make a loop. A selector, as asyncio's takes it, has no effect."""
        self._asyncgens = weakref.WeakSet()
        self._asyncgens_shutdown_called = False
        self._clock_resolution = 1e-9
        self._coroutine_origin_tracking_enabled = False
        self._coroutine_origin_tracking_saved_depth = None
        self._csock = self._ssock = None
        self._default_executor = None
        self._exception_handler = None
        self._executor_shutdown_called = False
        self._old_agen_hooks = None
        self._scheduled: list[object] = []  # timers are in C
        self._signal_handlers = {}
        self._timer_cancelled_count = 0
        self._transports = weakref.WeakValueDictionary()
        self._unix_server_sockets = {}
        self._wakeup_taken = False
        self._watcher = _children.make_watcher()
        self.set_debug(coroutines._is_debug_mode())
        _fork.loops.add(self)

    # --- Running ------------------------------------------------------------

    def run_forever(self) -> None:
        """Run until stop() is called. RuntimeError if closed, or if a loop runs here."""
        self._check_closed()
        self._check_running()
        hooks = sys.get_asyncgen_hooks()
        try:
            self._set_coroutine_origin_tracking(self._debug)
            self._take_wakeup_fd()
            sys.set_asyncgen_hooks(
                firstiter=self._asyncgen_firstiter_hook,
                finalizer=self._asyncgen_finalizer_hook,
            )
            self._run()
        finally:
            self._stopping = False
            self._set_coroutine_origin_tracking(False)
            sys.set_asyncgen_hooks(*hooks)
            self._return_wakeup_fd()

    def _take_wakeup_fd(self) -> None:
        """Let signals wake the main thread's loop."""
        if threading.current_thread() is not threading.main_thread():
            return
        try:
            if self._csock is None:
                self._make_self_pipe()
            ours = self._csock.fileno()
            self._wakeup_taken = True  # a Ctrl-C may come next
            before = signal.set_wakeup_fd(ours, warn_on_full_buffer=False)
        except OSError:  # no free descriptor: most signals end a wait even so
            self._close_self_pipe()
        except ValueError:  # in a sub-interpreter: the main one has the signals
            self._wakeup_taken = False
        else:
            if before not in (-1, ours):
                signal.set_wakeup_fd(before)  # somebody else's, whom we leave alone
                self._wakeup_taken = False

    def _return_wakeup_fd(self) -> None:
        """After a run: the loop's handlers hear of signals also between two runs."""
        if not self._wakeup_taken:
            return
        ours = -1 if self._csock is None else self._csock.fileno()
        with contextlib.suppress(ValueError, OSError):
            now = signal.set_wakeup_fd(ours if self._signal_handlers else -1)
            if now != ours:
                signal.set_wakeup_fd(now)  # the program has set it meanwhile
        self._wakeup_taken = False

    def _process_events(self, event_list: object) -> None:
        """For those who turn the loop themselves: select() has done it."""

    # --- Children -----------------------------------------------------------

    async def _make_subprocess_transport(
        self, protocol, args, shell, stdin, stdout, stderr, bufsize, extra=None, **kwargs
    ):
        given = protocol, args, shell, stdin, stdout, stderr, bufsize, extra
        if _children.has_own_watcher(self):
            return await super()._make_subprocess_transport(*given, **kwargs)
        return await _children.make_subprocess_transport(self, *given, **kwargs)

    # --- Signals ------------------------------------------------------------

    def add_signal_handler(self, sig, callback, *args):
        """Add a handler for a signal: see asyncio.loop.add_signal_handler."""
        if self._csock is None and not self.is_closed():
            self._make_self_pipe()
        super().add_signal_handler(sig, callback, *args)

    def _add_callback_signalsafe(self, handle):
        self.call_soon_threadsafe(handle._run)

    def _add_callback(self, handle):
        self.call_soon(handle._run)

    def _write_to_self(self):
        """Nobody needs to be woken that way."""

    # --- Closing ------------------------------------------------------------

    def _close_self_pipe(self) -> None:
        self._return_wakeup_fd()
        if self._csock is not None:
            super()._close_self_pipe()

    # --- Files --------------------------------------------------------------

    async def _sendfile_native(self, transp, file, offset, count):
        """Send a file past a transport that has nothing buffered."""
        if not isinstance(transp, _core.SocketTransport):
            return await super()._sendfile_native(transp, file, offset, count)
        reading = transp.is_reading()
        transp.pause_reading()
        await transp._make_empty_waiter()
        try:
            with _duplicate(transp._sock) as sock:  # its own fd is watched already
                return await self.sock_sendfile(sock, file, offset, count, fallback=False)
        finally:
            transp._reset_empty_waiter()
            if reading:
                transp.resume_reading()

    # --- TLS ----------------------------------------------------------------

    def _make_ssl_transport(
        self,
        rawsock,
        protocol,
        sslcontext,
        waiter=None,
        *,
        server_side=False,
        server_hostname=None,
        extra=None,
        server=None,
        ssl_handshake_timeout=None,
        ssl_shutdown_timeout=None,
    ):
        from rota import _tls

        ssl_protocol = _tls.SSLProtocol(
            self,
            protocol,
            sslcontext,
            waiter,
            server_side,
            server_hostname,
            ssl_handshake_timeout=ssl_handshake_timeout,
            ssl_shutdown_timeout=ssl_shutdown_timeout,
        )
        self._make_socket_transport(
            rawsock, ssl_protocol, extra=extra, server=server
        )
        return ssl_protocol._app_transport

    async def start_tls(
        self,
        transport,
        protocol,
        sslcontext,
        *,
        server_side=False,
        server_hostname=None,
        ssl_handshake_timeout=None,
        ssl_shutdown_timeout=None,
    ):
        """Upgrade a transport to TLS: see asyncio.loop.start_tls."""
        from rota import _tls

        return await _tls.start_tls(
            self,
            transport,
            protocol,
            sslcontext,
            server_side=server_side,
            server_hostname=server_hostname,
            ssl_handshake_timeout=ssl_handshake_timeout,
            ssl_shutdown_timeout=ssl_shutdown_timeout,
        )


def _duplicate(sock):
    try:
        return sock.dup()
    except OSError as exc:  # no free descriptor: then by read and write
        raise exceptions.SendfileNotAvailableError(str(exc)) from exc


_core.SocketTransport._sendfile_compatible = constants._SendfileMode.TRY_NATIVE
_core.SocketTransport._start_tls_compatible = True
