# SPDX-License-Identifier: MIT
"""
The peer asyncio, and by the same program any other loop for Python

    asyncio_peer.py [--loop MODULE] WORK [N] | SERVICE AT [WHAT]

The loop is what MODULE.new_event_loop() makes: asyncio's, uvloop's, rota's,
or that of limit_loop, the bare limit. The command line, works, services and
deadlines are those of peer.h. asyncio and uvloop only mark a cancelled timer
and clean up in a later turn, so the turn that follows is part of the
cancelling.
"""

import argparse
import asyncio
import importlib
import resource
import sys
import time

import asyncio_calls
import asyncio_works
from asyncio_net import SERVICES

BATCH = 1000
CHURN = 10_000
TURN = 100
MILLION = 1_000_000
SLEEPERS = 100_000
MASK = (1 << 64) - 1


def cpu_ns():
    return time.clock_gettime_ns(time.CLOCK_PROCESS_CPUTIME_ID)


def nothing():
    pass


# Tasks


async def yielder(times):
    for _ in range(times):
        await asyncio.sleep(0)


async def yields(tasks, n):
    start = cpu_ns()
    await asyncio.gather(*(yielder(n // tasks) for _ in range(tasks)))
    return (cpu_ns() - start) / (n // tasks * tasks)


async def yield2(n):
    return await yields(2, n)


async def yield1000(n):
    return await yields(1000, n)


async def return_at_once():
    pass


async def spawn1(n):
    start = cpu_ns()
    for _ in range(n):
        await asyncio.create_task(return_at_once())
    return (cpu_ns() - start) / n


async def spawn1000(n):
    start = cpu_ns()
    for _ in range(n // BATCH):
        await asyncio.gather(*(return_at_once() for _ in range(BATCH)))
    return (cpu_ns() - start) / (n // BATCH * BATCH)


async def pong(source, target, rounds):
    for _ in range(rounds):
        await target.put(await source.get())


async def queue(n):
    there, back = asyncio.Queue(1), asyncio.Queue(1)
    other = asyncio.create_task(pong(there, back, n // 2))
    start = cpu_ns()
    for _ in range(n // 2):
        await there.put(7)
        await back.get()
    ns = (cpu_ns() - start) / (n // 2 * 2)
    await other
    return ns


async def lock(n):
    lock = asyncio.Lock()
    start = cpu_ns()
    for _ in range(n):
        await lock.acquire()
        lock.release()
    return (cpu_ns() - start) / n


async def timeout(n):
    start = cpu_ns()
    for _ in range(n):
        async with asyncio.timeout(60):
            pass
    return (cpu_ns() - start) / n


def resident():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()


async def rss(n):
    before = resident()
    tasks = [asyncio.create_task(asyncio.sleep(3600)) for _ in range(n)]
    await asyncio.sleep(0.1)
    after = resident()
    for task in tasks:
        task.cancel()
    return (after - before) / n


# Callbacks and timers


async def call_soon(n):
    loop = asyncio.get_running_loop()
    start = cpu_ns()
    for _ in range(n // BATCH):
        for _ in range(BATCH):
            loop.call_soon(nothing)
        await asyncio.sleep(0)
    return (cpu_ns() - start) / (n // BATCH * BATCH)


def xorshift(state):
    state ^= state << 13 & MASK
    state ^= state >> 7
    return state ^ (state << 17 & MASK)


def delays(n, start, span):
    """n delays in seconds, of [start, start + span) nanoseconds"""
    dice = 88172645463325252
    found = []
    for _ in range(n):
        dice = xorshift(dice)
        found.append((start + dice % span) * 1e-9)
    return found


def shuffled(n):
    order = []
    dice = 2463534242
    for i in range(n):
        dice = xorshift(dice)
        order.append(i)
        j = dice % (i + 1)
        order[i] = order[j]
        order[j] = i
    return order


def arm_far(n):
    call_later = asyncio.get_running_loop().call_later
    after = delays(n, 1_000_000_000, 999_000_000_000)
    start = cpu_ns()
    handles = [call_later(delay, nothing) for delay in after]
    return handles, (cpu_ns() - start) / n


async def timer_arm(n):
    handles, ns = arm_far(n)
    del handles
    return ns


async def timer_cancel(n):
    handles, _ = arm_far(n)
    handles = [handles[i] for i in shuffled(n)]
    start = cpu_ns()
    for handle in handles:
        handle.cancel()
    await asyncio.sleep(0)
    return (cpu_ns() - start) / n


async def timer_fire(n):
    """
    Due some seconds ahead, because uvloop looks at the clock for each timer
    and calls what is already due at once, without a timer.
    """
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    left = n

    def fire():
        nonlocal left
        left -= 1
        if left == 0:
            done.set_result(None)

    after = delays(n, 1_000_000, 50_000_000)
    ahead = 6e-6 * n
    origin, end = loop.time() + ahead, time.monotonic() + ahead + 0.06
    for delay in after:
        loop.call_at(origin + delay, fire)
    time.sleep(end - time.monotonic())
    start = cpu_ns()
    await done
    return (cpu_ns() - start) / n


async def timer_churn(n):
    call_later = asyncio.get_running_loop().call_later
    handles, _ = arm_far(CHURN)
    start = cpu_ns()
    for i in range(n):
        if i % TURN == 0:
            await asyncio.sleep(0)
        handles[i % CHURN].cancel()
        handles[i % CHURN] = call_later(60, nothing)
    return (cpu_ns() - start) / n


WORKS = {
    "yield2": (yield2, 500_000),
    "yield1000": (yield1000, 500_000),
    "spawn1": (spawn1, 300_000),
    "spawn1000": (spawn1000, 300_000),
    "gather1000": (spawn1000, 300_000),
    "queue": (queue, 300_000),
    "lock": (lock, 1_000_000),
    "timeout": (timeout, 300_000),
    "call_soon": (call_soon, 1_000_000),
    "timer_arm": (timer_arm, MILLION),
    "timer_cancel": (timer_cancel, MILLION),
    "timer_fire": (timer_fire, MILLION),
    "timer_churn": (timer_churn, 200_000),
    "call_later-fire100000": (timer_fire, 100_000),
    "rss": (rss, SLEEPERS),
    **asyncio_calls.WORKS,
    **asyncio_works.WORKS,
}
if not hasattr(asyncio, "timeout"):
    del WORKS["timeout"]

# What a loop has, where it has not everything
ONLY = {
    "uvloop": (WORKS.keys() | SERVICES.keys()) - {"sendfile"},
    "limit_loop": {
        *("call_soon", "call_soon-chain", "sleep0-1", "sleep0-100", "spawn1"),
        *("gather1000", "taskgroup1000", "future", "queue", "timeout"),
    },
}


def parse_arguments():
    parser = argparse.ArgumentParser()
    add = parser.add_argument
    add("--loop", default="asyncio", metavar="MODULE")
    add("name", metavar="WORK|SERVICE")
    add("argument", nargs="?", metavar="N|AT")
    add("what", nargs="?", metavar="WHAT")
    return parser.parse_args()


def main():
    args = parse_arguments()
    loop = importlib.import_module(args.loop).new_event_loop()
    if isinstance(loop, asyncio.AbstractEventLoop):
        asyncio.set_event_loop(loop)  # asyncio's children want it
    name, argument = args.name, args.argument
    has = ONLY.get(args.loop)
    if has is not None and name not in has:
        pass
    elif name in SERVICES and argument:
        loop.run_until_complete(SERVICES[name](argument, args.what))
    elif name in WORKS:
        work, n = WORKS[name]
        figure = loop.run_until_complete(work(int(argument or n)))
        print(f"{name} {figure:.3f}")
        return 0
    print(name, "unsupported")
    return 3


if __name__ == "__main__":
    sys.exit(main())
