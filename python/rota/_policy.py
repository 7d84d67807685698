# SPDX-License-Identifier: MIT
"""
An event loop policy: how asyncio was told which loop to make before it had
loop factories. Python deprecates policies in 3.14 and drops them in 3.16.
"""

import sys
import warnings

from rota._loop import Loop

if sys.version_info >= (3, 14):
    from asyncio.events import _set_event_loop_policy as set_policy
    from asyncio.unix_events import _DefaultEventLoopPolicy as DefaultPolicy
else:
    from asyncio import DefaultEventLoopPolicy as DefaultPolicy
    from asyncio import set_event_loop_policy as set_policy


class EventLoopPolicy(DefaultPolicy):
    """
    asyncio's default policy, with rota's loop.

        asyncio.set_event_loop_policy(rota.EventLoopPolicy())

    `new_event_loop()` makes a `Loop`; the rest is asyncio's, such as a current
    loop for each thread.
    """

    def new_event_loop(self) -> Loop:
        """A new loop, which does not become the thread's current one."""
        return Loop()


def install() -> None:
    """
    Makes rota's loop the one that asyncio makes from here on.

    The same as `asyncio.set_event_loop_policy(rota.EventLoopPolicy())`, for
    programs that leave the choice of the loop to asyncio; in all threads.
    Loops that are there already stay. Python has deprecated policies: from
    3.14 on this warns of it. `rota.run()` lasts.
    """
    if sys.version_info >= (3, 14):
        warnings.warn(
            'rota.install() sets an event loop policy, which Python deprecates:'
            ' use rota.run() or a loop factory', DeprecationWarning, 2)
    set_policy(EventLoopPolicy())
