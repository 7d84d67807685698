/* SPDX-License-Identifier: MIT */
/*
 * Addresses of sockets
 */
#ifndef ROTA_ADDRESS_H
#define ROTA_ADDRESS_H

#include <rota/base.h>
#include <sys/socket.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A socket's address. */
typedef struct rota_address {
    struct sockaddr_storage storage;
    socklen_t size;
} rota_address;

/*
 * The host of an address as text ("127.0.0.1", "::1") into out[size], always
 * terminated. 0, -ENOSPC if it does not fit, or -EAFNOSUPPORT. Any thread.
 */
int rota_address_host(const rota_address *address, char *out, size_t size);

/* The port of an address, or -EAFNOSUPPORT. Any thread. */
int rota_address_port(const rota_address *address);

#ifdef __cplusplus
}
#endif

#endif
