# SPDX-License-Identifier: MIT
"""
asyncpg with a real PostgreSQL: `asyncpg_queries.py FOLDER`

The folder has the server's Unix socket. Queries, transactions, a pool,
cursors, COPY in both directions, NOTIFY, errors, a query that is cancelled.
"""

import asyncio
import datetime
import io
import sys

import asyncpg

FOLDER = sys.argv[1]


def connect():
    return asyncpg.connect(host=FOLDER, user='postgres', database='postgres')


async def queries(db):
    print(await db.fetchval('select 6 * 7'))
    print(await db.fetchrow(
        'select $1::int as number, $2::text as word, $3::date as day',
        1, 'ä', datetime.date(2026, 11, 21)))
    await db.execute('create temp table squares (n int primary key, s int)')
    await db.executemany('insert into squares values ($1, $2)',
                         [(n, n * n) for n in range(1000)])
    statement = await db.prepare('select s from squares where n = $1')
    print([await statement.fetchval(n) for n in (3, 30, 300)])
    async with db.transaction():
        sums = 0
        async for row in db.cursor('select s from squares', prefetch=50):
            sums += row['s']
    print('sum by a cursor:', sums)


async def failures(db):
    try:
        async with db.transaction():
            await db.execute('delete from squares')
            await db.execute('insert into squares values (1, 1), (1, 1)')
    except asyncpg.UniqueViolationError as error:
        print(type(error).__name__, error)
    print('rolled back:', await db.fetchval('select count(*) from squares'))
    try:
        await db.execute('select pg_sleep(20)', timeout=0.2)
    except asyncio.TimeoutError:
        print('cancelled; it goes on:', await db.fetchval('select 1'))


async def copies(db):
    rows = [(n, n) for n in range(1000, 50_000)]
    print(await db.copy_records_to_table('squares', records=rows))
    out = io.BytesIO()
    print(await db.copy_from_query('select n from squares', output=out))
    print('copied bytes:', len(out.getvalue()))
    big = 'x' * 20_000_000
    print('a big one:', await db.fetchval('select $1::text', big) == big)


async def notices(db):
    channel = f'news_{db.get_server_pid()}'
    heard = asyncio.Queue()
    await db.add_listener(channel, lambda *news: heard.put_nowait(news[3]))
    other = await connect()
    for word in 'one', 'two':
        await other.execute('select pg_notify($1, $2)', channel, word)
    await other.close()
    print('heard:', await heard.get(), await heard.get())


async def pool():
    async with asyncpg.create_pool(
            host=FOLDER, user='postgres', database='postgres',
            min_size=2, max_size=5) as clients:
        numbers = await asyncio.gather(*[
            clients.fetchval('select $1::int from pg_sleep(0.01)', n)
            for n in range(40)])
    print('a pool of five:', numbers == list(range(40)))


async def main():
    print('loop:', type(asyncio.get_running_loop()))
    db = await connect()
    for part in queries, failures, copies, notices:
        await part(db)
    await db.close()
    await pool()


asyncio.run(main())
