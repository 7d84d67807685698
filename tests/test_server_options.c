/* SPDX-License-Identifier: MIT */
/*
 * How a server listens, and what its tasks are
 */
#define _GNU_SOURCE
#include "resolver.h"
#include "servers.h"

static int option_of(int fd, int name)
{
    int value = -1;
    socklen_t size = sizeof value;

    assert_int_equal(getsockopt(fd, SOL_SOCKET, name, &value, &size), 0);
    return value;
}

/* --- Where it listens ---------------------------------------------------- */

static intptr_t listen_on_several(void *arg)
{
    const char *const more[] = {"127.0.0.2", "127.0.0.3", "127.0.0.2", NULL};
    const rota_server_options options = {.hosts = more};
    rota_server *server = serve_with(echo_client, &options);
    rota_address address;
    char host[64];

    (void)arg;
    for (size_t i = 0; i < 3; i++) { /* one that stands twice counts once */
        assert_int_equal(rota_server_address(server, i, &address), 0);
        assert_int_equal(rota_address_host(&address, host, sizeof host), 0);
        assert_int_equal(host[8], '1' + (char)i);
        assert_int_equal(port_of(server, i), port_of(server, 0));
        assert_true(rota_server_fileno(server, i) >= 0);
    }
    assert_int_equal(rota_server_fileno(server, 3), -ENOENT);
    assert_ptr_equal(rota_server_get_loop(server), rota_get_running_loop());
    rota_server_close(server);
    assert_int_equal(rota_server_fileno(server, 0), -ENOENT);
    rota_server_free(server);
    return 0;
}

static void several_hosts_share_a_port(void)
{
    run(listen_on_several);
}

static intptr_t listen_on_one_family(void *arg)
{
    rota_server_options options = {.family = AF_INET};
    rota_address address;
    rota_server *server;

    (void)arg;
    assert_int_equal(
        rota_start_server_with(&server, echo_client, NULL, NULL, 0, &options),
        0);
    assert_int_equal(rota_server_address(server, 0, &address), 0);
    assert_int_equal(address.storage.ss_family, AF_INET);
    assert_int_equal(rota_server_address(server, 1, &address), -ENOENT);
    rota_server_free(server);
    options.family = AF_INET6;
    assert_true(rota_start_server_with(&server, echo_client, NULL, "127.0.0.1",
                                       0, &options) < 0);
    return 0;
}

static void a_family_may_be_chosen(void)
{
    run(listen_on_one_family);
}

static intptr_t share_a_port(void *arg)
{
    rota_server_options options = {.reuse_port = true};
    rota_server *first = serve_with(echo_client, &options);
    rota_server *second;
    int port = port_of(first, 0);

    (void)arg;
    assert_int_equal(rota_start_server_with(&second, echo_client, NULL,
                                            "127.0.0.1", port, &options),
                     0);
    assert_int_equal(option_of(rota_server_fileno(first, 0), SO_REUSEPORT), 1);
    rota_server_free(second);
    options.reuse_port = false;
    assert_int_equal(rota_start_server_with(&second, echo_client, NULL,
                                            "127.0.0.1", port, &options),
                     -EADDRINUSE);
    rota_server_free(first);
    return 0;
}

static void two_servers_may_share_a_port(void)
{
    run(share_a_port);
}

static intptr_t set_socket_options(void *arg)
{
    rota_server_options options = {0};
    rota_server *server = serve_with(echo_client, &options);

    (void)arg;
    assert_int_equal(option_of(rota_server_fileno(server, 0), SO_REUSEADDR), 1);
    assert_int_equal(option_of(rota_server_fileno(server, 0), SO_KEEPALIVE), 0);
    rota_server_free(server);
    options =
        (rota_server_options){.no_reuse_address = true, .keep_alive = true};
    server = serve_with(echo_client, &options);
    assert_int_equal(option_of(rota_server_fileno(server, 0), SO_REUSEADDR), 0);
    assert_int_equal(option_of(rota_server_fileno(server, 0), SO_KEEPALIVE), 1);
    rota_server_free(server);
    return 0;
}

static void sockets_are_made_as_the_options_say(void)
{
    run(set_socket_options);
}

static int kept_alive;

static intptr_t look_at_keep_alive(rota_stream *stream, void *arg)
{
    (void)arg;
    kept_alive = option_of(rota_stream_fileno(stream), SO_KEEPALIVE);
    return 0;
}

static intptr_t keep_alive(void *arg)
{
    const rota_server_options options = {.keep_alive = true};
    rota_server *server = serve_with(look_at_keep_alive, &options);
    int client = bare_connect(port_of(server, 0));

    (void)arg;
    assert_string_equal(await_word(client), "EOF");
    assert_int_equal(kept_alive, 1);
    close(client);
    rota_server_free(server);
    return 0;
}

static void connections_are_kept_alive_if_one_wants(void)
{
    run(keep_alive);
}

/* Who is not accepted, and behind the backlog, has to wait. */
static intptr_t fill_the_backlog(void *arg)
{
    const rota_server_options options = {.backlog = 1};
    rota_server *server = serve_with(echo_client, &options);
    int fds[8];
    int waiting = 0;

    (void)arg;
    bare_fill_backlog(port_of(server, 0), fds, 8);
    for (int i = 0; i < 8; i++) {
        char byte;

        errno = 0;
        waiting += send(fds[i], &byte, 0, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ||
                   recv(fds[i], &byte, 1, MSG_DONTWAIT) < 0;
        waiting -=
            getpeername(fds[i], (struct sockaddr *)&(struct sockaddr_in){0},
                        &(socklen_t){sizeof(struct sockaddr_in)}) == 0;
    }
    assert_in_range(waiting, 4, 7);
    for (int i = 0; i < 8; i++)
        close(fds[i]);
    pass_turns(5);
    rota_server_free(server);
    await_clients(0);
    return 0;
}

static void the_backlog_is_as_long_as_one_wants(void)
{
    run(fill_the_backlog);
}

static intptr_t give_bad_options(void *arg)
{
    const rota_server_options bad[] = {
        {.backlog = -1}, {.handshake_timeout = -1}, {.shutdown_timeout = -1}};
    rota_server *const untouched = (rota_server *)&arg;
    rota_server *server = untouched;

    for (size_t i = 0; i < rota__countof(bad); i++) {
        assert_int_equal(rota_start_server_with(&server, echo_client, NULL,
                                                "127.0.0.1", 0, &bad[i]),
                         -EINVAL);
        assert_int_equal(rota_start_unix_server(&server, echo_client, NULL,
                                                "@rota-bad", &bad[i]),
                         -EINVAL);
    }
    assert_int_equal(rota_start_server(&server, NULL, NULL, "127.0.0.1", 0),
                     -EINVAL);
    assert_int_equal(rota_start_unix_server(&server, NULL, NULL, "@x", NULL),
                     -EINVAL);
    assert_int_equal(
        rota_start_unix_server(&server, echo_client, NULL, NULL, NULL),
        -EINVAL);
    assert_ptr_equal(server, untouched);
    return 0;
}

static void options_that_make_no_sense_are_refused(void)
{
    run(give_bad_options);
}

static void a_server_needs_a_running_loop(void)
{
    rota_server *server;

    assert_int_equal(
        rota_start_server(&server, echo_client, NULL, "127.0.0.1", 0),
        -ROTA_ENOLOOP);
    assert_int_equal(
        rota_start_unix_server(&server, echo_client, NULL, "@x", NULL),
        -ROTA_ENOLOOP);
}

/* --- Its tasks ------------------------------------------------------------ */

static char seen_name[64];
static bool stack_is_big;

static intptr_t look_at_itself(rota_stream *stream, void *arg)
{
    (void)stream;
    (void)arg;
    snprintf(seen_name, sizeof seen_name, "%s",
             rota_task_get_name(rota_current_task()));
    return 0;
}

static intptr_t use_much_stack(rota_stream *stream, void *arg)
{
    volatile char much[600000];

    (void)stream;
    (void)arg;
    for (size_t i = 0; i < sizeof much; i += 1000)
        much[i] = 1;
    stack_is_big = much[1000] == 1;
    return 0;
}

static void serve_one(rota_client_connected *client,
                      const rota_server_options *options)
{
    rota_server *server = serve_with(client, options);
    int fd = bare_connect(port_of(server, 0));

    assert_string_equal(await_word(fd), "EOF");
    close(fd);
    rota_server_free(server);
}

static intptr_t name_tasks(void *arg)
{
    char name[] = "connection";
    rota_server_options options = {.name = name};

    (void)arg;
    serve_one(look_at_itself, &options);
    assert_string_equal(seen_name, "connection");
    options.name = NULL;
    serve_one(look_at_itself, &options);
    assert_memory_equal(seen_name, "Task-", 5);
    options.name =
        "a name that is longer than the names of tasks can be at all";
    serve_one(look_at_itself, &options);
    assert_memory_equal(seen_name, "a name that is longer", 21);
    return 0;
}

static void the_tasks_have_the_name_that_one_wants(void)
{
    run(name_tasks);
}

static intptr_t enlarge_stacks(void *arg)
{
    const rota_server_options options = {.stack_size = 1 << 20};

    (void)arg;
    serve_one(use_much_stack, &options);
    assert_true(stack_is_big);
    return 0;
}

static void the_tasks_have_the_stack_that_one_wants(void)
{
    run(enlarge_stacks);
}

/* The options are not needed after the call. */
static intptr_t forget_options(void *arg)
{
    char name[] = "kept";
    rota_server_options options = {.name = name, .stack_size = 1 << 20};
    rota_server *server = serve_with(look_at_itself, &options);
    int fd;

    (void)arg;
    memset(name, '?', sizeof name - 1);
    memset(&options, 0xff, sizeof options);
    fd = bare_connect(port_of(server, 0));
    assert_string_equal(await_word(fd), "EOF");
    assert_string_equal(seen_name, "kept");
    close(fd);
    rota_server_free(server);
    return 0;
}

static void the_options_are_not_needed_after_the_call(void)
{
    run(forget_options);
}

/* --- Serving later -------------------------------------------------------- */

static intptr_t serve_later(void *arg)
{
    const rota_server_options options = {.do_not_serve = true};
    rota_server *server = serve_with(echo_client, &options);
    int port = port_of(server, 0);
    int fd;

    (void)arg;
    assert_false(rota_server_is_serving(server));
    for (int i = 0; i < 3; i++) {
        assert_int_equal(try_connect(port), -ECONNREFUSED);
        pass_turns(1);
    }
    assert_int_equal(rota_server_start_serving(server), 0);
    assert_true(rota_server_is_serving(server));
    assert_int_equal(rota_server_start_serving(server), 0);
    fd = bare_connect(port);
    expect_echo(fd);
    rota_server_close(server);
    assert_false(rota_server_is_serving(server));
    assert_int_equal(rota_server_start_serving(server), -ROTA_ECLOSING);
    expect_echo(fd); /* connections go on */
    close(fd);
    await_clients(0);
    rota_server_free(server);
    return 0;
}

static void connects_are_refused_until_it_serves(void)
{
    run(serve_later);
}

static intptr_t serve_forever_later(void *arg)
{
    const rota_server_options options = {.do_not_serve = true};
    rota_server *server = serve_with(echo_client, &options);
    int port = port_of(server, 0);
    rota_task task = start(serve_forever_task, server);
    int fd;

    (void)arg;
    pass_turns(1);
    assert_true(rota_server_is_serving(server));
    fd = bare_connect(port);
    expect_echo(fd);
    assert_int_equal(rota_task_cancel(task), 1);
    assert_int_equal(rota_await(task), -ECANCELED);
    assert_string_equal(bare_hear(fd), "EOF");
    close(fd);
    return 0;
}

static void serve_forever_begins_to_serve(void)
{
    run(serve_forever_later);
}

static intptr_t serve_one_that_is_closed(void *arg)
{
    const rota_server_options options = {.do_not_serve = true};
    rota_server *server = serve_with(echo_client, &options);

    (void)arg;
    rota_server_close(server);
    assert_int_equal(rota_server_wait_closed(server), 0);
    assert_int_equal(rota_serve_forever(server), 0);
    return 0;
}

static void a_server_that_never_served_can_be_closed(void)
{
    run(serve_one_that_is_closed);
}

/* --- Loops that close, memory that ends ----------------------------------- */

static intptr_t start_slowly(void *arg)
{
    const char *const more[] = {"slow.test", NULL};
    const rota_server_options options = {.hosts = more};
    rota_server *server;

    (void)arg;
    return rota_start_server_with(&server, echo_client, NULL, "127.0.0.1", 0,
                                  &options);
}

static intptr_t leave_a_look_up(void *arg)
{
    (void)start(start_slowly, arg);
    pass_turns(2);
    resolver_expect_waiting(1);
    resolver_let_go_at_close(rota_get_running_loop());
    return 0;
}

static void a_start_that_looks_names_up_ends_with_the_loop(void)
{
    rota_loop *loop;

    assert_int_equal(rota_new_event_loop(&loop, NULL), 0);
    assert_int_equal(rota_loop_run_until_complete(loop, leave_a_look_up, NULL),
                     0);
    assert_int_equal(rota_loop_close(loop), 0);
    rota_loop_free(loop);
}

static intptr_t cancel_the_start(void *arg)
{
    rota_task task = start(start_slowly, arg);

    pass_turns(2);
    resolver_expect_waiting(1);
    assert_int_equal(rota_task_cancel(task), 1);
    assert_int_equal(rota_await(task), -ECANCELED);
    resolver_let_go();
    return 0;
}

static void a_start_that_looks_names_up_can_be_cancelled(void)
{
    run(cancel_the_start);
}

static intptr_t start_without_memory(void *arg)
{
    const char *const more[] = {"127.0.0.2", "127.0.0.3", NULL};
    const rota_server_options options = {.hosts = more, .name = "x"};
    int err = -ENOMEM;
    long nth = 0;

    (void)arg;
    while (err == -ENOMEM) {
        rota_server *server;

        harness_fail_allocation(++nth);
        err = rota_start_server_with(&server, echo_client, NULL, "127.0.0.1", 0,
                                     &options);
        harness_fail_allocation(-1);
        if (err == 0)
            rota_server_free(server);
    }
    assert_int_equal(err, 0);
    assert_true(nth > 4);
    return 0;
}

static void without_memory_nothing_is_left_of_it(void)
{
    run(start_without_memory);
}

static void note_error(rota_loop *loop, const rota_exception_context *context,
                       void *arg)
{
    (void)loop;
    (void)arg;
    note("%s", rota_errname(context->error));
}

/* Each accepted connection, with one allocation less. */
static intptr_t accept_without_memory(void *arg)
{
    rota_server *server = serve_with(echo_client, NULL);
    bool served = false;

    (void)arg;
    rota_set_exception_handler(rota_get_running_loop(), note_error, NULL);
    for (long nth = 1; !served; nth++) {
        int fd = bare_connect(port_of(server, 0));
        const char *heard;

        bare_say(fd, "x");
        harness_fail_allocation(nth);
        heard = await_word(fd);
        harness_fail_allocation(-1);
        served = heard[0] == 'x';
        assert_int_equal(rota_server_client_count(server), served);
        if (!served) {
            assert_true(strcmp(heard, "EOF") == 0 ||
                        strcmp(heard, "RESET") == 0);
            assert_noted("ENOMEM");
        }
        close(fd);
        assert_true(nth < 20);
    }
    await_clients(0);
    rota_server_free(server);
    return 0;
}

static void a_connection_without_memory_is_told_and_closed(void)
{
    run(accept_without_memory);
}

HARNESS_MAIN(TEST(several_hosts_share_a_port), TEST(a_family_may_be_chosen),
             TEST(two_servers_may_share_a_port),
             TEST(sockets_are_made_as_the_options_say),
             TEST(connections_are_kept_alive_if_one_wants),
             TEST(the_backlog_is_as_long_as_one_wants),
             TEST(options_that_make_no_sense_are_refused),
             TEST(a_server_needs_a_running_loop),
             TEST(the_tasks_have_the_name_that_one_wants),
             TEST(the_tasks_have_the_stack_that_one_wants),
             TEST(the_options_are_not_needed_after_the_call),
             TEST(connects_are_refused_until_it_serves),
             TEST(serve_forever_begins_to_serve),
             TEST(a_server_that_never_served_can_be_closed),
             TEST(a_start_that_looks_names_up_ends_with_the_loop),
             TEST(a_start_that_looks_names_up_can_be_cancelled),
             TEST(without_memory_nothing_is_left_of_it),
             TEST(a_connection_without_memory_is_told_and_closed))
