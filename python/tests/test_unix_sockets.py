# SPDX-License-Identifier: MIT
"""
Unix sockets: paths, abstract names, what is left of them, errors.
"""

import asyncio
import errno
import os
import pathlib
import socket
import stat

import pytest
from two_loops import (Written, araised, eventually, since, before, turns)


async def talk(loop, path, **kwargs):
    """A server and a client at the path say something to each other."""
    kept = []

    def factory():
        kept.append(Written())
        return kept[-1]

    server = await loop.create_unix_server(factory, path)
    transport, protocol = await loop.create_unix_connection(Written, path)
    transport.write(b'question')
    await eventually(lambda: kept and kept[0].log)
    assert await kept[0].received(8) == b'question'
    kept[0].transport.write(b'answer')
    assert await protocol.received(6) == b'answer'
    transport.close()
    await protocol.lost
    await kept[0].lost
    server.close()
    await server.wait_closed()
    await turns(2)
    return transport, kept[0].transport


@pytest.mark.parametrize('kind', [str, os.fsencode, pathlib.Path])
async def test_a_path(loop, tmp_path, kind):
    path = tmp_path / 'sock'
    transport, accepted = await talk(loop, kind(path))
    assert transport.get_extra_info('peername') == str(path)
    assert transport.get_extra_info('sockname') == ''
    assert accepted.get_extra_info('sockname') == str(path)
    assert accepted.get_extra_info('peername') == ''


@pytest.mark.parametrize('kind', [str, os.fsencode])
async def test_an_abstract_name(loop, kind):
    name = f'\0rota-test-{os.getpid()}'
    transport, _ = await talk(loop, kind(name))
    assert transport.get_extra_info('peername') == os.fsencode(name)


async def test_a_stale_socket_is_replaced(loop, tmp_path):
    path = tmp_path / 'sock'
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))
    assert stat.S_ISSOCK(path.stat().st_mode)
    await talk(loop, path)


@before[(3, 13)]
async def test_the_path_stays_behind(loop, tmp_path):
    await talk(loop, tmp_path / 'sock')
    assert (tmp_path / 'sock').exists()


@since[(3, 13)]
@pytest.mark.parametrize('cleanup', [True, False])
async def test_the_path_is_removed(loop, tmp_path, cleanup):
    path = tmp_path / 'sock'
    server = await loop.create_unix_server(Written, path,
                                           cleanup_socket=cleanup)
    server.close()
    await turns(2)
    assert path.exists() == (not cleanup)


async def test_a_path_that_is_an_ordinary_file(loop, tmp_path):
    path = tmp_path / 'file'
    path.write_text('precious')
    with pytest.raises(OSError) as info:
        await loop.create_unix_server(Written, path)
    assert info.value.errno == errno.EADDRINUSE
    assert info.value.strerror == f'Address {str(path)!r} is already in use'
    assert path.read_text() == 'precious'


async def test_a_path_that_does_not_exist(loop, tmp_path):
    with pytest.raises(FileNotFoundError):
        await loop.create_unix_connection(Written, tmp_path / 'nothing')
    with pytest.raises(FileNotFoundError):
        await loop.create_unix_server(Written, tmp_path / 'no' / 'sock')


async def test_a_path_where_nobody_listens(loop, tmp_path):
    path = str(tmp_path / 'sock')
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(path)
        with pytest.raises(ConnectionRefusedError) as info:
            await loop.create_unix_connection(Written, path)
        assert info.value.errno == errno.ECONNREFUSED


async def test_a_path_that_is_too_long(loop, tmp_path):
    path = str(tmp_path / ('x' * 200))
    text = 'AF_UNIX path too long'
    assert await araised(loop.create_unix_connection(Written, path)) == (
        OSError, text)
    assert await araised(loop.create_unix_server(Written, path)) == (
        OSError, text)


async def test_sockets_may_be_given(loop, tmp_path):
    path = str(tmp_path / 'sock')
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    kept = []

    def factory():
        kept.append(Written())
        return kept[-1]

    server = await loop.create_unix_server(factory, sock=listener)
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(path)
    transport, protocol = await loop.create_unix_connection(
        Written, sock=sock)
    await eventually(lambda: kept and kept[0].log)
    transport.close()
    await protocol.lost
    await kept[0].lost
    server.close()


async def test_arguments_that_make_no_sense(loop, tmp_path):
    connect, serve = loop.create_unix_connection, loop.create_unix_server
    assert await araised(connect(Written)) == (
        ValueError, 'no path and sock were specified')
    assert await araised(serve(Written)) == (
        ValueError, 'path was not specified, and no sock specified')
    assert await araised(serve(Written, 'x', ssl=True)) == (
        TypeError, 'ssl argument must be an SSLContext or None')
    assert await araised(connect(Written, 'x', server_hostname='x')) == (
        ValueError, 'server_hostname is only meaningful with ssl')
    assert await araised(connect(Written, 'x', ssl=True)) == (
        ValueError, 'you have to pass server_hostname when using ssl')
    with socket.socket() as sock:
        for method in (connect, serve):
            assert await araised(method(Written, 'x', sock=sock)) == (
                ValueError,
                'path and sock can not be specified at the same time')
            assert await araised(method(Written, sock=sock)) == (
                ValueError,
                f'A UNIX Domain Stream Socket was expected, got {sock!r}')


async def test_streams(loop, tmp_path):
    path = tmp_path / 'sock'
    done = loop.create_future()

    async def serve(reader, writer):
        writer.write(await reader.readline())
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        done.set_result(None)

    async with await asyncio.start_unix_server(serve, path):
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b'line\nrest')
        assert await reader.read() == b'line\n'
        writer.close()
        await writer.wait_closed()
        await done
