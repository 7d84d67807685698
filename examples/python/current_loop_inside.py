# SPDX-License-Identifier: MIT
"""
Getting the current loop, inside of a coroutine
"""

import asyncio


async def my_coroutine():
    loop = asyncio.get_running_loop()  # ✅ Use this inside async
    print(f"Running on loop: {loop}")


asyncio.run(my_coroutine())
