# SPDX-License-Identifier: MIT
"""
Child processes: what goes in, what comes out, how they end, who waits.
"""

import asyncio
import gc
import os
import pwd
import signal
import subprocess
import sys
import threading
import types

import pytest
from two_loops import araised, raised, turns

PIPE, STDOUT, DEVNULL = subprocess.PIPE, subprocess.STDOUT, subprocess.DEVNULL
LARGE = bytes(range(256)) * 2048




def shell(command, **kwargs):
    return asyncio.create_subprocess_shell(command, **kwargs)


def program(*args, **kwargs):
    return asyncio.create_subprocess_exec(*args, **kwargs)


class Calls(asyncio.SubprocessProtocol):
    """Writes down what a subprocess protocol is told."""

    def __init__(self):
        self.log = []
        self.data = {1: b'', 2: b''}
        self.lost = asyncio.get_running_loop().create_future()
        self.exited = asyncio.get_running_loop().create_future()

    def connection_made(self, transport):
        self.transport = transport
        self.log.append('made')

    def pipe_data_received(self, fd, data):
        self.data[fd] += data

    def pipe_connection_lost(self, fd, exc):
        self.log.append(f'pipe {fd} lost')

    def process_exited(self):
        self.log.append('exited')
        self.exited.set_result(None)

    def connection_lost(self, exc):
        self.log.append('lost')
        self.lost.set_result(exc)


# Ends


@pytest.mark.parametrize('command, code', [
    ('true', 0), ('false', 1), ('exit 42', 42), ('kill -TERM $$', -15),
    ('kill -KILL $$', -9)])
async def test_the_exit_code(loop, command, code):
    process = await shell(command)
    assert process.pid > 0
    assert await process.wait() == code
    assert process.returncode == code
    assert await process.wait() == code


async def test_several_wait_for_one(loop):
    process = await shell('read x; exit 3', stdin=PIPE)
    waits = [loop.create_task(process.wait()) for _ in range(5)]
    await turns(3)
    assert not any(wait.done() for wait in waits)
    assert process.returncode is None
    process.stdin.close()
    assert await asyncio.gather(*waits) == [3] * 5


async def test_a_wait_may_be_cancelled(loop):
    process = await shell('read x', stdin=PIPE)
    for _ in range(3):
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(process.wait(), 0.002)
    process.stdin.close()
    assert await process.wait() == 1


@pytest.mark.parametrize('name, code', [('kill', -9), ('terminate', -15)])
async def test_ended_by_the_parent(loop, name, code):
    process = await program('sleep', '1000')
    getattr(process, name)()
    assert await process.wait() == code
    with pytest.raises(ProcessLookupError):
        getattr(process, name)()


async def test_send_signal(loop):
    process = await shell('trap "exit 7" USR1; echo up; while :; do '
                          'sleep 0.01; done', stdout=PIPE)
    assert await process.stdout.readline() == b'up\n'
    process.send_signal(signal.SIGUSR1)
    assert await process.wait() == 7


async def test_many_at_once(loop):
    processes = await asyncio.gather(*(
        shell(f'exit {n}') for n in range(20)))
    codes = await asyncio.gather(*(p.wait() for p in processes))
    assert codes == list(range(20))


# Pipes


async def test_communicate(loop):
    process = await program('cat', stdin=PIPE, stdout=PIPE)
    assert await process.communicate(LARGE) == (LARGE, None)
    assert process.returncode == 0


async def test_communicate_with_errors_apart_or_joined(loop):
    command = 'echo out; echo err >&2'
    process = await shell(command, stdout=PIPE, stderr=PIPE)
    assert await process.communicate() == (b'out\n', b'err\n')
    process = await shell(command, stdout=PIPE, stderr=STDOUT)
    assert await process.communicate() == (b'out\nerr\n', None)
    process = await shell(command, stdout=DEVNULL, stderr=DEVNULL)
    assert await process.communicate() == (None, None)


async def test_communicate_with_nobody_who_reads(loop, noise):
    process = await program('true', stdin=PIPE, stdout=PIPE)
    assert await process.communicate(LARGE) == (b'', None)
    await turns(5)
    del process
    gc.collect()
    noise.logged()  # streams may forget to read a future's BrokenPipeError


async def test_a_conversation(loop):
    process = await program('cat', stdin=PIPE, stdout=PIPE)
    for number in range(20):
        line = b'line %d\n' % number
        process.stdin.write(line)
        await process.stdin.drain()
        assert await process.stdout.readline() == line
    process.stdin.close()
    await process.stdin.wait_closed()
    assert await process.stdout.read() == b''
    assert await process.wait() == 0


async def test_stdin_that_is_closed_early(loop):
    process = await shell('exec 0<&-; echo closed', stdin=PIPE, stdout=PIPE)
    assert await process.stdout.readline() == b'closed\n'
    process.stdin.write(LARGE)
    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        for _ in range(1000):
            process.stdin.write(b'x')
            await process.stdin.drain()
            await asyncio.sleep(0)
    assert await process.wait() == 0


async def test_a_child_that_writes_faster_than_anybody_reads(loop):
    process = await shell('head -c 1000000 /dev/zero', stdout=PIPE)
    await asyncio.sleep(0.01)
    assert await process.stdout.read() == bytes(1000000)
    assert await process.wait() == 0


async def test_stdout_into_a_file(loop, tmp_path):
    with open(tmp_path / 'out', 'wb') as file:
        process = await program('echo', 'text', stdout=file)
        assert await process.wait() == 0
    assert (tmp_path / 'out').read_bytes() == b'text\n'


async def test_stdin_from_nothing(loop):
    process = await program('cat', stdin=DEVNULL, stdout=PIPE)
    assert await process.communicate() == (b'', None)


async def test_a_grandchild_that_keeps_the_pipe(loop):
    process = await shell('sleep 0.05 & echo $!; exit 5', stdout=PIPE)
    assert (await process.stdout.readline()).strip().isdigit()
    assert await process.wait() == 5
    assert await process.stdout.read() == b''


# How it starts


async def test_the_folder(loop, tmp_path):
    process = await program('pwd', stdout=PIPE, cwd=tmp_path)
    out, _ = await process.communicate()
    assert out.decode().strip() == str(tmp_path.resolve())


async def test_the_environment(loop):
    process = await program('/usr/bin/env', stdout=PIPE, env={'ONLY': 'this'})
    assert await process.communicate() == (b'ONLY=this\n', None)


async def test_the_environment_may_be_any_mapping(loop):
    env = types.MappingProxyType({b'BYTES': b'\xff', 'TEXT': 'text'})
    process = await program('/usr/bin/env', stdout=PIPE, env=env)
    out, _ = await process.communicate()
    assert sorted(out.splitlines()) == [b'BYTES=\xff', b'TEXT=text']


async def test_the_session_and_the_group(loop):
    code = 'import os; print(os.getsid(0) == os.getpid())'
    process = await program(sys.executable, '-c', code, stdout=PIPE,
                            start_new_session=True)
    assert await process.communicate() == (b'True\n', None)
    code = 'import os; print(os.getpgid(0) == os.getpid())'
    process = await program(sys.executable, '-c', code, stdout=PIPE,
                            process_group=0)
    assert await process.communicate() == (b'True\n', None)


async def test_the_mask_of_new_files(loop):
    process = await shell('umask', stdout=PIPE, umask=0o27)
    out, _ = await process.communicate()
    assert int(out, 8) == 0o27


@pytest.mark.skipif(os.geteuid() != 0, reason='only root may change it')
async def test_the_user(loop):
    nobody = pwd.getpwnam('nobody')
    process = await program('id', '-u', stdout=PIPE, user='nobody',
                            group=nobody.pw_gid, extra_groups=[])
    assert await process.communicate() == (b'%d\n' % nobody.pw_uid, None)


async def test_descriptors_that_are_passed(loop):
    reading, writing = os.pipe()
    process = await shell(f'echo through > /proc/self/fd/{writing}',
                          pass_fds=[writing])
    os.close(writing)
    assert await process.wait() == 0
    assert os.read(reading, 100) == b'through\n'
    os.close(reading)


async def test_arguments_are_passed_as_they_are(loop):
    args = ['a b', '$HOME', '*', '', 'ü', "'"]
    process = await program('printf', '%s|', *args, stdout=PIPE)
    out, _ = await process.communicate()
    assert out.decode() == ''.join(arg + '|' for arg in args)


async def test_a_program_that_does_not_exist(loop, tmp_path):
    for _ in range(2):
        with pytest.raises(FileNotFoundError) as info:
            await program('/no/such/program', stdin=PIPE, stdout=PIPE)
        assert info.value.errno == 2
        assert info.value.filename == '/no/such/program'
    with pytest.raises(NotADirectoryError):
        (tmp_path / 'file').write_text('')
        await program('true', cwd=tmp_path / 'file')
    with pytest.raises(PermissionError):
        await program(str(tmp_path / 'file'))


async def test_a_preexec_function(loop):
    process = await shell('umask', stdout=PIPE,
                          preexec_fn=lambda: os.umask(0o77) and None)
    out, _ = await process.communicate()
    assert int(out, 8) == 0o77


@pytest.mark.parametrize('kwargs, text', [
    ({'universal_newlines': True}, 'universal_newlines must be False'),
    ({'bufsize': 5}, 'bufsize must be 0'), ({'text': True},
                                           'text must be False'),
    ({'encoding': 'utf-8'}, 'encoding must be None'),
    ({'errors': 'strict'}, 'errors must be None')])
async def test_text_modes_are_refused(loop, kwargs, text):
    assert await araised(program('true', **kwargs)) == (ValueError, text)
    assert await araised(shell('true', **kwargs)) == (ValueError, text)


async def test_the_shell_wants_a_string(loop):
    assert await araised(shell(['true'])) == (
        ValueError, 'cmd must be a string')


# Protocols and transports


async def test_what_the_protocol_is_told(loop):
    transport, protocol = await loop.subprocess_shell(
        Calls, 'cat; echo err >&2; exit 3')
    assert protocol.log == ['made'] and protocol.transport is transport
    stdin = transport.get_pipe_transport(0)
    stdin.write(b'through')
    stdin.write_eof()
    assert await protocol.lost is None
    assert protocol.data == {1: b'through', 2: b'err\n'}
    assert protocol.log[0] == 'made' and protocol.log[-1] == 'lost'
    assert sorted(protocol.log[1:-1]) == [
        'exited', 'pipe 0 lost', 'pipe 1 lost', 'pipe 2 lost']
    assert transport.get_returncode() == 3
    transport.close()


async def test_what_the_transport_is(loop):
    transport, protocol = await loop.subprocess_exec(
        Calls, 'sleep', '1000', stdin=None, stderr=DEVNULL)
    assert isinstance(transport, asyncio.SubprocessTransport)
    pid = transport.get_pid()
    assert transport.get_extra_info('subprocess').pid == pid
    assert transport.get_returncode() is None
    assert transport.get_pipe_transport(0) is None
    assert transport.get_pipe_transport(2) is None
    assert transport.get_pipe_transport(1) is not None
    assert f' pid={pid} running stdout=<' in repr(transport)
    assert transport.get_protocol() is protocol
    transport.kill()
    await protocol.lost
    assert transport.get_returncode() == -9
    assert f' pid={pid} returncode=-9' in repr(transport)
    with pytest.raises(ProcessLookupError):
        transport.send_signal(0)
    transport.close()
    assert transport.is_closing()


async def test_close_kills_the_child(loop):
    transport, protocol = await loop.subprocess_exec(Calls, 'sleep', '1000')
    transport.close()
    transport.close()
    assert transport.is_closing()
    await protocol.lost
    assert transport.get_returncode() == -9


@pytest.mark.parametrize('count', range(6))
async def test_starting_is_cancelled(loop, count):
    task = loop.create_task(program('sleep', '1000', stdin=PIPE, stdout=PIPE))
    await turns(count)
    if task.done():
        process = await task
        process.kill()
        await process.communicate()
        return
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await turns(5)


async def test_from_several_threads_at_once(loop, new_loop):
    results = []

    def work(number):
        other = new_loop()

        async def body():
            process = await shell(f'exit {number}')
            results.append(await process.wait())

        other.run_until_complete(body())
        other.close()

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        await loop.run_in_executor(None, thread.join)
    assert sorted(results) == [0, 1, 2, 3]
    await loop.shutdown_default_executor()


def test_closing_the_loop_while_a_child_runs(new_loop, noise):
    loop = new_loop()

    async def body():
        return await loop.subprocess_exec(Calls, 'sleep', '1000',
                                          stdin=None, stdout=None,
                                          stderr=None)

    transport, protocol = loop.run_until_complete(body())
    pid = transport.get_pid()
    transport.close()
    loop.run_until_complete(asyncio.wait_for(protocol.lost, 10))
    loop.close()
    assert raised(os.kill, pid, 0)[0] is ProcessLookupError
