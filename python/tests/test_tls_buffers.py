# SPDX-License-Identifier: MIT
"""
TLS and strange buffers: what is written, and what is lent to be read into.
"""

import ssl

import pytest
from test_tls import tls_pair, told
from test_tls_odd import LARGE, messages
from two_loops import Written, WrittenBuffered, handler_contexts, raised


# Written


async def test_a_view_of_wide_items(loop, new_loop):
    if new_loop.name == 'asyncio':
        pytest.skip('asyncio counts items as bytes')
    async with tls_pair(loop) as (transport, one, other):
        transport.write(memoryview(LARGE).cast('I'))
        transport.writelines([memoryview(LARGE).cast('I'), b'end'])
        assert await other.received(2 * len(LARGE) + 3) == (
            LARGE + LARGE + b'end')


async def test_a_view_with_gaps(loop):
    contexts = handler_contexts(loop)
    async with tls_pair(loop) as (transport, one, other):
        transport.write(memoryview(b'abcd')[::2])
        assert type(await one.lost) is BufferError
    assert messages(contexts) == [
        ('Fatal error on SSL protocol', BufferError)]


@pytest.mark.parametrize('words', [['x'], [b'words', [1, 2]]])
async def test_a_line_that_is_no_buffer_ends_it(loop, words):
    contexts = handler_contexts(loop)
    async with tls_pair(loop) as (transport, one, other):
        transport.writelines(words)
        kind = type(words[-1]).__name__
        exception = await one.lost
        assert (type(exception), str(exception)) == (
            TypeError, f"a bytes-like object is required, not '{kind}'")
    assert messages(contexts) == [
        ('Fatal error on SSL protocol', TypeError)]
    assert other.data == b''


async def test_a_line_without_a_length_is_refused(loop):
    async with tls_pair(loop) as (transport, one, other):
        assert raised(transport.writelines, [5]) == (
            TypeError, "object of type 'int' has no len()")
        assert not transport.is_closing()


async def test_lines_before_the_handshake_fail_after_it(loop):
    class Early(Written):
        def connection_made(self, transport):
            super().connection_made(transport)
            protocol = transport._ssl_protocol
            state, protocol._state = (
                protocol._state, type(protocol._state).DO_HANDSHAKE)
            transport.writelines(['x'])
            protocol._state = state

    contexts = handler_contexts(loop)
    async with tls_pair(loop, server_factory=Early) as (
            transport, one, other):
        assert type(await other.lost) is TypeError
    assert messages(contexts) == [
        ('Fatal error on SSL protocol', TypeError)]


async def test_what_was_written_may_be_changed(loop):
    async with tls_pair(loop) as (transport, one, other):
        data = bytearray(LARGE)
        transport.write(data)
        data[:] = bytes(len(data))
        data.clear()
        assert await other.received(len(LARGE)) == LARGE


async def test_writelines_of_a_generator(loop):
    async with tls_pair(loop) as (transport, one, other):
        transport.writelines(b'%d,' % n for n in range(5))
        transport.writelines([])
        assert await other.received(10) == b'0,1,2,3,4,'
        assert raised(transport.writelines, 5)[0] is TypeError


@pytest.mark.parametrize('size', [1023, 1024, 1025, 16384, 16385, 2 ** 20])
async def test_sizes_at_which_something_changes(loop, size):
    data = (LARGE * 5)[:size]
    async with tls_pair(loop) as (transport, one, other):
        transport.write(data)
        assert await other.received(size) == data
        other.transport.write(data)
        assert await one.received(size) == data


# Lent


@pytest.mark.parametrize('lent, text', [
    (None, "object of type 'NoneType' has no len()"),
    (b'bytes', 'read() argument 2 must be read-write bytes-like object, '
               'not bytes'),
    (memoryview(bytearray(100))[::2],
     'read() argument 2 must be read-write bytes-like object, '
     'not memoryview')])
async def test_what_cannot_be_lent_ends_it(loop, lent, text):
    class Lends(WrittenBuffered):
        def get_buffer(self, sizehint):
            return lent

    contexts = handler_contexts(loop)
    async with tls_pair(loop, server_factory=Lends) as (
            transport, one, other):
        transport.write(b'x')
        exception = await other.lost
        assert (type(exception), str(exception)) == (TypeError, text)
    assert messages(contexts) == [
        ('Fatal error on SSL protocol', TypeError)]


async def test_an_empty_lent_buffer_is_the_end(loop):
    class LendsNothing(WrittenBuffered):
        def get_buffer(self, sizehint):
            return bytearray()

    async with tls_pair(loop, server_factory=LendsNothing) as (
            transport, one, other):
        transport.write(b'x')
        end = await other.lost  # an error, if it has begun when b'x' comes
        assert end is None or isinstance(end, ssl.SSLError)
        assert told(other)[:2] == ['made', 'eof']
