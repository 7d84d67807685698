/* SPDX-License-Identifier: MIT */
/*
 * os: the port
 *
 * Everything that differs between systems, as one contract: clock, poller,
 * wake, stacks, context switch, threads, sockets. Each system call is
 * wrapped here and returns its result or -errno; `errno` is read nowhere
 * else, because it does not survive a switch. A file here belongs to one
 * mechanism (poller_epoll.c, stack.c); platform tests (`#if`) stay inside.
 */
#ifndef ROTA_OS_OS_H
#define ROTA_OS_OS_H

#include "base/base.h"
#include <pthread.h>
#include <rota/address.h>

/* Clock: monotonic nanoseconds. Never goes back. */
#define ROTA__SECOND INT64_C(1000000000)
#define ROTA__FOREVER INT64_MAX

int64_t rota__clock_now(void);

/*
 * The same from the processor's counter, where that is safe: cheaper by half,
 * and wrong by less than ROTA__CLOCK_MARGIN either way.
 */
#define ROTA__CLOCK_MARGIN 200 /* ns */

struct rota__clock {
    uint64_t ticks; /* the anchor */
    int64_t ns;
    uint64_t rate;       /* ns a tick, times 2^32, as last measured */
    uint64_t rate_ticks; /* when that was */
    int64_t rate_ns;
    uint64_t life; /* of an anchor, in ticks; 0: the rate is not trusted */
    bool usable;
};

void rota__clock_init(struct rota__clock *clock);
/* Asks the system, and remembers what the counter says then. */
int64_t rota__clock_anchor(struct rota__clock *clock);

static inline uint64_t rota__clock_ticks(void)
{
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#else
    return 0;
#endif
}

static inline int64_t rota__clock_quick(struct rota__clock *clock)
{
    uint64_t passed;

    if (rota__unlikely(clock->life == 0))
        return rota__clock_anchor(clock);
    passed = rota__clock_ticks() - clock->ticks;
    if (rota__unlikely(passed >= clock->life))
        return rota__clock_anchor(clock);
    return clock->ns + (int64_t)(passed * clock->rate >> 32);
}

/*
 * Poller: who wants to know which fd is ready.
 *
 * A watch is registered once. With ROTA__EDGE each readiness is reported
 * once; whoever has found the fd drained says so with rota__poller_drained()
 * (free for pollers that have edges of their own) and is told about the next
 * one. Without ROTA__EDGE it is reported in every wait while it lasts.
 *
 * With ROTA__ONCE it is reported once, and then, as ready() is called, the
 * watch is not registered any more. The system may go on knowing the fd, in
 * silence: adding it again is one system call, also when another fd has its
 * number by now, and removing it before the report is none where that can be.
 *
 * With ROTA__WEAK the watch gives way: whoever adds another one for the fd, or
 * for a new fd of that number, has it, and ready() is called with ROTA__GONE
 * alone when the watch is not registered any more.
 *
 * rota__poller_wait() calls watch->ready(watch, events) from inside; ready()
 * may take notes and queue handles, but must not add or remove a watch.
 * Removing a watch ends its reports at once, also those of events that the
 * system has already handed out: registrations carry a generation.
 */
enum {
    ROTA__READABLE = 1,
    ROTA__WRITABLE = 2,
    ROTA__HANGUP = 4, /* the peer is closed (an edge: or ends writing), error */
    ROTA__EDGE = 8,
    ROTA__ONCE = 16,
    ROTA__WEAK = 32,
    ROTA__GONE = 64,
};

struct rota__watch {
    void (*ready)(struct rota__watch *watch, unsigned events);
    int fd;
    unsigned events; /* what is asked for; 0: not registered */
};

struct rota__poller;

struct rota__poller_ops {
    const char *name;
    bool close_removes; /* closing an fd ends its registration */
    int (*open)(struct rota__poller *poller);
    void (*close)(struct rota__poller *poller);
    /* From `old` to `events`; 0 stands for "not registered", as an `old` of
       just ROTA__ONCE does when the system may still know the fd. */
    int (*change)(struct rota__poller *poller, int fd, unsigned old,
                  unsigned events);
    /* NULL when the system keeps edges itself. */
    void (*drained)(struct rota__poller *poller, int fd, unsigned events);
    /* True when it is certain, without asking, that nothing is ready; NULL
       when that cannot be known. */
    bool (*quiet)(const struct rota__poller *poller);
    /* How many events there are, or an error. -EINTR is no error. */
    int (*wait)(struct rota__poller *poller, int64_t timeout);
    /* Reports those of the last wait through rota__poller_report(). */
    void (*deliver)(struct rota__poller *poller, int count);
};

struct rota__poller_entry {
    struct rota__watch *watch;
    uint32_t generation;
    bool known; /* to the system, perhaps, from a ROTA__ONCE that is over */
};

struct rota__poller {
    const struct rota__poller_ops *ops;
    struct rota__poller_entry *entries; /* by fd */
    size_t entry_count;
    size_t watched;
    bool closed;
    void *state; /* the backend's own */
};

/*
 * `name` is "epoll", "kqueue", "poll" or "sim"; NULL takes the system's best.
 * -EINVAL for a name that this system has not, -ENOMEM, or what the system
 * says.
 */
int rota__poller_open(struct rota__poller *poller, const char *name);
void rota__poller_close(struct rota__poller *poller);
/*
 * In a forked child, to which the system gave its parent's: makes one of its
 * own, with the same watches. Each is told again of what is ready. An error of
 * rota__poller_open, and it is as it was.
 */
int rota__poller_reopen(struct rota__poller *poller);
/*
 * watch->ready and watch->fd are set; -EEXIST if the fd has a watch,
 * -ROTA_ECLOSED after the close.
 */
int rota__poller_add(struct rota__poller *poller, struct rota__watch *watch,
                     unsigned events);
int rota__poller_change(struct rota__poller *poller, struct rota__watch *watch,
                        unsigned events);
void rota__poller_remove(struct rota__poller *poller,
                         struct rota__watch *watch);
/* The same for an fd that is closed next: no system call if that does it. */
void rota__poller_forget(struct rota__poller *poller,
                         struct rota__watch *watch);
/* The registration of `from` becomes that of `to`, without a system call. */
void rota__poller_hand_over(struct rota__poller *poller,
                            struct rota__watch *from, struct rota__watch *to);
/* The watch of an fd, or NULL. */
struct rota__watch *rota__poller_find(const struct rota__poller *poller,
                                      int fd);
/*
 * Waits up to `timeout` ns, ROTA__FOREVER, or not at all: with 0 a backend
 * may skip the question when it knows the answer or asked a moment ago, with
 * ROTA__ASK it always asks. 0 or an error.
 */
#define ROTA__ASK INT64_C(-1)
int rota__poller_wait(struct rota__poller *poller, int64_t timeout);
/*
 * The same in two steps, for one who lets go of a lock to wait: collect()
 * touches nothing but the poller and gives a count or an error, deliver()
 * takes the count and calls ready().
 */
int rota__poller_collect(struct rota__poller *poller, int64_t timeout);
void rota__poller_deliver(struct rota__poller *poller, int count);

static inline void rota__poller_drained(struct rota__poller *poller,
                                        struct rota__watch *watch,
                                        unsigned events)
{
    if (rota__unlikely(poller->ops->drained != NULL))
        poller->ops->drained(poller, watch->fd, events);
}

static inline bool rota__poller_quiet(const struct rota__poller *poller)
{
    return poller->ops->quiet && poller->ops->quiet(poller);
}

/* For backends: an event of the fd that was registered under this tag. */
uint64_t rota__poller_tag(const struct rota__poller *poller, int fd);
void rota__poller_report(struct rota__poller *poller, uint64_t tag,
                         unsigned events);

extern const struct rota__poller_ops rota__poller_epoll;
extern const struct rota__poller_ops rota__poller_kqueue;
extern const struct rota__poller_ops rota__poller_poll;
extern const struct rota__poller_ops rota__poller_sim;

/*
 * The simulated poller's script: makes `events` true of an fd that exists
 * only in the simulation (any number from ROTA__SIM_FD up) until they are
 * taken back. -EINVAL for another poller or a real fd.
 */
#define ROTA__SIM_FD 1000000
int rota__sim_set(struct rota__poller *poller, int fd, unsigned events);
int rota__sim_clear(struct rota__poller *poller, int fd, unsigned events);

/* Wake: makes a waiting poller return, from any thread or signal handler. */
struct rota__wake {
    int read_fd;
    int write_fd;
};

int rota__wake_open(struct rota__wake *wake);
void rota__wake_close(struct rota__wake *wake);
void rota__wake_signal(const struct rota__wake *wake);
void rota__wake_drain(const struct rota__wake *wake);
/* Blocks a thread of its own until a signal, `timeout` ns or for ever. */
void rota__wake_wait(const struct rota__wake *wake, int64_t timeout);

/*
 * Stacks: slabs of equal slots, a guard page below each, handed out and
 * taken back without a system call once warm. Not thread-safe.
 */
enum rota__guard {
    ROTA__GUARD_NONE,
    ROTA__GUARD_MPROTECT,
    ROTA__GUARD_MADVISE
};

struct rota__stack {
    struct rota__stack *next_free; /* at the top end of the stack itself */
    char *low;                     /* first usable byte */
    size_t size;                   /* usable bytes */
    uint32_t slot;                 /* the owner's */
    unsigned valgrind_id;
};

struct rota__stack_pool {
    struct rota__stack *free;
    struct rota__stack *cold; /* given back to the system, mapping kept */
    struct rota__slab *slabs;
    char *unused; /* of the newest slab: never handed out yet */
    size_t unused_count;
    size_t next_slab;
    size_t wanted_size; /* as it was asked for */
    size_t stack_size;  /* in whole pages */
    size_t free_count;
    size_t handed_out; /* over all time, for the colouring */
    bool allow_unguarded;
    bool guard_tried;
    enum rota__guard guard;
};

void rota__stack_pool_init(struct rota__stack_pool *pool, size_t stack_size);
void rota__stack_pool_fini(struct rota__stack_pool *pool);
/* A stack, or NULL: no memory (or no guard page to be had). */
struct rota__stack *rota__stack_get(struct rota__stack_pool *pool);
void rota__stack_put(struct rota__stack_pool *pool, struct rota__stack *stack);
/* Fills a stack that is not in use yet; and how much has been used since. */
void rota__stack_paint(void *low, void *high);
size_t rota__stack_used(const void *low, const void *high);
/* The smallest usable size that makes sense for a task here. */
size_t rota__stack_minimum(void);
/* A size in whole pages, as a pool would make it. */
size_t rota__stack_round(size_t size);
size_t rota__page_size(void);

/*
 * Watches for accesses of guard pages while any loop has tasks: describe()
 * runs in the signal handler of the faulting thread and writes the message
 * for a fault at `address`, or returns 0 when it is none of ours.
 */
typedef size_t rota__describe_fault(const char *address, char *out,
                                    size_t size);
void rota__overflow_watch_begin(rota__describe_fault *describe);
void rota__overflow_watch_end(void);
/* Sees to it that this thread has a stack for the handler itself. */
void rota__signal_stack_ensure(void);

/* Contexts: see os/context.h, which inlines the switch. */

/* Threads: thin, returning -errno. */
int rota__thread_start(pthread_t *thread, void *(*run)(void *), void *arg);
/* With a stack of at least this size; 0: the system's. */
int rota__thread_start_sized(pthread_t *thread, void *(*run)(void *), void *arg,
                             size_t stack_size);
/* Lets another thread run, which has to do next what this one waits for. */
void rota__thread_yield(void);
/* How many processors this process may run on; at least 1. */
int rota__processors(void);
/* A condition variable on the clock of rota__clock_now(). */
int rota__cond_init(pthread_cond_t *cond);
/* Waits for a signal, or until `deadline` (ROTA__FOREVER): false then. */
bool rota__cond_wait(pthread_cond_t *cond, pthread_mutex_t *lock,
                     int64_t deadline);
/* The same thread always has the same value, two live ones never. */
uintptr_t rota__thread_self(void);
/*
 * Writes the addresses of the calls that have led here, the innermost (in
 * rota__backtrace itself) first, as many as there is room for, and returns how
 * many. Each is a return address: the call is at pc - 1. Works on any stack,
 * and in a signal handler, where the trace goes on below the signal; a task's
 * ends with its entry. Allocates nothing.
 */
size_t rota__backtrace(void **pcs, size_t room);
/* The same in a signal handler, without the handler's own part. */
size_t rota__backtrace_interrupted(void **pcs, size_t room);

/*
 * A call on this stack that has not returned: where it returns to, and the
 * stack pointer there. No two calls have both the same while they last.
 */
struct rota__frame {
    uintptr_t pc;
    uintptr_t sp;
};

/*
 * The call of the function in whose frame the address lies; zeros if that is
 * not known. Once the function has returned, it is another one, whatever has
 * been called since.
 */
struct rota__frame rota__frame_above(const void *address);

/*
 * What messages call a function, static ones too: its name, or "at", file and
 * offset (for addr2line) when the file has no symbol for it, or the address.
 * Quick for an address that was asked for lately; allocates nothing.
 */
void rota__name_function(const void *function, char *out, size_t size);
/* The same for a return address: "name+0x1f (program)". */
void rota__name_address(const void *pc, char *out, size_t size);

/*
 * Halts: makes another thread, which must live, stand still in a handler of
 * SIGURG. look() runs in the calling thread meanwhile, and must not allocate,
 * print or name an address: the one that stands may hold the locks for that.
 * False if the thread did not answer within a second (it blocks the signal,
 * or hangs in the kernel); then look() was not called. Between begin and end.
 */
struct rota__halt {
    void (*look)(struct rota__halt *halt);
    size_t count; /* of the thread's calls, as in rota__backtrace() */
    void *pcs[64];
};

void rota__halt_begin(void);
void rota__halt_end(void);
bool rota__halt(pthread_t thread, struct rota__halt *halt);
/* For a signal handler that came after ours: true if a halt sent the signal,
   and has been answered. */
bool rota__halt_answer(int number);

/* fds, sockets and names: see os/socket.h. Files: os/files.h. */
#include "os/files.h"
#include "os/socket.h"

#endif
