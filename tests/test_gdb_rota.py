#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""
gdb's commands for tasks: rota tasks and rota bt

gdb looks at a program that waits in all ways there are, and at what is left
of it in a core dump; what it prints must be what rota-ps prints, and nothing
in the process may be different afterwards.
"""

import json
import re
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))

import outside  # noqa: E402
from outside import Skip, built, running, same, without_lines  # noqa: E402

SCRIPT = outside.SOURCE / 'tools' / 'gdb' / 'rota.py'
FRAME = re.compile(r'^#(\d+)\s+(?:0x[0-9a-f]+ in )?([\w.?]+)', re.M)
WRONG = re.compile(  # a library may be without symbols, a task may not
    r'corrupt|Backtrace stopped|[Cc]annot access|Traceback'
    r'|\?\? \(\)(?! from )')


def gdb(arguments, *commands, script=SCRIPT, charset='UTF-8', before=()):
    """What each command prints, and what it complains about."""
    outside.need('gdb')
    if any(command.startswith('rota bt') for command in commands):
        outside.need_registers()
    line = ['gdb', '-nx', '-batch', '-q']
    for command in ('set debuginfod enabled off', 'set pagination off',
                    'set confirm off', f'set host-charset {charset}',
                    *before):
        line += ['-iex', command]
    if script:
        line += ['-ex', f'source {script}']
    for command in commands:
        line += ['-ex', 'echo <<<\\n', '-ex', command]
    run = subprocess.run([*line, *map(str, arguments)], capture_output=True,
                         timeout=outside.PATIENCE, stdin=subprocess.DEVNULL)
    out, errors = run.stdout.decode(), run.stderr.decode()
    if 'ptrace: Operation not permitted' in out + errors:
        raise Skip('gdb may not trace here')
    if 'Python scripting is not supported' in errors:
        raise Skip('gdb has no Python')
    assert 'Traceback' not in errors, errors
    answers = [part.split('[Inferior 1 ')[0] for part in out.split('<<<\n')]
    return answers[1:], errors


def of_process(*commands, kind='static', **options):
    with running(built('waiting', kind)) as process:
        return gdb(['-p', process.pid], *commands, **options)


def frames_of(trace):
    """The functions, from frame 0 on, and that they are numbered so."""
    found = FRAME.findall(trace)
    same([int(number) for number, _ in found], list(range(len(found))))
    assert found, f'no frames: {trace}'
    return [name for _, name in found]


def ends_with_task(frames, *wanted):
    """The program's own frames are there, and below them little more."""
    at = frames.index(wanted[0])
    same(frames[at:at + len(wanted)], list(wanted))
    below = frames[at + len(wanted):]
    assert 1 <= len(below) <= 2 and below[0].startswith('task_main'), frames


# --- A live process -----------------------------------------------------------


def the_tree_is_that_of_rota_ps():
    answers, _ = of_process('rota tasks')
    same(without_lines(answers[0]), outside.TREE)


def so_it_is_with_the_shared_library():
    answers, _ = of_process('rota tasks', kind='shared')
    same(without_lines(answers[0]), outside.TREE)


def so_it_is_in_a_static_and_stripped_program():
    answers, _ = of_process('rota tasks', 'rota bt twin', 'rota bt fetch-1',
                            kind='stripped')
    same(without_lines(answers[0]), outside.TREE)
    assert len(frames_of(answers[2])) >= 6, answers[2]


def a_parked_task_has_a_trace():
    answers, _ = of_process('rota bt fetch-1')
    assert answers[0].startswith('fetch-1 (waiting.c:'), answers[0]
    ends_with_task(frames_of(answers[0]), *['nap'] * 4, 'sleeper')
    assert not WRONG.search(answers[0]), answers[0]


def a_task_is_found_by_its_id_and_by_its_made_up_name():
    answers, _ = of_process('rota bt Task-15', 'rota bt 15', 'rota bt 1:15')
    ends_with_task(frames_of(answers[0]), 'nap', 'sleeper')
    same(answers[1], answers[0])
    same(answers[2], answers[0])


def a_name_may_have_spaces_and_locals_are_shown():
    answers, _ = of_process('rota bt -full of a future')
    ends_with_task(frames_of(answers[0]), 'of_a_future')
    assert re.search(r'^ +future = \{', answers[0], re.M), answers[0]


def a_running_task_has_its_threads_trace():
    answers, _ = of_process('rota bt blocker', 'backtrace')
    same(answers[0].split('\n', 1)[1], answers[1])
    ends_with_task(frames_of(answers[0]), 'blocker')


def one_that_has_begun_another_has_a_trace():
    answers, _ = of_process('rota bt starter')
    ends_with_task(frames_of(answers[0]), 'starter')


def one_that_has_not_begun_says_with_what_it_will():
    answers, _ = of_process('rota bt fresh', 'rota bt finished')
    assert answers[0].endswith('it will begin with sleeper\n'), answers[0]
    assert re.fullmatch(r'finished \(.*\) done\n', answers[1]), answers[1]


def all_tasks_have_their_traces():
    answers, _ = of_process('rota bt -all')
    headings = re.findall(r'^[\w -]+ \(.*$', answers[0], re.M)
    headings = [line for line in headings if not line.startswith('#')]
    same(len(headings), outside.TREE.count('\n'))
    same(len(re.findall(r'^#\d+ .*\btask_main\b', answers[0], re.M)),
         len(headings) - 2)  # not fresh, not finished
    assert not WRONG.search(answers[0]), answers[0]


def neither_frames_nor_the_process_change():
    answers, _ = of_process('backtrace', 'frame 1', 'rota bt fetch-1', 'frame',
                            'rota bt blocker', 'frame', 'backtrace')
    frames = [answers[i].splitlines()[0] for i in (1, 3, 5)]
    same(frames, frames[:1] * 3)
    same(answers[6], answers[0])


def what_is_not_there_is_said():
    _, errors = of_process('rota bt nobody', 'rota bt', 'rota bt twin',
                           'rota tasks x', 'rota bt -all twin')
    assert 'There is no task nobody.' in errors, errors
    assert 'Which task?' in errors, errors
    assert 'There are 2 tasks twin, with the ids 1:11, 1:12.' in errors, errors
    assert 'takes no arguments' in errors, errors
    same(errors.count('Which task?'), 2)


def a_ring_and_deep_tasks_end():
    with running(built('crowd'), 'ring') as process:
        answers, _ = gdb(['-p', process.pid], 'rota tasks')
    same(without_lines(answers[0]),
         'Task-1 (its run) waits\n'
         'Task-2 (crowd.c:N) waits, awaited in a ring by Task-3\n'
         '  └─ Task-3 (crowd.c:N) waits\n')
    with running(built('crowd'), 'chain', '1500') as process:
        answers, _ = gdb(['-p', process.pid], 'rota tasks')
    assert answers[0].endswith(' waits\n') and ' [1499] ' in answers[0]


def a_terminal_without_utf_8_gets_ascii():
    answers, _ = of_process('rota tasks', charset='ASCII')
    assert '  |- gatherer (waiting.c:' in answers[0], answers[0]
    assert '  `- starter (waiting.c:' in answers[0], answers[0]


# --- No process, no rota ------------------------------------------------------


def without_rota_that_is_said():
    true = shutil.which('true')
    _, errors = gdb([true], 'starti', 'rota tasks')
    assert 'There is no rota in this program.' in errors, errors
    _, errors = gdb([true], 'rota tasks')
    assert 'There is no process and no core dump.' in errors, errors


def a_loop_without_tasks_has_none():
    with running(built('crowd'), 'idle') as process:
        answers, _ = gdb(['-p', process.pid], 'rota tasks')
    same(answers[0], 'no tasks\n')


# --- Core dumps ---------------------------------------------------------------


def unlimited():
    resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY,) * 2)


def dumped(kind):
    """A core dump by the kernel, in a folder of its own."""
    pattern = Path('/proc/sys/kernel/core_pattern').read_text().strip()
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    if not re.fullmatch(r'core(\.%p)?', pattern):
        raise Skip('the kernel gives core dumps to somebody else')
    if hard != resource.RLIM_INFINITY or outside.SANITIZERS:
        raise Skip('there are no core dumps here')
    folder = outside.folder / f'dump-{kind}'
    folder.mkdir()
    process = subprocess.Popen(
        [built('waiting', kind)], stdin=subprocess.PIPE, cwd=folder, text=True,
        stdout=subprocess.PIPE, env=outside.ENVIRONMENT, preexec_fn=unlimited)
    with process:
        same(process.stdout.readline(), 'ready\n')
        process.send_signal(signal.SIGABRT)
        process.wait(timeout=outside.PATIENCE)
    found = list(folder.glob('core*'))
    if not found:
        raise Skip('the kernel made no core dump')
    return found[0]


def a_core_dump_has_the_tasks_and_their_traces():
    for kind in ('static', 'shared'):
        answers, _ = gdb([built('waiting', kind), dumped(kind)], 'rota tasks',
                         'rota bt fetch-1', 'rota bt blocker', 'rota bt -all')
        same(without_lines(answers[0]), outside.TREE)
        ends_with_task(frames_of(answers[1]), *['nap'] * 4, 'sleeper')
        ends_with_task(frames_of(answers[2]), 'blocker')
        assert not WRONG.search(answers[3]), answers[3]


def a_dump_by_gcore_has_them_or_says_that_it_has_not():
    if outside.SANITIZERS:
        raise Skip('a dump of all that a sanitizer maps is too big')
    core = outside.folder / 'gcore'
    of_process(f'gcore {core}')
    if not core.exists():
        raise Skip('gdb has no gcore here')
    answers, errors = gdb([built('waiting'), core], 'rota tasks',
                          'rota bt fetch-1')
    if 'Stacks of tasks are not in this core dump' in answers[0]:
        assert 'Stacks of tasks are not' in errors, errors
    else:
        same(without_lines(answers[0]), outside.TREE)
        ends_with_task(frames_of(answers[1]), *['nap'] * 4, 'sleeper')


# --- Loading ------------------------------------------------------------------


def gdb_loads_the_commands_for_the_shared_library():
    library = (outside.BUILD / 'librota.so.0').resolve()
    scripts = outside.folder / 'auto-load'
    place = scripts / library.relative_to('/').parent
    place.mkdir(parents=True)
    shutil.copy(SCRIPT, place / f'{library.name}-gdb.py')
    answers, _ = of_process(
        'rota tasks', kind='shared', script=None,
        before=(f'add-auto-load-scripts-directory {scripts}',
                f'add-auto-load-safe-path {scripts}'))
    same(without_lines(answers[0]), outside.TREE)


def it_is_installed_where_gdb_looks():
    plan = list(json.loads((outside.BUILD / 'meson-info' /
                            'intro-installed.json').read_text()).values())
    library = next(path for path in plan
                   if re.search(r'/librota\.so\.\d+\.\d+\.\d+$', path))
    assert any(path.endswith(f'/gdb/auto-load{library}-gdb.py')
               for path in plan), plan


TESTS = [
    the_tree_is_that_of_rota_ps,
    so_it_is_with_the_shared_library,
    so_it_is_in_a_static_and_stripped_program,
    a_parked_task_has_a_trace,
    a_task_is_found_by_its_id_and_by_its_made_up_name,
    a_name_may_have_spaces_and_locals_are_shown,
    a_running_task_has_its_threads_trace,
    one_that_has_begun_another_has_a_trace,
    one_that_has_not_begun_says_with_what_it_will,
    all_tasks_have_their_traces,
    neither_frames_nor_the_process_change,
    what_is_not_there_is_said,
    a_ring_and_deep_tasks_end,
    a_terminal_without_utf_8_gets_ascii,
    without_rota_that_is_said,
    a_loop_without_tasks_has_none,
    a_core_dump_has_the_tasks_and_their_traces,
    a_dump_by_gcore_has_them_or_says_that_it_has_not,
    gdb_loads_the_commands_for_the_shared_library,
    it_is_installed_where_gdb_looks,
]


if __name__ == '__main__':
    sys.exit(outside.run_all(TESTS))
