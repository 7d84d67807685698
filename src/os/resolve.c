/* SPDX-License-Identifier: MIT */
/*
 * Names and addresses
 */
#define _GNU_SOURCE
#include "os/os.h"
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>

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

static int copy_out(const struct addrinfo *list, struct rota__addresses *out)
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

int rota__resolve_now(const char *host, int port, bool passive, bool literal,
                      struct rota__addresses *out)
{
    struct addrinfo *list = NULL;
    struct addrinfo hints = {
        .ai_family = AF_UNSPEC,
        .ai_socktype = SOCK_STREAM,
        .ai_flags = AI_NUMERICSERV | (passive ? AI_PASSIVE : 0) |
                    (literal ? AI_NUMERICHOST : 0),
    };
    char service[16];
    int err;

    snprintf(service, sizeof service, "%d", port);
    err = from_resolver(getaddrinfo(host, service, &hints, &list));
    if (err < 0)
        return err;
    err = copy_out(list, out);
    freeaddrinfo(list);
    return err;
}

int rota_address_host(const rota_address *address, char *out, size_t size)
{
    int family = address->storage.ss_family;
    const void *bytes;

    if (family == AF_INET)
        bytes = &((const struct sockaddr_in *)&address->storage)->sin_addr;
    else if (family == AF_INET6)
        bytes = &((const struct sockaddr_in6 *)&address->storage)->sin6_addr;
    else
        return -EAFNOSUPPORT;
    return inet_ntop(family, bytes, out, (socklen_t)size) ? 0 : -errno;
}

int rota_address_port(const rota_address *address)
{
    if (address->storage.ss_family == AF_INET)
        return ntohs(((const struct sockaddr_in *)&address->storage)->sin_port);
    if (address->storage.ss_family == AF_INET6)
        return ntohs(
            ((const struct sockaddr_in6 *)&address->storage)->sin6_port);
    return -EAFNOSUPPORT;
}

void rota__address_set_port(rota_address *address, int port)
{
    uint16_t number = htons((uint16_t)port);

    if (address->storage.ss_family == AF_INET)
        ((struct sockaddr_in *)&address->storage)->sin_port = number;
    else if (address->storage.ss_family == AF_INET6)
        ((struct sockaddr_in6 *)&address->storage)->sin6_port = number;
}
