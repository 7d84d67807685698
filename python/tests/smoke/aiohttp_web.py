# SPDX-License-Identifier: MIT
"""
aiohttp, both ends: pages, streams up and down, a file, WebSockets, TLS, a
client that gives up and one that vanishes: `aiohttp_web.py CERTIFICATE KEY`
"""

import asyncio
import hashlib
import ssl
import sys
import tempfile

import aiohttp
from aiohttp import web

CERTIFICATE, KEY = sys.argv[1:]
PIECE = bytes(range(256)) * 256
FILE = tempfile.NamedTemporaryFile()
FILE.write(PIECE * 100)
FILE.flush()


async def greet(request):
    await asyncio.sleep(float(request.query.get('delay', 0)))
    return web.json_response({'hello': request.match_info['name']})


async def checksum(request):
    digest = hashlib.sha256()
    async for piece in request.content.iter_any():
        digest.update(piece)
    return web.Response(text=digest.hexdigest())


async def stream(request):
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(40):
        await response.write(PIECE)
    await response.write_eof()
    return response


async def shout(request):
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        if message.type == aiohttp.WSMsgType.TEXT:
            await socket.send_str(message.data.upper())
        elif message.type == aiohttp.WSMsgType.BINARY:
            await socket.send_bytes(message.data[::-1])
    return socket


async def whole_file(request):
    return web.FileResponse(FILE.name)


def application():
    app = web.Application(client_max_size=1 << 30)
    app.add_routes([
        web.get('/hello/{name}', greet), web.post('/checksum', checksum),
        web.get('/stream', stream), web.get('/shout', shout),
        web.get('/file', whole_file)])
    return app


async def pieces():
    for _ in range(40):
        yield PIECE


async def ask(session):
    async def hello(name):
        async with session.get(f'/hello/{name}') as response:
            return (await response.json())['hello']

    names = [f'guest {n}' for n in range(30)]
    print('30 at once:', await asyncio.gather(*map(hello, names)) == names)
    async with session.get('/nowhere') as response:
        print('status of what is not there:', response.status)
    async with session.get('/file') as response:
        print('a file:', await response.read() == PIECE * 100)


async def exchange_streams(session):
    async with session.post('/checksum', data=pieces()) as response:
        right = hashlib.sha256(PIECE * 40).hexdigest()
        print('streamed up:', await response.text() == right)
    async with session.get('/stream') as response:
        whole = b''.join([part async for part in response.content.iter_any()])
        print('streamed down:', whole == PIECE * 40)
    async with session.get('/stream') as response:
        print('left early:', len(await response.content.readexactly(1000)))


async def exchange_messages(session):
    async with session.ws_connect('/shout') as socket:
        await socket.send_str('quiet')
        print('shouted:', (await socket.receive()).data)
        await socket.send_bytes(PIECE)
        print('reversed:', (await socket.receive()).data == PIECE[::-1])
    print('closed with', socket.close_code)


async def give_up(session):
    patience = aiohttp.ClientTimeout(total=0.1)
    try:
        await session.get('/hello/late?delay=5', timeout=patience)
    except asyncio.TimeoutError:
        print('gave up')


async def talk(base, connector=None):
    async with aiohttp.ClientSession(base, connector=connector) as session:
        await ask(session)
        await exchange_streams(session)
        await exchange_messages(session)
        await give_up(session)


async def main():
    print('loop:', type(asyncio.get_running_loop()))
    runner = web.AppRunner(application())
    await runner.setup()
    secret = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    secret.load_cert_chain(CERTIFICATE, KEY)
    trusting = ssl.create_default_context(cafile=CERTIFICATE)
    for context in None, secret:
        await web.TCPSite(
            runner, '127.0.0.1', 0, ssl_context=context).start()
    clear, encrypted = [address[1] for address in runner.addresses]
    print('--- TCP')
    await talk(f'http://127.0.0.1:{clear}')
    print('--- TLS')
    await talk(f'https://localhost:{encrypted}',
               aiohttp.TCPConnector(ssl=trusting))
    await runner.cleanup()
    try:
        await asyncio.open_connection('127.0.0.1', clear)
    except ConnectionRefusedError:
        print('the server has gone')


asyncio.run(main())
