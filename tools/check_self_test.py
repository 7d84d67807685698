# SPDX-License-Identifier: MIT
"""
Proves that each rule of tools/check notices its violation.

A small clean tree has none. Each case changes one file of it and says which
rule must then speak about which file. The output is TAP.
"""

import tempfile
from pathlib import Path

HEAD = '/* SPDX-License-Identifier: MIT */\n/*\n * A title\n */\n'
SCRIPT = '# SPDX-License-Identifier: MIT\n'
HEADER = HEAD + (
    '#ifdef __cplusplus\nextern "C" {\n#endif\n'
    '#if defined(__GNUC__)\n#define ROTA_MUST_USE\n#endif\n'
    '/* Does "one" thing; not(this). */\n'
    'ROTA_MUST_USE int rota_do(void (*callback)(void *arg), int a[2]);\n'
    'typedef struct rota_thing {\n    int (*run)(void *);\n} rota_thing;\n'
    'static inline int rota_is(int x)\n{\n    return x;\n}\n'
    '#ifdef __cplusplus\n}\n#endif\n')
CLEAN = {
    'include/rota/base.h': HEADER,
    'src/base/list.c': HEAD + (
        '#include "base/list.h"\n#include <rota.h>\n'
        'const int rota__table[2] = {1, 2};\nstatic int hidden;\n'
        'int rota_do(void (*callback)(void *arg), int a[2])\n'
        '{\n    free(a); /* malloc( */\n    return hidden;\n}\n'),
    'src/os/poller.c': HEAD + (
        '#include "os/os.h"\n#include <sys/epoll.h>\n'
        '#if defined(__linux__)\n#endif\n'
        'int rota__poll(void)\n{\n    return -errno;\n}\n'),
    'src/task/task.c': HEAD + (
        '#include "loop/loop.h"\n#include "os/context.h"\n'
        'void rota__switch(void)\n{\n    pool->free(pool);\n}\n'),
    'examples/echo.c': HEAD + '#include <rota.h>\n#include "echo.h"\n',
    'examples/echo.h': HEAD + '#include <stdio.h>\n',
    'tests/test_base.c': HEAD + 'rota_do(0, 0);\nrota_is(1);\n',
    'tests/meson.build': SCRIPT + "test_names = [\n  'base',\n]\n",
    'src/meson.build': SCRIPT + "x = ['list.c', 'poller.c', 'task.c']\n",
    'docs/base.md': '`rota_do` and `rota_is`, ' + 'long ' * 40,
    'do': '#!/bin/bash\n' + SCRIPT + 'greet() {\n    echo hello\n}\n',
    'tools/count': '#!/usr/bin/python3\n' + SCRIPT + 'def f():\n    pass\n',
}


def lines(count, line='\n'):
    return line * count


def function(name, length):
    return f'{name}\n{{\n' + lines(length - 3, '    x();\n') + '}\n'


# What it is about; the file; what is added to its end; the rule that speaks.
ADDED = [
    ('a vague file name', 'src/base/utils.h', HEAD, 'name'),
    ('a vague folder name', 'tests/helpers/x.h', HEAD, 'name'),
    ('no SPDX comment in C', 'src/os/a.h', '/*\n * A title\n */\n', 'head'),
    ('no opening comment', 'src/os/a.h',
     '/* SPDX-License-Identifier: MIT */\nint rota__x;\n', 'head'),
    ('no SPDX line in a script', 'tools/x', '#!/bin/sh\n\n\n\n', 'head'),
    ('no SPDX line in Python', 'bench/run.py', 'pass\n', 'head'),
    ('no SPDX line in Go', 'bench/peers/x.go', 'package main\n', 'head'),
    ('a long file', 'src/os/poller.c', lines(600), 'file-size'),
    ('a long public header', 'include/rota/base.h', lines(260), 'file-size'),
    ('a long script', 'do', lines(600), 'file-size'),
    ('a long line of C', 'src/os/poller.c', '/*' + ' ' * 77 + '*/', 'columns'),
    ('a long line of shell', 'do', '#' * 81, 'columns'),
    ('a long line of Python', 'tools/count', '#' * 81, 'columns'),
    ('a very long line of the package', 'python/rota/loop.py', '#' * 101,
     'columns'),
    ('a long function in C', 'src/os/poller.c',
     function('static int x(void)', 71), 'function-size'),
    ('a long function in Python', 'tools/count',
     'def g():\n' + lines(70, '    pass\n'), 'function-size'),
    ('a long function in shell', 'do',
     'f() {\n' + lines(69, '    ls\n') + '}\n', 'function-size'),
    ('an unfinished thing in C', 'src/os/poller.c',
     '/* TO' 'DO */', 'unfinished'),
    ('an unfinished thing in shell', 'do', '# FIX' 'ME', 'unfinished'),
    ('a folder that is no layer', 'src/net/net.h', HEAD, 'layers'),
    ('base that makes system calls', 'src/base/list.c',
     '#include <unistd.h>\n', 'layers'),
    ('base that uses sys', 'src/base/list.c', '#include <sys/uio.h>', 'layers'),
    ('an include without a layer', 'src/os/poller.c',
     '#include "os.h"\n', 'layers'),
    ('os above itself', 'src/os/poller.c', '#include "loop/loop.h"', 'layers'),
    ('task that knows sockets', 'src/task/task.c',
     '#include "transport/transport.h"\n', 'layers'),
    ('task that polls', 'src/task/task.c',
     'void rota__x(void)\n{\n    rota__poller_wait(0);\n}\n', 'layers'),
    ('task with a file of os', 'src/task/task.c',
     '#include "os/quiet.h"\n', 'layers'),
    ('a transport that knows tasks', 'src/transport/x.h',
     HEAD + '#include "task/task.h"\n', 'layers'),
    ('a stream on os', 'src/stream/x.h', HEAD + '#include "os/os.h"', 'layers'),
    ('Python on tasks', 'python/src/x.h',
     HEAD + '#include "task/task.h"\n', 'layers'),
    ('an example that looks inside', 'examples/echo.c',
     '#include "loop/loop.h"\n', 'layers'),
    ('an example with a layer\'s header', 'examples/echo.c',
     '#include "loop.h"\n', 'layers'),
    ('an example with a chapter', 'examples/echo.c',
     '#include <rota/loop.h>\n', 'layers'),
    ('a benchmark that looks inside', 'bench/rota/x.c',
     HEAD + '#include "loop/loop.h"\n', 'layers'),
    ('a platform outside of os', 'src/task/task.c',
     '#ifdef __APPLE__\n#endif\n', 'platform'),
    ('a platform in a public header', 'include/rota/base.h',
     '#if defined(__linux__)\n#endif\n', 'platform'),
    ('a compiler outside of os', 'src/task/task.c',
     '#if X && defined(__clang__)\n#endif\n', 'platform'),
    ('errno outside of os', 'src/task/task.c',
     'int rota__x(void)\n{\n    return errno;\n}\n', 'errno'),
    ('a boundless call', 'src/os/poller.c',
     'void rota__x(void)\n{\n    strcpy(a, b);\n}\n', 'banned'),
    ('malloc outside of base', 'src/os/poller.c',
     'void rota__x(void)\n{\n    malloc(1);\n}\n', 'banned'),
    ('assert outside of base', 'src/task/task.c',
     'void rota__x(void)\n{\n    assert(1);\n}\n', 'banned'),
    ('a public function by another name', 'include/rota/base.h',
     'int loop_do(void);\n', 'naming'),
    ('a public type by another name', 'include/rota/base.h',
     'typedef struct rota_x {\n    int y;\n} thing;\n', 'naming'),
    ('a public macro by another name', 'include/rota/base.h',
     '#define LIMIT 3\n', 'naming'),
    ('a function that escapes', 'src/os/poller.c',
     'int turn(int x)\n{\n    return x;\n}\n', 'naming'),
    ('a global that escapes', 'src/os/poller.c',
     'int table[2] = {1, 2};\n', 'naming'),
    ('a public function without a test', 'include/rota/base.h',
     '/* rota_do */\nint rota_new(void);\n', 'tests'),
    ('a public function without a page', 'include/rota/base.h',
     'int rota_new(void);\n', 'docs'),
    ('a source that nobody builds', 'src/os/x.c', HEAD, 'build'),
    ('a test that is not listed', 'tests/test_x.c', HEAD, 'build'),
    ('a listed test that is not there', 'tests/meson.build',
     '', 'build'),
]
INNOCENT = [
    ('a clean tree', 'docs/x.md', '# x\n'),
    ('a long file with a reason', 'src/os/a.h',
     HEAD.replace('A title', 'A title\n *\n * Long because of tables.')
     + lines(600)),
    ('a function of 70 lines', 'src/os/poller.c',
     function('static int x(void)', 70)),
    ('words in comments and strings', 'src/task/task.c',
     '/* errno malloc( */ static const char x[] = "errno free(";\n'),
    ('generated files', 'build/utils.c', 'int x;\n'),
]


def tree_with(root, name, addition):
    files = dict(CLEAN)
    files[name] = files.get(name, '') + addition
    if name == 'tests/meson.build':
        files[name] = files[name].replace("'base'", "'base',\n  'ghost'")
    for path, text in files.items():
        target = Path(root, path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding='utf-8')


def spoken(violations, name, addition):
    with tempfile.TemporaryDirectory() as root:
        tree_with(root, name, addition)
        return list(violations(Path(root).resolve()))


def run(violations):
    failed = 0
    number = 0
    print(f'1..{len(ADDED) + len(INNOCENT)}')
    for about, name, addition, rule in ADDED:
        found = spoken(violations, name, addition)
        seen = any(v[0] == name and v[2] == rule for v in found)
        number += 1
        failed += not seen
        print(f'{"ok" if seen else "not ok"} {number} - {about} is noticed')
    for about, name, addition in INNOCENT:
        found = spoken(violations, name, addition)
        number += 1
        failed += bool(found)
        print(f'{"not ok" if found else "ok"} {number} - {about} may be')
        for path, line, rule, message in found:
            print(f'#   {path}:{line}: {rule}: {message}')
    return 1 if failed else 0
