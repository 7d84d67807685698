#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""
What the library offers: its symbols and its headers

The shared library exports exactly the functions that the headers declare, and
the anchor for debuggers; each header compiles by itself, as C11 and as C++.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

BUILD = Path(os.environ['ROTA_BUILD'])
SOURCE = Path(os.environ['ROTA_SOURCE'])
INCLUDE = SOURCE / 'include'
FOR_TOOLS = {'rota__anchor'}
HEADERS = [INCLUDE / 'rota.h', *sorted((INCLUDE / 'rota').glob('*.h'))]
STRICT = ['-pedantic', '-Wall', '-Wextra', '-Werror', '-fsyntax-only']


class Skip(Exception):
    pass


def without_noise(text):
    """The text without comments, directives and the bodies of inlines."""
    text = re.sub(r'/\*.*?\*/', ' ', text, flags=re.S)
    text = re.sub(r'^[ \t]*#.*?(?<!\\)$', '', text, flags=re.M | re.S)
    text = re.sub(r'extern "C" \{', '', text)
    return re.sub(r'static inline[^;{]*\{.*?^\}', '', text, flags=re.M | re.S)


def declared():
    """The functions that the headers declare."""
    names = set()
    for header in HEADERS:
        text = without_noise(header.read_text())
        text = re.sub(r'\{[^{}]*(\{[^{}]*\}[^{}]*)*\}', '{}', text)
        for statement in text.split(';'):
            found = re.search(r'\b(rota\w*)\s*\(', statement)
            if found and 'typedef' not in statement:
                names.add(found[1])
    return names


def libraries():
    found = [path for path in BUILD.glob('librota.so*')
             if path.is_file() and not path.is_symlink()]
    found += BUILD.glob('librota.*.dylib')
    if not found:
        raise Skip('there is no shared library in the build')
    return found


def exported():
    """The names that a program may link to."""
    if not shutil.which('nm'):
        raise Skip('nm is not installed')
    out = subprocess.run(['nm', '-D', '--defined-only', *libraries()],
                         check=True, capture_output=True, text=True).stdout
    names = set()
    for line in out.splitlines():
        fields = line.split()
        if len(fields) == 3 and fields[1] in 'TWDBRVi':
            names.add(re.sub(r'@.*', '', fields[2]))
    return {name for name in names if not name.startswith('__')}


def must_be_none(names, what):
    return f'{what}: {" ".join(sorted(names))}' if names else ''


def headers_declare_something():
    missing = {'rota_run', 'rota_create_task', 'rota_strerror',
               'rota__create_task', 'rota_wait_for'} - declared()
    return must_be_none(missing | ({'rota_is_error'} & declared()),
                        'this test misread the headers')


def all_that_is_declared_is_exported():
    return must_be_none(declared() - exported(), 'declared, not exported')


def nothing_else_is_exported():
    return must_be_none(exported() - declared() - FOR_TOOLS,
                        'exported, not declared')


def tools_find_the_anchor():
    return must_be_none(FOR_TOOLS - exported(), 'not exported')


def every_exported_name_is_rotas():
    return must_be_none({n for n in exported() if not n.startswith('rota_')},
                        'foreign names')


def compile_each(compiler, options, suffix):
    if not shutil.which(compiler[0]):
        raise Skip(f'{compiler[0]} is not installed')
    complaints = ''
    with tempfile.TemporaryDirectory() as folder:
        for header in HEADERS:
            program = Path(folder) / f'alone{suffix}'
            name = header.relative_to(INCLUDE)
            program.write_text(f'#include <{name}>\n#include <{name}>\n'
                               'int main(void) { return 0; }\n')
            run = subprocess.run(
                [*compiler, *options, *STRICT, f'-I{INCLUDE}', program],
                capture_output=True, text=True)
            if run.returncode != 0:
                complaints += f'{name}: {run.stderr}'
    return complaints


def each_header_compiles_alone_as_c11():
    return compile_each(os.environ.get('CC', 'cc').split(),
                        ['-std=c11', '-Wstrict-prototypes'], '.c')


def each_header_compiles_alone_as_cpp():
    return compile_each(['g++'], ['-std=c++11'], '.cc')


def each_header_compiles_alone_as_cpp_of_clang():
    return compile_each(['clang++'], ['-std=c++17'], '.cc')


TESTS = [
    headers_declare_something,
    all_that_is_declared_is_exported,
    nothing_else_is_exported,
    tools_find_the_anchor,
    every_exported_name_is_rotas,
    each_header_compiles_alone_as_c11,
    each_header_compiles_alone_as_cpp,
    each_header_compiles_alone_as_cpp_of_clang,
]


def main():
    failed = False
    print(f'1..{len(TESTS)}')
    for number, test in enumerate(TESTS, 1):
        line = f'{number} - {test.__name__}'
        try:
            complaint = test()
        except Skip as reason:
            print(f'ok {line} # SKIP {reason}')
            continue
        print(f'not ok {line}' if complaint else f'ok {line}')
        for text in complaint.splitlines():
            print('#', text)
        failed |= bool(complaint)
    return failed


if __name__ == '__main__':
    sys.exit(main())
