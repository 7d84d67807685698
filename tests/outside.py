# SPDX-License-Identifier: MIT
"""
Programs that are looked at from outside, for the tests of gdb and rota-ps

Compiles what is in tests/programs/ against the build's library, starts it,
and waits until it says "ready"; then nothing of it moves but what should.
"""

import contextlib
import functools
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

BUILD = Path(os.environ['ROTA_BUILD'])
SOURCE = Path(os.environ['ROTA_SOURCE'])
PROGRAMS = SOURCE / 'tests' / 'programs'
SLOWNESS = float(os.environ.get('ROTA_TEST_SLOWNESS') or 1)
PATIENCE = 60 * SLOWNESS
OPTIONS = (BUILD / 'build.ninja').read_text()
SANITIZERS = re.findall(r'-fsanitize=[\w,]+', OPTIONS)[:1]
TLS = ['-lssl', '-lcrypto'] if 'transport_tls.c.o' in OPTIONS else []

# A virtual clock would end every sleep at once.
ENVIRONMENT = {name: value for name, value in os.environ.items()
               if not name.startswith('ROTA_')}
ENVIRONMENT['ASAN_OPTIONS'] = 'detect_leaks=0'

# What the program `waiting` waits in, as every tool prints it; N is a line.
TREE = '''\
Task-1 (its run) waits
  ├─ gatherer (waiting.c:N) waits
  │    ├─ fetch-1 (waiting.c:N) waits
  │    └─ fetch-2 (waiting.c:N) waits
  │         └─ awaited (waiting.c:N) waits
  ├─ grouper (waiting.c:N) waits
  │    ├─ Task-15 (waiting.c:N) waits
  │    └─ Task-16 (waiting.c:N) waits
  ├─ limited (waiting.c:N) waits
  │    └─ slow (waiting.c:N) waits
  ├─ of a future (waiting.c:N) waits
  └─ starter (waiting.c:N) begins another
alone (waiting.c:N) waits, detached
stubborn (waiting.c:N) waits, being cancelled
shielder (waiting.c:N) waits
  └─ shielded (waiting.c:N) waits
finished (waiting.c:N) done
turning (waiting.c:N) ready
twin (waiting.c:N) waits
twin (waiting.c:N) waits
blocker (waiting.c:N) running
fresh (waiting.c:N) new
'''


class Skip(Exception):
    pass


def without_lines(text):
    return re.sub(r'\((\w+\.c):\d+\)', r'(\1:N)', text)


def need(*commands):
    for command in commands:
        if not shutil.which(command):
            raise Skip(f'{command} is not installed')


def need_registers():
    if '-DROTA_USE_UCONTEXT' in OPTIONS:
        raise Skip('the C library keeps the registers')


folder = Path(tempfile.mkdtemp(prefix='rota-outside-'))


@functools.cache
def built(name, kind='static'):
    """The program, linked to the static library, to the shared one, or all
    static and stripped."""
    compiler = os.environ.get('CC', 'cc').split()
    need(compiler[0])
    libraries = {'static': [BUILD / 'librota.a'],
                 'shared': [f'-L{BUILD}', '-lrota', f'-Wl,-rpath,{BUILD}'],
                 'stripped': ['-static', '-s', BUILD / 'librota.a']}
    if kind == 'stripped' and SANITIZERS:
        raise Skip('sanitizers cannot be linked statically')
    program = folder / f'{name}-{kind}'
    run = subprocess.run(
        [*compiler, '-g', '-O2', *SANITIZERS, f'-I{SOURCE / "include"}',
         f'-I{SOURCE / "src"}', f'{name}.c', *libraries[kind], *TLS,
         '-lpthread', '-lm', '-ldl', '-o', program],
        cwd=PROGRAMS, capture_output=True, text=True)
    if kind == 'stripped' and run.returncode != 0:
        raise Skip(f'it cannot be linked statically: {run.stderr[-200:]}')
    assert run.returncode == 0, run.stderr
    return program


@contextlib.contextmanager
def running(program, *arguments, **options):
    """The process, once it is ready. It must still be there in the end."""
    process = subprocess.Popen(
        [program, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        text=True, env=ENVIRONMENT, **options)
    try:
        assert process.stdout.readline() == 'ready\n', 'it did not begin'
        yield process
        assert process.poll() is None, f'it ended with {process.returncode}'
    finally:
        if process.poll() is None and not process.stdin.closed:
            process.stdin.close()
        try:
            process.wait(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def run_all(tests):
    """TAP on standard output; a test returns nothing and asserts."""
    failed = False
    print(f'1..{len(tests)}')
    try:
        for number, test in enumerate(tests, 1):
            line = f'{number} - {test.__name__}'
            complaint = ''
            try:
                test()
            except Skip as reason:
                print(f'ok {line} # SKIP {reason}', flush=True)
                continue
            except Exception as error:  # whatever it is, the others go on
                at = error.__traceback__
                while at.tb_next:
                    at = at.tb_next
                complaint = (f'line {at.tb_lineno}: '
                             f'{type(error).__name__}: {error}')
            print(f'not ok {line}' if complaint else f'ok {line}', flush=True)
            for text in complaint.splitlines():
                print('#', text)
            failed |= bool(complaint)
    finally:
        shutil.rmtree(folder)
    return failed


def same(found, wanted):
    assert found == wanted, f'found\n{found}\ninstead of\n{wanted}'


sys.dont_write_bytecode = True
