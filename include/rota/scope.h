/* SPDX-License-Identifier: MIT */
/*
 * Scopes on the stack: timeouts and task groups
 *
 * Mirrors "Timeouts" and "Task Groups" of asyncio's manual, where they are
 * `async with` blocks. A scope is begun and ended by the same task, in the
 * opposite order; in between it stays where it is.
 */
#ifndef ROTA_SCOPE_H
#define ROTA_SCOPE_H

#include <rota/task.h>

#ifdef __cplusplus
extern "C" {
#endif

/* --- Timeouts ----------------------------------------------------------- */

/* A scope on the stack; between begin and end it stays where it is. */
typedef struct rota_timeout {
    struct rota__heap_node node;
    struct rota__handle handle;
    struct rota__task *task;
    int64_t when;
    int cancelling;
    int state;
} rota_timeout;

/*
 * From here to rota_timeout_end() there are `delay` seconds; then what the
 * task waits for returns -ECANCELED. INFINITY: no limit yet. Scopes nest.
 * Errors: -ENOMEM, -EINVAL for a NaN, -ROTA_ENOTASK; the end then returns the
 * same, so who checks that need not check this.
 * asyncio: async with timeout(delay).
 */
int rota_timeout_begin(rota_timeout *timeout, double delay);
/* The same at a time of rota_loop_time(). asyncio: timeout_at(). */
int rota_timeout_begin_at(rota_timeout *timeout, double when);
int rota__timeout_begin(rota_timeout *timeout, double time, bool absolute,
                        const char *where);
#define rota_timeout_begin(timeout, delay)                                     \
    rota__timeout_begin(timeout, delay, false, ROTA__HERE)
#define rota_timeout_begin_at(timeout, when)                                   \
    rota__timeout_begin(timeout, when, true, ROTA__HERE)

/*
 * Declares a timeout that is begun here and, if the function leaves the block
 * without rota_timeout_end(), ended there. Needs gcc or clang.
 */
#define ROTA_TIMEOUT(timeout, delay)                                           \
    rota_timeout timeout ROTA_CLEANUP(rota__timeout_leave);                    \
    const int timeout##_begun ROTA__UNUSED = rota_timeout_begin(&timeout, delay)
void rota__timeout_leave(rota_timeout *timeout);

/*
 * Ends the scope with the body's outcome: -ETIMEDOUT when the time had passed
 * and that is what cancelled the body, else `result` itself.
 * -ROTA_ESCOPE if the scope is not one of this task's.
 */
intptr_t rota_timeout_end(rota_timeout *timeout, intptr_t result) ROTA_MUST_USE;

/*
 * Another time of the loop, from any task or callback of it. Errors:
 * -ROTA_ESTATE (it has fired), -ROTA_ESCOPE (it has ended), -EINVAL for a NaN,
 * -ENOMEM.  asyncio: Timeout.reschedule().
 */
int rota_timeout_reschedule(rota_timeout *timeout, double when);
/* When it ends; INFINITY without a limit. asyncio: Timeout.when(). */
double rota_timeout_when(const rota_timeout *timeout);
/* True when its time had passed before the end. asyncio: expired(). */
bool rota_timeout_expired(const rota_timeout *timeout);

/* --- Task groups -------------------------------------------------------- */

struct rota__owner {
    void (*child_done)(struct rota__owner *owner, struct rota__task *child);
    struct rota__task *task; /* that waits for the end, or NULL */
};

/* One of a group's errors: a child's, or the body's. */
typedef struct rota_task_error {
    intptr_t error;
    char name[32]; /* of the task */
} rota_task_error;

typedef struct rota_task_group {
    struct rota__owner owner;
    struct rota__handle news;
    struct rota__task *parent;
    struct rota__link children;
    struct rota__waiter *waiting;
    struct rota_task_error *errors;
    size_t room;
    size_t error_count;
    int error;
    bool has_news;
    bool failed;
    bool ending;
    bool aborting;
    bool parent_cancelled;
} rota_task_group;

/*
 * Opens a group of the running task. Errors: -ROTA_ENOTASK.
 * asyncio: async with TaskGroup().
 */
int rota_task_group_begin(rota_task_group *group);
int rota__task_group_begin(rota_task_group *group, const char *where);
#define rota_task_group_begin(group) rota__task_group_begin(group, ROTA__HERE)

/*
 * Declares a group that is begun here and, if the function leaves the block
 * without rota_task_group_end(), ended there: its children are cancelled and
 * waited for. Needs gcc or clang.
 */
#define ROTA_TASK_GROUP(group)                                                 \
    rota_task_group group ROTA_CLEANUP(rota__task_group_leave);                \
    const int group##_begun ROTA__UNUSED = rota_task_group_begin(&group)
void rota__task_group_leave(rota_task_group *group);

/*
 * Keeps the group's errors in errors[], which must live until its end: the
 * first `room`, in the order in which they came. One that is neither kept nor
 * the first, which is returned, goes to the exception handler. Errors:
 * -ROTA_ESCOPE if the group is not open, -ROTA_ESTATE once there was an error.
 * asyncio: ExceptionGroup.exceptions.
 */
int rota_task_group_keep_errors(rota_task_group *group, rota_task_error *errors,
                                size_t room);

/* How many errors there were, kept or not; also after the end. */
size_t rota_task_group_error_count(const rota_task_group *group);

/*
 * Makes a task that belongs to the group, also from its children. When it is
 * done, its result goes to *result, unless that is NULL. Errors as for
 * rota_create_task(), and only in a task: -ROTA_ENOTASK; -ROTA_ESCOPE when the
 * group has ended or is aborting; -ROTA_ETHREAD in a task of another loop.
 * asyncio: TaskGroup.create_task().
 */
int rota_task_group_create_task(rota_task_group *group,
                                rota_task_function *function, void *arg,
                                intptr_t *result) ROTA_MUST_USE;
/* The same with options. asyncio: TaskGroup.create_task(name=). */
int rota_task_group_create_task_with(rota_task_group *group,
                                     const rota_task_options *options,
                                     rota_task_function *function, void *arg,
                                     intptr_t *result) ROTA_MUST_USE;
int rota__task_group_create_task(rota_task_group *group,
                                 const rota_task_options *options,
                                 rota_task_function *function, void *arg,
                                 intptr_t *result,
                                 const char *where) ROTA_MUST_USE;
#define rota_task_group_create_task(group, function, arg, result)              \
    rota__task_group_create_task(group, NULL, function, arg, result, ROTA__HERE)
#define rota_task_group_create_task_with(group, options, function, arg,        \
                                         result)                               \
    rota__task_group_create_task(group, options, function, arg, result,        \
                                 ROTA__HERE)

/*
 * Ends the group with the body's outcome: waits for every child. The first
 * error of a child, or of the body, cancels the others and the body; it is
 * what is returned. Without errors, `result` is. -ROTA_ESCOPE if the group is
 * not one of this task's.
 */
intptr_t rota_task_group_end(rota_task_group *group,
                             intptr_t result) ROTA_MUST_USE;

#ifdef __cplusplus
}
#endif

#endif
