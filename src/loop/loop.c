/* SPDX-License-Identifier: MIT */
/*
 * The life of a loop: new, run, stop, close, free
 */
#include "loop/job.h"
#include <rota/debug.h>
#include <stdlib.h>

#define SLOW_CALLBACK (ROTA__SECOND / 10)

static bool env_is_on(const char *name)
{
    const char *value = getenv(name);

    return value && *value && strcmp(value, "0") != 0;
}

static bool env_says(const char *name, const char *wanted)
{
    const char *value = getenv(name);

    return value && strcmp(value, wanted) == 0;
}

static void configure(rota_loop *loop, const rota_loop_options *options)
{
    const char *seed = getenv("ROTA_SEED");

    loop->virtual_clock = options->virtual_clock ||
                          env_says("ROTA_CLOCK", "virtual") ||
                          loop->poller.ops == &rota__poller_sim;
    rota_set_debug(loop, options->debug || env_is_on("ROTA_DEBUG"));
    loop->seed = options->seed;
    if (loop->seed == 0 && seed)
        loop->seed = strtoull(seed, NULL, 0);
    loop->keep_order = loop->seed == 0;
    loop->stack_size = options->stack_size;
    loop->eager_start = options->eager_start;
    loop->allow_unguarded_stacks = options->allow_unguarded_stacks;
    loop->slow_callback = SLOW_CALLBACK;
    rota__clock_init(&loop->clock);
    loop->virtual_now = rota__clock_now();
}

static void init_lists(rota_loop *loop)
{
    rota__list_init(&loop->ready);
    rota__list_init(&loop->running);
    rota__list_init(&loop->free_handles);
    rota__list_init(&loop->free_timers);
    rota__list_init(&loop->reader_watches);
    rota__list_init(&loop->at_first);
    rota__list_init(&loop->at_close);
    rota__list_init(&loop->at_end);
    rota__list_init(&loop->jobs);
    rota__list_init(&loop->job_watchers);
    rota__heap_init(&loop->timers);
    rota__actor_init(&loop->callbacks);
}

/* A wake-up only ends the wait: each signal is an edge of its own. */
static void woken(struct rota__watch *watch, unsigned events)
{
    rota_loop *loop = rota__container_of(watch, rota_loop, wake_watch);

    (void)events;
    if (loop->poller.ops->drained ||
        loop->wake.read_fd != loop->wake.write_fd) {
        rota__wake_drain(&loop->wake);
        rota__poller_drained(&loop->poller, watch, ROTA__READABLE);
    }
}

static int watch_wake(rota_loop *loop)
{
    loop->wake_watch.fd = loop->wake.read_fd;
    loop->wake_watch.ready = woken;
    return rota__poller_add(&loop->poller, &loop->wake_watch,
                            ROTA__READABLE | ROTA__EDGE);
}

/* Its run's frames are on a stack that nobody goes on with. */
static void stand_still(rota_loop *loop)
{
    if (loop->thread == 0 || loop->thread == rota__thread_self())
        return;
    rota__turn_break(loop);
    loop->thread = 0;
    loop->runs = NULL;
    loop->stopping = false;
}

int rota__loop_forked(rota_loop *loop)
{
    struct rota__wake wake;
    int err;

    if (loop->closed)
        return 0;
    err = rota__wake_open(&wake);
    if (err < 0)
        return err;
    err = rota__poller_reopen(&loop->poller);
    if (err < 0) {
        rota__wake_close(&wake);
        return err;
    }
    stand_still(loop);
    loop->asleep = false;
    rota__poller_remove(&loop->poller, &loop->wake_watch);
    rota__wake_close(&loop->wake);
    loop->wake = wake;
    return watch_wake(loop);
}

static const char *poller_name(const rota_loop_options *options)
{
    const char *name = getenv("ROTA_POLLER");

    if (options->poller)
        return options->poller;
    return name && *name ? name : NULL;
}

int rota_new_event_loop(rota_loop **out, const rota_loop_options *options)
{
    static const rota_loop_options defaults;
    rota_loop *loop = rota__zalloc(sizeof *loop);
    int err;

    if (!loop)
        return -ENOMEM;
    if (!options)
        options = &defaults;
    init_lists(loop);
    err = rota__poller_open(&loop->poller, poller_name(options));
    if (err < 0)
        goto free_loop;
    err = rota__wake_open(&loop->wake);
    if (err < 0)
        goto close_poller;
    err = watch_wake(loop);
    if (err < 0)
        goto close_wake;
    configure(loop, options);
    err = rota__watchdog_configure(loop, options->watchdog);
    if (err < 0)
        goto unwatch_wake;
    *out = loop;
    return 0;
unwatch_wake:
    rota__poller_remove(&loop->poller, &loop->wake_watch);
close_wake:
    rota__wake_close(&loop->wake);
close_poller:
    rota__poller_close(&loop->poller);
free_loop:
    rota__free(loop);
    return err;
}

static void run_hooks(struct rota__link *hooks)
{
    while (!rota__list_empty(hooks)) {
        struct rota__link *last = hooks->prev;
        struct rota__at_close *hook =
            rota__container_of(last, struct rota__at_close, link);

        rota__list_remove(last);
        hook->run(hook);
    }
}

int rota_loop_close(rota_loop *loop)
{
    if (loop->closed)
        return 0;
    if (rota_loop_is_running(loop))
        return rota__misuse(loop, -ROTA_ERUNNING, "rota_loop_close",
                            "stop the loop first (rota_loop_stop)");
    loop->closing = true;
    rota__drop_messages(loop);
    run_hooks(&loop->at_first);
    rota__jobs_close(loop);
    run_hooks(&loop->at_close);
    loop->closed = true;
    rota__take_from_threads(loop);
    rota__handles_free(loop);
    run_hooks(&loop->at_end);
    rota__readers_close(loop);
    rota__poller_remove(&loop->poller, &loop->wake_watch);
    rota__poller_close(&loop->poller);
    rota__heap_fini(&loop->timers);
    rota__free(loop->shuffled);
    loop->shuffled = NULL;
    rota__free(loop->scratch);
    loop->scratch = NULL;
    return 0;
}

void rota_loop_free(rota_loop *loop)
{
    if (!loop)
        return;
    if (rota_loop_close(loop) < 0)
        return;
    if (rota_get_event_loop() == loop)
        rota_set_event_loop(NULL);
    rota__take_from_threads(loop); /* a post that met the close */
    rota__handles_free(loop);      /* what futures have given back since */
    rota__wake_close(&loop->wake); /* such a post may have signalled it */
    rota__free(loop);
}

bool rota_loop_is_closed(const rota_loop *loop)
{
    return loop->closed;
}

bool rota_loop_is_running(const rota_loop *loop)
{
    return loop->thread != 0;
}

void rota_loop_stop(rota_loop *loop)
{
    rota__check_thread(loop, "rota_loop_stop");
    loop->stopping = true;
}

int rota_loop_run_forever(rota_loop *loop)
{
    struct rota__running run;
    int err = rota__run_begin(loop, &run, false);

    if (err < 0)
        return err;
    do
        err = rota__turn(loop);
    while (err == 0 && !loop->stopping);
    loop->stopping = false;
    rota__run_end(loop, &run);
    return err;
}

void rota__at_first_add(rota_loop *loop, struct rota__at_close *hook,
                        void (*run)(struct rota__at_close *))
{
    hook->run = run;
    rota__list_push(&loop->at_first, &hook->link);
}

void rota__at_close_add(rota_loop *loop, struct rota__at_close *hook,
                        void (*run)(struct rota__at_close *))
{
    hook->run = run;
    rota__list_push(&loop->at_close, &hook->link);
}

void rota__at_end_add(rota_loop *loop, struct rota__at_close *hook,
                      void (*run)(struct rota__at_close *))
{
    hook->run = run;
    rota__list_push(&loop->at_end, &hook->link);
}

void rota__at_close_remove(struct rota__at_close *hook)
{
    rota__list_remove(&hook->link);
}

char *rota__scratch_take(rota_loop *loop)
{
    char *scratch = loop->scratch;

    loop->scratch = NULL;
    return scratch ? scratch : rota__alloc(ROTA__SCRATCH_ROOM);
}

char *rota__scratch_make(rota_loop *loop)
{
    loop->scratch = rota__alloc(ROTA__SCRATCH_ROOM);
    return loop->scratch;
}

void rota__scratch_return(rota_loop *loop, char *scratch)
{
    if (loop->scratch || loop->closed)
        rota__free(scratch);
    else
        loop->scratch = scratch;
}
