# SPDX-License-Identifier: MIT
"""
How a tick works: three overlapping fetches
"""

import asyncio


async def fetch(url, n):
    print(f"start {n}")
    await asyncio.sleep(1)
    print(f"done {n}")


async def main():
    await asyncio.gather(fetch("a", 1), fetch("b", 2), fetch("c", 3))


asyncio.run(main())
# start 1, start 2, start 3 (concurrent)
# done 1, done 2, done 3 (after 1 second total, not 3)
