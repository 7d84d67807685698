# SPDX-License-Identifier: MIT
"""
Work that cannot yield, off the loop's thread: run_in_executor()
"""

import asyncio
import concurrent.futures
import time


def cpu_intensive_calculation(x):
    # Some blocking CPU-bound work
    time.sleep(2)
    return x * x


async def main():
    loop = asyncio.get_running_loop()
    # Run in a thread pool to avoid blocking the event loop
    result = await loop.run_in_executor(
        concurrent.futures.ThreadPoolExecutor(),
        cpu_intensive_calculation, 10
    )
    print(f"Result: {result}")


asyncio.run(main())
