/* SPDX-License-Identifier: MIT */
/*
 * Twenty thousand who connect at once
 *
 * The server is a process of its own, so that each side has all the
 * descriptors that a process may have. Every client is a task: it connects,
 * says its number, hears it, and holds its connection until all have theirs.
 * Time is real: more connect than a backlog has room for, and what is dropped
 * then the kernel tries again after a second.
 */
#include "sockets.h"

#include <sys/wait.h>

enum { WANTED = 20000, STACK = 16384, SPARE = 64 };

/* To one address the kernel would have to look long for each free port. */
enum { ADDRESSES = 16 };

static const char *why_fewer;

static void fewer(int *count, int most, const char *why)
{
    if (*count > most) {
        *count = most;
        why_fewer = why;
    }
}

/* How many it can be here, with `each` descriptors for one. */
static int number_of_connects(int each)
{
    const char *value = getenv("ROTA_TEST_CONNECTS");
    int count = value ? (int)strtol(value, NULL, 0) : WANTED;
    struct rlimit limit;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_max < (rlim_t)(count * each + SPARE)) {
        struct rlimit higher = {(rlim_t)(count * each + SPARE),
                                (rlim_t)(count * each + SPARE)};

        if (setrlimit(RLIMIT_NOFILE, &higher) == 0)
            limit = higher;
    }
    limit.rlim_cur = limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_cur < (rlim_t)count * (rlim_t)each + SPARE)
        fewer(&count, ((int)limit.rlim_cur - SPARE) / each,
              "no more descriptors are allowed");
    if (!value && harness_under(HARNESS_ASAN))
        fewer(&count, 4000, "their stacks are big under ASan");
    if (!value && harness_under(HARNESS_TSAN | HARNESS_VALGRIND | HARNESS_QEMU))
        fewer(&count, 1000, "it is slow here");
    printf("%d connects%s%s\n", count, why_fewer ? " only: " : "",
           why_fewer ? why_fewer : "");
    return count;
}

/* --- The server --------------------------------------------------------- */

static int now_served;
static int most_served;
static rota_server *server;

static intptr_t give_back(rota_stream *stream, void *arg)
{
    int number;
    intptr_t n;

    (void)arg;
    most_served = ++now_served > most_served ? now_served : most_served;
    while ((n = rota_read_exactly(stream, &number, sizeof number)) > 0)
        if ((n = rota_write(stream, &number, sizeof number)) < 0)
            break;
    assert_true(n == -ROTA_EINCOMPLETE || n == -ECONNRESET || n == -EPIPE);
    now_served--;
    return 0;
}

static int begin_to_serve(void)
{
    const rota_server_options options = {.backlog = 65535, .stack_size = STACK};
    rota_address address;

    assert_int_equal(rota_start_server_with(&server, give_back, NULL, "0.0.0.0",
                                            0, &options),
                     0);
    assert_int_equal(rota_server_address(server, 0, &address), 0);
    return rota_address_port(&address);
}

/* --- The clients -------------------------------------------------------- */

struct crowd {
    int port;
    int count;
    int connected; /* and answered */
    int failed;
    rota_event *all;
};

struct client {
    struct crowd *crowd;
    int number;
};

/* Ends with a reset, which leaves no port waiting behind. */
static intptr_t connect_and_hold(void *arg)
{
    const struct client *client = arg;
    struct crowd *crowd = client->crowd;
    int heard = -1;
    char host[32];
    rota_stream *stream;
    intptr_t n;

    snprintf(host, sizeof host, "127.0.0.%d", 1 + client->number % ADDRESSES);
    n = rota_open_connection(&stream, host, crowd->port);
    if (n == 0) {
        n = rota_write(stream, &client->number, sizeof client->number);
        if (n > 0)
            n = rota_read_exactly(stream, &heard, sizeof heard);
    } else {
        stream = NULL;
    }
    if (heard == client->number)
        crowd->connected++;
    else
        crowd->failed++;
    if (crowd->connected + crowd->failed == crowd->count)
        rota_event_set(crowd->all);
    if (n > 0)
        n = rota_event_wait(crowd->all);
    if (stream) {
        rota_abort(stream);
        rota_stream_free(stream);
    }
    return n < 0 ? n : 0;
}

/* All of them at once. */
static void let_them_come(int port, int count)
{
    struct client *clients = calloc((size_t)count, sizeof *clients);
    rota_event all;
    struct crowd crowd = {.port = port, .count = count, .all = &all};
    const rota_task_options small = {.stack_size = STACK};
    rota_task_group group;
    intptr_t err;

    assert_non_null(clients);
    rota_event_init(&all);
    assert_int_equal(rota_task_group_begin(&group), 0);
    for (int i = 0; i < count; i++) {
        clients[i] = (struct client){&crowd, i};
        assert_int_equal(rota_task_group_create_task_with(&group, &small,
                                                          connect_and_hold,
                                                          &clients[i], NULL),
                         0);
    }
    err = rota_task_group_end(&group, 0);
    free(clients);
    assert_int_equal(err, 0);
    assert_int_equal(crowd.connected, count);
}

/* --- Two processes ------------------------------------------------------- */

struct pipes {
    int port[2];
    int over[2];
    int count;
};

static intptr_t serve_until_told(void *arg)
{
    const struct pipes *pipes = arg;
    rota_stream *over;
    int port = begin_to_serve();
    char word;

    assert_int_equal(write(pipes->port[1], &port, sizeof port), sizeof port);
    assert_int_equal(rota_open_fd(&over, pipes->over[0]), 0);
    assert_int_equal(rota_read(over, &word, 1), 1);
    rota_stream_free(over);
    rota_server_close(server);
    assert_int_equal(rota_server_wait_closed(server), 0);
    rota_server_free(server);
    assert_true(most_served >= pipes->count);
    return 0;
}

static intptr_t come_in_a_crowd(void *arg)
{
    const struct pipes *pipes = arg;
    int port;

    assert_int_equal(read(pipes->port[0], &port, sizeof port), sizeof port);
    let_them_come(port, pipes->count);
    let_them_come(port, 1); /* the server is well */
    return 0;
}

static void twenty_thousand_connect_to_another_process_at_once(void)
{
    struct pipes pipes = {.count = number_of_connects(1)};
    pid_t child;
    int status;

    assert_int_equal(pipe(pipes.port), 0);
    assert_int_equal(pipe(pipes.over), 0);
    fflush(NULL);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        assert_int_equal(rota_run(serve_until_told, &pipes), 0);
        fflush(NULL);
        _exit(0);
    }
    assert_int_equal(rota_run(come_in_a_crowd, &pipes), 0);
    assert_int_equal(write(pipes.over[1], "x", 1), 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    for (int i = 0; i < 2; i++) {
        close(pipes.port[i]);
        close(pipes.over[i]);
    }
}

/* --- One process --------------------------------------------------------- */

static intptr_t come_to_ourselves(void *arg)
{
    int count = *(int *)arg;
    int port = begin_to_serve();

    let_them_come(port, count);
    let_them_come(port, 1);
    rota_server_close(server);
    assert_int_equal(rota_server_wait_closed(server), 0);
    rota_server_free(server);
    assert_true(most_served >= count);
    return 0;
}

static void thousands_connect_to_their_own_loop_at_once(void)
{
    int count = number_of_connects(2) / 4;

    assert_int_equal(rota_run(come_to_ourselves, &count), 0);
}

HARNESS_MAIN(TEST_TIMEOUT(twenty_thousand_connect_to_another_process_at_once,
                          120),
             TEST_TIMEOUT(thousands_connect_to_their_own_loop_at_once, 60))
