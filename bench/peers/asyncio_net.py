# SPDX-License-Identifier: MIT
"""
The peers asyncio and uvloop: their services

Both set TCP_NODELAY by themselves. See peer.h for what the services are.
"""

import asyncio
import ssl

CHUNK = 65536
HOST = "127.0.0.1"


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.write = transport.write

    def data_received(self, data):
        self.write(data)


class EchoDatagrams(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.sendto = transport.sendto

    def datagram_received(self, data, address):
        self.sendto(data, address)


async def echo(port, what):
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Echo, HOST, int(port), backlog=1024)
    await server.serve_forever()


async def unix(path, what):
    loop = asyncio.get_running_loop()
    server = await loop.create_unix_server(Echo, path, backlog=1024)
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
        Echo, HOST, int(port), backlog=1024, ssl=context
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

    server = await asyncio.start_server(client, HOST, int(port))
    await server.serve_forever()


async def relay(port, what):
    async def handle(reader, writer):
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()

    await serve(port, handle)


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
    "echo": echo,
    "relay": relay,
    "unix": unix,
    "udp": udp,
    "tls": tls,
    "write": write,
    "sendfile": sendfile,
}
