# SPDX-License-Identifier: MIT
"""
An application for uvicorn, `-m uvicorn asgi_application:application`: tells
its loop, repeats a body, streams, and says when it starts and ends
"""

import asyncio


async def lifespan(receive, send):
    while True:
        message = await receive()
        print(message['type'], flush=True)
        await send({'type': message['type'] + '.complete'})
        if message['type'] == 'lifespan.shutdown':
            return


async def body_of(receive):
    body = b''
    while True:
        message = await receive()
        body += message.get('body', b'')
        if not message.get('more_body'):
            return body


async def pieces(scope, receive):
    if scope['path'] == '/loop':
        yield str(type(asyncio.get_running_loop())).encode()
    elif scope['path'] == '/stream':
        for _ in range(30):
            yield b'x' * 100_000
            await asyncio.sleep(0)
    else:
        yield await body_of(receive)


async def application(scope, receive, send):
    if scope['type'] == 'lifespan':
        return await lifespan(receive, send)
    await send({'type': 'http.response.start', 'status': 200,
                'headers': [(b'content-type', b'text/plain')]})
    async for piece in pieces(scope, receive):
        await send({'type': 'http.response.body', 'body': piece,
                    'more_body': True})
    await send({'type': 'http.response.body'})
