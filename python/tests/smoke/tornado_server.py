# SPDX-License-Identifier: MIT
"""
Tornado, both ends: pages, a streamed answer, WebSockets, its own timers and
threads, and a run that Tornado begins itself
"""

import asyncio
import time

from tornado import gen, httpserver, ioloop, netutil, web, websocket
from tornado.httpclient import AsyncHTTPClient, HTTPError


class Hello(web.RequestHandler):
    async def get(self, name):
        await gen.sleep(0.01)
        self.write({'hello': name})

    def post(self, name):
        self.write(str(len(self.request.body)))


class Stream(web.RequestHandler):
    async def get(self):
        for _ in range(30):
            self.write(b'x' * 100_000)
            await self.flush()


class Blocking(web.RequestHandler):
    async def get(self):
        loop = ioloop.IOLoop.current()
        self.write(await loop.run_in_executor(None, self.work))

    def work(self):
        time.sleep(0.05)
        return 'worked on a thread'


class Shout(websocket.WebSocketHandler):
    async def on_message(self, message):
        await self.write_message(message.upper())


def serve():
    server = httpserver.HTTPServer(web.Application([
        (r'/hello/(\w+)', Hello), (r'/stream', Stream),
        (r'/blocking', Blocking), (r'/shout', Shout)],
        log_function=lambda handler: None))
    sockets = netutil.bind_sockets(0, '127.0.0.1')
    server.add_sockets(sockets)
    return server, sockets[0].getsockname()[1]


async def ask(base):
    client = AsyncHTTPClient(max_clients=30, force_instance=True)
    answers = await gen.multi([
        client.fetch(f'{base}/hello/guest{n}') for n in range(30)])
    print('30 at once:', answers[29].body)
    answer = await client.fetch(
        f'{base}/hello/you', method='POST', body=b'y' * 3_000_000)
    print('posted:', answer.body)
    sizes = []
    await client.fetch(f'{base}/stream', streaming_callback=lambda piece:
                       sizes.append(len(piece)))
    print('streamed:', sum(sizes))
    print((await client.fetch(f'{base}/blocking')).body)
    try:
        await client.fetch(f'{base}/nowhere')
    except HTTPError as error:
        print(error)
    client.close()


async def shout(base):
    socket = await websocket.websocket_connect(f'ws{base[4:]}/shout')
    for message in 'quiet', 'x' * 500_000:
        await socket.write_message(message)
        print('shouted:', await socket.read_message() == message.upper())
    socket.close()
    print('closed:', await socket.read_message())


async def timers():
    loop = ioloop.IOLoop.current()
    calls = []
    done = asyncio.Semaphore(0)
    ticking = ioloop.PeriodicCallback(done.release, 20)
    ticking.start()
    loop.call_later(0.05, calls.append, 'later')
    loop.add_callback(calls.append, 'soon')
    await asyncio.to_thread(
        loop.add_callback_from_signal, calls.append, 'from a thread')
    for _ in range(3):
        await done.acquire()
    ticking.stop()
    await gen.sleep(0.05)
    print('ticked, and called:', sorted(calls))


async def main():
    loop = asyncio.get_running_loop()
    print('loop:', type(loop))
    print('its own:', ioloop.IOLoop.current().asyncio_loop is loop)
    server, port = serve()
    await ask(f'http://127.0.0.1:{port}')
    await shout(f'http://127.0.0.1:{port}')
    await timers()
    server.stop()
    await server.close_all_connections()


asyncio.run(main())
ioloop.IOLoop(make_current=False).run_sync(main)
