#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""
rota-ps: the tasks of a live process, read from outside

The programs in tests/programs/ stand still or hurry, are stripped, deleted or
in pieces; rota-ps must tell of each what there is to tell, and harm none.
"""

import mmap
import os
import random
import re
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))

import outside  # noqa: E402
from outside import Skip, built, running, same, without_lines  # noqa: E402

ROTA_PS = outside.BUILD / 'ps' / 'rota-ps'
NO_ROTA, USAGE, NO_PROCESS, NOT_PERMITTED, UNKNOWN = range(1, 6)


def look(*arguments, status=0, program=ROTA_PS, **options):
    """What rota-ps prints, on standard output or, if it fails, error."""
    if not program.exists():
        raise Skip('there is no rota-ps in the build')
    run = subprocess.run([program, *map(str, arguments)], capture_output=True,
                         text=True, timeout=outside.PATIENCE, **options)
    if run.returncode == NOT_PERMITTED != status:
        raise Skip('no process may be looked into here')
    assert run.returncode == status, \
        f'status {run.returncode}\n{run.stdout}{run.stderr}'
    return run.stdout if status == 0 else run.stderr


def with_traces(pid):
    outside.need_registers()
    look('-n', pid)  # or there is no way
    run = subprocess.run([ROTA_PS, str(pid)], capture_output=True, text=True,
                         timeout=outside.PATIENCE)
    if 'without libdw' in run.stderr:
        raise Skip('rota-ps was built without libdw')
    same(run.stderr, '')
    same(run.returncode, 0)
    return run.stdout


def trace_of(text, name):
    """The lines below a task's own, without the tree."""
    lines = iter(text.splitlines())
    trace = []
    for line in lines:
        if re.search(rf'(^|─ ){re.escape(name)} \(', line):
            break
    for line in lines:
        found = re.fullmatch(r'[ │]*at (.*)', line)
        if not found:
            break
        trace.append(without_lines(found[1]))
    return trace


# --- A program that stands still -------------------------------------------


def a_live_program_shows_who_waits_for_whom():
    with running(built('waiting')) as process:
        same(without_lines(look('-n', process.pid)), outside.TREE)


def so_does_one_with_the_shared_library():
    with running(built('waiting', 'shared')) as process:
        same(without_lines(look('-n', process.pid)), outside.TREE)


def so_does_a_static_and_stripped_one():
    with running(built('waiting', 'stripped')) as process:
        same(without_lines(look('-n', process.pid)), outside.TREE)
        assert ' at ' in with_traces(process.pid)


def so_does_one_whose_program_and_library_are_gone():
    program = outside.folder / 'goes'
    library = outside.folder / 'librota.so.0'
    shutil.copy(built('waiting', 'shared'), program)
    shutil.copy(outside.BUILD / 'librota.so.0', library)
    outside.ENVIRONMENT['LD_LIBRARY_PATH'] = str(outside.folder)
    try:
        with running(program) as process:
            program.unlink()
            library.unlink()
            same(without_lines(look('-n', process.pid)), outside.TREE)
    finally:
        del outside.ENVIRONMENT['LD_LIBRARY_PATH']


def a_trace_names_the_static_functions_of_the_program():
    with running(built('waiting')) as process:
        text = with_traces(process.pid)
    trace = trace_of(text, 'fetch-1')
    same(trace[-5:], ['nap (waiting.c:N)'] * 4 + ['sleeper (waiting.c:N)'])
    assert 'sleep' in trace[0], trace
    same(trace_of(text, 'gatherer')[-2:],
         ['rota_gather (gather.c:N)', 'gatherer (waiting.c:N)'])
    same(trace_of(text, 'blocker'), [])
    assert 'breaks off' not in text, text


def a_trace_names_functions_that_were_inlined():
    with running(built('waiting')) as process:
        trace = trace_of(with_traces(process.pid), 'Task-16')
    same(trace[-2:], ['in_line (waiting.c:N)', 'inliner (waiting.c:N)'])


def a_task_that_has_not_begun_shows_its_function():
    with running(built('waiting')) as process:
        same(trace_of(with_traces(process.pid), 'fresh'),
             ['sleeper (waiting.c:N)'])


def a_task_that_is_ready_has_a_trace():
    with running(built('waiting')) as process:
        same(trace_of(with_traces(process.pid), 'turning')[-1],
             'turning (waiting.c:N)')


def one_that_has_begun_another_has_a_trace():
    with running(built('waiting')) as process:
        same(trace_of(with_traces(process.pid), 'starter')[-1],
             'starter (waiting.c:N)')


def without_debug_information_symbols_do():
    program = outside.folder / 'bare'
    shutil.copy(built('waiting', 'shared'), program)
    outside.need('strip')
    subprocess.run(['strip', '--strip-debug', program], check=True)
    with running(program) as process:
        trace = trace_of(with_traces(process.pid), 'twin')
    assert re.fullmatch(r'sleeper\+0x[0-9a-f]+ \(bare\)', trace[-1]), trace


# --- Crowds -----------------------------------------------------------------


def ten_thousand_tasks_take_little_time():
    count = 2000 if outside.SANITIZERS else 10000
    with running(built('crowd'), 'many', str(count)) as process:
        look(process.pid)  # its files are in memory now
        start = time.monotonic()
        text = look(process.pid)
        took = time.monotonic() - start
    same(len(re.findall(r'^Task-\d+ \(.*\) waits$', text, re.M)), count + 1)
    assert took < 5 * outside.SLOWNESS, f'{took} s'


def shallow():
    resource.setrlimit(resource.RLIMIT_STACK, (256 << 10, 256 << 10))


def a_chain_of_tasks_may_be_longer_than_a_stack_is_deep():
    length = 2000 if outside.SANITIZERS else 20000
    preexec = None if outside.SANITIZERS else shallow
    with running(built('crowd'), 'chain', str(length)) as process:
        lines = look('-n', process.pid, preexec_fn=preexec).splitlines()
    same(len(lines), length + 1)
    same(lines[16], 14 * '     ' + '  └─ Task-17 (crowd.c:N) waits'.replace(
        'N', re.search(r'crowd.c:(\d+)', lines[16])[1]))
    assert lines[-1].endswith('waits') and f' [{length - 1}] ' in lines[-1], \
        lines[-1]
    assert max(map(len, lines)) < 160, 'it goes to the right for ever'


def tasks_that_wait_for_each_other_are_shown_once():
    with running(built('crowd'), 'ring') as process:
        text = without_lines(look('-n', process.pid))
    same(text, 'Task-1 (its run) waits\n'
         'Task-2 (crowd.c:N) waits, awaited in a ring by Task-3\n'
         '  └─ Task-3 (crowd.c:N) waits\n')


def two_loops_have_headings():
    with running(built('crowd'), 'loops') as process:
        text = look('-n', process.pid)
    same(text, 'Loop 1:\nTask-1 (its run) waits\n'
         'Loop 2:\nTask-1 (its run) waits\n')


def a_loop_without_tasks_has_none():
    with running(built('crowd'), 'idle') as process:
        same(look(process.pid), 'no tasks\n')


def a_program_in_a_hurry_is_read_and_not_disturbed():
    with running(built('crowd'), 'busy') as process:
        for _ in range(50):
            text = look(process.pid)
            assert text.startswith('Task-1 (its run) waits\n'), text
        status = Path(f'/proc/{process.pid}/status').read_text()
        same(re.search(r'TracerPid:\s*(\d+)', status)[1], '0')
        before = count_of(process)
        assert any(count_of(process) > before for _ in range(10000)), \
            'it stands still'


def count_of(process):
    """How many tasks have ended: it says so when it is asked."""
    process.stdin.write('\n')
    process.stdin.flush()
    return int(process.stdout.readline())


# --- What it refuses --------------------------------------------------------


def no_process_is_no_process():
    with running(built('crowd'), 'idle') as process:
        pid = process.pid
    assert f'no process {pid}' in look(pid, status=NO_PROCESS)


def what_is_no_pid_is_refused():
    for arguments in ((), ('x',), ('-1',), ('0',), ('12x',), ('1', '2'),
                      ('--what', '1'), ('99999999999999999999',)):
        assert 'usage' in look(*arguments, status=USAGE), arguments


def a_process_without_rota_is_said_to_have_none():
    assert 'no rota' in look(os.getpid(), status=NO_ROTA)


def who_may_not_look_is_told_what_it_takes():
    if os.getuid() != 0:
        text = look(1, status=NOT_PERMITTED)
    else:
        outside.need('setpriv')
        mine = outside.folder / 'rota-ps'
        shutil.copy(ROTA_PS, mine)
        outside.folder.chmod(0o755)
        other = ['--reuid=65534', '--regid=65534', '--clear-groups', mine]
        probe = subprocess.run(['setpriv', *other, '--version'],
                               capture_output=True)
        if probe.returncode != 0:
            raise Skip('another user cannot run rota-ps here')
        with running(built('crowd'), 'idle') as process:
            text = look(*other, process.pid, status=NOT_PERMITTED,
                        program=Path(shutil.which('setpriv')))
    assert 'CAP_SYS_PTRACE' in text and 'ptrace_scope' in text, text


FAKE = r'''
#include "task/anchor.h"
#include <stdio.h>
struct rota__anchor anchor __attribute__((section(".rota"))) = {
    .magic = ROTA__ANCHOR_MAGIC, .version = VERSION,
    .pointer_size = POINTER, .self = &anchor,
};
int main(void)
{
    puts("ready");
    fflush(stdout);
    return getchar() == 0;
}
'''


def look_at_fake(version, pointer):
    compiler = os.environ.get('CC', 'cc').split()
    outside.need(compiler[0])
    source, program = outside.folder / 'fake.c', outside.folder / 'fake'
    source.write_text(FAKE)
    subprocess.run([*compiler, f'-I{outside.SOURCE / "src"}',
                    f'-DVERSION={version}', f'-DPOINTER={pointer}', source,
                    '-o', program], check=True)
    with running(program) as process:
        return look(process.pid, status=UNKNOWN)


def an_anchor_of_another_version_is_refused():
    assert 'version 77' in look_at_fake(77, 8)


def an_anchor_that_lacks_a_field_is_refused():
    assert 'does not know' in look_at_fake(1, 8)


def another_pointer_size_is_refused():
    assert 'pointer size' in look_at_fake(1, 4)


# --- What is in pieces ------------------------------------------------------


def any_memory_may_be_broken():
    outside.need_registers()
    with running(built('broken')) as process:
        look(process.pid)
        for seed in range(60 if outside.SANITIZERS else 400):
            process.stdin.write(f'{seed}\n')
            process.stdin.flush()
            same(process.stdout.readline(), 'ready\n')
            run = subprocess.run([ROTA_PS, str(process.pid)],
                                 capture_output=True,
                                 timeout=outside.PATIENCE)
            assert run.returncode in (0, NO_ROTA, UNKNOWN), \
                f'seed {seed}: status {run.returncode}: {run.stderr}'
            run.stdout.decode()  # all of it is text


def break_file(data, rng):
    """Its headers above all, and sometimes its end is missing."""
    for _ in range(rng.randint(1, 8)):
        near = rng.choice((64, 1024, len(data)))
        data[rng.randrange(near)] = rng.choice((0, 1, 255, rng.randrange(256)))
    if rng.random() < 0.3:
        del data[rng.randrange(64, len(data)):]


def any_file_may_be_broken():
    rng = random.Random(1)
    whole = ROTA_PS.read_bytes()
    maps = []
    for number in range(200):
        data = bytearray(whole)
        break_file(data, rng)
        path = outside.folder / f'broken-{number}'
        path.write_bytes(data)
        with path.open('rb') as file:
            maps.append(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    assert 'no rota' in look(os.getpid(), status=NO_ROTA)


# --- The rest ---------------------------------------------------------------


def it_knows_its_version_and_its_options():
    found = re.search(r"version: '([\d.]+)'",
                      (outside.SOURCE / 'meson.build').read_text())
    same(look('--version'), f'rota-ps {found[1]}\n')
    manual = (outside.SOURCE / 'docs' / 'rota-ps.1').read_text()
    for option in re.findall(r'--?[a-z-]+\b', look('--help')):
        if option.startswith(('-n', '-h', '--')):
            plain = option.replace('-', r'\-')
            assert plain in manual, f'{option} is not in the manual'


TESTS = [
    a_live_program_shows_who_waits_for_whom,
    so_does_one_with_the_shared_library,
    so_does_a_static_and_stripped_one,
    so_does_one_whose_program_and_library_are_gone,
    a_trace_names_the_static_functions_of_the_program,
    a_trace_names_functions_that_were_inlined,
    a_task_that_has_not_begun_shows_its_function,
    a_task_that_is_ready_has_a_trace,
    one_that_has_begun_another_has_a_trace,
    without_debug_information_symbols_do,
    ten_thousand_tasks_take_little_time,
    a_chain_of_tasks_may_be_longer_than_a_stack_is_deep,
    tasks_that_wait_for_each_other_are_shown_once,
    two_loops_have_headings,
    a_loop_without_tasks_has_none,
    a_program_in_a_hurry_is_read_and_not_disturbed,
    no_process_is_no_process,
    what_is_no_pid_is_refused,
    a_process_without_rota_is_said_to_have_none,
    who_may_not_look_is_told_what_it_takes,
    an_anchor_of_another_version_is_refused,
    an_anchor_that_lacks_a_field_is_refused,
    another_pointer_size_is_refused,
    any_memory_may_be_broken,
    any_file_may_be_broken,
    it_knows_its_version_and_its_options,
]


if __name__ == '__main__':
    sys.exit(outside.run_all(TESTS))
