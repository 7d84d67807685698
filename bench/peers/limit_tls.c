/* SPDX-License-Identifier: MIT */
/*
 * The bare limit: an echo by TLS as it is usually written
 *
 * SSL_set_fd on a non-blocking fd, SSL_read and SSL_write when epoll says so.
 * OpenSSL reads the head of each record and then its body.
 */
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "limit.h"
#include "peer.h"

enum { RECORD = 16384 };

struct secure {
    struct limit_connection connection;
    SSL *ssl;
    int kept; /* bytes of `rest` that SSL_write has not taken */
    char *rest;
};

static SSL_CTX *context;

static void *secure_made(int fd)
{
    struct secure *secure = peer_alloc(1, sizeof *secure);

    secure->ssl = SSL_new(context);
    peer_check(secure->ssl != NULL, "out of memory");
    SSL_set_fd(secure->ssl, fd);
    SSL_set_accept_state(secure->ssl);
    return secure;
}

/* What to wait for after a call that has not succeeded. */
static uint32_t waits(struct secure *secure, int result)
{
    int error = SSL_get_error(secure->ssl, result);

    if (error == SSL_ERROR_WANT_READ)
        return EPOLLIN;
    if (error == SSL_ERROR_WANT_WRITE)
        return EPOLLOUT;
    ERR_clear_error(); /* or the next connection would hear of it */
    close(SSL_get_fd(secure->ssl));
    SSL_free(secure->ssl);
    free(secure->rest);
    free(secure);
    return 0;
}

/* What SSL_write did not take must be offered again, the same bytes. */
static uint32_t keep(struct secure *secure, const char *bytes, int count,
                     int result)
{
    secure->rest = malloc((size_t)count);
    peer_check(secure->rest != NULL, "out of memory");
    for (int i = 0; i < count; i++)
        secure->rest[i] = bytes[i];
    secure->kept = count;
    return waits(secure, result);
}

static uint32_t secure_ready(void *connection)
{
    static char buffer[RECORD];
    struct secure *secure = connection;
    int got, sent;

    if (secure->rest != NULL) {
        sent = SSL_write(secure->ssl, secure->rest, secure->kept);
        if (sent <= 0)
            return waits(secure, sent);
        free(secure->rest);
        secure->rest = NULL;
    }
    do {
        got = SSL_read(secure->ssl, buffer, sizeof buffer);
        if (got <= 0)
            return waits(secure, got);
        sent = SSL_write(secure->ssl, buffer, got);
        if (sent <= 0)
            return keep(secure, buffer, got, sent);
    } while (SSL_pending(secure->ssl) > 0);
    return EPOLLIN;
}

void limit_tls(const char *port, const char *pem)
{
    static const struct limit_service service = {secure_made, secure_ready,
                                                 EPOLLIN};

    peer_check(pem != NULL, "which certificate?");
    context = SSL_CTX_new(TLS_server_method());
    peer_check(context != NULL, "no TLS context");
    SSL_CTX_set_mode(context, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    peer_check(
        SSL_CTX_use_certificate_chain_file(context, pem) == 1 &&
            SSL_CTX_use_PrivateKey_file(context, pem, SSL_FILETYPE_PEM) == 1,
        "cannot load the certificate");
    limit_serve(peer_listen(atoi(port)), &service);
}
