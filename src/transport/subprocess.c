/* SPDX-License-Identifier: MIT */
/*
 * Subprocesses with callbacks
 *
 *     MAKING --the last pipe is made--> OPEN --exited, and no pipe--> LOST
 *        `------- closed before that --> SILENT ----------------------^
 *
 * A child and up to three transports over its pipes, whose protocol passes on
 * what they hear. The last pipe's connection_made calls ours, so that all of
 * them can be used in it and nothing was read before. It holds a reference to
 * itself until it is lost.
 */
#include "transport/process.h"
#include <rota/subprocess_transport.h>
#include <signal.h>

enum stage { MAKING, SILENT, OPEN, LOST };

struct pipe {
    rota_subprocess_transport *process;
    rota_transport *transport; /* NULL: none, or lost */
    bool made;
};

struct rota_subprocess_transport {
    struct rota__process base;
    const rota_subprocess_protocol *protocol;
    void *arg;
    rota_loop *loop;
    struct rota__bindings *bindings; /* the context of its callbacks */
    struct rota__handle news;        /* made, exited or lost */
    struct rota__at_close at_close;
    struct pipe pipes[3];
    unsigned to_come; /* pipes that are not made yet */
    unsigned references;
    enum stage stage;
    bool closing;
    bool exit_told;
};

static rota_subprocess_transport *transport_of(struct rota__child *child)
{
    struct rota__process *base =
        rota__container_of(child, struct rota__process, child);

    return rota__container_of(base, rota_subprocess_transport, base);
}

void rota_subprocess_transport_ref(rota_subprocess_transport *transport)
{
    transport->references++;
}

void rota_subprocess_transport_unref(rota_subprocess_transport *transport)
{
    if (--transport->references > 0)
        return;
    rota__bindings_unref(transport->bindings);
    rota__free(transport);
}

/* --- What comes next ---------------------------------------------------- */

static void enter(rota_subprocess_transport *transport)
{
    if (rota__unlikely(transport->bindings))
        rota__context_lend(transport->loop,
                           rota__bindings_ref(transport->bindings));
}

static bool has_pipes(const rota_subprocess_transport *transport)
{
    return transport->pipes[0].transport || transport->pipes[1].transport ||
           transport->pipes[2].transport;
}

static bool is_over(const rota_subprocess_transport *transport)
{
    return transport->exit_told && !has_pipes(transport);
}

/* Whatever is to be told and has no event of its own gets a turn. */
static void settle(rota_subprocess_transport *transport)
{
    bool exited = transport->base.child.ended && !transport->exit_told;
    bool next = transport->stage == MAKING ? transport->to_come == 0
                                           : exited || is_over(transport);

    if (next && transport->stage != LOST && !transport->loop->closing &&
        rota__list_empty(&transport->news.link))
        rota__ready(transport->loop, &transport->news);
}

static void made(rota_subprocess_transport *transport)
{
    transport->stage = transport->closing ? SILENT : OPEN;
    if (transport->stage == OPEN && transport->protocol->connection_made)
        transport->protocol->connection_made(transport, transport->arg);
    settle(transport);
}

static void tell_exit(rota_subprocess_transport *transport)
{
    transport->exit_told = true;
    if (transport->stage == OPEN && transport->protocol->process_exited)
        transport->protocol->process_exited(transport, transport->arg);
}

static void lost(rota_subprocess_transport *transport, int error)
{
    transport->stage = LOST;
    transport->closing = true;
    rota__at_close_remove(&transport->at_close);
    rota__unready(&transport->news);
    if (transport->protocol->connection_lost)
        transport->protocol->connection_lost(transport, error, transport->arg);
    rota_subprocess_transport_unref(transport);
}

static void on_news(struct rota__handle *handle)
{
    rota_subprocess_transport *transport =
        rota__container_of(handle, rota_subprocess_transport, news);

    enter(transport);
    if (transport->stage == MAKING) {
        made(transport);
    } else if (!transport->exit_told) {
        tell_exit(transport);
        settle(transport);
    } else {
        lost(transport, 0);
    }
}

static void exited(struct rota__child *child)
{
    rota_subprocess_transport *transport = transport_of(child);

    if (transport->stage != MAKING) {
        enter(transport);
        tell_exit(transport);
    }
    settle(transport);
}

static intptr_t lose(void *arg)
{
    rota_subprocess_transport *transport = arg;
    bool over = is_over(transport) && !rota__list_empty(&transport->news.link);

    if (!transport->exit_told)
        tell_exit(transport);
    lost(transport, over ? 0 : -ROTA_ECLOSING);
    return 0;
}

/* The pipes' own hooks have run: they were made later. */
static void loop_closes(struct rota__at_close *at_close)
{
    rota_subprocess_transport *transport =
        rota__container_of(at_close, rota_subprocess_transport, at_close);

    rota__child_end(&transport->base.child);
    rota__context_run_at_close(transport->loop, transport->bindings, lose,
                               transport);
}

/* --- What the pipes hear ------------------------------------------------ */

static int number_of(const struct pipe *pipe)
{
    return (int)(pipe - pipe->process->pipes);
}

static void pipe_made(rota_transport *transport, void *arg)
{
    struct pipe *pipe = arg;

    (void)transport;
    pipe->made = true;
    if (--pipe->process->to_come == 0)
        made(pipe->process);
}

static void pipe_received(rota_transport *transport, const void *data,
                          size_t size, void *arg)
{
    struct pipe *pipe = arg;
    rota_subprocess_transport *process = pipe->process;

    (void)transport;
    if (process->stage == OPEN && process->protocol->pipe_data_received)
        process->protocol->pipe_data_received(process, number_of(pipe), data,
                                              size, process->arg);
}

static void pipe_lost(rota_transport *transport, int error, void *arg)
{
    struct pipe *pipe = arg;
    rota_subprocess_transport *process = pipe->process;

    (void)transport;
    pipe->transport = NULL;
    if (!pipe->made)
        process->to_come--;
    if (process->stage == OPEN && process->protocol->pipe_connection_lost)
        process->protocol->pipe_connection_lost(process, number_of(pipe), error,
                                                process->arg);
    settle(process);
}

static void pipe_full(rota_transport *transport, void *arg)
{
    rota_subprocess_transport *process = ((struct pipe *)arg)->process;

    (void)transport;
    if (process->protocol->pause_writing)
        process->protocol->pause_writing(process, process->arg);
}

static void pipe_flows(rota_transport *transport, void *arg)
{
    rota_subprocess_transport *process = ((struct pipe *)arg)->process;

    (void)transport;
    if (process->stage == OPEN && process->protocol->resume_writing)
        process->protocol->resume_writing(process, process->arg);
}

static const rota_protocol pipe_protocol = {
    .connection_made = pipe_made,
    .data_received = pipe_received,
    .connection_lost = pipe_lost,
    .pause_writing = pipe_full,
    .resume_writing = pipe_flows,
};

/* --- Making ------------------------------------------------------------- */

static int open_pipe(rota_subprocess_transport *transport, int i)
{
    int *fd = &transport->base.pipes[i];
    struct pipe *pipe = &transport->pipes[i];
    int err;

    pipe->process = transport;
    if (*fd < 0)
        return 0;
    if (i == 0)
        err = rota_connect_write_pipe(&pipe->transport, transport->loop,
                                      &pipe_protocol, pipe, *fd);
    else
        err = rota_connect_read_pipe(&pipe->transport, transport->loop,
                                     &pipe_protocol, pipe, *fd);
    if (err < 0)
        return err;
    *fd = -1;
    transport->to_come++;
    return 0;
}

static void released(struct rota__child *child)
{
    rota_subprocess_transport_unref(transport_of(child));
}

/* The pipes that are there are lost in a later turn, and tell nobody. */
static void give_up(rota_subprocess_transport *transport)
{
    static const rota_protocol nobody;

    for (int i = 0; i < 3; i++) {
        rota_transport *pipe = transport->pipes[i].transport;

        if (!pipe)
            continue;
        (void)rota_transport_set_protocol(pipe, &nobody, NULL);
        rota_transport_abort(pipe);
    }
    rota__process_close_pipes(&transport->base);
    rota__child_give_up(&transport->base.child, released);
}

static rota_subprocess_transport *
new_transport(rota_loop *loop, const rota_subprocess_protocol *protocol,
              void *arg)
{
    rota_subprocess_transport *transport = rota__zalloc(sizeof *transport);

    if (!transport)
        return NULL;
    transport->loop = loop;
    transport->protocol = protocol;
    transport->arg = arg;
    transport->references = 1;
    transport->bindings = rota__bindings_capture();
    transport->news.run = on_news;
    rota__list_init(&transport->news.link);
    transport->base.child.exited = exited;
    return transport;
}

static int open_pipes(rota_subprocess_transport *transport)
{
    int err = 0;

    rota__at_close_add(transport->loop, &transport->at_close, loop_closes);
    for (int i = 0; i < 3 && err == 0; i++)
        err = open_pipe(transport, i);
    if (err < 0) {
        rota__at_close_remove(&transport->at_close);
        give_up(transport);
    }
    return err;
}

static int start(rota_subprocess_transport **out, rota_loop *loop,
                 const rota_subprocess_protocol *protocol, void *arg,
                 const char *const *argv, const char *command,
                 const rota_subprocess_options *options)
{
    rota_subprocess_transport *transport = new_transport(loop, protocol, arg);
    int err;

    if (!transport)
        return -ENOMEM;
    err = rota__process_start(&transport->base, loop, argv, command, options);
    if (err < 0) {
        rota_subprocess_transport_unref(transport);
        return err;
    }
    err = open_pipes(transport);
    if (err < 0)
        return err;
    settle(transport);
    *out = transport;
    return 0;
}

/* A connection_lost that starts again must not hold up a loop that closes. */
static int check(rota_loop *loop, const rota_subprocess_protocol *protocol,
                 const char *function)
{
    int err = rota__check(loop, function);

    if (err == 0 && loop->closing)
        err = -ROTA_ECLOSED;
    return err == 0 && !protocol ? -EINVAL : err;
}

int rota_subprocess_exec(rota_subprocess_transport **out, rota_loop *loop,
                         const rota_subprocess_protocol *protocol, void *arg,
                         const char *const *argv,
                         const rota_subprocess_options *options)
{
    int err = check(loop, protocol, "rota_subprocess_exec");

    if (err == 0 && (!argv || !argv[0]))
        err = -EINVAL;
    if (err < 0)
        return err;
    return start(out, loop, protocol, arg, argv, NULL, options);
}

int rota_subprocess_shell(rota_subprocess_transport **out, rota_loop *loop,
                          const rota_subprocess_protocol *protocol, void *arg,
                          const char *command,
                          const rota_subprocess_options *options)
{
    int err = check(loop, protocol, "rota_subprocess_shell");

    if (err == 0 && !command)
        err = -EINVAL;
    if (err < 0)
        return err;
    return start(out, loop, protocol, arg, NULL, command, options);
}

/* --- Looking at it, and ending it --------------------------------------- */

pid_t rota_subprocess_transport_get_pid(
    const rota_subprocess_transport *transport)
{
    return transport->base.pid;
}

bool rota_subprocess_transport_get_returncode(
    const rota_subprocess_transport *transport, int *returncode)
{
    const struct rota__child *child = &transport->base.child;

    if (child->ended && returncode)
        *returncode = child->returncode;
    return child->ended;
}

rota_transport *rota_subprocess_transport_get_pipe_transport(
    const rota_subprocess_transport *transport, int fd)
{
    return fd < 0 || fd > 2 ? NULL : transport->pipes[fd].transport;
}

/* Of one that is lost the loop may be gone. */
static void check_thread(const rota_subprocess_transport *transport,
                         const char *function)
{
    if (transport->stage != LOST)
        rota__check_thread(transport->loop, function);
}

int rota_subprocess_transport_send_signal(rota_subprocess_transport *transport,
                                          int signal)
{
    check_thread(transport, "rota_subprocess_transport_send_signal");
    return rota__child_signal(&transport->base.child, signal);
}

int rota_subprocess_transport_terminate(rota_subprocess_transport *transport)
{
    return rota_subprocess_transport_send_signal(transport, SIGTERM);
}

int rota_subprocess_transport_kill(rota_subprocess_transport *transport)
{
    return rota_subprocess_transport_send_signal(transport, SIGKILL);
}

void rota_subprocess_transport_close(rota_subprocess_transport *transport)
{
    if (transport->closing)
        return;
    check_thread(transport, "rota_subprocess_transport_close");
    transport->closing = true;
    for (int i = 0; i < 3; i++)
        if (transport->pipes[i].transport)
            rota_transport_close(transport->pipes[i].transport);
    if (!transport->base.child.ended)
        (void)rota__child_signal(&transport->base.child, SIGKILL);
}

bool rota_subprocess_transport_is_closing(
    const rota_subprocess_transport *transport)
{
    return transport->closing;
}
