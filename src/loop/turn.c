/* SPDX-License-Identifier: MIT */
/*
 * One turn of the loop
 *
 * The phases, in asyncio's order: wait for events (not at all while
 * something is ready), take what other threads have sent, let the timers
 * that are due join the ready queue, run what is ready now. What a callback
 * makes ready waits for the next turn.
 *
 * With a virtual clock, a loop that has nothing to run asks once for events;
 * if there are none, time jumps to the next timer. While a pool's thread is
 * at work it waits for that instead: its answer must not come "later". A child
 * may run for ever: what it does before the next timer would be due by the
 * real clock comes at once, and then that timer.
 */
#include "loop/loop.h"

static bool something_ready(const rota_loop *loop)
{
    return !rota__list_empty(&loop->ready) || loop->stopping ||
           atomic_load_explicit(&loop->inbox, memory_order_relaxed) != NULL;
}

static int64_t until_next_timer(rota_loop *loop)
{
    struct rota__heap_node *next = rota__heap_min(&loop->timers);
    int64_t left;

    if (!next)
        return ROTA__FOREVER;
    left = next->key - rota__now(loop);
    return left > 0 ? left : 0;
}

/* What other threads have sent meanwhile runs before the events' callbacks. */
static int deliver(rota_loop *loop, int count)
{
    rota__take_from_threads(loop);
    rota__poller_deliver(&loop->poller, count);
    return count < 0 ? count : 0;
}

static int look(rota_loop *loop, int64_t timeout)
{
    return deliver(loop, rota__poller_collect(&loop->poller, timeout));
}

/*
 * To let go of a lock costs more than to look: a loop that has much to do looks
 * first. Two events at once say that it has; a look in vain, that it has not.
 */
static int look_before_hooks(rota_loop *loop)
{
    int count;

    if (!loop->busy)
        return 0;
    count = rota__poller_collect(&loop->poller, ROTA__ASK);
    loop->busy = count > 0;
    return count;
}

/* Blocks, and lets other threads know that they must wake us. */
static int sleep_for(rota_loop *loop, int64_t timeout)
{
    int count = loop->wait_hooks.before ? look_before_hooks(loop) : 0;

    if (count != 0)
        return deliver(loop, count);
    atomic_store(&loop->asleep, true);
    if (atomic_load(&loop->inbox) != NULL)
        timeout = ROTA__ASK;
    if (timeout > 0 && loop->wait_hooks.before)
        loop->wait_hooks.before(loop->wait_hooks.arg);
    count = rota__poller_collect(&loop->poller, timeout);
    atomic_store_explicit(&loop->asleep, false, memory_order_relaxed);
    if (timeout > 0 && loop->wait_hooks.after)
        loop->wait_hooks.after(loop->wait_hooks.arg);
    loop->busy = count > 1;
    return deliver(loop, count);
}

/* While a child runs, or an executor of the program's own, time is real. */
static int wait_for_others(rota_loop *loop, int64_t left)
{
    int64_t began = rota__clock_now();
    int err = sleep_for(loop, left);
    int64_t passed = rota__clock_now() - began;

    loop->virtual_now += passed < left ? passed : left;
    return err;
}

static int wait_virtually(rota_loop *loop)
{
    struct rota__heap_node *next;
    int err = look(loop, ROTA__ASK);

    if (err < 0 || something_ready(loop))
        return err;
    next = rota__heap_min(&loop->timers);
    if (!next || loop->pool_jobs > 0)
        return sleep_for(loop, ROTA__FOREVER);
    if (next->key <= loop->virtual_now)
        return 0;
    if (loop->child_count > 0 || loop->job_count > 0)
        return wait_for_others(loop, next->key - loop->virtual_now);
    loop->virtual_now = next->key;
    return 0;
}

static int wait_for_events(rota_loop *loop)
{
    int64_t timeout;

    if (something_ready(loop))
        return look(loop, 0);
    if (loop->virtual_clock)
        return wait_virtually(loop);
    timeout = until_next_timer(loop);
    if (timeout == 0) /* late: what has come meanwhile is told, too */
        return look(loop, ROTA__ASK);
    return sleep_for(loop, timeout);
}

/* A cheap look first: while the loop is busy it is nearly always "no". */
static bool timer_is_due(rota_loop *loop)
{
    struct rota__heap_node *next = rota__heap_min(&loop->timers);

    return next && next->key <= rota__now_at_most(loop);
}

static void run_many_due(rota_loop *loop, int64_t now)
{
    size_t count = 0;
    struct rota__heap_due *due =
        rota__heap_take_many(&loop->timers, now, &count);

    for (size_t i = 0; i < count; i++) {
        due[i].node->index = 0;
        rota__ready(
            loop,
            &rota__container_of(due[i].node, struct rota__timer, node)->handle);
    }
    rota__free(due);
}

static void run_due_timers(rota_loop *loop)
{
    struct rota__heap_node *next;
    int64_t now;

    if (!timer_is_due(loop))
        return;
    now = rota__now(loop);
    run_many_due(loop, now);
    next = rota__heap_min(&loop->timers);
    while (next && next->key <= now) {
        struct rota__timer *timer =
            rota__container_of(next, struct rota__timer, node);

        rota__heap_remove(&loop->timers, next);
        rota__ready(loop, &timer->handle);
        next = rota__heap_min(&loop->timers);
    }
}

static bool make_room_to_shuffle(rota_loop *loop, size_t count)
{
    struct rota__link **room;

    if (count <= loop->shuffled_capacity)
        return true;
    room = rota__realloc(loop->shuffled, 2 * count * sizeof(*room));
    if (!room)
        return false;
    loop->shuffled = room;
    loop->shuffled_capacity = 2 * count;
    return true;
}

/* The same seed, the same order; without memory, the order as it is. */
static void shuffle(rota_loop *loop, struct rota__link *list)
{
    size_t count = 0;

    for (struct rota__link *at = list->next; at != list; at = at->next)
        count++;
    if (!make_room_to_shuffle(loop, count))
        return;
    for (size_t i = 0; i < count; i++)
        loop->shuffled[i] = rota__list_pop(list);
    for (size_t left = count; left > 0; left--) {
        size_t pick = rota__random(&loop->seed) % left;

        rota__list_push(list, loop->shuffled[pick]);
        loop->shuffled[pick] = loop->shuffled[left - 1];
    }
}

static void run_timed(rota_loop *loop, struct rota__handle *handle)
{
    char name[128];
    int64_t began, took;

    rota__name_handle(loop, handle, name, sizeof name);
    began = rota__clock_now();
    handle->run(handle);
    took = rota__clock_now() - began;
    if (took >= loop->slow_callback)
        rota__report("executing %s took %.3f seconds", name,
                     (double)took / (double)ROTA__SECOND);
}

static void run_watched(rota_loop *loop, struct rota__handle *handle)
{
    if (loop->watchdog)
        rota__watchdog_step(loop, handle);
    if (loop->debug)
        run_timed(loop, handle);
    else
        handle->run(handle);
    if (loop->watchdog)
        rota__watchdog_stepped(loop);
}

void rota__turn_run(rota_loop *loop)
{
    struct rota__link *next;

    rota__list_append(&loop->running, &loop->ready);
    if (rota__unlikely(!loop->keep_order))
        shuffle(loop, &loop->running);
    while ((next = rota__list_pop(&loop->running)) != NULL) {
        struct rota__handle *handle =
            rota__container_of(next, struct rota__handle, link);

        if (rota__unlikely(loop->watched))
            run_watched(loop, handle);
        else
            handle->run(handle);
        if (rota__unlikely(loop->callbacks.own.bindings != NULL))
            rota__context_lend(loop, NULL);
    }
}

void rota__turn_break(rota_loop *loop)
{
    rota__list_prepend(&loop->ready, &loop->running);
}

int rota__turn_wait(rota_loop *loop)
{
    int err = wait_for_events(loop);

    if (err == 0)
        run_due_timers(loop);
    return err;
}

int rota__turn(rota_loop *loop)
{
    int err = rota__turn_wait(loop);

    if (err == 0)
        rota__turn_run(loop);
    return err;
}

bool rota__turn_on(rota_loop *loop)
{
    if (rota__list_empty(&loop->ready) || loop->stopping || !loop->keep_order ||
        atomic_load_explicit(&loop->inbox, memory_order_relaxed) != NULL ||
        !rota__poller_quiet(&loop->poller) || timer_is_due(loop))
        return false;
    rota__list_append(&loop->running, &loop->ready);
    return true;
}

int rota__run_begin(rota_loop *loop, struct rota__running *run, bool nested)
{
    if (loop->closed)
        return rota__misuse(loop, -ROTA_ECLOSED, "run",
                            "make a new loop; a closed one cannot run");
    if (rota__running_loop && !nested)
        return rota__misuse(loop, -ROTA_ERUNNING, "run",
                            "a loop runs on this thread already; create a "
                            "task on it and await that");
    run->thread_before = 0;
    if (!atomic_compare_exchange_strong(&loop->thread, &run->thread_before,
                                        rota__thread_self()) &&
        run->thread_before != rota__thread_self())
        return rota__misuse(loop, -ROTA_ERUNNING, "run",
                            "another thread runs this loop");
    run->before = rota__running_loop;
    run->outer = loop->runs;
    run->stopping_before = loop->runs && loop->stopping;
    run->in_step = false;
    if (loop->watchdog)
        rota__watchdog_enter(loop, run);
    if (loop->runs)
        loop->stopping = false;
    /* A nested run begins with what the outer turn has left. */
    rota__turn_break(loop);
    rota__running_loop = loop;
    loop->runs = run;
    if (loop->tasks)
        rota__signal_stack_ensure();
    return 0;
}

void rota__run_end(rota_loop *loop, struct rota__running *run)
{
    if (loop->watchdog)
        rota__watchdog_leave(loop, run);
    /* A run that ended in the middle of a turn leaves the rest for later. */
    rota__list_prepend(&loop->ready, &loop->running);
    rota__running_loop = run->before;
    loop->runs = run->outer;
    loop->thread = run->thread_before;
    loop->stopping = run->stopping_before;
}
