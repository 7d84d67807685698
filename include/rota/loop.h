/* SPDX-License-Identifier: MIT */
/*
 * The event loop: running it, callbacks, timers, file descriptors
 *
 * Mirrors "Event Loop" and "Event Loop Methods" of asyncio's manual.
 *
 * One loop runs on one thread. A turn of it waits for events, then runs what
 * became ready, in the order in which it became ready; what a callback makes
 * ready runs in the next turn. All calls here belong to the loop's thread,
 * but for rota_call_soon_threadsafe(). A loop may be prepared on one thread
 * and run on another.
 */
#ifndef ROTA_LOOP_H
#define ROTA_LOOP_H

#include <rota/base.h>
#include <rota/context.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rota_loop rota_loop;
typedef void rota_callback(void *arg);

/* Everything that runs is a handle; private. */
struct rota__handle {
    struct rota__link link;
    void (*run)(struct rota__handle *handle);
};

/*
 * A callback that waits to be run (asyncio.Handle). Plain memory of the
 * caller's, zero-initialised (`rota_handle h = {0};`), which stays where it
 * is until the callback has begun or was cancelled. Its fields are private.
 */
typedef struct rota_handle {
    struct rota__handle base;
    rota_callback *callback;
    void *arg;
    void *owner; /* its loop, or the future whose end it waits for */
    struct rota__bindings *bindings; /* the context that it runs in */
    short state;
    short memory;
} rota_handle;

/* A callback that waits for a time (asyncio.TimerHandle); likewise. */
typedef struct rota_timer_handle {
    struct rota__heap_node node;
    rota_handle handle;
} rota_timer_handle;

/* What a new loop may be told; all zero is the default. */
typedef struct rota_loop_options {
    const char *poller; /* "epoll", "kqueue", "poll", "sim"; NULL: the best,
                           or what ROTA_POLLER= says */
    bool virtual_clock; /* time jumps to the next timer when all is idle;
                           also by ROTA_CLOCK=virtual */
    uint64_t seed;      /* not 0: shuffle the ready order of each turn, the
                           same way for the same seed; also ROTA_SEED= */
    bool debug;         /* also by ROTA_DEBUG=1 */
    double watchdog;    /* seconds, as in rota_set_watchdog(); also by
                           ROTA_WATCHDOG= */
    size_t stack_size;  /* of a task that asks for none; 0: 64 KiB */
    bool eager_start;   /* of every task that is made while the loop runs:
                           asyncio's eager_task_factory */
    bool allow_unguarded_stacks; /* when guard pages run out, go on without
                                    instead of refusing a task */
} rota_loop_options;

/*
 * Makes a loop; free it with rota_loop_free(). `options` may be NULL.
 * Errors: -EINVAL (a poller that this system has not, a watchdog's limit that
 * is no time), -ENOMEM, -EMFILE, -EAGAIN (no thread for a watchdog).
 * asyncio: new_event_loop().
 */
int rota_new_event_loop(rota_loop **loop, const rota_loop_options *options);

/*
 * Closes a loop that does not run: pending callbacks are dropped, threads of
 * its pools are joined, tasks that are left are destroyed where they stand
 * (rota_run() cancels them first). Closing again does nothing. Every later
 * call but rota_loop_is_closed() and rota_loop_free() returns -ROTA_ECLOSED.
 * Errors: -ROTA_ERUNNING.  asyncio: loop.close().
 */
int rota_loop_close(rota_loop *loop);

/* Closes the loop if need be and frees it. NULL is ignored. */
void rota_loop_free(rota_loop *loop);

bool rota_loop_is_closed(const rota_loop *loop);
bool rota_loop_is_running(const rota_loop *loop);

/*
 * Runs until rota_loop_stop(). Errors: -ROTA_ERUNNING (this loop, or another
 * one on this thread, runs), -ROTA_ECLOSED, or what the poller met.
 * asyncio: loop.run_forever().
 */
int rota_loop_run_forever(rota_loop *loop);

/*
 * Ends rota_loop_run_forever() after the turn that is under way; when no turn
 * is, the next run makes just one. asyncio: loop.stop().
 */
void rota_loop_stop(rota_loop *loop);

/* The loop that runs on this thread, or NULL. asyncio: get_running_loop(). */
rota_loop *rota_get_running_loop(void);

/*
 * The running loop, or the one that rota_set_event_loop() has set for this
 * thread, or NULL. asyncio: get_event_loop().
 */
rota_loop *rota_get_event_loop(void);

/* Sets this thread's loop; NULL unsets. Nothing changes owner. */
void rota_set_event_loop(rota_loop *loop);

/* The loop's clock in seconds, monotonic. asyncio: loop.time(). */
double rota_loop_time(const rota_loop *loop);

/*
 * Runs callback(arg) in the next turn. `handle` is memory to cancel it by;
 * NULL when that is not needed (the loop then keeps the memory itself).
 * Errors: -ROTA_ECLOSED, -EBUSY (the handle is pending already), -EINVAL,
 * -ENOMEM (only with NULL).  asyncio: loop.call_soon().
 */
int rota_call_soon(rota_loop *loop, rota_handle *handle,
                   rota_callback *callback, void *arg);

/*
 * The same from any thread, and waking the loop if it sleeps. The loop must
 * not be freed meanwhile. asyncio: loop.call_soon_threadsafe().
 */
int rota_call_soon_threadsafe(rota_loop *loop, rota_handle *handle,
                              rota_callback *callback, void *arg);

/*
 * Runs callback(arg) once `delay` seconds have passed, never earlier; equal
 * times in the order of the calls. A delay below 0 counts as 0. Errors as
 * for rota_call_soon(); -EINVAL for a NaN; -ENOMEM.  asyncio:
 * loop.call_later().
 */
int rota_call_later(rota_loop *loop, rota_timer_handle *handle, double delay,
                    rota_callback *callback, void *arg);

/* The same at a time of rota_loop_time(). asyncio: loop.call_at(). */
int rota_call_at(rota_loop *loop, rota_timer_handle *handle, double when,
                 rota_callback *callback, void *arg);

/*
 * Gives a pending timer another time; much cheaper than cancelling it and
 * setting a new one. Errors: -ROTA_ESTATE (not pending), -EINVAL (a NaN),
 * -ENOMEM (one that is due already; it stays so).
 */
int rota_timer_handle_reschedule(rota_timer_handle *handle, double when);

/* The same, `delay` seconds from now: how a timeout is pushed back. */
int rota_timer_handle_reschedule_later(rota_timer_handle *handle, double delay);

/*
 * Cancels: the callback will not run, and the memory is the caller's again.
 * Nothing happens to one that has run or was never set.
 */
void rota_handle_cancel(rota_handle *handle);
bool rota_handle_cancelled(const rota_handle *handle);
void rota_timer_handle_cancel(rota_timer_handle *handle);
bool rota_timer_handle_cancelled(const rota_timer_handle *handle);

/* The time for which it is or was set. asyncio: TimerHandle.when(). */
double rota_timer_handle_when(const rota_timer_handle *handle);

/*
 * Calls callback(arg) in each turn in which the fd can be read (written),
 * until it is removed; again for an fd that has one replaces it. The fd must
 * stay open until then. Errors: -EBADF, -EPERM (a regular file), -EEXIST (a
 * stream's fd), -EBUSY (a task waits for it: rota/sock.h), -ENOMEM,
 * -ROTA_ECLOSED.  asyncio: loop.add_reader().
 */
int rota_add_reader(rota_loop *loop, int fd, rota_callback *callback,
                    void *arg);
int rota_add_writer(rota_loop *loop, int fd, rota_callback *callback,
                    void *arg);

/* 1 if there was one to remove, 0 if not, or -ROTA_ECLOSED. */
int rota_remove_reader(rota_loop *loop, int fd);
int rota_remove_writer(rota_loop *loop, int fd);

/*
 * What goes wrong where no caller could be told: a detached task's error, an
 * accept that failed, an error of a future that nobody looked at. The handler
 * runs where that was found, and must not await.
 */
typedef struct rota_exception_context {
    const char *message;
    intptr_t error;   /* 0 if there is none */
    const char *name; /* of the task concerned, or NULL */
} rota_exception_context;

typedef void rota_exception_handler(rota_loop *loop,
                                    const rota_exception_context *context,
                                    void *arg);

/* Sets who is told; NULL brings the default back, which prints to stderr. */
void rota_set_exception_handler(rota_loop *loop,
                                rota_exception_handler *handler, void *arg);
void rota_call_exception_handler(rota_loop *loop,
                                 const rota_exception_context *context);
void rota_default_exception_handler(rota_loop *loop,
                                    const rota_exception_context *context);

#ifdef __cplusplus
}
#endif

#endif
