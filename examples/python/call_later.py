# SPDX-License-Identifier: MIT
"""
Scheduling a callback for later: call_later()
"""

import asyncio


def callback(message):
    print(f"Callback: {message}")


async def main():
    loop = asyncio.get_running_loop()

    # Call after 1 second
    loop.call_later(1.0, callback, "Delayed")

    print("Waiting...")
    await asyncio.sleep(2)


asyncio.run(main())
