/* SPDX-License-Identifier: MIT */
/*
 * SIGPIPE: no write raises it, whatever it goes to and however it is made
 */
#include "kinds.h"
#include "signals.h"

static int make_file(void)
{
    static const char bytes[10000];
    char path[] = "/tmp/rota-test-XXXXXX";
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    unlink(path);
    assert_int_equal(write(fd, bytes, sizeof bytes), sizeof bytes);
    return fd;
}

static bool is_pending(void)
{
    sigset_t pending;

    sigpending(&pending);
    return sigismember(&pending, SIGPIPE);
}

static bool says_that_the_peer_is_gone(intptr_t err)
{
    assert_false(is_pending());
    return err == -EPIPE || err == -ECONNRESET;
}

/* --- Streams ------------------------------------------------------------- */

static intptr_t by_write(rota_stream *stream, int file)
{
    (void)file;
    return rota_write(stream, "x", 1);
}

static intptr_t by_write_of_much(rota_stream *stream, int file)
{
    static const char much[300000];

    (void)file;
    return rota_write(stream, much, sizeof much);
}

static intptr_t by_nowait(rota_stream *stream, int file)
{
    int err = rota_write_nowait(stream, "x", 1);

    (void)file;
    return err < 0 ? err : rota_drain(stream);
}

static intptr_t by_sendfile(rota_stream *stream, int file)
{
    return rota_sendfile(stream, file, 0, 0, NULL);
}

static intptr_t (*const stream_writers[])(rota_stream *, int) = {
    by_write, by_write_of_much, by_nowait, by_sendfile};

static intptr_t write_to_closed_streams(void *arg)
{
    int file = make_file();

    (void)arg;
    for (size_t i = 0; i < KINDS * rota__countof(stream_writers); i++) {
        struct pair pair;

        kinds[i % KINDS].open_writer(&pair);
        close(pair.peer);
        pair.peer = -1;
        while (!says_that_the_peer_is_gone(
            stream_writers[i / KINDS](pair.stream, file)))
            pass_turns(1);
        pair_close(&pair);
    }
    close(file);
    return 0;
}

/* --- Plain fds ----------------------------------------------------------- */

static intptr_t by_sock_sendall(int fd, int file)
{
    (void)file;
    return rota_sock_sendall(fd, "x", 1, NULL);
}

static intptr_t by_sock_sendfile(int fd, int file)
{
    return rota_sock_sendfile(fd, file, 0, 0, NULL);
}

static intptr_t by_sock_sendfile_in_pieces(int fd, int file)
{
    int flags = fcntl(fd, F_GETFL);

    assert_int_equal(fcntl(fd, F_SETFL, flags | O_APPEND), 0);
    return by_sock_sendfile(fd, file);
}

static void open_socketpair(int ends[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
}

static void open_pipe(int ends[2])
{
    assert_int_equal(pipe(ends), 0);
}

static intptr_t write_to_closed_fds(void *arg)
{
    intptr_t (*const writers[])(int, int) = {
        by_sock_sendfile, by_sock_sendfile_in_pieces, by_sock_sendall};
    void (*const opens[])(int[2]) = {open_socketpair, open_pipe};
    int file = make_file();

    (void)arg;
    for (size_t i = 0; i < 5; i++) { /* a pipe is no socket: sendfile only */
        int ends[2];
        bool is_pipe = i < 4 && i % 2;

        opens[is_pipe](ends);
        close(ends[0]);
        while (!says_that_the_peer_is_gone(writers[i / 2](ends[1], file)))
            pass_turns(1);
        close(ends[1]);
    }
    close(file);
    return 0;
}

/* --- Whatever the signal would do ---------------------------------------- */

static intptr_t write_to_all(void *arg)
{
    assert_int_equal(write_to_closed_streams(arg), 0);
    return write_to_closed_fds(arg);
}

static intptr_t write_with_a_handler(void *arg)
{
    add_handler(rota_get_running_loop(), SIGPIPE, must_not_run, NULL);
    assert_int_equal(write_to_all(arg), 0);
    pass_turns(3);
    return 0;
}

static void a_write_to_a_closed_peer_does_not_kill(void)
{
    set_disposition(SIGPIPE, SIG_DFL);
    assert_int_equal(rota_run(write_to_all, NULL), 0);
    assert_true(is_default(SIGPIPE));
}

static void a_write_to_a_closed_peer_calls_no_handler(void)
{
    set_disposition(SIGPIPE, SIG_DFL);
    assert_int_equal(rota_run(write_with_a_handler, NULL), 0);
    assert_true(is_default(SIGPIPE));
}

static intptr_t write_by_hand(void *arg)
{
    int ends[2];

    add_handler(rota_get_running_loop(), SIGPIPE, note_callback, arg);
    open_pipe(ends);
    close(ends[0]);
    assert_int_equal(write(ends[1], "x", 1), -1);
    close(ends[1]);
    pass_turns(3);
    return 0;
}

/* The program's own writes are its own affair. */
static void a_write_past_rota_is_told_to_a_handler(void)
{
    assert_int_equal(rota_run(write_by_hand, (void *)"SIGPIPE"), 0);
    assert_noted("SIGPIPE");
}

HARNESS_MAIN(TEST(a_write_to_a_closed_peer_does_not_kill),
             TEST(a_write_to_a_closed_peer_calls_no_handler),
             TEST(a_write_past_rota_is_told_to_a_handler))
