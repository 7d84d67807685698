# SPDX-License-Identifier: MIT
"""Forks: parent and child do not disturb each other.

A forked child inherits its parent's loops, and with them the descriptors by
which they wait: what the child did to those would happen to the parent. So each
loop gets new ones in the child, at once. It may go on with them, as a daemon
does that forks before it runs, or close them, or just leave them alone.
"""

from __future__ import annotations

import collections.abc as abc
import os
import signal
import weakref
from typing import Any

loops: weakref.WeakSet[Any] = weakref.WeakSet()


def _drop_wakeup_fd() -> int:
    try:
        return signal.set_wakeup_fd(-1)
    except ValueError:  # in a sub-interpreter: the main one has the signals
        return -1


def _each(step: abc.Callable[[Any], object]) -> None:
    """With all that are open, also when one of them fails."""
    failed = None
    for loop in list(loops):
        try:
            if not loop.is_closed():
                step(loop)
        except BaseException as exc:
            failed = failed or exc
    if failed is not None:
        raise failed


def _before() -> None:
    _each(lambda loop: loop._flush())  # else both would send it


def _separate(loop: Any) -> None:
    loop._forked()
    if loop._csock is not None:
        loop._close_self_pipe()
    if loop.is_running():
        loop._take_wakeup_fd()


def _after_in_child() -> None:
    wakeup = _drop_wakeup_fd()
    if wakeup in [loop._csock.fileno() for loop in list(loops) if loop._csock is not None]:
        wakeup = -1
    try:
        _each(_separate)
    finally:
        if wakeup != -1:
            signal.set_wakeup_fd(wakeup)  # somebody else's


os.register_at_fork(before=_before, after_in_child=_after_in_child)
