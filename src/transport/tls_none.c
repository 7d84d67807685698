/* SPDX-License-Identifier: MIT */
/*
 * TLS, for a build without: each call says so
 */
#include "transport/transport.h"
#include <rota/tls.h>
#include <stdio.h>

static int refuse(char *why)
{
    if (why)
        (void)snprintf(why, ROTA_TLS_MESSAGE, "%s",
                       rota_strerror(-ROTA_ENOTLS));
    return -ROTA_ENOTLS;
}

int rota_tls_context_new(rota_tls_context **context,
                         const rota_tls_context_options *options,
                         char why[ROTA_TLS_MESSAGE])
{
    (void)context;
    (void)options;
    return refuse(why);
}

void rota_tls_context_free(rota_tls_context *context)
{
    (void)context;
}

void *rota_tls_context_native(rota_tls_context *context)
{
    (void)context;
    return NULL;
}

void rota_tls_session_free(rota_tls_session *session)
{
    (void)session;
}

bool rota_has_tls(void)
{
    return false;
}

void rota__tls_context_ref(rota_tls_context *context)
{
    (void)context;
}

bool rota__tls_context_is_server(const rota_tls_context *context)
{
    (void)context;
    return false;
}

int rota__tls_start(struct rota__conn *conn, rota_tls_context *context,
                    const rota_tls_options *options, const char *host,
                    void (*done)(struct rota__conn *conn, int error))
{
    (void)conn;
    (void)context;
    (void)host;
    (void)done;
    return refuse(options ? options->why : NULL);
}

int rota__tls_info(const struct rota__conn *conn, rota_tls_info *out)
{
    (void)conn;
    (void)out;
    return -ENOENT;
}

intptr_t rota__tls_peer_certificate(const struct rota__conn *conn, void *out,
                                    size_t size)
{
    (void)conn;
    (void)out;
    (void)size;
    return -ENOENT;
}

int rota__tls_session(const struct rota__conn *conn, rota_tls_session **out)
{
    (void)conn;
    (void)out;
    return -ENOENT;
}
