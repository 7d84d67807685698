#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""
The examples and the programs of others: curl, nginx, redis, wrk, socat, nc

Each is a client of an example, or serves behind one; what has gone through
is compared by checksum. What TLS and datagrams meet is in test_tls_peers.py
and test_datagram_peers.py. ROTA_BUILD is where the examples were built, and
ROTA_TEST_MIB how large the largest file is, 256 unless told.
"""

import asyncio
import contextlib
import hashlib
import os
import random
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from example_programs import (
    PATIENCE, connect, equal, make_certificate, need, run_all, say,
    serving, started)

MIB = 1 << 20
LARGEST = int(os.environ.get('ROTA_TEST_MIB') or 256)
MUCH = random.Random(1).randbytes(3 * MIB + 1)
TESTS = []


def test(function):
    TESTS.append(function)
    return function


# --- Files, programs, ports ---------------------------------------------------

def digest(data):
    return hashlib.sha256(data).hexdigest()


def digest_of(file):
    whole = hashlib.sha256()
    while chunk := file.read(MIB):
        whole.update(chunk)
    return whole.hexdigest()


@contextlib.contextmanager
def folder(**files):
    with tempfile.TemporaryDirectory() as name:
        for file, data in files.items():
            (Path(name) / file).write_bytes(data)
        yield Path(name)


def make_large(path):
    """Mostly holes, and no two MiB alike; its digest."""
    rng = random.Random(2)
    with path.open('wb+') as file:
        for at in range(LARGEST):
            file.seek(at * MIB + rng.randrange(MIB - 4096))
            file.write(rng.randbytes(4096))
        file.truncate(LARGEST * MIB + 1)
        file.seek(0)
        return digest_of(file)


def run(*command, data=None):
    """What it prints, if it succeeds."""
    need(command[0])
    done = subprocess.run(
        command, input=data, capture_output=True, timeout=PATIENCE,
        **({'stdin': subprocess.DEVNULL} if data is None else {}))
    equal((command[0], done.returncode, done.stderr), (command[0], 0, b''))
    return done.stdout


def curl(*arguments):
    return run('curl', '-sS', '--noproxy', '*', *map(str, arguments))


def curl_digest(*arguments):
    """Of what is got, which may be large."""
    need('curl')
    with subprocess.Popen(
            ['curl', '-sS', '--noproxy', '*', *map(str, arguments)],
            stdout=subprocess.PIPE) as program:
        found = digest_of(program.stdout)
    equal(program.returncode, 0)
    return found


def free_port():
    with socket.create_server(('127.0.0.1', 0)) as sock:
        return sock.getsockname()[1]


@contextlib.contextmanager
def running(port, *command):
    """A server of somebody else's, until it listens and while it is used."""
    with subprocess.Popen(command, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT) as program:
        end = time.monotonic() + PATIENCE
        try:
            while True:
                try:
                    connect(port).close()
                    break
                except ConnectionRefusedError:
                    assert program.poll() is None, program.stdout.read()
                    assert time.monotonic() < end, f'{command[0]} is silent'
                    time.sleep(0.01)
            yield
        finally:
            program.kill()


def proxy_to(port):
    return serving(f'tcp_proxy 0 127.0.0.1 {port}')


# --- curl ---------------------------------------------------------------------

COUNTS = '%{num_connects} %{http_code} %{size_download}\n'


@test
def curl_gets_several_files_over_one_connection():
    with folder(a=b'1', b=MUCH, c=b'') as place, \
            serving(f'http_files {place} 0') as port:
        url = f'http://127.0.0.1:{port}'
        saved = [part for name in 'abcd'
                 for part in (f'{url}/{name}', '-o', place / f'got_{name}')]
        counts = curl(*saved, '-w', COUNTS).decode().splitlines()
        sizes = [1, len(MUCH), 0, len('{"error": "Not Found"}\n')]
        equal(counts, [f'{int(n == 0)} {404 if n == 3 else 200} {size}'
                       for n, size in enumerate(sizes)])
        equal(digest((place / 'got_b').read_bytes()), digest(MUCH))
        head = curl('-I', f'{url}/b', f'{url}/a', '-w', COUNTS).decode()
        equal(head.count(f'Content-Length: {len(MUCH)}\r\n'), 1)
        equal(re.findall(r'^\d \d+ \d+$', head, re.M), ['1 200 0', '0 200 0'])
        equal(curl('-X', 'DELETE', f'{url}/a', '-o', place / 'no', '-w',
                   COUNTS)[:6], b'1 405 ')


@test
def curl_gets_a_very_large_file():
    with folder() as place:
        wanted = make_large(place / 'large')
        with serving(f'http_files {place} 0') as port:
            equal(curl_digest(f'http://127.0.0.1:{port}/large'), wanted)


@test
def a_curl_that_is_slow_holds_up_nobody():
    need('curl')
    data = MUCH * 8
    with folder(much=data, a=b'1') as place, \
            serving(f'http_files {place} 0') as port:
        url = f'http://127.0.0.1:{port}'
        got = []
        slow = threading.Thread(target=lambda: got.append(
            curl_digest('--limit-rate', '12M', f'{url}/much')))
        slow.start()
        count = 0
        while slow.is_alive():
            equal(curl(f'{url}/a'), b'1')
            count += 1
        slow.join()
        equal(got, [digest(data)])
        assert count > 3, count


@test
def curl_sends_through_starttls():
    with folder() as place:
        certificate, key = make_certificate(place)
        with serving(f'starttls_server {certificate} {key} 0') as port:
            found = curl('--ssl-reqd', '--cacert', certificate, '-X', 'HOW',
                         f'smtp://127.0.0.1:{port}')
            equal(found.split()[:2], [b'250', b'TLSv1.3'])


@test
def s_client_starts_tls():
    with folder() as place:
        certificate, key = make_certificate(place)
        with serving(f'starttls_server {certificate} {key} 0') as port:
            done = subprocess.run(
                ['openssl', 's_client', '-starttls', 'smtp', '-quiet',
                 '-verify_return_error', '-CAfile', certificate, '-connect',
                 f'127.0.0.1:{port}'],
                input=b'HOW\r\nQUIT\r\n', capture_output=True,
                timeout=PATIENCE)
            assert b'250 TLSv1.3 ' in done.stdout, done
            assert done.stdout.endswith(b'221 good-bye\r\n'), done


# --- wrk ----------------------------------------------------------------------

def count_requests(url):
    told = run('wrk', '-t', '1', '-c', '50', '-d', '1s', url).decode()
    assert 'Socket errors' not in told, told
    assert 'Non-2xx' not in told, told
    assert int(re.search(r'(\d+) requests in', told)[1]) > 50, told


def check_wrk(arguments):
    need('wrk')
    with folder(small=MUCH[:300], middle=MUCH[:60000]) as place, \
            serving(f'http_files {place} {arguments}') as port:
        for name in ('small', 'middle'):
            count_requests(f'http://127.0.0.1:{port}/{name}')


@test
def wrk_meets_no_error():
    check_wrk('0')


@test
def wrk_meets_no_error_with_workers():
    check_wrk('0 2')


# --- socat and nc -------------------------------------------------------------

@contextlib.contextmanager
def echo_unix(name):
    with started(f'echo_unix {name}') as line:
        equal(line, f'listening on {name}\n')
        yield


@test
def socat_is_echoed_to_over_unix_sockets():
    with folder() as place:
        abstract = f'rota-peers-{os.getpid()}'
        for name, address in (
                (place / 'echo', f'UNIX-CONNECT:{place}/echo'),
                (f'@{abstract}', f'ABSTRACT-CONNECT:{abstract}')):
            with echo_unix(name):
                found = run('socat', '-t', str(PATIENCE), '-', address,
                            data=MUCH)
                equal(digest(found), digest(MUCH))


@test
def nc_is_echoed_to_over_a_unix_socket():
    with folder() as place, echo_unix(place / 'echo'):
        found = run('nc', '-N', '-U', str(place / 'echo'), data=MUCH)
        equal(digest(found), digest(MUCH))


@test
def nc_ends_its_half_through_a_proxy():
    with serving('echo_server 0') as echo, proxy_to(echo) as port:
        found = run('nc', '-N', '127.0.0.1', str(port), data=MUCH)
        equal(digest(found), digest(MUCH))


@test
def socat_serves_behind_a_proxy():
    """It reads to the end, then answers: sha256sum."""
    need('socat', 'sha256sum')
    there = free_port()
    with running(there, 'socat', f'TCP-LISTEN:{there},bind=127.0.0.1,fork,'
                 'reuseaddr', 'SYSTEM:sha256sum'), proxy_to(there) as port:
        equal(say(port, MUCH).split(), [digest(MUCH).encode(), b'-'])


# --- nginx --------------------------------------------------------------------

NGINX = shutil.which('nginx', path=f'{os.environ["PATH"]}:/usr/sbin')
NGINX_SETTINGS = '''
daemon off;
master_process off;
pid {place}/pid;
error_log {place}/log;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {place}/t1;
    proxy_temp_path {place}/t2;
    fastcgi_temp_path {place}/t3;
    uwsgi_temp_path {place}/t4;
    scgi_temp_path {place}/t5;
    upstream rota {{ server 127.0.0.1:{rota}; keepalive 4; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{ root {place}/www; sendfile on; }}
        location /rota/ {{
            proxy_pass http://rota/;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }}
    }}
}}
'''


@contextlib.contextmanager
def nginx(place, rota=1):
    """Its port; it serves place/www, and under /rota/ what `rota` serves."""
    need(NGINX or 'nginx')
    port = free_port()
    (place / 'conf').write_text(
        NGINX_SETTINGS.format(place=place, port=port, rota=rota))
    with running(port, NGINX, '-p', place, '-c', place / 'conf'):
        yield port


@test
def nginx_serves_curl_through_a_proxy():
    with folder() as place:
        (place / 'www').mkdir()
        (place / 'www' / 'a').write_bytes(b'1')
        wanted = make_large(place / 'www' / 'large')
        with nginx(place) as there, proxy_to(there) as port:
            url = f'http://127.0.0.1:{port}'
            equal(curl_digest(f'{url}/large'), wanted)
            told = curl(f'{url}/a', f'{url}/none', f'{url}/a', '-w', COUNTS)
            equal(re.findall(rb'(\d \d{3}) \d+\n', told),
                  [b'1 200', b'0 404', b'0 200'])
            parts = [curl('-r', f'{at}-{at + 9999}', f'{url}/large')
                     for at in (0, 5 * MIB)]
            equal([len(part) for part in parts], [10000] * 2)


@test
def nginx_asks_rota_for_files():
    with folder(a=b'1', much=MUCH) as place, \
            serving(f'http_files {place} 0') as rota, \
            nginx(place, rota) as port:
        url = f'http://127.0.0.1:{port}/rota'
        for _ in range(5):
            equal(curl(f'{url}/a', f'{url}/a'), b'11')
            equal(curl_digest(f'{url}/much'), digest(MUCH))
        equal(curl(f'{url}/none', '-w', '%{http_code}')[-3:], b'404')


@test
def wrk_asks_rota_through_nginx():
    need('wrk')
    with folder(a=b'1') as place, serving(f'http_files {place} 0') as rota, \
            nginx(place, rota) as port:
        count_requests(f'http://127.0.0.1:{port}/rota/a')


# --- redis --------------------------------------------------------------------

@contextlib.contextmanager
def redis():
    """The port of a proxy before a server that keeps nothing on disk."""
    need('redis-server', 'redis-cli', 'redis-benchmark')
    there = free_port()
    with folder() as place, running(
            there, 'redis-server', '--port', str(there), '--bind',
            '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir',
            str(place)), proxy_to(there) as port:
        yield str(port)


@test
def redis_benchmark_runs_through_a_proxy():
    with redis() as port:
        for tests, *more in (
                ('ping,set,get,lrange_100', '-c', '50'),
                ('ping,set,get', '-c', '10', '-P', '32', '-d', '2000')):
            told = run('redis-benchmark', '-h', '127.0.0.1', '-p', port, '-n',
                       '5000', '-q', '-t', tests, *more).decode()
            assert 'rror' not in told, told
            assert told.count('requests per second') >= 4, told


@test
def a_large_value_of_redis_goes_through_a_proxy():
    data = random.Random(4).randbytes(8 * MIB).hex().encode()
    with redis() as port:
        client = ('redis-cli', '-h', '127.0.0.1', '-p', port)
        equal(run(*client, '-x', 'set', 'value', data=data), b'OK\n')
        equal(digest(run(*client, 'get', 'value').rstrip()), digest(data))
        orders = ''.join(f'set key{n} {n}\n' for n in range(5000))
        told = run(*client, '--pipe', data=orders.encode())
        assert b'errors: 0, replies: 5000' in told, told
        equal(run(*client, 'get', 'key4999'), b'4999\n')


@test
def news_of_redis_come_through_a_proxy():
    with redis() as port:
        client = ('redis-cli', '-h', '127.0.0.1', '-p', port)
        with subprocess.Popen([*client, 'subscribe', 'news'],
                              stdout=subprocess.PIPE) as listener:
            try:
                heard = [listener.stdout.readline() for _ in range(3)]
                equal(heard, [b'subscribe\n', b'news\n', b'1\n'])
                for number in range(20):
                    equal(run(*client, 'publish', 'news', f'n{number}'),
                          b'1\n')
                    heard = [listener.stdout.readline() for _ in range(3)]
                    equal(heard, [b'message\n', b'news\n',
                                  b'n%d\n' % number])
            finally:
                listener.kill()


# --- asyncio ------------------------------------------------------------------

async def send(writer, data):
    rng = random.Random(len(data))
    at = 0
    while at < len(data):
        size = rng.randint(1, 200_000)
        writer.write(data[at:at + size])
        at += size
        await writer.drain()
    writer.write_eof()


async def exchange(reader, writer, data):
    """Sends and ends, reads to the end; the digest of what came."""
    _, found = await asyncio.gather(send(writer, data), reader.read())
    writer.close()
    await writer.wait_closed()
    return digest(found)


def run_asyncio(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, PATIENCE))


@test
def asyncio_is_echoed_to():
    async def ask(path, port):
        connections = [await asyncio.open_unix_connection(path),
                       await asyncio.open_connection('127.0.0.1', port)]
        for connection in connections:
            equal(await exchange(*connection, MUCH), digest(MUCH))

    with folder() as place, echo_unix(place / 'echo'), \
            serving('echo_server 0') as echo, proxy_to(echo) as port:
        run_asyncio(ask(str(place / 'echo'), port))


class Answers:
    """A server of asyncio's: reads to the end, answers with the digest."""

    def __init__(self):
        self.heard = []

    async def answer(self, reader, writer):
        data = await reader.read()
        writer.write(digest(data).encode())
        writer.close()

    async def speak_first(self, reader, writer):
        await send(writer, MUCH)  # which ends this half
        self.heard.append(digest(await reader.read()))
        writer.close()


@contextlib.asynccontextmanager
async def behind_a_proxy(handler):
    server = await asyncio.start_server(handler, '127.0.0.1', 0)
    async with server:
        with proxy_to(server.sockets[0].getsockname()[1]) as port:
            yield port


@test
def asyncio_answers_after_the_end_through_a_proxy():
    async def ask(port, data):
        connection = await asyncio.open_connection('127.0.0.1', port)
        equal(await exchange(*connection, data),
              digest(digest(data).encode()))

    async def ask_all():
        async with behind_a_proxy(Answers().answer) as port:
            await asyncio.gather(*(
                ask(port, MUCH[:n * 20_000]) for n in range(40)))

    run_asyncio(ask_all())


@test
def asyncio_ends_first_and_goes_on_reading_through_a_proxy():
    async def ask():
        server = Answers()
        async with behind_a_proxy(server.speak_first) as port:
            reader, writer = await asyncio.open_connection('127.0.0.1', port)
            equal(digest(await reader.read()), digest(MUCH))
            equal(server.heard, [])
            await send(writer, MUCH[::-1])
            equal(await reader.read(), b'')
            while not server.heard:
                await asyncio.sleep(0)
            equal(server.heard, [digest(MUCH[::-1])])
            writer.close()

    run_asyncio(ask())


@test
def what_asyncio_aborts_is_aborted_behind_the_proxy():
    async def ask():
        ended = asyncio.get_running_loop().create_future()

        async def listen(reader, writer):
            try:
                ended.set_result(await reader.read())
            except ConnectionResetError as error:
                ended.set_result(error)
            writer.close()

        async with behind_a_proxy(listen) as port:
            with connect(port) as sock:
                sock.sendall(b'begun')
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                struct.pack('ii', 1, 0))
            assert isinstance(await ended, ConnectionResetError), ended

    run_asyncio(ask())


if __name__ == '__main__':
    sys.exit(run_all(TESTS))
