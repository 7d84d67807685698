# SPDX-License-Identifier: MIT
"""
Flow control of writing: the marks, when the protocol is told, and errors.
"""

import asyncio
import contextlib

import pytest
from two_loops import (Written, connected, eventually, handler_contexts,
                       narrow, raised, turns)

LARGE = bytes(1 << 20)


@contextlib.asynccontextmanager
async def clogged(loop, factory=Written):
    """Connected, and the kernel takes no more."""
    async with connected(loop, factory, 'unix') as (transport, protocol, peer):
        narrow(transport.get_extra_info('socket'))
        high = transport.get_write_buffer_limits()[1]
        transport.set_write_buffer_limits(high=1 << 30)
        transport.write(LARGE)
        while transport.get_write_buffer_size() == 0:
            transport.write(LARGE)
        await turns(3)
        size = transport.get_write_buffer_size()
        assert size > 0
        assert protocol.log == ['made']
        protocol.base = size
        transport.set_write_buffer_limits(high=size + high,
                                          low=size + high // 4)
        yield transport, protocol, peer


async def drain(loop, transport, peer):
    while transport.get_write_buffer_size():
        await loop.sock_recv(peer, 1 << 20)
        await turns()


async def test_the_default_marks(loop):
    async with connected(loop) as (transport, _, peer):
        assert transport.get_write_buffer_limits() == (16384, 65536)
        assert transport.get_write_buffer_size() == 0


@pytest.mark.parametrize('given, expected', [
    ({}, (16384, 65536)), ({'high': 1000}, (250, 1000)),
    ({'low': 1000}, (1000, 4000)), ({'high': 0}, (0, 0)),
    ({'low': 0}, (0, 0)), ({'high': 10, 'low': 10}, (10, 10)),
    ({'high': 10, 'low': 0}, (0, 10)), ({'high': 3}, (0, 3)),
    ({'high': 1 << 40, 'low': 5}, (5, 1 << 40))])
async def test_the_marks_can_be_set(loop, given, expected):
    async with connected(loop) as (transport, _, peer):
        transport.set_write_buffer_limits(**given)
        assert transport.get_write_buffer_limits() == expected
        assert (transport._low_water, transport._high_water) == expected


@pytest.mark.parametrize('high, low', [(1, 2), (-1, None), (5, -1)])
async def test_marks_that_make_no_sense_are_refused(loop, high, low):
    async with connected(loop) as (transport, _, peer):
        shown = high // 4 if low is None else low
        assert raised(transport.set_write_buffer_limits, high, low) == (
            ValueError, f'high ({high!r}) must be >= low ({shown!r}) '
            'must be >= 0')
        assert transport.get_write_buffer_limits() == (16384, 65536)


async def test_the_marks_may_be_given_by_place(loop):
    async with connected(loop) as (transport, _, peer):
        transport.set_write_buffer_limits(100, 10)
        assert transport.get_write_buffer_limits() == (10, 100)


async def test_the_protocol_is_told_above_the_high_mark_and_at_the_low(loop):
    async with clogged(loop) as (transport, protocol, peer):
        base = protocol.base
        transport.write(bytes(65536))
        assert transport.get_write_buffer_size() == base + 65536
        assert protocol.log == ['made']
        transport.write(b'x')
        assert protocol.log == ['made', 'pause']
        transport.write(bytes(100))
        assert protocol.log == ['made', 'pause']
        low = transport.get_write_buffer_limits()[0]
        while transport.get_write_buffer_size() > low:
            assert protocol.log == ['made', 'pause']
            await loop.sock_recv(peer, 4096)
            await turns(2)
        assert protocol.log == ['made', 'pause', 'resume']
        await drain(loop, transport, peer)
        assert protocol.log == ['made', 'pause', 'resume']


async def test_the_size_counts_what_is_not_sent_yet(loop):
    async with clogged(loop) as (transport, protocol, peer):
        base = protocol.base
        transport.write(b'x' * 10)
        transport.writelines([b'y' * 5, b'', bytearray(7)])
        assert transport.get_write_buffer_size() == base + 22
        await drain(loop, transport, peer)
        assert transport.get_write_buffer_size() == 0


async def test_new_marks_tell_a_protocol_that_is_above_them(loop):
    async with clogged(loop) as (transport, protocol, peer):
        transport.set_write_buffer_limits(high=100)
        assert protocol.log == ['made', 'pause']


async def test_higher_marks_resume_nothing_at_once(loop):
    async with clogged(loop) as (transport, protocol, peer):
        transport.set_write_buffer_limits(high=100)
        transport.set_write_buffer_limits(high=1 << 30)
        await turns(2)
        assert protocol.log == ['made', 'pause']
        await loop.sock_recv(peer, 1 << 20)
        await eventually(lambda: protocol.log == ['made', 'pause', 'resume'])


async def test_with_marks_of_zero_each_queued_byte_pauses(loop):
    async with clogged(loop) as (transport, protocol, peer):
        await drain(loop, transport, peer)
        transport.set_write_buffer_limits(high=0)
        assert protocol.log == ['made']
        transport.write(LARGE)
        assert protocol.log == ['made', 'pause']
        await drain(loop, transport, peer)
        assert protocol.log == ['made', 'pause', 'resume']


async def test_many_small_pieces_over_a_mark_of_zero_go_together(loop):
    """Each in a message of its own would fill a Unix socket."""
    async with connected(loop, kind='unix') as (transport, protocol, peer):
        narrow(transport.get_extra_info('socket'))
        transport.set_write_buffer_limits(high=0)
        transport.writelines([b'x'] * 60)
        assert transport.get_write_buffer_size() == 0
        assert protocol.log == ['made']


async def test_a_write_that_the_kernel_takes_pauses_nobody(loop):
    async with connected(loop, kind='unix') as (transport, protocol, peer):
        transport.set_write_buffer_limits(high=0)
        transport.write(b'small')
        await turns(2)
        assert protocol.log == ['made']
        assert transport.get_write_buffer_size() == 0


async def test_writing_in_resume_writing(loop):
    class Refills(Written):
        refills = 3

        def resume_writing(self):
            super().resume_writing()
            if self.refills:
                self.refills -= 1
                self.transport.write(LARGE)

    async with clogged(loop, Refills) as (transport, protocol, peer):
        transport.set_write_buffer_limits(high=1000)
        await drain(loop, transport, peer)
        assert protocol.log == ['made'] + ['pause', 'resume'] * 4


async def test_pause_writing_that_raises(loop):
    class Fails(Written):
        def pause_writing(self):
            super().pause_writing()
            raise KeyError('pause')

    contexts = handler_contexts(loop)
    async with clogged(loop, Fails) as (transport, protocol, peer):
        transport.set_write_buffer_limits(high=100)
        context, = contexts
        assert context['message'] == 'protocol.pause_writing() failed'
        assert isinstance(context['exception'], KeyError)
        assert context['transport'] is transport
        assert context['protocol'] is protocol
        assert set(context) == {'message', 'exception', 'transport',
                                'protocol'}
        assert not transport.is_closing()
        await drain(loop, transport, peer)
        assert protocol.log == ['made', 'pause', 'resume']


async def test_resume_writing_that_raises(loop):
    class Fails(Written):
        def resume_writing(self):
            super().resume_writing()
            raise KeyError('resume')

    contexts = handler_contexts(loop)
    async with clogged(loop, Fails) as (transport, protocol, peer):
        transport.set_write_buffer_limits(high=100)
        await drain(loop, transport, peer)
        context, = contexts
        assert context['message'] == 'protocol.resume_writing() failed'
        assert isinstance(context['exception'], KeyError)
        assert context['transport'] is transport
        assert context['protocol'] is protocol
        assert not transport.is_closing()


async def test_after_an_abort_nothing_is_queued(loop):
    async with clogged(loop) as (transport, protocol, peer):
        transport.set_write_buffer_limits(high=100)
        transport.abort()
        assert transport.get_write_buffer_size() == 0
        assert await protocol.lost is None
        assert protocol.log == ['made', 'pause', 'lost']


async def test_a_close_sends_what_is_queued_first(loop):
    async with clogged(loop) as (transport, protocol, peer):
        size = transport.get_write_buffer_size()
        transport.close()
        assert transport.is_closing()
        assert transport.get_write_buffer_size() == size
        await turns(3)
        assert protocol.log == ['made']
        await drain(loop, transport, peer)
        await protocol.lost
        assert protocol.log == ['made', 'lost']


async def test_drain_of_a_stream_waits_for_the_low_mark(loop):
    class Server(asyncio.StreamReaderProtocol):
        pass

    def factory():
        reader = asyncio.StreamReader()
        return Server(reader)

    async with connected(loop, factory, 'unix') as (transport, protocol, peer):
        narrow(transport.get_extra_info('socket'))
        writer = asyncio.StreamWriter(transport, protocol, None, loop)
        writer.write(LARGE)
        task = loop.create_task(writer.drain())
        await turns(3)
        assert not task.done()
        while not task.done():
            await loop.sock_recv(peer, 1 << 20)
        await task
        assert transport.get_write_buffer_size() <= 16384
