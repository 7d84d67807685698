# SPDX-License-Identifier: MIT
"""
uvicorn's server as a task, beside it curl as a child process that asks it
"""

import asyncio

import uvicorn
from asgi_application import application


async def curl(*arguments, data=None):
    child = await asyncio.create_subprocess_exec(
        'curl', '--silent', '--show-error', *arguments,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE)
    answer, _ = await child.communicate(data)
    return child.returncode, answer


async def ask(base):
    print('loop:', (await curl(f'{base}/loop'))[1].decode())
    code, answer = await curl(f'{base}/stream')
    print('streamed:', code, len(answer))
    data = bytes(range(256)) * 8000
    code, answer = await curl('--data-binary', '@-', f'{base}/echo', data=data)
    print('repeated:', code, answer == data)
    print('head:', await curl('--head', '--output', '/dev/null',
                              '--write-out', '%{http_code}', f'{base}/echo'))
    answers = await asyncio.gather(*[
        curl(f'{base}/{n}', '--data', f'{n}') for n in range(8)])
    print('eight at once:', [a.decode() for _, a in answers])


async def main():
    config = uvicorn.Config(application, port=0, log_level='warning')
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    await ask(f'http://127.0.0.1:{port}')
    server.should_exit = True
    await serving
    code, _ = await curl('--stderr', '/dev/null', f'http://127.0.0.1:{port}')
    print('afterwards:', code)


asyncio.run(main())
