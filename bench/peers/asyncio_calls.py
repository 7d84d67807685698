# SPDX-License-Identifier: MIT
"""
The peers asyncio and uvloop, and rota's Python face: what a loop does for
Python alone

The works that only the table of Python has: handles, one await, one future,
one call from a thread, a reader, a sleep, a look-up, a connection.
"""

import asyncio
import os
import socket
import threading
import time
from statistics import median

BATCH = 1000
FAR = 60
SLEEPERS = 100
SHORT = 0.0013
HOST = "127.0.0.1"


def cpu_ns():
    return time.clock_gettime_ns(time.CLOCK_PROCESS_CPUTIME_ID)


def nothing():
    pass


class Countdown:
    """A future that is done when it has been called as often."""

    def __init__(self, times):
        self.left = times
        self.done = asyncio.get_running_loop().create_future()

    def more(self):
        """Counts; whether there is more to do."""
        self.left -= 1
        if self.left == 0:
            self.done.set_result(None)
        return self.left > 0


# Handles


async def chain(n):
    loop = asyncio.get_running_loop()
    call_soon, done, left = loop.call_soon, loop.create_future(), n

    def link():
        nonlocal left
        left -= 1
        if left:
            call_soon(link)
        else:
            done.set_result(None)

    start = cpu_ns()
    call_soon(link)
    await done
    return (cpu_ns() - start) / n


async def call_later(n):
    """Armed and cancelled, one after the other, with a turn every 1,000."""
    call_later = asyncio.get_running_loop().call_later
    start = cpu_ns()
    for _ in range(n // BATCH):
        for _ in range(BATCH):
            call_later(FAR, nothing).cancel()
        await asyncio.sleep(0)
    return (cpu_ns() - start) / (n // BATCH * BATCH)


async def call_later_fire(n):
    """
    1,000 at a time, in no order: the thread sleeps until all are due, then
    the clock starts and the loop runs.
    """
    loop = asyncio.get_running_loop()
    ns = 0
    for _ in range(n // BATCH):
        done = loop.create_future()
        for i in range(BATCH):
            loop.call_later(0.002 + i * 389 % BATCH * 1e-6, nothing)
        loop.call_later(0.004, done.set_result, None)
        time.sleep(0.006)
        start = cpu_ns()
        await done
        ns += cpu_ns() - start
    return ns / (n // BATCH * BATCH)


async def threadsafe(n):
    """From the loop's own thread, so that no other one is waited for."""
    call_soon = asyncio.get_running_loop().call_soon_threadsafe
    start = cpu_ns()
    for _ in range(n // BATCH):
        for _ in range(BATCH):
            call_soon(nothing)
        await asyncio.sleep(0)
    return (cpu_ns() - start) / (n // BATCH * BATCH)


async def threadsafe_1(n):
    """A thread calls the sleeping loop and sleeps until it was heard."""
    loop = asyncio.get_running_loop()
    heard = threading.Semaphore(0)
    done = loop.create_future()

    def caller():
        for _ in range(n):
            loop.call_soon_threadsafe(heard.release)
            heard.acquire()
        loop.call_soon_threadsafe(done.set_result, None)

    thread = threading.Thread(target=caller)
    start = cpu_ns()
    thread.start()
    await done
    thread.join()
    return (cpu_ns() - start) / n


async def reader(n):
    """A byte through a pipe: its reader takes it and writes the next."""
    loop = asyncio.get_running_loop()
    count = Countdown(n)
    source, sink = os.pipe()

    def readable():
        os.read(source, 1)
        if count.more():
            os.write(sink, b"x")

    loop.add_reader(source, readable)
    start = cpu_ns()
    os.write(sink, b"x")
    await count.done
    ns = (cpu_ns() - start) / n
    loop.remove_reader(source)
    os.close(source)
    os.close(sink)
    return ns


# Tasks


async def sleeper(times):
    sleep = asyncio.sleep
    for _ in range(times):
        await sleep(0)


async def sleep_1(n):
    start = cpu_ns()
    await sleeper(n)
    return (cpu_ns() - start) / n


async def sleep_100(n):
    each = n // SLEEPERS
    tasks = [asyncio.create_task(sleeper(each)) for _ in range(SLEEPERS)]
    start = cpu_ns()
    for task in tasks:
        await task
    return (cpu_ns() - start) / (each * SLEEPERS)


async def return_at_once():
    pass


async def task_group(n):
    start = cpu_ns()
    for _ in range(n // BATCH):
        async with asyncio.TaskGroup() as group:
            for _ in range(BATCH):
                group.create_task(return_at_once())
    return (cpu_ns() - start) / (n // BATCH * BATCH)


async def future(n):
    loop = asyncio.get_running_loop()
    start = cpu_ns()
    for _ in range(n):
        waited_for = loop.create_future()
        loop.call_soon(waited_for.set_result, None)
        await waited_for
    return (cpu_ns() - start) / n


# Sleeps that are short, look-ups, connections


def late(which):
    async def work(n):
        """Microseconds between when a sleep should have ended and did."""
        found = []
        for _ in range(n):
            end = time.monotonic() + SHORT
            await asyncio.sleep(SHORT)
            found.append((time.monotonic() - end) * 1e6)
        return which(found)

    return work


def look_up(name):
    async def work(n):
        loop = asyncio.get_running_loop()
        for turn in range(n + BATCH):
            if turn == BATCH:
                start = cpu_ns()
            if not await loop.getaddrinfo(name, 80, type=socket.SOCK_STREAM):
                raise AssertionError("no address")
        return (cpu_ns() - start) / n

    return work


class Visit(asyncio.Protocol):
    def __init__(self):
        self.lost = asyncio.get_running_loop().create_future()

    def connection_lost(self, error):
        self.lost.set_result(None)


async def connect(n):
    """To the program `accept`, whose port BENCH_PORT holds."""
    loop = asyncio.get_running_loop()
    port = int(os.environ["BENCH_PORT"])
    start = cpu_ns()
    for _ in range(n):
        transport, visit = await loop.create_connection(Visit, HOST, port)
        transport.close()
        await visit.lost
    return (cpu_ns() - start) / n


# Protocols that answer each other, without a load: for counts of instructions


class Player(asyncio.Protocol):
    def __init__(self, count):
        self.count = count

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        if self.count.more():
            self.transport.write(data)


async def rally(n):
    """64 bytes to and fro over a pair of sockets; a reading and a writing."""
    loop = asyncio.get_running_loop()
    count = Countdown(n)
    pair = socket.socketpair()
    ends = [
        await loop.create_connection(lambda: Player(count), sock=end)
        for end in pair
    ]
    start = cpu_ns()
    ends[0][0].write(bytes(64))
    await count.done
    ns = (cpu_ns() - start) / n
    for transport, _ in ends:
        transport.close()
    return ns


async def answer(end, times):
    reader, writer = end
    for _ in range(times):
        writer.write(await reader.read(64))
        await writer.drain()


async def rally_streams(n):
    """The same by streams, each in a task."""
    ends = [await asyncio.open_connection(sock=s) for s in socket.socketpair()]
    start = cpu_ns()
    ends[0][1].write(bytes(64))
    await asyncio.gather(*(answer(end, n // 2) for end in ends))
    ns = (cpu_ns() - start) / (n // 2 * 2)
    for _, writer in ends:
        writer.close()
    return ns


async def answer_by_socket(end, times):
    loop = asyncio.get_running_loop()
    for _ in range(times):
        await loop.sock_sendall(end, await loop.sock_recv(end, 64))


async def rally_sock(n):
    """The same by sock_recv and sock_sendall, each in a task."""
    pair = socket.socketpair()
    for end in pair:
        end.setblocking(False)
    start = cpu_ns()
    pair[0].send(bytes(64))
    await asyncio.gather(*(answer_by_socket(end, n // 2) for end in pair))
    ns = (cpu_ns() - start) / (n // 2 * 2)
    for end in pair:
        end.close()
    return ns


WORKS = {
    "call_soon-chain": (chain, 500_000),
    "call_later": (call_later, 300_000),
    "call_later-fire": (call_later_fire, 100_000),
    "threadsafe": (threadsafe, 500_000),
    "threadsafe-1": (threadsafe_1, 20_000),
    "reader": (reader, 100_000),
    "sleep0-1": (sleep_1, 500_000),
    "sleep0-100": (sleep_100, 500_000),
    "future": (future, 200_000),
    "late": (late(median), 300),
    "late-least": (late(min), 300),
    "getaddrinfo": (look_up("localhost"), 5_000),
    "getaddrinfo-ip": (look_up(HOST), 20_000),
    "connect": (connect, 5_000),
    "rally": (rally, 100_000),
    "rally-streams": (rally_streams, 100_000),
    "rally-sock": (rally_sock, 100_000),
}
if hasattr(asyncio, "TaskGroup"):
    WORKS["taskgroup1000"] = task_group, 300_000
