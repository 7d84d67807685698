# SPDX-License-Identifier: MIT
"""
Scheduling a callback for a time of the loop's clock: call_at()
"""

import asyncio


def callback(message):
    print(f"Callback: {message}")


async def main():
    loop = asyncio.get_running_loop()

    # Call at loop time + 1 second
    when = loop.time() + 1.0
    loop.call_at(when, callback, "At specific time")

    await asyncio.sleep(2)


asyncio.run(main())
