# SPDX-License-Identifier: MIT
"""
The same seeded sequence of operations on a connection, on asyncio's loop and
on the one under test: what the protocol is told, and what arrives, is equal.
"""

import asyncio
import random
import socket
import struct

import pytest
from two_loops import Written, WrittenBuffered, narrow, stream_pair

OPERATIONS = {
    'write': 6, 'write_large': 2, 'writelines': 2, 'write_empty': 1,
    'write_wrong': 1, 'pause_reading': 2, 'resume_reading': 3, 'limits': 1,
    'set_protocol': 1, 'write_eof': 1, 'close': 1, 'abort': 1,
    'peer_sends': 6, 'peer_reads': 5, 'peer_shuts': 1, 'peer_closes': 1,
    'peer_resets': 1}


class Run:
    """One run of a seed: its trace is what may be compared."""

    def __init__(self, loop, seed):
        self.loop = loop
        self.choose = random.Random(seed)
        self.trace = []
        self.sent = 0
        self.peer_got = b''

    def new_protocol(self):
        kind = self.choose.choice([Written, WrittenBuffered])
        protocol = kind(keep_open=self.choose.choice([True, False]))
        protocol.log.append('new')
        return protocol

    async def run(self):
        one, self.peer = stream_pair(self.choose.choice(['tcp', 'unix']))
        narrow(one)
        self.peer.setblocking(False)
        self.transport, self.protocol = await self.loop.create_connection(
            self.new_protocol, sock=one)
        self.protocols = [self.protocol]
        names, weights = list(OPERATIONS), list(OPERATIONS.values())
        with self.peer:
            for _ in range(25):
                name = self.choose.choices(names, weights)[0]
                try:
                    getattr(self, name)()
                except Exception as exc:
                    self.note(name, type(exc).__name__, str(exc))
                else:
                    self.note(name)
                await asyncio.sleep(0.0005)
                await asyncio.sleep(0)
                self.note_state()
            if not self.transport.is_closing():
                self.transport.abort()
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.001)
        self.note_state()
        self.note([protocol.data for protocol in self.protocols])
        return self.trace

    def note(self, *what):
        self.trace.append(what)

    def note_state(self):
        log = [entry for entry in self.protocol.log
               if entry not in ('pause', 'resume')]
        self.note(log, self.transport.is_closing(),
                  self.transport.is_reading())

    def data(self, size):
        self.sent += 1
        return b'%06d' % self.sent * (size // 6)

    def write(self):
        self.transport.write(self.data(self.choose.randrange(6, 600)))

    def write_large(self):
        self.transport.write(bytearray(self.data(600000)))

    def writelines(self):
        self.transport.writelines(
            [self.data(60), b'', memoryview(self.data(600))])

    def write_empty(self):
        self.transport.write(b'')

    def write_wrong(self):
        self.transport.write('text')

    def pause_reading(self):
        self.transport.pause_reading()

    def resume_reading(self):
        self.transport.resume_reading()

    def limits(self):
        high = self.choose.randrange(100000)
        self.transport.set_write_buffer_limits(high=high)
        self.note(self.transport.get_write_buffer_limits())

    def set_protocol(self):
        self.protocol = self.new_protocol()
        self.protocols.append(self.protocol)
        self.transport.set_protocol(self.protocol)

    def write_eof(self):
        self.transport.write_eof()

    def close(self):
        self.transport.close()

    def abort(self):
        if not self.transport.is_closing():
            self.transport.abort()

    def peer_sends(self):
        self.peer.send(self.data(self.choose.randrange(6, 3000)))

    def peer_reads(self):
        self.peer_got += self.peer.recv(1 << 21)
        whole = b''.join(b'%06d' % n for n in range(1))
        self.note(len(self.peer_got) >= len(whole))

    def peer_shuts(self):
        self.peer.shutdown(socket.SHUT_WR)

    def peer_closes(self):
        self.peer.close()

    def peer_resets(self):
        self.peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                             struct.pack('ii', 1, 0))
        self.peer.close()


def traced(factory, seed):
    loop = factory()
    try:
        return loop.run_until_complete(Run(loop, seed).run())
    finally:
        loop.close()


@pytest.mark.parametrize('first', range(0, 60, 10))
def test_a_connection_is_told_the_same(new_loop, noise, first):
    if new_loop.name == 'asyncio':
        pytest.skip('it would be compared with itself')
    for seed in range(first, first + 10):
        expected = traced(asyncio.SelectorEventLoop, seed)
        assert traced(new_loop.factory, seed) == expected, seed
        noise.logged()
