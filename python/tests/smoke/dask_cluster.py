# SPDX-License-Identifier: MIT
"""
Dask: a scheduler, workers and a client on the running loop; then the same on
a thread, whose executor takes the calls of run_in_executor()
"""

import asyncio
import logging

import dask
from dask.distributed import Client, LocalCluster, as_completed

CLUSTER = {'n_workers': 2, 'threads_per_worker': 1, 'processes': False,
           'dashboard_address': '127.0.0.1:0'}

logging.getLogger('distributed.worker').setLevel(logging.ERROR)


def square(n):
    return n * n


def divide(n):
    return 1 // n


async def on_this_loop():
    async with LocalCluster(asynchronous=True, **CLUSTER) as cluster:
        async with Client(cluster, asynchronous=True) as client:
            print('the loop is ours:',
                  client.loop.asyncio_loop is asyncio.get_running_loop())
            squares = client.map(square, range(100))
            print('sum:', await client.submit(sum, squares))
            print('gathered:', sum(await client.gather(squares)))
            print('error:', repr(await client.submit(divide, 0).exception()))
            whole = dask.delayed(sum)([dask.delayed(square)(n) for n in (2, 3)])
            print('delayed:', await client.compute(whole))
            seen = []
            async for _, result in as_completed(
                    squares[:5], with_results=True):
                seen.append(result)
            print('as completed:', sorted(seen))


def loop_class():
    return str(type(asyncio.get_running_loop()))


async def class_on_scheduler(dask_scheduler):
    return loop_class()


async def by_executor():
    loop = asyncio.get_running_loop()
    cluster = await asyncio.to_thread(LocalCluster, **CLUSTER)
    client = await asyncio.to_thread(Client, cluster)
    try:
        of_thread = await asyncio.to_thread(
            client.run_on_scheduler, class_on_scheduler)
        print('its loop is as ours:', of_thread == loop_class())
        pool = client.get_executor()
        print('one:', await loop.run_in_executor(pool, square, 12))
        calls = [loop.run_in_executor(pool, square, n) for n in range(50)]
        print('fifty:', sum(await asyncio.gather(*calls)))
        try:
            await loop.run_in_executor(pool, divide, 0)
        except ZeroDivisionError as error:
            print('error:', error)
    finally:
        await asyncio.to_thread(client.close)
        await asyncio.to_thread(cluster.close)


async def main():
    print('loop:', type(asyncio.get_running_loop()))
    await on_this_loop()
    await by_executor()


if __name__ == '__main__':
    asyncio.run(main())
