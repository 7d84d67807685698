# SPDX-License-Identifier: MIT
# mypy: ignore-errors
"""Children: asyncio's subprocess transport, told of the end by the loop itself.

The loop waits for each child of its own by a pidfd (SIGCHLD where there are
none), on any thread and without asyncio's child watchers. Only an application
that has set a watcher of another kind than asyncio sets unasked (Python 3.11 to
3.13; deprecated) gets asyncio's way, with its watcher.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from asyncio import tasks, unix_events
from asyncio.log import logger

UNKNOWN_RETURNCODE = 255  # asyncio's

if sys.version_info >= (3, 14):

    def make_watcher():
        """What asyncio's loops have: threads where there are no pidfds."""
        if unix_events.can_use_pidfd():
            return unix_events._PidfdChildWatcher()
        return unix_events._ThreadedChildWatcher()

    def has_own_watcher(loop) -> bool:
        """Whether the loop is to wait for its children by asyncio's watcher."""
        return type(loop._watcher) is not unix_events._PidfdChildWatcher

else:
    _UNASKED: tuple[type, ...] = (
        type(None),
        unix_events.ThreadedChildWatcher,
        unix_events.PidfdChildWatcher,
    )

    def make_watcher():
        """The policy has it."""
        return None

    def has_own_watcher(loop) -> bool:
        """Whether the application has set a child watcher that asyncio would not set."""
        policy = asyncio.get_event_loop_policy()
        return type(getattr(policy, "_watcher", None)) not in _UNASKED


class _Watched:
    """A child and its transport, for the loop in C."""

    __slots__ = ("loop", "transport", "process", "starter")

    def __init__(self, loop, transport):
        self.loop = loop
        self.transport = transport
        self.process = transport._proc
        self.starter = os.getpid()

    def __call__(self, pid, returncode):
        """It has ended: tell the transport, as asyncio's watchers do."""
        if returncode is None:
            returncode = self.process.returncode  # which has looked itself
        if returncode is None:
            returncode = UNKNOWN_RETURNCODE
            logger.warning(
                "Unknown child process pid %d, will report returncode %d", pid, returncode
            )
        elif self.loop.get_debug():
            logger.debug("process %s exited with returncode %s", pid, returncode)
        if self.process.returncode is None:
            self.process.returncode = returncode  # the number may be another's now
        self.loop._child_watcher_callback(pid, returncode, self.transport)

    def left(self, pid):
        """The loop is closed before that."""
        if sys.version_info >= (3, 12) or sys.is_finalizing():
            return
        if os.getpid() == self.starter:
            _wait_in_thread(self, pid)


def _wait_in_thread(watched, pid):
    """Until Python 3.12 a child outlives its loop: a thread has its transport, and waits."""
    watcher = unix_events.ThreadedChildWatcher()
    thread = threading.Thread(
        target=watcher._do_waitpid,
        args=(watched.loop, pid, watched, ()),
        name=f"waitpid-{pid}",
        daemon=True,
    )
    watcher._threads[pid] = thread
    thread.start()


async def make_subprocess_transport(
    loop, protocol, args, shell, stdin, stdout, stderr, bufsize, extra=None, **kwargs
):
    """asyncio's _make_subprocess_transport, without a watcher."""
    waiter = loop.create_future()
    transport = unix_events._UnixSubprocessTransport(
        loop,
        protocol,
        args,
        shell,
        stdin,
        stdout,
        stderr,
        bufsize,
        waiter=waiter,
        extra=extra,
        **kwargs,
    )
    loop._watch_child(transport.get_pid(), _Watched(loop, transport))
    try:
        await waiter
    except (SystemExit, KeyboardInterrupt):
        raise
    except BaseException:
        transport.close()
        await tasks.shield(transport._wait())
        raise
    return transport
