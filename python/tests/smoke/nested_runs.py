# SPDX-License-Identifier: MIT
"""
nest_asyncio: runs inside of runs, ten deep, from tasks and from callbacks,
with connections, threads, cancellation and errors inside
"""

import asyncio
import sys

import nest_asyncio

nest_asyncio.apply()


async def echo(reader, writer):
    while line := await reader.readline():
        writer.write(line.upper())
        await writer.drain()
    writer.close()


async def converse(port):
    reader, writer = await asyncio.open_connection('127.0.0.1', port)
    writer.write(b'hello\n')
    answer = await reader.readline()
    writer.close()
    await writer.wait_closed()
    return answer


async def descend(depth):
    await asyncio.sleep(0.001)
    if depth == 0:
        return 'the bottom'
    return asyncio.run(descend(depth - 1))


async def fail():
    await asyncio.sleep(0)
    raise KeyError('inside')


async def ticker(ticks):
    while True:
        await asyncio.sleep(0.01)
        ticks.append(1)


async def from_callback(loop):
    """A callback of the loop that runs the loop."""
    told = loop.create_future()
    loop.call_soon(lambda: told.set_result(
        loop.run_until_complete(asyncio.sleep(0.01, 'from a callback'))))
    return await told


def timeouts(loop):
    async def slow():
        await asyncio.wait_for(asyncio.sleep(10), 0.02)

    try:
        loop.run_until_complete(slow())
    except asyncio.TimeoutError:
        print('a timeout inside')


async def main():
    loop = asyncio.get_running_loop()
    print('loop:', type(loop))
    ticks = []
    ticking = loop.create_task(ticker(ticks))
    print(await descend(10))
    server = await asyncio.start_server(echo, '127.0.0.1', 0)
    port = server.sockets[0].getsockname()[1]
    for _ in range(3):
        print(asyncio.run(converse(port)))
    print(loop.run_until_complete(asyncio.gather(
        *[converse(port) for _ in range(10)])) == [b'HELLO\n'] * 10)
    print(await from_callback(loop))
    print(asyncio.run(asyncio.to_thread(lambda: 'from a thread')))
    try:
        asyncio.run(fail())
    except KeyError as error:
        print('KeyError', error)
    if sys.version_info < (3, 14):  # no current task, with nest_asyncio 1.6
        timeouts(loop)
    asyncio.run(asyncio.sleep(0.1))
    print('the outer task went on:', len(ticks) > 5)
    ticking.cancel()
    asyncio.run(asyncio.wait([ticking]))
    server.close()
    await server.wait_closed()
    if sys.version_info < (3, 14):
        print('current task:', asyncio.current_task().get_coro().__name__)


asyncio.run(main())
print('and once more:', asyncio.run(descend(2)))
