# SPDX-License-Identifier: MIT
import asyncio

class Loop(asyncio.SelectorEventLoop):
    """A complete asyncio event loop: see asyncio.AbstractEventLoop."""

    def __init__(self, selector: object = None) -> None: ...
