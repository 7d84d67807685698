# SPDX-License-Identifier: MIT
"""
Other people's programs, run on rota's loop: `python3 -m rota SCRIPT`.

What makes a loop in asyncio is changed first: the default policy's factory,
from which asyncio.run, Runner, new_event_loop and get_event_loop have theirs,
and the classes of loops that programs name. A program that names the loop of
somebody else has that.

Then the program takes the place of this one, as if it had been started by
`python3 SCRIPT`: a new module __main__, sys.argv, sys.path, exit codes. An
exception that ends it is left to Python, because that knows what to exit with.
Only the frames below the program's are taken away when it is shown.
"""

import asyncio
import builtins
import io
import linecache
import multiprocessing.spawn
import os
import pkgutil
import sys
import textwrap
import types
from asyncio import unix_events
from importlib.machinery import (BuiltinImporter, SourceFileLoader,
                                 SourcelessFileLoader)
from runpy import _run_module_as_main as run_as_main  # type: ignore
from typing import Any, Callable

from rota import Loop, __version__
from rota._policy import EventLoopPolicy

USAGE = """\
usage: python3 -m rota SCRIPT [ARGUMENT...]
       python3 -m rota -m MODULE [ARGUMENT...]
       python3 -m rota -c COMMAND [ARGUMENT...]
       python3 -m rota --version

Runs a program that uses asyncio on rota's event loop. SCRIPT is a file, a
folder or zip archive with a __main__.py, or - for the standard input.
"""


def main() -> None:
    """Does what the command line says; see USAGE."""
    arguments = sys.argv[1:]
    if arguments[:1] in (['-h'], ['--help']):
        print(USAGE, end='')
    elif arguments == ['--version']:
        print('rota', __version__)
    elif arguments[:1] == ['-m'] and len(arguments) > 1:
        take_over_asyncio()
        run(run_module, arguments[1:])
    elif arguments[:1] == ['-c'] and len(arguments) > 1:
        take_over_asyncio()
        run(run_command, arguments[1:])
    elif arguments[:1] == ['-'] or arguments and arguments[0][:1] != '-':
        take_over_asyncio()
        run(run_script, arguments)
    else:
        print(USAGE, end='', file=sys.stderr)
        sys.exit(2)


# The loop


def take_over_asyncio() -> None:
    """From here on each loop that asyncio makes is rota's."""
    setattr(EventLoopPolicy.__base__, '_loop_factory', Loop)
    for module in asyncio, unix_events:
        for name in 'SelectorEventLoop', 'EventLoop':
            if hasattr(module, name):
                setattr(module, name, Loop)
    multiprocessing.spawn.get_preparation_data = preparation_data


plain_preparation_data = multiprocessing.spawn.get_preparation_data


def preparation_data(name: str) -> dict[str, Any]:
    """What multiprocessing tells a process that it starts afresh."""
    return {**plain_preparation_data(name), 'rota': TakeOver()}


class TakeOver:
    """Whoever unpickles it has rota's loop from then on."""

    def __reduce__(self) -> tuple[Callable[[], None], tuple[()]]:
        return take_over_asyncio, ()


# The program


def run(how: Callable[[str], None], arguments: list[str]) -> None:
    """Runs a program in the place of this one."""
    sys.argv[:] = arguments
    module = sys.modules['__main__'] = types.ModuleType('__main__')
    module.__dict__['__builtins__'] = builtins
    if sys.version_info < (3, 14):
        module.__annotations__ = {}
    try:
        how(arguments[0])
    except SystemExit:
        raise
    except BaseException:
        show_without_these_frames()
        raise


def run_module(name: str) -> None:
    sys.argv[0] = '-m'
    run_as_main(name)


def run_command(command: str) -> None:
    sys.argv[0] = '-c'
    put_in_path('')
    if sys.version_info >= (3, 14):
        command = textwrap.dedent(command)
    code = compile(command, '<string>', 'exec', dont_inherit=True)
    # Since Python 3.13 a traceback shows the lines of a command, too.
    register = getattr(linecache, '_register_code', None)
    if register:
        register(code, command, '<string>')
    run_code(code, None, BuiltinImporter)


def run_script(name: str) -> None:
    if name == '-':
        put_in_path('')
        with open(0, 'rb', closefd=False) as file:
            code = compile(file.read(), '<stdin>', 'exec', dont_inherit=True)
        run_code(code, '<stdin>', BuiltinImporter)
        return
    path = name if os.path.isabs(name) else os.path.join(os.getcwd(), name)
    if pkgutil.get_importer(path) is not None:
        put_in_path(path)
        run_as_main('__main__', alter_argv=False)
        return
    put_in_path(os.path.dirname(os.path.realpath(path)))
    run_code(*code_of(path))


def run_code(code: types.CodeType, file: str | None, loader: Any) -> None:
    names = sys.modules['__main__'].__dict__
    names['__loader__'] = loader
    if file is not None:
        names.update(__cached__=None, __file__=file)
    exec(code, names)


def code_of(path: str) -> tuple[types.CodeType, str, Any]:
    try:
        with io.open_code(path) as file:
            code = pkgutil.read_code(file)
            if code:
                return code, path, SourcelessFileLoader('__main__', path)
            file.seek(0)
            source = file.read()
    except OSError as error:
        sys.stderr.write(f"{sys.orig_argv[0]}: can't open file {path!r}: "
                         f'[Errno {error.errno}] {error.strerror}\n')
        sys.exit(2)
    code = compile(source, path, 'exec', dont_inherit=True)
    return code, path, SourceFileLoader('__main__', path)


def put_in_path(folder: str) -> None:
    """Puts a script's folder where `-m` has put the current one."""
    if not sys.flags.safe_path:
        sys.path[0] = folder


# How it ends


def show_without_these_frames() -> None:
    """The traceback of what ends the program will begin in the program."""
    hook = sys.excepthook

    def show(kind: type[BaseException], exc: BaseException,
             traceback: types.TracebackType | None) -> None:
        sys.excepthook = hook
        exc.__traceback__ = sys.last_traceback = above(traceback)
        hook(kind, exc, exc.__traceback__)

    sys.excepthook = show


def above(traceback: types.TracebackType | None) -> types.TracebackType | None:
    """What is left of a traceback above the last frame of this file."""
    rest = traceback
    while traceback:
        if traceback.tb_frame.f_globals is globals():
            rest = traceback.tb_next
        traceback = traceback.tb_next
    return rest
