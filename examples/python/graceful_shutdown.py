# SPDX-License-Identifier: MIT
"""
SIGTERM or Ctrl-C cancels all tasks, waits for them, and stops the loop

The listing's handlers, with two workers to be shut down. After half a second
the program sends itself the signal.
"""

import asyncio
import os
import signal


async def work():
    try:
        while True:
            await asyncio.sleep(1)
    finally:
        print("A worker cleans up")
        await asyncio.sleep(0.2)
        print("A worker is done")


async def main():
    loop = asyncio.get_running_loop()

    # Handle shutdown signals
    for sig in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(
            sig, lambda: asyncio.create_task(shutdown()))

    loop.call_later(0.5, os.kill, os.getpid(), signal.SIGTERM)
    await asyncio.gather(work(), work())


async def shutdown():
    print("Shutting down...")
    tasks = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
    [task.cancel() for task in tasks]
    await asyncio.gather(*tasks, return_exceptions=True)
    asyncio.get_event_loop().stop()


loop = asyncio.new_event_loop()
main_task = loop.create_task(main())
loop.run_forever()
loop.close()
print(f"The main task was cancelled: {main_task.cancelled()}")
