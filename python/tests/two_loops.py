# SPDX-License-Identifier: MIT
"""
What the tests share: protocols that write down what happens to them, and
connections to a peer that is an ordinary blocking or raw socket.
"""

import asyncio
import contextlib
import os
import socket
import sys
import time

import pytest

SLOWNESS = float(os.environ.get('ROTA_TEST_SLOWNESS') or 1)
UNDER = os.environ.get('ROTA_TEST_UNDER')

# It has no pidfds, hears of no ignored SIGCHLD, and needs descriptors itself.
not_under_valgrind = pytest.mark.skipif(
    UNDER == 'valgrind', reason='valgrind is another system')

since = {version: pytest.mark.skipif(
    sys.version_info < version, reason=f'since {version}')
    for version in [(3, 12), (3, 13), (3, 14)]}
before = {version: pytest.mark.skipif(
    sys.version_info >= version, reason=f'before {version}')
    for version in [(3, 12), (3, 13), (3, 14)]}


class Written(asyncio.Protocol):
    """Writes down each call, in order, as `log`."""

    def __init__(self, keep_open=None):
        self.log = []
        self.data = b''
        self.keep_open = keep_open
        self.transport = None
        self.lost = asyncio.get_running_loop().create_future()
        self.got_eof = asyncio.get_running_loop().create_future()
        self._waits = []

    def connection_made(self, transport):
        self.transport = transport
        self.log.append('made')

    def data_received(self, data):
        assert type(data) is bytes
        self.data += data
        if not self.log[-1].startswith('data'):
            self.log.append('data')
        self._wake()

    def eof_received(self):
        self.log.append('eof')
        self.got_eof.set_result(None)
        return self.keep_open

    def pause_writing(self):
        self.log.append('pause')

    def resume_writing(self):
        self.log.append('resume')

    def connection_lost(self, exc):
        self.log.append('lost' if exc is None else f'lost {exc!r}')
        self.lost.set_result(exc)

    async def received(self, size):
        """The first `size` bytes, when there are as many."""
        if len(self.data) < size:
            wait = size, asyncio.get_running_loop().create_future()
            self._waits.append(wait)
            await wait[1]
        return self.data[:size]

    def _wake(self):
        for size, future in self._waits:
            if len(self.data) >= size and not future.done():
                future.set_result(None)


class WrittenBuffered(Written, asyncio.BufferedProtocol):
    """The same for one that lends its buffer."""

    def __init__(self, size=65536, keep_open=None):
        super().__init__(keep_open)
        self.buffer = bytearray(size)
        self.hints = []

    def get_buffer(self, sizehint):
        self.hints.append(sizehint)
        return memoryview(self.buffer)

    def buffer_updated(self, nbytes):
        assert type(nbytes) is int
        Written.data_received(self, bytes(self.buffer[:nbytes]))


class WrittenDatagrams(asyncio.DatagramProtocol):
    """What a datagram protocol is told."""

    def __init__(self):
        self.log = []
        self.lost = asyncio.get_running_loop().create_future()
        self._news = asyncio.Event()

    def connection_made(self, transport):
        self.transport = transport
        self.log.append('made')

    def datagram_received(self, data, addr):
        self.log.append((data, addr))
        self._news.set()

    def error_received(self, exc):
        self.log.append(exc)
        self._news.set()

    def pause_writing(self):
        self.log.append('pause')

    def resume_writing(self):
        self.log.append('resume')

    def connection_lost(self, exc):
        self.log.append('lost')
        self.lost.set_result(exc)

    async def entries(self, count):
        while len(self.log) < count:
            self._news.clear()
            await self._news.wait()
        return self.log


def stream_pair(kind='tcp'):
    """Two connected sockets, as from socketpair()."""
    if kind == 'unix':
        return socket.socketpair()
    with socket.create_server(('127.0.0.1', 0)) as listener:
        one = socket.create_connection(listener.getsockname())
        other, _ = listener.accept()
    return one, other


@contextlib.asynccontextmanager
async def connected(loop, factory=Written, kind='tcp'):
    """
    (transport, protocol, peer): the peer is a non-blocking socket.
    At the end the transport is aborted, unless it is closing.
    """
    sock, peer = stream_pair(kind)
    peer.setblocking(False)
    with peer:
        transport, protocol = await loop.create_connection(factory, sock=sock)
        try:
            yield transport, protocol, peer
        finally:
            if not transport.is_closing():
                transport.abort()
            await turns(3)


async def turns(count=1):
    for _ in range(count):
        await asyncio.sleep(0)


async def eventually(condition):
    """Until the condition holds; the test's limit ends what never does."""
    while not condition():
        await asyncio.sleep(0.001)


async def descriptors_are(count):
    """Until no more are open: what others close is closed."""
    await eventually(lambda: len(os.listdir('/proc/self/fd')) <= count)


def narrow(*socks):
    """Small kernel buffers: writing goes in many pieces."""
    for sock in socks:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)


async def read_all(loop, sock):
    """What comes until the end."""
    parts = []
    while part := await loop.sock_recv(sock, 1 << 16):
        parts.append(part)
    return b''.join(parts)


class Elapsed:
    def __enter__(self):
        self.start = time.monotonic()
        return self

    def __exit__(self, *exc):
        self.seconds = time.monotonic() - self.start


def raised(function, *args, **kwargs):
    """The exception of a call, as (type, text)."""
    try:
        function(*args, **kwargs)
    except BaseException as exc:
        return type(exc), str(exc)
    pytest.fail('nothing was raised')


async def araised(awaitable):
    """The same for what is awaited."""
    try:
        await awaitable
    except BaseException as exc:
        return type(exc), str(exc)
    pytest.fail('nothing was raised')


def handler_contexts(loop):
    """What the loop's exception handler is told, from now on."""
    contexts = []
    loop.set_exception_handler(lambda _, context: contexts.append(context))
    return contexts
