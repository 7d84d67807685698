#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""
rota's TLS and that of others: asyncio, OpenSSL's own programs, curl

Each is a client of a server of rota's, and a server of a client of rota's.
Megabytes go both ways at once; certificates are wanted and refused.
"""

import asyncio
import contextlib
import random
import re
import ssl
import subprocess
import sys
import threading
from pathlib import Path

import outside
from outside import PATIENCE, Skip, built, need

MUCH = 3_000_000
FOLDER = outside.folder


def openssl(*arguments):
    need('openssl')
    subprocess.run(['openssl', *map(str, arguments)], check=True,
                   capture_output=True, cwd=FOLDER)


def make_papers():
    """ca, and what it has issued: server, client; stranger has not."""
    key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
    for name in ('ca', 'stranger'):
        openssl('req', '-x509', *key, '-keyout', f'{name}.key', '-out',
                f'{name}.pem', '-days', '2', '-subj', f'/CN={name}')
    for name in ('server', 'client'):
        openssl('req', *key, '-keyout', f'{name}.key', '-out', f'{name}.csr',
                '-subj', f'/CN={name}')
        (FOLDER / 'names').write_text(
            'subjectAltName=DNS:localhost,IP:127.0.0.1\n')
        openssl('x509', '-req', '-in', f'{name}.csr', '-CA', 'ca.pem',
                '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2',
                '-extfile', 'names', '-out', f'{name}.pem')


def paper(name):
    return str(FOLDER / name)


@contextlib.contextmanager
def rota_serves(*more, complaints=''):
    """The port of a server, which must end when it is told to."""
    server = subprocess.Popen(
        [built('tls_echo'), paper('server.pem'), paper('server.key'), *more],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=outside.ENVIRONMENT)
    try:
        yield int(server.stdout.readline())
        assert server.poll() is None, f'it ended with {server.returncode}'
    finally:
        server.terminate()
        _, said = server.communicate(timeout=PATIENCE)
    assert said == complaints, said


def rota_asks(port, data, *more, name='localhost', authority='ca.pem'):
    return subprocess.run(
        [built('tls_ask'), str(port), paper(authority), name, *more],
        input=data, capture_output=True, timeout=PATIENCE,
        env=outside.ENVIRONMENT)


def client_context(version=None):
    context = ssl.create_default_context(cafile=paper('ca.pem'))
    context.set_alpn_protocols(['echo'])
    if version:
        context.maximum_version = version
    return context


def server_context():
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(paper('server.pem'), paper('server.key'))
    context.set_alpn_protocols(['echo'])
    return context


# --- asyncio ------------------------------------------------------------------

async def exchange(port, data, context):
    reader, writer = await asyncio.open_connection(
        '127.0.0.1', port, ssl=context, server_hostname='localhost')
    assert writer.get_extra_info('ssl_object').selected_alpn_protocol() == (
        'echo')

    async def write():
        rng = random.Random(2)
        at = 0
        while at < len(data):
            size = rng.randint(1, 100_000)
            writer.write(data[at:at + size])
            at += size
            await writer.drain()

    writing = asyncio.create_task(write())
    assert await reader.readexactly(len(data)) == data
    await writing
    writer.close()
    await writer.wait_closed()


def run_asyncio(main):
    return asyncio.run(asyncio.wait_for(main, PATIENCE))


def asyncio_sends_megabytes_and_gets_them_back():
    data = random.Random(1).randbytes(MUCH)
    with rota_serves() as port:
        for version in (ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2):
            run_asyncio(exchange(port, data, client_context(version)))


async def exchange_many(port):
    rng = random.Random(3)
    await asyncio.gather(*(
        exchange(port, rng.randbytes(rng.randint(1, 100_000)),
                 client_context()) for _ in range(20)))


def many_connections_of_asyncio_do_not_disturb_each_other():
    with rota_serves() as port:
        run_asyncio(exchange_many(port))


async def ask_with(port, certificate):
    context = client_context()
    if certificate:
        context.load_cert_chain(paper(f'{certificate}.pem'),
                                paper(f'{certificate}.key'))
    await exchange(port, b'hello', context)


def refused(port, certificate):
    try:
        run_asyncio(ask_with(port, certificate))
    except (ssl.SSLError, ConnectionError, asyncio.IncompleteReadError):
        return True
    return False


def asyncio_shows_the_certificate_that_rota_wants():
    with rota_serves(paper('ca.pem')) as port:
        run_asyncio(ask_with(port, 'client'))
        assert refused(port, None)
        assert refused(port, 'stranger')


@contextlib.contextmanager
def asyncio_serves(handler):
    """The port of a server of asyncio's, in a thread."""
    loop = asyncio.new_event_loop()

    async def begin():
        return await asyncio.start_server(
            handler, '127.0.0.1', 0, ssl=server_context())

    server = loop.run_until_complete(begin())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        server.close()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()


async def echo(reader, writer):
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        while data := await reader.read(70_000):
            writer.write(data)
            await writer.drain()
        writer.close()
        await writer.wait_closed()


def asyncio_serves_megabytes_to_rota():
    data = random.Random(4).randbytes(MUCH)
    with asyncio_serves(echo) as port:
        done = rota_asks(port, data)
        assert done.stdout == data, done.stderr
        assert done.returncode == 0, done.stderr
        assert done.stderr == b'TLSv1.3 echo CN=server\n', done.stderr


def rota_does_not_trust_asyncio_blindly():
    with asyncio_serves(echo) as port:
        done = rota_asks(port, b'x', name='example.com')
        assert b'ROTA_ECERTHOST: ' in done.stderr, done.stderr
        assert b'is not for example.com' in done.stderr, done.stderr
        done = rota_asks(port, b'x', authority='stranger.pem')
        assert b'ROTA_ECERTUNKNOWN: ' in done.stderr, done.stderr
        assert done.returncode == 1


async def cut_off(reader, writer):
    data = await reader.readexactly(4)
    writer.write(data[:2])
    await writer.drain()
    writer.transport.abort()


def rota_notices_that_asyncio_has_not_said_goodbye():
    with asyncio_serves(cut_off) as port:
        done = rota_asks(port, b'1234')
        assert done.stdout == b'12', done
        assert re.search(rb'ROTA_ETRUNCATED|ECONNRESET', done.stderr), done


# --- OpenSSL's programs -------------------------------------------------------

def s_client_talks_to_rota():
    need('openssl')
    with rota_serves() as port:
        for version in ('-tls1_2', '-tls1_3'):
            done = subprocess.run(
                ['openssl', 's_client', '-connect', f'127.0.0.1:{port}',
                 '-CAfile', paper('ca.pem'), '-verify_return_error', '-quiet',
                 '-servername', 'localhost', version],
                input=b'GET / HTTP/1.0\r\n\r\n', capture_output=True,
                timeout=PATIENCE)
            assert b'localhost' in done.stdout, done


def s_client_changes_its_keys():
    need('openssl')
    with rota_serves() as port:
        client = subprocess.Popen(
            ['openssl', 's_client', '-connect', f'127.0.0.1:{port}',
             '-CAfile', paper('ca.pem'), '-servername', 'localhost'],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT)

        def wait_for(word):
            while line := client.stdout.readline():
                if word in line:
                    return
            raise AssertionError(f'no {word}')

        for word in (b'one', b'two', b'three'):
            client.stdin.write(word + b'\n')
            client.stdin.flush()
            wait_for(word)
            client.stdin.write(b'K\n')  # new keys, for both directions
            client.stdin.flush()
            wait_for(b'KEYUPDATE')
        client.stdin.write(b'Q\n')
        client.communicate(timeout=PATIENCE)
        assert client.returncode == 0


def s_server_serves_rota():
    need('openssl')
    server = subprocess.Popen(
        ['openssl', 's_server', '-accept', '127.0.0.1:0', '-rev', '-cert',
         paper('server.pem'), '-key', paper('server.key'), '-Verify', '1',
         '-CAfile', paper('ca.pem'), '-verify_return_error'],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        while not (found := re.match(
                rb'ACCEPT .*:(\d+)', server.stdout.readline())):
            assert server.poll() is None
        done = rota_asks(int(found[1]), b'hello\n', paper('client.pem'),
                         paper('client.key'))
        assert done.stdout == b'olleh\n', done
        done = rota_asks(int(found[1]), b'hello\n')
        assert b'ROTA_ETLSALERT' in done.stderr, done
    finally:
        server.kill()
        server.communicate()


# --- curl ---------------------------------------------------------------------

def curl_gets_a_page_by_https():
    need('curl')
    with rota_serves() as port:
        command = ['curl', '-sS', '--noproxy', '*', '--max-time', '20',
                   f'https://localhost:{port}/']
        done = subprocess.run([*command, '--cacert', paper('ca.pem')],
                              capture_output=True, timeout=PATIENCE)
        assert done.stdout == b'TLSv1.3 http/1.1 localhost\n', done
        done = subprocess.run([*command, '--cacert', paper('stranger.pem')],
                              capture_output=True, timeout=PATIENCE)
        assert done.returncode == 60, done


def a_server_that_has_served_leaves_nothing():
    """It ends by itself, so that a sanitizer can look at its memory."""
    need('openssl')
    environment = {**outside.ENVIRONMENT, 'ASAN_OPTIONS': 'detect_leaks=1'}
    server = subprocess.Popen(
        [built('tls_echo'), paper('server.pem'), paper('server.key')],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=environment)
    port = int(server.stdout.readline())

    async def quit():
        _, writer = await asyncio.open_connection(
            '127.0.0.1', port, ssl=client_context(),
            server_hostname='localhost')
        writer.write(b'quit\n')
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    run_asyncio(exchange(port, bytes(MUCH), client_context()))
    run_asyncio(quit())
    _, said = server.communicate(timeout=PATIENCE)
    assert server.returncode == 0 and said == '', said


TESTS = [
    asyncio_sends_megabytes_and_gets_them_back,
    many_connections_of_asyncio_do_not_disturb_each_other,
    asyncio_shows_the_certificate_that_rota_wants,
    asyncio_serves_megabytes_to_rota,
    rota_does_not_trust_asyncio_blindly,
    rota_notices_that_asyncio_has_not_said_goodbye,
    s_client_talks_to_rota,
    s_client_changes_its_keys,
    s_server_serves_rota,
    curl_gets_a_page_by_https,
    a_server_that_has_served_leaves_nothing,
]


def skipped(test):
    """The same name, without doing anything."""
    def skip():
        raise Skip('rota was built without TLS')

    skip.__name__ = test.__name__
    return skip


if __name__ == '__main__':
    if outside.TLS:
        make_papers()
    else:
        TESTS = [skipped(test) for test in TESTS]
    sys.exit(outside.run_all(TESTS))
