# SPDX-License-Identifier: MIT
"""
TLS from the first byte: what passes through, handshakes that fail, ends.
"""

import asyncio
import collections
import contextlib
import gc
import logging
import os
import socket
import ssl

import pytest
from certificates import CERTIFICATE, client_context, server_context
from two_loops import (Written, WrittenBuffered, araised, descriptors_are,
                       eventually, handler_contexts, raised, turns)

BOTH = pytest.mark.parametrize('factory', [Written, WrittenBuffered])
LARGE = bytes(range(256)) * 8192
ALIVE = ('pause', 'resume')


def told(protocol):
    return [entry for entry in protocol.log if entry not in ALIVE]


@contextlib.asynccontextmanager
async def tls_pair(loop, factory=Written, server_factory=Written,
                   server_kwargs=None, **kwargs):
    """(client's transport, its protocol, the server's protocol)"""
    kept = []

    def new():
        kept.append(server_factory())
        return kept[-1]

    kwargs.setdefault('ssl', client_context())
    server_kwargs = {'ssl': server_context(), **(server_kwargs or {})}
    server = await loop.create_server(new, '127.0.0.1', 0, **server_kwargs)
    transport = None
    try:
        transport, protocol = await loop.create_connection(
            factory, *server.sockets[0].getsockname(), **kwargs)
        await eventually(lambda: kept and kept[0].log)
        yield transport, protocol, kept[0]
    finally:
        server.close()
        if transport is not None and not transport.is_closing():
            transport.abort()
        for accepted in kept:
            if accepted.transport is not None:
                await accepted.lost
        await turns(5)


# What passes through


@BOTH
async def test_both_sides_talk(loop, factory):
    async with tls_pair(loop, factory, factory) as (transport, one, other):
        assert one.transport is transport
        assert told(one) == ['made'] and told(other) == ['made']
        transport.write(b'hello')
        assert await other.received(5) == b'hello'
        other.transport.write(b'world')
        assert await one.received(5) == b'world'


@BOTH
async def test_megabytes_in_both_directions(loop, factory):
    async with tls_pair(loop, factory, factory) as (transport, one, other):
        transport.write(LARGE)
        other.transport.write(LARGE)
        transport.writelines([LARGE, b'', b'end'])
        assert await one.received(len(LARGE)) == LARGE
        assert await other.received(2 * len(LARGE) + 3) == (
            LARGE + LARGE + b'end')


async def test_many_small_messages(loop):
    class Echo(Written):
        def data_received(self, data):
            self.transport.write(data)

    async with tls_pair(loop, server_factory=Echo) as (transport, one, _):
        sent = b''
        for number in range(300):
            sent += b'%d,' % number
            transport.write(b'%d,' % number)
            if number % 3 == 0:
                assert await one.received(len(sent)) == sent


@pytest.mark.parametrize('kind', [bytes, bytearray, memoryview])
async def test_every_kind_of_buffer_is_written(loop, kind):
    async with tls_pair(loop) as (transport, one, other):
        transport.write(kind(b'data'))
        transport.writelines([kind(b' and'), kind(b' more')])
        assert await other.received(13) == b'data and more'
        transport.write(b'')


async def test_what_is_no_buffer_is_refused(loop):
    async with tls_pair(loop) as (transport, one, other):
        for data, name in ('text', 'str'), (collections.deque(), 'deque'):
            assert raised(transport.write, data) == (
                TypeError,
                f'data: expecting a bytes-like instance, got {name}')


async def test_a_small_lent_buffer(loop):
    async with tls_pair(loop, lambda: WrittenBuffered(7)) as (
            transport, one, other):
        other.transport.write(LARGE[:10000])
        assert await one.received(10000) == LARGE[:10000]


async def test_a_bytearray_may_be_lent(loop, new_loop):
    class Lender(WrittenBuffered):
        def get_buffer(self, sizehint):
            return self.buffer

    if new_loop.name == 'asyncio':
        pytest.skip('asyncio reads into a slice, which is a copy')
    async with tls_pair(loop, Lender) as (transport, one, other):
        other.transport.write(LARGE)
        assert await one.received(len(LARGE)) == LARGE


async def test_writing_in_connection_made(loop):
    class Greets(Written):
        def connection_made(self, transport):
            super().connection_made(transport)
            transport.write(b'hello')

    async with tls_pair(loop, Greets, Greets) as (transport, one, other):
        assert await one.received(5) == b'hello'
        assert await other.received(5) == b'hello'


async def test_a_server_that_greets_and_closes(loop):
    class Greets(Written):
        def connection_made(self, transport):
            super().connection_made(transport)
            transport.write(LARGE)
            transport.close()

    async with tls_pair(loop, server_factory=Greets) as (transport, one, _):
        assert await one.lost is None
        assert one.data == LARGE
        assert told(one) == ['made', 'data', 'eof', 'lost']


async def test_reading_is_paused_and_resumed(loop):
    async with tls_pair(loop) as (transport, one, other):
        assert transport.is_reading() is True
        transport.pause_reading()
        assert transport.is_reading() is False
        other.transport.write(b'waits')
        await asyncio.sleep(0.01)
        assert one.data == b''
        transport.resume_reading()
        assert transport.is_reading() is True
        assert await one.received(5) == b'waits'


async def test_no_byte_is_lost_over_many_pauses(loop):
    class Pauses(Written):
        def data_received(self, data):
            super().data_received(data)
            if self.transport.is_reading():
                self.transport.pause_reading()
                loop.call_soon(self.transport.resume_reading)

    async with tls_pair(loop, Pauses) as (transport, one, other):
        other.transport.write(LARGE)
        assert await one.received(len(LARGE)) == LARGE
        await turns(2)


async def test_flow_control(loop):
    async with tls_pair(loop) as (transport, one, other):
        assert transport.get_write_buffer_limits() == (131072, 524288)
        other.transport.pause_reading()
        while 'pause' not in one.log:
            transport.write(LARGE)
            await turns()
        assert transport.get_write_buffer_size() > 0
        other.transport.resume_reading()
        await eventually(lambda: one.log[-1] == 'resume')
        transport.set_write_buffer_limits(high=1000)
        assert transport.get_write_buffer_limits() == (250, 1000)


# What it tells


async def test_extra_info(loop):
    client, server = client_context(), server_context()
    async with tls_pair(loop, ssl=client, server_kwargs={
            'ssl': server}) as (transport, one, other):
        info = transport.get_extra_info
        assert info('sslcontext') is client
        assert other.transport.get_extra_info('sslcontext') is server
        assert isinstance(info('ssl_object'), ssl.SSLObject)
        assert info('cipher') == info('ssl_object').cipher()
        assert info('compression') is None
        assert info('peercert')['subject'] == ((('commonName',
                                                 'localhost'),),)
        assert other.transport.get_extra_info('peercert') is None
        assert info('peername') == other.transport.get_extra_info('sockname')
        assert info('sockname') == other.transport.get_extra_info('peername')
        assert info('socket').fileno() > 2
        assert info('unknown', 7) == 7
        assert isinstance(transport, asyncio.Transport)
        assert transport.get_protocol() is one
        assert transport.can_write_eof() is False
        assert raised(transport.write_eof)[0] is NotImplementedError


async def test_the_protocol_of_the_application_is_agreed_on(loop):
    async with tls_pair(
            loop, ssl=client_context(alpn=['two', 'one']),
            server_kwargs={'ssl': server_context(alpn=['one', 'three'])}) as (
            transport, one, other):
        for side in (transport, other.transport):
            chosen = side.get_extra_info('ssl_object')
            assert chosen.selected_alpn_protocol() == 'one'


@pytest.mark.parametrize('version', [ssl.TLSVersion.TLSv1_2,
                                     ssl.TLSVersion.TLSv1_3])
async def test_the_versions(loop, version):
    client = client_context()
    client.minimum_version = client.maximum_version = version
    async with tls_pair(loop, ssl=client) as (transport, one, other):
        name = transport.get_extra_info('ssl_object').version()
        assert name.replace('.', '_') == version.name
        transport.write(LARGE)
        assert await other.received(len(LARGE)) == LARGE
        transport.close()
        assert await one.lost is None
        assert await other.lost is None


async def test_the_protocol_is_replaced(loop):
    async with tls_pair(loop) as (transport, one, other):
        second = WrittenBuffered()
        second.log.append('set')
        transport.set_protocol(second)
        assert transport.get_protocol() is second
        other.transport.write(b'x')
        assert await second.received(1) == b'x'
        transport.close()
        await second.lost
        assert told(one) == ['made']


# Ends


@BOTH
async def test_close_tells_both_sides(loop, factory):
    async with tls_pair(loop, factory, factory) as (transport, one, other):
        transport.write(LARGE)
        transport.close()
        assert transport.is_closing() is True
        assert await other.lost is None
        assert await one.lost is None
        assert other.data == LARGE
        assert told(other) == ['made', 'data', 'eof', 'lost']
        assert told(one)[-1] == 'lost'
        transport.close()


async def test_abort_ends_at_once(loop):
    async with tls_pair(loop) as (transport, one, other):
        transport.abort()
        assert transport.is_closing() is True
        assert await one.lost is None
        assert told(one) == ['made', 'lost']
        await other.lost
        assert told(other)[0] == 'made'  # the rest is up to the network


async def test_writing_after_the_end(loop, noise):
    async with tls_pair(loop) as (transport, one, other):
        transport.abort()
        await one.lost
        for _ in range(10):
            transport.write(b'late')
        assert 'SSL connection is closed' in noise.logged()


async def test_a_half_closed_tls_connection_is_not_kept(loop, noise):
    async with tls_pair(loop, server_factory=lambda: Written(True)) as (
            transport, one, other):
        transport.close()
        await other.lost
        assert noise.logged() == ['returning true from eof_received() has no '
                                  'effect when using ssl']


async def test_a_peer_that_does_not_answer_the_end(loop):
    """It shakes hands, in a thread, and then does nothing."""
    with socket.create_server(('127.0.0.1', 0)) as listener:
        def peer():
            conn, _ = listener.accept()
            return server_context().wrap_socket(conn, server_side=True)

        future = loop.run_in_executor(None, peer)
        transport, protocol = await loop.create_connection(
            Written, *listener.getsockname(), ssl=client_context(),
            ssl_shutdown_timeout=0.02)
        with await future:
            transport.close()
            exc = await protocol.lost
            assert isinstance(exc, TimeoutError)
            assert str(exc) == 'SSL shutdown timed out'
    await loop.shutdown_default_executor()


async def test_a_peer_that_ends_without_saying_so(loop):
    with socket.create_server(('127.0.0.1', 0)) as listener:
        def peer():
            conn, _ = listener.accept()
            conn = server_context().wrap_socket(conn, server_side=True)
            conn.send(b'half')
            conn.recv(10)
            socket.socket(fileno=conn.detach()).close()

        future = loop.run_in_executor(None, peer)
        transport, protocol = await loop.create_connection(
            Written, *listener.getsockname(), ssl=client_context())
        assert await protocol.received(4) == b'half'
        transport.write(b'go on')
        await future
        await protocol.lost
        assert told(protocol)[:2] == ['made', 'data']
    await loop.shutdown_default_executor()


# Handshakes that fail


async def test_a_certificate_that_is_not_trusted(loop):
    kept = []
    count = len(os.listdir('/proc/self/fd'))

    def factory():
        kept.append(Written())
        return kept[-1]

    server = await loop.create_server(factory, '127.0.0.1', 0,
                                      ssl=server_context())
    with pytest.raises(ssl.SSLCertVerificationError) as info:
        await loop.create_connection(
            Written, *server.sockets[0].getsockname(),
            ssl=client_context(trust=False))
    assert info.value.verify_code == 18
    assert kept and kept[0].log == []
    server.close()
    await descriptors_are(count)


async def test_a_certificate_of_another_name(loop):
    count = len(os.listdir('/proc/self/fd'))
    server = await loop.create_server(Written, '127.0.0.1', 0,
                                      ssl=server_context())
    address = server.sockets[0].getsockname()
    with pytest.raises(ssl.SSLCertVerificationError) as info:
        await loop.create_connection(Written, *address, ssl=client_context(),
                                     server_hostname='example.org')
    assert 'Hostname mismatch' in str(info.value)
    server.close()
    await descriptors_are(count)


async def test_a_peer_that_does_not_speak_tls(loop):
    class Junk(Written):
        def connection_made(self, transport):
            super().connection_made(transport)
            transport.write(b'this is no TLS\n' * 10)

    kept = []
    server = await loop.create_server(
        lambda: kept.append(Junk()) or kept[-1], '127.0.0.1', 0)
    with pytest.raises(ssl.SSLError) as info:
        await loop.create_connection(
            Written, *server.sockets[0].getsockname(), ssl=client_context())
    assert info.value.reason == 'WRONG_VERSION_NUMBER'
    await kept[0].lost
    server.close()


async def test_a_client_that_does_not_speak_tls(loop):
    contexts = handler_contexts(loop)
    server = await loop.create_server(Written, '127.0.0.1', 0,
                                      ssl=server_context())
    transport, protocol = await loop.create_connection(
        Written, *server.sockets[0].getsockname())
    transport.write(b'this is no TLS\n' * 10)
    await protocol.lost
    assert contexts == []
    server.close()
    await turns(5)


async def test_a_peer_that_says_nothing(loop):
    with socket.create_server(('127.0.0.1', 0)) as listener:
        kind, text = await araised(loop.create_connection(
            Written, *listener.getsockname(), ssl=client_context(),
            ssl_handshake_timeout=0.02))
        assert kind is ConnectionAbortedError
        assert text == ('SSL handshake is taking longer than 0.02 seconds: '
                        'aborting the connection')
        await turns(3)


async def test_a_peer_that_hangs_up(loop):
    kept = []

    class HangsUp(Written):
        def connection_made(self, transport):
            super().connection_made(transport)
            kept.append(self)
            transport.close()

    server = await loop.create_server(HangsUp, '127.0.0.1', 0)
    kind, _ = await araised(loop.create_connection(
        Written, *server.sockets[0].getsockname(), ssl=client_context()))
    assert issubclass(kind, (ConnectionResetError, ssl.SSLError))
    await kept[0].lost
    server.close()
    await turns(3)


@pytest.mark.parametrize('count', range(0, 16, 3))
async def test_a_handshake_that_is_cancelled(loop, count):
    with socket.create_server(('127.0.0.1', 0)) as listener:
        task = loop.create_task(loop.create_connection(
            Written, *listener.getsockname(), ssl=client_context()))
        await turns(count)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await turns(5)
    gc.collect()


@pytest.mark.parametrize('timeout', [0, -1])
@pytest.mark.parametrize('name', ['ssl_handshake_timeout',
                                  'ssl_shutdown_timeout'])
async def test_timeouts_must_be_positive(loop, name, timeout):
    one, other = socket.socketpair()
    with one, other:
        assert await araised(loop.create_connection(
            Written, sock=one, ssl=client_context(),
            server_hostname='localhost', **{name: timeout})) == (
            ValueError, f'{name} should be a positive number, got {timeout}')


# Callbacks that raise


@pytest.mark.parametrize('name, base', [
    ('data_received', Written), ('get_buffer', WrittenBuffered),
    ('buffer_updated', WrittenBuffered)])
async def test_a_callback_that_raises_ends_the_connection(loop, name, base):
    contexts = handler_contexts(loop)
    error = KeyError(name)

    class Fails(base):
        pass

    def fail(self, *args):
        if self.armed:
            raise error
        return getattr(super(Fails, self), name)(*args)

    Fails.armed = False
    setattr(Fails, name, fail)
    async with tls_pair(loop, Fails) as (transport, one, other):
        Fails.armed = True
        other.transport.write(b'x')
        assert await one.lost is error
        assert contexts[0]['exception'] is error
        assert contexts[0]['message'].startswith('Fatal error')


async def test_eof_received_that_raises(loop):
    contexts = handler_contexts(loop)

    class Fails(Written):
        def eof_received(self):
            raise KeyError('eof')

    async with tls_pair(loop, Fails) as (transport, one, other):
        other.transport.close()
        await one.lost
        assert contexts[0]['message'] == 'Error calling eof_received()'


async def test_connection_lost_that_raises(loop):
    contexts = handler_contexts(loop)

    class Fails(Written):
        def connection_lost(self, exc):
            super().connection_lost(exc)
            raise KeyError('lost')

    async with tls_pair(loop, Fails) as (transport, one, other):
        transport.abort()
        await one.lost
        await turns(2)
        assert isinstance(contexts[0]['exception'], KeyError)
        assert contexts[0]['message'].startswith('Exception in callback ')


# Other ways to it


async def test_accepted_sockets(loop):
    with socket.create_server(('127.0.0.1', 0)) as listener:
        client = loop.create_task(loop.create_connection(
            Written, *listener.getsockname(), ssl=client_context()))
        await turns(3)
        conn, _ = listener.accept()
        transport, protocol = await loop.connect_accepted_socket(
            Written, conn, ssl=server_context())
        other, peer = await client
        assert transport.get_protocol() is protocol
        other.write(b'x')
        assert await protocol.received(1) == b'x'
        other.close()
        await protocol.lost
        await peer.lost
        await turns(2)


async def test_unix_sockets(loop, tmp_path):
    path = tmp_path / 'sock'
    kept = []
    server = await loop.create_unix_server(
        lambda: kept.append(Written()) or kept[-1], path,
        ssl=server_context())
    transport, protocol = await loop.create_unix_connection(
        Written, path, ssl=client_context(), server_hostname='localhost')
    transport.write(b'x')
    await eventually(lambda: kept and kept[0].data)
    transport.close()
    await protocol.lost
    await kept[0].lost
    server.close()
    await turns(2)


async def test_a_file_is_sent(loop, tmp_path):
    path = tmp_path / 'file'
    path.write_bytes(LARGE)
    async with tls_pair(loop) as (transport, one, other):
        with open(path, 'rb') as file:
            assert await loop.sendfile(transport, file) == len(LARGE)
            assert await other.received(len(LARGE)) == LARGE
            kind, _ = await araised(loop.sendfile(transport, file,
                                                  fallback=False))
            assert kind is RuntimeError
    await loop.shutdown_default_executor()


async def test_true_means_the_default_context(loop, monkeypatch):
    monkeypatch.setenv('SSL_CERT_FILE', CERTIFICATE)
    async with tls_pair(loop, ssl=True, server_hostname='localhost') as (
            transport, one, other):
        assert isinstance(transport.get_extra_info('sslcontext'),
                          ssl.SSLContext)


async def test_in_debug_mode_the_handshake_is_logged(loop, noise):
    loop.set_debug(True)
    async with tls_pair(loop) as (transport, one, other):
        texts = noise.logged(logging.DEBUG)
        assert any('SSL handshake took ' in text for text in texts)
    noise.logged()
