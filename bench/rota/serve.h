/* SPDX-License-Identifier: MIT */
/*
 * rota's services: what the files of rota_serve and rota_callbacks share
 */
#ifndef BENCH_ROTA_SERVE_H
#define BENCH_ROTA_SERVE_H

#include <rota.h>

struct service {
    const char *name;
    /* Serves at a port or path; the main task's function. */
    intptr_t (*serve)(const char *at, const char *what);
};

/* PROG SERVICE AT [WHAT], as peer.h says; `services` ends with an empty row. */
int serve_main(int argc, char **argv, const struct service *services);

/* The context of a server with the key and certificate of a file, or NULL. */
rota_tls_context *serve_tls(const char *pem);

intptr_t serve_datagrams(const char *port, const char *what);

#endif
