# SPDX-License-Identifier: MIT
"""
Exercise 2: a countdown beside a call that blocks
"""

import asyncio
import time


def blocking_work():
    time.sleep(1)
    return "blocking result"


async def countdown():
    for i in range(5, 0, -1):
        print(f"  Countdown: {i}")
        await asyncio.sleep(0.2)


async def main():
    loop = asyncio.get_running_loop()

    executor_task = loop.run_in_executor(None, blocking_work)
    countdown_task = asyncio.create_task(countdown())

    result = await executor_task
    await countdown_task

    print(f"Executor returned: {result}")


asyncio.run(main())
