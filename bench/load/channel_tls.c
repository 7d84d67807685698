/* SPDX-License-Identifier: MIT */
/*
 * Channels of the load over TLS, by OpenSSL: see channel.h
 *
 * The certificate is not verified, and the socket is read ahead of the record
 * at hand: the load is to be the cheaper side.
 */
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>

#include "channel.h"

static SSL_CTX *context;

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "load: %s\n", what);
    ERR_print_errors_fp(stderr);
    exit(1);
}

static void make_context(void)
{
    context = SSL_CTX_new(TLS_client_method());
    if (context == NULL)
        fail("no TLS context");
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(context, 1);
}

void tls_open(struct channel *channel)
{
    SSL *ssl;

    if (context == NULL)
        make_context();
    ssl = SSL_new(context);
    if (ssl == NULL || SSL_set_fd(ssl, channel->fd) != 1)
        fail("no TLS connection");
    if (SSL_connect(ssl) != 1)
        fail("the TLS handshake failed");
    if (fcntl(channel->fd, F_SETFL, O_NONBLOCK) != 0)
        load_fail("fcntl");
    channel->tls = ssl;
}

/* What a call moved; nothing when the socket must be waited for. */
static size_t moved(struct channel *channel, int result, const char *what)
{
    int error;

    if (result > 0)
        return (size_t)result;
    error = SSL_get_error(channel->tls, result);
    if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
        fail(what);
    return 0;
}

size_t tls_send(struct channel *channel, const char *data, size_t size)
{
    if (size == 0)
        return 0;
    return moved(channel, SSL_write(channel->tls, data, (int)size),
                 "SSL_write");
}

size_t tls_receive(struct channel *channel, char *buf, size_t size)
{
    return moved(channel, SSL_read(channel->tls, buf, (int)size), "SSL_read");
}

bool tls_pending(const struct channel *channel)
{
    return SSL_has_pending(channel->tls);
}

void tls_close(struct channel *channel)
{
    SSL_shutdown(channel->tls);
    SSL_free(channel->tls);
}
