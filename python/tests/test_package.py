# SPDX-License-Identifier: MIT
"""
The package as others see it: type checkers, help(), and who installs it.
"""

import asyncio
import inspect
import json
import os
import shutil
import subprocess
import sys
import tomllib
from asyncio import selector_events, sslproto, unix_events
from pathlib import Path

import pytest
import rota
from programs import SOURCE
from rota import _core, _tls

PACKAGE = SOURCE / 'python' / 'rota'

# What a program that is checked strictly may do.
TYPED = '''\
import asyncio
import signal

import rota


async def main(name: str) -> int:
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, loop.stop)
    transport, protocol = await loop.create_connection(
        asyncio.Protocol, name, 80)
    transport.write(b"x")
    transport.close()
    return 5


def by_hand() -> None:
    loop: rota.Loop = rota.new_event_loop()
    base: asyncio.AbstractEventLoop = loop
    handle: asyncio.TimerHandle = loop.call_later(1.0, print, "x", 5)
    handle.cancel()
    number: int = base.run_until_complete(main("x"))
    print(number)
    loop.close()


with asyncio.Runner(debug=True, loop_factory=rota.new_event_loop) as runner:
    runner.run(main("x"))
with asyncio.Runner(loop_factory=rota.Loop) as runner:
    runner.run(main("x"))
number: int = rota.run(main("x"), debug=False)
policy: asyncio.AbstractEventLoopPolicy = rota.EventLoopPolicy()
asyncio.set_event_loop_policy(policy)
rota.install()
version: str = rota.__version__
'''

UNTYPED = '''\
import rota


async def main() -> str:
    return "text"


number: int = rota.run(main())
rota.run(main)
rota.run(main(), debug="yes")
rota.new_event_loop(5)
'''


@pytest.fixture
def mypy(tmp_path):
    """Runs a module of mypy's where the package lies beside a program."""
    pytest.importorskip('mypy')
    shutil.copytree(Path(rota.__file__).parent, tmp_path / 'rota')

    def run(module, *arguments, program=''):
        (tmp_path / 'program.py').write_text(program, encoding='utf-8')
        done = subprocess.run(
            [sys.executable, '-m', module, *arguments], cwd=tmp_path,
            env={**os.environ, 'MYPYPATH': str(tmp_path)},
            capture_output=True, encoding='utf-8')
        return done.stdout + done.stderr, done.returncode

    return run


def test_a_strictly_typed_program_passes(mypy):
    told, code = mypy('mypy', '--strict', 'program.py', program=TYPED)
    assert (told[:8], code) == ('Success:', 0), told


def test_wrong_types_are_found(mypy):
    told, code = mypy('mypy', '--strict', 'program.py', program=UNTYPED)
    assert [line.split(':')[1] for line in told.splitlines()
            if ': error: ' in line] == ['8', '9', '10', '11'], told


def test_the_stubs_are_those_of_the_package(mypy):
    told, code = mypy('mypy.stubtest', 'rota')
    assert code == 0, told


def test_the_package_itself_is_strictly_typed(mypy):
    told, code = mypy('mypy', '--strict', '-p', 'rota')
    assert code == 0, told


# Our classes, and asyncio's that they stand for.
CLASSES = [
    (rota.Loop, asyncio.SelectorEventLoop),
    (_core.Handle, asyncio.Handle),
    (_core.TimerHandle, asyncio.TimerHandle),
    (_core.SocketTransport, selector_events._SelectorSocketTransport),
    (_core.DatagramTransport, selector_events._SelectorDatagramTransport),
    (_core._UnixReadPipeTransport, unix_events._UnixReadPipeTransport),
    (_core._UnixWritePipeTransport, unix_events._UnixWritePipeTransport),
    (_tls.SSLTransport, sslproto._SSLProtocolTransport),
]
BY_VERSION = {'create_task'}  # it takes whatever a Task takes


def methods(kind):
    return {name for name in dir(kind)
            if name[0] != '_' and callable(getattr(kind, name))}


@pytest.mark.parametrize('ours, theirs', CLASSES)
def test_the_methods_have_asyncio_s_arguments(ours, theirs):
    def arguments(kind, name):
        signature = inspect.signature(getattr(kind, name))
        return [(parameter.name, parameter.default)
                for parameter in signature.parameters.values()]

    assert methods(ours) >= methods(theirs)
    for name in methods(theirs) - BY_VERSION:
        assert arguments(ours, name) == arguments(theirs, name), name


def test_what_is_public_says_what_it_does():
    kinds = [ours for ours, _ in CLASSES] + [rota.EventLoopPolicy]
    for named in rota, *kinds, *(getattr(rota, name) for name in rota.__all__):
        assert named.__doc__, named
    for kind in kinds:
        for part in kind.__mro__:
            if part.__module__.split('.')[0] != 'rota':
                continue
            for name in methods(part) & vars(part).keys():
                assert getattr(part, name).__doc__, name


def test_each_file_is_installed_and_nothing_else(tmp_path):
    if not shutil.which('meson'):
        pytest.skip('meson is not installed')
    build = tmp_path / 'build'
    settings = tomllib.loads((SOURCE / 'pyproject.toml').read_text())
    done = subprocess.run(
        ['meson', 'setup', build, SOURCE, f'-Dinterpreter={sys.executable}',
         *settings['tool']['meson-python']['args']['setup']],
        stdout=subprocess.PIPE, encoding='utf-8')
    if 'missing distutils' in done.stdout:
        pytest.skip('meson is too old for this Python')
    assert done.returncode == 0, done.stdout
    plan = json.loads((build / 'meson-info/intro-install_plan.json').read_text())
    installed = {Path(details['destination'])
                 for files in plan.values() for details in files.values()}
    assert {path.parent for path in installed} == {Path('{py_platlib}/rota')}
    names = {path.name for path in installed}
    [core] = [name for name in names if name.startswith('_core.')]
    assert names - {core} == {
        path.name for path in PACKAGE.iterdir()
        if path.suffix in ('.py', '.pyi', '.typed')}


def test_what_the_project_says_of_itself_is_true():
    project = tomllib.loads((SOURCE / 'pyproject.toml').read_text())['project']
    for name in project['readme'], project['license']['file']:
        assert (SOURCE / name).is_file()
    assert sys.version_info >= tuple(
        map(int, project['requires-python'].removeprefix('>=').split('.')))
