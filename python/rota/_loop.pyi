# SPDX-License-Identifier: MIT
import asyncio

class Loop(asyncio.SelectorEventLoop):
    """A complete asyncio event loop: asyncio.AbstractEventLoop has its manual.

    It belongs to the thread that runs it; from others only call_soon_threadsafe()
    and what stands on it is allowed. Whoever makes a loop closes it. OSError if
    the system has no descriptors left.
    """

    def __init__(self, selector: object = None) -> None: ...
