#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""
rota's transports and asyncio's

The two echo servers, with a protocol and with a task for each connection, and
asyncio's Protocol and BufferedProtocol on the other end.
"""

import asyncio
import random
import socket
import struct
import sys
import traceback

from example_programs import PATIENCE, equal, say, serving

SERVERS = ['echo_protocol 0', 'echo_server 0 1000']
MUCH = 5_000_000
TESTS = []


def test(function):
    for command in SERVERS:
        name = command.split()[0]
        TESTS.append((f'{name}: {function.__name__}', function, command))
    return function


class Talker(asyncio.Protocol):
    """Says all it has to say as fast as it may, and listens."""

    def __init__(self, data, seed):
        self.left = memoryview(data)
        self.rng = random.Random(seed)
        self.heard = bytearray()
        self.words = []
        self.paused = False
        self.lost = asyncio.get_running_loop().create_future()

    def connection_made(self, transport):
        self.words.append('made')
        self.transport = transport
        self.talk()

    def talk(self):
        while self.left and not self.paused:
            size = self.rng.randint(1, 200_000)
            self.transport.write(self.left[:size])
            self.left = self.left[size:]
        if not self.left and self.transport.can_write_eof():
            self.transport.write_eof()

    def pause_writing(self):
        self.paused = True

    def resume_writing(self):
        self.paused = False
        self.talk()

    def data_received(self, data):
        self.heard += data

    def eof_received(self):
        self.words.append('eof')

    def connection_lost(self, exc):
        self.words.append('lost')
        self.lost.set_result(exc)


class Lender(Talker, asyncio.BufferedProtocol):
    """The same, and lends memory of odd sizes."""

    def get_buffer(self, sizehint):
        self.memory = bytearray(self.rng.randint(1, 100_001))
        return self.memory

    def buffer_updated(self, nbytes):
        self.heard += self.memory[:nbytes]


async def talk_to(port, kind, data, seed):
    loop = asyncio.get_running_loop()
    _, talker = await loop.create_connection(
        lambda: kind(data, seed), '127.0.0.1', port)
    equal(await talker.lost, None)
    equal(talker.words, ['made', 'eof', 'lost'])
    equal(talker.heard == data, True)


def run(main):
    asyncio.run(asyncio.wait_for(main, PATIENCE))


@test
def a_protocol_gets_all_of_it_back(command):
    data = random.Random(1).randbytes(MUCH)
    with serving(command) as port:
        run(talk_to(port, Talker, data, 2))
        run(talk_to(port, Lender, data, 3))


@test
def many_protocols_at_once_get_what_is_theirs(command):
    async def talk_all(port):
        await asyncio.gather(*(
            talk_to(port, (Talker, Lender)[n % 2],
                    random.Random(n).randbytes(20_000 * n + 1), n)
            for n in range(30)))
    with serving(command) as port:
        run(talk_all(port))


@test
def one_that_is_reset_harms_no_other(command):
    with serving(command) as port:
        for _ in range(20):
            sock = socket.create_connection(('127.0.0.1', port))
            sock.sendall(b'x' * 100_000)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                            struct.pack('ii', 1, 0))
            sock.close()
        equal(say(port, b'hello'), b'hello')


def main():
    failed = False
    print(f'1..{len(TESTS)}')
    for number, (name, function, command) in enumerate(TESTS, 1):
        try:
            function(command)
        except Exception:
            failed = True
            print(f'not ok {number} - {name}')
            print(''.join(f'# {line}\n'
                          for line in traceback.format_exc().splitlines()))
        else:
            print(f'ok {number} - {name}')
    return failed


if __name__ == '__main__':
    sys.exit(main())
