# SPDX-License-Identifier: MIT
"""
The examples as programs: running one, asking one that serves, comparing

ROTA_BUILD is where they were built.
"""

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import traceback
from pathlib import Path

EXAMPLES = Path(os.environ['ROTA_BUILD']) / 'examples'
EXPECTED = Path(__file__).with_name('examples')
SLOWNESS = float(os.environ.get('ROTA_TEST_SLOWNESS') or 1)
PATIENCE = 30 * SLOWNESS

REAL = {name: value for name, value in os.environ.items()
        if not re.match(r'ROTA_(?!POLLER)', name) and value != 'sim'}
VIRTUAL = dict(REAL, ROTA_CLOCK='virtual')

MASKS = (
    (r'0x[0-9a-f]+', 'ADDRESS'),
    (r'(Loop|Total) time: [\d.]+s?', r'\1 time: T'),
)


class Skip(Exception):
    """Why a test cannot be run here."""


def equal(found, wanted):
    assert found == wanted, f'{found!r} instead of {wanted!r}'


def within(seconds, least, most):
    """Never early; late by as much as the machine is slow."""
    most = least + (most - least) * SLOWNESS
    assert least - 0.005 <= seconds < most, f'{seconds} s'


def command_line(command):
    """Those that need a library are not built without it."""
    name, *arguments = command.split()
    if not (EXAMPLES / name).exists():
        raise Skip(f'{name} was not built')
    return [EXAMPLES / name, *arguments]


def run(command, env=REAL):
    return subprocess.run(
        command_line(command), env=env, timeout=PATIENCE,
        stdin=subprocess.DEVNULL, capture_output=True, encoding='utf-8')


def output(command, env=REAL):
    """What it prints, all of it, if it succeeds and complains of nothing."""
    done = run(command, env)
    equal((done.returncode, done.stderr), (0, ''))
    return done.stdout


def masked(text):
    for pattern, mask in MASKS:
        text = re.sub(pattern, mask, text)
    return text


def expected(name):
    return (EXPECTED / f'{name}.txt').read_text(encoding='utf-8')


@contextlib.contextmanager
def started(command):
    """Runs a server; gives its first line. It must complain of nothing."""
    with subprocess.Popen(command_line(command), env=REAL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          encoding='utf-8') as server:
        try:
            yield server.stdout.readline()
            equal(server.poll(), None)
        finally:
            server.kill()
        equal(server.stderr.read(), '')


@contextlib.contextmanager
def serving(command):
    """The same; gives its port."""
    with started(command) as line:
        found = re.fullmatch(r'listening on [\d.]+ port (\d+)\n', line)
        assert found, line
        yield int(found[1])


def connect(port, host='127.0.0.1'):
    return socket.create_connection((host, port), timeout=PATIENCE)


def read_all(sock):
    return b''.join(iter(lambda: sock.recv(65536), b''))


def say(port, data):
    """Sends, ends, and gives all that comes back."""
    with connect(port) as sock:
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        return read_all(sock)


def statuses(data):
    return [int(n) for n in re.findall(rb'^HTTP/1\.1 (\d{3}) ', data, re.M)]


def need(*commands):
    for command in commands:
        if not shutil.which(command):
            raise Skip(f'{command} is not installed')


def need_tls():
    if 'without TLS' in run('echo_tls /dev/null /dev/null 0').stderr:
        raise Skip('this rota was built without TLS')


def make_certificate(folder, name='server'):
    """For 127.0.0.1 and localhost, signed by itself: two files' paths."""
    need_tls()
    need('openssl')
    certificate, key = folder / f'{name}.pem', folder / f'{name}.key'
    subprocess.run(
        ['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt',
         'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj',
         f'/CN={name}', '-addext',
         'subjectAltName=IP:127.0.0.1,DNS:localhost', '-keyout', key,
         '-out', certificate], check=True, capture_output=True)
    return certificate, key


def run_all(tests):
    """TAP on standard output; true if one has failed."""
    failed = False
    print(f'1..{len(tests)}')
    for number, test in enumerate(tests, 1):
        line = f'{number} - {test.__name__.replace("_", " ")}'
        try:
            test()
        except Skip as why:
            print(f'ok {line} # SKIP {why}')
        except Exception:
            failed = True
            print(f'not ok {line}')
            for text in traceback.format_exc().splitlines():
                print('#', text)
        else:
            print(f'ok {line}')
        sys.stdout.flush()
    return failed
