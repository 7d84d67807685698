/* SPDX-License-Identifier: MIT */
/*
 * Errors: names and texts, and the last words of a program
 */
#include "base/base.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define ERRNO_NAMES(X)                                                         \
    X(E2BIG)                                                                   \
    X(EACCES)                                                                  \
    X(EADDRINUSE)                                                              \
    X(EADDRNOTAVAIL)                                                           \
    X(EAFNOSUPPORT)                                                            \
    X(EAGAIN)                                                                  \
    X(EALREADY)                                                                \
    X(EBADF)                                                                   \
    X(EBUSY)                                                                   \
    X(ECANCELED)                                                               \
    X(ECHILD)                                                                  \
    X(ECONNABORTED)                                                            \
    X(ECONNREFUSED)                                                            \
    X(ECONNRESET)                                                              \
    X(EDEADLK)                                                                 \
    X(EDESTADDRREQ)                                                            \
    X(EEXIST)                                                                  \
    X(EFAULT)                                                                  \
    X(EFBIG)                                                                   \
    X(EHOSTUNREACH)                                                            \
    X(EINPROGRESS)                                                             \
    X(EINTR)                                                                   \
    X(EINVAL)                                                                  \
    X(EIO)                                                                     \
    X(EISCONN)                                                                 \
    X(EISDIR)                                                                  \
    X(ELOOP)                                                                   \
    X(EMFILE)                                                                  \
    X(EMSGSIZE)                                                                \
    X(ENAMETOOLONG)                                                            \
    X(ENETDOWN)                                                                \
    X(ENETUNREACH)                                                             \
    X(ENFILE)                                                                  \
    X(ENOBUFS)                                                                 \
    X(ENODEV)                                                                  \
    X(ENOENT)                                                                  \
    X(ENOMEM)                                                                  \
    X(ENOPROTOOPT)                                                             \
    X(ENOSPC)                                                                  \
    X(ENOSYS)                                                                  \
    X(ENOTCONN)                                                                \
    X(ENOTDIR)                                                                 \
    X(ENOTSOCK)                                                                \
    X(ENOTSUP)                                                                 \
    X(EPERM)                                                                   \
    X(EPIPE)                                                                   \
    X(EPROTO)                                                                  \
    X(EPROTONOSUPPORT)                                                         \
    X(ERANGE)                                                                  \
    X(EROFS)                                                                   \
    X(ESPIPE)                                                                  \
    X(ESRCH)                                                                   \
    X(ETIMEDOUT)                                                               \
    X(EXDEV)

struct entry {
    int number;
    const char *name;
    const char *text; /* NULL: the system knows it */
};

static const struct entry entries[] = {
#define OURS(name, number, text) {number, #name, text},
    ROTA_ERRORS(OURS)
#define SYSTEMS(name) {name, #name, NULL},
        ERRNO_NAMES(SYSTEMS)};

/* As errno has it; also of the least integer, which has no positive twin. */
static uintptr_t number_of(intptr_t error)
{
    return error < 0 ? -(uintptr_t)error : (uintptr_t)error;
}

static const struct entry *find(intptr_t error)
{
    uintptr_t number = number_of(error);

    for (size_t i = 0; i < rota__countof(entries); i++)
        if ((uintptr_t)entries[i].number == number)
            return &entries[i];
    return NULL;
}

/* The signal that an error of a pool of processes names, or 0. */
static int signal_of(uintptr_t number)
{
    return number > ROTA_EBROKENPOOL && number < ROTA_EBROKENPOOL + 32
               ? (int)number - ROTA_EBROKENPOOL
               : 0;
}

const char *rota_strerror(intptr_t error)
{
    const struct entry *entry = find(error);
    uintptr_t number = number_of(error);

    if (entry && entry->text)
        return entry->text;
    if (signal_of(number))
        return rota__broken_pool_text(signal_of(number));
    return number <= 4095 ? strerror((int)number) : "not an error";
}

const char *rota_errname(intptr_t error)
{
    const struct entry *entry = find(error);
    int signal = signal_of(number_of(error));

    if (signal)
        return rota__broken_pool_name(signal);
    return entry ? entry->name : "UNKNOWN";
}

const char *rota_version(void)
{
    return ROTA_VERSION;
}

void rota__fatal(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fputs("rota: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    fflush(stderr);
    abort();
}

void rota__invariant_failed(const char *what, const char *file, int line)
{
    rota__fatal("%s:%d: invariant broken: %s (please report this)", file, line,
                what);
}

uint64_t rota__random(uint64_t *state)
{
    uint64_t x = *state;

    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    *state = x;
    return x * UINT64_C(2685821657736338717);
}
