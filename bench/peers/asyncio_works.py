# SPDX-License-Identifier: MIT
"""
The peers asyncio and uvloop: executors, children, files, signals

Files are blocking calls on the default executor: asyncio has no others. The
watcher of children is the default one of the Python that runs.
"""

import asyncio
import os
import signal
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor

BATCH = 1000
IN_FLIGHT = 64
BLOCK = 64
CHUNK = 65536
PAGE, PAGES = 4096, 256
FILE_SIZE = 1024
BIG = 512 << 20
PIPED = 1 << 30
MAP_CHUNK = 100

PIPE = asyncio.subprocess.PIPE


def cpu_ns():
    return time.clock_gettime_ns(time.CLOCK_PROCESS_CPUTIME_ID)


def add_one(arg):
    return arg + 1


# Executors


async def asker(executor, times):
    run = asyncio.get_running_loop().run_in_executor
    for i in range(times):
        if await run(executor, add_one, i) != i + 1:
            raise AssertionError("not called")


async def round_trips(n, in_flight):
    each = n // in_flight
    await asyncio.gather(*(asker(None, each) for _ in range(in_flight)))


def executor(in_flight, clock):
    async def work(n):
        await round_trips(BATCH, in_flight)
        start = clock()
        await round_trips(n, in_flight)
        return (clock() - start) / n

    return work


def answer(block):
    return bytes([(block[0] + 1) % 256]) + block[1:]


async def processes_1(n):
    run = asyncio.get_running_loop().run_in_executor
    block = bytes(BLOCK)
    with ProcessPoolExecutor(1) as pool:
        await run(pool, answer, block)
        start = time.monotonic_ns()
        for _ in range(n):
            block = await run(pool, answer, block)
        return (time.monotonic_ns() - start) / n


async def processes_map(n):
    """Executor.map() blocks, so it has no part of a loop in it."""
    with ProcessPoolExecutor(1) as pool:
        pool.submit(add_one, 1).result()
        start = time.monotonic_ns()
        results = sum(pool.map(add_one, range(n), chunksize=MAP_CHUNK))
        ns = (time.monotonic_ns() - start) / n
    if results != n * (n + 1) // 2:
        raise AssertionError("not called")
    return ns


# Children


async def succeed(process):
    if await process.wait() != 0:
        raise AssertionError("the child failed")


async def child_1(n):
    start = time.monotonic_ns()
    for _ in range(n):
        await succeed(await asyncio.create_subprocess_exec("/bin/true"))
    return (time.monotonic_ns() - start) / n / 1e3


async def child_big(n):
    memory = bytearray(BIG)
    memory[::PAGE] = bytes(BIG // PAGE)
    return await child_1(n)


async def child_1000(n):
    start = time.monotonic_ns()
    children = [
        await asyncio.create_subprocess_exec("/bin/cat", stdin=PIPE)
        for _ in range(n)
    ]
    for child in children:
        child.stdin.close()
    for child in children:
        await succeed(child)
    return (time.monotonic_ns() - start) / 1e6


class Talk(asyncio.SubprocessProtocol):
    """
    Writes until it is paused; counts what it reads. asyncio loses what is
    written last if the pipe is closed while it calls resume_writing().
    """

    def __init__(self, to_write):
        self.to_write, self.got, self.may_write = to_write, 0, True
        self.chunk = bytes(CHUNK)
        self.lost = asyncio.get_running_loop().create_future()

    def connection_made(self, transport):
        self.transport = transport
        self.stdin = transport.get_pipe_transport(0)
        if self.stdin is not None:
            self.write_on()

    def write_on(self):
        while self.may_write and self.to_write > 0:
            chunk = self.chunk[: self.to_write]
            self.to_write -= len(chunk)
            self.stdin.write(chunk)
            if self.to_write == 0:
                asyncio.get_running_loop().call_soon(self.stdin.close)

    def pause_writing(self):
        self.may_write = False

    def resume_writing(self):
        self.may_write = True
        self.write_on()

    def pipe_data_received(self, fd, data):
        self.got += len(data)

    def connection_lost(self, error):
        self.lost.set_result(self.transport.get_returncode())


def child_command(command):
    return f"exec {os.environ.get('BENCH_CHILD', '')} {command}"


def pipe(command, writes, reads):
    async def work(n):
        loop = asyncio.get_running_loop()
        start = time.monotonic_ns()
        _, talk = await loop.subprocess_exec(
            lambda: Talk(n if writes else 0),
            "/bin/sh",
            "-c",
            child_command(command.format(n // CHUNK)),
            stdin=PIPE if writes else None,
            stdout=PIPE if reads else None,
            stderr=None,
        )
        status = await talk.lost
        if status != 0 or talk.to_write or talk.got != (n if reads else 0):
            raise AssertionError("bytes are lost")
        return n / (1 << 20) / ((time.monotonic_ns() - start) / 1e9)

    return work


# Files


async def file_pread(n):
    run = asyncio.get_running_loop().run_in_executor
    with tempfile.TemporaryFile() as file:
        file.write(bytes(PAGE * PAGES))
        file.flush()
        start = cpu_ns()
        for i in range(n):
            at = i % PAGES * PAGE
            page = await run(None, os.pread, file.fileno(), PAGE, at)
            if len(page) != PAGE:
                raise AssertionError("a short read")
        return (cpu_ns() - start) / n


async def read_small(path):
    run = asyncio.get_running_loop().run_in_executor
    fd = await run(None, os.open, path, os.O_RDONLY)
    size = (await run(None, os.fstat, fd)).st_size
    if len(await run(None, os.read, fd, FILE_SIZE)) != size:
        raise AssertionError("a short read")
    await run(None, os.close, fd)


async def file_small(n):
    with tempfile.TemporaryDirectory() as folder:
        paths = [os.path.join(folder, f"{i:03}") for i in range(BATCH)]
        for path in paths:
            with open(path, "wb") as file:
                file.write(bytes(FILE_SIZE))
        start = cpu_ns()
        for i in range(n):
            await read_small(paths[i % BATCH])
        return (cpu_ns() - start) / n


async def file_sync(n):
    run = asyncio.get_running_loop().run_in_executor
    page = bytes(PAGE)
    with tempfile.TemporaryFile() as file:
        file.write(bytes(PAGE * PAGES))
        file.flush()
        start = time.monotonic_ns()
        for i in range(n):
            at = i % PAGES * PAGE
            await run(None, os.pwrite, file.fileno(), page, at)
            await run(None, os.fsync, file.fileno())
        return (time.monotonic_ns() - start) / n / 1e3


# Signals


async def raise_signals(n):
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    left = n

    def on_signal():
        nonlocal left
        left -= 1
        if left == 0:
            done.set_result(None)
        else:
            signal.raise_signal(signal.SIGUSR1)

    loop.add_signal_handler(signal.SIGUSR1, on_signal)
    start = cpu_ns()
    signal.raise_signal(signal.SIGUSR1)
    await done
    return (cpu_ns() - start) / n


DD = f"dd if=/dev/zero bs={CHUNK} count={{}} status=none"

WORKS = {
    "executor-1": (executor(1, cpu_ns), 50_000),
    "executor-64": (executor(IN_FLIGHT, cpu_ns), 50_048),
    "executor-1-wall": (executor(1, time.monotonic_ns), 20_000),
    "executor-64-wall": (executor(IN_FLIGHT, time.monotonic_ns), 50_048),
    "processes-1": (processes_1, 10_000),
    "processes-map": (processes_map, 100_000),
    "child-1": (child_1, 500),
    "child-big": (child_big, 500),
    "child-1000": (child_1000, BATCH),
    "pipe-out": (pipe(DD, False, True), PIPED),
    "pipe-in": (pipe("cat >/dev/null", True, False), PIPED),
    "pipe-both": (pipe("cat", True, True), PIPED),
    "file-pread": (file_pread, 50_000),
    "file-small": (file_small, 10_000),
    "file-sync": (file_sync, 200),
    "signal": (raise_signals, 100_000),
}
