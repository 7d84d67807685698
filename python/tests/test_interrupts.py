# SPDX-License-Identifier: MIT
"""
What ends a run: Ctrl-C and SystemExit, wherever in the loop they come. None is
swallowed, and the loop can be run again.
"""

import asyncio
import functools
import hashlib
import logging
import os
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
