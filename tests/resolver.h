/* SPDX-License-Identifier: MIT */
/*
 * A resolver for tests, in front of the system's
 *
 *     two.test    127.0.0.2 and then 127.0.0.1
 *     both.test   ::1 and then 127.0.0.1
 *     slow.test   127.0.0.1, but only once resolver_let_go() was called
 *     again.test, fail.test, gone.test, memory.test    an error
 *     another.test, any other of the kind              127.0.0.1
 *
 * and the other way round, unless numbers are asked for:
 *
 *     127.0.0.8   eight.test, and its port is called "eight"
 *     127.0.0.9   nine.test, but only once resolver_let_go() was called
 *
 * Include it in one file of a program.
 */
#ifndef TESTS_RESOLVER_H
#define TESTS_RESOLVER_H

#ifndef _GNU_SOURCE
#error "define _GNU_SOURCE first"
#endif
#include "loop/loop.h"

#include <dlfcn.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

typedef int resolver_function(const char *, const char *,
                              const struct addrinfo *, struct addrinfo **);
typedef int resolver_name_function(const struct sockaddr *, socklen_t, char *,
                                   socklen_t, char *, socklen_t, int);

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

static inline void resolver_open(void *arg)
{
    (void)arg;
    resolver_let_go();
}

/* Lets go as the loop waits: for its threads, when it closes next. */
static inline void resolver_let_go_at_close(rota_loop *loop)
{
    loop->wait_hooks.before = resolver_open;
    loop->wait_hooks.after = resolver_open;
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

static inline int resolver_error(const char *host)
{
    if (strcmp(host, "again.test") == 0)
        return EAI_AGAIN;
    if (strcmp(host, "fail.test") == 0)
        return EAI_FAIL;
    if (strcmp(host, "gone.test") == 0)
        return EAI_NONAME;
    return strcmp(host, "memory.test") == 0 ? EAI_MEMORY : 0;
}

int getaddrinfo(const char *host, const char *service,
                const struct addrinfo *hints, struct addrinfo **out)
{
    void *found = dlsym(RTLD_NEXT, "getaddrinfo");
    bool numeric = hints != NULL && (hints->ai_flags & AI_NUMERICHOST);
    const char *first = NULL;
    resolver_function *system;
    struct addrinfo *last;
    int err;

    memcpy(&system, &found, sizeof system);
    if (numeric || host == NULL || strstr(host, ".test") == NULL)
        return system(host, service, hints, out);
    err = resolver_error(host);
    if (err != 0)
        return err;
    if (strcmp(host, "slow.test") == 0)
        resolver_wait();
    if (strcmp(host, "two.test") == 0)
        first = "127.0.0.2";
    if (strcmp(host, "both.test") == 0)
        first = "::1";
    if (first == NULL)
        return system("127.0.0.1", service, hints, out);
    err = system(first, service, hints, out);
    if (err != 0)
        return err;
    for (last = *out; last->ai_next != NULL; last = last->ai_next)
        ;
    return system("127.0.0.1", service, hints, &last->ai_next);
}

static inline const char *resolver_name(const struct sockaddr *address)
{
    const struct sockaddr_in *in = (const struct sockaddr_in *)address;

    if (address->sa_family != AF_INET)
        return NULL;
    if (in->sin_addr.s_addr == htonl(INADDR_LOOPBACK + 7))
        return "eight.test";
    return in->sin_addr.s_addr == htonl(INADDR_LOOPBACK + 8) ? "nine.test"
                                                             : NULL;
}

int getnameinfo(const struct sockaddr *address, socklen_t size, char *host,
                socklen_t host_size, char *service, socklen_t service_size,
                int flags)
{
    void *found = dlsym(RTLD_NEXT, "getnameinfo");
    const char *name = resolver_name(address);
    resolver_name_function *system;

    memcpy(&system, &found, sizeof system);
    if (name == NULL || (flags & NI_NUMERICHOST))
        return system(address, size, host, host_size, service, service_size,
                      flags);
    if (strcmp(name, "nine.test") == 0)
        resolver_wait();
    if (host_size > 0)
        snprintf(host, host_size, "%s", name);
    if (service_size > 0)
        snprintf(service, service_size, "eight");
    return 0;
}

#endif
