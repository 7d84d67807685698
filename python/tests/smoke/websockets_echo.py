# SPDX-License-Identifier: MIT
"""
websockets, both ends: echoes, compression, pings, broadcasts, how it ends
"""

import asyncio
import logging
import os

import websockets

members = set()


async def handler(socket):
    members.add(socket)
    try:
        async for message in socket:
            if message == 'leave':
                await socket.close(4000, 'as you wish')
            elif message == 'fail':
                raise SystemError
            elif message == 'tell all':
                websockets.broadcast(members, 'all of you')
            else:
                await socket.send(message)
    finally:
        members.discard(socket)


async def echo(uri):
    async with websockets.connect(uri, max_size=None) as socket:
        for message in 'hello', b'', 'x' * 1_000_000, os.urandom(300_000):
            await socket.send(message)
            print('echoed:', await socket.recv() == message)
        await asyncio.wait_for(await socket.ping(), 5)
        print('answered a ping')
    print('closed with', socket.close_code)


async def crowd(uri):
    async def member():
        async with websockets.connect(uri) as socket:
            ready.release()
            await told.wait()
            return await socket.recv()

    told = asyncio.Event()
    ready = asyncio.Semaphore(0)
    tasks = [asyncio.create_task(member()) for _ in range(20)]
    for _ in tasks:
        await ready.acquire()
    async with websockets.connect(uri) as speaker:
        await speaker.send('tell all')
        told.set()
        print('the crowd heard:', set(await asyncio.gather(*tasks)))


async def ends(uri):
    for word in 'leave', 'fail':
        async with websockets.connect(uri) as socket:
            await socket.send(word)
            try:
                await socket.recv()
            except websockets.ConnectionClosed as closed:
                print(f'{word}: {closed.rcvd.code} {closed.rcvd.reason}')
    try:
        await websockets.connect(uri.replace('ws:', 'wss:'))
    except OSError as error:
        print('no TLS here:', type(error).__name__)


async def main():
    print('loop:', type(asyncio.get_running_loop()))
    async with websockets.serve(
            handler, '127.0.0.1', 0, max_size=None, logger=silent()) as server:
        port = server.sockets[0].getsockname()[1]
        uri = f'ws://127.0.0.1:{port}'
        await echo(uri)
        await crowd(uri)
        await ends(uri)
    try:
        await websockets.connect(uri)
    except ConnectionRefusedError:
        print('the server has gone')


def silent():
    """The handler's failure is meant: websockets would log it."""
    logger = logging.Logger('silent')
    logger.addHandler(logging.NullHandler())
    return logger


asyncio.run(main())
