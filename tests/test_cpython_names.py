#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""
The tables of CPython's tests and ours: tests/cpython/*.txt

Each line of theirs names tests of ours that exist and are run, or a reason
why there is none; and where CPython's own tests are installed, none of them
is missing. tests/cpython/README.md describes a table.
"""

import ast
import os
import re
import sys
import sysconfig
from pathlib import Path

TESTS = Path(os.environ['ROTA_SOURCE']) / 'tests'
THEIRS = Path(sysconfig.get_paths()['stdlib']) / 'test' / 'test_asyncio'
VERSION = sys.version_info[:2]
FIRST_VERSION = (3, 11)  # the one that the lines without a mark are about

LINE = re.compile(r'(\w+\.test\w*)(?: \(3\.(\d+)\))? +-> +(\S.*)')
REASON = re.compile(r'not: \S+ \S+')
OURS = re.compile(r'(test_\w+)\.(\w+)')


class Skip(Exception):
    pass


class Line:
    def __init__(self, place, found):
        self.place = place
        self.theirs = found[1]
        self.since = (3, int(found[2])) if found[2] else FIRST_VERSION
        self.target = found[3]


class Table:
    """One file of tests/cpython, its lines read; what is wrong, noted."""

    def __init__(self, path):
        self.name = path.name
        self.covers = []
        self.partly = []
        self.lines = []
        self.complaints = []
        for number, text in self.joined(path.read_text(encoding='utf-8')):
            self.read(f'{path.name}:{number}', text)
        if not self.covers + self.partly:
            self.complaints.append(f'{path.name} does not say what it covers')

    @staticmethod
    def joined(text):
        """Numbered lines, without comments, each with those that go on."""
        whole = []
        for number, line in enumerate(text.splitlines(), 1):
            line = re.sub(r'(^|\s)#.*', '', line).rstrip()
            if line.startswith(' ') and whole:
                whole[-1][1] += ' ' + line.strip()
            elif line:
                whole.append([number, line])
        return whole

    def read(self, place, text):
        found = LINE.fullmatch(text)
        if text.startswith('covers: '):
            self.covers += text.split()[1:]
        elif text.startswith('part of: '):
            self.partly += text.split()[2:]
        elif found:
            self.lines.append(Line(place, found))
        else:
            self.complaints.append(f'{place}: not understood: {text}')


def tests_of_program(name):
    """The tests that this program runs, or None if it is not built."""
    built = re.findall(r"^  '(\w+)',$", (TESTS / 'meson.build').read_text(),
                       re.M)
    if name.removeprefix('test_') not in built:
        return None
    for suffix, pattern in (('.c', r'\bTEST\w*\(\s*(\w+)'),
                            ('.py', r'^def (\w+)\(')):
        path = TESTS / (name + suffix)
        if path.exists():
            return set(re.findall(pattern, path.read_text(), re.M))
    return None


def methods_in(body):
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.name
        elif not isinstance(node, ast.ClassDef):
            yield from methods_in(ast.iter_child_nodes(node))


def their_tests(file):
    tree = ast.parse((THEIRS / file).read_text(encoding='utf-8'))
    return {f'{node.name}.{name}' for node in ast.walk(tree)
            if isinstance(node, ast.ClassDef)
            for name in methods_in(node.body) if name.startswith('test')}


def every_line_is_understood(tables):
    return [complaint for table in tables for complaint in table.complaints]


def no_test_of_theirs_stands_twice(tables):
    complaints, seen = [], {}
    for table in tables:
        for line in table.lines:
            for file in table.covers + table.partly:
                place = seen.setdefault((file, line.theirs), line.place)
                if place != line.place:
                    complaints.append(f'{line.place}: {line.theirs} stands '
                                      f'at {place}')
    return complaints


def ours_in(line):
    return [OURS.fullmatch(word) for word in line.target.split()]


def every_line_has_a_test_or_a_reason(tables):
    return [f'{line.place}: neither tests nor `not: ` and some words'
            for table in tables for line in table.lines
            if not REASON.match(line.target) and not all(ours_in(line))]


def every_test_of_ours_exists_and_is_run(tables):
    complaints, programs = [], {}
    for line in (line for table in tables for line in table.lines):
        for found in filter(None, ours_in(line)):
            program, name = found.groups()
            if program not in programs:
                programs[program] = tests_of_program(program)
            if programs[program] is None:
                complaints.append(f'{line.place}: no program {program}')
            elif name not in programs[program]:
                complaints.append(f'{line.place}: {program} has no {name}')
    return complaints


def covered(tables):
    """Their files, each with what the tables say of it."""
    if not THEIRS.is_dir():
        raise Skip("CPython's tests are not installed")
    if VERSION != FIRST_VERSION:
        raise Skip('the tables are held against those of 3.11')
    files = {}
    for table in tables:
        for file in table.covers:
            files.setdefault(file, []).extend(table.lines)
    return files


def every_test_of_theirs_is_listed(tables):
    complaints = []
    for file, lines in covered(tables).items():
        if not (THEIRS / file).exists():
            complaints.append(f'they have no {file}')
            continue
        missing = their_tests(file) - {line.theirs for line in lines}
        complaints += [f'{file}: not listed: {name}'
                       for name in sorted(missing)]
    return complaints


def every_name_of_theirs_is_one(tables):
    covered(tables)
    complaints = []
    for table in tables:
        known = set().union(*(their_tests(file)
                              for file in table.covers + table.partly
                              if (THEIRS / file).exists()))
        complaints += [f'{line.place}: they have no {line.theirs}'
                       for line in table.lines
                       if line.since <= VERSION and line.theirs not in known]
    return complaints


CHECKS = [
    every_line_is_understood,
    no_test_of_theirs_stands_twice,
    every_line_has_a_test_or_a_reason,
    every_test_of_ours_exists_and_is_run,
    every_test_of_theirs_is_listed,
    every_name_of_theirs_is_one,
]


def main():
    tables = [Table(path) for path in sorted(TESTS.glob('cpython/*.txt'))]
    failed = False
    print(f'1..{len(CHECKS)}')
    for number, check in enumerate(CHECKS, 1):
        line = f'{number} - {check.__name__}'
        try:
            complaints = check(tables)
        except Skip as reason:
            print(f'ok {line} # SKIP {reason}')
            continue
        print(f'not ok {line}' if complaints else f'ok {line}')
        for text in complaints:
            print('#', text)
        failed |= bool(complaints)
    return failed


if __name__ == '__main__':
    sys.exit(main())
