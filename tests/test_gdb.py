#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""
What a debugger sees: a back-trace from inside a task

Compiles a program against the build's static library and stops gdb in it,
several calls deep in a task: each call must be there once, down to the task's
function, and the trace must end below that, cleanly.
"""

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
PROGRAM = r'''
#include <rota.h>

__attribute__((noinline)) int here(int depth)
{
    __asm__ volatile("" : : : "memory");
    return depth;
}

__attribute__((noinline)) intptr_t deeper(int depth)
{
    intptr_t n;

    if (depth == 0) {
        n = rota_sleep(0);
        n += here(depth);
    } else {
        n = deeper(depth - 1);
    }
    __asm__ volatile("" : : : "memory");
    return n;
}

__attribute__((noinline)) intptr_t child(void *arg)
{
    intptr_t n = deeper(3);

    (void)arg;
    __asm__ volatile("" : : : "memory");
    return n;
}

intptr_t amain(void *arg)
{
    rota_task task;
    int err = rota_create_task(&task, child, arg);

    return err < 0 ? err : rota_await(task);
}

int main(void)
{
    return rota_run(amain, NULL) != 0;
}
'''
FRAME = re.compile(r'^#\d+\s+(?:0x[0-9a-f]+ in )?([\w.?]+)', re.M)
WRONG = re.compile(r'corrupt|Backtrace stopped|[Cc]annot access|\?\?')


class Skip(Exception):
    pass


def sanitizers(options):
    """The build's own, so that its library links."""
    found = re.search(r'-fsanitize=[\w,]+', options)
    return [found[0]] if found else []


@functools.cache
def build(folder):
    compiler = os.environ.get('CC', 'cc').split()
    library = BUILD / 'librota.a'
    options = (BUILD / 'build.ninja').read_text()
    if not shutil.which('gdb'):
        raise Skip('gdb is not installed')
    if not shutil.which(compiler[0]):
        raise Skip(f'{compiler[0]} is not installed')
    if not library.exists():
        raise Skip('there is no static library in the build')
    if '-DROTA_USE_UCONTEXT' in options:
        raise Skip('the C library lays out the first frame')
    tls = ['-lssl', '-lcrypto'] if 'transport_tls.c.o' in options else []
    source, program = Path(folder) / 'deep.c', Path(folder) / 'deep'
    source.write_text(PROGRAM)
    subprocess.run([*compiler, '-g', '-O1', '-fno-optimize-sibling-calls',
                    *sanitizers(options), f'-I{SOURCE / "include"}', source,
                    library, *tls, '-lpthread', '-lm', '-ldl', '-o',
                    program],
                   check=True)
    return program


def gdb(program, *commands):
    """What gdb prints when it runs the program under these commands."""
    arguments = ['gdb', '-nx', '-batch', '-q']
    for command in ('set debuginfod enabled off', 'set pagination off',
                    'set confirm off', *commands):
        arguments += ['-ex', command]
    environment = {**os.environ, 'ASAN_OPTIONS': 'detect_leaks=0'}
    run = subprocess.run([*arguments, program], capture_output=True, text=True,
                         timeout=120, stdin=subprocess.DEVNULL,
                         env=environment)
    out = run.stdout + run.stderr
    if 'ptrace: Operation not permitted' in out:
        raise Skip('gdb may not trace here')
    return out


def check_trace(trace, wanted):
    """The frames begin with those wanted; little is below, nothing wrong."""
    frames = FRAME.findall(trace)
    if wanted[0] in frames[:2]:
        frames = frames[frames.index(wanted[0]):]  # but for an inlined one
    if frames[:len(wanted)] != wanted:
        return f'the frames are {frames}\n{trace}'
    below = frames[len(wanted):]
    if not 1 <= len(below) <= 2 or not below[0].startswith('task_main'):
        return f'below the task: {below}\n{trace}'
    if WRONG.search(trace):
        return f'it does not end cleanly:\n{trace}'
    return ''


DEEP = ['deeper'] * 4 + ['child']


def a_trace_from_a_task_ends_at_its_entry(program):
    trace = gdb(program, 'break here', 'run', 'backtrace')
    return check_trace(trace[trace.rindex('#0'):], ['here', *DEEP])


def so_it_does_after_leaving_a_function(program):
    trace = gdb(program, 'break here', 'run', 'finish', 'backtrace')
    return check_trace(trace[trace.rindex('#0'):], DEEP)


def a_trace_from_the_switch_itself_ends_there_too(program):
    trace = gdb(program, 'break rota_sleep', 'run', 'backtrace')
    return check_trace(trace[trace.rindex('#0'):], ['rota_sleep', *DEEP])


def the_program_goes_on_to_its_end(program):
    out = gdb(program, 'break here', 'run', 'continue')
    return '' if 'exited normally' in out else out


TESTS = [
    a_trace_from_a_task_ends_at_its_entry,
    so_it_does_after_leaving_a_function,
    a_trace_from_the_switch_itself_ends_there_too,
    the_program_goes_on_to_its_end,
]


def run_all(folder):
    failed = False
    for number, test in enumerate(TESTS, 1):
        line = f'{number} - {test.__name__}'
        try:
            complaint = test(build(folder))
        except Skip as reason:
            print(f'ok {line} # SKIP {reason}')
            continue
        print(f'not ok {line}' if complaint else f'ok {line}')
        for text in complaint.splitlines():
            print('#', text)
        failed |= bool(complaint)
    return failed


def main():
    print(f'1..{len(TESTS)}')
    with tempfile.TemporaryDirectory() as folder:
        return run_all(folder)


if __name__ == '__main__':
    sys.exit(main())
