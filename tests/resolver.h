/* SPDX-License-Identifier: MIT */
/*
 * A resolver for tests, in front of the system's
 *
 *     two.test    127.0.0.2 and then 127.0.0.1
 *     slow.test   127.0.0.1, but only once resolver_let_go() was called
 *
 * Include it in one file of a program.
 */
#ifndef TESTS_RESOLVER_H
#define TESTS_RESOLVER_H

#ifndef _GNU_SOURCE
#error "define _GNU_SOURCE first"
#endif
#include <dlfcn.h>
#include <netdb.h>
#include <pthread.h>
#include <string.h>

typedef int resolver_function(const char *, const char *,
                              const struct addrinfo *, struct addrinfo **);

static pthread_mutex_t resolver_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t resolver_news = PTHREAD_COND_INITIALIZER;
static bool resolver_held = true;
static int resolver_waiting;

static inline void resolver_let_go(void)
{
    pthread_mutex_lock(&resolver_lock);
    resolver_held = false;
    pthread_cond_broadcast(&resolver_news);
    pthread_mutex_unlock(&resolver_lock);
}

/* Blocks until so many look-ups of slow.test are under way. */
static inline void resolver_expect_waiting(int count)
{
    pthread_mutex_lock(&resolver_lock);
    while (resolver_waiting < count)
        pthread_cond_wait(&resolver_news, &resolver_lock);
    pthread_mutex_unlock(&resolver_lock);
}

static inline void resolver_wait(void)
{
    pthread_mutex_lock(&resolver_lock);
    resolver_waiting++;
    pthread_cond_broadcast(&resolver_news);
    while (resolver_held)
        pthread_cond_wait(&resolver_news, &resolver_lock);
    resolver_waiting--;
    pthread_mutex_unlock(&resolver_lock);
}

int getaddrinfo(const char *host, const char *service,
                const struct addrinfo *hints, struct addrinfo **out)
{
    void *found = dlsym(RTLD_NEXT, "getaddrinfo");
    bool numeric = hints != NULL && (hints->ai_flags & AI_NUMERICHOST);
    resolver_function *system;
    struct addrinfo *last;
    int err;

    memcpy(&system, &found, sizeof system);
    if (numeric || host == NULL || strstr(host, ".test") == NULL)
        return system(host, service, hints, out);
    if (strcmp(host, "slow.test") == 0)
        resolver_wait();
    if (strcmp(host, "two.test") != 0)
        return system("127.0.0.1", service, hints, out);
    err = system("127.0.0.2", service, hints, out);
    if (err != 0)
        return err;
    for (last = *out; last->ai_next != NULL; last = last->ai_next)
        ;
    return system("127.0.0.1", service, hints, &last->ai_next);
}

#endif
