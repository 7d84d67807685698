/* SPDX-License-Identifier: MIT */
/*
 * SIGPIPE, blocked around a call
 */
#define _GNU_SOURCE
#include "os/sigpipe.h"
#include "os/os.h"
#include <time.h>

static sigset_t pipe_only(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    return set;
}

static bool is_pending(void)
{
    sigset_t pending;

    sigpending(&pending);
    return sigismember(&pending, SIGPIPE);
}

static void take_back(void)
{
    sigset_t set = pipe_only();
#if defined(__APPLE__)
    int number;

    (void)sigwait(&set, &number);
#else
    static const struct timespec at_once;

    while (sigtimedwait(&set, NULL, &at_once) < 0 && errno == EINTR)
        ;
#endif
}

void rota__sigpipe_block(struct rota__sigpipe *self)
{
    sigset_t set = pipe_only();

    pthread_sigmask(SIG_BLOCK, &set, &self->before);
    self->pending = sigismember(&self->before, SIGPIPE) && is_pending();
}

void rota__sigpipe_unblock(const struct rota__sigpipe *self, bool broken)
{
    int error = errno;

    if (broken && !self->pending && is_pending())
        take_back();
    pthread_sigmask(SIG_SETMASK, &self->before, NULL);
    errno = error;
}
