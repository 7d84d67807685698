# SPDX-License-Identifier: MIT
"""
The libraries that people use, as Debian has them, on rota: a small program
for each in smoke/, run on both loops. It must print the same, and prove by
`loop: CLASS` which loop it ran on. One whose package is missing is skipped.
In Python's development mode, which has asyncio's debug mode, the libraries
themselves complain; there only what is printed counts.
"""

import contextlib
import importlib.metadata
import os
import re
import shutil
import signal
import subprocess
import tempfile
import urllib.request
from pathlib import Path

import pytest
from programs import ENVIRONMENT, PATIENCE, SOURCE, command, need, run_on_both

SMOKE = SOURCE / 'python' / 'tests' / 'smoke'
CLASSES = {
    'asyncio': r"<class 'asyncio\.unix_events\._UnixSelectorEventLoop'>",
    'rota': r"<class 'rota(\._loop)?\.Loop'>",
}


def check(mode, name, *arguments):
    """The same on both loops, but for the loop's class."""
    script = SMOKE / f'{name}.py'
    need(script)
    told = []
    both = run_on_both(script, *arguments, PYTHONDEVMODE=mode)
    for loop, done in zip(CLASSES, both):
        stdout, stderr, code = done
        assert code == 0, f'on {loop}, after {stdout!r}:\n{stderr}'
        assert mode or stderr == '', f'on {loop}'
        classes = re.findall(r'^loop: (.*)', stdout, re.M)
        assert classes
        assert all(re.fullmatch(CLASSES[loop], name) for name in classes)
        told.append(re.sub(r'^loop: .*\n', '', stdout, flags=re.M))
    assert told[0] == told[1]
    assert told[0]


in_both_modes = pytest.mark.parametrize(
    'mode', ['', '1'], ids=['plain', 'development'])


@in_both_modes
@pytest.mark.parametrize('name', [
    'dask_cluster', 'httpx_client', 'nested_runs', 'tornado_server',
    'uvicorn_server', 'websockets_echo'])
def test_library(name, mode):
    if name == 'uvicorn_server' and not shutil.which('curl'):
        pytest.skip('curl is not installed')
    check(mode, name)


@in_both_modes
def test_aiohttp(tmp_path, mode):
    if not shutil.which('openssl'):
        pytest.skip('openssl is not installed')
    certificate, key = tmp_path / 'certificate.pem', tmp_path / 'key.pem'
    subprocess.run(
        ['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt',
         'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj',
         '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost',
         '-keyout', key, '-out', certificate], check=True, capture_output=True)
    check(mode, 'aiohttp_web', certificate, key)


# uvicorn from the command line


@pytest.mark.parametrize('runner, factory, loop', [
    ('asyncio', 'asyncio', 'asyncio'), ('rota', 'asyncio', 'rota'),
    ('asyncio', 'rota:new_event_loop', 'rota')])
def test_uvicorn_as_a_module(runner, factory, loop):
    need(SMOKE / 'uvicorn_server.py')
    if ':' in factory and version_of('uvicorn') < (0, 36):
        pytest.skip('uvicorn takes other loops since 0.36')
    line = command(runner, '-m', 'uvicorn', '--loop', factory, '--port', '0',
                   '--app-dir', SMOKE, 'asgi_application:application')
    with subprocess.Popen(line, env=ENVIRONMENT, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, encoding='utf-8') as server:
        try:
            base = address_in(server.stderr)
            assert re.fullmatch(CLASSES[loop], get(f'{base}/loop').decode())
            assert len(get(f'{base}/stream')) == 3_000_000
            server.send_signal(signal.SIGTERM)
            stdout, stderr = server.communicate(timeout=PATIENCE)
        finally:
            server.kill()
    assert 'Finished server process' in stderr
    lines = stdout.splitlines()
    assert (lines[0], lines[-1]) == ('lifespan.startup', 'lifespan.shutdown')


def version_of(package):
    numbers = importlib.metadata.version(package).split('.')
    return tuple(map(int, numbers[:2]))


def address_in(lines):
    """Where it listens, when it says so."""
    said = ''
    for line in lines:
        found = re.search(r'running on (http://\S+)', line)
        if found:
            return found[1]
        said += line
    pytest.fail(said)


def get(url):
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(url, timeout=PATIENCE) as answer:
        return answer.read()


# asyncpg


@in_both_modes
def test_asyncpg(mode):
    need(SMOKE / 'asyncpg_queries.py')
    with postgresql() as folder:
        check(mode, 'asyncpg_queries', folder)


@contextlib.contextmanager
def postgresql():
    """A server of our own, on a Unix socket in the folder that is given."""
    programs = sorted(Path('/usr/lib/postgresql').glob('*/bin'))
    initdb = shutil.which('initdb', path=str(programs[-1])) if programs else (
        shutil.which('initdb'))
    if not initdb:
        pytest.skip('postgresql is not installed')
    # It refuses to run as root.
    account = {'user': 'postgres', 'group': 'postgres', 'extra_groups': []}
    if os.geteuid() != 0:
        account = {}
    with tempfile.TemporaryDirectory(prefix='rota-postgresql-') as folder:
        if account:
            shutil.chown(folder, 'postgres', 'postgres')
        data = f'{folder}/data'
        subprocess.run(
            [initdb, '--no-sync', '--auth=trust', '--username=postgres',
             '--encoding=UTF8', '--locale=C', data],
            check=True, capture_output=True, cwd=folder, **account)
        control = [Path(initdb).with_name('pg_ctl'), '--silent', '--wait',
                   '--pgdata', data]
        subprocess.run(
            [*control, 'start', '--log', f'{folder}/log', '--options',
             f"-k {folder} -c listen_addresses='' -c fsync=off"],
            check=True, cwd=folder, **account)
        try:
            yield folder
        finally:
            subprocess.run([*control, 'stop', '--mode', 'immediate'],
                           check=True, cwd=folder, **account)
