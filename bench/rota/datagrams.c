/* SPDX-License-Identifier: MIT */
/*
 * rota's services: the echo of datagrams, by one task
 */
#include <stdlib.h>

#include "serve.h"

intptr_t serve_datagrams(const char *port, const char *what)
{
    static char buf[65536];
    rota_address local, from;
    rota_datagram_options options = {.local = &local};
    rota_datagram *datagram;
    intptr_t n = rota_address_parse(&local, "127.0.0.1", atoi(port));

    (void)what;
    if (n < 0 || (n = rota_datagram_open(&datagram, &options)) < 0)
        return n;
    while (n >= 0) {
        n = rota_datagram_recv(datagram, buf, sizeof buf, &from, NULL);
        if (n >= 0)
            n = rota_datagram_send(datagram, buf, (size_t)n, &from);
    }
    rota_datagram_free(datagram);
    return n;
}
