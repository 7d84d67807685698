#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""
Files that rota sends, and the clients of others

A plain socket, one that dawdles, nc and curl, the last also through TLS, take
a file from the example server; what they got must be the file, byte for byte.
ROTA_BUILD is where the server was built.
"""

import contextlib
import hashlib
import random
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import traceback
from pathlib import Path

from example_programs import PATIENCE, connect, equal, read_all, serving

MUCH = 20_000_003
REQUEST = b'GET / HTTP/1.0\r\n\r\n'
TESTS = []


class Skip(Exception):
    pass


def test(function):
    TESTS.append((function.__name__, function))
    return function


def need(name):
    found = shutil.which(name)
    if not found:
        raise Skip(f'{name} is not there')
    return found


@contextlib.contextmanager
def offer(size=MUCH):
    """A folder with a file in it, and the file's digest."""
    data = random.Random(size).randbytes(size)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'file'
        path.write_bytes(data)
        yield path, hashlib.sha256(data).hexdigest()


def body(answer):
    return answer.partition(b'\r\n\r\n')[2]


def digest(data):
    return hashlib.sha256(data).hexdigest()


# --- Plain sockets ------------------------------------------------------------

@test
def files_of_all_sizes_arrive():
    for size in (0, 1, 4096, 262144, 1 << 20, (1 << 20) + 1, MUCH):
        with offer(size) as (path, wanted), serving(f'send_file 0 {path}') \
                as port, connect(port) as sock:
            sock.sendall(REQUEST)
            equal(digest(body(read_all(sock))), wanted)


def dawdle(port, rng, results):
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.settimeout(PATIENCE)
        sock.connect(('127.0.0.1', port))
        sock.sendall(REQUEST)
        got = []
        while chunk := sock.recv(rng.randint(1, 30_000)):
            got.append(chunk)
        results.append(digest(body(b''.join(got))))


@test
def many_that_dawdle_get_it_at_once():
    results = []
    with offer(3_000_000) as (path, wanted), \
            serving(f'send_file 0 {path}') as port:
        threads = [threading.Thread(target=dawdle,
                                    args=(port, random.Random(n), results))
                   for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    equal(results, [wanted] * 8)


@test
def one_that_resets_does_not_harm_the_others():
    with offer() as (path, wanted), serving(f'send_file 0 {path}') as port:
        with connect(port) as sock:
            sock.sendall(REQUEST)
            assert sock.recv(1000)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                            struct.pack('ii', 1, 0))
        with connect(port) as sock:
            sock.sendall(REQUEST)
            equal(digest(body(read_all(sock))), wanted)


# --- Programs -----------------------------------------------------------------

@test
def nc_gets_it():
    command = [need('nc'), '127.0.0.1']
    with offer() as (path, wanted), serving(f'send_file 0 {path}') as port:
        done = subprocess.run([*command, str(port)], input=REQUEST,
                              capture_output=True, timeout=PATIENCE)
        equal(digest(body(done.stdout)), wanted)


def curl(url, path, *more):
    copy = path.with_name('copy')
    done = subprocess.run(
        [need('curl'), '-sS', '--noproxy', '*', '--max-time',
         str(int(PATIENCE)), '-o', copy, *more, url],
        capture_output=True, encoding='utf-8', timeout=2 * PATIENCE)
    equal((done.returncode, done.stderr), (0, ''))
    return digest(copy.read_bytes())


@test
def curl_gets_it():
    need('curl')
    with offer() as (path, wanted), serving(f'send_file 0 {path}') as port:
        equal(curl(f'http://127.0.0.1:{port}/', path), wanted)


def make_certificate(folder):
    command = [
        need('openssl'), 'req', '-x509', '-newkey', 'rsa:2048', '-nodes',
        '-days', '2', '-subj', '/CN=localhost', '-addext',
        'subjectAltName=IP:127.0.0.1', '-keyout', folder / 'key',
        '-out', folder / 'certificate']
    done = subprocess.run(command, capture_output=True, timeout=PATIENCE)
    equal(done.returncode, 0)


def need_tls(path):
    command = f'send_file 0 {path} {path} {path}'
    try:
        with serving(command):
            pass
    except AssertionError as why:
        if 'without TLS' in str(why):
            raise Skip('this rota was built without TLS') from why


@test
def curl_gets_it_through_tls():
    need('curl')
    with offer() as (path, wanted):
        need_tls(path)
        folder = path.parent
        make_certificate(folder)
        files = f'{path} {folder}/certificate {folder}/key'
        with serving(f'send_file 0 {files}') as port:
            equal(curl(f'https://127.0.0.1:{port}/', path, '--cacert',
                       folder / 'certificate'), wanted)


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
