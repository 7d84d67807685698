#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""
The names of asyncio, all on the page docs/from-asyncio.md

What the running Python's asyncio exports, the methods of its classes, and
what later versions have added must stand there, with a twin or the reason
why there is none. So must each function of rota's.
"""

import asyncio
import concurrent.futures
import contextvars
import os
import re
import sys
import warnings
from pathlib import Path

SOURCE = Path(os.environ['ROTA_SOURCE'])
PAGE = SOURCE / 'docs/from-asyncio.md'

CLASSES = [
    asyncio.AbstractEventLoop, asyncio.BaseEventLoop, asyncio.Runner,
    asyncio.Handle, asyncio.TimerHandle, asyncio.Future, asyncio.Task,
    asyncio.Timeout, asyncio.TaskGroup, asyncio.Lock, asyncio.Event,
    asyncio.Condition, asyncio.Semaphore, asyncio.BoundedSemaphore,
    asyncio.Barrier, asyncio.Queue, asyncio.StreamReader,
    asyncio.StreamWriter, asyncio.Server, contextvars.ContextVar,
    contextvars.Token, contextvars.Context]

# Of 3.12, 3.13 and 3.14.
LATER = """
    TaskGroup eager_task_factory create_eager_task_factory get_context
    close_clients abort_clients shutdown QueueShutDown EventLoop eager_start
    print_call_graph capture_call_graph format_call_graph FutureCallGraph
    FrameCallGraphEntry future_add_to_awaited_by
    future_discard_from_awaited_by pstree
""".split()

# Methods of concurrent.futures.Future for those who make one.
NOT_OURS = {'running', 'set_running_or_notify_cancel'}

# Of asyncio on Windows.
WINDOWS = """
    ProactorEventLoop IocpProactor WindowsSelectorEventLoopPolicy
    WindowsProactorEventLoopPolicy
""".split()


def public(kind):
    return {name for name in dir(kind) if not name.startswith('_')}


def words_of(text):
    """The words in code, in the text and in blocks."""
    code = re.findall(r'```.*?```|`[^`]+`', text, re.S)
    return {word for part in code for word in re.findall(r'\w+', part)}


def rotas():
    """Each function and macro of the public headers."""
    names = set()
    for header in sorted((SOURCE / 'include').rglob('*.h')):
        text = re.sub(r'/\*.*?\*/', '', header.read_text(), flags=re.S)
        names |= set(re.findall(
            r'^(?!typedef)[a-z][\w *]*?\b(rota_[a-z]\w*)\(', text, re.M))
    return names


def wanted():
    yield 'asyncio.__all__', set(asyncio.__all__)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        for kind in CLASSES:
            yield f'the methods of {kind.__name__}', public(kind)
    yield ('the methods of concurrent.futures.Future',
           public(concurrent.futures.Future) - NOT_OURS)
    yield 'names of 3.12 to 3.14', set(LATER)
    yield 'names of Windows', set(WINDOWS)
    yield 'functions of rota', rotas()


def main():
    words = words_of(PAGE.read_text(encoding='utf-8'))
    failed = False
    count = 0
    for count, (title, names) in enumerate(wanted(), 1):
        missing = sorted(names - words)
        failed |= bool(missing)
        print(f'{"not ok" if missing else "ok"} {count} - {title}')
        if missing:
            print('# not on the page:', ' '.join(missing))
    print(f'1..{count}')
    return failed


if __name__ == '__main__':
    sys.exit(main())
