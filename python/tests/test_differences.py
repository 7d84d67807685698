# SPDX-License-Identifier: MIT
"""
The same seeded sequence of operations on a connection, on asyncio's loop and
on the one under test: what the protocol is told, and what arrives, is equal.
"""

import asyncio
import concurrent.futures
import inspect
import io
import os
import random
import socket
import struct
import sys
import tempfile
from asyncio.selector_events import _SelectorSocketTransport

import pytest
from two_loops import Written, WrittenBuffered, narrow, stream_pair, turns

SEEDS = int(os.environ.get('ROTA_TEST_SEEDS') or 60)
TRIES = 4  # of a seed: the kernel moves TCP's data when it has time

OPERATIONS = {
    'write': 6, 'write_large': 2, 'writelines': 3, 'write_many_lines': 1,
    'write_empty': 1, 'write_wrong': 1, 'writelines_wrong': 1,
    'pause_reading': 2, 'resume_reading': 3, 'limits': 1, 'read_stream': 2,
    'set_protocol': 2, 'write_eof': 1, 'close': 1, 'abort': 1,
    'send_file': 1, 'send_by_reading': 1, 'several': 4,
    'peer_sends': 6, 'peer_sends_much': 1, 'peer_reads': 5, 'peer_shuts': 1,
    'peer_closes': 1, 'peer_resets': 1}
# asyncio's own had flaws from 3.12 on, for a while.
WRITELINES_IS_WHOLE = {'write', '_conn_lost'} & set(
    _SelectorSocketTransport.writelines.__code__.co_names)
FULL = 'the kernel took no more'
# What one turn may do: what the peer sees in the middle of it may differ.
IN_ONE_TURN = [
    'write', 'write_large', 'writelines', 'write_many_lines', 'pause_reading',
    'resume_reading', 'limits', 'set_protocol', 'write_eof', 'close', 'abort']
BROKEN = "asyncio's uses what it has let go of after the end"
# Who calls; and how many writes of a turn came after the one that failed.
UNEQUAL = 'Exception in callback ', 'socket.send() raised exception.'
# A sendfile is in the way of these, or asyncio's never ends after them.
NOT_WHILE_SENDING = {
    'resume_reading', 'set_protocol', 'write_eof', 'close', 'abort',
    'send_file', 'send_by_reading', 'read_stream'}
NOT_WHILE_READING = NOT_WHILE_SENDING | {
    'write', 'write_large', 'writelines', 'write_many_lines'}


class Plain(Written):
    """Its end may come more than once."""

    def eof_received(self):
        self.log.append('eof')
        return self.keep_open

    @property
    def handler(self):
        return self


class Buffered(Plain, WrittenBuffered):
    pass


class Acting(Plain):
    """Does something to its transport in the middle of a call."""

    def __init__(self, keep_open=None):
        super().__init__(keep_open)
        self.act_on = ''
        self.act = None

    def acts(self, name):
        if self.act_on == name:
            self.act_on = ''
            self.act()

    def connection_made(self, transport):
        super().connection_made(transport)
        self.acts('made')

    def data_received(self, data):
        super().data_received(data)
        self.acts('data')

    def eof_received(self):
        self.acts('eof')
        return super().eof_received()

    def connection_lost(self, exc):
        super().connection_lost(exc)
        self.acts('lost')


class Streamed:
    """asyncio's own, whose buffer is what it was told."""

    def __init__(self, keep_open=None):
        self.reader = asyncio.StreamReader(limit=3000)
        self.handler = asyncio.StreamReaderProtocol(self.reader)
        self.read = b''

    @property
    def data(self):
        return self.read + bytes(self.reader._buffer)

    @property
    def log(self):
        return [self.reader.at_eof(), self.reader._eof, self.reader._paused,
                repr(self.reader.exception()), self.handler._connection_lost]


class AtOnce(concurrent.futures.ThreadPoolExecutor):
    """No thread that takes as long as it likes."""

    def submit(self, function, *args):
        future = concurrent.futures.Future()
        future.set_result(function(*args))
        return future


class Run:
    """One run of a seed: its trace is what may be compared."""

    def __init__(self, loop, seed):
        self.loop = loop
        self.choose = random.Random(seed)
        self.trace = []
        self.count = 0
        self.wrote = b''
        self.peer_got = b''
        self.peer_ended = False
        self.told = []
        self.sending = None
        self.forbidden = ()
        self.spoilt = False
        self.kind = self.choose.choice(['tcp', 'unix'])
        self.narrow = self.kind == 'unix' and self.choose.choice([True, False])
        self.large = 600000 if self.kind == 'unix' else 30000
        self.exact = self.kind == 'unix' and not self.narrow

    def new_protocol(self):
        kind = self.choose.choice([Plain, Buffered, Streamed, Acting])
        told = kind(keep_open=self.choose.choice([True, False]))
        self.told.append(told)
        if kind is Acting:
            told.act_on = self.choose.choice(['made', 'data', 'eof', 'lost'])
            action = self.choose.choice(['fail', 'several'])
            told.act = lambda: getattr(self, action)()
        if kind is not Streamed:
            self.told[-1].log.append('new')
        return self.told[-1].handler

    async def run(self):
        one, self.peer = stream_pair(self.kind)
        if self.narrow:
            narrow(one)
        self.peer.setblocking(False)
        if self.kind == 'tcp':
            self.peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.loop.set_default_executor(AtOnce())
        self.transport, _ = await self.loop.create_connection(
            self.new_protocol, sock=one)
        names, weights = list(OPERATIONS), list(OPERATIONS.values())
        with self.peer:
            for _ in range(30):
                await self.do(self.choose.choices(names, weights)[0])
            await self.end()
        self.note([told.data for told in self.told])
        return self.trace

    async def do(self, name):
        if name in self.forbidden:
            return
        try:
            answer = getattr(self, name)()
            if inspect.isawaitable(answer):
                answer = await answer
        except AttributeError:
            self.note(BROKEN)
        except Exception as exc:
            self.note(name, type(exc).__name__, str(exc))
        else:
            self.note(name, answer)
        await self.settle()
        self.note_state()

    async def settle(self):
        if self.kind == 'tcp':
            await asyncio.sleep(0.0005)
        await turns(20 if self.sending else 6)

    async def end(self):
        """All is read; what was closed in peace has all arrived."""
        if not self.sending and self.choose.choice([True, False]):
            self.close()
        await self.read_until(self.finished)
        if self.sending and not self.sending.done():
            self.sending.cancel()
        if self.transport._sock:
            self.transport.abort()
        await self.settle()
        self.note_state()
        await self.read_until(lambda: self.peer_ended)
        if self.told[-1].log[-1] == 'lost':
            self.note(len(self.wrote) == len(self.peer_got))
        if not self.spoilt:
            self.note(self.wrote.startswith(self.peer_got))

    def finished(self):
        if self.transport.is_closing():
            return self.transport._sock is None
        return self.sending is None or self.sending.done()

    async def read_until(self, condition):
        for _ in range(1000):
            if condition():
                break
            try:
                self.peer_reads()
            except BlockingIOError:
                pass
            except OSError:
                self.peer_ended = True
            await self.settle()

    def note(self, *what):
        self.trace.append(what)

    def note_state(self):
        log = [entry for entry in self.told[-1].log
               if self.exact or entry not in ('pause', 'resume')]
        size = self.transport.get_write_buffer_size()
        limits = self.transport.get_write_buffer_limits()
        if not self.exact and (
                size > 0 or self.sending and not self.sending.done()):
            self.note(FULL)
        self.note(log, self.transport.is_closing(),
                  self.transport.is_reading(), size > 0,
                  size <= limits[1] or self.transport._protocol_paused)
        if self.sending and self.sending.done():
            self.note('sent', outcome(self.sending))
            self.sending = None
            self.forbidden = ()

    def data(self, size):
        self.count += 1
        return b'%06d' % self.count * (size // 6)

    # What the transport's owner does

    def write_data(self, size, kind=bytes):
        data = self.data(size)
        self.transport.write(kind(data))
        self.wrote += data

    def write(self):
        self.write_data(self.choose.randrange(6, 600),
                        self.choose.choice([bytes, bytearray, memoryview]))

    def write_large(self):
        self.write_data(self.large, self.choose.choice([bytes, bytearray]))

    def write_parts(self, parts):
        if self.transport.is_closing() and not WRITELINES_IS_WHOLE:
            return
        self.transport.writelines(parts)
        self.wrote += b''.join(parts)

    def writelines(self):
        self.write_parts([self.data(60), b'', memoryview(self.data(600))])

    def write_many_lines(self):
        self.write_parts([self.data(self.choose.randrange(6, 60))
                          for _ in range(self.choose.randrange(300))])

    def write_empty(self):
        self.transport.write(b'')
        if WRITELINES_IS_WHOLE:
            self.transport.writelines([])
            self.transport.writelines([b'', bytearray()])

    def write_wrong(self):
        self.transport.write('text')

    def writelines_wrong(self):
        if WRITELINES_IS_WHOLE:
            self.transport.writelines([b'x', 'text'])

    def pause_reading(self):
        self.transport.pause_reading()

    def resume_reading(self):
        self.transport.resume_reading()

    def limits(self):
        high = self.choose.choice([None, 0, 1000, 300000])
        self.transport.set_write_buffer_limits(high=high)
        return self.transport.get_write_buffer_limits()

    async def read_stream(self):
        told = self.told[-1]
        if isinstance(told, Streamed) and told.reader._buffer:
            told.read += await told.reader.read(self.choose.randrange(1, 9000))

    def set_protocol(self):
        handler = self.new_protocol()
        if isinstance(self.told[-1], Streamed):
            self.told[-1].reader.set_transport(self.transport)
        self.transport.set_protocol(handler)

    def write_eof(self):
        self.transport.write_eof()

    def close(self):
        self.transport.close()

    def abort(self):
        self.transport.abort()

    def fail(self):
        raise KeyError('protocol')

    def several(self):
        if not self.sending:
            for _ in range(self.choose.randrange(1, 4)):
                name = self.choose.choice(IN_ONE_TURN)
                self.note(name, 'at once')
                getattr(self, name)()

    def send_file(self):
        self.send(tempfile.TemporaryFile(), fallback=False)
        self.forbidden = NOT_WHILE_SENDING

    def send_by_reading(self):
        self.send(io.BytesIO(), fallback=True)
        # asyncio reads over what waits to be sent.
        self.spoilt = sys.version_info >= (3, 12)
        self.forbidden = NOT_WHILE_READING

    def send(self, file, fallback):
        data = self.data(self.choose.choice([60, 6000, self.large]))
        file.write(data)
        file.seek(0)
        if not self.transport.is_closing():
            self.wrote += data
        self.sending = self.loop.create_task(self.send_all(file, fallback))

    async def send_all(self, file, fallback):
        with file:
            return await self.loop.sendfile(
                self.transport, file, fallback=fallback)

    # What the peer does

    def peer_sends(self):
        self.peer.send(self.data(self.choose.randrange(6, 3000)))

    def peer_sends_much(self):
        self.peer.send(self.data(60000))

    def peer_reads(self):
        try:
            data = self.peer.recv(1 << 21)
        except BlockingIOError:
            if self.exact or not self.transport.get_write_buffer_size():
                raise
        else:
            self.peer_ended = not data
            self.peer_got += data

    def peer_shuts(self):
        self.peer.shutdown(socket.SHUT_WR)

    def peer_closes(self):
        self.peer.close()

    def peer_resets(self):
        self.peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                             struct.pack('ii', 1, 0))
        self.peer.close()


def outcome(task):
    if task.cancelled():
        return 'cancelled'
    exc = task.exception()
    return task.result() if exc is None else repr(exc)


def traced(factory, seed, noise):
    loop = factory()
    try:
        trace = loop.run_until_complete(Run(loop, seed).run())
    finally:
        loop.close()
    logged = [text.partition('\n')[0] for text in noise.logged()
              if not text.startswith(UNEQUAL)]
    return trace + [logged, noise.warned(), noise.dropped()]


def difference(one, other):
    """The first entries that are not the same, with what led to them; ''."""
    for at, pair in enumerate(zip(one, other)):
        if pair[0] == pair[1]:
            continue
        if (FULL,) in pair or pair[1] == (BROKEN,):
            return ''  # how much fits depends on the writes' sizes
        return '\n'.join(map(str, [*one[:at], pair[0], 'and not', pair[1]]))
    return ''


@pytest.mark.parametrize('first', range(0, SEEDS, 5))
def test_a_connection_is_told_the_same(new_loop, noise, first):
    if new_loop.name == 'asyncio':
        pytest.skip('it would be compared with itself')
    for seed in range(first, first + 5):
        for _ in range(TRIES):
            expected = traced(asyncio.SelectorEventLoop, seed, noise)
            found = traced(new_loop.factory, seed, noise)
            text = difference(found, expected)
            if not text:
                break
        else:
            pytest.fail(f'{seed}: {text}')
