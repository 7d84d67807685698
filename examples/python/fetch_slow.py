# SPDX-License-Identifier: MIT
"""
Slow pages fetched at once, by nothing but Python: `fetch_slow.py [URL...]`

The twin of fetch_slow.c. Each URL is a source: source_A, source_B... By
default a delay_server on its usual port is asked for two pages of two
seconds: both take two, not four. fetch_slow_httpx.py is the listing itself.
"""

import asyncio
import json
import sys
import time
from urllib.parse import urlsplit

PAGES = ["http://127.0.0.1:7000/delay/2"] * 2


async def get(url):
    """The body of a page, by the least of HTTP/1.1 that does."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(
        parts.hostname, parts.port or 80)
    query = f"?{parts.query}" if parts.query else ""
    writer.write(
        f"GET {parts.path or '/'}{query} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
        "Accept: */*\r\nConnection: close\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    body = await reader.read()
    writer.close()
    await writer.wait_closed()
    status = head.split(None, 2)[1].decode()
    if status != "200":
        raise SystemExit(f"fetch_slow: {url}: status {status}")
    return body


async def fetch_slow(source, url):
    print(f"Starting fetch from {source}")
    json.loads(await get(url))
    print(f"Done fetching from {source}")
    return f"Data from {source}"


async def main(urls):
    start_time = time.time()
    results = await asyncio.gather(
        *(fetch_slow(f"source_{name}", url)
          for name, url in zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ", urls)))
    elapsed_time = time.time() - start_time
    print(results)
    print(f"Total time: {elapsed_time:.2f}s")  # ~2s, not ~4s


asyncio.run(main(sys.argv[1:] or PAGES))
