/* SPDX-License-Identifier: MIT */
/*
 * TLS: reading and writing
 *
 * A record that OpenSSL has received in full, or in part, is no news of the
 * kernel's; so a read first asks OpenSSL what it holds. A write makes records
 * until one of them does not fit into the kernel whole.
 */
#include "transport/tls.h"
#include <openssl/err.h>

void rota__tls_forget_errors(void)
{
    if (rota__unlikely(ERR_peek_error() != 0))
        ERR_clear_error();
}

/* --- Events and time ---------------------------------------------------- */

void rota__tls_take_events(struct rota__tls *tls,
                           const struct rota__conn_events *events)
{
    tls->events = tls->conn->events;
    tls->conn->events = events;
}

void rota__tls_return_events(struct rota__tls *tls)
{
    rota__timer_cancel(tls->conn->loop, &tls->timer);
    rota__unready(&tls->step);
    if (tls->events)
        tls->conn->events = tls->events;
    tls->events = NULL;
}

void rota__tls_wake(struct rota__tls *tls)
{
    if (rota__list_empty(&tls->step.link))
        rota__ready(tls->conn->loop, &tls->step);
}

int rota__tls_limit(struct rota__tls *tls, int64_t ns,
                    void (*run)(struct rota__handle *))
{
    rota_loop *loop = tls->conn->loop;

    tls->timer.handle.run = run;
    return rota__timer_rearm(loop, &tls->timer, rota__now(loop) + ns);
}

/* --- Reading ------------------------------------------------------------ */

static intptr_t over(struct rota__tls *tls, int error)
{
    tls->over = true;
    tls->error = error;
    if (error == 0)
        tls->conn->at_end = true;
    else if (error != -ROTA_ETRUNCATED) /* what we write may still arrive */
        rota__conn_fail(tls->conn, error);
    return error;
}

static ROTA__SLOW intptr_t read_failed(struct rota__tls *tls)
{
    int why;

    if (tls->met == -EAGAIN)
        return -EAGAIN;
    why = SSL_get_error(tls->ssl, 0);
    if (why == SSL_ERROR_WANT_READ) { /* a peer may go on for ever with those */
        rota__tls_wake(tls);
        return -EAGAIN;
    }
    if (why == SSL_ERROR_ZERO_RETURN)
        return over(tls, 0);
    if (tls->met == 0)
        return over(tls, -ROTA_ETRUNCATED);
    return over(tls, rota__tls_error(tls));
}

intptr_t rota__tls_read(struct rota__conn *conn, void *buf, size_t size)
{
    struct rota__tls *tls = rota__tls_of(conn);
    size_t n;
    int ok;

    if (rota__unlikely(tls->over))
        return tls->error;
    if (!conn->may_read && !tls->ended && !SSL_has_pending(tls->ssl))
        return conn->error ? conn->error : -EAGAIN;
    rota__tls_forget_errors();
    tls->met = 1;
    tls->reading = true;
    ok = SSL_read_ex(tls->ssl, buf, size, &n);
    tls->reading = false;
    return rota__likely(ok == 1) ? (intptr_t)n : read_failed(tls);
}

/* --- Writing ------------------------------------------------------------ */

/* One record; a peer may have asked for short ones. How much is in it. */
static intptr_t put(struct rota__tls *tls, const char *data, size_t size)
{
    size_t n;
    int err;

    rota__tls_forget_errors();
    tls->met = 1;
    if (rota__likely(SSL_write_ex(tls->ssl, data, size, &n) == 1))
        return (intptr_t)n;
    err = rota__tls_error(tls);
    rota__conn_fail(tls->conn, err);
    return err;
}

/* Records, each of them whole; until one has not left, or all of them. */
static intptr_t put_records(struct rota__conn *conn, const char *data,
                            size_t size, bool all)
{
    size_t taken = 0;

    while (taken < size && (all || rota__buffer_size(&conn->out) == 0)) {
        size_t piece = size - taken;
        intptr_t n;

        if (piece > ROTA__TLS_RECORD)
            piece = ROTA__TLS_RECORD;
        n = put(rota__tls_of(conn), data + taken, piece);
        if (n < 0)
            return n;
        taken += (size_t)n;
    }
    return (intptr_t)taken;
}

static intptr_t tls_write(struct rota__conn *conn, const void *data,
                          size_t size)
{
    return conn->may_write ? put_records(conn, data, size, false) : 0;
}

/* The memory first: a record that was made cannot be taken back. */
static int tls_queue(struct rota__conn *conn, const void *data, size_t size)
{
    size_t records = size / ROTA__TLS_RECORD + 1;
    intptr_t n = conn->error;

    if (n == 0)
        n = rota__buffer_reserve(
            &conn->out, size + records * SSL3_RT_MAX_ENCRYPTED_OVERHEAD);
    if (n == 0)
        n = put_records(conn, data, size, true);
    return n < 0 ? (int)n : 0;
}

/* --- The end ------------------------------------------------------------ */

static void tls_fini(struct rota__conn *conn)
{
    struct rota__tls *tls = rota__tls_of(conn);

    rota__tls_return_events(tls);
    conn->filter = NULL;
    if (tls->state != ROTA__TLS_HANDSHAKE && tls->state != ROTA__TLS_FAILED)
        SSL_set_shutdown(tls->ssl, SSL_SENT_SHUTDOWN); /* keep the session */
    SSL_free(tls->ssl);
    rota_tls_context_free(tls->context);
    rota__free(tls);
}

const struct rota__filter_ops rota__tls_ops = {
    .read = rota__tls_read,
    .write = tls_write,
    .queue = tls_queue,
    .close = rota__tls_close,
    .fini = tls_fini,
};
