# SPDX-License-Identifier: MIT
"""
The problem with calls that block: `blocking_call.py [SECONDS]`

A timer that is due at once must wait for the end of the call, 5 seconds by
default. run_in_executor.py is the solution.
"""

import asyncio
import sys
import time

SECONDS = float(sys.argv[1]) if sys.argv[1:] else 5


async def bad():
    time.sleep(SECONDS)  # ❌ Blocks entire event loop!
    return "done"


async def main():
    loop = asyncio.get_running_loop()
    due = loop.time()
    loop.call_at(due, lambda: print(f"Late: {loop.time() - due >= SECONDS}"))
    print(await bad())
    await asyncio.sleep(0.01)


asyncio.run(main())
