#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""
The examples about processes and files: a little make, a tail, checksums

This program adopts whatever they leave behind (it is a subreaper), so after
each test it must have no child. Commands tell through FIFOs how far they are,
and one that is to be stopped would sleep for a quarter of an hour. ROTA_BUILD
is where the examples were built.
"""

import contextlib
import ctypes
import os
import re
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

from example_programs import (
    EXAMPLES, PATIENCE, REAL, SLOWNESS, Skip, equal, need, run_all, within)

PR_SET_CHILD_SUBREAPER = 36
MAKE_PATIENCE = 2.0  # what the programs have with a command that is to end
TAIL_PATIENCE = 3.0

TESTS = []


def test(function):
    def in_a_folder():
        with tempfile.TemporaryDirectory() as name:
            function(Path(name))
            no_child_is_left()

    in_a_folder.__name__ = function.__name__
    TESTS.append(in_a_folder)
    return function


def children():
    text = Path(f'/proc/self/task/{os.getpid()}/children').read_text()
    return [int(pid) for pid in text.split()]


def no_child_is_left():
    """Whoever was killed may take a moment; whoever was not takes longer."""
    deadline = time.monotonic() + 5 * SLOWNESS
    with contextlib.suppress(ChildProcessError):
        while time.monotonic() < deadline:
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                time.sleep(0.01)
        left = children()
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        raise AssertionError(f'processes were left behind: {left}')


def adopt_orphans():
    prctl = getattr(ctypes.CDLL(None), 'prctl', None)
    if not prctl or prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise Skip('orphans are adopted on Linux only')


def program(name):
    if not (EXAMPLES / name).exists():
        raise Skip(f'{name} was not built')
    return EXAMPLES / name


def run(folder, name, *arguments):
    done = subprocess.run(
        [program(name), *arguments], cwd=folder, env=REAL, timeout=PATIENCE,
        stdin=subprocess.DEVNULL, capture_output=True)
    done.stdout = done.stdout.decode()
    done.stderr = done.stderr.decode()
    return done


@contextlib.contextmanager
def started(folder, name, *arguments):
    with subprocess.Popen(
            [program(name), *arguments], cwd=folder, env=REAL,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, encoding='utf-8') as process:
        try:
            yield process
        finally:
            process.kill()


def fifo(folder, name):
    os.mkfifo(folder / name)
    return folder / name


def end_by(process, number):
    """Its last words, and how long it took."""
    start = time.monotonic()
    process.send_signal(number)
    text, complaints = process.communicate(timeout=PATIENCE)
    equal(process.returncode, -number)
    return text, complaints, time.monotonic() - start


# --- make_runner --------------------------------------------------------------

def make(folder, rules, *arguments):
    (folder / 'Makefile').write_text(textwrap.dedent(rules))
    return run(folder, 'make_runner', *arguments)


def made(done):
    equal((done.returncode, done.stderr), (0, ''))
    return done.stdout.splitlines()


def failed(done, *complaints):
    equal(done.returncode, 1)
    equal(done.stderr.splitlines(),
          [f'make_runner: {complaint}' for complaint in complaints])
    return done.stdout.splitlines()


DIAMOND = """\
# The first is made when none is named.
all: program

program: a.o b.o
\tcat a.o b.o > program
a.o: a.c
\tcp a.c a.o
b.o: b.c b.h
\tcp b.c b.o
"""


def write_sources(folder):
    for name in ('a.c', 'b.c', 'b.h'):
        (folder / name).write_text(f'{name}\n')


def touch(file):
    """Later than anything that was written before."""
    later = time.time_ns() + 10**9
    os.utime(file, ns=(later, later))


@test
def needs_are_made_first(folder):
    write_sources(folder)
    equal(made(make(folder, DIAMOND)),
          ['cp a.c a.o', 'cp b.c b.o', 'cat a.o b.o > program'])
    equal((folder / 'program').read_text(), 'a.c\nb.c\n')


@test
def only_what_is_older_than_its_needs_is_made_again(folder):
    write_sources(folder)
    make(folder, DIAMOND)
    equal(made(make(folder, DIAMOND, 'program')),
          ['make_runner: all is up to date'])
    touch(folder / 'b.h')
    equal(made(make(folder, DIAMOND, '-j', '4')),
          ['cp b.c b.o', 'cat a.o b.o > program'])
    (folder / 'a.o').unlink()
    equal(made(make(folder, DIAMOND, 'a.o')), ['cp a.c a.o'])


@test
def targets_and_rules_may_be_named(folder):
    (folder / 'rules').write_text('a:\n\techo A\nb:\n\techo B\nc:\n\techo C\n')
    done = run(folder, 'make_runner', '-f', 'rules', 'c', 'a')
    equal(made(done), ['echo C', 'C', 'echo A', 'A'])


@test
def a_command_speaks_with_one_voice(folder):
    """The two take turns at speaking, and yet are not mixed."""
    for name in ('ab', 'ba'):
        fifo(folder, name)
    done = make(folder, """\
        all: a b
        a:
        \tset -e; echo a1; echo > ab; read x < ba; echo a2 >&2; echo > ab
        b:
        \tset -e; read x < ab; echo b1; echo > ba; read x < ab; printf b2
        """, '-j2')
    said = ' '.join(line for line in made(done) if len(line) == 2)
    assert said in ('a1 a2 b1 b2', 'b1 b2 a1 a2'), said


@test
def no_more_than_allowed_are_at_work(folder):
    rules = 'all:' + ''.join(f' {n}' for n in range(12)) + '\n'
    for n in range(12):
        rules += (f'{n}:\n\t> at.{n}; ls at.* | wc -l; sleep 0.05; '
                  f'rm at.{n}\n')
    for jobs in (1, 3):
        found = [int(line) for line in made(make(folder, rules, f'-j{jobs}'))
                 if line.strip().isdigit()]
        equal(len(found), 12)
        assert max(found) <= jobs, found


@test
def a_command_that_fails_stops_the_others(folder):
    fifo(folder, 'begun')
    done = make(folder, """\
        all: fails waits later
        fails:
        \tread x < begun; echo sorry; exit 3
        waits:
        \techo > begun; sleep 1000 & wait
        later: waits
        \techo never
        """, '-j2')
    equal(failed(done, 'fails: exit status 3', 'waits: stopped'),
          ['read x < begun; echo sorry; exit 3', 'sorry'])


@test
def a_command_that_a_signal_kills_is_told_of(folder):
    done = make(folder, 'all:\n\tkill -9 $$\n')
    equal(failed(done, 'all: killed by SIGKILL'), ['kill -9 $$'])


@test
def what_is_made_by_half_is_removed(folder):
    done = make(folder, 'out:\n\techo half > out; exit 1\n')
    failed(done, 'out: exit status 1', 'out: removed: it may be made by half')
    assert not (folder / 'out').exists()
    (folder / 'old').write_text('old\n')
    (folder / 'new').write_text('new\n')
    touch(folder / 'new')
    failed(make(folder, 'old: new\n\tfalse\n'), 'old: exit status 1')
    equal((folder / 'old').read_text(), 'old\n')


@test
def circles_are_found_before_anything_is_run(folder):
    for rules, circle in (
            ('a: b x\nb: c\nc: a\nx:\n\techo never\n', 'a < c < b < a'),
            ('a: a\n\techo never\n', 'a < a'),
            ('all: a\na: b\nb: a\n\techo never\n', 'a < b < a')):
        equal(failed(make(folder, rules), f'a circle: {circle}'), [])


@test
def what_the_rules_lack_is_told(folder):
    failed(make(folder, 'a: nothing\n'), 'nothing: no file and no rule for it')
    failed(make(folder, 'a:\n', 'b'), 'b: no rule names it')
    failed(make(folder, '# nothing\n'), 'the rules: there are none')
    failed(run(folder, 'make_runner', '-f', 'none'),
           'none: No such file or directory')
    for rules, complaint in (
            ('#\n\techo\n', '2: a command without a target'),
            ('a:\n\techo\nodd\n', '3: neither a rule nor a command, which '
             'begins with a tab'),
            ('a b: c\n', '1: a rule has one target'),
            (': c\n', '1: a rule has one target'),
            ('a:\n\na:\n', '3: a second rule for the same target')):
        failed(make(folder, rules), f'Makefile:{complaint}')
    for arguments in (['-j', '0'], ['-j', 'x'], ['-x']):
        done = run(folder, 'make_runner', *arguments)
        equal(done.returncode, 2)
        assert 'usage: make_runner ' in done.stderr, done.stderr


@test
def a_command_may_say_ten_million_bytes(folder):
    command = "head -c 10000000 /dev/zero | tr '\\0' x"
    done = make(folder, f'all: a b\na:\n\t{command}\nb:\n\t{command}\n', '-j2')
    for line in made(done):
        assert line == command or line == 'x' * 10000000, line[:80]
    equal(len(done.stdout.splitlines()), 4)


@test
def a_signal_stops_all_commands(folder):
    """The shell that has one in it is asked to end, and so is what it runs."""
    (folder / 'Makefile').write_text(textwrap.dedent("""\
        all: a b
        a:
        \tsleep 1000 & trap 'echo bye > last; exit' TERM; echo > fa; wait
        b:
        \techo half > b; echo > fb; sleep 1000; true
        """))
    begun = [fifo(folder, 'fa'), fifo(folder, 'fb')]
    for number in (signal.SIGINT, signal.SIGTERM):
        with started(folder, 'make_runner', '-j2') as process:
            for each in begun:
                each.read_text()
            text, complaints, seconds = end_by(process, number)
        equal(text, '')
        equal(sorted(complaints.splitlines()), [
            f'make_runner: {signal.Signals(number).name}',
            'make_runner: a: stopped',
            'make_runner: b: removed: it may be made by half',
            'make_runner: b: stopped'])
        within(seconds, 0, MAKE_PATIENCE / 2)
        equal((folder / 'last').read_text(), 'bye\n')
        (folder / 'last').unlink()
        assert not (folder / 'b').exists()


@test
def a_command_that_will_not_end_is_killed(folder):
    (folder / 'Makefile').write_text(
        "all:\n\ttrap '' TERM; echo > begun; sleep 1000; true\n")
    begun = fifo(folder, 'begun')
    with started(folder, 'make_runner') as process:
        begun.read_text()
        seconds = end_by(process, signal.SIGINT)[2]
    within(seconds, MAKE_PATIENCE, MAKE_PATIENCE + 1)


@test
def nobody_who_listens_ends_a_make(folder):
    (folder / 'Makefile').write_text(textwrap.dedent("""\
        all: speaks waits
        speaks:
        \tread x < begun; echo hello
        waits:
        \techo > begun; sleep 1000; true
        """))
    fifo(folder, 'begun')
    with started(folder, 'make_runner', '-j2') as process:
        process.stdout.close()
        complaints = process.stderr.read()
        equal(process.wait(PATIENCE), 1)
    assert 'make_runner: speaks: Broken pipe\n' in complaints, complaints


# --- tail_commands ------------------------------------------------------------

def tail(folder, *commands):
    return run(folder, 'tail_commands', *commands)


@test
def lines_come_with_the_name_of_their_command(folder):
    done = tail(folder, 'echo one; echo two >&2', 'printf "1\\n\\n2"')
    equal(sorted(done.stdout.splitlines()),
          ['[1 echo] one', '[2 printf] ', '[2 printf] 1', '[2 printf] 2'])
    equal(sorted(done.stderr.splitlines()),
          ['[1 echo] exit status 0', '[1 echo] two',
           '[2 printf] exit status 0'])
    equal(done.returncode, 0)


@test
def lines_come_as_they_are_said(folder):
    more = fifo(folder, 'more')
    with started(folder, 'tail_commands', 'echo first; read x < more; echo $x',
                 'sleep 1000') as process:
        equal(process.stdout.readline(), '[1 echo] first\n')
        more.write_text('second\n')
        equal(process.stdout.readline(), '[1 echo] second\n')
        equal(process.stderr.readline(), '[1 echo] exit status 0\n')
        equal(process.poll(), None)
        end_by(process, signal.SIGTERM)


@test
def how_a_command_ended_is_told(folder):
    done = tail(folder, 'exit 7', 'kill -9 $$', 'no-such-command-at-all')
    equal(done.returncode, 1)
    found = sorted(done.stderr.splitlines())
    equal(found[:2], ['[1 exit] exit status 7', '[2 kill] killed by SIGKILL'])
    assert found[2].endswith('not found'), found
    equal(found[3:], ['[3 no-such-command-at-all] exit status 127'])


@test
def any_bytes_may_be_said(folder):
    done = subprocess.run(
        [program('tail_commands'), r"printf '\0\377\r\nx\0'"], cwd=folder,
        env=REAL, timeout=PATIENCE, capture_output=True)
    equal(done.stdout, b'[1 printf] \0\xff\r\n[1 printf] x\0\n')


@test
def a_line_that_is_too_long_comes_in_pieces(folder):
    done = tail(folder, "head -c 100000 /dev/zero | tr '\\0' x; echo; echo y")
    lines = [re.sub(r'^\[1 head\] ', '', line)
             for line in done.stdout.splitlines()]
    equal(''.join(lines), 'x' * 100000 + 'y')
    equal(lines[-1], 'y')
    assert 2 < len(lines) < 100, len(lines)


@test
def two_that_say_millions_of_bytes_are_heard(folder):
    number, width = 100000, 99
    command = f'yes {"x" * width} | head -n {number}'
    done = tail(folder, command, command)
    lines = done.stdout.splitlines()
    for name in ('[1 yes] ', '[2 yes] '):
        equal(lines.count(name + 'x' * width), number)
    equal((len(lines), done.returncode), (2 * number, 0))


@test
def fifty_commands_are_followed(folder):
    done = tail(folder, *[f'echo {n}' for n in range(50)])
    equal(sorted(done.stdout.splitlines()),
          sorted(f'[{n + 1} echo] {n}' for n in range(50)))
    equal(done.returncode, 0)


@test
def a_signal_ends_all_and_last_words_are_heard(folder):
    for number in (signal.SIGINT, signal.SIGTERM):
        with started(folder, 'tail_commands',
                     "sleep 1000 & trap 'echo bye; exit 5' TERM; echo hi; wait",
                     'echo hi; sleep 1000; true') as process:
            process.stdout.readline()
            process.stdout.readline()
            text, complaints, seconds = end_by(process, number)
        equal(text, '[1 sleep] bye\n')
        equal(sorted(complaints.splitlines()), [
            '[1 sleep] exit status 5', '[2 echo] killed by SIGTERM'])
        within(seconds, 0, TAIL_PATIENCE / 2)


STUBBORN = "trap '' TERM; echo hi; sleep 1000; true"


@test
def one_that_will_not_end_is_killed(folder):
    with started(folder, 'tail_commands', STUBBORN, 'sleep 1000') as process:
        process.stdout.readline()
        seconds = end_by(process, signal.SIGTERM)[2]
    within(seconds, TAIL_PATIENCE, TAIL_PATIENCE + 1)


@test
def a_second_signal_kills_at_once(folder):
    with started(folder, 'tail_commands', STUBBORN,
                 'echo hi; sleep 1000') as process:
        process.stdout.readline()
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        equal(process.stderr.readline(), '[2 echo] killed by SIGTERM\n')
        seconds = end_by(process, signal.SIGTERM)[2]
    within(seconds, 0, TAIL_PATIENCE / 2)


@test
def nobody_who_listens_ends_a_tail(folder):
    with started(folder, 'tail_commands', 'yes', 'sleep 1000') as process:
        equal(process.stdout.readline(), '[1 yes] y\n')
        process.stdout.close()
        complaints = process.stderr.read()
        equal(process.wait(PATIENCE), 1)
    equal(complaints, 'tail_commands: Broken pipe\n')


@test
def commands_must_be_named(folder):
    done = tail(folder)
    equal((done.returncode, done.stdout), (2, ''))
    equal(done.stderr, 'usage: tail_commands COMMAND...\n')


# --- checksum_tree ------------------------------------------------------------

def checksums(folder, name='tree'):
    return run(folder, 'checksum_tree', name)


@test
def checksums_are_those_of_cksum(folder):
    need('cksum')
    tree = folder / 'tree'
    for n in range(20):
        (tree / f'{n}' / 'deep' / 'er').mkdir(parents=True)
        (tree / f'{n}' / 'deep' / 'er' / 'a file').write_bytes(b'x' * n)
    for size in (0, 1, 255, 256, 32767, 32768, 32769, 10**7):
        (tree / f'{size}.bin').write_bytes(os.urandom(size))
    (tree / 'link').symlink_to('0.bin')
    os.mkfifo(tree / 'fifo')
    files = sorted(str(path.relative_to(folder)) for path in tree.rglob('*')
                   if path.is_file() and not path.is_symlink())
    known = subprocess.run(['cksum', '--', *files], cwd=folder, check=True,
                           capture_output=True, text=True).stdout
    done = checksums(folder)
    equal((done.returncode, done.stderr), (0, ''))
    equal(done.stdout, known)
    equal(len(files), 28)


@test
def a_tree_may_be_empty_or_missing(folder):
    (folder / 'tree').mkdir()
    done = checksums(folder)
    equal((done.returncode, done.stdout, done.stderr), (0, '', ''))
    for name, complaint in (
            ('none', 'No such file or directory'),
            ('/dev/null', 'Not a directory')):
        done = checksums(folder, name)
        equal((done.returncode, done.stdout), (1, ''))
        equal(done.stderr, f'checksum_tree: {name}: {complaint}\n')
    done = run(folder, 'checksum_tree')
    equal((done.returncode, done.stderr),
          (2, 'usage: checksum_tree FOLDER\n'))


@test
def a_file_that_cannot_be_read_is_told_of(folder):
    nobody = 65534 if os.geteuid() == 0 else None
    folder.chmod(0o755)
    (folder / 'tree').mkdir()
    (folder / 'tree' / 'a').write_text('a')
    (folder / 'tree' / 'b').write_text('b')
    (folder / 'tree' / 'a').chmod(0)
    try:
        done = subprocess.run(
            [program('checksum_tree'), 'tree'], cwd=folder, env=REAL,
            timeout=PATIENCE, capture_output=True, text=True, user=nobody)
    except PermissionError:
        raise Skip('root may read everything, others not run this') from None
    equal(done.returncode, 1)
    equal(done.stderr, 'checksum_tree: tree/a: Permission denied\n')
    equal(done.stdout.split()[1:], ['1', 'tree/b'])


def main():
    try:
        adopt_orphans()
    except Skip as why:
        print(f'1..0 # SKIP {why}')
        return 0
    return run_all(TESTS)


if __name__ == '__main__':
    sys.exit(main())
