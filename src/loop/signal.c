/* SPDX-License-Identifier: MIT */
/*
 * Signals: the registry of watches, and the handler
 *
 * The handler may run on any thread, and in the midst of anything, also of
 * the loop's own posts and takes: all that it does is to count and to push on
 * the lock-free inbox. Its watches are linked by atomic pointers, and one that
 * is taken out still points to the next.
 *
 * A handler counts itself in while it walks, in one of two counters. Who has
 * unlinked a watch must see each of them at zero once, and turns new handlers
 * to the other one before it waits: however many signals come, those that
 * began before are soon over.
 */
#include "loop/signal.h"

static struct {
    _Atomic(struct rota__signal_watch *) first;
    struct sigaction before;
} signals[ROTA__SIGNALS];

static atomic_uint epoch;
static atomic_uint under_way[2];

/* For who changes the lists; all signals are blocked on its thread, as one
   that came now might fork. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool forks_are_watched;

/* --- In the handler ------------------------------------------------------ */

static void come(struct rota__signal_watch *watch)
{
    if (watch->at_once)
        watch->at_once(watch);
    if (atomic_fetch_add(&watch->count, 1) == 0)
        rota__post(watch->loop, &watch->handle);
}

static bool come_to(int number, bool reserve)
{
    struct rota__signal_watch *watch = atomic_load(&signals[number].first);
    bool any = false;

    for (; watch; watch = atomic_load(&watch->next)) {
        if (watch->reserve != reserve)
            continue;
        come(watch);
        any = true;
    }
    return any;
}

static void on_signal(int number)
{
    atomic_uint *self;

    if (rota__halt_answer(number))
        return;
    self = &under_way[atomic_load(&epoch) % 2];
    atomic_fetch_add(self, 1);
    if (!come_to(number, false))
        (void)come_to(number, true);
    atomic_fetch_sub(self, 1);
}

static void wait_for_handlers(void)
{
    for (int i = 0; i < 2; i++) {
        atomic_uint *before = &under_way[atomic_fetch_add(&epoch, 1) % 2];

        while (atomic_load(before) != 0)
            rota__signals_pause();
    }
}

/* --- Forks --------------------------------------------------------------- */

static sigset_t mask_before_fork;

static void before_fork(void)
{
    sigset_t mask;

    rota__signals_block(&mask);
    pthread_mutex_lock(&lock);
    mask_before_fork = mask;
}

static void after_fork(void)
{
    sigset_t mask = mask_before_fork;

    pthread_mutex_unlock(&lock);
    rota__signals_unblock(&mask);
}

static void begin_child(void)
{
    for (int i = 0; i < ROTA__SIGNALS; i++) {
        if (!atomic_load(&signals[i].first))
            continue;
        rota__signal_restore(i, on_signal, &signals[i].before);
        atomic_store(&signals[i].first, NULL);
    }
    atomic_store(&under_way[0], 0);
    atomic_store(&under_way[1], 0);
    after_fork();
}

static int watch_forks(void)
{
    int err = 0;

    if (!forks_are_watched)
        err = rota__fork_watch(before_fork, after_fork, begin_child);
    forks_are_watched = err == 0;
    return err;
}

/* --- In the loop --------------------------------------------------------- */

static struct rota__signal_watch *watch_of(struct rota__handle *handle)
{
    return rota__container_of(handle, struct rota__signal_watch, handle);
}

static void arrive(struct rota__handle *handle);

/* What is left comes before all that the callback makes ready. */
static void tell(struct rota__handle *handle)
{
    struct rota__signal_watch *watch = watch_of(handle);

    if (atomic_fetch_sub(&watch->count, 1) > 1)
        rota__ready(watch->loop, handle);
    else
        handle->run = arrive;
    watch->caught(watch);
}

/* asyncio hears of signals in one turn, and calls in the next. */
static void arrive(struct rota__handle *handle)
{
    handle->run = tell;
    rota__ready(watch_of(handle)->loop, handle);
}

static void append(struct rota__signal_watch *watch)
{
    _Atomic(struct rota__signal_watch *) *end = &signals[watch->number].first;

    while (atomic_load(end))
        end = &atomic_load(end)->next;
    atomic_store(end, watch);
}

static void unlink_watch(struct rota__signal_watch *watch)
{
    _Atomic(struct rota__signal_watch *) *at = &signals[watch->number].first;

    while (atomic_load(at) && atomic_load(at) != watch)
        at = &atomic_load(at)->next;
    if (!atomic_load(at))
        return; /* it was ended, or this is a forked child */
    atomic_store(at, atomic_load(&watch->next));
    wait_for_handlers();
}

static bool has_list(const struct rota__signal_watch *watch)
{
    return watch->number > 0 && watch->number < ROTA__SIGNALS;
}

static bool is_alone(const struct rota__signal_watch *watch)
{
    return atomic_load(&signals[watch->number].first) == watch &&
           !atomic_load(&watch->next);
}

/* A signal that comes meanwhile is told, or does what it did before. */
static int install(struct rota__signal_watch *watch)
{
    int err;

    append(watch);
    if (!is_alone(watch))
        return 0;
    err = rota__signal_install(watch->number, on_signal,
                               &signals[watch->number].before);
    if (err < 0)
        unlink_watch(watch);
    return err;
}

int rota__signal_watch_begin(struct rota__signal_watch *watch)
{
    sigset_t mask;
    int err;

    rota__list_init(&watch->handle.link);
    watch->handle.run = arrive;
    atomic_store(&watch->count, 0);
    atomic_store(&watch->next, NULL);
    if (!has_list(watch))
        return -EINVAL;
    rota__signals_block(&mask);
    pthread_mutex_lock(&lock);
    err = watch_forks();
    if (err == 0)
        err = install(watch);
    pthread_mutex_unlock(&lock);
    rota__signals_unblock(&mask);
    return err;
}

void rota__signal_watch_end(struct rota__signal_watch *watch)
{
    sigset_t mask;

    if (!has_list(watch))
        return;
    rota__signals_block(&mask);
    pthread_mutex_lock(&lock);
    if (is_alone(watch))
        rota__signal_restore(watch->number, on_signal,
                             &signals[watch->number].before);
    unlink_watch(watch);
    pthread_mutex_unlock(&lock);
    rota__signals_unblock(&mask);
    rota__take_from_threads(watch->loop);
    rota__unready(&watch->handle);
}

bool rota__signal_is_free(int number)
{
    return rota__thread_is_main() && rota__signal_is_default(number);
}
