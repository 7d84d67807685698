/* SPDX-License-Identifier: MIT */
/*
 * loop: one thread's ready queue, timers, watches and futures
 *
 *     other threads --inbox--> ready --turn--> running --> run()
 *     timers (heap) --due----> ready
 *     poller -------ready()--> ready, or flips a flag at once
 *
 * Everything that runs is a struct rota__handle: a link and a function. It
 * belongs to whoever embeds it; the loop only links it. `ready` collects what
 * the next turn runs, `running` is what is left of the present one.
 *
 * The layers above hang on by four hooks: describe (what messages call a
 * handle, or, for NULL, who runs now; without room it only says whether it
 * knows), at_close (what must end before the loop does), drop (a handle that
 * is still queued when the loop closes, unlinked, and never to run), and
 * wait_hooks (around a wait that blocks; Python releases its lock there).
 */
#ifndef ROTA_LOOP_LOOP_H
#define ROTA_LOOP_LOOP_H

#include "base/base.h"
#include "os/os.h"
#include <rota/context.h>
#include <rota/future.h>
#include <rota/loop.h>
#include <stdatomic.h>

/* The beginning of a public rota_timer_handle is laid out like this. */
struct rota__timer {
    struct rota__heap_node node;
    struct rota__handle handle; /* joins the ready queue when due */
};

/*
 * Runs when the loop closes, the last added first: at first what other threads
 * wait for, before theirs are joined; at its end those that must wait until no
 * handle and no timer is queued any more.
 */
struct rota__at_close {
    struct rota__link link;
    void (*run)(struct rota__at_close *self);
};

/* Around the system call alone: no watch is told, nothing queued meanwhile. */
struct rota__wait_hooks {
    void (*before)(void *arg);
    void (*after)(void *arg);
    void *arg;
};

/*
 * Contexts. An actor is whoever runs: a task, a loop's callbacks, a thread
 * without a loop. Bindings are shared and counted.
 */
struct rota_context {
    struct rota__bindings *bindings; /* NULL: no variable is set */
    unsigned id;                     /* 0: no token is of it */
    bool entered;
};

struct rota__actor {
    rota_context *context; /* in force: its own, or one that it entered */
    rota_context own;
};

/* The loop's own pools of threads: a slow resolver must not hold up the
   reading of files, nor either an application's calls. */
enum rota__pool_kind { ROTA__NAMES, ROTA__FILES, ROTA__DEFAULT, ROTA__POOLS };

struct rota_loop {
    struct rota__link ready;
    struct rota__link running;
    struct rota__heap timers;
    struct rota__poller poller;

    _Atomic(struct rota__handle *) inbox; /* newest first */
    _Atomic bool asleep;                  /* a post must wake us */
    struct rota__wake wake;
    struct rota__watch wake_watch;

    atomic_uintptr_t thread; /* that runs it, or 0 */
    bool stopping;
    atomic_bool
        closing; /* the hooks run: a transport must not be made any more */
    atomic_bool closed;
    bool debug;
    bool watched;    /* by debug mode or a watchdog: steps begin in turn.c */
    bool keep_order; /* of the ready queue: no seed */
    bool busy;       /* the last wait found events at once: see turn.c */
    bool virtual_clock;
    int64_t virtual_now;
    struct rota__clock clock;
    uint64_t seed;
    struct rota__link **shuffled;
    size_t shuffled_capacity;

    struct rota__link free_handles; /* for callers that keep none */
    struct rota__link free_timers;
    struct rota__link reader_watches; /* of add_reader and add_writer */
    struct rota__link at_first;
    struct rota__link at_close;
    struct rota__link at_end;

    struct rota__wait_hooks wait_hooks;
    rota_exception_handler *exception_handler;
    void *exception_arg;
    int64_t slow_callback; /* ns */
    bool (*describe)(rota_loop *loop, struct rota__handle *handle, char *out,
                     size_t size);
    void (*drop)(struct rota__handle *handle);
    /* The task layer's: the task that runs, or NULL. */
    struct rota__actor *(*running_actor)(rota_loop *loop);
    struct rota__actor callbacks;

    struct rota__link jobs; /* that executors have of this loop */
    size_t job_count;
    size_t default_jobs; /* of these, the default executor's */
    size_t pool_jobs;    /* and those of pools: they hold a virtual clock */
    struct rota__link job_watchers;
    atomic_uint posters; /* that are telling of a job's end */
    struct rota_executor *pools[ROTA__POOLS]; /* its own, made on demand */
    struct rota_executor *executor; /* the default one, if it was set */
    bool executor_shut;
    struct rota__children *children; /* made on demand: see child.c */
    size_t child_count;              /* that have not ended */

    struct rota__watchdog *watchdog; /* or NULL */
    struct rota__tasks *tasks;       /* the task layer's; made on demand */
    struct rota__running *runs;      /* the run that is under way, or NULL */
    char *scratch;                   /* unless it is lent */
    size_t stack_size;
    bool allow_unguarded_stacks;
    bool eager_start;
};

extern _Thread_local rota_loop *rota__running_loop
    __attribute__((tls_model("initial-exec"), visibility("hidden")));

/* Ready queue */
static inline void rota__ready(rota_loop *loop, struct rota__handle *handle)
{
    rota__list_push(&loop->ready, &handle->link);
}

/* Takes a handle out of whatever queue it stands in. */
static inline void rota__unready(struct rota__handle *handle)
{
    rota__list_remove(&handle->link);
}

/* The next handle of this turn, or NULL; it stays where it is. */
static inline struct rota__handle *rota__next_running(const rota_loop *loop)
{
    const struct rota__link *next = loop->running.next;

    return next == &loop->running
               ? NULL
               : rota__container_of(next, struct rota__handle, link);
}

/* From any thread: the handle joins the ready queue of the loop. */
void rota__post(rota_loop *loop, struct rota__handle *handle);
/*
 * From any thread: something for the loop that must not get lost. deliver()
 * runs in a turn, or, with `dropped`, when the loop closes first.
 */
struct rota__message {
    struct rota__handle handle;
    void (*deliver)(struct rota__message *message, bool dropped);
};

void rota__send(rota_loop *loop, struct rota__message *message,
                void (*deliver)(struct rota__message *message, bool dropped));
/* The same unless the loop closes: false then. For who waits for the answer,
   as the loop may wait for the waiter's end. */
bool rota__send_if_open(rota_loop *loop, struct rota__message *message,
                        void (*deliver)(struct rota__message *message,
                                        bool dropped));
/* Until nobody is in the midst of a post that the loop must not miss. */
void rota__wait_for_posters(const rota_loop *loop);
/* All that have come; afterwards none comes by rota__send_if_open(). */
void rota__drop_messages(rota_loop *loop);
/* Tells a message that it was dropped; false for any other handle. */
bool rota__message_drop(struct rota__handle *handle);
/* Brings what other threads have posted into the ready queue. */
void rota__take_from_threads(rota_loop *loop);
/* Makes a loop that sleeps come back, from any thread. */
void rota__interrupt(rota_loop *loop);

/* Turns */
struct rota__running {
    rota_loop *before; /* that ran on this thread, for nested runs */
    struct rota__running *outer;
    uintptr_t thread_before;
    bool stopping_before; /* a stop ends the run that it was asked in */
    bool in_step;         /* of the watchdog's, that a nested run is in */
    const void *step_function;
};

/*
 * Begins and ends a run; between them rota__turn() makes one turn. `nested`
 * allows a run inside a callback, as Python's nest_asyncio wants, of another
 * loop or of the same: what is left of the outer turn then runs first in the
 * inner one.
 */
int rota__run_begin(rota_loop *loop, struct rota__running *run, bool nested);
void rota__run_end(rota_loop *loop, struct rota__running *run);
int rota__turn(rota_loop *loop);
/*
 * The two halves of a turn, for a caller that must look at something between
 * them (Python: signals): wait and gather what is ready; run it.
 */
int rota__turn_wait(rota_loop *loop);
void rota__turn_run(rota_loop *loop);
/*
 * Ends the turn with the callback that calls this: what is left of it comes
 * first in the next one. For an error that no callback may run after.
 */
void rota__turn_break(rota_loop *loop);
/*
 * Begins the next turn if its first phases have nothing to do: no event, no
 * post, no timer that is due. For a task that parks as the last one of a turn
 * and so need not go back to the loop's own stack.
 */
bool rota__turn_on(rota_loop *loop);

/*
 * Shows each handle that is queued: ready, timers, inbox. Changes nothing, so
 * that any thread may call it that holds the lock of the wait hooks: the loop
 * changes its queues only with that lock, but for posts, which are atomic.
 */
typedef void rota__visitor(struct rota__handle *handle, void *arg);
void rota__visit(const rota_loop *loop, rota__visitor *visitor, void *arg);
void rota__visit_posts(const rota_loop *loop, rota__visitor *visitor,
                       void *arg);

/*
 * In a forked child, of a loop of its parent's: the two do not disturb each
 * other from here on. The child may run the loop, or close it; one that another
 * thread ran stands still. 0, or an error (-EMFILE, -ENFILE, -ENOMEM): then the
 * child must leave it alone.
 */
int rota__loop_forked(rota_loop *loop);

/* Timers, in ns of rota__now() */
int64_t rota__now(const rota_loop *loop);

/* Cheaper, and never before rota__now(): for deadlines, which may be late. */
static inline int64_t rota__now_at_most(rota_loop *loop)
{
    if (rota__unlikely(loop->virtual_clock))
        return loop->virtual_now;
    return rota__clock_quick(&loop->clock) + ROTA__CLOCK_MARGIN;
}

int rota__timer_arm(rota_loop *loop, struct rota__timer *timer, int64_t when);
/* Also of a timer that is armed. */
int rota__timer_rearm(rota_loop *loop, struct rota__timer *timer, int64_t when);
/* Harmless for one that is not armed; also takes it out of the ready queue. */
void rota__timer_cancel(rota_loop *loop, struct rota__timer *timer);
/* Seconds to ns: never less than asked for; far ends are clipped. */
#define ROTA__FAR (INT64_MAX / 4)
int64_t rota__clip_ns(double ns);

static inline int64_t rota__to_ns(double seconds)
{
    double ns = seconds * (double)ROTA__SECOND;
    int64_t whole;

    if (rota__unlikely(!(ns < (double)ROTA__FAR && ns > -(double)ROTA__FAR)))
        return rota__clip_ns(ns);
    whole = (int64_t)ns;
    return whole + ((double)whole < ns);
}

/*
 * A time of rota_loop_time() in ns: what that says now has come, also if it
 * was rounded up. ROTA__FOREVER for INFINITY.
 */
int64_t rota__time_at(double time, int64_t now);

void rota__timer_init(struct rota__timer *timer,
                      void (*run)(struct rota__handle *));

/*
 * Handles of the public API
 *
 *     IDLE --set--> PENDING --run--> DONE       (can be set again)
 *                      `-----cancel--> CANCELLED (can be set again)
 */
enum { ROTA__IDLE, ROTA__PENDING, ROTA__CANCELLED, ROTA__DONE };

/*
 * Prepares a handle, lent when `handle` is NULL, to be linked somewhere; NULL
 * if there is no memory. rota__handle_finish() is for its run function.
 */
rota_handle *rota__handle_prepare(rota_loop *loop, rota_handle *handle,
                                  rota_callback *callback, void *arg,
                                  void (*run)(struct rota__handle *));
void rota__handle_finish(rota_handle *handle);
/* Lets its callback, which comes next, run in its context. */
void rota__handle_enter(rota_handle *handle, rota_loop *loop);
/* Ends one that will not run. */
void rota__handle_drop(rota_handle *handle);
/* Runs a future's callback. */
void rota__handle_run_future(struct rota__handle *base);
/* Such a handle leaves the ready queue. */
void rota__future_unschedule(const rota_handle *handle);
/* The function behind a handle: the caller's, or else the one that is run. */
const void *rota__handle_function(struct rota__handle *handle);
/* Handles that the loop lends to callers that keep none. */
void rota__handles_free(rota_loop *loop);

/* Contexts */
extern atomic_bool rota__contexts_used; /* since a first variable was set */
void rota__actor_init(struct rota__actor *actor);
void rota__actor_fini(struct rota__actor *actor);
struct rota__bindings *rota__bindings_ref(struct rota__bindings *bindings);
void rota__bindings_unref(struct rota__bindings *bindings);
/* A context of its own with these, of which it takes a reference. */
int rota__context_new(rota_context **out, struct rota__bindings *bindings);
struct rota__bindings *rota__bindings_capture_used(void);

/* What is in force now: a reference, or NULL. */
static inline struct rota__bindings *rota__bindings_capture(void)
{
    if (rota__likely(
            !atomic_load_explicit(&rota__contexts_used, memory_order_relaxed)))
        return NULL;
    return rota__bindings_capture_used();
}

/* For the callback that runs now, until it returns; takes the reference. */
void rota__context_lend(rota_loop *loop, struct rota__bindings *bindings);
/* Runs a function in these, on a thread without a loop. */
intptr_t rota__context_run_in(struct rota__bindings *bindings,
                              intptr_t (*function)(void *), void *arg);
/* Runs a function in these while the loop closes: no turn is under way. */
void rota__context_run_at_close(rota_loop *loop,
                                struct rota__bindings *bindings,
                                intptr_t (*function)(void *), void *arg);

/* add_reader's own; called by close. */
void rota__readers_close(rota_loop *loop);

/*
 * Watcher: one who waits for an fd, once, where add_reader has a callback.
 * wake() is called when the fd can be read (written), has ended or has failed;
 * in the middle of polling: it takes notes and queues handles. Then, or before
 * that, the watcher is to be ended; that a second time does nothing.
 */
struct rota__watcher {
    void (*wake)(struct rota__watcher *watcher);
    struct rota__fd_watch *place;
    bool writing;
};

/* 0, -EBUSY (somebody stands in that direction), -EEXIST (a stream has the
   fd), -EBADF, -EPERM (a regular file) or -ENOMEM. */
int rota__watcher_begin(rota_loop *loop, struct rota__watcher *watcher, int fd,
                        bool writing);
void rota__watcher_end(struct rota__watcher *watcher);
/* Who stands there and has not been woken, or NULL. */
struct rota__watcher *rota__watcher_of(rota_loop *loop, int fd, bool writing);

/*
 * The loop's memory for what is received next. Taken and returned around a
 * callback, so that a nested run takes another one; or used in place, for as
 * long as no other code runs. NULL: no memory. Streams use the first part of
 * it, batches of datagrams all; what nobody touches costs nothing.
 */
#define ROTA__SCRATCH 65536
#define ROTA__SCRATCH_ROOM (8 * ROTA__SCRATCH + 4096)
char *rota__scratch_take(rota_loop *loop);
void rota__scratch_return(rota_loop *loop, char *scratch);
char *rota__scratch_make(rota_loop *loop);

static inline char *rota__scratch(rota_loop *loop)
{
    return rota__likely(loop->scratch != NULL) ? loop->scratch
                                               : rota__scratch_make(loop);
}

/* Hooks and misuse */
void rota__at_first_add(rota_loop *loop, struct rota__at_close *hook,
                        void (*run)(struct rota__at_close *));
void rota__at_close_add(rota_loop *loop, struct rota__at_close *hook,
                        void (*run)(struct rota__at_close *));
void rota__at_end_add(rota_loop *loop, struct rota__at_close *hook,
                      void (*run)(struct rota__at_close *));
void rota__at_close_remove(struct rota__at_close *hook);

/* The task layer's, or NULL: the process is a forked worker, and has no part in
   the loops of its parent. */
typedef void rota__forget_parent(void);
extern rota__forget_parent *_Atomic rota__forget_tasks;

void rota__check_thread_closely(const rota_loop *loop, const char *function);

/* Debug mode stops a call from a wrong thread; for calls without errors. */
static inline void rota__check_thread(const rota_loop *loop,
                                      const char *function)
{
    if (rota__unlikely(loop->debug))
        rota__check_thread_closely(loop, function);
}

int rota__check_closely(const rota_loop *loop, const char *function);

/* 0, or the error for a loop that is closed, or (debug) a wrong thread. */
static inline int rota__check(const rota_loop *loop, const char *function)
{
    if (rota__likely(!loop->closed && !loop->debug))
        return 0;
    return rota__check_closely(loop, function);
}

/* Returns `error`; in debug mode stops, naming the function and the fix. */
int rota__misuse(const rota_loop *loop, int error, const char *function,
                 const char *fix);
/* What debug mode calls a handle: its task, or its function. */
void rota__name_handle(rota_loop *loop, struct rota__handle *handle, char *out,
                       size_t size);
/* Prints a line of debug mode's. */
void rota__report(const char *format, ...) ROTA__PRINTF(1);

/* The watchdog, of a loop that has one: a step begins, and is over. */
void rota__watchdog_step(rota_loop *loop, struct rota__handle *handle);
void rota__watchdog_stepped(rota_loop *loop);
/* A run begins, and ends. */
void rota__watchdog_enter(rota_loop *loop, struct rota__running *run);
void rota__watchdog_leave(rota_loop *loop, const struct rota__running *run);
/* A new loop gets one, if `seconds` or the environment asks for it. */
int rota__watchdog_configure(rota_loop *loop, double seconds);

/*
 * Futures: a waiter stands among the callbacks, in order; its wake() is
 * called at once when the future is done.
 */
struct rota__future_waiter {
    struct rota__link link;
    void (*wake)(struct rota__future_waiter *waiter, rota_future *future);
};

#endif
