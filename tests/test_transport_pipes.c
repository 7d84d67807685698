/* SPDX-License-Identifier: MIT */
/*
 * Transports over pipes, FIFOs, terminals and one direction of a socket
 */
#define _GNU_SOURCE
#include "transports.h"

#include <dlfcn.h>
#include <pty.h>
#include <signal.h>
#include <sys/stat.h>
#include <termios.h>

/* Whether the kernel knows how to write without SIGPIPE. */
static bool refuses_flag;

ssize_t pwritev2(int fd, const struct iovec *parts, int count, off_t offset,
                 int flags)
{
    void *found = dlsym(RTLD_NEXT, "pwritev2");
    ssize_t (*system)(int, const struct iovec *, int, off_t, int);

    memcpy(&system, &found, sizeof system);
    if (refuses_flag && flags) {
        errno = EOPNOTSUPP;
        return -1;
    }
    return system(fd, parts, count, offset, flags);
}

static rota_transport *read_from(int fd, struct ear *ear)
{
    rota_transport *transport;

    assert_int_equal(
        rota_connect_read_pipe(&transport, the_loop, &ears, ear, fd), 0);
    await_word("made");
    assert_noted("made");
    return transport;
}

static rota_transport *write_to(int fd, struct ear *ear)
{
    rota_transport *transport;

    assert_int_equal(
        rota_connect_write_pipe(&transport, the_loop, &ears, ear, fd), 0);
    await_word("made");
    assert_noted("made");
    return transport;
}

static void put(int fd, const char *text)
{
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static const char *get(int fd)
{
    static char text[1000];
    ssize_t n = read(fd, text, sizeof text - 1);

    assert_true(n >= 0);
    text[n] = '\0';
    return n ? text : "EOF";
}

/* --- Reading ------------------------------------------------------------- */

static void a_pipe_is_read_up_to_its_end(void)
{
    struct ear ear = {.stays = true}; /* of no use: there is only one way */
    int ends[2];
    rota_transport *transport;

    begin();
    assert_int_equal(pipe(ends), 0);
    put(ends[1], "hello");
    transport = read_from(ends[0], &ear);
    await_word("data");
    put(ends[1], "again");
    await_word("again");
    assert_true(rota_transport_is_reading(transport));
    assert_int_equal(rota_transport_fileno(transport), ends[0]);
    close(ends[1]);
    await_word("lost");
    assert_noted("data:hello data:again eof lost");
    assert_true(ear.turns[END] < ear.turns[LOST]);
    end();
}

static void a_pipe_can_be_paused_and_closed(void)
{
    struct ear ear = {0};
    int ends[2];

    begin();
    assert_int_equal(pipe(ends), 0);
    (void)read_from(ends[0], &ear);
    then_pause(&ear);
    put(ends[1], "hello");
    settle();
    assert_noted("");
    assert_int_equal(rota_transport_resume_reading(ear.transport), 0);
    await_word("data");
    rota_transport_close(ear.transport);
    turn();
    assert_noted("data:hello lost");
    assert_int_equal(fcntl(ends[0], F_GETFD), -1);
    close(ends[1]);
    end();
}

static void one_that_only_reads_does_not_write(void)
{
    struct iovec part = {(void *)(uintptr_t) "x", 1};
    int ends[2];

    begin();
    for (int i = 0; i < 2; i++) {
        struct ear ear = {0};
        rota_transport *transport;

        if (i)
            unix_pair(ends);
        else
            assert_int_equal(pipe(ends), 0);
        transport = read_from(ends[0], &ear);
        assert_int_equal(rota_transport_write(transport, "x", 1), -EBADF);
        assert_int_equal(rota_transport_writelines(transport, &part, 1),
                         -EBADF);
        assert_int_equal(rota_transport_write_eof(transport), -EBADF);
        assert_false(rota_transport_can_write_eof(transport));
        settle();
        assert_noted("");
        rota_transport_abort(transport);
        settle();
        assert_noted("lost:ECONNABORTED");
        close(ends[1]);
    }
    end();
}

/* --- Writing ------------------------------------------------------------- */

static void a_pipe_is_written_and_ended(void)
{
    struct ear ear = {0};
    int ends[2];
    rota_transport *transport;

    begin();
    assert_int_equal(pipe(ends), 0);
    transport = write_to(ends[1], &ear);
    assert_int_equal(rota_transport_write(transport, "hello", 5), 0);
    assert_string_equal(get(ends[0]), "hello");
    assert_false(rota_transport_is_reading(transport));
    assert_int_equal(rota_transport_pause_reading(transport), -EBADF);
    assert_int_equal(rota_transport_resume_reading(transport), -EBADF);
    assert_true(rota_transport_can_write_eof(transport));
    assert_int_equal(rota_transport_write_eof(transport), 0);
    assert_true(rota_transport_is_closing(transport));
    turn();
    assert_noted("lost");
    assert_string_equal(get(ends[0]), "EOF");
    close(ends[0]);
    end();
}

static size_t swallow(int fd)
{
    static char block[65536];
    ssize_t n;
    size_t sum = 0;

    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    while ((n = read(fd, block, sizeof block)) != 0) {
        if (n > 0)
            sum += (size_t)n;
        turn();
    }
    return sum;
}

static void a_full_pipe_is_emptied_before_it_ends(void)
{
    struct ear ear = {0};
    size_t sent;
    int ends[2];

    begin();
    assert_int_equal(pipe(ends), 0);
    (void)write_to(ends[1], &ear);
    sent = fill(ear.transport);
    assert_int_equal(rota_transport_write_eof(ear.transport), 0);
    settle();
    assert_noted("");
    assert_int_equal(swallow(ends[0]), sent);
    settle();
    assert_noted("lost");
    close(ends[0]);
    end();
}

static void one_that_only_writes_hears_that_its_reader_has_gone(void)
{
    for (int i = 0; i < 4; i++) {
        bool with_queue = i % 2;
        struct ear ear = {0};
        int ends[2];

        begin();
        if (i < 2)
            assert_int_equal(pipe(ends), 0);
        else
            unix_pair(ends);
        (void)write_to(ends[1], &ear);
        if (with_queue)
            (void)fill(ear.transport);
        settle();
        assert_noted("");
        close(ends[0]);
        await_word("lost");
        assert_noted(with_queue ? "lost:EPIPE" : "lost");
        end();
    }
}

/* Only its own end is closed, whatever the protocol can do. */
static void nobody_lends_memory_to_one_that_only_writes(void)
{
    struct ear ear = {0};
    rota_transport *transport;
    int ends[2];

    begin();
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(rota_connect_write_pipe(&transport, the_loop,
                                             &buffered_ears, &ear, ends[1]),
                     0);
    await_word("made");
    close(ends[0]);
    await_word("lost");
    assert_noted("made lost");
    end();
}

static void what_a_socket_sends_to_one_that_only_writes_is_ignored(void)
{
    struct ear ear = {0};
    int ends[2];

    begin();
    unix_pair(ends);
    (void)write_to(ends[0], &ear);
    bare_say(ends[1], "hello");
    settle();
    assert_noted("");
    assert_int_equal(rota_transport_write(ear.transport, "hello", 5), 0);
    assert_string_equal(hear(ends[1]), "hello");
    rota_transport_close(ear.transport);
    turn();
    assert_noted("lost");
    close(ends[1]);
    end();
}

/* --- SIGPIPE ------------------------------------------------------------- */

static int signals;

static void count_signal(int number)
{
    (void)number;
    signals++;
}

static void write_without_a_reader(void)
{
    struct iovec part = {(void *)(uintptr_t) "x", 1};

    begin();
    for (int i = 0; i < 4; i++) {
        struct ear ear = {0};
        int ends[2];

        if (i < 2)
            assert_int_equal(pipe(ends), 0);
        else
            unix_pair(ends);
        (void)write_to(ends[1], &ear);
        close(ends[0]);
        assert_int_equal(
            i % 2 ? rota_transport_writelines(ear.transport, &part, 1)
                  : rota_transport_write(ear.transport, "x", 1),
            -EPIPE);
        assert_int_equal(rota_transport_write(ear.transport, "x", 1),
                         -ROTA_ECLOSING);
        settle();
        assert_noted("lost:EPIPE");
    }
    end();
}

static void a_write_without_a_reader_is_an_error_and_no_signal(void)
{
    signal(SIGPIPE, SIG_DFL); /* which would kill us */
    write_without_a_reader();
    signal(SIGPIPE, count_signal);
    write_without_a_reader();
    assert_int_equal(signals, 0);
}

static void so_it_is_where_the_kernel_has_no_flag_for_that(void)
{
    sigset_t pending;

    refuses_flag = true;
    a_write_without_a_reader_is_an_error_and_no_signal();
    sigpending(&pending);
    assert_false(sigismember(&pending, SIGPIPE));
}

/* --- FIFOs and terminals ------------------------------------------------- */

static void a_fifo_joins_two_transports(void)
{
    char path[] = "/tmp/rota-XXXXXX";
    struct ear reader = {0};
    struct ear writer = {0};
    int fds[2];

    assert_non_null(mkdtemp(path));
    assert_int_equal(chdir(path), 0);
    assert_int_equal(mkfifo("fifo", 0600), 0);
    begin();
    fds[0] = open("fifo", O_RDONLY | O_NONBLOCK);
    fds[1] = open("fifo", O_WRONLY);
    (void)read_from(fds[0], &reader);
    (void)write_to(fds[1], &writer);
    assert_int_equal(rota_transport_write(writer.transport, "hello", 5), 0);
    await_word("data");
    rota_transport_close(writer.transport);
    while (!reader.lost)
        turn();
    assert_noted("data:hello lost eof lost");
    end();
    assert_int_equal(unlink("fifo"), 0);
    assert_int_equal(rmdir(path), 0);
}

/* A terminal gives line by line: a short read is not the last one. */
static void a_terminal_is_read_line_by_line(void)
{
    struct ear ear = {0};
    int master, slave;

    if (openpty(&master, &slave, NULL, NULL, NULL) < 0)
        harness_skip("this machine has no terminals");
    begin();
    put(master, "one\ntwo\nthree\n");
    (void)read_from(slave, &ear);
    await_word("three");
    assert_noted("data:one\n data:two\n data:three\n");
    put(master, "four");
    settle();
    assert_noted("");
    put(master, "\n\004");
    await_word("lost");
    assert_noted("data:four\n eof lost");
    close(master);
    end();
}

static void a_terminal_is_written_and_read_at_once(void)
{
    struct ear reader = {0};
    struct ear writer = {0};
    struct termios raw;
    int master, slave, copy;

    if (openpty(&master, &slave, NULL, NULL, NULL) < 0)
        harness_skip("this machine has no terminals");
    begin();
    assert_int_equal(tcgetattr(slave, &raw), 0);
    cfmakeraw(&raw);
    assert_int_equal(tcsetattr(slave, TCSANOW, &raw), 0);
    copy = dup(master);
    (void)read_from(master, &reader);
    (void)write_to(copy, &writer);
    assert_int_equal(rota_transport_write(writer.transport, "hello", 5), 0);
    assert_string_equal(get(slave), "hello");
    put(slave, "world");
    await_word("data");
    assert_noted("data:world");
    close(slave);
    while (!reader.lost)
        turn();
    assert_noted("lost:EIO"); /* how Linux says that the terminal is gone */
    rota_transport_close(writer.transport);
    turn();
    assert_noted("lost");
    end();
}

/* --- What is no pipe ----------------------------------------------------- */

static void what_cannot_be_waited_for_is_refused(void)
{
    rota_transport *t = NULL;
    struct ear ear = {0};
    int ends[2];
    int file = open("/proc/self/exe", O_RDONLY);
    int folder = open("/", O_RDONLY);

    begin();
    assert_int_equal(pipe(ends), 0);
#define READ(fd) rota_connect_read_pipe(&t, the_loop, &ears, &ear, fd)
#define WRITE(fd) rota_connect_write_pipe(&t, the_loop, &ears, &ear, fd)
    assert_int_equal(READ(file), -EPERM);
    assert_int_equal(WRITE(file), -EPERM);
    assert_int_equal(READ(folder), -EPERM);
    assert_int_equal(READ(-1), -EBADF);
    assert_int_equal(WRITE(12345), -EBADF);
    assert_int_equal(READ(ends[1]), -EBADF);
    assert_int_equal(WRITE(ends[0]), -EBADF);
    assert_int_equal(
        rota_connect_accepted_socket(&t, the_loop, &ears, &ear, ends[0], NULL),
        -ENOTSOCK);
    settle();
    assert_noted("");
    assert_null(t);
    end();
    close(file);
    close(folder);
    close(ends[0]);
    close(ends[1]);
}

HARNESS_MAIN(TEST(a_pipe_is_read_up_to_its_end),
             TEST(a_pipe_can_be_paused_and_closed),
             TEST(one_that_only_reads_does_not_write),
             TEST(a_pipe_is_written_and_ended),
             TEST(a_full_pipe_is_emptied_before_it_ends),
             TEST(one_that_only_writes_hears_that_its_reader_has_gone),
             TEST(nobody_lends_memory_to_one_that_only_writes),
             TEST(what_a_socket_sends_to_one_that_only_writes_is_ignored),
             TEST(a_write_without_a_reader_is_an_error_and_no_signal),
             TEST(so_it_is_where_the_kernel_has_no_flag_for_that),
             TEST(a_fifo_joins_two_transports),
             TEST(a_terminal_is_read_line_by_line),
             TEST(a_terminal_is_written_and_read_at_once),
             TEST(what_cannot_be_waited_for_is_refused))
