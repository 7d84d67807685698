# SPDX-License-Identifier: MIT
"""
The recommended way to run: asyncio.run()

It makes a loop, runs the coroutine, cleans up and closes the loop.
"""

import asyncio


async def main():
    print("Hello")
    await asyncio.sleep(1)
    print("World")


# Best practice: Use asyncio.run()
asyncio.run(main())
