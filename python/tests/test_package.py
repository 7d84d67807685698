# SPDX-License-Identifier: MIT
"""
The package as others see it: type checkers, and who installs it.
"""

import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import rota
from programs import SOURCE

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
