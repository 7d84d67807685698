# SPDX-License-Identifier: MIT
"""
Executors of one's own: a pool of threads, a pool of processes

The listing has no cpu_heavy_task() and prints nothing; here the task adds up
the squares below a million, and each result is printed.
"""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor, ProcessPoolExecutor


def blocking_io():
    time.sleep(1)
    return "Blocking operation complete"


def cpu_heavy_task():
    return sum(n * n for n in range(1_000_000))


async def main():
    loop = asyncio.get_running_loop()

    # Thread pool for I/O-bound blocking code
    with ThreadPoolExecutor(max_workers=4) as pool:
        result = await loop.run_in_executor(pool, blocking_io)
        print(result)

    # Process pool for CPU-bound code
    with ProcessPoolExecutor() as pool:
        result = await loop.run_in_executor(pool, cpu_heavy_task)
        print(result)


if __name__ == "__main__":
    asyncio.run(main())
