/* SPDX-License-Identifier: MIT */
/*
 * Connecting to Unix sockets
 *
 * A backlog that is full makes a connect wait, in virtual time here.
 */
#define _GNU_SOURCE
#include "connects.h"

#include <sys/stat.h>

static char path[108];

static int listen_unix(const char *name, int backlog)
{
    rota_address address;
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    assert_int_equal(rota_address_unix(&address, name), 0);
    assert_int_equal(rota__socket_bind(fd, &address), 0);
    if (backlog >= 0)
        assert_int_equal(listen(fd, backlog), 0);
    return fd;
}

static void name_a_path(void)
{
    char folder[] = "/tmp/rota-connect-XXXXXX";

    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/socket", folder);
}

static void remove_the_path(void)
{
    (void)unlink(path);
    *strrchr(path, '/') = '\0';
    assert_int_equal(rmdir(path), 0);
}

static intptr_t connect_by_path(void *arg)
{
    int listener = listen_unix(arg, 5);
    rota_stream *stream;

    assert_int_equal(rota_open_unix_connection(&stream, arg, NULL), 0);
    expect_talk(stream, listener);
    assert_int_equal(rota_open_unix_connection(&stream, arg, &happy), 0);
    expect_talk(stream, listener);
    close(listener);
    return 0;
}

static void a_path_is_connected_to(void)
{
    name_a_path();
    assert_int_equal(rota_run(connect_by_path, path), 0);
    remove_the_path();
}

static void an_abstract_name_is_connected_to(void)
{
    char name[64];

    snprintf(name, sizeof name, "@rota-test-%d", getpid());
    assert_int_equal(rota_run(connect_by_path, name), 0);
}

static void expect_unix_error(const char *name,
                              const rota_connect_options *options, int error)
{
    rota_stream *stream = NULL;
    int before = open_fds();

    assert_int_equal(rota_open_unix_connection(&stream, name, options), error);
    assert_null(stream);
    assert_int_equal(open_fds(), before);
}

static intptr_t connect_to_no_path(void *arg)
{
    static const rota_connect_options v4 = {.local_host = "127.0.0.1"};
    static const rota_connect_options port = {.local_port = 4000};
    char too_long[200];
    int fd;

    (void)arg;
    memset(too_long, 'x', sizeof too_long);
    too_long[199] = '\0';
    expect_unix_error(path, NULL, -ENOENT);
    fd = listen_unix(path, -1);
    expect_unix_error(path, NULL, -ECONNREFUSED);
    expect_unix_error(path, &v4, -EADDRNOTAVAIL);
    expect_unix_error(path, &port, -EADDRNOTAVAIL);
    expect_unix_error(too_long, NULL, -ENAMETOOLONG);
    expect_unix_error("", NULL, -EINVAL);
    expect_unix_error(NULL, NULL, -EINVAL);
    close(fd);
    return 0;
}

static void a_path_without_a_listener_says_why(void)
{
    name_a_path();
    run(connect_to_no_path);
    remove_the_path();
}

static struct {
    int listener;
    int filling[2];
    rota_stream *stream;
    int result;
    double done_at;
} crowd;

/* With a backlog of 0 one connection is taken. */
static void crowd_begin(void)
{
    rota_address address;

    name_a_path();
    crowd.listener = listen_unix(path, 0);
    assert_int_equal(rota_address_unix(&address, path), 0);
    for (int i = 0; i < 2; i++) {
        crowd.filling[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)connect(crowd.filling[i], (struct sockaddr *)&address.storage,
                      address.size);
    }
    crowd.stream = NULL;
    crowd.done_at = 0;
}

static void crowd_end(void)
{
    close(crowd.filling[0]);
    close(crowd.filling[1]);
    if (crowd.listener >= 0)
        close(crowd.listener);
    remove_the_path();
}

static intptr_t join_the_crowd(void *arg)
{
    (void)arg;
    crowd.result = rota_open_unix_connection(&crowd.stream, path, NULL);
    crowd.done_at = now();
    return crowd.result;
}

static intptr_t wait_in_the_crowd(void *arg)
{
    double accepted_at;
    rota_task task;
    int peer;

    (void)arg;
    crowd_begin();
    task = start(join_the_crowd, NULL);
    assert_int_equal(rota_sleep(5), 0);
    assert_true(crowd.done_at == 0); /* still waits */
    accepted_at = now();
    peer = accept(crowd.listener, NULL, NULL);
    assert_true(peer >= 0);
    assert_int_equal(rota_await(task), 0);
    assert_true(crowd.done_at - accepted_at < 0.0501);
    close(peer);
    expect_talk(crowd.stream, crowd.listener);
    crowd_end();
    return 0;
}

static void a_full_backlog_is_tried_again_until_there_is_room(void)
{
    scenario(wait_in_the_crowd);
}

static intptr_t lose_the_listener(void *arg)
{
    rota_task task;

    (void)arg;
    crowd_begin();
    task = start(join_the_crowd, NULL);
    assert_int_equal(rota_sleep(1), 0);
    close(crowd.listener);
    crowd.listener = -1;
    assert_int_equal(rota_await(task), -ECONNREFUSED);
    crowd_end();
    return 0;
}

static void a_full_backlog_whose_listener_goes_is_a_refusal(void)
{
    scenario(lose_the_listener);
}

static intptr_t leave_the_crowd(void *arg)
{
    rota_timeout limit;
    int before;

    (void)arg;
    crowd_begin();
    before = open_fds();
    assert_int_equal(rota_timeout_begin(&limit, 3), 0);
    assert_int_equal(join_the_crowd(NULL), -ECANCELED);
    assert_int_equal(rota_timeout_end(&limit, crowd.result), -ETIMEDOUT);
    assert_int_equal(open_fds(), before);
    crowd_end();
    return 0;
}

static void a_wait_for_room_in_a_backlog_can_be_cancelled(void)
{
    scenario(leave_the_crowd);
}

HARNESS_MAIN(TEST(a_path_is_connected_to),
             TEST(an_abstract_name_is_connected_to),
             TEST(a_path_without_a_listener_says_why),
             TEST(a_full_backlog_is_tried_again_until_there_is_room),
             TEST(a_full_backlog_whose_listener_goes_is_a_refusal),
             TEST(a_wait_for_room_in_a_backlog_can_be_cancelled))
