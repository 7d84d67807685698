# SPDX-License-Identifier: MIT
"""
A sleep that blocks the loop and one that does not: `blocking_sleep.py [N]`

Each kind sleeps N seconds, 5 by default; a heartbeat beside it tells whether
the loop went on.
"""

import asyncio
import sys
import time

SECONDS = float(sys.argv[1]) if sys.argv[1:] else 5
heartbeats = 0


async def bad_task():
    print("Starting blocking sleep")
    time.sleep(SECONDS)  # This blocks the entire event loop for 5 seconds!
    print("This message appears after everything is frozen")


async def good_task():
    print("Starting non-blocking sleep")
    await asyncio.sleep(SECONDS)  # This yields control back to the event loop.
    print("This message appears after 5 seconds, concurrency intact")


async def heartbeat():
    global heartbeats
    while True:
        await asyncio.sleep(SECONDS / 20)
        heartbeats += 1


async def main():
    beating = asyncio.create_task(heartbeat())
    await asyncio.sleep(0)
    await bad_task()
    print(f"The loop went on meanwhile: {heartbeats > 0}")
    await good_task()
    print(f"The loop went on meanwhile: {heartbeats > 0}")
    beating.cancel()


asyncio.run(main())
