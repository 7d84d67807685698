# SPDX-License-Identifier: MIT
"""
Getting the current loop, outside of coroutines

Python 3.14 refuses to make a loop here; see explicit_loop.py.
"""

import asyncio


def setup():
    loop = asyncio.get_event_loop()  # Gets or creates loop
    # Schedule work...
    loop.call_soon(print, "The work that was scheduled outside")
    loop.call_soon(loop.stop)
    return loop


loop = setup()
print(f"Not running yet: {loop}")
loop.run_forever()
loop.close()
print(f"And closed: {loop}")
