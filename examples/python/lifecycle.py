# SPDX-License-Identifier: MIT
"""
The life of a loop, and two tasks in it: the shorter sleep ends first
"""

import asyncio


async def task(name, delay):
    print(f"{name}: starting")
    await asyncio.sleep(delay)
    print(f"{name}: done")
    return name


async def main():
    # Event loop is running here
    print("Main: creating tasks")

    t1 = asyncio.create_task(task("A", 2))
    t2 = asyncio.create_task(task("B", 1))

    print("Main: waiting for tasks")
    await t1
    await t2
    print("Main: all done")


# Event loop: created → running → closed
asyncio.run(main())
