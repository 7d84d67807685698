# SPDX-License-Identifier: MIT
"""
What time it is for the loop
"""

import asyncio


async def main():
    loop = asyncio.get_running_loop()

    # Current loop time (monotonic)
    now = loop.time()
    print(f"Loop time: {now}")


asyncio.run(main())
