# SPDX-License-Identifier: MIT
"""
Running a call that blocks on a thread of the default executor
"""

import asyncio
import time


def blocking_io():
    """Blocking function (e.g., file I/O, legacy code)"""
    time.sleep(1)
    return "Blocking operation complete"


async def main():
    loop = asyncio.get_running_loop()

    # Run in default thread pool executor
    result = await loop.run_in_executor(None, blocking_io)
    print(result)


asyncio.run(main())
