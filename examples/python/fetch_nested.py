# SPDX-License-Identifier: MIT
"""
A loop that runs inside of itself: `fetch_nested.py [SERVER]`

nest_asyncio lets asyncio.run() be called where a loop runs. The function that
calls it here is an ordinary one, called from a task: while it waits for its
two pages, the ticker, a task of the outer run, goes on. Needs httpx and
nest_asyncio; the server is a delay_server, by default on its usual port.
"""

import asyncio
import sys

import httpx
import nest_asyncio

nest_asyncio.apply()

SERVER = sys.argv[1] if sys.argv[1:] else "http://127.0.0.1:7000"
ticks = 0


async def fetch(client, delay):
    response = await client.get(f"{SERVER}/delay/{delay}")
    return response.json()["delay"]


async def fetch_both():
    async with httpx.AsyncClient() as client:
        return await asyncio.gather(fetch(client, 1), fetch(client, 0.5))


def pages():
    """Knows nothing of the loop that it is called from."""
    return asyncio.run(fetch_both())


async def ticker():
    global ticks
    while True:
        await asyncio.sleep(0.1)
        ticks += 1


async def main():
    outer = asyncio.get_running_loop()
    ticking = asyncio.create_task(ticker())
    await asyncio.sleep(0)
    before = ticks
    print(f"Delays, by a nested run: {pages()}")
    print(f"The ticker went on meanwhile: {ticks - before >= 3}")
    print(f"The same loop as before: {asyncio.get_running_loop() is outer}")
    print(f"And one more nested run: {pages()}")
    ticking.cancel()
    await asyncio.gather(ticking, return_exceptions=True)
    print(f"The ticker was cancelled: {ticking.cancelled()}")


asyncio.run(main())
