#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""
Ctrl-C, pressed on a real terminal

A program of tests/programs/ has a pseudo-terminal of its own, and the test is
its user: the terminal turns the key into SIGINT, for the group in front.
"""

import os
import pty
import select
import signal
import sys
import time
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))

import outside  # noqa: E402
from outside import Skip, built, same  # noqa: E402

CTRL_C = b'\x03'


class Terminal:
    """A program with arguments, on a terminal of which we are the user."""

    def __init__(self, *arguments):
        command = [built('interrupted'), *arguments]
        try:
            self.pid, self.fd = pty.fork()
        except OSError as error:
            raise Skip(f'no terminal: {error}') from error
        if self.pid == 0:
            for number in (signal.SIGINT, signal.SIGQUIT):
                signal.signal(number, signal.SIG_DFL)
            os.execve(command[0], command, outside.ENVIRONMENT)
        self.text = b''
        self.deadline = time.monotonic() + outside.PATIENCE

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.fd)
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)

    def read(self):
        left = self.deadline - time.monotonic()
        assert select.select([self.fd], [], [], max(left, 0))[0], \
            f'nothing more came after {self.text}'
        try:
            self.text += os.read(self.fd, 4096)
        except OSError:  # Linux: nobody has the other side any more
            return False
        return True

    def expect(self, word):
        while word not in self.text:
            assert self.read(), f'it has ended after {self.text}'

    def press(self, key):
        os.write(self.fd, key)

    def end(self):
        """How it has ended, and its words, without the terminal's echo."""
        while self.read():
            pass
        status = os.waitpid(self.pid, 0)[1]
        self.pid = 0
        text = self.text.decode().replace('^C', '')
        return os.waitstatus_to_exitcode(status), text.split()


def one_cancels_the_main_task():
    with Terminal('wait') as terminal:
        terminal.expect(b'ready')
        terminal.press(CTRL_C)
        same(terminal.end(), (3, ['ready', 'cancelled', 'EINTR']))


def a_second_ends_a_program_that_goes_on():
    with Terminal('stay') as terminal:
        terminal.expect(b'ready')
        terminal.press(CTRL_C)
        terminal.expect(b'cancelled')
        terminal.press(CTRL_C)
        same(terminal.end(), (-signal.SIGINT, ['ready', 'cancelled']))


def a_second_ends_a_program_that_hangs():
    if any('thread' in option for option in outside.SANITIZERS):
        raise Skip('it holds signals back')
    with Terminal('hold') as terminal:
        terminal.expect(b'ready')
        terminal.press(CTRL_C)
        terminal.press(CTRL_C)
        # The system may have folded the two into one.
        for _ in range(int(outside.PATIENCE * 10)):
            if select.select([terminal.fd], [], [], 0.1)[0]:
                if not terminal.read():
                    break
                continue
            terminal.press(CTRL_C)
        same(terminal.end(), (-signal.SIGINT, ['ready']))


TESTS = [
    one_cancels_the_main_task,
    a_second_ends_a_program_that_goes_on,
    a_second_ends_a_program_that_hangs,
]


if __name__ == '__main__':
    sys.exit(outside.run_all(TESTS))
