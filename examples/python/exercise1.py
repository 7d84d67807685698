# SPDX-License-Identifier: MIT
"""
Exercise 1: the order of timers
"""

import asyncio


async def main():
    loop = asyncio.get_running_loop()
    results = []

    loop.call_later(0.1, lambda: results.append("0.1s"))
    loop.call_later(0.2, lambda: results.append("0.2s"))
    loop.call_later(0.3, lambda: results.append("0.3s"))

    await asyncio.sleep(0.5)
    print(f"Callback order: {results}")


asyncio.run(main())
