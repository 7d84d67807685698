/* SPDX-License-Identifier: MIT */
/*
 * A task that always finds something to read, or room to write, lets the
 * others have their turns
 */
#include "sockets.h"

enum { CALLS = 1000, TURNS = CALLS / ROTA__CALLS_IN_A_ROW - 1 };

static int turns;
static bool over;

static intptr_t count_turns(void *arg)
{
    (void)arg;
    while (!over) {
        turns++;
        assert_int_equal(rota_sleep(0), 0);
    }
    return 0;
}

/* Runs it beside a task that counts its own turns. */
static intptr_t run_beside(void *function)
{
    rota_task counter = start(count_turns, NULL);

    assert_int_equal(((rota_task_function *)function)(NULL), 0);
    over = true;
    assert_int_equal(rota_await(counter), 0);
    assert_in_range(turns, TURNS, TURNS + 4);
    return 0;
}

static void run_fairly(rota_task_function *function)
{
    assert_int_equal(rota_run(run_beside, (void *)function), 0);
}

static void open_pair(rota_stream *ends[2])
{
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(rota_open_fd(&ends[i], fds[i]), 0);
}

static void free_pair(rota_stream *ends[2])
{
    rota_stream_free(ends[0]);
    rota_stream_free(ends[1]);
}

/* --- Streams ------------------------------------------------------------ */

static intptr_t read_bytes(void *arg)
{
    static const char data[CALLS];
    rota_stream *ends[2];
    char byte;

    (void)arg;
    open_pair(ends);
    assert_int_equal(rota_write(ends[0], data, CALLS), CALLS);
    for (int i = 0; i < CALLS; i++)
        assert_int_equal(rota_read(ends[1], &byte, 1), 1);
    free_pair(ends);
    return 0;
}

static void reading_gives_way(void)
{
    run_fairly(read_bytes);
}

static intptr_t write_bytes(void *arg)
{
    static char data[CALLS];
    rota_stream *ends[2];

    (void)arg;
    open_pair(ends);
    for (int i = 0; i < CALLS / 10; i++)
        for (int j = 0; j < 10; j++) {
            const struct iovec part = {data, 1};

            if (j % 2 == 0)
                assert_int_equal(rota_write(ends[0], data, 1), 1);
            else
                assert_int_equal(rota_writelines(ends[0], &part, 1), 1);
        }
    assert_int_equal(rota_read_exactly(ends[1], data, CALLS), CALLS);
    free_pair(ends);
    return 0;
}

static void writing_gives_way(void)
{
    run_fairly(write_bytes);
}

/* The one who gives way is still the reader. */
static intptr_t read_too(void *stream)
{
    char byte;

    return rota_read(stream, &byte, 1);
}

static intptr_t read_against_another(void *arg)
{
    static const char data[CALLS];
    rota_stream *ends[2];
    rota_task other;
    char byte;

    (void)arg;
    open_pair(ends);
    assert_int_equal(rota_write(ends[0], data, CALLS), CALLS);
    other = start(read_too, ends[1]);
    for (int i = 0; i < CALLS; i++)
        assert_int_equal(rota_read(ends[1], &byte, 1), 1);
    assert_int_equal(rota_await(other), -EBUSY);
    free_pair(ends);
    return 0;
}

static void who_gives_way_stays_the_reader(void)
{
    run(read_against_another);
}

static intptr_t read_and_be_cancelled(void *stream)
{
    char byte;
    intptr_t n;
    intptr_t read = 0;

    while ((n = rota_read(stream, &byte, 1)) > 0)
        read += n;
    assert_int_equal(n, -ECANCELED);
    return read;
}

static intptr_t cancel_while_it_gives_way(void *arg)
{
    static char data[CALLS];
    rota_stream *ends[2];
    rota_task reader;
    intptr_t read;

    (void)arg;
    open_pair(ends);
    assert_int_equal(rota_write(ends[0], data, CALLS), CALLS);
    reader = start(read_and_be_cancelled, ends[1]);
    pass_turns(2);
    assert_int_equal(rota_task_cancel(reader), 1);
    read = rota_await(reader);
    assert_in_range(read, 1, CALLS - 1);
    assert_int_equal(rota_read_exactly(ends[1], data, CALLS - (size_t)read),
                     CALLS - read);
    free_pair(ends);
    return 0;
}

static void a_cancel_while_it_gives_way_loses_nothing(void)
{
    run(cancel_while_it_gives_way);
}

static intptr_t read_until_it_closes(void *stream)
{
    char byte;
    intptr_t n;

    while ((n = rota_read(stream, &byte, 1)) > 0)
        continue;
    return n;
}

static intptr_t free_while_it_gives_way(void *arg)
{
    static const char data[CALLS];
    rota_stream *ends[2];
    rota_task reader;

    (void)arg;
    open_pair(ends);
    assert_int_equal(rota_write(ends[0], data, CALLS), CALLS);
    reader = start(read_until_it_closes, ends[1]);
    pass_turns(2);
    rota_stream_free(ends[1]);
    assert_int_equal(rota_await(reader), -ROTA_ECLOSING);
    rota_stream_free(ends[0]);
    return 0;
}

static void a_stream_may_be_freed_while_its_reader_gives_way(void)
{
    run(free_while_it_gives_way);
}

/* --- Sockets and datagrams ---------------------------------------------- */

/* A hundred small ones fill no buffer. */
static intptr_t use_a_socket(void *arg)
{
    char data[CALLS - 100] = {0};
    int fds[2];

    (void)arg;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    for (int i = 0; i < 99; i++)
        assert_int_equal(rota_sock_sendall(fds[0], data, 1, NULL), 1);
    assert_int_equal(rota_sock_sendall(fds[0], data, sizeof data - 99, NULL),
                     sizeof data - 99);
    for (size_t i = 0; i < sizeof data; i++)
        assert_int_equal(rota_sock_recv(fds[1], data, 1), 1);
    close(fds[0]);
    close(fds[1]);
    return 0;
}

static void a_plain_socket_gives_way(void)
{
    run_fairly(use_a_socket);
}

static intptr_t use_datagrams(void *arg)
{
    rota_address address;
    rota_datagram *datagram;
    char byte = 'x';

    (void)arg;
    assert_int_equal(rota_address_parse(&address, "127.0.0.1", 0), 0);
    assert_int_equal(
        rota_datagram_open(&datagram,
                           &(rota_datagram_options){.local = &address}),
        0);
    assert_int_equal(rota_datagram_local_address(datagram, &address), 0);
    for (int i = 0; i < CALLS / 2; i++) {
        assert_int_equal(rota_datagram_send(datagram, &byte, 1, &address), 1);
        assert_int_equal(rota_datagram_recv(datagram, &byte, 1, NULL, NULL), 1);
    }
    rota_datagram_free(datagram);
    return 0;
}

/* A receive that has to look waits: there are more turns then, not fewer. */
static intptr_t count_beside_datagrams(void *arg)
{
    rota_task counter = start(count_turns, arg);

    assert_int_equal(use_datagrams(NULL), 0);
    over = true;
    assert_int_equal(rota_await(counter), 0);
    assert_in_range(turns, TURNS, CALLS + 4);
    return 0;
}

static void datagrams_give_way(void)
{
    assert_int_equal(rota_run(count_beside_datagrams, NULL), 0);
}

HARNESS_MAIN(TEST(reading_gives_way), TEST(writing_gives_way),
             TEST(who_gives_way_stays_the_reader),
             TEST(a_cancel_while_it_gives_way_loses_nothing),
             TEST(a_stream_may_be_freed_while_its_reader_gives_way),
             TEST(a_plain_socket_gives_way), TEST(datagrams_give_way))
