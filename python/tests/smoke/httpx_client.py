# SPDX-License-Identifier: MIT
"""
httpx as a client of the standard library's server, which has its threads:
many at once, keep-alive, streams, timeouts, what is refused
"""

import asyncio
import http.server
import json
import threading
import time

import httpx


class Answers(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def do_GET(self):
        if self.path.startswith('/delay/'):
            time.sleep(float(self.path.split('/')[2]))
        body = json.dumps({'path': self.path}).encode()
        if self.path == '/big':
            body = b'x' * 3_000_000
        self.send_response(404 if self.path == '/nowhere' else 200)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        size = int(self.headers['Content-Length'])
        body = b'%d' % sum(self.rfile.read(size))
        self.send_response(200)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

    def handle(self):
        try:
            super().handle()
        except ConnectionError:  # of a client that has left
            pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 100


async def ask(client):
    paths = [f'/page/{n}' for n in range(30)]
    answers = await asyncio.gather(*map(client.get, paths))
    print('30 at once:', [a.json()['path'] for a in answers] == paths)
    print('not there:', (await client.get('/nowhere')).status_code)
    data = bytes(range(256)) * 4000
    answer = await client.post('/sum', content=data)
    print('posted:', int(answer.text) == sum(data))
    async with client.stream('GET', '/big') as response:
        sizes = [len(piece) async for piece in response.aiter_bytes()]
    print('streamed:', sum(sizes))


async def overlap(client):
    start = time.monotonic()
    await asyncio.gather(*[client.get('/delay/0.5') for _ in range(4)])
    print('four waited together:', 0.5 <= time.monotonic() - start < 1.5)
    try:
        await client.get('/delay/1', timeout=0.1)
    except httpx.ReadTimeout:
        print('gave up')


async def main(server):
    print('loop:', type(asyncio.get_running_loop()))
    host, port = server.server_address
    async with httpx.AsyncClient(base_url=f'http://{host}:{port}') as client:
        await ask(client)
        await overlap(client)
        server.shutdown()
        server.server_close()
    async with httpx.AsyncClient() as client:
        try:
            await client.get(f'http://{host}:{port}/page')
        except httpx.ConnectError:
            print('refused')


server = Server(('127.0.0.1', 0), Answers)
threading.Thread(target=server.serve_forever, args=(0.05,)).start()
asyncio.run(main(server))
