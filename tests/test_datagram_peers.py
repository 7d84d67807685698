#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""
rota's datagrams and the endpoints of others

Plain sockets, asyncio's datagram endpoint, nc and socat ask the two echo
servers, the task's and the protocol's. ROTA_BUILD is where they were built.
"""

import asyncio
import random
import shutil
import socket
import subprocess
import sys
import traceback
from pathlib import Path

from example_programs import PATIENCE, REAL, equal, run, serving

SERVERS = ['echo_udp', 'echo_udp_protocol']
LARGEST = 65507
TESTS = []


class Skip(Exception):
    pass


def test(function):
    for name in SERVERS:
        TESTS.append((f'{name}: {function.__name__}', function, name))
    return function


def need(path):
    found = shutil.which(path)
    if not found:
        raise Skip(f'{Path(path).name} is not there')
    return found


def client(port):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.settimeout(PATIENCE)
    sock.connect(('127.0.0.1', port))
    return sock


# --- Plain sockets ------------------------------------------------------------

@test
def datagrams_of_all_sizes_come_back(server):
    rng = random.Random(1)
    sizes = [0, 1, 1000, 1472, 9000, LARGEST]
    with serving(f'{server} 0') as port, client(port) as sock:
        for size in sizes + [rng.randint(0, LARGEST) for _ in range(50)]:
            data = rng.randbytes(size)
            sock.send(data)
            equal(sock.recv(1 << 16) == data, True)


@test
def a_burst_comes_back_in_order(server):
    with serving(f'{server} 0') as port, client(port) as sock:
        for start in range(0, 2000, 50):
            wanted = [b'%d' % n for n in range(start, start + 50)]
            for data in wanted:
                sock.send(data)
            equal([sock.recv(100) for _ in wanted], wanted)


@test
def each_client_gets_its_own_answer(server):
    with serving(f'{server} 0') as port:
        clients = [client(port) for _ in range(50)]
        for number, sock in enumerate(clients):
            sock.send(b'%d' % number)
        for number, sock in enumerate(clients):
            equal(sock.recv(100), b'%d' % number)
            sock.close()


@test
def a_client_that_is_gone_does_no_harm(server):
    with serving(f'{server} 0') as port:
        with client(port) as stays:  # none of them can get its port
            for _ in range(50):
                with client(port) as sock:
                    sock.send(b'good-bye')
            stays.send(b'still there')
            equal(stays.recv(100), b'still there')


@test
def a_port_that_is_taken_is_an_error(server):
    with serving(f'{server} 0') as port:
        done = run(f'{server} {port}', REAL)
        equal(done.returncode, 1)
        assert 'Address already in use' in done.stderr, done.stderr


# --- asyncio ------------------------------------------------------------------

class Collector(asyncio.DatagramProtocol):
    def __init__(self, count):
        self.left = count
        self.received = []
        self.done = asyncio.get_running_loop().create_future()

    def datagram_received(self, data, addr):
        self.received.append((data, addr))
        self.left -= 1
        if self.left == 0:
            self.done.set_result(None)

    def error_received(self, exc):
        self.done.set_exception(exc)


async def ask(port, datagrams, connected):
    address = ('127.0.0.1', port)
    where = {'remote_addr': address} if connected else {
        'local_addr': ('127.0.0.1', 0)}
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(
        lambda: Collector(len(datagrams)), **where)
    for data in datagrams:
        transport.sendto(data, None if connected else address)
    await asyncio.wait_for(protocol.done, PATIENCE)
    equal(protocol.received, [(data, address) for data in datagrams])
    transport.close()


@test
def an_endpoint_of_asyncio_gets_its_datagrams_back(server):
    rng = random.Random(2)
    with serving(f'{server} 0') as port:
        for connected in (False, True):
            datagrams = [rng.randbytes(rng.randint(1, 2000))
                         for _ in range(50)]
            asyncio.run(ask(port, datagrams, connected))


async def ask_at_once(port):
    await asyncio.gather(*(
        ask(port, [b'%d' % n, b'and %d' % n], True) for n in range(30)))


@test
def thirty_endpoints_of_asyncio_do_not_disturb_each_other(server):
    with serving(f'{server} 0') as port:
        asyncio.run(ask_at_once(port))


# --- Programs -----------------------------------------------------------------

@test
def nc_gets_its_lines_back(server):
    nc = need('nc')
    with serving(f'{server} 0') as port, subprocess.Popen(
            [nc, '-u', '127.0.0.1', str(port)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE) as program:
        try:
            for number in range(20):
                line = b'line %d\n' % number
                program.stdin.write(line)
                program.stdin.flush()
                equal(program.stdout.readline(), line)
        finally:
            program.kill()


@test
def socat_gets_its_datagram_back(server):
    socat = need('socat')
    with serving(f'{server} 0') as port:
        done = subprocess.run(
            [socat, '-b', '65536', '-t', '1', '-',
             f'UDP4:127.0.0.1:{port}'],
            input=b'x' * 30000, capture_output=True, timeout=PATIENCE)
        equal(done.stdout == b'x' * 30000, True)


def main():
    print(f'1..{len(TESTS)}')
    failed = False
    for number, (name, function, server) in enumerate(TESTS, 1):
        name = name.replace('_', ' ')
        try:
            function(server)
        except Skip as why:
            print(f'ok {number} - {name} # SKIP {why}')
        except Exception:
            failed = True
            print(f'not ok {number} - {name}')
            for line in traceback.format_exc().splitlines():
                print('#', line)
        else:
            print(f'ok {number} - {name}')
        sys.stdout.flush()
    return failed


if __name__ == '__main__':
    sys.exit(main())
