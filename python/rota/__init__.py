# SPDX-License-Identifier: MIT
"""
asyncio's event loop, written in C.

A program that uses asyncio runs on it unchanged:

    python3 -m rota program.py ARGUMENTS

(also -m MODULE, -c COMMAND and - for the standard input), or with one line of
its own:

    import asyncio
    import rota

    async def main():
        await asyncio.sleep(1)

    rota.run(main())

Whatever takes a factory of loops takes `rota.new_event_loop`:

    with asyncio.Runner(loop_factory=rota.new_event_loop) as runner:
        runner.run(main())

and where only a policy helps, `rota.install()` makes all loops that asyncio
makes rota's (Python has deprecated policies, and 3.16 has none).

`Loop` is a complete `asyncio.AbstractEventLoop`. Tasks, futures, streams,
locks, queues and subprocesses are asyncio's own, on top of it: asyncio's
manual is the manual of this package too. `isinstance(loop, rota.Loop)` tells
whether a program runs on it.
"""

import asyncio
import collections.abc as abc
import sys
from typing import Any, TypeVar

from rota._loop import Loop

if sys.version_info < (3, 16):
    from rota._policy import EventLoopPolicy, install

    __all__ = ('EventLoopPolicy', 'Loop', 'install', 'new_event_loop', 'run')
else:
    __all__ = ('Loop', 'new_event_loop', 'run')

__version__ = '0.1.0'

_T = TypeVar('_T')


def new_event_loop() -> Loop:
    """
    A new loop, which nothing has been done with yet.

    The caller closes it. Like `asyncio.new_event_loop()`, it does not make it
    the thread's current loop. Any thread. OSError if the system has no
    descriptors left.
    """
    return Loop()


def run(main: abc.Coroutine[Any, Any, _T], *, debug: bool | None = None) -> _T:
    """
    Runs a coroutine on a new loop and returns its result.

    As `asyncio.run(main, debug=debug, loop_factory=rota.new_event_loop)` does
    it from Python 3.12 on: when the coroutine ends, all other tasks are
    cancelled and awaited, asynchronous generators and the default executor are
    shut down, and the loop is closed. Ctrl-C cancels the coroutine, and
    KeyboardInterrupt is raised here when it has ended.

    `debug` switches debug mode on or off; None leaves that to
    PYTHONASYNCIODEBUG and `python -X dev`. Any thread. RuntimeError in one whose
    loop is running, ValueError for what is no coroutine; what the coroutine
    raises is raised here.
    """
    if asyncio._get_running_loop() is not None:
        raise RuntimeError(
            'rota.run() cannot be called from a running event loop')
    with asyncio.Runner(debug=debug, loop_factory=new_event_loop) as runner:
        return runner.run(main)
