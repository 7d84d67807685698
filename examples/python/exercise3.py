# SPDX-License-Identifier: MIT
"""
Exercise 3: what concurrency gains
"""

import asyncio
import time


async def io_task(task_id):
    await asyncio.sleep(0.2)
    return task_id


async def main():
    # Sequential
    start = time.perf_counter()
    for i in range(10):
        await io_task(i)
    seq_time = time.perf_counter() - start

    # Concurrent
    start = time.perf_counter()
    await asyncio.gather(*[io_task(i) for i in range(10)])
    con_time = time.perf_counter() - start

    print(f"Sequential: {seq_time:.2f}s")
    print(f"Concurrent: {con_time:.2f}s")
    print(f"Speedup: {seq_time / con_time:.1f}x")


asyncio.run(main())
