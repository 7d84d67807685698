/* SPDX-License-Identifier: MIT */
/*
 * Addresses: to text and from text
 *
 * Numbers only, so that no call here asks anybody but the kernel, which knows
 * the names of its interfaces: the scope of fe80::1%eth0.
 */
#define _GNU_SOURCE
#include "os/os.h"
#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/un.h>

#define ADDRESS_SIZE 46 /* of INET6_ADDRSTRLEN */

static struct sockaddr_in *inet(rota_address *address)
{
    return (struct sockaddr_in *)&address->storage;
}

static struct sockaddr_in6 *inet6(rota_address *address)
{
    return (struct sockaddr_in6 *)&address->storage;
}

static const struct sockaddr_in *inet_of(const rota_address *address)
{
    return (const struct sockaddr_in *)&address->storage;
}

static const struct sockaddr_in6 *inet6_of(const rota_address *address)
{
    return (const struct sockaddr_in6 *)&address->storage;
}

static const struct sockaddr_un *unix_of(const rota_address *address)
{
    return (const struct sockaddr_un *)&address->storage;
}

/* --- From text ------------------------------------------------------------ */

void rota__address_any(rota_address *out, int family, int port)
{
    *out = (rota_address){0};
    out->storage.ss_family = (sa_family_t)family;
    out->size = family == AF_INET ? sizeof(struct sockaddr_in)
                                  : sizeof(struct sockaddr_in6);
    rota__address_set_port(out, port);
}

void rota__address_set_port(rota_address *address, int port)
{
    uint16_t number = htons((uint16_t)port);

    if (address->storage.ss_family == AF_INET)
        inet(address)->sin_port = number;
    else if (address->storage.ss_family == AF_INET6)
        inet6(address)->sin6_port = number;
}

/* A number, or the name of an interface; 0 for neither. */
static uint32_t parse_scope(const char *text)
{
    uint64_t number = 0;
    const char *at = text;

    for (; *at >= '0' && *at <= '9' && number <= UINT32_MAX; at++)
        number = number * 10 + (uint64_t)(*at - '0');
    if (*at == '\0' && number <= UINT32_MAX)
        return (uint32_t)number;
    return if_nametoindex(text);
}

static int parse_inet6(rota_address *out, const char *host)
{
    const char *percent = strchr(host, '%');
    size_t size = percent ? (size_t)(percent - host) : strlen(host);
    char number[ADDRESS_SIZE];

    if (size >= sizeof number)
        return -EINVAL;
    memcpy(number, host, size);
    number[size] = '\0';
    if (inet_pton(AF_INET6, number, &inet6(out)->sin6_addr) != 1)
        return -EINVAL;
    if (percent)
        inet6(out)->sin6_scope_id = parse_scope(percent + 1);
    return percent && inet6(out)->sin6_scope_id == 0 ? -EINVAL : 0;
}

int rota_address_parse(rota_address *out, const char *host, int port)
{
    rota_address found;
    int err = 0;

    if (!host || port < 0 || port > 65535)
        return -EINVAL;
    rota__address_any(&found, AF_INET, port);
    if (inet_pton(AF_INET, host, &inet(&found)->sin_addr) != 1) {
        rota__address_any(&found, AF_INET6, port);
        err = parse_inet6(&found, host);
    }
    if (err == 0)
        *out = found;
    return err;
}

/* An abstract name begins with a zero byte and has no end but the size. */
int rota_address_unix(rota_address *out, const char *path)
{
    struct sockaddr_un *un = (struct sockaddr_un *)&out->storage;
    bool abstract = path && path[0] == '@';
    size_t length = path ? strlen(path) : 0;

    if (length == (abstract ? 1 : 0))
        return -EINVAL;
    if (length + !abstract > sizeof un->sun_path)
        return -ENAMETOOLONG;
    *out = (rota_address){0};
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, path, length);
    if (abstract)
        un->sun_path[0] = '\0';
    out->size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length +
                            !abstract);
    return 0;
}

/* --- To text -------------------------------------------------------------- */

/* Copies what fits; -ENOSPC if that is not all. */
static int put(char *out, size_t size, const char *text, size_t length)
{
    size_t fits = length < size ? length : size - 1;

    if (size == 0)
        return -ENOSPC;
    memcpy(out, text, fits);
    out[fits] = '\0';
    return fits < length ? -ENOSPC : 0;
}

/* Interfaces have names that can change; where it has none, the number. */
static void put_scope(char *out, size_t size, uint32_t scope)
{
    char name[IF_NAMESIZE];

    if (if_indextoname(scope, name))
        snprintf(out, size, "%%%s", name);
    else
        snprintf(out, size, "%%%lu", (unsigned long)scope);
}

int rota_address_host(const rota_address *address, char *out, size_t size)
{
    int family = address->storage.ss_family;
    char text[ADDRESS_SIZE + IF_NAMESIZE + 1];
    size_t length;

    if (family == AF_INET)
        inet_ntop(family, &inet_of(address)->sin_addr, text, ADDRESS_SIZE);
    else if (family == AF_INET6)
        inet_ntop(family, &inet6_of(address)->sin6_addr, text, ADDRESS_SIZE);
    else
        return -EAFNOSUPPORT;
    length = strlen(text);
    if (family == AF_INET6 && inet6_of(address)->sin6_scope_id != 0)
        put_scope(text + length, sizeof text - length,
                  inet6_of(address)->sin6_scope_id);
    return put(out, size, text, strlen(text));
}

int rota_address_port(const rota_address *address)
{
    if (address->storage.ss_family == AF_INET)
        return ntohs(inet_of(address)->sin_port);
    if (address->storage.ss_family == AF_INET6)
        return ntohs(inet6_of(address)->sin6_port);
    return -EAFNOSUPPORT;
}

/* The bytes of a path, without its end. */
static size_t path_length(const rota_address *address)
{
    size_t start = offsetof(struct sockaddr_un, sun_path);
    const char *path = unix_of(address)->sun_path;
    size_t room = address->size > start ? address->size - start : 0;

    if (room > sizeof unix_of(address)->sun_path)
        room = sizeof unix_of(address)->sun_path;
    return room > 0 && path[0] == '\0' ? room : strnlen(path, room);
}

/* Any byte may stand in an abstract name; a zero is shown as '@' too. */
int rota_address_path(const rota_address *address, char *out, size_t size)
{
    char text[sizeof unix_of(address)->sun_path];
    size_t length;

    if (address->storage.ss_family != AF_UNIX)
        return -EAFNOSUPPORT;
    length = path_length(address);
    memcpy(text, unix_of(address)->sun_path, length);
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '\0')
            text[i] = '@';
    }
    return put(out, size, text, length);
}

char *rota_address_text(const rota_address *address, char *out, size_t size)
{
    char host[ROTA_ADDRESS_TEXT] = "";
    int port = rota_address_port(address);
    bool brackets = address->storage.ss_family == AF_INET6;

    if (size == 0)
        return out;
    if (port < 0) {
        if (rota_address_path(address, out, size) == -EAFNOSUPPORT)
            snprintf(out, size, "(family %d)", address->storage.ss_family);
        return out;
    }
    (void)rota_address_host(address, host, sizeof host);
    snprintf(out, size, "%s%s%s:%d", brackets ? "[" : "", host,
             brackets ? "]" : "", port);
    return out;
}

/* --- The rest ------------------------------------------------------------- */

bool rota_address_equal(const rota_address *a, const rota_address *b)
{
    int family = a->storage.ss_family;

    if (family != b->storage.ss_family)
        return false;
    if (family == AF_INET)
        return inet_of(a)->sin_port == inet_of(b)->sin_port &&
               inet_of(a)->sin_addr.s_addr == inet_of(b)->sin_addr.s_addr;
    if (family == AF_INET6)
        return inet6_of(a)->sin6_port == inet6_of(b)->sin6_port &&
               inet6_of(a)->sin6_scope_id == inet6_of(b)->sin6_scope_id &&
               memcmp(&inet6_of(a)->sin6_addr, &inet6_of(b)->sin6_addr,
                      sizeof inet6_of(a)->sin6_addr) == 0;
    if (family == AF_UNIX)
        return path_length(a) == path_length(b) &&
               memcmp(unix_of(a)->sun_path, unix_of(b)->sun_path,
                      path_length(a)) == 0;
    return a->size == b->size && memcmp(&a->storage, &b->storage, a->size) == 0;
}

int rota__addresses_append(rota_addresses *all, rota_addresses *more)
{
    rota_address *items =
        rota__realloc(all->items, (all->count + more->count) * sizeof(*items));

    if (items) {
        memcpy(items + all->count, more->items, more->count * sizeof(*items));
        all->items = items;
        all->count += more->count;
    }
    rota_addresses_free(more);
    return items ? 0 : -ENOMEM;
}

void rota_addresses_free(rota_addresses *addresses)
{
    rota__free(addresses->items);
    *addresses = (rota_addresses){0};
}
