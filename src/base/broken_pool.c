/* SPDX-License-Identifier: MIT */
/*
 * What a pool tells when a signal has killed one of its processes
 */
#include "base/base.h"
#include <signal.h>

struct entry {
    int number;
    const char *name;
    const char *text;
};

#define SIGNAL(name)                                                           \
    {                                                                          \
        name, "ROTA_EBROKENPOOL+" #name,                                       \
            "a process of the pool was killed by " #name                       \
    }

static const struct entry entries[] = {
    SIGNAL(SIGABRT),   SIGNAL(SIGALRM), SIGNAL(SIGBUS),    SIGNAL(SIGCHLD),
    SIGNAL(SIGCONT),   SIGNAL(SIGFPE),  SIGNAL(SIGHUP),    SIGNAL(SIGILL),
    SIGNAL(SIGINT),    SIGNAL(SIGIO),   SIGNAL(SIGKILL),   SIGNAL(SIGPIPE),
    SIGNAL(SIGPROF),   SIGNAL(SIGQUIT), SIGNAL(SIGSEGV),   SIGNAL(SIGSTOP),
    SIGNAL(SIGSYS),    SIGNAL(SIGTERM), SIGNAL(SIGTRAP),   SIGNAL(SIGTSTP),
    SIGNAL(SIGTTIN),   SIGNAL(SIGTTOU), SIGNAL(SIGURG),    SIGNAL(SIGUSR1),
    SIGNAL(SIGUSR2),   SIGNAL(SIGXCPU), SIGNAL(SIGVTALRM), SIGNAL(SIGWINCH),
    SIGNAL(SIGXFSZ),
#ifdef SIGEMT
    SIGNAL(SIGEMT),
#endif
#ifdef SIGINFO
    SIGNAL(SIGINFO),
#endif
#ifdef SIGPWR
    SIGNAL(SIGPWR),
#endif
#ifdef SIGSTKFLT
    SIGNAL(SIGSTKFLT),
#endif
};

static const struct entry *find(int number)
{
    for (size_t i = 0; i < rota__countof(entries); i++)
        if (entries[i].number == number)
            return &entries[i];
    return NULL;
}

const char *rota__broken_pool_name(int number)
{
    const struct entry *entry = find(number);

    return entry ? entry->name : "ROTA_EBROKENPOOL";
}

const char *rota__broken_pool_text(int number)
{
    const struct entry *entry = find(number);

    return entry ? entry->text : "a process of the pool was killed by a signal";
}
