# SPDX-License-Identifier: MIT
"""
The programs of examples/python, unchanged on rota: what each prints, on
stdout and on stderr, and its exit code, are those that it has on asyncio.

Masked are times, addresses, the loop's class, the frames of asyncio in a
traceback, and where Python noticed that nobody awaits a coroutine.
"""

import re
import sys

import pytest
from programs import SOURCE, delay_server, need, run_on_both

EXAMPLES = SOURCE / 'examples' / 'python'
NAMES = sorted(path.stem for path in EXAMPLES.glob('*.py'))

# SERVER is a delay_server's address.
ARGUMENTS = {
    'blocking_call': ['0.3'],
    'blocking_sleep': ['0.3'],
    'fetch_nested': ['SERVER'],
    'fetch_slow': ['SERVER/delay/1', 'SERVER/delay/0.5'],
    'fetch_slow_httpx': ['SERVER'],
}

# As they stand, they end with an exception.
FAILING = {'tutorial'}
if sys.version_info >= (3, 14):  # it makes no loop that was not asked for
    FAILING |= {'explicit_loop', 'manual_control', 'current_loop_outside'}
    # nest_asyncio 1.6 does not know where the current task is there.
    FAILING |= {'fetch_nested', 'fetch_slow_httpx'}

FRAME = (r'^  File "[^"]*/(asyncio/\w+|rota/_\w+)\.py", line .*\n'
         r'(    .*\n)*')

MASKS = [
    (FRAME, ''),
    (r'\b0x[0-9a-f]+', 'ADDRESS'),
    (r'\b\d+\.\d+(?=s\b|x\b| seconds\b)', 'N'),
    (r'(Loop time: )\d+\.\d+', r'\1N'),
    (r"<class '(asyncio|rota)\.[\w.]+'>", 'CLASS'),
    (r'<\w*Loop (?=running=)', '<LOOP '),
    (r'^\S+:\d+: (?=RuntimeWarning: )', ''),
]


def masked(text):
    for pattern, mask in MASKS:
        text = re.sub(pattern, mask, text, flags=re.M)
    return text


def told(done):
    """What is compared of a program that has ended."""
    stdout, stderr, code = done
    return {'stdout': masked(stdout), 'stderr': masked(stderr), 'code': code}


def check_same(script, *arguments):
    need(script)
    on_asyncio, on_rota = map(told, run_on_both(script, *arguments))
    assert on_rota == on_asyncio
    return on_rota


@pytest.mark.parametrize('name', NAMES)
def test_example_tells_the_same_on_both_loops(name):
    script = EXAMPLES / f'{name}.py'
    arguments = ARGUMENTS.get(name, [])
    if 'SERVER' in ' '.join(arguments):
        with delay_server() as server:
            check_fetches(script, [
                argument.replace('SERVER', server) for argument in arguments])
        return
    done = check_same(script, *arguments)
    assert done['code'] == (1 if name in FAILING else 0)
    assert done['stderr' if name in FAILING else 'stdout']


def check_fetches(script, arguments):
    """Answers that come at once come in any order, told as a first run's."""
    need(script)
    on_asyncio, on_rota = map(told, run_on_both(script, *arguments))
    for done in on_asyncio, on_rota:
        if script.stem == 'fetch_slow_httpx':
            done['stdout'] = sorted(done['stdout'].splitlines())
    assert on_rota == on_asyncio
    fails = script.stem in FAILING
    assert (on_rota['code'], on_rota['stderr'] != '') == (fails, fails)


def test_two_slow_fetches_overlap():
    with delay_server() as server:
        page = f'{server}/delay/1'
        for stdout, _, _ in run_on_both(EXAMPLES / 'fetch_slow.py', page, page):
            seconds = re.search(r'Total time: ([\d.]+)s', stdout)
            assert 1 <= float(seconds[1]) < 2


def test_a_refused_page_ends_the_fetch_in_the_same_way():
    with delay_server() as server:
        done = check_same(EXAMPLES / 'fetch_slow.py', f'{server}/nothing')
    assert 'status 404' in done['stderr'] and done['code'] == 1


@pytest.mark.parametrize('difference', [
    'print(name)', 'print(name, file=sys.stderr)', 'sys.exit(name == "rota")'])
def test_a_program_that_differs_is_noticed(tmp_path, difference):
    script = tmp_path / 'differs.py'
    script.write_text(
        'import asyncio\nimport sys\nasync def main():\n'
        '    name = type(asyncio.get_running_loop()).__module__[:4]\n'
        f'    {difference}\nasyncio.run(main())\n')
    with pytest.raises(AssertionError):
        check_same(script)


def test_what_is_masked_and_what_is_not():
    assert masked('<_UnixSelectorEventLoop running=True>') == masked(
        '<Loop running=True>')
    assert masked('1.25s') != masked('2s')
    assert masked('  File "/usr/lib/python3.11/asyncio/runners.py", line 1\n'
                  '    code\n    ^^^^\n  File "mine.py", line 2\n'
                  ) == '  File "mine.py", line 2\n'
