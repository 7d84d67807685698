# SPDX-License-Identifier: MIT
"""
Running forever, as servers do, until somebody calls loop.stop()

The listing does not say what handles a connection, nor who stops the loop:
here a second of sleep does the one, and a timer the other.
"""

import asyncio

handled = 0


async def handle_connection():
    global handled
    await asyncio.sleep(1)
    handled += 1
    print(f"Handled connection {handled}")


async def server():
    while True:
        await handle_connection()


def stop():
    print("Stopping")
    loop.stop()


loop = asyncio.new_event_loop()
serving = loop.create_task(server())
loop.call_later(3.5, stop)
loop.run_forever()  # Runs until loop.stop() is called

serving.cancel()
loop.run_until_complete(asyncio.wait([serving]))
print(f"The server was cancelled: {serving.cancelled()}")
loop.close()
