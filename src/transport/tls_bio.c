/* SPDX-License-Identifier: MIT */
/*
 * TLS: the BIO, between OpenSSL and a connection
 *
 * It does not tell OpenSSL of TCP's end as such (no BIO_CTRL_EOF), so that no
 * alert is sent to a peer that has gone; tls->met has it.
 */
#include "transport/tls.h"

/* A peer that makes us answer and does not read the answers. */
#define MOST_ANSWERS 65536

static int bio_failed(struct rota__tls *tls, intptr_t error)
{
    tls->met = (int)error;
    return -1;
}

/* The end is the filter's to tell: OpenSSL may still hold bytes. */
static intptr_t receive(struct rota__tls *tls, void *buf, size_t size)
{
    intptr_t n;

    if (rota__unlikely(tls->ended))
        return 0;
    n = rota__conn_recv_raw(tls->conn, buf, size);
    if (rota__unlikely(n == 0)) {
        tls->ended = true;
        tls->conn->at_end = false;
    }
    return n;
}

static int bio_read(BIO *bio, char *buf, size_t size, size_t *got)
{
    struct rota__tls *tls = BIO_get_data(bio);
    intptr_t n = receive(tls, buf, size);

    BIO_clear_retry_flags(bio);
    *got = n > 0 ? (size_t)n : 0;
    if (rota__likely(n > 0))
        return 1;
    if (n == -EAGAIN)
        BIO_set_retry_read(bio);
    return bio_failed(tls, n);
}

static int keep(struct rota__tls *tls, const char *data, size_t size)
{
    struct rota__conn *conn = tls->conn;
    int err;

    if (rota__buffer_size(&conn->out) == 0)
        tls->answers = 0;
    if (tls->reading)
        tls->answers += size;
    err = tls->answers > MOST_ANSWERS ? -ROTA_ETLS
                                      : rota__conn_keep_raw(conn, data, size);
    if (err < 0)
        rota__conn_fail(conn, err); /* nothing may follow half a record */
    return err;
}

static int bio_write(BIO *bio, const char *data, size_t size, size_t *taken)
{
    struct rota__tls *tls = BIO_get_data(bio);
    struct rota__conn *conn = tls->conn;
    intptr_t n = conn->error;

    BIO_clear_retry_flags(bio);
    *taken = 0;
    if (n == 0 && conn->may_write && rota__buffer_size(&conn->out) == 0)
        n = rota__conn_send_raw(conn, data, size);
    if (rota__unlikely(n >= 0 && n < (intptr_t)size))
        n = keep(tls, data + n, size - (size_t)n);
    if (rota__unlikely(n < 0))
        return bio_failed(tls, n);
    *taken = size;
    return 1;
}

static long bio_control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

BIO_METHOD *rota__tls_bio_method(void)
{
    BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "rota");

    if (method && BIO_meth_set_read_ex(method, bio_read) &&
        BIO_meth_set_write_ex(method, bio_write) &&
        BIO_meth_set_ctrl(method, bio_control))
        return method;
    BIO_meth_free(method);
    return NULL;
}

BIO *rota__tls_bio(struct rota__tls *tls)
{
    BIO *bio = BIO_new(tls->context->method);

    if (!bio)
        return NULL;
    BIO_set_data(bio, tls);
    BIO_set_init(bio, 1);
    return bio;
}
