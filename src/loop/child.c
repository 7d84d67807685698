/* SPDX-License-Identifier: MIT */
/*
 * Children: told of, reaped, given up
 *
 *     spawned --begin--> RUNNING --pidfd or SIGCHLD--> asked, in a turn -->
 *     reaped --> exited()
 *
 * Whoever ends one before that kills it; whoever gives one up leaves it in the
 * loop's list, with another function to be told. What is in the list when the
 * loop closes is killed, all at once, and then waited for.
 */
#include "loop/child.h"
#include "loop/signal.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#define UNKNOWN_RETURNCODE 255 /* asyncio's */

struct rota__children {
    rota_loop *loop;
    struct rota__link all; /* that have not ended */
    bool by_signal;        /* the environment wants it so */
    size_t signalled;      /* whose end SIGCHLD tells of */
    struct rota__signal_watch sigchld;
    struct rota__at_close at_close;
};

static struct rota__child *child_at(struct rota__link *link)
{
    return rota__container_of(link, struct rota__child, siblings);
}

/* The fd of the watch says by what. */
static bool is_signalled(const struct rota__child *child)
{
    return child->watch.fd < 0;
}

static void ask_soon(struct rota__child *child)
{
    if (rota__list_empty(&child->handle.link))
        rota__ready(child->loop, &child->handle);
}

static void pidfd_ready(struct rota__watch *watch, unsigned events)
{
    (void)events;
    ask_soon(rota__container_of(watch, struct rota__child, watch));
}

static void sigchld_caught(struct rota__signal_watch *watch)
{
    struct rota__children *children =
        rota__container_of(watch, struct rota__children, sigchld);
    struct rota__link *all = &children->all;

    for (struct rota__link *at = all->next; at != all; at = at->next)
        if (is_signalled(child_at(at)))
            ask_soon(child_at(at));
}

/* --- The end of one ------------------------------------------------------ */

static void unwatch(struct rota__child *child)
{
    struct rota__children *children = child->loop->children;

    if (!is_signalled(child))
        rota__poller_forget(&child->loop->poller, &child->watch);
    else if (--children->signalled == 0)
        rota__signal_watch_end(&children->sigchld);
}

static void forget(struct rota__child *child)
{
    unwatch(child);
    rota__unready(&child->handle);
    rota__list_remove(&child->siblings);
    child->loop->child_count--;
    rota__process_close(&child->id);
    child->ended = true;
}

/* It was reaped: its number may be another's from now on. */
static void finish(struct rota__child *child, int returncode)
{
    forget(child);
    child->returncode = returncode;
}

static void report_unknown(rota_loop *loop, pid_t pid)
{
    char message[128];
    const rota_exception_context context = {.message = message,
                                            .error = -ECHILD};

    snprintf(message, sizeof message,
             "child process %ld was waited for by somebody else: "
             "its returncode is taken to be %d",
             (long)pid, UNKNOWN_RETURNCODE);
    rota_call_exception_handler(loop, &context);
}

/* A debugger hears of the end before we do: it is told again then. */
static void wait_on(struct rota__child *child)
{
    if (!is_signalled(child))
        rota__poller_drained(&child->loop->poller, &child->watch,
                             ROTA__READABLE);
}

/* The report comes last: whoever hears it may free the child. */
static void ask(struct rota__handle *handle)
{
    struct rota__child *child =
        rota__container_of(handle, struct rota__child, handle);
    rota_loop *loop = child->loop;
    pid_t pid = child->id.pid;
    int returncode = UNKNOWN_RETURNCODE;
    int ended = rota__process_reap(&child->id, false, &returncode);
    bool report;

    if (ended == 0) {
        wait_on(child);
        return;
    }
    child->unknown = ended < 0;
    report = child->unknown && !child->given_up && !child->lent;
    finish(child, returncode);
    child->exited(child);
    if (report)
        report_unknown(loop, pid);
}

/* False for one that we may not kill and that still runs. */
static bool kill_and_reap(const struct rota__process_id *id, int *returncode)
{
    bool mortal = rota__process_signal(id, SIGKILL) != -EPERM;

    *returncode = UNKNOWN_RETURNCODE;
    return rota__process_reap(id, mortal, returncode) != 0;
}

static void end(struct rota__child *child)
{
    int returncode;

    (void)kill_and_reap(&child->id, &returncode);
    finish(child, returncode);
}

/* --- All of a loop ------------------------------------------------------- */

static void loop_closes(struct rota__at_close *hook)
{
    struct rota__children *children =
        rota__container_of(hook, struct rota__children, at_close);
    struct rota__link *all = &children->all;

    for (struct rota__link *at = all->next; at != all; at = at->next)
        if (!child_at(at)->lent)
            (void)rota__process_signal(&child_at(at)->id, SIGKILL);
    while (!rota__list_empty(all)) {
        struct rota__child *child = child_at(all->next);

        if (child->lent)
            forget(child);
        else
            end(child);
        if (child->given_up)
            child->exited(child);
    }
    children->loop->children = NULL;
    rota__free(children);
}

static int find_or_make(rota_loop *loop, struct rota__children **out)
{
    struct rota__children *children = loop->children;

    if (!children) {
        const char *watcher = getenv("ROTA_CHILD_WATCHER");

        children = rota__zalloc(sizeof *children);
        if (!children)
            return -ENOMEM;
        children->loop = loop;
        children->by_signal = watcher && strcmp(watcher, "signal") == 0;
        children->sigchld.loop = loop;
        children->sigchld.number = SIGCHLD;
        children->sigchld.caught = sigchld_caught;
        rota__list_init(&children->all);
        rota__at_close_add(loop, &children->at_close, loop_closes);
        loop->children = children;
    }
    *out = children;
    return 0;
}

/* It may have ended before SIGCHLD was ours: so it is asked once. */
static int watch(struct rota__child *child, struct rota__children *children)
{
    int err = 0;

    child->watch = (struct rota__watch){.ready = pidfd_ready, .fd = -1};
    if (child->id.fd >= 0 && !children->by_signal) {
        child->watch.fd = child->id.fd;
        return rota__poller_add(&child->loop->poller, &child->watch,
                                ROTA__READABLE | ROTA__EDGE);
    }
    if (children->signalled == 0)
        err = rota__signal_watch_begin(&children->sigchld);
    if (err < 0)
        return err;
    children->signalled++;
    ask_soon(child);
    return 0;
}

/* --- The contract -------------------------------------------------------- */

static int begin(struct rota__child *child, rota_loop *loop,
                 const struct rota__process_id *id, bool lent)
{
    struct rota__children *children;
    int err = find_or_make(loop, &children);

    child->id = *id;
    child->loop = loop;
    child->handle.run = ask;
    child->ended = false;
    child->given_up = false;
    child->lent = lent;
    child->unknown = false;
    rota__list_init(&child->handle.link);
    rota__list_init(&child->siblings);
    if (err == 0)
        err = watch(child, children);
    if (err < 0)
        return err;
    rota__list_push(&children->all, &child->siblings);
    loop->child_count++;
    return 0;
}

int rota__child_begin(struct rota__child *child, rota_loop *loop,
                      const struct rota__process_id *id)
{
    int err = begin(child, loop, id, false);

    if (err < 0) {
        (void)kill_and_reap(&child->id, &child->returncode);
        rota__process_close(&child->id);
        child->ended = true;
    }
    return err;
}

int rota__child_watch(struct rota__child *child, rota_loop *loop, pid_t pid)
{
    const struct rota__process_id id = {pid, rota__process_open(pid)};
    int err = begin(child, loop, &id, true);

    if (err < 0) {
        rota__process_close(&child->id);
        child->ended = true;
    }
    return err;
}

void rota__child_leave(struct rota__child *child)
{
    if (!child->ended)
        forget(child);
}

int rota__child_signal(struct rota__child *child, int signal)
{
    if (child->ended)
        return -ESRCH;
    return rota__process_signal(&child->id, signal);
}

void rota__child_end(struct rota__child *child)
{
    if (!child->ended)
        end(child);
}

void rota__child_give_up(struct rota__child *child,
                         void (*release)(struct rota__child *child))
{
    if (child->ended) {
        release(child);
        return;
    }
    child->exited = release;
    child->given_up = true;
    (void)rota__process_signal(&child->id, SIGKILL);
    if (is_signalled(child))
        ask_soon(child);
}
