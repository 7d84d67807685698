/* SPDX-License-Identifier: MIT */
/*
 * Names: the system's resolver, which blocks
 */
#define _GNU_SOURCE
#include "os/os.h"
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>

static int from_resolver(int code)
{
    switch (code) {
    case 0:
        return 0;
    case EAI_AGAIN:
        return -ROTA_ENAMEAGAIN;
    case EAI_FAIL:
        return -ROTA_ENAMEFAIL;
    case EAI_MEMORY:
        return -ENOMEM;
    case EAI_BADFLAGS:
        return -EINVAL;
    case EAI_OVERFLOW:
        return -ENOSPC;
    case EAI_SERVICE:
    case EAI_SOCKTYPE:
        return -ROTA_ESERVICE;
    case EAI_FAMILY:
#if defined(EAI_ADDRFAMILY)
    case EAI_ADDRFAMILY:
#endif
        return -ROTA_EFAMILY;
    case EAI_SYSTEM:
        return errno ? -errno : -ROTA_ENAMEFAIL;
    default:
        return -ROTA_ENONAME;
    }
}

static int copy_out(const struct addrinfo *list, rota_addresses *out)
{
    size_t count = 0;

    for (const struct addrinfo *at = list; at; at = at->ai_next)
        count++;
    out->items = rota__zalloc(count * sizeof(*out->items));
    if (!out->items)
        return -ENOMEM;
    out->count = 0;
    for (const struct addrinfo *at = list; at; at = at->ai_next) {
        if (at->ai_addrlen > sizeof out->items->storage)
            continue;
        memcpy(&out->items[out->count].storage, at->ai_addr, at->ai_addrlen);
        out->items[out->count++].size = at->ai_addrlen;
    }
    return 0;
}

/* The system's resolver takes any number, and cuts it. */
static bool is_port(const char *service)
{
    char *end;
    long number = strtol(service, &end, 10);

    return end == service || *end || (number >= 0 && number <= 65535);
}

static int ask(const struct rota__name_query *query, int flags,
               rota_addresses *out)
{
    struct addrinfo *list = NULL;
    struct addrinfo hints = {
        .ai_family = query->family,
        .ai_socktype = query->type ? query->type : SOCK_STREAM,
        .ai_flags = query->flags | flags,
    };
    int err;

    if (query->service && !is_port(query->service))
        return -ROTA_ESERVICE;
    /* Without either there is nothing to look up: port 0 is a service too. */
    err = from_resolver(getaddrinfo(
        query->host, query->service ? query->service : "0", &hints, &list));
    if (err < 0)
        return err;
    err = copy_out(list, out);
    freeaddrinfo(list);
    return err;
}

int rota__getaddrinfo(const struct rota__name_query *query, rota_addresses *out)
{
    return ask(query, 0, out);
}

int rota__getaddrinfo_literal(const struct rota__name_query *query,
                              rota_addresses *out)
{
    return ask(query, AI_NUMERICHOST | AI_NUMERICSERV, out);
}

int rota__port_flags(bool passive)
{
    return AI_NUMERICSERV | (passive ? AI_PASSIVE : 0);
}

int rota__resolve_now(const char *host, int port, int family, bool passive,
                      bool literal, rota_addresses *out)
{
    char service[16];
    struct rota__name_query query = {
        .host = host,
        .service = service,
        .family = family,
        .flags = rota__port_flags(passive),
    };

    snprintf(service, sizeof service, "%d", port);
    return ask(&query, literal ? AI_NUMERICHOST : 0, out);
}

int rota__getnameinfo(const rota_address *address, char *host, size_t host_size,
                      char *service, size_t service_size, int flags)
{
    int family = address->storage.ss_family;

    if (family != AF_INET && family != AF_INET6)
        return -EAFNOSUPPORT;
    return from_resolver(getnameinfo((const struct sockaddr *)&address->storage,
                                     address->size, host, (socklen_t)host_size,
                                     service, (socklen_t)service_size, flags));
}

bool rota__getnameinfo_asks(bool host, bool service, int flags)
{
    return (host && !(flags & NI_NUMERICHOST)) ||
           (service && !(flags & NI_NUMERICSERV));
}
