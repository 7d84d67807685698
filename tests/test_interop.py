#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""
rota's servers and the clients of others

Ten megabytes go through the echo server and come back, in chunks of random
sizes, through asyncio's streams, plain sockets and nc; curl and wrk ask the
delay server. Both directions are busy at the same time, so that a server
that waits for the one before it serves the other would stand still.
ROTA_BUILD is where the examples were built.
"""

import asyncio
import contextlib
import os
import random
import re
import shutil
import socket
import struct
import subprocess
import sys
import threading
import traceback
from pathlib import Path

EXAMPLES = Path(os.environ['ROTA_BUILD']) / 'examples'
SLOWNESS = float(os.environ.get('ROTA_TEST_SLOWNESS') or 1)
PATIENCE = 30 * SLOWNESS
IDLE = '1000'  # seconds: no connection is closed for being silent
MUCH = 10_000_000

# On a virtual clock a silent connection would be closed at once.
ENVIRONMENT = {name: value for name, value in os.environ.items()
               if not re.match(r'ROTA_(?!POLLER)', name) and value != 'sim'}

TESTS = []


class Skip(Exception):
    pass


def test(function):
    TESTS.append((function.__name__, function))
    return function


def need(path):
    found = shutil.which(path)
    if not found:
        raise Skip(f'{Path(path).name} is not there')
    return found


@contextlib.contextmanager
def serving(name, *arguments):
    """Its port; in the end it must still be there and not have complained."""
    server = subprocess.Popen(
        [need(str(EXAMPLES / name)), '0', *arguments], env=ENVIRONMENT,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding='utf-8')
    try:
        line = server.stdout.readline()
        yield int(re.search(r' port (\d+)$', line)[1])
        assert server.poll() is None, f'it ended with {server.returncode}'
    finally:
        server.terminate()
        _, complaints = server.communicate(timeout=PATIENCE)
    assert complaints == '', complaints


def chunks_of(data, rng, most=100_000):
    at = 0
    while at < len(data):
        size = rng.randint(1, most)
        yield data[at:at + size]
        at += size


def connect(port):
    return socket.create_connection(('127.0.0.1', port), timeout=PATIENCE)


# --- asyncio's streams --------------------------------------------------------

async def read_back(reader, data, rng):
    at = 0
    while at < len(data):
        chunk = await reader.read(rng.randint(1, 100_000))
        assert chunk, f'the stream ended after {at} bytes'
        assert data[at:at + len(chunk)] == chunk, f'wrong bytes after {at}'
        at += len(chunk)


async def exchange(port, data, seed):
    rng = random.Random(seed)
    reader, writer = await asyncio.open_connection('127.0.0.1', port)
    reading = asyncio.create_task(read_back(reader, data, rng))
    for chunk in chunks_of(data, rng):
        writer.write(chunk)
        await writer.drain()
    writer.write_eof()
    await reading
    assert await reader.read() == b'', 'there is more than was sent'
    writer.close()
    await writer.wait_closed()


def run_asyncio(main):
    asyncio.run(asyncio.wait_for(main, PATIENCE))


@test
def asyncio_sends_ten_megabytes_and_gets_them_back():
    data = random.Random(1).randbytes(MUCH)
    with serving('echo_server', IDLE) as port:
        run_asyncio(exchange(port, data, 2))


async def exchange_at_once(port, count):
    rng = random.Random(3)
    await asyncio.gather(*(
        exchange(port, rng.randbytes(rng.randint(1, 200_000)), seed)
        for seed in range(count)))


@test
def fifty_connections_of_asyncio_do_not_disturb_each_other():
    with serving('echo_server', IDLE) as port:
        run_asyncio(exchange_at_once(port, 50))


async def exchange_lines(port):
    reader, writer = await asyncio.open_connection('127.0.0.1', port)
    for number in range(2000):
        writer.write(b'%d\n' % number)
    for number in range(2000):
        assert await reader.readline() == b'%d\n' % number
    writer.close()
    await writer.wait_closed()


@test
def pipelined_lines_of_asyncio_come_back_one_by_one():
    with serving('echo_server', IDLE) as port:
        run_asyncio(exchange_lines(port))


# --- Plain sockets ------------------------------------------------------------

@test
def plain_sockets_send_ten_megabytes_and_get_them_back():
    data = random.Random(4).randbytes(MUCH)
    rng = random.Random(5)
    got = bytearray()

    with serving('echo_server', IDLE) as port, connect(port) as sock:
        def receive():
            while chunk := sock.recv(random.randint(1, 100_000)):
                got.extend(chunk)

        receiver = threading.Thread(target=receive)
        receiver.start()
        for chunk in chunks_of(data, rng):
            sock.sendall(chunk)
        sock.shutdown(socket.SHUT_WR)
        receiver.join(PATIENCE)
        assert got == data, f'{len(got)} bytes of {len(data)}, or wrong ones'


@test
def a_client_that_reads_late_gets_everything():
    data = random.Random(6).randbytes(MUCH)
    with serving('echo_server', IDLE) as port, connect(port) as sock:
        sender = threading.Thread(target=lambda: (
            sock.sendall(data), sock.shutdown(socket.SHUT_WR)))
        sender.start()
        sender.join(0.3)  # long enough to fill every buffer on the way
        got = bytearray()
        while chunk := sock.recv(1 << 16):
            got.extend(chunk)
        sender.join(PATIENCE)
        assert got == data, f'{len(got)} bytes of {len(data)}, or wrong ones'


@test
def single_bytes_come_back_at_once():
    with serving('echo_server', IDLE) as port, connect(port) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for number in range(500):
            byte = bytes([number % 256])
            sock.sendall(byte)
            assert sock.recv(10) == byte


@test
def clients_that_reset_the_connection_do_no_harm():
    now = struct.pack('ii', 1, 0)
    with serving('echo_server', IDLE) as port:
        for number in range(100):
            with connect(port) as sock:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, now)
                if number % 2:
                    sock.sendall(bytes(1000 * number))
        with connect(port) as sock:
            sock.sendall(b'still there')
            assert sock.recv(100) == b'still there'


# --- Programs -----------------------------------------------------------------

@test
def nc_sends_ten_megabytes_and_gets_them_back():
    data = random.Random(7).randbytes(MUCH)
    command = [need('nc'), '-N']
    with serving('echo_server', IDLE) as port:
        done = subprocess.run([*command, '127.0.0.1', str(port)], input=data,
                              capture_output=True, timeout=PATIENCE)
        if b'invalid option' in done.stderr:
            raise Skip('this nc has no -N')
        assert done.stdout == data, f'{len(done.stdout)} bytes of {MUCH}'


@test
def curl_asks_the_delay_server():
    command = [need('curl'), '-sS', '--noproxy', '*', '--max-time', '20']
    with serving('delay_server') as port:
        url = f'http://127.0.0.1:{port}/delay/0.01?name=curl'
        done = subprocess.run([*command, url, url], capture_output=True,
                              encoding='utf-8', timeout=PATIENCE)
        assert done.stderr == '', done.stderr
        assert done.stdout.count('curl') >= 2, done.stdout


@test
def wrk_asks_the_delay_server_over_many_connections():
    command = [need('wrk'), '-t1', '-c50', '-d1s', '--timeout', '20s']
    with serving('delay_server') as port:
        done = subprocess.run(
            [*command, f'http://127.0.0.1:{port}/delay/0'],
            capture_output=True, encoding='utf-8', timeout=PATIENCE)
        requests = re.search(r'(\d+) requests in', done.stdout)
        assert requests and int(requests[1]) > 0, done.stdout
        assert 'Socket errors' not in done.stdout, done.stdout
        assert 'Non-2xx' not in done.stdout, done.stdout


def main():
    print(f'1..{len(TESTS)}')
    failed = False
    for number, (name, function) in enumerate(TESTS, 1):
        name = name.replace('_', ' ')
        try:
            function()
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
