/* SPDX-License-Identifier: MIT */
/*
 * Passes connections on: `tcp_proxy PORT HOST PORT`
 *
 * A task for each direction, in a group: when one fails, the other is
 * cancelled. An end is passed on as an end, so half-closed connections work;
 * a slow reader slows its writer down, so no more than a buffer is in memory.
 */
#include "announce.h"

struct target {
    const char *host;
    int port;
};

struct direction {
    rota_stream *from;
    rota_stream *to;
};

static intptr_t pass_on(void *arg)
{
    const struct direction *way = arg;
    const void *data;
    intptr_t n;

    while ((n = rota_read_borrowed(way->from, &data)) > 0)
        if ((n = rota_write(way->to, data, (size_t)n)) < 0)
            return n;
    return n < 0 ? n : rota_write_eof(way->to);
}

static intptr_t pass_both_ways(rota_stream *here, rota_stream *there)
{
    struct direction out = {here, there};
    struct direction back = {there, here};
    rota_task_group group;
    intptr_t err = rota_task_group_begin(&group);

    if (err < 0)
        return err;
    err = rota_task_group_create_task(&group, pass_on, &out, NULL);
    if (err == 0)
        err = rota_task_group_create_task(&group, pass_on, &back, NULL);
    return rota_task_group_end(&group, err);
}

static intptr_t client(rota_stream *stream, void *arg)
{
    const struct target *target = arg;
    rota_connect_options options = {.happy_eyeballs_delay = 0.25};
    rota_stream *there;
    intptr_t err;

    err =
        rota_open_connection_with(&there, target->host, target->port, &options);
    if (err < 0) {
        rota_abort(stream);
        return -ECONNRESET;
    }
    err = pass_both_ways(stream, there);
    if (err < 0) { /* an error on one side is one on the other */
        rota_abort(there);
        rota_abort(stream);
    }
    rota_stream_free(there);
    return err;
}

static const char *port;

static intptr_t amain(void *target)
{
    rota_server *server;
    int err = rota_start_server(&server, client, target, "127.0.0.1",
                                parse_port(port));

    if (err == 0)
        err = announce(server);
    return err < 0 ? err : rota_serve_forever(server);
}

int main(int argc, char **argv)
{
    struct target target;
    intptr_t err;

    if (argc != 4) {
        fprintf(stderr, "usage: tcp_proxy PORT HOST PORT\n");
        return 2;
    }
    port = argv[1];
    target = (struct target){argv[2], parse_port(argv[3])};
    err = rota_run(amain, &target);
    if (err == -EINTR) /* Ctrl-C */
        err = 0;
    if (err < 0)
        fprintf(stderr, "tcp_proxy: %s\n", rota_strerror(err));
    return err < 0;
}
