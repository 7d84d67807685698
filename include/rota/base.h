/* SPDX-License-Identifier: MIT */
/*
 * Base: the version, errors, memory
 */
#ifndef ROTA_BASE_H
#define ROTA_BASE_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ROTA_VERSION_MAJOR 0
#define ROTA_VERSION_MINOR 1
#define ROTA_VERSION_PATCH 0
#define ROTA_VERSION "0.1.0"

#if defined(__GNUC__)
#define ROTA_MUST_USE __attribute__((warn_unused_result))
#define ROTA_CLEANUP(fn) __attribute__((cleanup(fn)))
#define ROTA__UNUSED __attribute__((unused))
#else
#define ROTA_MUST_USE
#define ROTA_CLEANUP(fn)
#define ROTA__UNUSED
#endif

/*
 * rota's own errors, beside the system's errno values: name, number, text.
 * They are returned negative, as the system's are: `n == -ROTA_ELIMIT`.
 */
#define ROTA_ERRORS(X)                                                         \
    X(ROTA_EINCOMPLETE, 4000, "end of stream in the middle of a read")         \
    X(ROTA_ELIMIT, 4001, "separator not found within the limit")               \
    X(ROTA_ECLOSED, 4002, "the event loop is closed")                          \
    X(ROTA_ERUNNING, 4003, "an event loop is already running")                 \
    X(ROTA_ENOLOOP, 4004, "no running event loop")                             \
    X(ROTA_ENOTASK, 4005, "only a task can wait")                              \
    X(ROTA_ETHREAD, 4006, "called from a thread that is not the loop's")       \
    X(ROTA_ESTATE, 4007, "it is not in a state that allows this")              \
    X(ROTA_EAWAITED, 4008,                                                     \
      "the task was already awaited, detached or given "                       \
      "away")                                                                  \
    X(ROTA_ESTOPPED, 4009, "the loop stopped before the result was there")     \
    X(ROTA_ESCOPE, 4010, "a scope was ended out of order")                     \
    X(ROTA_ECLOSING, 4011, "it is closed or closing")                          \
    X(ROTA_EFULL, 4012, "the queue is full")                                   \
    X(ROTA_EEMPTY, 4013, "the queue is empty")                                 \
    X(ROTA_ESHUTDOWN, 4014, "the queue or executor has been shut down")        \
    X(ROTA_EBROKEN, 4015, "the barrier is broken")                             \
    X(ROTA_ENONAME, 4020, "host or service not known")                         \
    X(ROTA_ENAMEAGAIN, 4021, "temporary failure in name resolution")           \
    X(ROTA_ENAMEFAIL, 4022, "permanent failure in name resolution")            \
    X(ROTA_ESERVICE, 4023, "service not supported for this socket type")       \
    X(ROTA_EFAMILY, 4024, "address family not supported by this name")         \
    X(ROTA_ETLS, 4030, "the peer does not keep to TLS")                        \
    X(ROTA_ETRUNCATED, 4031,                                                   \
      "end of stream without TLS's close_notify: it may be cut off")           \
    X(ROTA_ECERT, 4032, "certificate not acceptable")                          \
    X(ROTA_ECERTEXPIRED, 4033, "certificate has expired or is not yet valid")  \
    X(ROTA_ECERTHOST, 4034, "certificate is for another host")                 \
    X(ROTA_ECERTUNKNOWN, 4035, "certificate is of an unknown authority")       \
    X(ROTA_ETLSALERT, 4036, "the peer has refused the TLS connection")         \
    X(ROTA_ENOTLS, 4037, "rota was built without TLS")                         \
    X(ROTA_EBROKENPOOL, 4040, "a process of the pool has ended")

/* 4041 to 4071 are ROTA_EBROKENPOOL and the signal that has ended it. */

enum {
#define ROTA__ENUM(name, number, text) name = number,
    ROTA_ERRORS(ROTA__ENUM)
#undef ROTA__ENUM
};

/* True for a result that is an error: a value in [-4095, -1]. Any context. */
static inline bool rota_is_error(intptr_t result)
{
    return result < 0 && result >= -4095;
}

/*
 * The text of an error, never NULL: rota's own or the system's. `error` may
 * be given as it was returned (negative) or as errno has it (positive).
 * The text is static or per thread; do not free it. Any thread.
 */
const char *rota_strerror(intptr_t error);

/*
 * The name of an error ("ECONNRESET", "ROTA_ELIMIT"), or "UNKNOWN".
 * Static text. Any thread.
 */
const char *rota_errname(intptr_t error);

/* The version of the library that runs, as "major.minor.patch". */
const char *rota_version(void);

/*
 * Where all of rota's memory comes from. The functions behave as malloc,
 * realloc and free do, are given `ctx`, must be callable from any thread and
 * may return NULL: rota reports -ENOMEM and loses nothing.
 */
typedef struct rota_allocator {
    void *(*allocate)(void *ctx, size_t size);
    void *(*reallocate)(void *ctx, void *ptr, size_t size);
    void (*release)(void *ctx, void *ptr);
    void *ctx;
} rota_allocator;

/*
 * Replaces the allocator of the process; NULL brings malloc back. Copied.
 * Call it before the first loop is made: memory must go back to where it
 * came from. Returns 0, or -EINVAL if a function is missing.
 */
int rota_set_allocator(const rota_allocator *allocator);

/* Places in a list and in a heap: private, here because structs embed them. */
struct rota__link {
    struct rota__link *next;
    struct rota__link *prev;
};

struct rota__heap_node {
    int64_t key;         /* the true one */
    uint32_t sequence;   /* of the last insertion or move */
    uint32_t queued_seq; /* of the key that the heap sorted by */
    uint32_t index;      /* in its slots; 0 when not in a heap */
};

#ifdef __cplusplus
}
#endif

#endif
