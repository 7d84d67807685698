/* SPDX-License-Identifier: MIT */
/*
 * Unix sockets: streams and servers on paths and on abstract names
 */
#include "servers.h"

static rota_server *serve_unix(const char *path)
{
    rota_server *server;

    assert_int_equal(
        rota_start_unix_server(&server, echo_client, NULL, path, NULL), 0);
    return server;
}

static bool exists(const char *path)
{
    struct stat status;

    return lstat(path, &status) == 0;
}

static void expect_unix_echo(const char *path)
{
    rota_stream *stream;

    assert_int_equal(rota_open_unix_connection(&stream, path, NULL), 0);
    assert_int_equal(rota_write(stream, "hello", 5), 5);
    expect_read(stream, "hello");
    rota_stream_free(stream);
}

/* --- Talking -------------------------------------------------------------- */

static intptr_t talk(void *arg)
{
    const char *path = own_path("talk");
    rota_server *server = serve_unix(path);

    (void)arg;
    expect_unix_echo(path);
    assert_int_equal(rota_server_client_count(server), 1);
    await_clients(0);
    rota_server_free(server);
    assert_false(exists(path)); /* the server removes its file */
    return 0;
}

static void a_server_on_a_path_is_found_by_it(void)
{
    run(talk);
}

static intptr_t tell_addresses(void *arg)
{
    const char *path = own_path("addresses");
    rota_server *server = serve_unix(path);
    rota_address address;
    rota_stream *stream;
    char text[128];

    (void)arg;
    assert_int_equal(rota_server_address(server, 0, &address), 0);
    assert_int_equal(rota_address_path(&address, text, sizeof text), 0);
    assert_string_equal(text, path);
    assert_int_equal(rota_open_unix_connection(&stream, path, NULL), 0);
    assert_int_equal(rota_stream_peer_address(stream, &address), 0);
    assert_int_equal(rota_address_path(&address, text, sizeof text), 0);
    assert_string_equal(text, path);
    assert_int_equal(rota_stream_local_address(stream, &address), 0);
    assert_int_equal(rota_address_path(&address, text, sizeof text), 0);
    assert_string_equal(text, "");
    rota_stream_free(stream);
    rota_server_free(server);
    return 0;
}

static void both_ends_tell_the_path(void)
{
    run(tell_addresses);
}

static intptr_t talk_abstractly(void *arg)
{
    char name[64];
    rota_server *server;
    rota_server *second;
    rota_address address;
    char text[128];

    (void)arg;
    snprintf(name, sizeof name, "@rota-%ld", (long)getpid());
    if (rota_start_unix_server(&server, echo_client, NULL, name, NULL) < 0)
        harness_skip("this system has no abstract names");
    expect_unix_echo(name);
    assert_int_equal(rota_server_address(server, 0, &address), 0);
    assert_int_equal(rota_address_path(&address, text, sizeof text), 0);
    assert_string_equal(text, name);
    assert_false(exists(name));
    assert_int_equal(
        rota_start_unix_server(&second, echo_client, NULL, name, NULL),
        -EADDRINUSE);
    rota_server_free(server);
    server = serve_unix(name); /* free again, without a file */
    rota_server_free(server);
    await_clients(0);
    return 0;
}

static void an_abstract_name_needs_no_file(void)
{
    run(talk_abstractly);
}

/* --- Errors --------------------------------------------------------------- */

static intptr_t open_in_vain(void *arg)
{
    rota_stream *const untouched = (rota_stream *)&arg;
    rota_stream *stream = untouched;
    char path[300];

    assert_int_equal(
        rota_open_unix_connection(&stream, own_path("nobody"), NULL), -ENOENT);
    assert_int_equal(rota_open_unix_connection(&stream, NULL, NULL), -EINVAL);
    assert_int_equal(rota_open_unix_connection(&stream, "", NULL), -EINVAL);
    memset(path, 'x', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    assert_int_equal(rota_open_unix_connection(&stream, path, NULL),
                     -ENAMETOOLONG);
    assert_int_equal(rota_open_unix_connection(&stream, "/dev/null", NULL),
                     -ECONNREFUSED);
    assert_ptr_equal(stream, untouched);
    return 0;
}

static void what_cannot_be_opened_says_why(void)
{
    run(open_in_vain);
}

static intptr_t listen_in_vain(void *arg)
{
    rota_server *const untouched = (rota_server *)&arg;
    rota_server *server = untouched;
    char path[300];
    const char *file = own_path("file");
    int fd = open(file, O_CREAT | O_WRONLY, 0600);

    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(
        rota_start_unix_server(&server, echo_client, NULL, file, NULL),
        -EADDRINUSE);
    assert_true(exists(file)); /* whatever it is, it is not ours to remove */
    unlink(file);
    memset(path, 'x', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    assert_int_equal(
        rota_start_unix_server(&server, echo_client, NULL, path, NULL),
        -ENAMETOOLONG);
    assert_int_equal(rota_start_unix_server(&server, echo_client, NULL,
                                            "/no/such/folder", NULL),
                     -ENOENT);
    assert_int_equal(
        rota_start_unix_server(&server, echo_client, NULL, "", NULL), -EINVAL);
    assert_ptr_equal(server, untouched);
    return 0;
}

static void what_cannot_be_listened_on_says_why(void)
{
    run(listen_in_vain);
}

/* --- The file ------------------------------------------------------------- */

/* What a server leaves that had no time to clean up. */
static void leave_a_stale_socket(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    memcpy(address.sun_path, path, strlen(path) + 1);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    close(fd);
    assert_true(exists(path));
}

static intptr_t replace_a_stale_one(void *arg)
{
    const char *path = own_path("stale");
    rota_server *server;

    (void)arg;
    leave_a_stale_socket(path);
    server = serve_unix(path);
    expect_unix_echo(path);
    rota_server_free(server);
    await_clients(0);
    return 0;
}

static void a_socket_file_that_nobody_listens_on_is_replaced(void)
{
    run(replace_a_stale_one);
}

static intptr_t keep_a_live_one(void *arg)
{
    const char *path = own_path("live");
    rota_server *server = serve_unix(path);
    rota_server *second;

    (void)arg;
    assert_int_equal(
        rota_start_unix_server(&second, echo_client, NULL, path, NULL),
        -EADDRINUSE);
    expect_unix_echo(path);
    rota_server_free(server);
    await_clients(0);
    return 0;
}

static void one_that_somebody_listens_on_is_in_use(void)
{
    run(keep_a_live_one);
}

/* Another server has the place by now: its file stays. */
static intptr_t take_its_place(void *arg)
{
    const char *path = own_path("place");
    rota_server *first = serve_unix(path);
    rota_server *second;

    (void)arg;
    assert_int_equal(unlink(path), 0);
    second = serve_unix(path);
    rota_server_free(first);
    assert_true(exists(path));
    expect_unix_echo(path);
    rota_server_free(second);
    assert_false(exists(path));
    await_clients(0);
    return 0;
}

static void a_server_removes_only_its_own_file(void)
{
    run(take_its_place);
}

static intptr_t serve_later(void *arg)
{
    const rota_server_options options = {.do_not_serve = true};
    const char *path = own_path("later");
    rota_server *server;

    (void)arg;
    assert_int_equal(
        rota_start_unix_server(&server, echo_client, NULL, path, &options), 0);
    assert_int_equal(bare_connect_unix(path), -ECONNREFUSED);
    assert_int_equal(rota_server_start_serving(server), 0);
    expect_unix_echo(path);
    rota_server_free(server);
    await_clients(0);
    return 0;
}

static void connects_are_refused_until_it_serves(void)
{
    run(serve_later);
}

static intptr_t leave_a_server(void *server)
{
    *(rota_server **)server = serve_unix(own_path("left"));
    return 0;
}

static void the_file_goes_with_the_loop(void)
{
    rota_server *server = NULL;
    rota_loop *loop;

    assert_int_equal(rota_new_event_loop(&loop, NULL), 0);
    assert_int_equal(
        rota_loop_run_until_complete(loop, leave_a_server, &server), 0);
    assert_int_equal(rota_loop_close(loop), 0);
    assert_false(exists(own_path("left")));
    rota_server_free(server);
    rota_loop_free(loop);
}

/* --- Waiting, memory, descriptors ------------------------------------------
 */

static const char *full_path;

static intptr_t connect_to_full(void *stream)
{
    return rota_open_unix_connection(stream, full_path, NULL);
}

static void set_nonblocking(int fd)
{
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
}

static intptr_t wait_for_room(void *arg)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    rota_stream *streams[6];
    rota_task tasks[6];
    int accepted = 0;

    (void)arg;
    full_path = own_path("full");
    memcpy(address.sun_path, full_path, strlen(full_path) + 1);
    assert_int_equal(
        bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener, 1), 0);
    for (int i = 0; i < 6; i++)
        tasks[i] = start(connect_to_full, &streams[i]);
    pass_turns(10);
    assert_false(rota_task_done(tasks[5]));
    assert_int_equal(rota_task_cancel(tasks[5]), 1);
    assert_int_equal(rota_await(tasks[5]), -ECANCELED);
    set_nonblocking(listener);
    while (accepted < 5) {
        int fd = accept(listener, NULL, NULL); /* makes room */

        accepted += fd >= 0 && close(fd) == 0;
        assert_int_equal(rota_sleep(0.001), 0); /* they try again in time */
    }
    for (int i = 0; i < 5; i++) {
        assert_int_equal(rota_await(tasks[i]), 0);
        rota_stream_free(streams[i]);
    }
    unlink(full_path);
    close(listener);
    return 0;
}

static void a_full_backlog_is_waited_for(void)
{
    run(wait_for_room);
}

static intptr_t connect_without_memory(void *arg)
{
    const char *path = own_path("memory");
    rota_server *server = serve_unix(path);
    int err = -ENOMEM;
    long nth = 0;

    (void)arg;
    while (err == -ENOMEM) {
        rota_stream *stream;

        harness_fail_allocation(++nth);
        err = rota_open_unix_connection(&stream, path, NULL);
        harness_fail_allocation(-1);
        if (err == 0)
            rota_stream_free(stream);
        pass_turns(3);
    }
    assert_int_equal(err, 0);
    assert_true(nth > 1);
    rota_server_free(server);
    await_clients(0);
    return 0;
}

static intptr_t serve_without_memory(void *arg)
{
    const char *path = own_path("memory");
    int err = -ENOMEM;
    long nth = 0;

    (void)arg;
    while (err == -ENOMEM) {
        rota_server *server;

        harness_fail_allocation(++nth);
        err = rota_start_unix_server(&server, echo_client, NULL, path, NULL);
        harness_fail_allocation(-1);
        if (err == 0)
            rota_server_free(server);
        assert_false(exists(path));
    }
    assert_int_equal(err, 0);
    assert_true(nth > 2);
    return 0;
}

static void without_memory_nothing_is_left(void)
{
    run(connect_without_memory);
    run(serve_without_memory);
}

static intptr_t open_without_descriptors(void *arg)
{
    const char *path = own_path("fds");
    rota_server *server = serve_unix(path);
    rota_stream *stream;
    rota_server *second;
    rlim_t before = limit_fds(0);

    (void)arg;
    assert_int_equal(rota_open_unix_connection(&stream, path, NULL), -EMFILE);
    assert_int_equal(rota_start_unix_server(&second, echo_client, NULL,
                                            own_path("fds2"), NULL),
                     -EMFILE);
    unlimit_fds(before);
    expect_unix_echo(own_path("fds"));
    rota_server_free(server);
    await_clients(0);
    return 0;
}

static void without_descriptors_it_is_an_error(void)
{
    run(open_without_descriptors);
}

HARNESS_MAIN(TEST(a_server_on_a_path_is_found_by_it),
             TEST(both_ends_tell_the_path),
             TEST(an_abstract_name_needs_no_file),
             TEST(what_cannot_be_opened_says_why),
             TEST(what_cannot_be_listened_on_says_why),
             TEST(a_socket_file_that_nobody_listens_on_is_replaced),
             TEST(one_that_somebody_listens_on_is_in_use),
             TEST(a_server_removes_only_its_own_file),
             TEST(connects_are_refused_until_it_serves),
             TEST(the_file_goes_with_the_loop),
             TEST(a_full_backlog_is_waited_for),
             TEST(without_memory_nothing_is_left),
             TEST(without_descriptors_it_is_an_error))
