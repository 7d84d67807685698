# SPDX-License-Identifier: MIT
"""
Scheduling a callback for the loop's next turn: call_soon()
"""

import asyncio


def callback(message):
    print(f"Callback: {message}")


async def main():
    loop = asyncio.get_running_loop()

    loop.call_soon(callback, "Hello")
    print("Scheduled callback")

    await asyncio.sleep(0)  # Let loop process callbacks
    print("After sleep")


asyncio.run(main())
