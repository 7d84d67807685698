# SPDX-License-Identifier: MIT
"""
The examples as programs: running one, asking one that serves, comparing

ROTA_BUILD is where they were built.
"""

import contextlib
import os
import re
import socket
import subprocess
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


def equal(found, wanted):
    assert found == wanted, f'{found!r} instead of {wanted!r}'


def within(seconds, least, most):
    """Never early; late by as much as the machine is slow."""
    most = least + (most - least) * SLOWNESS
    assert least - 0.005 <= seconds < most, f'{seconds} s'


def run(command, env=REAL):
    name, *arguments = command.split()
    return subprocess.run(
        [EXAMPLES / name, *arguments], env=env, timeout=PATIENCE,
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
def serving(command):
    """Runs a server; gives its port. It must complain of nothing."""
    name, *arguments = command.split()
    with subprocess.Popen([EXAMPLES / name, *arguments], env=REAL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          encoding='utf-8') as server:
        try:
            line = server.stdout.readline()
            found = re.fullmatch(r'listening on [\d.]+ port (\d+)\n', line)
            assert found, line
            yield int(found[1])
            equal(server.poll(), None)
        finally:
            server.kill()
        equal(server.stderr.read(), '')


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
