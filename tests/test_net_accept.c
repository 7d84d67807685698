/* SPDX-License-Identifier: MIT */
/*
 * The front door: clients that are gone before they are accepted, crowds that
 * say nothing, servers that close before they accept, no descriptors, and
 * addresses that cannot be used
 *
 * Time is virtual.
 */
#define _GNU_SOURCE
#include "answering.h"

#include <dlfcn.h>
#include <sys/stat.h>

/* --- Clients that are gone before they are looked at ------------------- */

enum { MANY = 1000, AT_ONCE = 50 };

static intptr_t serve_the_hasty(void *arg)
{
    bool reset = *(bool *)arg;

    begin_to_serve();
    for (int i = 0; i < MANY; i += AT_ONCE) {
        for (int j = 0; j < AT_ONCE; j++) {
            int fd = bare_connect(server_port);

            if (reset)
                bare_reset(fd);
            else
                close(fd);
        }
        pass_turns(3);
    }
    assert_served();
    end_serving();
    assert_int_equal(answered, 1);
    return 0;
}

static void those_who_connect_and_close_at_once_harm_nobody(void)
{
    assert_int_equal(run_virtually(serve_the_hasty, &(bool){false}), 0);
}

static void those_who_reset_before_the_accept_harm_nobody(void)
{
    assert_int_equal(run_virtually(serve_the_hasty, &(bool){true}), 0);
}

static void raise_fd_limit(void)
{
    struct rlimit limit;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_cur < 2 * MANY + 100)
        harness_skip("too few descriptors are allowed");
}

/* A thousand that say nothing, or half a line: dropped after the minute that
   the server gives them, while others are served. */
static intptr_t serve_the_silent(void *arg)
{
    static int fds[MANY];
    double began = now();

    (void)arg;
    begin_to_serve();
    for (int i = 0; i < MANY; i++) {
        fds[i] = bare_connect(server_port);
        if (i % 2)
            bare_say(fds[i], "12");
        if (i % AT_ONCE == 0)
            pass_turns(3);
    }
    assert_served();
    while (rota_server_client_count(answerer) > 0)
        assert_int_equal(rota_sleep(TICK), 0);
    assert_about(now() - began, 60);
    for (int i = 0; i < MANY; i++) {
        assert_string_equal(bare_hear(fds[i]), "EOF");
        close(fds[i]);
    }
    assert_int_equal(timed_out, MANY);
    end_serving();
    return 0;
}

static void a_thousand_silent_connections_are_dropped_on_time(void)
{
    raise_fd_limit();
    scenario(serve_the_silent);
}

static intptr_t close_with_a_full_backlog(void *arg)
{
    int fds[AT_ONCE];

    (void)arg;
    begin_to_serve();
    for (int i = 0; i < AT_ONCE; i++)
        fds[i] = bare_connect(server_port);
    end_serving();
    for (int i = 0; i < AT_ONCE; i++) {
        assert_string_equal(bare_hear(fds[i]), "RESET");
        close(fds[i]);
    }
    assert_int_equal(answered, 0);
    return 0;
}

static void a_server_that_closes_resets_those_it_has_not_accepted(void)
{
    scenario(close_with_a_full_backlog);
}

/* --- What accept() may say ---------------------------------------------- */

static const int *accept_errors; /* to come, up to a 0 */

int accept4(int fd, struct sockaddr *address, socklen_t *size, int flags)
{
    int (*system)(int, struct sockaddr *, socklen_t *, int);
    void *found = dlsym(RTLD_NEXT, "accept4");

    if (accept_errors && *accept_errors) {
        errno = *accept_errors++;
        return -1;
    }
    memcpy(&system, &found, sizeof system);
    return system(fd, address, size, flags);
}

static int told;
static int told_error;

static void note_exception(rota_loop *loop,
                           const rota_exception_context *context, void *arg)
{
    (void)loop;
    (void)arg;
    told_error = (int)context->error;
    told++;
}

static intptr_t accept_in_spite_of(void *arg)
{
    double began = now();

    rota_set_exception_handler(rota_get_running_loop(), note_exception, NULL);
    begin_to_serve();
    accept_errors = arg;
    assert_served();
    assert_int_equal(*accept_errors, 0);
    assert_about(now() - began, told);
    end_serving();
    return 0;
}

static void an_accept_that_fails_is_followed_by_the_next(void)
{
    static int errors[] = {ECONNABORTED, EPROTO,       EINTR, ENETDOWN,
                           EHOSTDOWN,    EHOSTUNREACH, EPERM, 0};

    assert_int_equal(run_virtually(accept_in_spite_of, errors), 0);
    assert_int_equal(told, 0);
}

static void without_resources_a_server_says_so_and_accepts_a_second_later(void)
{
    static const int lacks[] = {EMFILE, ENFILE, ENOBUFS, ENOMEM};

    for (size_t i = 0; i < sizeof lacks / sizeof lacks[0]; i++) {
        int errors[] = {ECONNABORTED, lacks[i], lacks[i], 0};

        told = 0;
        assert_int_equal(run_virtually(accept_in_spite_of, errors), 0);
        assert_int_equal(told, 2);
        assert_int_equal(told_error, -lacks[i]);
    }
}

/* --- No descriptor left -------------------------------------------------- */

static intptr_t go_on_without_descriptors(void *arg)
{
    rota_stream *stream;
    rota_stream *none;
    char buf[8];
    int waiting;
    rlim_t before;

    (void)arg;
    rota_set_exception_handler(rota_get_running_loop(), note_exception, NULL);
    begin_to_serve();
    assert_int_equal(rota_open_connection(&stream, "127.0.0.1", server_port),
                     0);
    pass_turns(3);
    waiting = bare_connect(server_port);
    before = limit_fds(0);
    while (told < 3) { /* the connection that there is goes on */
        assert_int_equal(rota_open_connection(&none, "127.0.0.1", server_port),
                         -EMFILE);
        assert_int_equal(rota_write(stream, "0\n", 2), 2);
        assert_int_equal(rota_read_line(stream, buf, sizeof buf), 3);
        assert_int_equal(rota_sleep(0.1), 0);
    }
    unlimit_fds(before);
    assert_int_equal(told_error, -EMFILE);
    assert_served();
    bare_say(waiting, "0\n");
    assert_int_equal(rota_sleep(2), 0);
    assert_string_equal(bare_hear(waiting), "ok\n");
    close(waiting);
    rota_stream_free(stream);
    end_serving();
    return 0;
}

static void
without_descriptors_old_connections_go_on_and_new_ones_come_later(void)
{
    scenario(go_on_without_descriptors);
}

/* --- Addresses that cannot be used -------------------------------------- */

static int open_error(const char *host, int port)
{
    rota_stream *stream = NULL;
    int err = rota_open_connection(&stream, host, port);

    assert_null(stream);
    return err;
}

static int listen_error(const char *host, int port)
{
    rota_server *none = NULL;
    int err = rota_start_server(&none, answer, NULL, host, port);

    assert_null(none);
    return err;
}

/* A port that is taken, and on which nobody listens. */
static int bare_bind(int *port)
{
    struct sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    *port = ntohs(address.sin_port);
    return fd;
}

static intptr_t use_the_unusable(void *arg)
{
    int port;
    int bound_port;
    int listener = bare_listen(&port, 0, 1);
    int bound = bare_bind(&bound_port);

    (void)arg;
    assert_int_equal(open_error("127.0.0.1", 0), -EINVAL);
    assert_int_equal(open_error("127.0.0.1", -1), -EINVAL);
    assert_int_equal(open_error("127.0.0.1", 65536), -EINVAL);
    assert_int_equal(open_error(NULL, port), -EINVAL);
    assert_int_equal(open_error("127.0.0.1", bound_port), -ECONNREFUSED);
    assert_int_equal(listen_error("127.0.0.1", -1), -EINVAL);
    assert_int_equal(listen_error("127.0.0.1", 65536), -EINVAL);
    assert_int_equal(listen_error("127.0.0.1", port), -EADDRINUSE);
    assert_int_equal(listen_error("192.0.2.1", 0), -EADDRNOTAVAIL);
    close(listener);
    close(bound);
    return 0;
}

/* A socket in a folder that is closed to us. */
static intptr_t use_the_forbidden(void *arg)
{
    char folder[] = "/tmp/rota-accept-XXXXXX";
    char path[64];
    rota_stream *stream;
    bool root = geteuid() == 0;

    (void)arg;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/socket", folder);
    assert_int_equal(rota_open_unix_connection(&stream, path, NULL), -ENOENT);
    assert_int_equal(
        rota_start_unix_server(&answerer, answer, NULL, path, NULL), 0);
    assert_int_equal(chmod(folder, 0), 0);
    assert_int_equal(root ? seteuid(65534) : 0, 0);
    assert_int_equal(rota_open_unix_connection(&stream, path, NULL), -EACCES);
    assert_int_equal(root ? seteuid(0) : 0, 0);
    assert_int_equal(chmod(folder, 0700), 0);
    assert_int_equal(rota_open_unix_connection(&stream, path, NULL), 0);
    rota_stream_free(stream);
    assert_int_equal(rota_sleep(TICK), 0);
    end_serving();
    assert_int_equal(rota_open_unix_connection(&stream, path, NULL), -ENOENT);
    assert_int_equal(rmdir(folder), 0);
    return 0;
}

static void a_socket_that_is_forbidden_is_an_error(void)
{
    scenario(use_the_forbidden);
}

static void addresses_that_cannot_be_used_are_errors(void)
{
    scenario(use_the_unusable);
}

/* Its SYNs are dropped: nothing is heard, for ever. */
static intptr_t connect_to_a_full_backlog(void *arg)
{
    int fds[4];
    int port;
    int listener = bare_listen(&port, 0, 1);
    rota_timeout limit;
    rota_stream *stream;
    double began = now();
    intptr_t err;

    (void)arg;
    bare_fill_backlog(port, fds, 4);
    rota_timeout_begin(&limit, 0.2);
    err = rota_open_connection(&stream, "127.0.0.1", port);
    assert_int_equal(rota_timeout_end(&limit, err), -ETIMEDOUT);
    assert_about(now() - began, 0.2);
    for (int i = 0; i < 4; i++)
        close(fds[i]);
    close(listener);
    return 0;
}

static void a_connect_that_nobody_answers_times_out(void)
{
    scenario(connect_to_a_full_backlog);
}

#define TEST_OF_FDS(name)                                                      \
    TEST_SKIP_UNDER(name, HARNESS_VALGRIND,                                    \
                    "valgrind has descriptors of its own")

HARNESS_MAIN(
    TEST(those_who_connect_and_close_at_once_harm_nobody),
    TEST(those_who_reset_before_the_accept_harm_nobody),
    TEST_OF_FDS(a_thousand_silent_connections_are_dropped_on_time),
    TEST(a_server_that_closes_resets_those_it_has_not_accepted),
    TEST(an_accept_that_fails_is_followed_by_the_next),
    TEST(without_resources_a_server_says_so_and_accepts_a_second_later),
    TEST_OF_FDS(
        without_descriptors_old_connections_go_on_and_new_ones_come_later),
    TEST(addresses_that_cannot_be_used_are_errors),
    TEST(a_socket_that_is_forbidden_is_an_error),
    TEST(a_connect_that_nobody_answers_times_out))
