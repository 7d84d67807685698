/* SPDX-License-Identifier: MIT */
/*
 * Subprocesses for tasks
 *
 * A process is a child and, for each of its pipes, a stream. Tasks that wait
 * for its end stand in `waiters`. Freed while it runs, it is the loop's, which
 * kills and reaps the child; the memory goes with the last of: the user, the
 * loop, the tasks inside (`users`).
 */
#include "stream/subprocess.h"
#include <signal.h>

static rota_process *process_of(struct rota__child *child)
{
    struct rota__process *base =
        rota__container_of(child, struct rota__process, child);

    return rota__container_of(base, rota_process, base);
}

static void release_if_over(rota_process *process)
{
    if (!process->freed || process->given_up || process->users > 0)
        return;
    rota__at_close_remove(&process->at_close);
    rota__free(process);
}

static void exited(struct rota__child *child)
{
    rota__unpark_all(&process_of(child)->waiters, 0);
}

static void reaped(struct rota__child *child)
{
    rota_process *process = process_of(child);

    process->given_up = false;
    release_if_over(process);
}

/* The loop closes first: it kills all its children itself. */
static void loop_closes(struct rota__at_close *at_close)
{
    rota_process *process =
        rota__container_of(at_close, rota_process, at_close);

    rota__unpark_all(&process->waiters, -ROTA_ECLOSING);
    process->users = 0; /* those never run again */
    release_if_over(process);
}

/* --- Making ------------------------------------------------------------- */

void rota__process_init(rota_process *process, rota_loop *loop)
{
    rota__list_init(&process->waiters);
    process->base.child.exited = exited;
    rota__at_close_add(loop, &process->at_close, loop_closes);
}

static int open_streams(rota_process *process, rota_loop *loop, size_t limit)
{
    for (int i = 0; i < 3; i++) {
        int *fd = &process->base.pipes[i];
        int err;

        if (*fd < 0)
            continue;
        err = rota__stream_open_fd(&process->streams[i], loop, *fd);
        if (err < 0)
            return err;
        *fd = -1;
        if (limit > 0)
            process->streams[i]->limit = limit;
    }
    return 0;
}

static int create(rota_process **out, const char *const *argv,
                  const char *command, const rota_subprocess_options *options)
{
    rota_loop *loop = rota_get_running_loop();
    rota_process *process;
    int err;

    if (!loop)
        return -ROTA_ENOLOOP;
    process = rota__zalloc(sizeof *process);
    if (!process)
        return -ENOMEM;
    rota__process_init(process, loop);
    err = rota__process_start(&process->base, loop, argv, command, options);
    if (err == 0)
        err = open_streams(process, loop, options ? options->limit : 0);
    if (err == 0)
        *out = process;
    else
        rota_process_free(process);
    return err;
}

int rota_create_subprocess_exec(rota_process **process, const char *const *argv,
                                const rota_subprocess_options *options)
{
    if (!argv || !argv[0])
        return -EINVAL;
    return create(process, argv, NULL, options);
}

int rota_create_subprocess_shell(rota_process **process, const char *command,
                                 const rota_subprocess_options *options)
{
    if (!command)
        return -EINVAL;
    return create(process, NULL, command, options);
}

/* --- Looking at it ------------------------------------------------------ */

rota_stream *rota_process_stdin(const rota_process *process)
{
    return process->streams[0];
}

rota_stream *rota_process_stdout(const rota_process *process)
{
    return process->streams[1];
}

rota_stream *rota_process_stderr(const rota_process *process)
{
    return process->streams[2];
}

pid_t rota_process_pid(const rota_process *process)
{
    return process->base.pid;
}

bool rota_process_returncode(const rota_process *process, int *returncode)
{
    const struct rota__child *child = &process->base.child;

    if (child->ended && returncode)
        *returncode = child->returncode;
    return child->ended;
}

/* --- Its end ------------------------------------------------------------ */

void rota__process_enter(rota_process *process)
{
    process->users++;
}

void rota__process_leave(rota_process *process)
{
    process->users--;
    release_if_over(process);
}

int rota__process_check(const rota_process *process,
                        const struct rota__task *self, const char *function)
{
    if (!self)
        return rota__not_a_task(function);
    if (self->loop != process->base.child.loop)
        return rota__misuse(self->loop, -EINVAL, function,
                            "a process belongs to the loop that started it");
    return 0;
}

int rota__process_wait(rota_process *process, struct rota__task *self)
{
    struct rota__waiter waiter;

    if (process->freed)
        return -ROTA_ECLOSING;
    if (process->base.child.ended)
        return 0;
    return (int)rota__park_in(self, &waiter, &process->waiters);
}

int rota_process_wait(rota_process *process, int *returncode)
{
    struct rota__task *self = rota__current();
    int err = rota__process_check(process, self, "rota_process_wait");

    if (err < 0)
        return err;
    rota__process_enter(process);
    err = rota__process_wait(process, self);
    if (err == 0)
        (void)rota_process_returncode(process, returncode);
    rota__process_leave(process);
    return err;
}

static void check_thread(const rota_process *process, const char *function)
{
    if (!process->base.child.ended) /* else the loop may be gone */
        rota__check_thread(process->base.child.loop, function);
}

int rota_process_send_signal(rota_process *process, int signal)
{
    check_thread(process, "rota_process_send_signal");
    return rota__child_signal(&process->base.child, signal);
}

int rota_process_terminate(rota_process *process)
{
    return rota_process_send_signal(process, SIGTERM);
}

int rota_process_kill(rota_process *process)
{
    return rota_process_send_signal(process, SIGKILL);
}

void rota_process_free(rota_process *process)
{
    if (!process)
        return;
    check_thread(process, "rota_process_free");
    process->freed = true;
    rota__process_close_pipes(&process->base);
    for (int i = 0; i < 3; i++)
        rota_stream_free(process->streams[i]);
    rota__unpark_all(&process->waiters, -ROTA_ECLOSING);
    if (process->base.child.ended) {
        release_if_over(process);
    } else {
        process->given_up = true;
        rota__child_give_up(&process->base.child, reaped);
    }
}
