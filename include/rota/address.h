/* SPDX-License-Identifier: MIT */
/*
 * Addresses of sockets
 *
 * An address is a plain value. These calls may be made on any thread; none of
 * them asks the network (rota/dns.h does).
 */
#ifndef ROTA_ADDRESS_H
#define ROTA_ADDRESS_H

#include <rota/base.h>
#include <sys/socket.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A socket's address: IPv4, IPv6 or of a Unix socket. */
typedef struct rota_address {
    struct sockaddr_storage storage;
    socklen_t size;
} rota_address;

/* A list of addresses; end it with rota_addresses_free(). */
typedef struct rota_addresses {
    rota_address *items;
    size_t count;
} rota_addresses;

/*
 * Makes an address of a number ("127.0.0.1", "::1", "fe80::1%eth0") and a
 * port. Errors: -EINVAL (another text, a name too; a port outside 0..65535).
 */
int rota_address_parse(rota_address *out, const char *host, int port);

/*
 * Makes the address of a Unix socket. A path that begins with '@' names an
 * abstract one (Linux), without the '@'. Errors: -EINVAL (an empty path),
 * -ENAMETOOLONG.
 */
int rota_address_unix(rota_address *out, const char *path);

/*
 * The host of an address as text ("127.0.0.1", "::1") into out[size], always
 * terminated. 0, -ENOSPC if it does not fit, or -EAFNOSUPPORT.
 */
int rota_address_host(const rota_address *address, char *out, size_t size);

/* The port of an address, or -EAFNOSUPPORT. */
int rota_address_port(const rota_address *address);

/*
 * The path of a Unix socket's address, an abstract one with its '@'; empty
 * for one without a name. 0, -ENOSPC or -EAFNOSUPPORT.
 */
int rota_address_path(const rota_address *address, char *out, size_t size);

/*
 * Any address for a message: "127.0.0.1:80", "[::1]:80", "/run/x", "@name".
 * What does not fit is cut off; always terminated (with size > 0). Returns
 * `out`.
 */
#define ROTA_ADDRESS_TEXT 128 /* room for every address */
char *rota_address_text(const rota_address *address, char *out, size_t size);

/* True for the same family, host and port, or path. */
bool rota_address_equal(const rota_address *a, const rota_address *b);

/* Gives the items of a list back and empties it. */
void rota_addresses_free(rota_addresses *addresses);

#ifdef __cplusplus
}
#endif

#endif
