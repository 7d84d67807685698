# SPDX-License-Identifier: MIT
"""
Manual control: what a coroutine returns comes out of the loop

Python 3.14 refuses to make a loop here; see explicit_loop.py.
"""

import asyncio


async def main():
    return "result"


# Get or create event loop
loop = asyncio.get_event_loop()

# Run until coroutine completes
result = loop.run_until_complete(main())
print(result)

# Clean up
loop.close()
