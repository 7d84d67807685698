# SPDX-License-Identifier: MIT
"""
Two slow requests at once, with httpx: `fetch_slow_httpx.py [SERVER]`

The course's listing; the server may be another, as in
`fetch_slow_httpx.py http://127.0.0.1:7000` beside a delay_server. Needs httpx
and nest_asyncio, which lets a notebook, whose loop runs already, do the same.
"""

import asyncio
import sys
import time

import httpx
import nest_asyncio

nest_asyncio.apply()

SERVER = sys.argv[1] if sys.argv[1:] else "https://httpbin.org"


# Fetching from a slow endpoint to observe event loop scheduling
async def fetch_slow(client, source, delay):
    print(f"Starting fetch from {source}")
    url = f"{SERVER}/delay/{delay}"
    response = await client.get(url)
    response.json()
    print(f"Done fetching from {source}")
    return f"Data from {source}"


async def main():
    start_time = time.time()

    async with httpx.AsyncClient() as client:
        # Running two slow requests concurrently
        results = await asyncio.gather(
            fetch_slow(client, "source_A", 2),
            fetch_slow(client, "source_B", 2),
        )

    elapsed_time = time.time() - start_time
    print(results)
    print(f"Total time: {elapsed_time:.2f}s")  # ~2s, not ~4s


asyncio.run(main())
