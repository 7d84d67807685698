# SPDX-License-Identifier: MIT
"""
TLS by chance: both sides write, pause, resume and end at random, from seeds.

Each byte that comes is the one that was sent at its place, and each protocol
is told of its life in an order that makes sense.
"""

import asyncio
import random

import pytest
from test_tls import tls_pair
from two_loops import Written, WrittenBuffered, turns

SIZE = 1 << 20
STREAM = random.Random(1).randbytes(SIZE) * 2
SIZES = [1, 7, 64, 1000, 1024, 1025, 4096, 16384, 16385, 70000, 300000]
SEEDS = range(40)


class Checked:
    """Compares what comes with what was sent; keeps only counts."""

    came = 0

    def check(self, data):
        place = self.came % SIZE
        assert bytes(data) == STREAM[place:place + len(data)]
        self.came += len(data)
        self.log[-1] == 'data' or self.log.append('data')


class CheckedStream(Checked, Written):
    def data_received(self, data):
        self.check(data)


class CheckedLender(Checked, WrittenBuffered):
    def buffer_updated(self, nbytes):
        self.check(self.buffer[:nbytes])


class Side:
    """What one side does."""

    def __init__(self, protocol, chance):
        self.protocol = protocol
        self.chance = chance
        self.sent = 0
        self.ended = None

    def take(self):
        size = min(self.chance.choice(SIZES), SIZE)
        place = self.sent % SIZE
        self.sent += size
        return STREAM[place:place + size]

    def act(self):
        transport = self.protocol.transport
        if transport.is_closing():
            return
        kind = self.chance.randrange(10)
        if kind < 4:
            wrapped = self.chance.choice([bytes, bytearray, memoryview])
            transport.write(wrapped(self.take()))
        elif kind == 4:
            transport.writelines([self.take(), self.take()])
        elif kind == 5:
            transport.pause_reading()
        elif kind == 6:
            transport.resume_reading()
        elif kind == 7:
            high = self.chance.choice([1, 1000, 100000])
            transport.set_write_buffer_limits(high=high)
        elif kind == 8:
            transport.get_write_buffer_size()

    def end(self, how):
        transport = self.protocol.transport
        if not transport.is_closing():
            self.ended = how
            {'close': transport.close, 'abort': transport.abort,
             'break': lambda: transport._ssl_protocol._transport.abort(),
             }[how]()


def check_life(log):
    flow = [entry for entry in log if entry in ('pause', 'resume')]
    assert flow[::2] == ['pause'] * len(flow[::2])
    assert flow[1::2] == ['resume'] * len(flow[1::2])
    rest = [entry for entry in log if entry not in ('pause', 'resume')]
    rest = [entry.split()[0] for entry in rest]
    rest = [entry for i, entry in enumerate(rest)
            if i == 0 or entry != 'data' or rest[i - 1] != 'data']
    assert rest[0] == 'made' and rest[-1] == 'lost'
    assert rest[1:-1] in ([], ['data'], ['eof'], ['data', 'eof'])


@pytest.mark.parametrize('seed', SEEDS)
async def test_a_life(loop, seed):
    chance = random.Random(seed)
    factories = [chance.choice([
        CheckedStream, CheckedLender,
        lambda: CheckedLender(chance.randrange(1, 40000))])
        for _ in range(2)]
    contexts = []
    loop.set_exception_handler(lambda _, context: contexts.append(context))
    async with tls_pair(loop, *factories) as (_, one, other):
        sides = [Side(one, chance), Side(other, chance)]
        for _ in range(chance.randrange(40)):
            chance.choice(sides).act()
            await turns(chance.randrange(4))
        how = chance.choice(['close', 'close', 'abort', 'break'])
        first, second = chance.sample(sides, 2)
        second.protocol.transport.resume_reading()
        first.end(how)
        await asyncio.wait_for(second.protocol.lost, 15)
        await asyncio.wait_for(first.protocol.lost, 15)
    for side, peer in (sides, sides[::-1]):
        assert peer.protocol.came <= side.sent
        check_life(side.protocol.log)
    if how == 'close' and first.protocol.log[-1] == 'lost':
        assert second.protocol.came == first.sent
    assert all(isinstance(context.get('exception'), OSError)
               for context in contexts)
