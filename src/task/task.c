/* SPDX-License-Identifier: MIT */
/*
 * Switching: park, unpark, and what a task does from its entry to its end
 *
 * The loop resumes a task by running its handle. A task that parks looks at
 * what the loop would run next: if that is a task too, it switches there
 * directly, and the loop's own stack is not visited at all. In debug mode and
 * under a watchdog it always is, because each step is timed there.
 */
#include "task/task.h"
#include <stdio.h>

static struct rota__task *task_of(struct rota__handle *handle)
{
    return rota__container_of(handle, struct rota__task, handle);
}

static void reap(struct rota__tasks *tasks)
{
    struct rota__task *zombie = tasks->zombie;

    tasks->zombie = NULL;
    rota__task_release(zombie);
}

static void resume(struct rota__handle *handle)
{
    struct rota__task *task = task_of(handle);
    struct rota__tasks *tasks = task->loop->tasks;

    tasks->current = task;
    rota__context_adopt(&tasks->loop_context);
    rota__context_switch(&tasks->loop_context, &task->context);
    tasks->current = NULL;
    if (tasks->zombie)
        reap(tasks);
}

struct rota__task *rota__task_of(struct rota__handle *handle)
{
    return handle->run == resume ? task_of(handle) : NULL;
}

static struct rota__context *back_to_creator(struct rota__tasks *tasks)
{
    struct rota__eager *eager = tasks->eager;

    tasks->eager = eager->outer;
    tasks->current = eager->creator;
    return eager->context;
}

/*
 * Where to go from a task that cannot go on: to who has begun it at once, to
 * another task, or to the loop.
 */
static struct rota__context *next_context(rota_loop *loop)
{
    struct rota__handle *next = rota__next_running(loop);

    if (rota__unlikely(loop->tasks->eager != NULL))
        return back_to_creator(loop->tasks);
    if (!next && !loop->watched && rota__turn_on(loop))
        next = rota__next_running(loop);
    if (!next || next->run != resume || rota__unlikely(loop->watched))
        return &loop->tasks->loop_context;
    rota__unready(next);
    loop->tasks->current = task_of(next);
    return &task_of(next)->context;
}

/* The asker lets us go on only when somebody resumes us. */
static void answer(struct rota__task *self)
{
    struct rota__question *question = self->loop->tasks->question;

    self->attention &= ~(unsigned)ROTA__MUST_ANSWER;
    question->ask(question);
    rota__context_switch(&self->context, question->context);
}

static bool must_cancel(struct rota__task *self)
{
    while (self->attention & ROTA__MUST_ANSWER)
        answer(self);
    if (!(self->attention & ROTA__MUST_CANCEL))
        return false;
    self->attention &= ~(unsigned)ROTA__MUST_CANCEL;
    self->told_cancelled = true;
    return true;
}

static intptr_t woken(struct rota__task *self)
{
    if (rota__unlikely(self->attention != 0) && must_cancel(self))
        return -ECANCELED;
    return self->wake;
}

/* The context that is running now, to come back to. */
static struct rota__context *here(struct rota__tasks *tasks)
{
    if (tasks->current)
        return &tasks->current->context;
    rota__context_adopt(&tasks->loop_context);
    return &tasks->loop_context;
}

void rota__task_ask(struct rota__task *task, struct rota__question *question)
{
    struct rota__tasks *tasks = task->loop->tasks;

    question->asker = tasks->current;
    question->context = here(tasks);
    tasks->question = question;
    task->attention |= ROTA__MUST_ANSWER;
    rota__context_switch(question->context, &task->context);
}

void rota__task_begin(struct rota__task *task)
{
    struct rota__tasks *tasks = task->loop->tasks;
    struct rota__task *self = tasks->current;
    struct rota__eager eager = {tasks->eager, self, here(tasks)};

    rota__unready(&task->handle);
    tasks->eager = &eager;
    tasks->current = task;
    rota__context_switch(eager.context, &task->context);
    while (self && rota__unlikely(self->attention & ROTA__MUST_ANSWER))
        answer(self);
    if (tasks->zombie)
        reap(tasks);
}

/* Awaiting another, it is told by that one's result. */
static bool cancel_wait(struct rota__task *task)
{
    struct rota__waiter *waiter = task->waiting;

    if (!waiter)
        return false;
    if (waiter->cancel && !waiter->cancel(waiter))
        return false;
    if (!waiter->cancel)
        rota__unpark(waiter, -ECANCELED);
    task->told_cancelled |= !task->waiting;
    return true;
}

static void before_wait(struct rota__task *self)
{
    if (self->attention & ROTA__HAS_SCOPES)
        rota__scopes_check_left(self);
    if (self->attention & ROTA__MUST_CANCEL && cancel_wait(self))
        self->attention &= ~(unsigned)ROTA__MUST_CANCEL;
}

intptr_t rota__park(struct rota__task *self, struct rota__waiter *waiter)
{
    waiter->task = self;
    self->waiting = waiter;
    self->calls = 0;
    if (rota__unlikely(self->attention != 0))
        before_wait(self);
    rota__context_switch(&self->context, next_context(self->loop));
    return woken(self);
}

intptr_t rota__park_in(struct rota__task *self, struct rota__waiter *waiter,
                       struct rota__link *queue)
{
    rota__list_push(queue, &waiter->link);
    waiter->cancel = NULL;
    return rota__park(self, waiter);
}

void rota__unpark(struct rota__waiter *waiter, intptr_t result)
{
    struct rota__task *task = waiter->task;

    rota__invariant(task->waiting == waiter);
    rota__list_cut(&waiter->link);
    task->waiting = NULL;
    task->wake = result;
    rota__ready(task->loop, &task->handle);
}

bool rota__unpark_first(struct rota__link *queue, intptr_t result)
{
    if (rota__list_empty(queue))
        return false;
    rota__unpark(rota__container_of(queue->next, struct rota__waiter, link),
                 result);
    return true;
}

void rota__unpark_all(struct rota__link *queue, intptr_t result)
{
    while (rota__unpark_first(queue, result))
        ;
}

int rota__yield(struct rota__task *self)
{
    self->wake = 0;
    self->calls = 0;
    if (rota__unlikely(self->attention & ROTA__HAS_SCOPES))
        rota__scopes_check_left(self);
    rota__ready(self->loop, &self->handle);
    rota__context_switch(&self->context, next_context(self->loop));
    return (int)woken(self);
}

bool rota__join_cancel(struct rota__waiter *waiter)
{
    return rota__task_cancel(
        rota__container_of(waiter, struct rota__join, waiter)->child);
}

/* The task that this one awaits, if that is what it does. */
static struct rota__task *awaited_by(const struct rota__task *task)
{
    struct rota__waiter *waiter = task->waiting;

    if (!waiter || waiter->cancel != rota__join_cancel)
        return NULL;
    return rota__container_of(waiter, struct rota__join, waiter)->child;
}

/*
 * A task that awaits another passes the request on, and so on to the end of
 * the chain: in a loop, because a chain may be longer than a stack is deep. A
 * ring, of tasks that wait for each other for ever, ends where it began.
 */
bool rota__task_cancel(struct rota__task *task)
{
    struct rota__task *first = task;

    if (task->done)
        return false;
    task->cancelling++;
    while (awaited_by(task)) {
        task = awaited_by(task);
        if (task == first)
            return true;
        task->cancelling++;
    }
    if (!cancel_wait(task))
        task->attention |= ROTA__MUST_CANCEL;
    return true;
}

void rota__cancel_next_wait(struct rota__task *task)
{
    task->attention |= ROTA__MUST_CANCEL;
}

int rota__task_uncancel(struct rota__task *task)
{
    if (task->cancelling > 0 && --task->cancelling == 0) {
        task->attention &= ~(unsigned)ROTA__MUST_CANCEL;
        task->told_cancelled = false;
    }
    return task->cancelling;
}

const char *rota__task_name(struct rota__task *task)
{
    if (!task->name[0])
        snprintf(task->name, sizeof task->name, "Task-%llu",
                 (unsigned long long)task->id);
    return task->name;
}

static void report_error(struct rota__task *task)
{
    if (!rota_is_error(task->result) || task->result == -ECANCELED)
        return;
    rota_call_exception_handler(task->loop,
                                &(rota_exception_context){
                                    .message = "a detached task has failed",
                                    .error = task->result,
                                    .name = rota__task_name(task),
                                });
}

/* It still stands on the stack that is to be freed: the loop does it. */
static void detached_done(struct rota__owner *owner, struct rota__task *child)
{
    (void)owner;
    report_error(child);
    child->loop->tasks->zombie = child;
}

struct rota__owner rota__detached = {detached_done, NULL};

static struct rota__borrower *first_borrower(struct rota__task *task)
{
    struct rota__link *link = task->borrowers.next;

    if (link == &task->borrowers)
        return NULL;
    return rota__container_of(
        rota__container_of(link, struct rota__handle, link),
        struct rota__borrower, handle);
}

/* As in asyncio they wake in the turn after the next: a future is between. */
static void tell_borrowers(struct rota__task *task, bool also_after_owner)
{
    struct rota__borrower *first;

    while ((first = first_borrower(task)) != NULL) {
        if (first->after_owner && !also_after_owner)
            return;
        first->result = task->result;
        rota__unready(&first->handle);
        rota__ready(task->loop, &first->handle);
    }
}

static void tell_owner(struct rota__task *task)
{
    if (task->owner)
        task->owner->child_done(task->owner, task);
}

/* In the order in which they came, as a future's callbacks in asyncio. */
static void tell_all(struct rota__task *task)
{
    tell_borrowers(task, false);
    tell_owner(task);
    tell_borrowers(task, true);
}

static void tell(struct rota__task *task)
{
    struct rota__tasks *tasks = task->loop->tasks;

    if (rota__unlikely(!rota__list_empty(&task->borrowers)))
        tell_all(task);
    else
        tell_owner(task);
    if (rota__unlikely(task->ending) && --tasks->ending == 0)
        rota_loop_stop(task->loop);
}

/* A zombie must be reaped before anything else runs on this loop. */
static struct rota__context *context_after(struct rota__tasks *tasks)
{
    if (tasks->zombie && !tasks->eager)
        return &tasks->loop_context;
    return next_context(tasks->loop);
}

/* Errors are easy to drop in C: debug mode tells of a lost cancellation. */
static void check_swallowed(struct rota__task *self)
{
    if (!self->loop->debug || !self->told_cancelled ||
        self->attention & ROTA__MUST_CANCEL || rota_is_error(self->result))
        return;
    rota__report("task %s (made at %s) was cancelled and returned %td; return "
                 "-ECANCELED, or take the request back with "
                 "rota_task_uncancel()",
                 rota__task_name(self), self->where, self->result);
}

/* What every task runs. One that was cancelled before it began never does. */
static void task_main(void *arg)
{
    struct rota__task *self = arg;

    rota__context_arrive(&self->context);
    self->begun = true;
    if (rota__unlikely(self->attention != 0) && must_cancel(self)) {
        self->result = -ECANCELED;
    } else {
        self->result = self->function(self->arg);
    }
    if (rota__unlikely(!rota__list_empty(&self->scopes)))
        rota__scopes_check(self);
    if (rota__unlikely(self->cancelling > 0))
        check_swallowed(self);
    self->done = true;
    tell(self);
    rota__context_end(&self->context, context_after(self->loop->tasks));
    rota__fatal("a task that has ended was resumed: %s", self->name);
}

void rota__task_prepare(struct rota__task *task)
{
    task->handle.run = resume;
    rota__context_init(&task->context, task->stack->low, task, task_main, task);
}

void rota__detach(struct rota__task *task)
{
    if (task->done) {
        report_error(task);
        rota__task_release(task);
    } else {
        task->owner = &rota__detached;
    }
}
