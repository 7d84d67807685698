# SPDX-License-Identifier: MIT
"""
A run inside of a run is refused; the right way is to await

Python also warns that the refused coroutine was never awaited. What is
refused here, fetch_nested.py does with nest_asyncio's help.
"""

import asyncio


async def inner():
    print("inner ran")


async def outer_wrong():
    asyncio.run(inner())  # ❌ RuntimeError: cannot run nested


# Use create_task or gather instead
async def outer():
    await inner()  # ✅ Just await it


try:
    asyncio.run(outer_wrong())
except RuntimeError as error:
    print(f"RuntimeError: {error}")
asyncio.run(outer())
