# SPDX-License-Identifier: MIT
"""
Whole programs, run on asyncio's loop by `python3 SCRIPT` and on rota's by
`python3 -m rota SCRIPT`, both at once.

The package is where PYTHONPATH says, the C examples where ROTA_BUILD does.
"""

import concurrent.futures
import contextlib
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from two_loops import SLOWNESS

SOURCE = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get('ROTA_BUILD') or SOURCE / 'build')
PATIENCE = 15 * SLOWNESS

RUNNERS = {'asyncio': [], 'rota': ['-m', 'rota']}

# The order of stdout and stderr is not compared, only each for itself.
ENVIRONMENT = {name: value for name, value in os.environ.items()
               if not re.search('^(PYTHON(ASYNCIO|DEV|WARN)|NO_PROXY$)|_PROXY$',
                                name, re.I)}
ENVIRONMENT.update(PYTHONDONTWRITEBYTECODE='1', PYTHONUTF8='1')


def need(script):
    """Skips the test if what the script imports is not installed."""
    text = script.read_text(encoding='utf-8')
    for module in re.findall(r'^(?:import|from) (\w+)', text, re.M):
        beside = script.with_name(f'{module}.py').exists()
        if not beside and not importlib.util.find_spec(module):
            pytest.skip(f'{module} is not installed')


def command(loop, *arguments):
    return [sys.executable, *RUNNERS[loop], *map(str, arguments)]


def run(loop, *arguments, **environment):
    """(stdout, stderr, exit code) of a script, or of `-m MODULE`."""
    done = subprocess.run(
        command(loop, *arguments), env=ENVIRONMENT | environment,
        timeout=PATIENCE, stdin=subprocess.DEVNULL, capture_output=True,
        encoding='utf-8')
    return done.stdout, done.stderr, done.returncode


def run_on_both(*arguments, **environment):
    """The same on each loop: asyncio's, then rota's."""
    with concurrent.futures.ThreadPoolExecutor() as pool:
        return list(pool.map(
            lambda loop: run(loop, *arguments, **environment), RUNNERS))


@contextlib.contextmanager
def delay_server():
    """The address of one that runs until the end of the block."""
    program = BUILD / 'examples' / 'delay_server'
    if not program.exists():
        pytest.skip('delay_server was not built')
    with subprocess.Popen([program, '0'], stdout=subprocess.PIPE,
                          encoding='utf-8') as server:
        try:
            line = server.stdout.readline()
            port = re.fullmatch(r'listening on [\d.]+ port (\d+)\n', line)[1]
            yield f'http://127.0.0.1:{port}'
        finally:
            server.kill()
