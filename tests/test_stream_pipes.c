/* SPDX-License-Identifier: MIT */
/*
 * Streams over fds that were open before: what may be taken over, and what
 * pipes and terminals do that sockets do not
 */
#define _GNU_SOURCE
#include "kinds.h"

#include <sys/ioctl.h>
#include <termios.h>

/* --- What may be taken over ---------------------------------------------- */

static int open_fd_error(int fd)
{
    rota_stream *const untouched = (rota_stream *)&fd;
    rota_stream *stream = untouched;
    int err = rota_open_fd(&stream, fd);

    assert_ptr_equal(stream, untouched);
    return err;
}

static intptr_t open_what_cannot_be(void *arg)
{
    int port;
    int file = open("/proc/self/exe", O_RDONLY);
    int folder = open("/", O_RDONLY);
    int listener = bare_listen(&port, 0, 1);
    int datagrams = socket(AF_INET, SOCK_DGRAM, 0);

    (void)arg;
    assert_int_equal(open_fd_error(-1), -EBADF);
    assert_int_equal(open_fd_error(9999), -EBADF);
    assert_int_equal(open_fd_error(file), -EPERM);
    assert_int_equal(open_fd_error(folder), -EPERM);
    assert_int_equal(open_fd_error(listener), -EINVAL);
    assert_int_equal(open_fd_error(datagrams), -EINVAL);
    assert_int_equal(fcntl(listener, F_GETFL) & O_NONBLOCK, 0);
    close(file);
    close(folder);
    close(listener);
    close(datagrams);
    return 0;
}

static void what_is_no_stream_is_refused_and_stays_its_owners(void)
{
    run(open_what_cannot_be);
}

static intptr_t open_twice(void *arg)
{
    struct pair pair;

    (void)arg;
    pair_open_pipe_reader(&pair);
    assert_int_equal(open_fd_error(rota_stream_fileno(pair.stream)), -EEXIST);
    kind_say(&pair, "abc");
    expect_read(pair.stream, "abc");
    pair_close(&pair);
    return 0;
}

static void an_fd_that_the_loop_watches_is_refused(void)
{
    run(open_twice);
}

static void an_fd_needs_a_running_loop(void)
{
    assert_int_equal(open_fd_error(0), -ROTA_ENOLOOP);
}

static intptr_t open_without_memory(void *arg)
{
    int ends[2];
    int err = -ENOMEM;

    (void)arg;
    assert_int_equal(pipe(ends), 0);
    for (long nth = 1; err == -ENOMEM; nth++) {
        rota_stream *stream;

        harness_fail_allocation(nth);
        err = rota_open_fd(&stream, ends[0]);
        harness_fail_allocation(-1);
        if (err == 0)
            rota_stream_free(stream);
        assert_true(nth < 9);
    }
    assert_int_equal(err, 0);
    close(ends[1]);
    return 0;
}

static void without_memory_the_fd_stays_its_owners(void)
{
    run(open_without_memory);
}

/* --- Directions ---------------------------------------------------------- */

static intptr_t go_the_wrong_way(void *arg)
{
    struct pair pair;
    char buf[8];

    (void)arg;
    pair_open_pipe_reader(&pair);
    assert_int_equal(rota_write(pair.stream, "x", 1), -EBADF);
    assert_int_equal(rota_write_nowait(pair.stream, "x", 1), -EBADF);
    kind_say(&pair, "abc");
    expect_read(pair.stream, "abc");
    pair_close(&pair);
    pair_open_pipe_writer(&pair);
    assert_int_equal(rota_read(pair.stream, buf, 8), -EBADF);
    assert_int_equal(rota_read_line(pair.stream, buf, 8), -EBADF);
    assert_int_equal(rota_write(pair.stream, "abc", 3), 3);
    assert_int_equal(kind_hear(&pair, buf, 8), 3);
    pair_close(&pair);
    return 0;
}

static void a_pipe_goes_one_way_and_the_other_does_no_harm(void)
{
    run(go_the_wrong_way);
}

static intptr_t ask_for_addresses(void *arg)
{
    rota_address address;
    struct pair pair;

    (void)arg;
    pair_open_pipe_reader(&pair);
    assert_int_equal(rota_stream_peer_address(pair.stream, &address),
                     -ENOTSOCK);
    assert_int_equal(rota_stream_local_address(pair.stream, &address),
                     -ENOTSOCK);
    assert_true(rota_stream_fileno(pair.stream) >= 0);
    rota_close(pair.stream);
    assert_int_equal(rota_stream_fileno(pair.stream), -ROTA_ECLOSING);
    pair_close(&pair);
    return 0;
}

static void a_pipe_has_an_fd_and_no_address(void)
{
    run(ask_for_addresses);
}

/* --- Ends ---------------------------------------------------------------- */

static intptr_t end_a_pipe(void *arg)
{
    struct pair pair;
    char buf[8];

    (void)arg;
    pair_open_pipe_writer(&pair);
    assert_int_equal(rota_write(pair.stream, "abc", 3), 3);
    assert_int_equal(rota_write_eof(pair.stream), 0);
    assert_true(rota_is_closing(pair.stream));
    assert_int_equal(kind_hear(&pair, buf, 8), 3);
    assert_int_equal(kind_hear(&pair, buf, 8), 0);
    assert_int_equal(rota_stream_fileno(pair.stream), -ROTA_ECLOSING);
    assert_int_equal(rota_read(pair.stream, buf, 8), -ROTA_ECLOSING);
    assert_int_equal(rota_write(pair.stream, "x", 1), -ROTA_ECLOSING);
    assert_int_equal(rota_write_eof(pair.stream), -ROTA_ECLOSING);
    assert_int_equal(rota_wait_closed(pair.stream), 0);
    pair_close(&pair);
    return 0;
}

static void write_eof_of_a_pipe_closes_it(void)
{
    run(end_a_pipe);
}

static intptr_t wait_closed(void *stream)
{
    return rota_wait_closed(stream);
}

static intptr_t end_a_full_pipe(void *arg)
{
    static char buf[65536];
    size_t heard = 0;
    struct pair pair;
    rota_task task;
    size_t sent;
    ssize_t n;

    (void)arg;
    pair_open_pipe_writer(&pair);
    sent = pair_fill(&pair, 'a');
    assert_int_equal(rota_write_eof(pair.stream), 0);
    task = start(wait_closed, pair.stream);
    pass_turns(3);
    assert_false(rota_task_done(task));
    while ((n = kind_hear(&pair, buf, sizeof buf)) != 0) {
        heard += n > 0 ? (size_t)n : 0;
        pass_turns(1);
    }
    assert_int_equal(heard, sent);
    assert_int_equal(rota_await(task), 0);
    pair_close(&pair);
    return 0;
}

static void write_eof_of_a_full_pipe_closes_it_behind_the_last_byte(void)
{
    run(end_a_full_pipe);
}

static intptr_t lose_the_reader(void *arg)
{
    struct pair pair;

    (void)arg;
    pair_open_pipe_writer(&pair);
    close(pair.peer);
    pair.peer = -1;
    assert_int_equal(rota_write(pair.stream, "x", 1), -EPIPE);
    assert_int_equal(rota_write(pair.stream, "x", 1), -EPIPE);
    assert_int_equal(rota_write_eof(pair.stream), -EPIPE);
    rota_close(pair.stream);
    assert_int_equal(rota_wait_closed(pair.stream), -EPIPE);
    pair_close(&pair);
    return 0;
}

static void a_pipe_that_nobody_reads_is_an_error_and_no_signal(void)
{
    signal(SIGPIPE, SIG_DFL);
    run(lose_the_reader);
}

static intptr_t keep_a_pending_signal(void *arg)
{
    sigset_t pending;

    lose_the_reader(arg);
    sigpending(&pending);
    assert_int_equal(sigismember(&pending, SIGPIPE), (intptr_t)arg != 0);
    return 0;
}

static void a_signal_of_another_is_left_where_it_was(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    assert_int_equal(sigprocmask(SIG_BLOCK, &set, NULL), 0);
    assert_int_equal(rota_run(keep_a_pending_signal, NULL), 0);
    raise(SIGPIPE);
    assert_int_equal(rota_run(keep_a_pending_signal, &set), 0);
}

static intptr_t abort_a_pipe(void *arg)
{
    char buf[8];
    struct pair pair;

    (void)arg;
    pair_open_pipe_writer(&pair);
    (void)pair_fill(&pair, 'a');
    rota_abort(pair.stream);
    assert_int_equal(rota_wait_closed(pair.stream), 0);
    while (kind_hear(&pair, buf, sizeof buf) > 0)
        ;
    assert_int_equal(kind_hear(&pair, buf, sizeof buf), 0);
    pair_close(&pair);
    return 0;
}

static void aborting_a_pipe_drops_what_is_queued(void)
{
    run(abort_a_pipe);
}

/* --- Terminals ----------------------------------------------------------- */

/* Both ends of a terminal, which hands lines over as they are. */
static void open_terminal(int ends[2])
{
    char name[64];
    struct termios mode;

    ends[0] = posix_openpt(O_RDWR | O_NOCTTY);
    if (ends[0] < 0)
        harness_skip("this machine has no terminals");
    assert_int_equal(grantpt(ends[0]), 0);
    assert_int_equal(unlockpt(ends[0]), 0);
    assert_int_equal(ptsname_r(ends[0], name, sizeof name), 0);
    ends[1] = open(name, O_RDWR | O_NOCTTY);
    assert_true(ends[1] >= 0);
    assert_int_equal(tcgetattr(ends[1], &mode), 0);
    mode.c_lflag &= ~(tcflag_t)ECHO;
    mode.c_oflag &= ~(tcflag_t)OPOST;
    assert_int_equal(tcsetattr(ends[1], TCSANOW, &mode), 0);
}

static intptr_t read_typed_lines(void *arg)
{
    struct pair pair;
    int ends[2];
    char buf[64];

    (void)arg;
    open_terminal(ends);
    pair_adopt(&pair, ends[1], ends[0]);
    for (int i = 0; i < 3; i++) {
        struct reading reading = {pair.stream, by_line, NULL, 64, ""};
        rota_task task = start(read_in_a_task, &reading);

        kind_say(&pair, "hel");
        pass_turns(3);
        assert_false(rota_task_done(task)); /* no line yet */
        kind_say(&pair, "lo\n");
        assert_int_equal(rota_await(task), 6);
        assert_memory_equal(reading.buf, "hello\n", 6);
    }
    kind_say(&pair, "one\ntwo\nthree\n"); /* a read gives one of them */
    assert_int_equal(rota_read_line(pair.stream, buf, 64), 4);
    assert_int_equal(rota_read_line(pair.stream, buf, 64), 4);
    assert_int_equal(rota_read_line(pair.stream, buf, 64), 6);
    kind_say(&pair, "\x04"); /* the end, as a user types it */
    assert_int_equal(rota_read_line(pair.stream, buf, 64), 0);
    pair_close(&pair);
    return 0;
}

static void a_terminal_gives_line_by_line(void)
{
    run(read_typed_lines);
}

static intptr_t print_to_terminal(void *arg)
{
    struct pair pair;
    int ends[2];
    char buf[64];

    (void)arg;
    open_terminal(ends);
    pair_adopt(&pair, ends[1], ends[0]);
    assert_int_equal(rota_write(pair.stream, "name? ", 6), 6);
    assert_int_equal(kind_hear(&pair, buf, sizeof buf), 6);
    kind_say(&pair, "me\n");
    assert_int_equal(rota_read_line(pair.stream, buf, 64), 3);
    pair_close(&pair);
    return 0;
}

static void a_terminal_goes_both_ways(void)
{
    run(print_to_terminal);
}

HARNESS_MAIN(TEST(what_is_no_stream_is_refused_and_stays_its_owners),
             TEST(an_fd_that_the_loop_watches_is_refused),
             TEST(an_fd_needs_a_running_loop),
             TEST(without_memory_the_fd_stays_its_owners),
             TEST(a_pipe_goes_one_way_and_the_other_does_no_harm),
             TEST(a_pipe_has_an_fd_and_no_address),
             TEST(write_eof_of_a_pipe_closes_it),
             TEST(write_eof_of_a_full_pipe_closes_it_behind_the_last_byte),
             TEST(a_pipe_that_nobody_reads_is_an_error_and_no_signal),
             TEST(a_signal_of_another_is_left_where_it_was),
             TEST(aborting_a_pipe_drops_what_is_queued),
             TEST(a_terminal_gives_line_by_line),
             TEST(a_terminal_goes_both_ways))
