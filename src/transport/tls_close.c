/* SPDX-License-Identifier: MIT */
/*
 * TLS: the good-bye
 *
 * Our close_notify goes behind what is queued. Then the peer's is waited for,
 * or TCP's end; what it sends until then is dropped. As asyncio, we do not
 * wait for ever: shutdown_timeout counts from the last time that the kernel
 * took something. A peer that goes instead, also with a reset, is as good.
 */
#include "transport/tls.h"
#include <openssl/err.h>

#define WASTE 4096
#define ROUNDS 16 /* before others may run */

static struct rota__tls *of_step(struct rota__handle *handle)
{
    return rota__container_of(handle, struct rota__tls, step);
}

static void leave(struct rota__tls *tls)
{
    rota__tls_return_events(tls);
    tls->state = ROTA__TLS_CLOSED;
    rota__conn_close_raw(tls->conn);
}

/* All is sent, and a connection in the clear would be closed by now. */
static void forgive(struct rota__conn *conn)
{
    if (rota__buffer_size(&conn->out) == 0)
        conn->error = 0;
}

/* What is queued is ours to send, also to one that has said its own. */
static bool nothing_to_wait_for(const struct rota__tls *tls)
{
    const struct rota__conn *conn = tls->conn;

    return conn->error ||
           ((tls->over || tls->ended) && rota__buffer_size(&conn->out) == 0);
}

static void listen_for_goodbye(struct rota__handle *handle)
{
    struct rota__tls *tls = of_step(handle);
    char waste[WASTE];

    for (int i = 0; i < ROUNDS; i++) {
        intptr_t n = rota__tls_read(tls->conn, waste, sizeof waste);

        if (n == -EAGAIN)
            return;
        if (n <= 0) {
            forgive(tls->conn);
            if (nothing_to_wait_for(tls))
                leave(tls);
            return;
        }
    }
    rota__tls_wake(tls);
}

static void out_of_patience(struct rota__handle *handle)
{
    struct rota__tls *tls =
        rota__container_of(handle, struct rota__tls, timer.handle);

    rota__conn_fail(tls->conn, -ETIMEDOUT);
    leave(tls);
}

static void readable(struct rota__conn *conn)
{
    rota__tls_wake(rota__tls_of(conn));
}

/* The timer is armed, so that moving it needs no memory. */
static void writable(struct rota__conn *conn)
{
    struct rota__tls *tls = rota__tls_of(conn);

    if (nothing_to_wait_for(tls))
        rota__tls_wake(tls);
    else
        (void)rota__tls_limit(tls, tls->shutdown_timeout, out_of_patience);
}

/* Of a close the user hears: the filter goes first. */
static const struct rota__conn_events goodbye_events = {
    .readable = readable,
    .writable = writable,
};

void rota__tls_close(struct rota__conn *conn)
{
    struct rota__tls *tls = rota__tls_of(conn);

    if (tls->state != ROTA__TLS_OPEN) { /* nobody to say it to */
        rota__conn_drop(conn);
        return;
    }
    rota__tls_forget_errors();
    (void)SSL_shutdown(tls->ssl);
    ERR_clear_error();
    if (nothing_to_wait_for(tls) ||
        rota__tls_limit(tls, tls->shutdown_timeout, out_of_patience) < 0) {
        leave(tls);
        return;
    }
    tls->state = ROTA__TLS_GOODBYE;
    tls->step.run = listen_for_goodbye;
    rota__tls_take_events(tls, &goodbye_events);
    rota__tls_wake(tls);
}
