#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""
A network that is taken down

Two network namespaces with a cable between them, made by the test itself:

    here   10.9.0.1 (near) ==== (far) 10.9.0.2   there

The program tests/programs/link.c runs in both. Nothing outside of the two is
touched. Where namespaces may not be made, every test is skipped.
"""

import contextlib
import os
import select
import subprocess
import sys
import time

import outside

NEAR = '10.9.0.1'
FAR = '10.9.0.2'
MEGABYTES = 4 * (1 << 20)
if outside.SLOWNESS > 2:
    MEGABYTES //= 8


class Namespace:
    """Lives as long as a process that does nothing in it."""

    def __init__(self, beside=None):
        root = os.geteuid() == 0
        enter = beside.enter if beside else []
        command = [*enter, 'unshare', '-n' if root or beside else '-rn']
        self.holder = subprocess.Popen(
            [*command, 'sh', '-c', 'echo ready; exec cat'],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True)
        if self.holder.stdout.readline() != 'ready\n':
            reason = self.holder.stderr.read().strip()
            self.close()
            raise outside.Skip(f'no namespace may be made: {reason}')
        self.enter = ['nsenter', '-t', str(self.holder.pid), '-n']
        if not root:
            self.enter[1:1] = ['-U', '--preserve-credentials']

    def run(self, *command, **options):
        return subprocess.run([*self.enter, *command], text=True,
                              capture_output=True, **options)

    def ip(self, *words):
        run = self.run('ip', *words)
        if run.returncode != 0:
            raise outside.Skip(f'ip {" ".join(words)}: {run.stderr.strip()}')

    def start(self, *command):
        return subprocess.Popen([*self.enter, *command], text=True,
                                env=outside.ENVIRONMENT,
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def close(self):
        self.holder.communicate()


@contextlib.contextmanager
def cable():
    """The two namespaces; the near end of the cable is `near`, up."""
    outside.need('unshare', 'nsenter', 'ip')
    with contextlib.ExitStack() as ends:
        here = Namespace()
        ends.callback(here.close)
        there = Namespace(here)
        ends.callback(there.close)
        here.ip('link', 'add', 'near', 'type', 'veth', 'peer', 'name', 'far',
                'netns', str(there.holder.pid))
        for end, name, address in ((here, 'near', NEAR), (there, 'far', FAR)):
            end.ip('address', 'add', f'{address}/24', 'dev', name)
            end.ip('link', 'set', name, 'up')
            end.ip('link', 'set', 'lo', 'up')
        yield here, there


@contextlib.contextmanager
def server(namespace):
    process = namespace.start(outside.built('link', 'shared'), 'serve')
    assert process.stdout.readline() == 'ready\n', 'it does not serve'
    try:
        yield
    finally:
        rest, _ = process.communicate()
        assert rest == '', rest
        assert process.returncode == 0, process.returncode


def line(process):
    """The next line, unless it takes too long."""
    ready, _, _ = select.select([process.stdout], [], [], outside.PATIENCE)
    assert ready, 'it says nothing'
    return process.stdout.readline().strip()


def interrupted(end, name):
    """A talk whose cable is taken down and up again in the middle."""
    with cable() as ends, server(ends[1]):
        talk = ends[0].start(outside.built('link', 'shared'), 'talk', FAR,
                             str(MEGABYTES))
        try:
            outside.same(line(talk), 'moving')
            ends[end].ip('link', 'set', name, 'down')
            for _ in range(2):
                words = line(talk).rsplit(' ', 1)
                outside.same(words[0], 'timed out')
                seconds = float(words[1])
                assert 0.3 <= seconds < 0.3 + 0.3 * outside.SLOWNESS, seconds
            ends[end].ip('link', 'set', name, 'up')
            said = line(talk)
            while said.startswith('timed out'):
                said = line(talk)
            outside.same(said, 'all is heard')
            outside.same(talk.wait(timeout=outside.PATIENCE), 0)
        finally:
            talk.kill()
            talk.communicate()


def our_link_goes_down_and_up_and_no_byte_is_lost():
    interrupted(0, 'near')


def their_link_goes_down_and_up_and_no_byte_is_lost():
    interrupted(1, 'far')


def tried(namespace, *words):
    run = namespace.run(outside.built('link', 'shared'), 'try', *words,
                        env=outside.ENVIRONMENT, timeout=outside.PATIENCE)
    return run.stdout.strip()


def a_connect_over_a_dead_link_times_out():
    with cable() as (here, there), server(there):
        outside.same(tried(here, FAR, '5'), 'connected')
        there.ip('link', 'set', 'far', 'down')
        began = time.monotonic()
        outside.same(tried(here, FAR, '0.3'), 'ETIMEDOUT')
        assert time.monotonic() - began >= 0.3
        here.ip('link', 'set', 'near', 'down')
        outside.same(tried(here, FAR, '5'), 'ENETUNREACH')


def a_host_that_cannot_be_reached_is_an_error_that_says_so():
    with cable() as (here, there):
        outside.same(tried(here, FAR, '5'), 'ECONNREFUSED')
        outside.same(tried(here, '192.0.2.1', '5'), 'ENETUNREACH')
        here.ip('route', 'add', 'prohibit', '192.0.2.0/25')
        outside.same(tried(here, '192.0.2.1', '5'), 'EACCES')
        here.ip('route', 'add', 'unreachable', '192.0.2.128/25')
        outside.same(tried(here, '192.0.2.129', '5'), 'EHOSTUNREACH')
        outside.same(tried(here, FAR, '5', '192.0.2.1'), 'EADDRNOTAVAIL')
        with server(there):
            outside.same(tried(here, FAR, '5', NEAR), 'connected')


sys.exit(outside.run_all([
    our_link_goes_down_and_up_and_no_byte_is_lost,
    their_link_goes_down_and_up_and_no_byte_is_lost,
    a_connect_over_a_dead_link_times_out,
    a_host_that_cannot_be_reached_is_an_error_that_says_so,
]))
