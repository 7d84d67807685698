# SPDX-License-Identifier: MIT
"""
One thread, many tasks: what blocks it, and what does not

Two calls of time.sleep() take turns at freezing the whole loop; two of
asyncio.sleep() wait together. Needs nest_asyncio, as the listing does.
"""

import asyncio
import time

import nest_asyncio

nest_asyncio.apply()


async def bad_example():
    print("Starting bad...")
    time.sleep(1)  # Blocking — freezing the entire event loop
    print("Done bad")


async def good_example():
    print("Starting good...")
    await asyncio.sleep(1)  # Non-blocking — keeping the loop running
    print("Done good")


async def main():
    print("=== bad_example (blocks the loop) ===")
    start_time = time.time()
    await asyncio.gather(bad_example(), bad_example())
    print(f"Total time: {time.time() - start_time:.2f}s\n")  # ~2s

    print("=== good_example (non-blocking) ===")
    start_time = time.time()
    await asyncio.gather(good_example(), good_example())
    print(f"Total time: {time.time() - start_time:.2f}s")  # ~1s


asyncio.run(main())
