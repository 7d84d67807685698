/* SPDX-License-Identifier: MIT */
/*
 * Synchronization between tasks: locks, events, conditions, semaphores,
 * barriers
 *
 * Mirrors "Synchronization Primitives" of asyncio's manual. Each is plain
 * memory of the caller's between init and fini, for the tasks of one loop at
 * a time; threads need something else. Nothing here allocates. All are fair:
 * who has waited longest comes first, and a wake-up that meets a cancellation
 * goes to the next in line.
 *
 * Every function that awaits returns -ECANCELED when the waiting task is
 * cancelled, -ROTA_ENOTASK outside a task, -EINVAL when tasks of another loop
 * are using it, and -ROTA_ECLOSING when it is ended (fini) under the waiting
 * task; these are not repeated below. The others may be called from callbacks
 * too.
 */
#ifndef ROTA_SYNC_H
#define ROTA_SYNC_H

#include <rota/task.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Who waits, and who was woken or cancelled and has not run yet; private. */
struct rota__queue_of_waiters {
    struct rota__link waiting;
    struct rota__link woken;
    struct rota__link leaving;
    rota_loop *loop;
};

/* --- Lock ---------------------------------------------------------------- */

typedef struct rota_lock {
    struct rota__queue_of_waiters queue;
    bool locked;
} rota_lock;

/* Prepares a lock that nobody holds. asyncio: Lock(). */
void rota_lock_init(rota_lock *lock);

/* Ends it. Tasks that wait for it get -ROTA_ECLOSING; debug mode stops. */
void rota_lock_fini(rota_lock *lock);

/*
 * Waits until the lock is free and takes it. It is not recursive: a task that
 * holds it already waits for ever. asyncio: await lock.acquire().
 */
int rota_lock_acquire(rota_lock *lock) ROTA_MUST_USE;

/*
 * Gives it back and wakes the first that waits. Any task may.
 * Errors: -ROTA_ESTATE (nobody holds it).  asyncio: lock.release().
 */
int rota_lock_release(rota_lock *lock);

/* asyncio: lock.locked(). */
bool rota_lock_locked(const rota_lock *lock);

/* --- Event --------------------------------------------------------------- */

typedef struct rota_event {
    struct rota__queue_of_waiters queue;
    bool set;
} rota_event;

/* Prepares an event that is not set. asyncio: Event(). */
void rota_event_init(rota_event *event);
/* As rota_lock_fini(); so are the others below. */
void rota_event_fini(rota_event *event);

/* Sets it and wakes all that wait. asyncio: event.set(). */
void rota_event_set(rota_event *event);
/* From now on waiting waits; who was woken stays so. asyncio: clear(). */
void rota_event_clear(rota_event *event);
bool rota_event_is_set(const rota_event *event);

/* Waits until it is set, not at all if it is. asyncio: await event.wait(). */
int rota_event_wait(rota_event *event) ROTA_MUST_USE;

/* --- Condition ----------------------------------------------------------- */

typedef struct rota_condition {
    struct rota__queue_of_waiters queue;
    rota_lock *lock;
    rota_lock own;
} rota_condition;

/* A condition asks this: true when it holds. */
typedef bool rota_predicate(void *arg);

/*
 * Prepares a condition with a lock of the caller's, which may serve several
 * conditions, or with its own (NULL). asyncio: Condition(lock).
 */
void rota_condition_init(rota_condition *condition, rota_lock *lock);
void rota_condition_fini(rota_condition *condition);

/* As the lock's own. asyncio: condition.acquire(), release(), locked(). */
int rota_condition_acquire(rota_condition *condition) ROTA_MUST_USE;
int rota_condition_release(rota_condition *condition);
bool rota_condition_locked(const rota_condition *condition);

/*
 * Releases the lock, waits to be notified, takes the lock again. It returns
 * with the lock held also when it was cancelled, but for -ROTA_ECLOSING, which
 * it returns too if tasks of another loop have the lock by then. A wake-up may
 * be spurious: look again at what you wait for, or use
 * rota_condition_wait_for(). Errors: -ROTA_ESTATE (the lock is not held).
 * asyncio: await condition.wait().
 */
int rota_condition_wait(rota_condition *condition) ROTA_MUST_USE;

/* Waits until predicate(arg) is true. asyncio: condition.wait_for(). */
int rota_condition_wait_for(rota_condition *condition,
                            rota_predicate *predicate, void *arg) ROTA_MUST_USE;

/*
 * Wakes up to `count` that wait, in order. The lock must be held:
 * -ROTA_ESTATE.  asyncio: condition.notify(n), notify_all().
 */
int rota_condition_notify(rota_condition *condition, size_t count);
int rota_condition_notify_all(rota_condition *condition);

/* --- Semaphore ----------------------------------------------------------- */

typedef struct rota_semaphore {
    struct rota__queue_of_waiters queue;
    size_t value;
    size_t bound;
} rota_semaphore;

/* Prepares a semaphore that admits `value`. asyncio: Semaphore(value). */
void rota_semaphore_init(rota_semaphore *semaphore, size_t value);
/*
 * One that counts as an error what is released more often than acquired.
 * asyncio: BoundedSemaphore(value).
 */
void rota_bounded_semaphore_init(rota_semaphore *semaphore, size_t value);
void rota_semaphore_fini(rota_semaphore *semaphore);

/* Waits until it admits the task. asyncio: await semaphore.acquire(). */
int rota_semaphore_acquire(rota_semaphore *semaphore) ROTA_MUST_USE;

/*
 * Admits one more, the first that waits. Errors: -ROTA_ESTATE (a bounded one
 * is at its bound), -EOVERFLOW.  asyncio: semaphore.release().
 */
int rota_semaphore_release(rota_semaphore *semaphore);

/* True if an acquire would wait. asyncio: semaphore.locked(). */
bool rota_semaphore_locked(const rota_semaphore *semaphore);

/* --- Barrier ------------------------------------------------------------- */

typedef struct rota_barrier {
    rota_condition condition;
    size_t parties;
    size_t count;
    int state;
} rota_barrier;

/*
 * Prepares a barrier for `parties` tasks. -EINVAL if that is 0.
 * asyncio: Barrier(parties).
 */
int rota_barrier_init(rota_barrier *barrier, size_t parties);
void rota_barrier_fini(rota_barrier *barrier);

/*
 * Waits until `parties` tasks wait, then lets them all pass and can be used
 * again. Returns how many waited when it came, 0 to parties - 1.
 * -ROTA_EBROKEN if it is broken, or broken or reset meanwhile.
 * asyncio: await barrier.wait().
 */
intptr_t rota_barrier_wait(rota_barrier *barrier) ROTA_MUST_USE;

/*
 * Makes it empty and whole again; who waits gets -ROTA_EBROKEN. Awaits.
 * asyncio: await barrier.reset().
 */
int rota_barrier_reset(rota_barrier *barrier) ROTA_MUST_USE;

/*
 * Breaks it: who waits, and whoever comes, gets -ROTA_EBROKEN. Awaits.
 * asyncio: await barrier.abort().
 */
int rota_barrier_abort(rota_barrier *barrier) ROTA_MUST_USE;

size_t rota_barrier_parties(const rota_barrier *barrier);
/* How many wait for the others; 0 while it lets them pass. */
size_t rota_barrier_n_waiting(const rota_barrier *barrier);
bool rota_barrier_broken(const rota_barrier *barrier);

#ifdef __cplusplus
}
#endif

#endif
