# SPDX-License-Identifier: MIT
"""
How stream connections end: close, abort, half-closed peers, resets, writes
that come too late, errors in a protocol's callbacks.
"""

import asyncio
import errno
import gc
import socket
import struct
import sys
import weakref

import pytest
from two_loops import (Written, WrittenBuffered, connected, handler_contexts,
                       raised, read_all, stream_pair, turns)

BOTH = pytest.mark.parametrize('factory', [Written, WrittenBuffered])
LARGE = bytes(1 << 22)
TOO_LATE = 'socket.send() raised exception.'


def reset(sock):
    """Closes with RST instead of FIN."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                    struct.pack('ii', 1, 0))
    sock.close()


# Closing


@BOTH
async def test_close_tells_the_protocol_in_the_next_turn(loop, factory):
    async with connected(loop, factory) as (transport, protocol, peer):
        assert transport.is_closing() is False
        assert transport.close() is None
        assert transport.is_closing() is True
        assert protocol.log == ['made']
        transport.close()
        transport.abort()
        await turns(1)
        assert protocol.log == ['made', 'lost']
        assert protocol.lost.result() is None
        assert await loop.sock_recv(peer, 10) == b''
        transport.close()
        assert transport.is_closing() is True
        await turns(2)
        assert protocol.log == ['made', 'lost']


async def test_close_sends_what_was_written(loop):
    async with connected(loop) as (transport, protocol, peer):
        transport.write(LARGE)
        transport.write(b'end')
        transport.close()
        assert await read_all(loop, peer) == LARGE + b'end'
        assert await protocol.lost is None
        assert protocol.log[-1] == 'lost'


@BOTH
async def test_nothing_is_received_after_close(loop, factory):
    async with connected(loop, factory) as (transport, protocol, peer):
        transport.write(LARGE)
        peer.send(b'unread')
        transport.close()
        await turns(5)
        assert protocol.data == b''
        assert transport.is_reading() is False
        transport.abort()
        await protocol.lost


async def test_abort_drops_what_is_queued(loop):
    async with connected(loop) as (transport, protocol, peer):
        transport.write(LARGE)
        assert transport.get_write_buffer_size() > 0
        assert transport.abort() is None
        assert transport.get_write_buffer_size() == 0
        assert transport.is_closing()
        log = protocol.log[:]
        await turns(1)
        assert protocol.log == log + ['lost']
        transport.abort()


async def test_abort_after_close_with_data_queued(loop):
    async with connected(loop) as (transport, protocol, peer):
        transport.write(LARGE)
        transport.close()
        await turns(2)
        assert not protocol.lost.done()
        transport.abort()
        assert await protocol.lost is None


async def test_close_in_connection_made(loop):
    class Closes(Written):
        def connection_made(self, transport):
            super().connection_made(transport)
            transport.close()

    async with connected(loop, Closes) as (transport, protocol, peer):
        await protocol.lost
        assert protocol.log == ['made', 'lost']
        assert await loop.sock_recv(peer, 10) == b''


@BOTH
@pytest.mark.parametrize('name', ['close', 'abort'])
async def test_an_end_in_the_reading_callback(loop, factory, name):
    class Ends(factory):
        def data_received(self, data):
            super().data_received(data)
            getattr(self.transport, name)()

        def buffer_updated(self, nbytes):
            super().buffer_updated(nbytes)
            getattr(self.transport, name)()

    async with connected(loop, Ends) as (transport, protocol, peer):
        peer.send(b'x')
        await protocol.lost
        assert protocol.log == ['made', 'data', 'lost']


async def test_the_socket_is_closed_after_connection_lost(loop):
    class Looks(Written):
        def connection_lost(self, exc):
            self.fd = self.transport.get_extra_info('socket').fileno()
            super().connection_lost(exc)

    async with connected(loop, Looks) as (transport, protocol, peer):
        sock = transport.get_extra_info('socket')
        fd = sock.fileno()
        transport.close()
        await protocol.lost
        assert protocol.fd == fd
        await turns(1)
        assert sock.fileno() == -1
        assert transport.get_extra_info('socket') is sock


async def test_the_protocol_is_let_go(loop):
    one, other = socket.socketpair()
    with other:
        transport, protocol = await loop.create_connection(Written, sock=one)
        ref = weakref.ref(protocol)
        transport.close()
        await protocol.lost
        await turns(2)
        assert transport.get_protocol() is None
        del protocol
        gc.collect()
        assert ref() is None


# Too late


async def test_writes_after_the_end_are_dropped_and_then_reported(loop, noise):
    async with connected(loop) as (transport, protocol, peer):
        transport.abort()
        for _ in range(4):
            transport.write(b'late')
        assert noise.logged() == []
        transport.write(b'late')
        assert noise.logged() == [TOO_LATE]
        transport.write(b'')
        assert noise.logged() == []
        transport.write(b'late')
        assert noise.logged() == [TOO_LATE]
        await protocol.lost
        transport.write(b'later')
        assert noise.logged() == [TOO_LATE]
        assert transport.get_write_buffer_size() == 0


async def test_writes_after_close_are_dropped(loop):
    async with connected(loop) as (transport, protocol, peer):
        transport.close()
        transport.write(b'late')
        assert await read_all(loop, peer) == b''


async def test_wrong_writes_after_the_end_are_still_refused(loop):
    async with connected(loop) as (transport, protocol, peer):
        transport.abort()
        assert raised(transport.write, 'text')[0] is TypeError


# Half-closed


async def test_write_eof_lets_the_peer_answer(loop):
    async with connected(loop) as (transport, protocol, peer):
        assert transport.can_write_eof() is True
        transport.write(b'question')
        transport.write_eof()
        assert await read_all(loop, peer) == b'question'
        assert transport.is_closing() is False
        await loop.sock_sendall(peer, b'answer')
        assert await protocol.received(6) == b'answer'


async def test_write_eof_comes_after_what_is_queued(loop):
    async with connected(loop) as (transport, protocol, peer):
        transport.write(LARGE)
        transport.write_eof()
        transport.write_eof()
        assert await read_all(loop, peer) == LARGE
        await loop.sock_sendall(peer, b'answer')
        assert await protocol.received(6) == b'answer'


async def test_after_write_eof_nothing_can_be_written(loop):
    async with connected(loop) as (transport, protocol, peer):
        transport.write_eof()
        text = 'Cannot call write() after write_eof()'
        assert raised(transport.write, b'x') == (RuntimeError, text)
        assert raised(transport.write, b'') == (RuntimeError, text)
        kind, _ = raised(transport.writelines, [b'x'])
        assert kind is RuntimeError


async def test_write_eof_after_close_does_nothing(loop):
    async with connected(loop) as (transport, protocol, peer):
        transport.close()
        transport.write_eof()
        await protocol.lost
        transport.write_eof()
        transport.write(b'no error')


@BOTH
@pytest.mark.parametrize('answer', [None, False, 0, ''])
async def test_the_end_of_the_peer_closes_the_transport(loop, factory, answer):
    async with connected(loop, lambda: factory(keep_open=answer)) as (
            transport, protocol, peer):
        peer.send(b'last')
        peer.shutdown(socket.SHUT_WR)
        await protocol.lost
        assert protocol.data == b'last'
        assert protocol.log == ['made', 'data', 'eof', 'lost']
        assert transport.is_closing()


@BOTH
@pytest.mark.parametrize('answer', [True, 1, 'yes'])
async def test_a_protocol_may_keep_a_half_closed_connection(loop, factory,
                                                            answer):
    async with connected(loop, lambda: factory(keep_open=answer)) as (
            transport, protocol, peer):
        peer.shutdown(socket.SHUT_WR)
        await protocol.got_eof
        await turns(5)
        assert protocol.log == ['made', 'eof']
        assert transport.is_closing() is False
        transport.write(LARGE)
        transport.write(b'still open')
        transport.close()
        assert await read_all(loop, peer) == LARGE + b'still open'
        await protocol.lost
        assert [e for e in protocol.log if e not in ('pause', 'resume')] == [
            'made', 'eof', 'lost']


async def test_what_was_written_before_the_end_of_the_peer_is_sent(loop):
    async with connected(loop) as (transport, protocol, peer):
        transport.write(LARGE)
        peer.shutdown(socket.SHUT_WR)
        await protocol.got_eof
        assert transport.is_closing()
        assert await read_all(loop, peer) == LARGE
        await protocol.lost


async def test_both_sides_end(loop):
    async with connected(loop, lambda: Written(keep_open=True)) as (
            transport, protocol, peer):
        transport.write_eof()
        peer.shutdown(socket.SHUT_WR)
        await protocol.got_eof
        await turns(3)
        assert not transport.is_closing()
        transport.close()
        await protocol.lost


async def test_no_eof_is_told_after_close(loop):
    async with connected(loop) as (transport, protocol, peer):
        transport.close()
        peer.close()
        await protocol.lost
        await turns(3)
        assert protocol.log == ['made', 'lost']


# Errors


@BOTH
async def test_a_reset_while_reading(loop, factory):
    async with connected(loop, factory) as (transport, protocol, peer):
        reset(peer)
        exc = await protocol.lost
        assert type(exc) is ConnectionResetError
        assert exc.errno == errno.ECONNRESET
        assert protocol.log == ['made', f'lost {exc!r}']
        assert transport.is_closing()


async def test_a_reset_while_writing(loop):
    async with connected(loop) as (transport, protocol, peer):
        transport.pause_reading()
        transport.write(LARGE)
        reset(peer)
        exc = await protocol.lost
        assert isinstance(exc, (ConnectionResetError, BrokenPipeError))
        assert transport.get_write_buffer_size() == 0


async def test_a_write_to_a_closed_peer(loop, noise):
    async with connected(loop, lambda: Written(True), 'unix') as (
            transport, protocol, peer):
        peer.close()
        await protocol.got_eof
        transport.write(b'nobody')
        await turns(1)
        exc = await protocol.lost
        assert type(exc) is BrokenPipeError
        assert exc.errno == errno.EPIPE
        for _ in range(3):
            transport.write(b'late')
        assert noise.logged() in ([], [TOO_LATE])


async def test_in_debug_mode_such_errors_are_logged(loop, noise):
    import logging
    loop.set_debug(True)
    async with connected(loop) as (transport, protocol, peer):
        noise.logged()
        reset(peer)
        await protocol.lost
        lines = noise.logged(logging.DEBUG)
        assert any(line.endswith(': Fatal read error on socket transport')
                   for line in lines)


CALLBACKS = {
    'data_received': Written, 'eof_received': Written,
    'get_buffer': WrittenBuffered, 'buffer_updated': WrittenBuffered}


def failing(name, exc, base=None):
    class Fails(base or CALLBACKS[name]):
        pass

    def fail(self, *args):
        raise exc

    setattr(Fails, name, fail)
    return Fails


@pytest.mark.parametrize('name', CALLBACKS)
async def test_a_callback_that_raises_ends_the_connection(loop, name):
    contexts = handler_contexts(loop)
    error = KeyError(name)
    async with connected(loop, failing(name, error)) as (
            transport, protocol, peer):
        if name == 'eof_received':
            peer.shutdown(socket.SHUT_WR)
        else:
            peer.send(b'x')
        assert await protocol.lost is error
        context, = contexts
        assert context == {
            'message': f'Fatal error: protocol.{name}() call failed.',
            'exception': error, 'transport': transport, 'protocol': protocol}
        assert transport.is_closing()


@pytest.mark.parametrize('name', CALLBACKS)
async def test_an_oserror_of_a_callback_is_not_reported(loop, name):
    error = OSError(5, name)
    async with connected(loop, failing(name, error)) as (
            transport, protocol, peer):
        peer.send(b'x')
        peer.shutdown(socket.SHUT_WR)
        assert await protocol.lost is error


@pytest.mark.parametrize('name', CALLBACKS)
def test_an_interrupt_in_a_callback_leaves_the_run(loop, name):
    async def begin():
        context = connected(loop, failing(name, KeyboardInterrupt(name)))
        transport, protocol, peer = await context.__aenter__()
        return context, protocol, peer

    async def end(context):
        await context.__aexit__(None, None, None)

    context, protocol, peer = loop.run_until_complete(begin())
    peer.send(b'x')
    peer.shutdown(socket.SHUT_WR)
    assert raised(loop.run_until_complete, asyncio.sleep(10)) == (
        KeyboardInterrupt, name)
    setattr(type(protocol), name, getattr(CALLBACKS[name], name))
    loop.run_until_complete(end(context))
    assert protocol.log[-1].startswith('lost')


async def test_a_buffer_without_room_is_an_error(loop):
    contexts = handler_contexts(loop)
    async with connected(loop, lambda: WrittenBuffered(0)) as (
            transport, protocol, peer):
        peer.send(b'x')
        exc = await protocol.lost
        assert repr(exc) == (
            "RuntimeError('get_buffer() returned an empty buffer')")
        context, = contexts
        assert context['message'] == (
            'Fatal error: protocol.get_buffer() call failed.')


@pytest.mark.parametrize('buffer', [None, b'cannot be written', 5])
async def test_what_is_no_buffer_is_an_error(loop, buffer):
    class Lender(WrittenBuffered):
        def get_buffer(self, sizehint):
            return buffer

    contexts = handler_contexts(loop)
    async with connected(loop, Lender) as (transport, protocol, peer):
        peer.send(b'x')
        assert type(await protocol.lost) is TypeError
        context, = contexts
        assert context['message'].startswith('Fatal ')


async def test_connection_made_that_raises_is_reported(loop):
    class Fails(Written):
        def connection_made(self, transport):
            super().connection_made(transport)
            raise KeyError('made')

    contexts = handler_contexts(loop)
    async with connected(loop, Fails) as (transport, protocol, peer):
        context, = contexts
        assert isinstance(context['exception'], KeyError)
        assert context['message'].startswith('Exception in callback ')
        assert 'Fails.connection_made(' in context['message']
        peer.send(b'goes on')
        assert await protocol.received(7) == b'goes on'


async def test_connection_lost_that_raises_is_reported(loop):
    class Fails(Written):
        def connection_lost(self, exc):
            super().connection_lost(exc)
            raise KeyError('lost')

    contexts = handler_contexts(loop)
    async with connected(loop, Fails) as (transport, protocol, peer):
        sock = transport.get_extra_info('socket')
        transport.close()
        await protocol.lost
        await turns(1)
        context, = contexts
        assert isinstance(context['exception'], KeyError)
        assert context['message'].startswith('Exception in callback ')
        assert sock.fileno() == -1


async def test_a_factory_that_raises(loop):
    one, other = stream_pair()
    with one, other:
        def fail():
            raise KeyError('factory')

        with pytest.raises(KeyError):
            await loop.create_connection(fail, sock=one)
        assert (one.fileno() == -1) == (sys.version_info >= (3, 14))


# Forgotten


async def test_a_forgotten_transport_warns_and_closes_its_socket(loop, noise):
    one, other = socket.socketpair()
    with other:
        transport, protocol = await loop.create_connection(Written, sock=one)
        transport.pause_reading()  # the loop holds it no longer
        text = repr(transport)
        ref = weakref.ref(transport)
        protocol.transport = None
        del transport, protocol, one
        gc.collect()
        assert ref() is None
        assert (ResourceWarning,
                f'unclosed transport {text}') in noise.warnings()
        assert other.recv(10) == b''


async def test_a_transport_that_reads_is_kept_by_the_loop(loop):
    one, other = socket.socketpair()
    with other:
        other.setblocking(False)
        transport, protocol = await loop.create_connection(Written, sock=one)
        protocol.transport = None
        ref = weakref.ref(transport)
        del transport
        gc.collect()
        assert ref() is not None
        other.close()
        await protocol.lost


def test_a_loop_closed_with_transports_open(new_loop, noise):
    loop = new_loop()
    one, other = socket.socketpair()
    with other:
        async def body():
            transport, protocol = await loop.create_connection(
                Written, sock=one)
            transport.write(LARGE)
            return weakref.ref(transport), protocol

        ref, protocol = loop.run_until_complete(body())
        loop.close()
        assert protocol.log[:1] == ['made'] and 'lost' not in protocol.log
        del protocol
        gc.collect()
        assert ref() is None
        assert any(text.startswith('unclosed transport <')
                   for text in noise.warned())
        while other.recv(1 << 20):
            pass
