# SPDX-License-Identifier: MIT
"""
`python3 -m rota`: programs run as `python3` runs them, on rota's loop.

Each program here runs both ways. What it prints, on stdout and on stderr, and
its exit code must be the same; then nothing of rota's is in a traceback.
"""

import compileall
import re
import signal
import subprocess
import sys
import textwrap
import zipfile

import pytest
from programs import ENVIRONMENT, PATIENCE, RUNNERS, command

# What a program sees of itself.
MIRROR = '''\
"""A mirror."""
import sys
names = dict(globals())
del names['sys'], names['__builtins__']
print({name: names[name] for name in sorted(names)})
print(sys.argv, sys.path[:2], __builtins__.__name__)
print(sys.modules['__main__'].__dict__ is globals())
'''

# How each of asyncio's ways to make a loop answers.
WAYS = '''\
import asyncio, concurrent.futures, multiprocessing, threading, unittest
import warnings

import rota

warnings.simplefilter('ignore', DeprecationWarning)

def told(way, loop):
    print(way, type(loop).__mro__.index(rota.Loop), flush=True)

def made(way, make, *arguments):
    loop = make(*arguments)
    told(way, loop)
    loop.close()

async def running(way):
    told(way, asyncio.get_running_loop())
    assert asyncio.get_event_loop() is asyncio.get_running_loop()

class Case(unittest.IsolatedAsyncioTestCase):
    async def test(self):
        await running('case')

class Own(asyncio.SelectorEventLoop):
    pass

class Policy(asyncio.DefaultEventLoopPolicy):
    pass

def main():
    asyncio.run(running('run'))
    with asyncio.Runner() as runner:
        runner.run(running('runner'))
    made('new_event_loop', asyncio.new_event_loop)
    made('SelectorEventLoop', asyncio.SelectorEventLoop)
    made('EventLoop', getattr(asyncio, 'EventLoop', asyncio.new_event_loop))
    made('derived', Own)
    made('policy', asyncio.get_event_loop_policy().new_event_loop)
    asyncio.set_event_loop_policy(Policy())
    asyncio.run(running('own policy'))
    asyncio.set_event_loop_policy(None)
    made('default policy', asyncio.new_event_loop)
    thread = threading.Thread(target=asyncio.run, args=[running('thread')])
    thread.start()
    thread.join()
    Case('test').run()
    for method in 'fork', 'spawn', 'forkserver':
        context = multiprocessing.get_context(method)
        child = context.Process(
            target=made, args=[method, asyncio.new_event_loop])
        child.start()
        child.join()
        with concurrent.futures.ProcessPoolExecutor(
                1, mp_context=context) as pool:
            pool.submit(made, method, asyncio.new_event_loop).result()

if __name__ == '__main__':
    main()
'''


@pytest.fixture
def folder(tmp_path):
    """Writes programs into a folder that they are then run in."""
    def write(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding='utf-8')
        return name

    write.path = tmp_path
    return write


def run(loop, folder, *arguments, options=(), **more):
    python, *rest = command(loop, *arguments)
    done = subprocess.run(
        [python, *options, *rest], cwd=folder.path, env=ENVIRONMENT,
        timeout=PATIENCE, capture_output=True, encoding='utf-8', **more)
    return (re.sub(r'\b0x[0-9a-f]+', 'ADDRESS', done.stdout), done.stderr,
            done.returncode)


def same(folder, *arguments, **more):
    """What a program prints on both, and its exit code."""
    on_asyncio, on_rota = [
        run(loop, folder, *arguments, **more) for loop in RUNNERS]
    assert on_rota == on_asyncio
    return on_rota


# The loop


def test_each_way_to_a_loop_leads_to_rota_s(folder):
    stdout, stderr, code = run('rota', folder, folder('ways.py', WAYS))
    assert (stderr, code) == ('', 0)
    lines = stdout.splitlines()
    assert len(lines) == 17
    assert [line for line in lines if not line.endswith(' 0')] == ['derived 1']


def test_a_program_may_choose_another_loop(folder):
    folder('own.py', '''\
        import asyncio
        from asyncio import unix_events

        class Loop(unix_events._UnixSelectorEventLoop):
            pass

        async def main():
            print(type(asyncio.get_running_loop()) is Loop)

        with asyncio.Runner(loop_factory=Loop) as runner:
            runner.run(main())
        ''')
    assert same(folder, 'own.py')[0] == 'True\n'


# What the program sees


@pytest.mark.parametrize('name', [
    'mirror.py', './mirror.py', 'sub/mirror.py', 'sub/../mirror.py', 'linked'])
def test_a_script_sees_what_python_shows_it(folder, name):
    folder('mirror.py', MIRROR)
    folder('sub/mirror.py', MIRROR)
    folder('linked_to/mirror.py', MIRROR)
    (folder.path / 'linked').symlink_to('linked_to/mirror.py')
    stdout, stderr, code = same(folder, name, 'a', '-b', '--', '-m')
    assert "'a', '-b', '--', '-m'] [" in stdout
    assert (stderr, code) == ('', 0)


def test_an_absolute_path_stays_one(folder):
    same(folder, folder.path / folder('mirror.py', MIRROR), 'a')


def test_a_module_sees_what_python_shows_it(folder):
    folder('mirror.py', MIRROR)
    folder('pack/__init__.py', '')
    folder('pack/mirror.py', MIRROR)
    folder('pack/__main__.py', 'from . import beside\n' + MIRROR)
    folder('pack/beside.py', '')
    for name in 'mirror', 'pack', 'pack.mirror', 'pack.__main__':
        stdout, stderr, code = same(folder, '-m', name, 'a', '-b')
        assert "'a', '-b'] [" in stdout
        assert (stderr, code) == ('', 0)


def test_a_folder_and_an_archive_with_a_main_are_programs(folder):
    folder('whole/__main__.py', 'import beside\n' + MIRROR)
    folder('whole/beside.py', 'print(__name__)')
    with zipfile.ZipFile(folder.path / 'whole.zip', 'w') as archive:
        for name in '__main__.py', 'beside.py':
            archive.write(folder.path / 'whole' / name, name)
    for name in 'whole', 'whole.zip':
        assert same(folder, name, 'a')[0].startswith('beside\n')


def test_a_compiled_file_is_a_program(folder):
    folder('mirror.py', MIRROR)
    compileall.compile_file(folder.path / 'mirror.py', legacy=True, quiet=1)
    assert same(folder, 'mirror.pyc', 'a')[2] == 0


def test_the_standard_input_is_a_program(folder):
    same(folder, '-', 'a', '-b', input=MIRROR)
    same(folder, '-', input='def f():\n    raise ValueError\nf()\n')


def test_a_command_is_a_program(folder):
    stdout, stderr, code = same(folder, '-c', MIRROR, 'a', '-b', '--', '-m')
    assert "['-c', 'a', '-b', '--', '-m'] [''" in stdout
    assert (stderr, code) == ('', 0)
    folder('beside.py', 'print(__name__)')
    assert same(folder, '-c', 'import beside')[0] == 'beside\n'
    for command in '', '# nothing', '    print(1)', '\n  print(1)\n  print(2)':
        same(folder, '-c', command)


def test_processes_of_a_command_have_rota_s_loop_too(folder):
    folder('beside.py', WAYS)
    stdout, stderr, code = run('rota', folder, '-c', """\
import asyncio, multiprocessing, beside
for method in 'fork', 'spawn', 'forkserver':
    child = multiprocessing.get_context(method).Process(
        target=beside.made, args=[method, asyncio.new_event_loop])
    child.start()
    child.join()
""")
    assert (stdout, stderr, code) == ('fork 0\nspawn 0\nforkserver 0\n', '', 0)


def test_python_s_own_options_go_before(folder):
    folder('options.py', '''\
        import sys, warnings
        print(sys.flags, sys.path[0], __name__)
        warnings.warn('seen')
        ''')
    command = (folder.path / 'options.py').read_text()
    for options in ['-P'], ['-W', 'error'], ['-OO'], ['-X', 'dev'], ['-u']:
        same(folder, 'options.py', options=options)
        same(folder, '-m', 'options', options=options)
        same(folder, '-c', command, options=options)


def test_functions_of_main_can_be_sent_to_processes(folder):
    folder('sent.py', '''\
        import multiprocessing, pickle, sys

        def work(number):
            print(__name__, number, sys.argv, flush=True)

        if __name__ == '__main__':
            assert pickle.loads(pickle.dumps(work)) is work
            for method in 'fork', 'spawn', 'forkserver':
                context = multiprocessing.get_context(method)
                child = context.Process(target=work, args=[1])
                child.start()
                child.join()
                print(child.exitcode)
        ''')
    for arguments in ['sent.py', 'a'], ['-m', 'sent', 'b']:
        stdout = same(folder, *arguments)[0]
        assert stdout.count('__mp_main__ 1 ') == 2
        assert stdout.count('__main__ 1 ') == 1


# How it ends

ENDS = {
    'nothing': '',
    'exit': 'raise SystemExit',
    'exit_with_a_number': 'import sys; sys.exit(7)',
    'exit_with_a_text': 'import sys; sys.exit("no more")',
    'exit_from_a_task': '''\
        import asyncio
        async def main():
            raise SystemExit(3)
        asyncio.run(main())
        ''',
    'error': 'def f():\n    raise ValueError("bad")\nf()',
    'error_in_a_task': '''\
        import asyncio
        async def main():
            try:
                await asyncio.sleep(0)
                1 / 0
            except ArithmeticError as error:
                raise LookupError('worse') from error
        asyncio.run(main())
        ''',
    'errors_in_a_group': '''\
        import asyncio
        async def bad(number):
            raise ValueError(number)
        async def main():
            async with asyncio.TaskGroup() as group:
                group.create_task(bad(1))
                group.create_task(bad(2))
        asyncio.run(main())
        ''',
    'error_while_imported': 'import no_such_module',
    'syntax': 'def f(:\n    pass\n',
    'indentation': 'if True:\npass\n',
    'interrupt': 'raise KeyboardInterrupt',
    'interrupt_in_a_task': '''\
        import asyncio, os, signal
        async def main():
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.sleep(1000)
        asyncio.run(main())
        ''',
    'interrupt_that_is_caught': '''\
        import asyncio, os, signal
        async def main():
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.sleep(1000)
        try:
            asyncio.run(main())
        except KeyboardInterrupt:
            print('caught')
        ''',
    'killed': 'import os; os.kill(os.getpid(), 9)',
    'hook_of_its_own': '''\
        import sys, traceback
        def hook(kind, error, frames):
            print(kind, error, traceback.format_tb(frames))
            print(frames is sys.last_traceback is error.__traceback__)
            print(sys.excepthook is hook)
        sys.excepthook = hook
        def f():
            raise ValueError('bad')
        f()
        ''',
    'hook_put_back': '''\
        import sys
        sys.excepthook = None
        sys.excepthook = sys.__excepthook__
        raise ValueError('bad')
        ''',
    'threads_and_exit_functions': '''\
        import atexit, threading
        class Thing:
            def __del__(self):
                print('deleted', __name__)
        atexit.register(print, 'at exit')
        thing, other = Thing(), Thing()
        thing.self = thing
        start = threading.Event()
        threading.Thread(
            target=lambda: (start.wait(), print('thread'))).start()
        start.set()
        raise ValueError('bad')
        ''',
}


@pytest.mark.parametrize('name', ENDS)
def test_a_program_ends_as_on_python(folder, name):
    folder('ends.py', ENDS[name])
    same(folder, 'ends.py')
    same(folder, '-m', 'ends')
    same(folder, '-c', textwrap.dedent(ENDS[name]))


def test_what_is_not_there_is_told_as_python_tells_it(folder):
    folder('pack/__init__.py', '')
    folder('empty/nothing.txt', '')
    folder('module.py', '')
    for arguments in ['no_such.py'], ['empty'], ['pack'], ['module.py/x']:
        assert same(folder, *arguments)[2] != 0
    for name in 'no_such', 'pack', 'pack.no_such', 'module.py', 'empty':
        assert same(folder, '-m', name)[2] == 1


def test_ctrl_c_ends_it_by_the_signal(folder):
    folder('waits.py', '''\
        import asyncio
        async def main():
            print('ready', flush=True)
            try:
                await asyncio.sleep(1000)
            finally:
                print('cancelled')
        asyncio.run(main())
        ''')
    told = []
    for loop in RUNNERS:
        with subprocess.Popen(
                command(loop, 'waits.py'), cwd=folder.path, env=ENVIRONMENT,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                encoding='utf-8') as program:
            try:
                assert program.stdout.readline() == 'ready\n'
                program.send_signal(signal.SIGINT)
                stdout, stderr = program.communicate(timeout=PATIENCE)
            finally:
                program.kill()
        assert (stdout, program.returncode) == ('cancelled\n', -signal.SIGINT)
        assert stderr.endswith('\nKeyboardInterrupt\n')
        told.append(re.match(r'.*?(?=  File "[^"]*/asyncio/)', stderr, re.S)[0])
    assert told[0] == told[1]


# The command line


@pytest.mark.parametrize('arguments', [[], ['-m'], ['-c'], ['-x']])
def test_a_wrong_command_line_is_explained(folder, arguments):
    stdout, stderr, code = run('rota', folder, *arguments)
    assert (stdout, code) == ('', 2)
    assert stderr.startswith('usage: python3 -m rota SCRIPT [ARGUMENT...]\n')


def test_help_and_version_are_told(folder):
    import rota

    assert run('rota', folder, '--version') == (
        f'rota {rota.__version__}\n', '', 0)
    for option in '-h', '--help':
        stdout, stderr, code = run('rota', folder, option)
        assert stdout.startswith('usage: ') and (stderr, code) == ('', 0)
