/* SPDX-License-Identifier: MIT */
/*
 * TLS: what is known of a connection
 */
#include "transport/tls.h"
#include <stdio.h>

/* NULL for a conn without TLS, or whose handshake is not over. */
static struct rota__tls *agreed(const struct rota__conn *conn)
{
    struct rota__tls *tls = NULL;

    if (conn->filter && conn->filter->ops == &rota__tls_ops)
        tls = rota__tls_of(conn);
    return tls && tls->state != ROTA__TLS_HANDSHAKE &&
                   tls->state != ROTA__TLS_FAILED
               ? tls
               : NULL;
}

static void copy(char *out, size_t size, const void *text, size_t length)
{
    if (length >= size)
        length = size - 1;
    if (length > 0)
        memcpy(out, text, length);
    out[length] = '\0';
}

int rota__tls_info(const struct rota__conn *conn, rota_tls_info *out)
{
    struct rota__tls *tls = agreed(conn);
    const unsigned char *alpn;
    unsigned alpn_size;
    const char *name;
    X509 *peer;

    if (!tls)
        return -ENOENT;
    peer = SSL_get0_peer_certificate(tls->ssl);
    name = SSL_get_servername(tls->ssl, TLSEXT_NAMETYPE_host_name);
    SSL_get0_alpn_selected(tls->ssl, &alpn, &alpn_size);
    *out = (rota_tls_info){
        .version = SSL_get_version(tls->ssl),
        .cipher = SSL_get_cipher_name(tls->ssl),
        .peer_verified = peer && tls->context->verify,
        .session_reused = SSL_session_reused(tls->ssl) == 1,
    };
    copy(out->alpn, sizeof out->alpn, alpn, alpn_size);
    copy(out->server_name, sizeof out->server_name, name,
         name ? strlen(name) : 0);
    if (peer) {
        int size = i2d_X509(peer, NULL);

        rota__tls_subject(peer, out->peer_subject, sizeof out->peer_subject);
        out->certificate_size = size > 0 ? (size_t)size : 0;
    }
    return 0;
}

intptr_t rota__tls_peer_certificate(const struct rota__conn *conn, void *out,
                                    size_t size)
{
    struct rota__tls *tls = agreed(conn);
    unsigned char *at = out;
    X509 *peer;
    int needed;

    if (!tls)
        return -ENOENT;
    peer = SSL_get0_peer_certificate(tls->ssl);
    if (!peer)
        return 0;
    needed = i2d_X509(peer, NULL);
    if (needed < 0)
        return -ENOMEM;
    if ((size_t)needed > size)
        return -ENOSPC;
    return i2d_X509(peer, &at);
}

int rota__tls_session(const struct rota__conn *conn, rota_tls_session **out)
{
    struct rota__tls *tls = agreed(conn);
    SSL_SESSION *session =
        tls && !tls->context->server ? SSL_get1_session(tls->ssl) : NULL;

    if (!session)
        return -ENOENT;
    if (!SSL_SESSION_is_resumable(session)) {
        SSL_SESSION_free(session);
        return -ENOENT;
    }
    *out = (rota_tls_session *)session;
    return 0;
}

void rota_tls_session_free(rota_tls_session *session)
{
    SSL_SESSION_free((SSL_SESSION *)session);
}
