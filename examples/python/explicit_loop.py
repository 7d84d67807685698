# SPDX-License-Identifier: MIT
"""
The loop got and managed by hand

Python 3.12 and later warn that there is no current loop, and 3.14 refuses to
make one: asyncio.new_event_loop() is what to call there.
"""

import asyncio


async def main():
    print("Hello")
    await asyncio.sleep(1)
    print("World")


# Explicit loop management (generally not recommended for simple cases)
loop = asyncio.get_event_loop()
try:
    loop.run_until_complete(main())
finally:
    loop.close()
