/* SPDX-License-Identifier: MIT */
/*
 * What every server here prints first, for those who wait for it
 */
#ifndef EXAMPLES_ANNOUNCE_H
#define EXAMPLES_ANNOUNCE_H

#include <rota.h>
#include <stdio.h>
#include <stdlib.h>

/* A port, or -1, which nobody can listen on. */
static inline int parse_port(const char *text)
{
    char *end;
    long number = strtol(text, &end, 10);

    return *end || number < 0 || number > 65535 ? -1 : (int)number;
}

static inline int announce_address(const rota_address *address)
{
    char host[ROTA_ADDRESS_TEXT];
    int err = rota_address_host(address, host, sizeof host);

    if (err < 0)
        return err;
    printf("listening on %s port %d\n", host, rota_address_port(address));
    fflush(stdout);
    return 0;
}

static inline int announce(const rota_server *server)
{
    rota_address address;
    int err = rota_server_address(server, 0, &address);

    return err < 0 ? err : announce_address(&address);
}

#endif
