# SPDX-License-Identifier: MIT
"""Forks: parent and child do not disturb each other.

A forked child inherits its parent's loops, and with them the descriptors by
which they wait: what the child did to those would happen to the parent. So each
loop gets new ones in the child, at once. It may go on with them, as a daemon
does that forks before it runs, or close them, or just leave them alone.
"""

from __future__ import annotations

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


def _after_in_child() -> None:
    wakeup = _drop_wakeup_fd()
    for loop in list(loops):
        if loop.is_closed():
            continue
        loop._forked()
        if loop._csock is None:
            continue
        if wakeup == loop._csock.fileno():
            wakeup = -1
        loop._close_self_pipe()
        if loop.is_running():
            loop._take_wakeup_fd()
    if wakeup != -1:
        signal.set_wakeup_fd(wakeup)  # somebody else's


os.register_at_fork(after_in_child=_after_in_child)
