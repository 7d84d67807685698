#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""
The examples that speak to a network: Unix sockets, TLS, a chat, a proxy, files

As in test_examples.py, clients that are not ours ask them; Python's smtplib
and a server of asyncio's are the other ends of the conversation that becomes
encrypted. ROTA_BUILD is where the examples were built.
"""

import asyncio
import contextlib
import errno
import http.client
import os
import random
import re
import smtplib
import socket
import ssl
import struct
import sys
import tempfile
import threading
from pathlib import Path

from example_programs import (
    PATIENCE, Skip, connect, equal, make_certificate, need_tls, read_all, run,
    run_all, say, serving, started, statuses)

TESTS = []


def test(function):
    TESTS.append(function)
    return function


@contextlib.contextmanager
def folder():
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def send_and_hear(sock, data):
    """Sends without reading first what would fill the way back."""
    writer = threading.Thread(target=sock.sendall, args=(data,))
    writer.start()
    found = b''
    while len(found) < len(data):
        chunk = sock.recv(65536)
        assert chunk, f'only {len(found)} bytes came back'
        found += chunk
    writer.join()
    return found


@contextlib.contextmanager
def reset():
    """What stands in it must meet one, sooner or later."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ECONNRESET, errno.EPIPE, errno.ENOTCONN):
            return
        raise
    raise AssertionError('no reset')


def usage(name, arguments=''):
    done = run(f'{name} {arguments}')
    equal((done.returncode, done.stdout), (2, ''))
    assert done.stderr.startswith(f'usage: {name} '), done.stderr


# --- Unix sockets -------------------------------------------------------------

def connect_unix(path):
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(PATIENCE)
    sock.connect(str(path).replace('@', '\0', 1))
    return sock


@contextlib.contextmanager
def echo_unix():
    with folder() as place, started(f'echo_unix {place}/echo') as line:
        equal(line, f'listening on {place}/echo\n')
        yield place / 'echo'


@test
def what_is_sent_to_a_unix_socket_comes_back():
    data = random.Random(1).randbytes(2_000_000)
    with echo_unix() as path, connect_unix(path) as sock:
        for part in (b'x', b'hello\n', data):
            assert send_and_hear(sock, part) == part
        sock.shutdown(socket.SHUT_WR)
        equal(sock.recv(1), b'')


@test
def an_abstract_name_needs_no_file():
    name = f'@rota-test-{os.getpid()}'
    if sys.platform != 'linux':
        raise Skip('a speciality of Linux')
    with started(f'echo_unix {name}') as line:
        equal(line, f'listening on {name}\n')
        with connect_unix(name) as sock:
            equal(send_and_hear(sock, b'hello'), b'hello')


@test
def a_path_that_is_listened_on_is_taken_and_one_left_behind_is_not():
    usage('echo_unix')
    with folder() as place:
        for _ in range(2):  # the first is killed and leaves its file
            with started(f'echo_unix {place}/echo') as line:
                assert line.startswith('listening')
                done = run(f'echo_unix {place}/echo')
                equal(done.returncode, 1)
                assert 'Address already in use' in done.stderr, done.stderr


# --- The chat -----------------------------------------------------------------

class Member:
    def __init__(self, stack, port, name):
        self.sock = stack.enter_context(connect(port))
        self.lines = stack.enter_context(self.sock.makefile('rb'))
        equal(self.lines.read(11), b'your name? ')
        self.says(name)

    def says(self, text):
        self.sock.sendall(text.encode() + b'\n')

    def hears(self, text):
        equal(self.lines.readline(), text.encode() + b'\n')


@contextlib.contextmanager
def chat(*names):
    """Members that know of each other."""
    with serving('chat_server 0') as port, contextlib.ExitStack() as stack:
        members = []
        for name in names:
            members.append(Member(stack, port, name))
            for other in members[:-1]:
                other.hears(f'* {name} has come')
        yield members


@test
def what_one_says_all_others_hear():
    with chat('ann', 'bob', 'cat') as (ann, bob, cat):
        ann.says('hello')
        bob.hears('ann: hello')
        cat.hears('ann: hello')
        cat.says('100 %s\r')
        ann.hears('cat: 100 %s')
        bob.hears('cat: 100 %s')
        bob.sock.shutdown(socket.SHUT_WR)
        ann.hears('* bob has left')
        equal(bob.lines.readline(), b'')
        cat.hears('* bob has left')


@test
def a_burst_of_lines_is_heard_in_order():
    with chat('ann', 'bob') as (ann, bob):
        ann.says('\n'.join(f'line {n}' for n in range(5000)))
        for number in range(5000):
            bob.hears(f'ann: line {number}')


@test
def who_says_too_much_at_once_is_gone():
    with chat('ann', 'bob') as (ann, bob):
        ann.says('x' * 600)
        bob.hears('* ann has left')
        with contextlib.suppress(ConnectionResetError):
            equal(read_all(ann.sock), b'')


@test
def a_member_that_does_not_listen_holds_up_nobody():
    with chat('ann', 'bob', 'deaf') as (ann, bob, deaf):
        heard = threading.Event()

        def listen():
            while bob.lines.readline() != b'* deaf has left\n':
                pass
            heard.set()

        listener = threading.Thread(target=listen)
        listener.start()
        for _ in range(100_000):
            ann.says('x' * 500)
            if heard.is_set():
                break
        listener.join(PATIENCE)
        assert heard.is_set()
        ann.hears('* deaf has left')
        with reset():
            read_all(deaf.sock)


# --- The proxy ----------------------------------------------------------------

@contextlib.contextmanager
def proxy(to='echo_server'):
    with serving(f'{to} 0') as there, \
            serving(f'tcp_proxy 0 127.0.0.1 {there}') as port:
        yield port


@test
def a_proxy_passes_everything_on_both_ways():
    data = random.Random(2).randbytes(5_000_000)
    usage('tcp_proxy', '0 127.0.0.1')
    with proxy() as port, connect(port) as sock:
        for part in (b'x', data, b'y'):
            assert send_and_hear(sock, part) == part


@test
def a_proxy_passes_an_end_on_as_an_end():
    with proxy() as port:
        equal(say(port, b'hello'), b'hello')
        equal(say(port, b''), b'')
    with socket.create_server(('127.0.0.1', 0)) as listener, \
            serving(f'tcp_proxy 0 127.0.0.1 {listener.getsockname()[1]}') \
            as port, connect(port) as sock:
        there, _ = listener.accept()
        with there:
            there.settimeout(PATIENCE)
            there.shutdown(socket.SHUT_WR)
            equal(sock.recv(1), b'')
            sock.sendall(b'still here')
            sock.shutdown(socket.SHUT_WR)
            equal(read_all(there), b'still here')


@test
def a_proxy_passes_a_reset_on_as_a_reset():
    with socket.create_server(('127.0.0.1', 0)) as listener:
        target = listener.getsockname()[1]
        with serving(f'tcp_proxy 0 127.0.0.1 {target}') as port:
            with connect(port) as sock:
                there, _ = listener.accept()
                there.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                 struct.pack('ii', 1, 0))
                there.close()
                with reset():
                    read_all(sock)
            listener.close()
            with reset():  # and when nobody is there
                say(port, b'x')


@test
def a_proxy_serves_many_at_once():
    with proxy() as port, contextlib.ExitStack() as stack:
        socks = [stack.enter_context(connect(port)) for _ in range(200)]
        for number, sock in enumerate(socks):
            sock.sendall(b'%d\n' % number)
        for number, sock in reversed(list(enumerate(socks))):
            equal(sock.recv(100), b'%d\n' % number)


# --- The port scanner ---------------------------------------------------------

@test
def the_open_ports_are_found():
    with contextlib.ExitStack() as stack:
        listeners = [stack.enter_context(
            socket.create_server(('127.0.0.1', 0))) for _ in range(20)]
        ports = {listener.getsockname()[1] for listener in listeners}
        first = max(min(ports) - 200, 1)
        last = min(max(ports) + 200, 65535)
        done = run(f'port_scanner 127.0.0.1 {first} {last}')
    equal((done.returncode, done.stderr), (0, ''))
    found = [int(line) for line in done.stdout.split()]
    assert ports <= set(found), ports - set(found)
    equal(len(found), len(set(found)))
    done = run(f'port_scanner 127.0.0.1 {min(ports)} {min(ports)}')
    equal((done.returncode, done.stdout), (0, ''))


@test
def a_scan_that_makes_no_sense_is_refused():
    usage('port_scanner', '127.0.0.1 1')
    for arguments in ('127.0.0.1 0 5', '127.0.0.1 5 4', '127.0.0.1 1 65536',
                      '127.0.0.1 x 1'):
        done = run(f'port_scanner {arguments}')
        equal((done.returncode, done.stdout, done.stderr),
              (1, '', 'port_scanner: Invalid argument\n'))


# --- Files by HTTP ------------------------------------------------------------

BIG = random.Random(3).randbytes(1_000_003)


@contextlib.contextmanager
def http_files(more='0'):
    with folder() as place:
        for name, data in (('index.html', b'<p>welcome'), ('empty', b''),
                           ('a b.txt', b'text'), ('big', BIG),
                           ('16384', BIG[:16384]), ('16385', BIG[:16385])):
            (place / name).write_bytes(data)
        (place / 'sub').mkdir()
        (place / 'sub' / 'index.html').write_bytes(b'below')
        with serving(f'http_files {place} {more}') as port:
            yield port


FILES = (
    ('/', 200, b'<p>welcome'), ('/?x', 200, b'<p>welcome'),
    ('/empty', 200, b''), ('/a%20b.txt', 200, b'text'),
    ('/%61%20b%2etxt?y=1', 200, b'text'), ('/big', 200, BIG),
    ('/16384', 200, BIG[:16384]), ('/16385', 200, BIG[:16385]),
    ('/sub/index.html', 200, b'below'),
    ('/sub', 404, None), ('/none', 404, None), ('/a%2', 400, None),
    ('/a%00', 400, None), ('/%zz', 400, None), ('/../etc', 403, None),
    ('//etc/passwd', 403, None), ('/%2fetc/passwd', 403, None),
    ('/' + 'x' * 5000, 404, None),
)


@test
def files_are_served_over_one_connection():
    with http_files() as port:
        client = http.client.HTTPConnection('127.0.0.1', port, PATIENCE)
        client.connect()
        sock = client.sock
        for method in ('GET', 'HEAD'):
            for target, status, body in FILES:
                client.request(method, target)
                answer = client.getresponse()
                equal((target, answer.status), (target, status))
                found = answer.read()
                if method == 'HEAD':
                    equal(found, b'')
                elif status == 200:
                    assert found == body, target
                if status == 200:
                    equal(int(answer.getheader('Content-Length')), len(body))
                assert client.sock is sock
        client.request('PUT', '/big', b'x')
        answer = client.getresponse()
        equal((answer.status, answer.getheader('Allow')), (405, 'GET, HEAD'))
        client.close()


@test
def files_have_types():
    with http_files() as port:
        for name, kind in (('', 'text/html; charset=utf-8'),
                           ('a%20b.txt', 'text/plain; charset=utf-8'),
                           ('big', 'application/octet-stream'),
                           ('none', 'application/json')):
            found = say(port, f'HEAD /{name} HTTP/1.0\r\n\r\n'.encode())
            assert f'Content-Type: {kind}\r\n'.encode() in found, found


@test
def files_may_be_asked_for_all_at_once():
    get = b'GET /%s HTTP/1.1\r\nHost: x\r\n\r\n'
    with http_files() as port:
        found = say(port, get % b'big' + get % b'none' + get % b'16384')
    equal(re.findall(rb'HTTP/1.1 (\d+) ', found), [b'200', b'404', b'200'])
    assert BIG in found and found.endswith(BIG[:16384])


@test
def several_workers_serve_files():
    with http_files('0 3') as port:
        for _ in range(30):
            found = say(port, b'GET /big HTTP/1.0\r\n\r\n')
            equal(statuses(found[:1000]), [200])
            assert found.endswith(b'\r\n\r\n' + BIG)


@test
def a_folder_that_is_not_there_cannot_be_served():
    usage('http_files')
    done = run('http_files /nowhere 0')
    equal((done.returncode, done.stderr),
          (1, '/nowhere: No such file or directory\n'))


# --- TLS ----------------------------------------------------------------------

@contextlib.contextmanager
def over_tls(port, certificate):
    context = ssl.create_default_context(cafile=certificate)
    with context.wrap_socket(connect(port),
                             server_hostname='localhost') as sock:
        yield sock


@test
def what_is_sent_over_tls_comes_back():
    with folder() as place:
        certificate, key = make_certificate(place)
        with serving(f'echo_tls {certificate} {key} 0') as port:
            with over_tls(port, certificate) as sock:
                for part in (b'x', b'hello\n', BIG[:16385]):
                    sock.sendall(part)
                    found = b''
                    while len(found) < len(part):
                        found += sock.recv(65536)
                    assert found == part
                sock.unwrap()
            with contextlib.suppress(OSError):  # it is reset
                assert b'no TLS' not in say(port, b'no TLS\r\n')
            with over_tls(port, certificate) as sock:
                sock.sendall(b'gone')  # without a good-bye
                equal(sock.recv(4), b'gone')


@test
def a_certificate_that_is_none_is_refused_in_words():
    need_tls()
    for name in ('echo_tls', 'starttls_server'):
        usage(name, 'certificate')
        done = run(f'{name} /dev/null /dev/null 0')
        equal((done.returncode, done.stdout), (1, ''))
        assert done.stderr.startswith(
            f'{name}: the certificate in /dev/null: '), done.stderr


# --- From the clear to TLS ----------------------------------------------------

@contextlib.contextmanager
def starttls_server():
    with folder() as place:
        certificate, key = make_certificate(place)
        with serving(f'starttls_server {certificate} {key} 0') as port:
            yield port, certificate


@test
def smtplib_starts_tls():
    with starttls_server() as (port, certificate):
        context = ssl.create_default_context(cafile=certificate)
        with smtplib.SMTP('127.0.0.1', port, timeout=PATIENCE) as client:
            client.ehlo('me')
            assert client.has_extn('STARTTLS')
            equal(client.docmd('HOW'), (250, b'in the clear'))
            equal(client.docmd('WHAT')[0], 500)
            equal(client.starttls(context=context)[0], 220)
            client.ehlo('me')
            assert not client.has_extn('STARTTLS')
            equal(client.docmd('how')[1].split()[0], b'TLSv1.3')
            equal(client.docmd('STARTTLS')[0], 503)
            equal(client.docmd('NOOP')[0], 250)
            equal(client.quit()[0], 221)


@test
def a_word_that_would_hide_behind_starttls_ends_the_connection():
    with starttls_server() as (port, _):
        found = say(port, b'STARTTLS\r\nNOOP\r\n')
        equal(found, b'220 localhost\r\n220 ready\r\n')
        found = say(port, b'STARTTLS\r\n')
        equal(found, b'220 localhost\r\n220 ready\r\n')
        found = say(port, b'x' * 1000)
        equal(found, b'220 localhost\r\n')
        equal(say(port, b'HOW\r\n'),
              b'220 localhost\r\n250 in the clear\r\n')


@test
def the_client_starts_tls_and_verifies():
    with starttls_server() as (port, certificate):
        done = run(f'starttls_client {certificate} 127.0.0.1 {port}')
        equal((done.returncode, done.stderr), (0, ''))
        equal(re.sub(r'TLSv1.3 \w+', 'TLS', done.stdout), CONVERSATION)
        with folder() as place:
            stranger, _ = make_certificate(place, 'stranger')
            done = run(f'starttls_client {stranger} 127.0.0.1 {port}')
        equal(done.returncode, 1)
        assert 'self-signed certificate' in done.stderr, done.stderr
        assert done.stdout.endswith('< 220 ready\n'), done.stdout


CONVERSATION = '''\
< 220 localhost
> EHLO localhost
< 250-localhost
< 250 STARTTLS
> STARTTLS
< 220 ready
> EHLO localhost
< 250 localhost
> HOW
< 250 TLS
> QUIT
< 221 good-bye
'''


async def converse(reader, writer, context, offer):
    """A server of asyncio's; gives up when the client does."""
    writer.write(b'220 asyncio\r\n')
    with contextlib.suppress(ConnectionError):
        while line := await reader.readline():
            if line == b'STARTTLS\r\n':
                writer.write(b'220 ready\r\n')
                await writer.start_tls(context)
                offer = b'250 all is well\r\n'
            elif line == b'QUIT\r\n':
                writer.write(b'221 bye\r\n')
                break
            else:
                writer.write(offer)
    writer.close()


async def ask_asyncio(context, certificate, offer):
    server = await asyncio.start_server(
        lambda reader, writer: converse(reader, writer, context, offer),
        '127.0.0.1', 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        return await asyncio.to_thread(
            run, f'starttls_client {certificate} 127.0.0.1 {port}')


@test
def the_client_asks_a_server_of_asyncio():
    if not hasattr(asyncio.StreamWriter, 'start_tls'):
        raise Skip('asyncio has no start_tls() before 3.11')
    with folder() as place:
        certificate, key = make_certificate(place)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate, key)
        done = asyncio.run(ask_asyncio(
            context, certificate, b'250-many things\r\n250-STARTTLS\r\n'
            b'250 and more\r\n'))
        equal((done.returncode, done.stderr), (0, ''))
        assert done.stdout.endswith('> QUIT\n< 221 bye\n'), done.stdout
        for offer, complaint in (
                (b'250 nothing\r\n', 'no encryption is offered'),
                (b'250 NOSTARTTLS\r\n', 'no encryption is offered'),
                (b'500 no\r\n', 'Protocol error'),
                (b'25\r\n', 'Protocol error')):
            done = asyncio.run(ask_asyncio(context, certificate, offer))
            equal((done.returncode, done.stderr),
                  (1, f'starttls_client: {complaint}\n'))
            assert 'STARTTLS\n' not in done.stdout.replace('NOSTARTTLS', '')


if __name__ == '__main__':
    sys.exit(run_all(TESTS))
