#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""
The documentation, compiled and run

Looks through README.md and docs/*.md. A ```c block is a complete program (it
contains `int main`), declarations, or what stands in a task. The last line of
text above a program says what to do with it:

    <!-- run -->       it ends by itself: it must exit with 0
    <!-- compile -->   it serves for ever, or needs a network
    <!-- inside -->    it stands in a function that runs as a task, with the
                       names of AROUND: it must leave `err` at 0
    <!-- part -->      the same, only compiled

A run is on a virtual clock. A ```text block marked <!-- prints --> behind the
program is what it must print. Declarations must be those of the headers, and
a link must lead to a file that is there. A ```python block must be Python, and
after <!-- run --> it is a program for `python3 -m rota`.
"""

import ast
import json
import os
import re
import shlex
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

BUILD = Path(os.environ['ROTA_BUILD'])
SOURCE = Path(os.environ['ROTA_SOURCE'])
SECONDS = 60

BLOCK = re.compile(
    r'(?:^<!-- (?P<mark>\w+) -->\n+)?'
    r'^```(?P<kind>\w*)\n(?P<text>.*?)^```$', re.M | re.S)
LINK = re.compile(r'\]\((?!https?:|#)([^)#\s]+)[^)]*\)')


AROUND = """\
#include <math.h>
#include <rota.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

ROTA__UNUSED static intptr_t work(void *arg)
{
    int err = rota_sleep(1);

    return err < 0 ? err : (intptr_t)arg;
}

ROTA__UNUSED static void callback(void *arg)
{
    printf("%%s\\n", (const char *)arg);
}

static intptr_t amain(void *arg)
{
    rota_loop *loop = rota_get_running_loop();
    intptr_t err = 0;

    (void)arg;
    (void)loop;
#line 1
    {
%s
    }
    return err;
}

int main(void)
{
    intptr_t err = rota_run(amain, NULL);

    if (err != 0)
        printf("%%s\\n", rota_errname(err));
    return err != 0;
}
"""


class Block:
    def __init__(self, page, text, found):
        self.mark = found['mark']
        self.kind = found['kind']
        self.text = found['text']
        line = text.count('\n', 0, found.start('text')) + 1
        self.place = f'{page}:{line}'
        if self.mark in ('inside', 'part'):
            self.text = AROUND % self.text
        self.is_program = self.kind == 'c' and 'int main' in self.text
        self.is_script = self.kind == 'python' and self.mark == 'run'
        self.prints = None


class Report:
    """TAP on standard output."""

    def __init__(self):
        self.count = 0
        self.failed = False

    def add(self, name, complaint):
        self.count += 1
        print(f'{"not ok" if complaint else "ok"} {self.count} - {name}')
        for line in complaint.splitlines():
            print('#', line)
        self.failed |= bool(complaint)

    def finish(self):
        print(f'1..{self.count}')
        return 1 if self.failed else 0


def blocks_of(page, text):
    blocks = [Block(page, text, found) for found in BLOCK.finditer(text)]
    for program, after in zip(blocks, blocks[1:]):
        if after.mark == 'prints':
            program.prints = after.text
    return blocks


def compiler():
    """The build's own, with its sanitizers."""
    commands = json.loads((BUILD / 'compile_commands.json').read_text())
    words = shlex.split(commands[0]['command'])
    first_option = next(i for i, w in enumerate(words) if w.startswith('-'))
    return words[:first_option] + [
        word for word in words if word.startswith('-fsanitize')]


def preload():
    """What an interpreter must have first that imports what was built so."""
    command = compiler()
    if not any('address' in word for word in command):
        return {}
    runtime = subprocess.run(
        [*command, '-print-file-name=libasan.so'], stdout=subprocess.PIPE,
        text=True, check=True).stdout.strip()
    return {'LD_PRELOAD': runtime, 'ASAN_OPTIONS': 'detect_leaks=0'}


def tls():
    """What a library with TLS is linked with besides."""
    has = 'transport_tls.c.o' in (BUILD / 'build.ninja').read_text()
    return ['-lssl', '-lcrypto'] if has else []


def compile_program(block, folder):
    source = folder / 'program.c'
    source.write_text(block.text)
    command = [
        *compiler(), '-std=c11', '-g', '-Wall', '-Wextra', '-Werror',
        f'-I{SOURCE}/include', source, BUILD / 'librota.a',
        *tls(), '-lm', '-lpthread', '-ldl', '-o', folder / 'program']
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        check=False)
    return done.stdout if done.returncode else ''


def run_program(block, folder, *command, **more):
    env = {**os.environ, 'ROTA_CLOCK': 'virtual',
           'PYTHONPATH': str(BUILD / 'python'), **more}
    env.pop('ROTA_SEED', None)
    try:
        done = subprocess.run(
            command, cwd=folder, env=env, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return f'did not end within {SECONDS} s'
    if done.returncode:
        return f'status {done.returncode}\n{done.stdout}{done.stderr}'
    if block.prints is not None and done.stdout != block.prints:
        return f'printed\n{done.stdout}instead of\n{block.prints}'
    return ''


def check_program(block):
    if block.mark not in ('run', 'compile', 'inside', 'part'):
        return 'no <!-- run --> or <!-- compile --> above the program'
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        complaint = compile_program(block, folder)
        if not complaint and block.mark in ('run', 'inside'):
            complaint = run_program(block, folder, folder / 'program')
    return complaint


def squeeze(text):
    """C without comments, line breaks and what only compilers read."""
    text = re.sub(r'/\*.*?\*/', '', text, flags=re.S)
    return re.sub(r'\s+', ' ', text.replace('ROTA_MUST_USE', '')
                  ).replace(' ;', ';')


def declarations_in(text):
    """Split at the semicolons that stand outside of braces."""
    start = depth = 0
    for i, char in enumerate(text):
        depth += {'{': 1, '}': -1}.get(char, 0)
        if char == ';' and depth == 0:
            yield text[start:i + 1].strip()
            start = i + 1
    yield text[start:].strip()


def check_declarations(block, headers):
    return '\n'.join(
        f'not in the headers: {declaration}'
        for declaration in declarations_in(squeeze(block.text))
        if declaration not in headers)


def check_python(block):
    try:
        compile(block.text, block.place, 'exec',
                ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    except SyntaxError as error:
        return str(error)
    core = '_core' + sysconfig.get_config_var('EXT_SUFFIX')
    if not block.is_script or not (BUILD / 'python/rota' / core).exists():
        return ''
    with tempfile.TemporaryDirectory() as name:
        script = Path(name) / 'program.py'
        script.write_text(block.text)
        return run_program(
            block, script.parent, sys.executable, '-m', 'rota', script,
            **preload())


def check_links(page, text):
    return '\n'.join(
        f'{target} is not there' for target in LINK.findall(text)
        if not (page.parent / target).exists())


def main():
    if os.environ.get('ROTA_TEST_UNDER'):
        print('1..0 # SKIP the programs would not run under it')
        return 0
    headers = squeeze('\n'.join(
        path.read_text() for path in sorted((SOURCE / 'include').rglob('*.h'))))
    report = Report()
    for page in [SOURCE / 'README.md', *sorted(SOURCE.glob('docs/*.md'))]:
        text = page.read_text(encoding='utf-8')
        name = page.relative_to(SOURCE)
        report.add(f'{name}_links', check_links(page, text))
        for block in blocks_of(name, text):
            if block.is_program:
                report.add(block.place, check_program(block))
            elif block.kind == 'c':
                report.add(block.place, check_declarations(block, headers))
            elif block.kind == 'python':
                report.add(block.place, check_python(block))
    return report.finish()


if __name__ == '__main__':
    sys.exit(main())
