# SPDX-License-Identifier: MIT
"""
connect_read_pipe and connect_write_pipe.
"""

import asyncio
import errno
import gc
import io
import logging
import os
import re
import socket
from asyncio import log

import pytest
from two_loops import Written, araised, handler_contexts, raised, turns

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


async def test_whoever_opens_it_goes_on_before_data_comes(loop, pipe):
    reading, writing = pipe
    writing.write(b'early')
    transport, protocol = await loop.connect_read_pipe(Written, reading)
    assert protocol.log == ['made']
    transport.set_protocol(other := Written())
    other.log.append('taken over')
    assert await other.received(5) == b'early'
    assert protocol.log == ['made']
    await finish(transport)


async def test_data_comes_behind_what_was_scheduled(loop, pipe):
    """As from a selector: in the next turn, behind all of this one's."""
    class Schedules(Written):
        def connection_made(self, transport):
            super().connection_made(transport)
            loop.call_soon(lambda: loop.call_soon(self.log.append, 'second'))
            loop.call_soon(self.log.append, 'first')

    reading, writing = pipe
    writing.write(b'early')
    transport, protocol = await loop.connect_read_pipe(Schedules, reading)
    await protocol.received(5)
    assert protocol.log == ['made', 'first', 'data', 'second']
    transport.pause_reading()
    await turns()
    writing.write(b' late')
    transport.resume_reading()
    loop.call_soon(protocol.log.append, 'third')
    loop.call_soon(lambda: loop.call_soon(protocol.log.append, 'fourth'))
    await protocol.received(10)
    assert protocol.log[4:] == ['third', 'data', 'fourth']
    await finish(transport)


async def test_the_maker_goes_on_before_the_readers_end_is_told(loop, pipe):
    reading, writing = pipe
    reading.close()
    transport, protocol = await loop.connect_write_pipe(Written, writing)
    assert protocol.log == ['made']
    await protocol.lost
    assert protocol.log == ['made', 'lost']
    await turns()


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
    try:
        master, slave = os.openpty()
    except OSError:
        pytest.skip('no terminals to be had here')
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


@pytest.fixture
def interrupted_log(monkeypatch):
    """Whoever logs a line that ends with this word is interrupted, once."""
    def interrupt(record):
        if words and record.getMessage().endswith(words[-1]):
            words.pop()
            raise KeyboardInterrupt('here')
        return True

    words = []
    monkeypatch.setattr(log.logger, 'filters', [interrupt])
    monkeypatch.setattr(log.logger, 'level', logging.DEBUG)
    log.logger.manager._clear_cache()
    yield words
    log.logger.manager._clear_cache()


def test_who_is_interrupted_while_the_end_is_logged(
        loop, pipe, interrupted_log):
    async def read():
        transport, protocol = await loop.connect_read_pipe(Written, reading)
        interrupted_log.append('was closed by peer')
        writing.close()
        await protocol.lost
        return protocol.log

    reading, writing = pipe
    loop.set_debug(True)
    task = loop.create_task(read())
    with pytest.raises(KeyboardInterrupt, match='here'):
        loop.run_until_complete(task)
    assert loop.run_until_complete(task) == ['made', 'eof', 'lost']


@pytest.mark.parametrize('method', ['pause_reading', 'resume_reading'])
async def test_who_is_interrupted_while_a_call_is_logged(
        loop, pipe, interrupted_log, method):
    reading, writing = pipe
    loop.set_debug(True)
    transport, protocol = await loop.connect_read_pipe(Written, reading)
    if method == 'resume_reading':
        transport.pause_reading()
    interrupted_log.append(method.partition('_')[0] + 's reading')
    assert raised(getattr(transport, method)) == (KeyboardInterrupt, 'here')
    assert ('polling' in repr(transport)) is (method == 'resume_reading')
    await finish(transport)


async def test_a_file_that_does_not_close(loop, pipe):
    contexts = handler_contexts(loop)

    class Fails(Written):
        def connection_lost(self, exc):
            super().connection_lost(exc)
            raise KeyError('first')

    class Stuck(io.FileIO):
        def close(self):
            super().close()
            raise OSError('second')

    reading, writing = pipe
    transport, protocol = await loop.connect_read_pipe(
        Fails, Stuck(os.dup(reading.fileno())))
    transport.close()
    await protocol.lost
    await turns()
    [context] = contexts
    assert repr(context['exception']) == "OSError('second')"
    assert repr(context['exception'].__context__) == "KeyError('first')"


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
