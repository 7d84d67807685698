/* SPDX-License-Identifier: MIT */
/*
 * TLS, OpenSSL's side: a filter on a connection
 *
 *     user --read, write--> filter --> SSL --> BIO --> conn's raw calls
 *
 * The BIO is our own. Its read asks the connection, which knows without a
 * system call when the kernel has nothing; its write always takes everything,
 * because what the kernel does not take is kept in conn->out. So OpenSSL never
 * stops in the middle of a record that it writes, and `out` holds whole ones.
 *
 *     HANDSHAKE --> OPEN --close--> GOODBYE --> CLOSED
 *          `----------^-- an error: FAILED
 *
 * In HANDSHAKE and GOODBYE the connection's events are ours; what they tell is
 * done by `step`, in a turn of its own.
 */
#ifndef ROTA_TRANSPORT_TLS_H
#define ROTA_TRANSPORT_TLS_H

#include "transport/transport.h"
#include <openssl/ssl.h>
#include <rota/tls.h>

#define ROTA__TLS_RECORD 16384 /* what one record carries at most */

struct rota_tls_context {
    SSL_CTX *ssl;
    BIO_METHOD *method;
    atomic_uint users;
    bool server;
    bool verify; /* the peer's certificate */
    bool check_host;
    unsigned char alpn[256]; /* as in the protocol: each behind its length */
    unsigned alpn_size;
};

enum rota__tls_state {
    ROTA__TLS_HANDSHAKE,
    ROTA__TLS_OPEN,
    ROTA__TLS_GOODBYE,
    ROTA__TLS_CLOSED,
    ROTA__TLS_FAILED,
};

struct rota__tls {
    struct rota__filter filter;
    struct rota__conn *conn;
    rota_tls_context *context;
    SSL *ssl;
    const struct rota__conn_events *events; /* the user's, while ours hold */
    struct rota__handle step;
    struct rota__timer timer; /* limits the handshake and the good-bye */
    void (*done)(struct rota__conn *conn, int error);
    char *why; /* what to tell of a failed handshake, or NULL */
    int64_t handshake_timeout;
    int64_t shutdown_timeout;
    enum rota__tls_state state;
    int met;        /* by the BIO: -EAGAIN, an error, 0 at TCP's end; else 1 */
    int error;      /* what reads give from now on, if over */
    bool over;      /* the peer has said good-bye, or reading has failed */
    bool ended;     /* TCP has */
    bool reading;   /* what is sent now are answers that nobody asked for */
    size_t answers; /* bytes of them in conn->out */
    char host[];    /* whom a client wants to talk to, or "" */
};

extern const struct rota__filter_ops rota__tls_ops;

/* The TLS of a conn that has it. */
static inline struct rota__tls *rota__tls_of(const struct rota__conn *conn)
{
    return rota__container_of(conn->filter, struct rota__tls, filter);
}

/* A type of BIO for a context, or NULL; and one of its kind, or NULL. */
BIO_METHOD *rota__tls_bio_method(void);
BIO *rota__tls_bio(struct rota__tls *tls);

/* The connection's events are ours until they are given back. */
void rota__tls_take_events(struct rota__tls *tls,
                           const struct rota__conn_events *events);
void rota__tls_return_events(struct rota__tls *tls);
/* Makes it do its next step in a turn. */
void rota__tls_wake(struct rota__tls *tls);
/* 0, or -ENOMEM. */
int rota__tls_limit(struct rota__tls *tls, int64_t ns,
                    void (*run)(struct rota__handle *));

intptr_t rota__tls_read(struct rota__conn *conn, void *buf, size_t size);
void rota__tls_close(struct rota__conn *conn);

/* OpenSSL's notes of errors are per thread; it wants none before a call. */
void rota__tls_forget_errors(void);
/* The error of the OpenSSL call that has just failed; tells the why of it. */
int rota__tls_error(const struct rota__tls *tls);
/* A certificate that was refused, as OpenSSL hears of it. */
int rota__tls_on_verify(int ok, X509_STORE_CTX *store);
int rota__tls_verify_error(const struct rota__tls *tls, long code);
void rota__tls_explain(char *why, const char *format, ...) ROTA__PRINTF(2);
/* What OpenSSL says of an error, never NULL. */
const char *rota__tls_reason(unsigned long code);
/* Whom a certificate is of: "CN = x", into out[size]. */
void rota__tls_subject(X509 *certificate, char *out, size_t size);

#endif
