# SPDX-License-Identifier: MIT
"""
The peers asyncio and uvloop, and rota's Python face: their services

The loops set TCP_NODELAY by themselves. See peer.h for what the services are;
those that only Python has all echo:

    buffered PORT       by a BufferedProtocol
    twice PORT          each request by two writes
    lines PORT          by streams, line after line
    sock PORT           by sock_accept, sock_recv and sock_sendall
"""

import asyncio
import socket
import ssl

CHUNK = 65536
BACKLOG = 1024
HOST = "127.0.0.1"


class Echo(asyncio.Protocol):
    __slots__ = ("write",)

    def connection_made(self, transport):
        self.write = transport.write

    def data_received(self, data):
        self.write(data)


class EchoTwice(Echo):
    __slots__ = ()

    def data_received(self, data):
        half = len(data) // 2
        self.write(data[:half])
        self.write(data[half:])


class EchoBuffered(asyncio.BufferedProtocol):
    """Its load waits for an answer, so the buffer is free when more comes."""

    def connection_made(self, transport):
        self.write = transport.write
        self.buffer = memoryview(bytearray(CHUNK))

    def get_buffer(self, hint):
        return self.buffer

    def buffer_updated(self, size):
        self.write(self.buffer[:size])


class EchoDatagrams(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.sendto = transport.sendto

    def datagram_received(self, data, address):
        self.sendto(data, address)


def server(protocol):
    async def serve(port, what):
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            protocol, HOST, int(port), backlog=BACKLOG
        )
        await server.serve_forever()

    return serve


async def unix(path, what):
    loop = asyncio.get_running_loop()
    server = await loop.create_unix_server(Echo, path, backlog=BACKLOG)
    await server.serve_forever()


async def udp(port, what):
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(EchoDatagrams, (HOST, int(port)))
    await loop.create_future()


async def tls(port, pem):
    loop = asyncio.get_running_loop()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    server = await loop.create_server(
        Echo, HOST, int(port), backlog=BACKLOG, ssl=context
    )
    await server.serve_forever()


async def serve(port, handle):
    """handle(reader, writer), as a task for each connection"""

    async def client(reader, writer):
        try:
            await handle(reader, writer)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(
        client, HOST, int(port), backlog=BACKLOG
    )
    await server.serve_forever()


async def relay(port, what):
    async def handle(reader, writer):
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()

    await serve(port, handle)


async def lines(port, what):
    async def handle(reader, writer):
        while line := await reader.readline():
            writer.write(line)
            await writer.drain()

    await serve(port, handle)


async def sock_echo(client):
    loop = asyncio.get_running_loop()
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with client:
        while data := await loop.sock_recv(client, CHUNK):
            await loop.sock_sendall(client, data)


async def sock(port, what):
    loop = asyncio.get_running_loop()
    tasks = set()  # the loop holds them weakly
    with socket.create_server((HOST, int(port)), backlog=BACKLOG) as listener:
        listener.setblocking(False)
        while True:
            client, _ = await loop.sock_accept(listener)
            task = asyncio.create_task(sock_echo(client))
            tasks.add(task)
            task.add_done_callback(tasks.discard)


async def write(port, wanted):
    async def handle(reader, writer):
        chunk = bytes(CHUNK)
        for sent in range(0, int(wanted), CHUNK):
            writer.write(chunk[: int(wanted) - sent])
            await writer.drain()

    await serve(port, handle)


async def sendfile(port, path):
    async def handle(reader, writer):
        loop = asyncio.get_running_loop()
        with open(path, "rb") as file:
            await loop.sendfile(writer.transport, file)

    await serve(port, handle)


SERVICES = {
    "echo": server(Echo),
    "buffered": server(EchoBuffered),
    "twice": server(EchoTwice),
    "relay": relay,
    "lines": lines,
    "sock": sock,
    "unix": unix,
    "udp": udp,
    "tls": tls,
    "write": write,
    "sendfile": sendfile,
}
