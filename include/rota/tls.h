/* SPDX-License-Identifier: MIT */
/*
 * TLS: contexts, and what a connection may be told and asked
 *
 * Mirrors asyncio's `ssl=` arguments and Python's ssl.SSLContext. A context
 * holds certificates and rules, is shared by any number of connections, on
 * any number of threads, and does not change once it is made. A connection is
 * encrypted by giving a context where it is opened, served or upgraded
 * (rota_start_tls()); from then on it reads and writes like a plain one.
 *
 * A client verifies by default: the certificate must be valid, of an
 * authority that is known, and for the host. A stream that ends without the
 * peer's close_notify reads -ROTA_ETRUNCATED: its end may have been cut off.
 * Closing one waits in the background for the peer's, up to shutdown_timeout.
 *
 * In a library that was built without TLS, each call that needs it returns
 * -ROTA_ENOTLS.
 */
#ifndef ROTA_TLS_H
#define ROTA_TLS_H

#include <rota/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rota_tls_context rota_tls_context; /* ssl.SSLContext */
typedef struct rota_tls_session rota_tls_session; /* ssl.SSLSession */

#define ROTA_TLS_MESSAGE 256 /* room for every reason */

/* What a context is made of; all zero is a client that verifies. */
typedef struct rota_tls_context_options {
    bool server;             /* for the accepting side */
    const char *certificate; /* PEM file: own certificate, then its chain */
    const char *key;         /* PEM file; NULL: in the certificate's */
    const char *password;    /* of the key, if it has one */
    const char *ca_file;     /* PEM file of the authorities to trust; NULL with
                                ca_path NULL: the system's */
    const char *ca_path;     /* a folder of them, hashed as OpenSSL does */
    bool no_verify;          /* client: accepts any certificate. Insecure. */
    bool no_host_check;      /* client: of any host. asyncio: check_hostname */
    bool client_certificate; /* server: demands one that it can verify */
    const char *alpn;        /* "h2,http/1.1", the preferred one first; the
                                server chooses, or goes on without; names of
                                up to 31 bytes */
    const char *ciphers;     /* OpenSSL's list, for TLS 1.2 */
    int minimum_version;     /* 12 or 13; 0: 12 */
} rota_tls_context_options;

/*
 * Makes a context; free it with rota_tls_context_free(). `options` may be
 * NULL and are not needed after the call. `why`, which may be NULL, is told
 * what was wrong in words. Errors: -ENOENT and the others of opening a file,
 * -EINVAL (no certificate for a server, a list that cannot be read),
 * -ROTA_ECERT (a file that holds none, a key that does not belong to it or
 * whose password is wrong), -ENOMEM, -ROTA_ENOTLS. Any thread; reads files,
 * for a client a hundred authorities of the system's.
 * asyncio: ssl.create_default_context().
 */
int rota_tls_context_new(rota_tls_context **context,
                         const rota_tls_context_options *options,
                         char why[ROTA_TLS_MESSAGE]);

/* Gives a context back; connections that use it go on. NULL is ignored. */
void rota_tls_context_free(rota_tls_context *context);

/*
 * OpenSSL's SSL_CTX behind it, for what this page does not offer; before the
 * first connection uses it.
 */
void *rota_tls_context_native(rota_tls_context *context);

/*
 * What one connection is told; all zero is the default. Each call that takes
 * them gives -EINVAL if the context is of the other side, a timeout is below
 * 0, or a client that checks the host is not told which.
 */
typedef struct rota_tls_options {
    const char *server_name;   /* whom a client wants to talk to, for SNI and
                                  the check of the certificate; NULL: the host
                                  that it connects to */
    bool server_side;          /* rota_start_tls(): this end accepts */
    double handshake_timeout;  /* seconds; 0: 60 */
    double shutdown_timeout;   /* to wait for the peer's close_notify; 0: 30 */
    rota_tls_session *session; /* a client's, to go on with, or NULL; it is
                                  verified as a new one would be */
    char *why;                 /* NULL, or ROTA_TLS_MESSAGE bytes, which are
                                  told why a handshake has failed; they must
                                  stay until its end has been told */
} rota_tls_options;

/* What is known of an encrypted connection. */
typedef struct rota_tls_info {
    const char *version;    /* "TLSv1.3"; static */
    const char *cipher;     /* "TLS_AES_256_GCM_SHA384"; static */
    char alpn[32];          /* what was agreed on, or "" */
    char server_name[256];  /* what the client asked for, or "" */
    char peer_subject[256]; /* of the peer's certificate, or "" */
    bool peer_verified;     /* it has one, and it was verified */
    bool session_reused;
    size_t certificate_size; /* of the peer's certificate in DER, or 0 */
} rota_tls_info;

/*
 * Gives a session back that rota_stream_tls_session() has given. NULL is
 * ignored. Any thread.
 */
void rota_tls_session_free(rota_tls_session *session);

/* True if this library was built with TLS. */
bool rota_has_tls(void);

#ifdef __cplusplus
}
#endif

#endif
