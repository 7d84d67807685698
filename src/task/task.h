/* SPDX-License-Identifier: MIT */
/*
 * task: stacks that wait
 *
 * Park and unpark is the only way to wait. The waiter lives on the waiting
 * task's own stack, usually in somebody's queue. Whoever has news unparks it
 * with a result; cancelling does so with -ECANCELED, unless the waiter has a
 * cancel function, which then decides (awaiting a child cancels the child).
 *
 *     running --park--> parked --unpark--> ready --turn--> running
 *
 * A wake-up is a permission, not a value handed over: a task that is
 * cancelled while it is ready gets -ECANCELED, and must pass the wake-up on
 * if somebody else waits for the same thing.
 *
 * The struct sits at the top of its task's stack, so that a sleeping task is
 * one page. Stacks stay mapped until the loop closes: a stale handle reads
 * valid memory and finds another id.
 */
#ifndef ROTA_TASK_TASK_H
#define ROTA_TASK_TASK_H

#include "base/base.h"
#include "loop/loop.h"
#include "os/context.h"
#include "task/anchor.h"
#include <rota/debug.h>
#include <rota/queue.h>
#include <rota/scope.h>
#include <rota/sync.h>
#include <rota/task.h>
#include <rota/wait.h>

struct rota__waiter {
    struct rota__link link;
    struct rota__task *task;
    /* NULL, or: asked to cancel; false when that is not possible any more. */
    bool (*cancel)(struct rota__waiter *waiter);
};

/* Looks on: the handle stands in the task's list until the end, then runs. */
struct rota__borrower {
    struct rota__handle handle;
    struct rota__task *task; /* that looks on, or NULL */
    uint64_t task_id;        /* it may have ended since */
    intptr_t result;         /* the other's */
    bool after_owner;        /* came after the owner, and hears after it */
};

/* Begins to look on; also a task that is done is heard of a turn later. */
void rota__borrow(rota_task handle, struct rota__borrower *borrower,
                  void (*run)(struct rota__handle *));

/* How a task awaits another; to cancel it is to cancel the child. */
struct rota__join {
    struct rota__waiter waiter;
    struct rota__owner owner;
    struct rota__task *child;
};

bool rota__join_cancel(struct rota__waiter *waiter);

/* What every wait looks at comes first, in as few cache lines as may be. */
struct rota__task {
    struct rota__handle handle; /* resumes it */
    struct rota__context context;
    struct rota__waiter *waiting; /* parked on it; else NULL */
    intptr_t wake;                /* what the park returns */
    rota_loop *loop;
    unsigned attention;        /* what it must do first when it is resumed */
    unsigned calls;            /* in a row that could have waited and did not */
    struct rota__actor actor;  /* its context variables */
    struct rota__owner *owner; /* is told of the end; see owners below */
    struct rota__link siblings;  /* in the owner's list, if it has one */
    size_t index;                /* the owner's: which child this is */
    struct rota__link borrowers; /* that look on until the end */
    struct rota__place *leaving; /* what it has not left yet, or NULL */
    rota_task_function *function;
    void *arg;
    intptr_t result;
    uint64_t id;
    struct rota__stack *stack;
    struct rota__stack_pool *pool;
    const char *where;
    struct rota__link scopes; /* open ones, in debug mode */
    int cancelling;
    bool begun;
    bool told_cancelled; /* a wait has returned -ECANCELED for a request */
    bool painted;        /* its stack: debug mode */
    bool ending;         /* cancelled by the shutdown */
    bool done;
    char name[32];
};

/* Bits of a task's attention. */
enum {
    ROTA__MUST_CANCEL = 1, /* its wait returns -ECANCELED */
    ROTA__MUST_ANSWER = 2, /* somebody asks something on its stack */
    ROTA__HAS_SCOPES = 4,  /* open ones, noted in debug mode */
};

/*
 * Who has begun the running task at once, in the midst of its own step, and
 * goes on as soon as that task parks or ends.
 */
struct rota__eager {
    struct rota__eager *outer;
    struct rota__task *creator; /* NULL: a callback */
    struct rota__context *context;
};

/* What is run on the stack of a task that stands still. */
struct rota__question {
    void (*ask)(struct rota__question *question);
    struct rota__task *asker;
    struct rota__context *context;
};

struct rota__stack_class {
    struct rota__stack_class *next;
    struct rota__stack_pool pool;
};

/* What a loop has once it has tasks. */
struct rota__tasks {
    const struct rota__anchor *anchor; /* tools know by it that we are one */
    rota_loop *loop;
    struct rota__task *current;
    struct rota__context loop_context;
    struct rota__task *zombie; /* a detached one that has just ended */
    struct rota__eager *eager; /* innermost, or NULL */
    struct rota__question *question;
    struct rota__task **slots;
    size_t slot_count;
    size_t slot_capacity;
    struct rota__stack_pool pool; /* of the default size */
    struct rota__stack_class *classes;
    uint64_t last_id;
    uint32_t number;                /* of this loop, unique in the process */
    size_t ending;                  /* tasks that the shutdown waits for */
    struct rota__tasks *next_known; /* of all loops that have tasks */
    struct rota__at_close at_close; /* then at_end: stacks outlive queues */
};

/* All there are in the process, for tasks.c and the anchor. */
extern struct rota__tasks *rota__known_tasks
    __attribute__((visibility("hidden")));

/* The running task, or NULL. */
static inline struct rota__task *rota__current(void)
{
    rota_loop *loop = rota__running_loop;

    return loop && loop->tasks ? loop->tasks->current : NULL;
}

/* Suspends `self`; the waiter's link and cancel are set. */
intptr_t rota__park(struct rota__task *self, struct rota__waiter *waiter);
/* The same, at the end of a queue. */
intptr_t rota__park_in(struct rota__task *self, struct rota__waiter *waiter,
                       struct rota__link *queue);
/* Takes the waiter out of its queue and makes its task ready. */
void rota__unpark(struct rota__waiter *waiter, intptr_t result);
/* Unparks the first of a queue, or all; false if nobody waits. */
bool rota__unpark_first(struct rota__link *queue, intptr_t result);
void rota__unpark_all(struct rota__link *queue, intptr_t result);
/* Lets the others run once; 0 or -ECANCELED. */
int rota__yield(struct rota__task *self);

/*
 * A task that always finds something must not starve the others: after so many
 * calls in a row that could have waited, the next one yields first.
 */
#define ROTA__CALLS_IN_A_ROW 64
static inline bool rota__task_is_greedy(struct rota__task *self)
{
    return rota__unlikely(++self->calls > ROTA__CALLS_IN_A_ROW);
}
/* Until the fd can be read (written), has ended or failed: see rota/sock.h. */
int rota__wait_for_fd(struct rota__task *self, int fd, bool writing);

int rota__not_a_task(const char *function);

/* The running task, or NULL with *err set, for a function that awaits. */
static inline struct rota__task *rota__waiting_task(const char *function,
                                                    int *err)
{
    struct rota__task *self = rota__current();

    if (rota__unlikely(!self))
        *err = rota__not_a_task(function);
    return self;
}

/*
 * Waiting in turn, for locks and their like: a waiter that was woken stands
 * among the woken, and one that was cancelled among the leaving, until its
 * task runs, so that nobody overtakes it and so that the end of the lock
 * finds it.
 */
struct rota__place {
    struct rota__waiter waiter;
    struct rota__queue_of_waiters *queue;
    struct rota__place *outer; /* of the same task, also not left yet */
    bool woken;
    bool first; /* when it was cancelled, nobody waited before it */
    bool gone;  /* what it waited in has been ended */
};

void rota__queue_open(struct rota__queue_of_waiters *queue);
/* Who has a place there gets -ROTA_ECLOSING and looks no more. */
void rota__queue_close(struct rota__queue_of_waiters *queue);
/* The same for what nobody should wait in: debug mode stops. */
void rota__queue_end(struct rota__queue_of_waiters *queue,
                     const char *function);
/* Nobody waits and nobody was woken; some may be leaving. */
static inline bool rota__queue_idle(const struct rota__queue_of_waiters *queue)
{
    return rota__list_empty(&queue->waiting) && rota__list_empty(&queue->woken);
}

int rota__queue_rebind(struct rota__queue_of_waiters *queue, rota_loop *loop);

/* One loop at a time: 0 or -EINVAL. */
static inline int rota__queue_bind(struct rota__queue_of_waiters *queue,
                                   rota_loop *loop)
{
    if (rota__likely(queue->loop == loop))
        return 0;
    return rota__queue_rebind(queue, loop);
}

/*
 * 0 when woken; -ECANCELED, also after a wake-up, which place->woken tells;
 * -ROTA_ECLOSING when the queue is gone and must not be touched.
 */
int rota__queue_wait(struct rota__task *self,
                     struct rota__queue_of_waiters *queue,
                     struct rota__place *place);
/* The same in two steps; between them the task may wait for other things. */
int rota__queue_stay(struct rota__task *self,
                     struct rota__queue_of_waiters *queue,
                     struct rota__place *place);
/* `err` as above; a cancellation is not lost when the queue is gone. */
int rota__queue_leave(struct rota__task *self, struct rota__place *place,
                      int err);
/* The first in line was cancelled, and has not run yet. */
bool rota__queue_first_leaves(const struct rota__queue_of_waiters *queue);
void rota__queue_wake_first(struct rota__queue_of_waiters *queue);

/* Wakes the first that waits; false if nobody does. */
static inline bool rota__queue_wake(struct rota__queue_of_waiters *queue)
{
    if (rota__list_empty(&queue->waiting))
        return false;
    rota__queue_wake_first(queue);
    return true;
}

void rota__queue_wake_all(struct rota__queue_of_waiters *queue);

/* Cancelling, as the public calls do it. False if the task is done. */
bool rota__task_cancel(struct rota__task *task);
int rota__task_uncancel(struct rota__task *task);
/* Delivers once more what a wait could not tell: not counted again. */
void rota__cancel_next_wait(struct rota__task *task);

/*
 * Owners. A task has none until somebody undertakes to end it: its awaiter, a
 * gather, a group, the runner, or rota__detached, which frees it.
 */
extern struct rota__owner rota__detached;

/* True for a handle of this very task. */
bool rota__task_is(const struct rota__task *task, rota_task handle);
/* 0, or the error for handles that cannot all be looked at. */
int rota__tasks_check(const struct rota__task *self, const rota_task *tasks,
                      size_t count, const char *function);
/* What a handle stands for: 0, -ROTA_EAWAITED or -EINVAL. */
int rota__task_find(rota_task handle, struct rota__task **out);
/* The same for a caller that becomes its owner; none may have it yet. */
int rota__task_claim(rota_task handle, const char *function,
                     struct rota__task **out);
rota_task rota__task_handle(const struct rota__task *task);
/* The task that a handle resumes, or NULL for any other handle. */
struct rota__task *rota__task_of(struct rota__handle *handle);
/* Made up at the first call, if it was given none. */
const char *rota__task_name(struct rota__task *task);
/* Runs a new task at once, until it parks or ends. */
void rota__task_begin(struct rota__task *task);
/*
 * Runs question->ask() on the stack of a task of the same loop that has begun,
 * is not done, and stands still. It must not wait, nor use much of the stack.
 */
void rota__task_ask(struct rota__task *task, struct rota__question *question);
/* The calls on the stack of a task that stands still, or is the running one. */
struct rota__trace {
    void *pcs[64];
    size_t count;
};

void rota__task_trace(struct rota__task *task, struct rota__trace *trace);
void rota__trace_print(const struct rota__trace *trace, const char *indent,
                       FILE *out);
/* Makes a new task one that can be resumed. */
void rota__task_prepare(struct rota__task *task);
/* Frees a task that is done. */
void rota__task_release(struct rota__task *task);
int rota__task_create(rota_loop *loop, struct rota__task **out,
                      const rota_task_options *options,
                      rota_task_function *function, void *arg,
                      const char *where);
/* Whether a task that is made now is to begin at once. */
bool rota__begins_eagerly(const rota_loop *loop,
                          const rota_task_options *options);
void rota__detach(struct rota__task *task);
/* Cancels all tasks of a loop and turns it until they are done. */
int rota__tasks_cancel_all(rota_loop *loop);
int rota__tasks_make(rota_loop *loop);

/* Scopes, followed in debug mode only. */
void rota__scope_opened(struct rota__task *task, const void *scope,
                        const char *what, const char *where);
void rota__scope_closed(struct rota__task *task, const void *scope,
                        const char *function);
/* Stops if a function has returned and left one open; asked at each wait. */
void rota__scopes_check_left(struct rota__task *task);
/* Stops if one is open: the task has returned. */
void rota__scopes_check(struct rota__task *task);
void rota__scopes_forget(struct rota__task *task);

#endif
