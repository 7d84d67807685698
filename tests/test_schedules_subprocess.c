/* SPDX-License-Identifier: MIT */
/*
 * Subprocesses under all schedules
 *
 * One task communicates, two wait for the end, beside them. The child is none:
 * its ends of the pipes are the test's, and it does what it does when nothing
 * else can be done, so that each run is the same again.
 */
#define _GNU_SOURCE
#include "schedules.h"
#include "stream/subprocess.h"

#include <fcntl.h>
#include <unistd.h>

enum { SIZE = 100000 }; /* more than a pipe holds */

static struct {
    rota_process *process;
    int fds[3]; /* the child's, or -1 */
    char data[SIZE];
    size_t read;
    size_t echoed;
    rota_task talker;
    bool answers_late; /* as sort does: when it has heard all */
    bool may_be_freed;
    bool freed;
} child;

static char byte_at(size_t offset)
{
    return (char)(offset * 7 + offset / 251);
}

/* --- The child -------------------------------------------------------------
 */

static void drop_fd(int i)
{
    if (child.fds[i] >= 0)
        close(child.fds[i]);
    child.fds[i] = -1;
}

static void die(void)
{
    struct rota__child *it = &child.process->base.child;

    for (int i = 0; i < 3; i++)
        drop_fd(i);
    it->returncode = 7;
    it->ended = true;
}

/* Reads a piece, if there is one; false at the end. */
static bool listen_on(void)
{
    static char buf[SIZE];
    ssize_t n = read(child.fds[0], buf, 1 + schedules_pick(SIZE));

    for (ssize_t i = 0; i < n; i++)
        CHECK(buf[i] == byte_at(child.read + (size_t)i));
    if (n > 0)
        child.read += (size_t)n;
    return n != 0;
}

/* Says back what it has heard, as much as there is room for. */
static void echo(void)
{
    ssize_t n = write(child.fds[1], child.data + child.echoed,
                      child.read - child.echoed);

    if (n > 0)
        child.echoed += (size_t)n;
}

static void live(void)
{
    bool more = child.fds[0] >= 0 && listen_on();

    if (child.fds[1] >= 0 && (!more || !child.answers_late))
        echo();
    if (!more)
        drop_fd(0);
    if (!more && child.echoed == child.read) {
        die();
        child.process->base.child.exited(&child.process->base.child);
    }
}

/* The loop has been given it, and asks. */
static void asked(struct rota__handle *handle)
{
    struct rota__child *it =
        rota__container_of(handle, struct rota__child, handle);

    it->ended = true;
    it->exited(it);
}

/* --- The tasks -------------------------------------------------------------
 */

static bool may_happen(intptr_t err)
{
    return err == -ECANCELED || err == -ETIMEDOUT ||
           (child.freed && err == -ROTA_ECLOSING);
}

static intptr_t outcome(intptr_t err)
{
    return err == -ROTA_ECLOSING ? 0 : schedules_outcome(err);
}

static intptr_t talk(void *arg)
{
    const rota_communicate_options options = {.input = child.data,
                                              .input_size = SIZE};
    rota_process_output output;
    intptr_t err;

    (void)arg;
    if (child.freed)
        return 0;
    err = AWAIT(rota_process_communicate(child.process, &options, &output));
    CHECK(err == 0 || may_happen(err));
    CHECK(output.out && output.err && output.err_size == 0);
    CHECK(err < 0 ? output.out_size <= SIZE && output.returncode == 0
                  : output.out_size == SIZE && output.returncode == 7);
    CHECK(memcmp(output.out, child.data, output.out_size) == 0);
    rota_process_output_fini(&output);
    return outcome(err);
}

static intptr_t wait_beside(void *arg)
{
    int returncode = 0;
    intptr_t err;

    (void)arg;
    if (child.freed)
        return 0;
    err = AWAIT(rota_process_wait(child.process, &returncode));
    CHECK(err == 0 ? returncode == 7 : may_happen(err));
    return outcome(err);
}

/* --- The scenario ----------------------------------------------------------
 */

static void open_pipe(rota_loop *loop, int i)
{
    int ends[2];

    CHECK(pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
    child.fds[i] = ends[i == 0 ? 0 : 1];
    CHECK(rota__stream_open_fd(&child.process->streams[i], loop,
                               ends[i == 0 ? 1 : 0]) == 0);
}

static void begin(rota_loop *loop)
{
    rota_process *process = rota__zalloc(sizeof *process);
    struct rota__child *it = &process->base.child;

    child.process = process;
    child.read = child.echoed = 0;
    child.freed = false;
    child.answers_late = schedules_pick(2) == 0;
    rota__process_init(process, loop);
    it->loop = loop;
    it->id = (struct rota__process_id){-1, -1};
    it->watch.fd = -1;
    it->handle.run = asked;
    rota__list_init(&it->handle.link);
    for (int i = 0; i < 3; i++) {
        process->base.pipes[i] = -1;
        open_pipe(loop, i);
    }
    child.talker = schedules_start(talk, NULL);
    schedules_start(wait_beside, NULL);
    schedules_start(wait_beside, NULL);
}

/* Its stdin may be ended before, by whoever frees it. */
static void free_it(void)
{
    rota_stream *in = rota_process_stdin(child.process);
    unsigned how = schedules_pick(3);

    if (how == 1)
        rota_abort(in);
    if (how == 2)
        rota_close(in);
    child.freed = true;
    rota_process_free(child.process);
}

static bool idle(void)
{
    if (child.freed || child.process->base.child.ended)
        return false;
    if (child.may_be_freed && schedules_pick(3) == 0) {
        free_it();
    } else if (rota_task_done(child.talker)) {
        die();
        child.process->base.child.exited(&child.process->base.child);
    } else {
        live();
    }
    return true;
}

static void end(void)
{
    for (int i = 0; i < 3; i++)
        drop_fd(i);
    if (child.freed)
        return;
    child.process->base.child.ended = true;
    rota_process_free(child.process);
}

static const schedules_scenario scenario = {
    .begin = begin,
    .idle = idle,
    .end = end,
};

static void hold(bool may_be_freed)
{
    for (size_t i = 0; i < SIZE; i++)
        child.data[i] = byte_at(i);
    child.may_be_freed = may_be_freed;
    schedules_hold(&scenario);
}

static void all_is_said_and_heard_and_every_wait_ends(void)
{
    hold(false);
}

static void a_process_may_be_freed_at_any_time(void)
{
    hold(true);
}

HARNESS_MAIN(TEST_TIMEOUT(all_is_said_and_heard_and_every_wait_ends, 120),
             TEST_TIMEOUT(a_process_may_be_freed_at_any_time, 120))
