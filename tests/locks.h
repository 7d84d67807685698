/* SPDX-License-Identifier: MIT */
/*
 * Locks and their like: what their tests share
 *
 * A thing stands in a page that can be taken away: whoever looks at it after
 * its end dies of it. A use of it is a task that waits for it, notes its name
 * and what came of it: "a" for 0, "a:ECANCELED" for an error.
 */
#ifndef TESTS_LOCKS_H
#define TESTS_LOCKS_H

#include "scenario.h"

#include <pthread.h>
#include <semaphore.h>
#include <sys/mman.h>

enum { PAGE = 65536 }; /* of any system */

static inline void *page_new(void)
{
    void *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    assert_true(page != MAP_FAILED);
    return page;
}

static inline void page_free(void *page)
{
    assert_int_equal(munmap(page, PAGE), 0);
}

static inline int note_result(const char *name, int err)
{
    if (err < 0)
        note("%s:%s", name, rota_errname(err));
    else
        note("%s", name);
    return err;
}

/* Of a kind of thing: what its tests of ends and loops need to know. */
struct kind {
    void (*init)(void *thing);
    void (*block)(void *thing); /* in a task: now it must be waited for */
    rota_task_function *wait;   /* with the thing */
    void (*wake)(void *thing);  /* in a task: the first that waits, or all */
    void (*fini)(void *thing);
};

struct use {
    const struct kind *kind;
    const char *name;
    void *thing;
};

static inline intptr_t wait_and_note(void *arg)
{
    const struct use *use = arg;

    return note_result(use->name, (int)use->kind->wait(use->thing));
}

/* --- The end under those who wait ---------------------------------------- */

/* The first is woken, the second cancelled, and none of them knows yet. */
static inline intptr_t end_under_waiters(void *arg)
{
    const struct kind *kind = arg;
    void *page = page_new();
    struct use uses[] = {
        {kind, "woken", page}, {kind, "cancelled", page}, {kind, "c", page}};
    rota_task tasks[3];

    kind->init(page);
    kind->block(page);
    for (int i = 0; i < 3; i++)
        tasks[i] = start(wait_and_note, &uses[i]);
    pass_turns(3);
    kind->wake(page);
    assert_int_equal(rota_task_cancel(tasks[1]), 1);
    kind->fini(page);
    page_free(page);
    return rota_gather(tasks, 3, NULL, true);
}

/* One is cancelled after its wake-up, one after the end. */
static inline intptr_t end_and_cancel(void *arg)
{
    const struct kind *kind = arg;
    void *page = page_new();
    struct use uses[] = {{kind, "woken", page}, {kind, "b", page}};
    rota_task tasks[2];

    kind->init(page);
    kind->block(page);
    for (int i = 0; i < 2; i++)
        tasks[i] = start(wait_and_note, &uses[i]);
    pass_turns(3);
    kind->wake(page);
    assert_int_equal(rota_task_cancel(tasks[0]), 1);
    kind->fini(page);
    page_free(page);
    assert_int_equal(rota_task_cancel(tasks[1]), 1);
    return rota_gather(tasks, 2, NULL, true);
}

/* A cancellation that its wait could not tell comes with the next. */
static inline intptr_t wait_twice(void *arg)
{
    (void)wait_and_note(arg);
    return note_result("next", rota_sleep(1));
}

static inline intptr_t end_under_a_cancelled(void *arg)
{
    const struct kind *kind = arg;
    void *page = page_new();
    struct use use = {kind, "a", page};
    rota_task task;

    kind->init(page);
    kind->block(page);
    task = start(wait_twice, &use);
    pass_turns(3);
    assert_int_equal(rota_task_cancel(task), 1);
    kind->fini(page);
    page_free(page);
    return rota_await(task) == -ECANCELED ? 0 : -EIO;
}

static inline void end_in_all_ways(const struct kind *kind)
{
    void *arg = (void *)(uintptr_t)kind;

    assert_int_equal(run_virtually(end_under_waiters, arg), 0);
    assert_noted("woken:ROTA_ECLOSING cancelled:ROTA_ECLOSING "
                 "c:ROTA_ECLOSING");
    assert_int_equal(run_virtually(end_and_cancel, arg), 0);
    assert_noted("woken:ROTA_ECLOSING b:ROTA_ECLOSING");
    assert_int_equal(run_virtually(end_under_a_cancelled, arg), 0);
    assert_noted("a:ROTA_ECLOSING next:ECANCELED");
}

/* In debug mode this stops. */
static inline intptr_t end_under_one(void *arg)
{
    const struct kind *kind = arg;
    void *page = page_new();
    struct use use = {kind, "a", page};
    rota_task task;

    kind->init(page);
    kind->block(page);
    task = start(wait_and_note, &use);
    pass_turns(3);
    kind->fini(page);
    return rota_await(task);
}

/* --- Loops that come and go ---------------------------------------------- */

static inline intptr_t wait_alone(void *arg)
{
    const struct use *use = arg;

    return use->kind->wait(use->thing);
}

static inline intptr_t be_woken(void *arg)
{
    const struct use *use = arg;
    rota_task task;

    use->kind->block(use->thing);
    task = start(wait_alone, arg);
    pass_turns(3);
    assert_false(rota_task_done(task));
    use->kind->wake(use->thing);
    return rota_await(task);
}

/* The loop stops before the others hear what has become of them. */
static inline intptr_t stop_beside_waiters(void *arg)
{
    const struct use *use = arg;
    rota_task tasks[4];

    use->kind->block(use->thing);
    for (int i = 0; i < 4; i++)
        tasks[i] = start(wait_alone, arg);
    pass_turns(3);
    assert_int_equal(rota_task_cancel(tasks[2]), 1);
    use->kind->wake(use->thing);
    assert_int_equal(rota_task_cancel(tasks[0]), 1);
    rota_loop_stop(rota_get_running_loop());
    return 0;
}

static inline void
ignore_report(rota_loop *loop, const rota_exception_context *context, void *arg)
{
    (void)loop;
    (void)context;
    (void)arg;
}

static inline void close_loop_under_waiters(struct use *use)
{
    rota_loop *loop = NULL;
    rota_task task;

    assert_int_equal(rota_new_event_loop(&loop, NULL), 0);
    rota_set_exception_handler(loop, ignore_report, NULL);
    assert_int_equal(
        rota_loop_create_task(loop, &task, stop_beside_waiters, use), 0);
    assert_int_equal(rota_loop_run_forever(loop), 0);
    assert_int_equal(rota_detach(task), 0);
    rota_loop_free(loop);
}

/* For the tasks of one loop, then another; between them one dies early. */
static inline void outlive_loops(const struct kind *kind, void *thing)
{
    struct use use = {kind, "", thing};

    kind->init(thing);
    close_loop_under_waiters(&use);
    kind->fini(thing);
    kind->init(thing);
    assert_int_equal(run_in_debug_mode(be_woken, &use), 0);
    close_loop_under_waiters(&use);
    assert_int_equal(run_in_debug_mode(be_woken, &use), 0);
    kind->fini(thing);
}

/* --- Two threads --------------------------------------------------------- */

struct stranger {
    const struct kind *kind;
    void *thing;
    sem_t waits;
    sem_t may_go;
};

/* Holds its whole loop up, so that both threads know who does what when. */
static inline intptr_t stay(void *arg)
{
    struct stranger *stranger = arg;
    struct use use = {stranger->kind, "", stranger->thing};
    rota_task task;

    use.kind->block(use.thing);
    task = start(wait_alone, &use);
    pass_turns(3);
    assert_int_equal(sem_post(&stranger->waits), 0);
    assert_int_equal(sem_wait(&stranger->may_go), 0);
    assert_int_equal(rota_task_cancel(task), 1);
    return rota_await(task);
}

static inline void *stay_in_thread(void *arg)
{
    assert_int_equal(rota_run(stay, arg), -ECANCELED);
    return NULL;
}

/* While a task of another thread's loop waits for it, nobody here can. */
static inline void use_from_two_threads(const struct kind *kind, void *thing)
{
    struct stranger stranger = {.kind = kind, .thing = thing};
    pthread_t thread;

    kind->init(thing);
    assert_int_equal(sem_init(&stranger.waits, 0, 0), 0);
    assert_int_equal(sem_init(&stranger.may_go, 0, 0), 0);
    assert_int_equal(pthread_create(&thread, NULL, stay_in_thread, &stranger),
                     0);
    assert_int_equal(sem_wait(&stranger.waits), 0);
    assert_int_equal(rota_run(kind->wait, thing), -EINVAL);
    assert_int_equal(sem_post(&stranger.may_go), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(sem_destroy(&stranger.waits), 0);
    assert_int_equal(sem_destroy(&stranger.may_go), 0);
    kind->fini(thing);
}

#endif
