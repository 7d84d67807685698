# SPDX-License-Identifier: MIT
"""
Debug mode reports the common mistakes

A callback and a task that block for longer than 0.1 s, a coroutine that
nobody awaits. `PYTHONASYNCIODEBUG=1 python3 SCRIPT` does it for any program.
"""

import asyncio
import time


async def forgotten():
    print("never printed")


async def blocks():
    time.sleep(0.2)


async def main():
    loop = asyncio.get_running_loop()
    print(f"Debug mode: {loop.get_debug()}")
    print(f"Slow is: {loop.slow_callback_duration}s")
    loop.call_soon(time.sleep, 0.2)
    await asyncio.create_task(blocks(), name="blocker")
    forgotten()
    print("done")


# Enable debug mode
asyncio.run(main(), debug=True)

# Or via environment variable
# PYTHONASYNCIODEBUG=1 python script.py
