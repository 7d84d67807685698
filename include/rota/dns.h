/* SPDX-License-Identifier: MIT */
/*
 * DNS: names to addresses and back
 *
 * Mirrors loop.getaddrinfo() and loop.getnameinfo(). The system's resolver
 * blocks, so it runs on threads of its own: a slow one holds up neither the
 * loop nor an executor's work. A literal address never leaves the thread. A
 * cancelled look-up returns at once; its thread goes on, and only a loop that
 * closes waits for it.
 */
#ifndef ROTA_DNS_H
#define ROTA_DNS_H

#include <rota/address.h>
#include <rota/task.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What to look up; all zero is streams of both families. */
typedef struct rota_addrinfo_options {
    int family; /* AF_INET, AF_INET6; 0: both */
    int type;   /* SOCK_STREAM, SOCK_DGRAM; 0: SOCK_STREAM */
    int flags;  /* AI_PASSIVE, AI_ADDRCONFIG... of <netdb.h> */
} rota_addrinfo_options;

/*
 * Awaits the addresses of a host; `service` is a number ("80"), a name
 * ("http") or NULL (port 0). `host` NULL: this machine's, with AI_PASSIVE any.
 * Free them with rota_addresses_free(). Errors: -EINVAL (neither host nor
 * service), -ROTA_ENONAME, -ROTA_ENAMEAGAIN, -ROTA_ENAMEFAIL, -ROTA_ESERVICE,
 * -ROTA_EFAMILY, -ENOMEM, -EAGAIN (no thread), -ECANCELED, -ROTA_ENOTASK.
 * asyncio: loop.getaddrinfo().
 */
int rota_getaddrinfo(rota_addresses *addresses, const char *host,
                     const char *service,
                     const rota_addrinfo_options *options) ROTA_MUST_USE;

/*
 * Awaits the names of an address: host[host_size] and service[service_size],
 * terminated; either may be NULL with size 0. `flags` are NI_NUMERICHOST,
 * NI_NUMERICSERV, NI_NAMEREQD... of <netdb.h>; with the first two nothing is
 * asked. Errors as above; -ENOSPC (does not fit), -EAFNOSUPPORT.
 * asyncio: loop.getnameinfo().
 */
int rota_getnameinfo(const rota_address *address, char *host, size_t host_size,
                     char *service, size_t service_size,
                     int flags) ROTA_MUST_USE;

#ifdef __cplusplus
}
#endif

#endif
