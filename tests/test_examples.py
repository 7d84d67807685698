#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""
The examples, run and compared

What a program must print is in tests/examples/NAME.txt: what asyncio prints
for the same listing, times and addresses masked. Most run on a virtual
clock; where time is the claim, on the real one. The servers are asked by
clients that are not ours, and the client asks a server that is not ours.
ROTA_BUILD is where the examples were built.
"""

import concurrent.futures
import contextlib
import http.client
import http.server
import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback

from example_programs import (
    EXAMPLES, SLOWNESS, PATIENCE, REAL, VIRTUAL, equal, within, run, output,
    masked, expected, serving, connect, read_all, say, statuses)

ON_A_VIRTUAL_CLOCK = [
    'hello', 'explicit_loop', 'manual_control', 'run_forever', 'lifecycle',
    'current_loop', 'call_soon', 'call_later', 'call_at', 'loop_time',
    'three_fetches', 'as_completed', 'nested_timeouts', 'group_errors',
    'request_context',
    'blocking_sleep 1', 'thread_loop', 'nested_run', 'service', 'debug_mode',
    'exercise1', 'exercise2', 'exercise3', 'tutorial',
    'run_in_executor', 'cpu_intensive', 'custom_executor',
    'producer_consumer', 'worker_pool', 'crawler',
]
STOPPED_BY_DEBUG_MODE = {'nested_run'}
TALKATIVE_IN_DEBUG_MODE = {'blocking_sleep 1', 'debug_mode'}

TESTS = []


def test(function):
    TESTS.append((function.__name__, function))
    return function


# Programs that end by themselves


def check_output(command):
    name = command.split()[0]
    done = run(command, VIRTUAL)
    equal(masked(done.stdout), expected(name))
    equal(done.returncode, 0)
    if name != 'debug_mode':
        equal(done.stderr, '')


def check_debug_mode(command):
    done = run(command, dict(VIRTUAL, ROTA_DEBUG='1'))
    equal(done.returncode, 0)
    found = masked(done.stdout).replace('debug=True', 'debug=False')
    if command == 'tutorial':
        found = found.replace('Debug mode: True', 'Debug mode: False')
    equal(found, expected(command.split()[0]))
    if command not in TALKATIVE_IN_DEBUG_MODE:
        equal(re.sub(r'.* took .*\n', '', done.stderr), '')


for program in ON_A_VIRTUAL_CLOCK:
    TESTS.append((f'the output of {program}',
                  lambda command=program: check_output(command)))
    if program not in STOPPED_BY_DEBUG_MODE:
        TESTS.append((f'{program} in debug mode',
                      lambda command=program: check_debug_mode(command)))


@test
def debug_mode_reports_what_blocks():
    reports = run('debug_mode').stderr.splitlines()
    equal(len(reports), 2)
    for report, name in zip(reports, ('callback', 'task bad')):
        found = re.match(rf'rota: executing {name}\b.* took ([\d.]+) seconds$',
                         report)
        assert found, report
        within(float(found[1]), 0.2, 0.4)


@test
def two_that_block_take_twice_as_long():
    text = output('good_and_bad')
    bad, good = map(float, re.findall(r'Total time: ([\d.]+)s', text))
    equal(masked(text), expected('good_and_bad'))
    within(bad, 2.0, 2.5)
    within(good, 1.0, 1.5)


@test
def a_real_lifecycle_takes_two_seconds():
    start = time.monotonic()
    equal(output('lifecycle'), expected('lifecycle'))
    within(time.monotonic() - start, 2.0, 2.5)


@test
def concurrency_is_faster_for_real():
    text = output('exercise3')
    sequential, concurrent, speedup = map(
        float, re.findall(r': ([\d.]+)', text))
    within(sequential, 2.0, 2.3)
    within(concurrent, 0.2, 0.3)
    assert speedup > 1 + 5 / SLOWNESS


@test
def a_countdown_runs_beside_a_call_that_blocks():
    start = time.monotonic()
    equal(output('exercise2'), expected('exercise2'))
    within(time.monotonic() - start, 1.0, 1.5)


@test
def a_part_of_the_tutorial_runs_alone():
    text = output('tutorial 5', VIRTUAL)
    assert 'Results in order created: [1, 2, 3, 4, 5]' in text
    assert text in expected('tutorial')
    both = output('tutorial 4 9', VIRTUAL)
    assert both.startswith('\n--- Event Loop Lifecycle ---\n')
    assert both.endswith('COOPERATIVE MULTITASKING.\n\n')


@test
def a_part_that_the_tutorial_has_not():
    for number in ('0', '10', 'x'):
        done = run(f'tutorial {number}')
        equal(done.returncode, 1)
        equal(done.stderr, 'tutorial: Invalid argument\n')


TREE = """\
Task-1 (its run) waits
  cook (task_tree.c) waits
    rice (task_tree.c) waits
    soup (task_tree.c) waits
  table (task_tree.c) waits
    guest (task_tree.c) waits
rice is ready
soup is ready
dinner!
"""


@test
def the_tree_of_tasks_shows_who_waits_for_whom_and_where():
    text = output('task_tree', VIRTUAL)
    tree = re.sub(r'^ +at .*\n', '', text, flags=re.M)
    equal(re.sub(r'\(\S*\b(task_tree\.c):\d+\)', r'(\1)', tree), TREE)
    for name, function in (
            ('Task-1', 'amain'), ('cook', 'make_dinner'), ('rice', 'boil'),
            ('soup', 'boil'), ('table', 'be_patient'),
            ('guest', 'look_forward')):
        found = re.search(rf'{name} .*\n(?: +at .*\n)* +at {function}\b', text)
        assert found, f'{name} is not in {function}:\n{text}'


@test
def a_signal_shuts_down_gracefully():
    for number in (signal.SIGTERM, signal.SIGINT):
        with subprocess.Popen(
                [EXAMPLES / 'graceful_shutdown'], env=REAL,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                encoding='utf-8') as program:
            line = program.stdout.readline()
            equal(line, f'running: kill {program.pid}\n')
            program.send_signal(number)
            text, complaints = program.communicate(timeout=PATIENCE)
        equal((program.returncode, complaints), (0, ''))
        equal(text.splitlines()[0], f'{number.name}: shutting down')
        equal(text.splitlines()[1:], [
            'worker 1: cleaning up', 'worker 2: cleaning up',
            'worker 1: done', 'worker 2: done', 'all tasks have ended'])


# The delay server


@test
def the_delay_server_describes_the_request():
    with serving('delay_server 0') as port:
        client = http.client.HTTPConnection('127.0.0.1', port, PATIENCE)
        start = time.monotonic()
        client.request('GET', '/delay/0.25', headers={'X-Odd': 'a"b\\c\xe9'})
        answer = client.getresponse()
        told = json.load(answer)
        within(time.monotonic() - start, 0.25, 0.5)
        equal(answer.status, 200)
        equal(answer.getheader('Content-Type'), 'application/json')
        equal(told['delay'], 0.25)
        equal(told['args'], {})
        equal(told['url'], f'http://127.0.0.1:{port}/delay/0.25')
        equal(told['headers']['X-Odd'], 'a"b\\c\xe9')
        equal(told['headers']['Host'], f'127.0.0.1:{port}')
        client.close()


@test
def a_connection_is_kept_alive():
    with serving('delay_server 0') as port:
        client = http.client.HTTPConnection('127.0.0.1', port, PATIENCE)
        client.connect()
        sock = client.sock
        for method, target, body, status in (
                ('GET', '/delay/0', None, 200),
                ('HEAD', '/delay/0.01', None, 200),
                ('GET', '/', None, 404),
                ('GET', '/delay/0?x=1', None, 200),
                ('POST', '/delay/0', b'12345', 405),
                ('PUT', '/delay/0', iter([b'12', b'345']), 405),
                ('GET', '/delay/abc', None, 400),
                ('GET', '/delay/0', b'ignored', 200)):
            client.request(method, target, body,
                           encode_chunked=not isinstance(body, bytes))
            answer = client.getresponse()
            equal((method, target, answer.status), (method, target, status))
            text = answer.read()
            equal(text == b'', method == 'HEAD')
            assert int(answer.getheader('Content-Length')) > 0
            assert client.sock is sock
        equal(answer.getheader('Connection'), 'keep-alive')
        client.close()


@test
def a_wrong_target_has_its_status():
    with serving('delay_server 0') as port:
        for target, status in (
                ('/', 404), ('/delay', 404), ('/delay/', 404),
                ('/delay/?1', 404), ('/status/200', 404), ('/delay/x', 400),
                ('/delay/-1', 400), ('/delay/1e1', 400), ('/delay/0x1', 400),
                ('/delay/nan', 400), ('/delay/60.1', 400),
                ('/delay/1.2.3', 400), ('/delay/.', 400),
                ('/delay/0/1', 400), ('/delay/0.0', 200)):
            found = say(port, f'GET {target} HTTP/1.1\r\nHost: x\r\n\r\n'
                        .encode())
            equal((target, statuses(found)), (target, [status]))


@test
def what_is_not_http_is_refused():
    with serving('delay_server 0') as port:
        for data in (b'garbage\r\n\r\n',
                     b'GET /delay/0\r\n\r\n',
                     b'GET /delay/0 HTTP/2.0\r\nHost: x\r\n\r\n',
                     b'GET delay/0 HTTP/1.1\r\nHost: x\r\n\r\n',
                     b'GET /delay/0 HTTP/1.1\r\n\r\n',
                     b'GET /delay/0 HTTP/1.1\r\nHost x\r\n\r\n',
                     b'GET /delay/0 HTTP/1.1\r\n: x\r\n\r\n',
                     b'GET /delay/0 HTTP/1.1\r\nHost: x\0y\r\n\r\n',
                     b'GET /delay/0 HTTP/1.1\r\nHost: x\r\n'
                     b'Content-Length: many\r\n\r\n',
                     b'GET /delay/0 HTTP/1.1\r\nHost: x\r\n'
                     b'Content-Length: -1\r\n\r\n',
                     b'GET /delay/0 HTTP/1.1\r\nHost: x\r\n'
                     b'Transfer-Encoding: odd\r\n\r\n',
                     b'GET /delay/0 HTTP/1.1\r\nHost: x\r\n'
                     b'Transfer-Encoding: chunked\r\n\r\nmany\r\n'):
            found = say(port, data)
            equal((data, statuses(found)), (data, [400]))
            assert b'\r\nConnection: close\r\n' in found


@test
def a_head_that_is_too_long_is_refused_and_the_answer_arrives():
    with serving('delay_server 0') as port:
        begin = b'GET /delay/0 HTTP/1.1\r\nHost: x\r\n'
        for rest in (b'X: ' + b'a' * 100000 + b'\r\n\r\n',
                     b'X: a\r\n' * 3000 + b'\r\n',
                     b'X: ' + b'a' * 9000):
            equal(statuses(say(port, begin + rest)), [431])
        equal(statuses(say(port, b'GET /' + b'a' * 9000)), [431])
        fits = b'X: ' + b'a' * 8000 + b'\r\n\r\n'
        equal(statuses(say(port, begin + fits)), [200])


@test
def requests_may_be_pipelined():
    with serving('delay_server 0') as port:
        get = b'GET /delay/%s HTTP/1.1\r\nHost: x\r\n\r\n'
        last = b'\r\nGET /delay/0 HTTP/1.1\nHost: x\nConnection: close\n\n'
        found = say(port, get % b'0.2' + get % b'0' + get % b'x' + last +
                    get % b'0')
        equal(statuses(found), [200, 200, 400, 200])
        equal(re.findall(rb'"delay": ([\d.]+)', found), [b'0.2', b'0', b'0'])


@test
def http_1_0_ends_the_connection_unless_it_says_otherwise():
    with serving('delay_server 0') as port:
        with connect(port) as sock:
            sock.sendall(b'GET /delay/0 HTTP/1.0\r\n\r\n')
            found = read_all(sock)
        equal(statuses(found), [200])
        assert b'\r\nConnection: close\r\n' in found
        keep = b'GET /delay/0 HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n'
        equal(statuses(say(port, keep * 3)), [200] * 3)


@test
def a_request_may_come_byte_by_byte():
    with serving('delay_server 0') as port, connect(port) as sock:
        for byte in b'GET /delay/0 HTTP/1.1\r\nHost: x\r\n\r\n':
            sock.sendall(bytes([byte]))
            time.sleep(0.001)
        equal(statuses(sock.recv(65536)), [200])


@test
def clients_that_leave_do_no_harm():
    with serving('delay_server 0') as port:
        for data in (b'', b'GET', b'GET /delay/0.1 HTTP/1.1\r\nHost: x\r\n',
                     b'GET /delay/0.1 HTTP/1.1\r\nHost: x\r\n\r\n'):
            with connect(port) as sock:
                sock.sendall(data)
        time.sleep(0.2)
        get = b'GET /delay/0 HTTP/1.1\r\nHost: x\r\n\r\n'
        equal(statuses(say(port, get)), [200])


def get_slowly(port):
    client = http.client.HTTPConnection('127.0.0.1', port, PATIENCE)
    client.request('GET', '/delay/1')
    status = client.getresponse().status
    client.close()
    return status


@test
def fifty_clients_wait_at_the_same_time():
    with serving('delay_server 0') as port:
        start = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(50) as pool:
            found = list(pool.map(get_slowly, [port] * 50))
        equal(found, [200] * 50)
        within(time.monotonic() - start, 1.0, 2.0)


@test
def curl_reuses_a_connection():
    if not shutil.which('curl'):
        return 'no curl'
    with serving('delay_server 0') as port:
        url = f'http://127.0.0.1:{port}/delay/0'
        form = '%{http_code} %{num_connects} %{size_download}\n'
        one = ['-s', '-o', '/dev/null', '-w', form]
        done = subprocess.run(
            ['curl', '--noproxy', '*', *one, url, '--next', *one, url,
             '--next', *one, '-I', url, '--next', *one, '-d', 'x=1', url,
             '--next', *one, '-0', url],
            timeout=PATIENCE, capture_output=True, check=True, text=True)
        lines = [line.split() for line in done.stdout.splitlines()]
        equal([line[0] for line in lines], ['200', '200', '200', '405', '200'])
        equal([line[1] for line in lines[:4]], ['1', '0', '0', '0'])
        equal(lines[2][2], '0')
    return None


@test
def another_host_and_a_port_in_use():
    with serving('delay_server --host 127.0.0.2 0') as port:
        with connect(port, '127.0.0.2'):
            pass
        done = run(f'delay_server --host 127.0.0.2 {port}')
        equal(done.returncode, 1)
        equal(done.stderr, f'delay_server: 127.0.0.2 port {port}: '
              'Address already in use\n')
    for port in ('x', '65536', '-1'):
        equal(run(f'delay_server {port}').returncode, 1)


# The client


FETCHED = """\
Starting fetch from source_A
Starting fetch from source_B
Done fetching from source_A
Done fetching from source_B
['Data from source_A', 'Data from source_B']
Total time: T
"""


def check_fetches(page, seconds):
    text = output(f'fetch_slow {page} {page}')
    equal(sorted(masked(text).splitlines()[:4]),
          sorted(FETCHED.splitlines()[:4]))
    equal(masked(text).splitlines()[4:], FETCHED.splitlines()[4:])
    within(float(re.search(r'Total time: ([\d.]+)s', text)[1]), seconds,
           seconds + 0.5)


@test
def two_fetches_take_as_long_as_one():
    with serving('delay_server 0') as port:
        check_fetches(f'http://127.0.0.1:{port}/delay/2', 2.0)
        check_fetches(f'http://localhost:{port}/delay/0.3', 0.3)


@test
def the_first_fetch_that_is_done_says_so_first():
    with serving('delay_server 0') as port:
        page = f'http://127.0.0.1:{port}/delay'
        lines = output(f'fetch_slow {page}/0.4 {page}/0.1').splitlines()
        equal(lines[2:4], ['Done fetching from source_B',
                           'Done fetching from source_A'])


class Slow(http.server.BaseHTTPRequestHandler):
    """Answers a little late; the path says how the answer ends."""

    def do_GET(self):
        time.sleep(0.4)
        if self.path == '/silent':
            return
        self.send_response(404 if self.path == '/missing' else 200)
        if self.path == '/length':
            self.send_header('Content-Length', '100000')
        elif self.path == '/chunked':
            self.send_header('Transfer-Encoding', 'chunked')
        elif self.path == '/short':
            self.send_header('Content-Length', '100001')
        self.end_headers()
        if self.path == '/chunked':
            chunk = b'%X; odd="x"\r\n%s\r\n' % (5000, b'x' * 5000)
            self.wfile.write(chunk * 20 + b'0\r\nTrailer: x\r\n\r\n')
        else:
            self.wfile.write(b'x' * 100000)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def python_serving(protocol):
    handler = type('Handler', (Slow,), {'protocol_version': protocol})
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f'http://127.0.0.1:{server.server_port}'
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@test
def a_server_of_pythons_is_fetched_from():
    for protocol in ('HTTP/1.1', 'HTTP/1.0'):
        with python_serving(protocol) as site:
            for page in ('length', 'chunked', 'close'):
                check_fetches(f'{site}/{page}', 0.4)


def check_failure(url, complaint):
    done = run(f'fetch_slow {url}')
    equal(done.stdout, 'Starting fetch from source_A\n')
    equal(done.stderr, f'fetch_slow: {url}: {complaint}\n')
    equal(done.returncode, 1)


@test
def a_fetch_that_fails_says_why():
    with python_serving('HTTP/1.1') as site:
        check_failure(f'{site}/missing', 'status 404')
        check_failure(f'{site}/short',
                      'end of stream in the middle of a read')
        check_failure(f'{site}/silent',
                      'end of stream in the middle of a read')
    with socket.create_server(('127.0.0.1', 0)) as unused:
        port = unused.getsockname()[1]
    check_failure(f'http://127.0.0.1:{port}/', 'Connection refused')
    for url in ('ftp://x/', 'http://', 'http:///x', 'http://x:0/',
                'http://x:y/', 'http://x:65536/', 'http://[::1/', 'x',
                'http://' + 'x' * 300):
        check_failure(url, 'not a URL like http://host:port/path')


# The echo server


@test
def what_is_sent_comes_back():
    with serving('echo_server 0') as port, connect(port) as sock:
        for data in (b'x', b'hello\n', bytes(range(256)) * 8192):
            writer = threading.Thread(target=sock.sendall, args=(data,))
            writer.start()
            found = b''
            while len(found) < len(data):
                found += sock.recv(65536)
            writer.join()
            assert found == data
        sock.shutdown(socket.SHUT_WR)
        equal(sock.recv(1), b'')


@test
def netcat_is_echoed_to():
    if not shutil.which('nc'):
        return 'no nc'
    with serving('echo_server 0') as port:
        with subprocess.Popen(['nc', '127.0.0.1', str(port)], text=True,
                              stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE) as nc:
            nc.stdin.write('hello\n')
            nc.stdin.flush()
            equal(nc.stdout.readline(), 'hello\n')
            nc.kill()
    return None


@test
def many_connections_are_echoed_to_at_once():
    with serving('echo_server 0') as port, contextlib.ExitStack() as stack:
        socks = [stack.enter_context(connect(port)) for _ in range(200)]
        for number, sock in enumerate(socks):
            sock.sendall(b'%d\n' % number)
        for number, sock in reversed(list(enumerate(socks))):
            equal(sock.recv(100), b'%d\n' % number)


@test
def a_silent_connection_is_closed():
    with serving('echo_server 0 0.3') as port, connect(port) as sock:
        time.sleep(0.2)
        start = time.monotonic()
        sock.sendall(b'x')
        equal(sock.recv(10), b'x')
        equal(sock.recv(10), b'')
        within(time.monotonic() - start, 0.3, 0.6)


def main():
    print(f'1..{len(TESTS)}')
    failed = False
    for number, (name, function) in enumerate(TESTS, 1):
        name = name.replace('_', ' ')
        try:
            skip = function()
        except Exception:
            failed = True
            print(f'not ok {number} - {name}')
            for line in traceback.format_exc().splitlines():
                print('#', line)
        else:
            print(f'ok {number} - {name}' + (f' # SKIP {skip}' if skip else ''))
        sys.stdout.flush()
    return failed


if __name__ == '__main__':
    sys.exit(main())
