# SPDX-License-Identifier: MIT
"""
The event loop in a class: a service that starts, works and stops
"""

import asyncio


class AsyncService:
    def __init__(self):
        self._loop = None

    async def start(self):
        self._loop = asyncio.get_running_loop()
        # Initialize async resources
        self._rounds = 0
        self._working = self._loop.create_task(self._work())
        print("Service started")

    async def stop(self):
        # Cleanup async resources
        self._working.cancel()
        await asyncio.wait([self._working])
        print(f"Service stopped after {self._rounds} rounds")

    async def _work(self):
        while True:
            await asyncio.sleep(0.2)
            self._rounds += 1


async def main():
    service = AsyncService()
    await service.start()
    await asyncio.sleep(0.7)
    await service.stop()


asyncio.run(main())
