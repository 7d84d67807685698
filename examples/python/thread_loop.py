# SPDX-License-Identifier: MIT
"""
A loop for each thread
"""

import asyncio
import threading


def run_in_thread():
    # Create new loop for this thread
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)

    async def task():
        return "From thread"

    result = loop.run_until_complete(task())
    print(result)
    loop.close()
    return result


# Main thread has its own loop
thread = threading.Thread(target=run_in_thread)
thread.start()
thread.join()
