# SPDX-License-Identifier: MIT
"""
connect_read_pipe and connect_write_pipe.
"""

import asyncio
import errno
import gc
import os
import re
import socket

import pytest
from two_loops import Written, araised, handler_contexts, turns

LARGE = bytes(range(256)) * 4096


@pytest.fixture
def pipe():
    """(reading file, writing file), unbuffered"""
    reading, writing = os.pipe()
    with open(reading, 'rb', 0) as one, open(writing, 'wb', 0) as other:
        yield one, other


def lines(protocol):
    return [e for e in protocol.log if e not in ('pause', 'resume')]


async def finish(*transports):
    for transport in transports:
        if not transport.is_closing():
            transport.close()
    await turns(3)


async def test_reading(loop, pipe):
    reading, writing = pipe
    transport, protocol = await loop.connect_read_pipe(Written, reading)
    assert protocol.log == ['made'] and protocol.transport is transport
    assert isinstance(transport, asyncio.ReadTransport)
    assert os.get_blocking(reading.fileno()) is False
    writing.write(b'hello')
    assert await protocol.received(5) == b'hello'
    writing.write(b' again')
    assert await protocol.received(11) == b'hello again'
    writing.close()
    await protocol.lost
    assert protocol.log == ['made', 'data', 'eof', 'lost']
    await turns(1)
    assert reading.closed


async def test_reading_keeps_no_half_closed_pipe(loop, pipe):
    reading, writing = pipe
    transport, protocol = await loop.connect_read_pipe(
        lambda: Written(keep_open=True), reading)
    writing.close()
    await protocol.lost
    assert protocol.log == ['made', 'eof', 'lost']


async def test_writing(loop, pipe):
    reading, writing = pipe
    transport, protocol = await loop.connect_write_pipe(Written, writing)
    assert isinstance(transport, asyncio.WriteTransport)
    assert protocol.log == ['made']
    transport.write(b'bytes ')
    transport.write(bytearray(b'array '))
    transport.write(memoryview(b'view '))
    transport.writelines([b'and ', b'lines'])
    transport.write(b'')
    await turns(2)
    assert reading.read(100) == b'bytes array view and lines'
    transport.close()
    await protocol.lost
    assert protocol.log == ['made', 'lost']
    assert reading.read(1) == b''
    await turns(1)
    assert writing.closed


async def test_a_megabyte_from_end_to_end(loop, pipe):
    one, reader = await loop.connect_read_pipe(Written, pipe[0])
    two, writer = await loop.connect_write_pipe(Written, pipe[1])
    buffer = bytearray(LARGE)
    two.write(buffer)
    assert two.get_write_buffer_size() > 0
    buffer[:] = bytes(len(buffer))
    two.write_eof()
    assert await reader.received(len(LARGE)) == LARGE
    assert await writer.lost is None
    assert writer.log == ['made', 'pause', 'resume', 'lost']
    await reader.lost
    await turns(2)


async def test_flow_control(loop, pipe):
    transport, protocol = await loop.connect_write_pipe(Written, pipe[1])
    assert transport.get_write_buffer_limits() == (16384, 65536)
    transport.set_write_buffer_limits(high=100)
    os.set_blocking(pipe[0].fileno(), False)
    transport.write(LARGE)
    assert protocol.log == ['made', 'pause']
    while transport.get_write_buffer_size():
        pipe[0].read(1 << 16)
        await turns(2)
    assert protocol.log == ['made', 'pause', 'resume']
    await finish(transport)


async def test_pausing_and_resuming(loop, pipe):
    transport, protocol = await loop.connect_read_pipe(Written, pipe[0])
    transport.pause_reading()
    transport.pause_reading()
    pipe[1].write(b'waits')
    await turns(5)
    assert protocol.data == b''
    transport.resume_reading()
    transport.resume_reading()
    assert await protocol.received(5) == b'waits'
    await finish(transport)


async def test_the_reader_goes_away(loop, pipe):
    transport, protocol = await loop.connect_write_pipe(Written, pipe[1])
    pipe[0].close()
    assert await protocol.lost is None
    assert transport.is_closing()
    await turns(1)


async def test_the_reader_goes_away_with_data_queued(loop, pipe):
    transport, protocol = await loop.connect_write_pipe(Written, pipe[1])
    transport.write(LARGE)
    pipe[0].close()
    exc = await protocol.lost
    assert type(exc) is BrokenPipeError
    assert transport.get_write_buffer_size() == 0
    await turns(1)


async def test_writing_to_a_broken_pipe(loop, pipe, noise):
    pipe[0].close()
    transport, protocol = await loop.connect_write_pipe(Written, pipe[1])
    transport.write(b'nobody')
    exc = await protocol.lost
    assert exc is None or exc.errno == errno.EPIPE
    for _ in range(10):
        transport.write(b'late')
    texts = set(noise.logged())
    assert texts == {'pipe closed by peer or os.write(pipe, data) raised '
                     'exception.'}


async def test_closing_a_reading_pipe(loop, pipe):
    transport, protocol = await loop.connect_read_pipe(Written, pipe[0])
    pipe[1].write(b'unread')
    transport.close()
    assert transport.is_closing() is True
    transport.close()
    await protocol.lost
    assert protocol.log == ['made', 'lost']
    await turns(1)
    assert pipe[0].closed


async def test_aborting_a_writing_pipe(loop, pipe):
    transport, protocol = await loop.connect_write_pipe(Written, pipe[1])
    transport.write(LARGE)
    transport.abort()
    assert transport.get_write_buffer_size() == 0
    assert await protocol.lost is None
    await turns(1)
    assert pipe[1].closed


async def test_the_end_of_writing_comes_after_what_is_queued(loop, pipe):
    transport, protocol = await loop.connect_write_pipe(Written, pipe[1])
    assert transport.can_write_eof() is True
    transport.write(LARGE)
    transport.close()
    assert transport.is_closing()
    got = b''
    while not protocol.lost.done() or len(got) < len(LARGE):
        got += pipe[0].read(1 << 16)
        await turns(2)
    assert got == LARGE
    assert protocol.log == ['made', 'pause', 'resume', 'lost']


async def test_sockets_are_pipes_too(loop):
    one, other = socket.socketpair()
    with other:
        other.setblocking(False)
        transport, protocol = await loop.connect_read_pipe(Written, one)
        other.send(b'x')
        assert await protocol.received(1) == b'x'
        await finish(transport)
    one, other = socket.socketpair()
    with other:
        other.setblocking(False)
        transport, protocol = await loop.connect_write_pipe(Written, one)
        transport.write(b'y')
        assert await loop.sock_recv(other, 1) == b'y'
        await finish(transport)


async def test_terminals_are_pipes_too(loop):
    master, slave = os.openpty()
    with open(master, 'rb', 0) as one, open(slave, 'wb', 0) as other:
        reading, reader = await loop.connect_read_pipe(Written, one)
        writing, writer = await loop.connect_write_pipe(Written, other)
        writing.write(b'x\n')
        assert await reader.received(3) == b'x\r\n'
        await finish(writing)
        exc = await reader.lost
        assert exc is None or exc.errno == errno.EIO
        await turns(1)


async def test_regular_files_are_refused(loop, tmp_path):
    path = tmp_path / 'file'
    with open(path, 'wb') as file:
        assert await araised(loop.connect_write_pipe(Written, file)) == (
            ValueError, 'Pipe transport is only for pipes, sockets and '
            'character devices')
        file.write(b'x')
    with open(path, 'rb') as file:
        assert await araised(loop.connect_read_pipe(Written, file)) == (
            ValueError, 'Pipe transport is for pipes/sockets only.')
        assert file.read() == b'x'


async def test_what_pipes_tell_about_themselves(loop, pipe):
    one, reader = await loop.connect_read_pipe(Written, pipe[0])
    two, writer = await loop.connect_write_pipe(Written, pipe[1])
    assert one.get_extra_info('pipe') is pipe[0]
    assert two.get_extra_info('pipe') is pipe[1]
    assert one.get_extra_info('socket') is None
    assert one.get_extra_info('unknown', 5) == 5
    assert one.get_protocol() is reader and two.get_protocol() is writer
    a, b = pipe[0].fileno(), pipe[1].fileno()
    await turns(2)
    assert re.fullmatch(rf'<\w+ fd={a} polling>', repr(one))
    assert re.fullmatch(rf'<\w+ fd={b} idle bufsize=0>', repr(two))
    one.pause_reading()
    assert re.fullmatch(rf'<\w+ fd={a} idle>', repr(one))
    two.write(LARGE)
    size = two.get_write_buffer_size()
    assert re.fullmatch(rf'<\w+ fd={b} polling bufsize={size}>', repr(two))
    one.close()
    two.abort()
    assert re.match(rf'<\w+ closing fd={a} ', repr(one))
    assert re.match(rf'<\w+ closing fd={b} ', repr(two))
    await turns(2)
    assert re.match(rf'<\w+ closed fd={a} closed>', repr(one))
    assert re.match(rf'<\w+ closed fd={b} closed>', repr(two))


async def test_a_protocol_is_replaced(loop, pipe):
    transport, protocol = await loop.connect_read_pipe(Written, pipe[0])
    other = Written()
    other.log.append('set')
    transport.set_protocol(other)
    pipe[1].write(b'x')
    assert await other.received(1) == b'x'
    await finish(transport)
    assert protocol.log == ['made'] and other.log == ['set', 'data', 'lost']


async def test_data_received_that_raises_is_reported(loop, pipe):
    contexts = handler_contexts(loop)

    class Fails(Written):
        def data_received(self, data):
            super().data_received(data)
            raise KeyError('data')

    transport, protocol = await loop.connect_read_pipe(Fails, pipe[0])
    pipe[1].write(b'x')
    await protocol.received(1)
    await turns(2)
    assert isinstance(contexts[0]['exception'], KeyError)
    assert contexts[0]['message'].startswith('Exception in callback ')
    assert not transport.is_closing()
    await finish(transport)


async def test_the_factory_raises(loop, pipe):
    def fail():
        raise KeyError('factory')

    for connect, file in [(loop.connect_read_pipe, pipe[0]),
                          (loop.connect_write_pipe, pipe[1])]:
        assert await araised(connect(fail, file)) == (KeyError, "'factory'")
        assert not file.closed


async def test_forgotten_pipes_warn(loop, pipe, noise):
    transport, protocol = await loop.connect_read_pipe(Written, pipe[0])
    transport.pause_reading()
    text = repr(transport)
    protocol.transport = None
    del transport, protocol
    gc.collect()
    assert f'unclosed transport {text}' in noise.warned()
    assert pipe[0].closed


async def test_streams_on_pipes(loop, pipe):
    reader = asyncio.StreamReader()
    one, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), pipe[0])
    two, protocol = await loop.connect_write_pipe(
        lambda: asyncio.streams.FlowControlMixin(loop), pipe[1])
    writer = asyncio.StreamWriter(two, protocol, None, loop)
    writer.write(b'line\nanother\n')
    await writer.drain()
    assert await reader.readline() == b'line\n'
    two.close()
    assert await reader.read() == b'another\n'
    await turns(2)
