# SPDX-License-Identifier: MIT
"""
What ends a run: Ctrl-C and SystemExit, wherever in the loop they come. None is
swallowed, and the loop can be run again.
"""

import asyncio
import functools
import gc
import hashlib
import logging
import os
import signal
import socket
import subprocess
import time

import pytest
from two_loops import turns


@pytest.fixture
def interrupted(noise):
    """What is logged with these words is interrupted."""
    class Interrupts(logging.Handler):
        def emit(self, record):
            if wanted and wanted[0] in record.getMessage():
                del wanted[:]
                raise KeyboardInterrupt('in the log')

    wanted = []
    handler = Interrupts()
    logging.getLogger('asyncio').addHandler(handler)
    yield wanted
    logging.getLogger('asyncio').removeHandler(handler)
    noise.logged()


def test_in_the_report_of_a_slow_callback(new_loop, interrupted):
    loop = new_loop(debug=True)
    loop.slow_callback_duration = 0.01
    seen = []
    interrupted.append('Executing')
    loop.call_soon(time.sleep, 0.02)
    loop.call_soon(seen.append, 'rest')
    with pytest.raises(KeyboardInterrupt, match='in the log'):
        loop.run_forever()
    assert seen == []
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert seen == ['rest']


def test_in_a_slow_callback_of_c(new_loop, noise):
    """It is raised where Python's code goes on: in the report."""
    loop = new_loop(debug=True)
    loop.slow_callback_duration = 0.001
    slow = functools.partial(hashlib.pbkdf2_hmac, 'sha256', b'x', b'y', 100000)

    def again():
        loop.call_soon(slow)
        loop.call_soon(again)

    child = subprocess.Popen(
        ['sh', '-c', f'read line; sleep 0.02; kill -INT {os.getpid()}'],
        stdin=subprocess.PIPE)
    loop.call_soon(child.stdin.close)
    again()
    with pytest.raises(KeyboardInterrupt):
        loop.run_forever()
    child.wait()
    noise.logged()


def test_the_first_end_of_a_run_counts(new_loop, interrupted):
    loop = new_loop(debug=True)
    loop.slow_callback_duration = 0.01

    def fail():
        time.sleep(0.02)
        raise SystemExit(3)

    interrupted.append('Executing')
    loop.call_soon(fail)
    with pytest.raises(SystemExit):
        loop.run_forever()


def test_in_what_is_sent_when_the_run_is_over(new_loop, interrupted):
    async def connect():
        one, other = socket.socketpair()
        transport, _ = await loop.create_connection(
            asyncio.Protocol, sock=one)
        transport.pause_reading()
        return transport, other

    def write():
        loop.stop()
        other.close()
        transport.write(b'to nobody')

    loop = new_loop(debug=True)
    transport, other = loop.run_until_complete(connect())
    interrupted.append('Fatal write error')
    loop.call_soon(write)
    with pytest.raises(KeyboardInterrupt, match='in the log'):
        loop.run_forever()
    transport.abort()
    loop.run_until_complete(turns(3))


def forget(noise):
    """What asyncio itself says and leaves then."""
    gc.collect()
    noise.logged()
    noise.warned()


def test_ctrl_c_while_a_lost_connections_socket_is_closed(
        new_loop, monkeypatch, noise):
    loop = new_loop()
    close = socket.socket._real_close

    def closes_slowly(sock, *args):
        monkeypatch.undo()
        close(sock, *args)
        os.kill(os.getpid(), signal.SIGINT)

    class Closes(asyncio.Protocol):
        def connection_lost(self, exc):
            monkeypatch.setattr(socket.socket, '_real_close', closes_slowly)

    async def main():
        server = await loop.create_server(Closes, '127.0.0.1', 0)
        peer = socket.create_connection(server.sockets[0].getsockname())
        await turns(3)
        peer.close()
        server.close()
        await asyncio.sleep(10)

    task = loop.create_task(main())
    with pytest.raises(KeyboardInterrupt):
        loop.run_until_complete(task)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(task)
    loop.close()
    forget(noise)


def test_ctrl_c_while_writing_resumes(new_loop, noise):
    loop = new_loop()

    class Resumes(asyncio.Protocol):
        def resume_writing(self):
            raise KeyboardInterrupt

    async def main():
        one, peer = socket.socketpair()
        with peer:
            peer.setblocking(False)
            transport, _ = await loop.create_connection(Resumes, sock=one)
            transport.write(bytes(1 << 20))
            while True:
                await loop.sock_recv(peer, 1 << 16)

    task = loop.create_task(main())
    with pytest.raises(KeyboardInterrupt):
        loop.run_until_complete(task)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(task)
    for transport in [*loop._transports.values()]:
        transport.abort()
    loop.run_until_complete(turns(3))
    loop.close()
    forget(noise)
