# SPDX-License-Identifier: MIT
# mypy: ignore-errors
"""TLS: what moves data in C, what is cold asyncio's own.

As with the loop, the C class comes first in each class's order: it has the
attributes that asyncio's code reads and writes, and replaces what is called
for each message. How a connection begins, ends and fails is the code of the
running Python's asyncio.
"""

from __future__ import annotations

import ssl
from asyncio import sslproto
from asyncio.streams import StreamReaderProtocol

from rota import _core

_FLUSHING = sslproto.SSLProtocolState.FLUSHING


class SSLTransport(_core.SSLTransport, sslproto._SSLProtocolTransport):
    """The encrypted side of a connection: see asyncio.Transport."""


class SSLProtocol(_core.SSLProtocol, sslproto.SSLProtocol):
    """TLS between a transport and an application's protocol."""

    # asyncio's __init__ makes a buffer of so many bytes; ours is the loop's.
    max_size = 0

    # asyncio's own, for what C leaves to it: an SSLObject of somebody else's,
    # writing to a connection that ends, crossing a limit of flow control.
    _slow_read = sslproto.SSLProtocol._do_read
    _slow_write = sslproto.SSLProtocol._do_write
    _late_write = sslproto.SSLProtocol._write_appdata
    _turn_reading = sslproto.SSLProtocol._control_ssl_reading
    _turn_writing = sslproto.SSLProtocol._control_app_writing

    def __init__(self, *args, **named):
        super().__init__(*args, **named)
        self.max_size = sslproto.SSLProtocol.max_size

    def _get_app_transport(self):
        if self._app_transport is None:
            if self._app_transport_created:
                raise RuntimeError("Creating SSLTransport twice")
            self._app_transport = SSLTransport(self._loop, self)
            self._app_transport_created = True
        return self._app_transport

    # What the peer has sent before its end waits for an application that has
    # paused reading, even in the middle of it; or until that closes.

    def eof_received(self):
        """Return True if the transport must stay open, for what waits."""
        return super().eof_received() or self._state is _FLUSHING

    def _do_flush(self):
        self._do_read()
        waits = self._eof_received and self._app_reading_paused
        if self._state is _FLUSHING and not waits:
            self._end_flush()

    def _start_shutdown(self):
        if self._state is _FLUSHING and self._eof_received:
            if self._app_reading_paused:
                self._do_write()
                self._end_flush()
        else:
            super()._start_shutdown()

    def _end_flush(self):
        self._set_state(sslproto.SSLProtocolState.SHUTDOWN)
        self._do_shutdown()

    def _on_shutdown_complete(self, shutdown_exc):
        if shutdown_exc is None and self._ssl_writing_paused:
            # The last words; a transport that closes will not ask for them.
            self._transport.write(self._outgoing.read())
        super()._on_shutdown_complete(shutdown_exc)

    @property
    def _app_protocol_get_buffer(self):
        return self._app_protocol.get_buffer

    @property
    def _app_protocol_buffer_updated(self):
        return self._app_protocol.buffer_updated


async def start_tls(
    loop,
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
    if not isinstance(sslcontext, ssl.SSLContext):
        raise TypeError(
            "sslcontext is expected to be an instance of ssl.SSLContext, "
            f"got {sslcontext!r}"
        )
    if not getattr(transport, "_start_tls_compatible", False):
        raise TypeError(
            f"transport {transport!r} is not supported by start_tls()"
        )
    waiter = loop.create_future()
    ssl_protocol = SSLProtocol(
        loop,
        protocol,
        sslcontext,
        waiter,
        server_side,
        server_hostname,
        ssl_handshake_timeout=ssl_handshake_timeout,
        ssl_shutdown_timeout=ssl_shutdown_timeout,
        call_connection_made=False,
    )
    transport.pause_reading()  # nothing may come before connection_made()
    if server_side:
        _move_what_was_read(protocol, ssl_protocol)
    transport.set_protocol(ssl_protocol)
    begin = loop.call_soon(ssl_protocol.connection_made, transport)
    resume = loop.call_soon(transport.resume_reading)
    try:
        await waiter
    except BaseException:
        transport.close()
        begin.cancel()
        resume.cancel()
        waiter = None  # no cycle through its exception's traceback
        raise
    return ssl_protocol._app_transport


def _move_what_was_read(protocol, ssl_protocol):
    """A client's first words of TLS may have come before we were asked."""
    if isinstance(protocol, StreamReaderProtocol):
        reader = getattr(protocol, "_stream_reader", None)
        if reader is not None and reader._buffer:
            ssl_protocol._incoming.write(reader._buffer)
            reader._buffer.clear()
