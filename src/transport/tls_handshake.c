/* SPDX-License-Identifier: MIT */
/*
 * TLS: the handshake
 *
 * It runs in turns of its own, on the loop's stack: its cryptography needs
 * more of one than a task may have.
 */
#include "transport/tls.h"
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#define HANDSHAKE_TIMEOUT (60 * ROTA__SECOND)
#define SHUTDOWN_TIMEOUT (30 * ROTA__SECOND)
#define HOST_FLAGS X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS

/* --- The peer's name ---------------------------------------------------- */

/* The bytes of an address, as a certificate has them; 0 for a name. */
static size_t address_bytes(const char *host, const unsigned char **out,
                            rota_address *address)
{
    const struct sockaddr_in *v4 = (const void *)&address->storage;
    const struct sockaddr_in6 *v6 = (const void *)&address->storage;

    if (rota_address_parse(address, host, 0) < 0)
        return 0;
    if (address->storage.ss_family == AF_INET) {
        *out = (const void *)&v4->sin_addr;
        return sizeof v4->sin_addr;
    }
    *out = (const void *)&v6->sin6_addr;
    return sizeof v6->sin6_addr;
}

/* An address is not for SNI. */
static int set_host(struct rota__tls *tls)
{
    X509_VERIFY_PARAM *rules = SSL_get0_param(tls->ssl);
    bool check = tls->context->check_host;
    const unsigned char *bytes;
    rota_address address;
    size_t size = address_bytes(tls->host, &bytes, &address);
    bool ok = true;

    X509_VERIFY_PARAM_set_hostflags(rules, HOST_FLAGS);
    if (size == 0)
        ok = SSL_set_tlsext_host_name(tls->ssl, tls->host) == 1;
    if (ok && check)
        ok = size > 0 ? X509_VERIFY_PARAM_set1_ip(rules, bytes, size)
                      : X509_VERIFY_PARAM_set1_host(rules, tls->host, 0);
    return ok ? 0 : -ENOMEM;
}

/* As OpenSSL does with one that has just come; the host is among the rules. */
static bool set_rules(X509_STORE_CTX *store, struct rota__tls *tls)
{
    X509_VERIFY_PARAM *rules = X509_STORE_CTX_get0_param(store);

    X509_VERIFY_PARAM_set_auth_level(rules, SSL_get_security_level(tls->ssl));
    X509_STORE_CTX_set_verify_cb(store, rota__tls_on_verify);
    return X509_STORE_CTX_set_default(store, "ssl_server") == 1 &&
           X509_VERIFY_PARAM_set1(rules, SSL_get0_param(tls->ssl)) == 1 &&
           X509_STORE_CTX_set_ex_data(
               store, SSL_get_ex_data_X509_STORE_CTX_idx(), tls->ssl) == 1;
}

static long verify(struct rota__tls *tls)
{
    X509_STORE *known = SSL_CTX_get_cert_store(tls->context->ssl);
    X509 *certificate = SSL_get0_peer_certificate(tls->ssl);
    X509_STORE_CTX *store = X509_STORE_CTX_new();
    long code = X509_V_ERR_OUT_OF_MEM;

    if (store &&
        X509_STORE_CTX_init(store, known, certificate,
                            SSL_get_peer_cert_chain(tls->ssl)) == 1 &&
        set_rules(store, tls)) {
        (void)X509_verify_cert(store);
        code = X509_STORE_CTX_get_error(store);
    }
    X509_STORE_CTX_free(store);
    return code;
}

/*
 * A session that is gone on with brings no certificate, and was perhaps made
 * long ago, by one who checked less, trusted others, or for another host.
 */
static int check_resumed(struct rota__tls *tls)
{
    long code = SSL_get_verify_result(tls->ssl);

    if (tls->context->server || !tls->context->verify)
        return 0;
    if (code == X509_V_OK)
        code = verify(tls);
    return code == X509_V_OK ? 0 : rota__tls_verify_error(tls, code);
}

/* --- The steps ---------------------------------------------------------- */

/* What came was of TLS's own, and there may be more. */
static void read_on(struct rota__handle *handle)
{
    struct rota__tls *tls = rota__container_of(handle, struct rota__tls, step);

    tls->conn->events->readable(tls->conn);
}

static void finish(struct rota__tls *tls, int error)
{
    struct rota__conn *conn = tls->conn;

    rota__tls_return_events(tls);
    tls->why = NULL;
    tls->state = error ? ROTA__TLS_FAILED : ROTA__TLS_OPEN;
    tls->step.run = read_on;
    if (error)
        conn->error = error; /* also if it could not send the alert */
    tls->done(conn, error);
}

static void shake_hands(struct rota__handle *handle)
{
    struct rota__tls *tls = rota__container_of(handle, struct rota__tls, step);
    int ok;

    rota__tls_forget_errors();
    tls->met = 1;
    ok = SSL_do_handshake(tls->ssl);
    if (ok == 1)
        finish(tls, SSL_session_reused(tls->ssl) ? check_resumed(tls) : 0);
    else if (tls->met != -EAGAIN)
        finish(tls, rota__tls_error(tls));
    else if (tls->conn->error)
        finish(tls, tls->conn->error);
}

static void out_of_patience(struct rota__handle *handle)
{
    struct rota__tls *tls =
        rota__container_of(handle, struct rota__tls, timer.handle);

    rota__tls_explain(tls->why, "no end of the handshake after %g seconds",
                      (double)tls->handshake_timeout / (double)ROTA__SECOND);
    finish(tls, -ETIMEDOUT);
}

static void readable(struct rota__conn *conn)
{
    rota__tls_wake(rota__tls_of(conn));
}

static void writable(struct rota__conn *conn)
{
    if (conn->error)
        rota__tls_wake(rota__tls_of(conn));
}

/* Of a close the user hears: the filter goes first. */
static const struct rota__conn_events handshake_events = {
    .readable = readable,
    .writable = writable,
};

/* --- The start ---------------------------------------------------------- */

static int set_up(struct rota__tls *tls, const rota_tls_options *options)
{
    BIO *bio;

    tls->ssl = SSL_new(tls->context->ssl);
    if (!tls->ssl)
        return -ENOMEM;
    bio = rota__tls_bio(tls);
    if (!bio)
        return -ENOMEM;
    SSL_set_bio(tls->ssl, bio, bio);
    SSL_set_app_data(tls->ssl, tls);
    if (tls->context->server) {
        SSL_set_accept_state(tls->ssl);
        return 0;
    }
    SSL_set_connect_state(tls->ssl);
    if (options->session &&
        !SSL_set_session(tls->ssl, (SSL_SESSION *)options->session))
        return -EINVAL;
    return tls->host[0] ? set_host(tls) : 0;
}

static int check(const struct rota__conn *conn, rota_tls_context *context,
                 const rota_tls_options *options, const char *host)
{
    if (!context || context->server != options->server_side ||
        !(options->handshake_timeout >= 0) || !(options->shutdown_timeout >= 0))
        return -EINVAL;
    if (conn->filter)
        return -EBUSY;
    if (context->check_host && (host[0] == '\0' || host[0] == '.'))
        return -EINVAL; /* to OpenSSL ".org" is any host there */
    if (strlen(host) > TLSEXT_MAXLEN_host_name)
        return -EINVAL;
    return conn->error;
}

static int64_t timeout_of(double seconds, int64_t otherwise)
{
    return seconds == 0 ? otherwise : rota__to_ns(seconds);
}

/* "host." is how names end that are not to be searched for: no part of it. */
static size_t without_dot(const char *host)
{
    size_t size = strlen(host);

    return size > 1 && host[size - 1] == '.' ? size - 1 : size;
}

static struct rota__tls *create(struct rota__conn *conn,
                                rota_tls_context *context,
                                const rota_tls_options *options,
                                const char *host)
{
    size_t size = without_dot(host);
    struct rota__tls *tls = rota__zalloc(sizeof *tls + size + 1);

    if (!tls)
        return NULL;
    tls->filter.ops = &rota__tls_ops;
    tls->conn = conn;
    tls->context = context;
    rota__tls_context_ref(context);
    tls->handshake_timeout =
        timeout_of(options->handshake_timeout, HANDSHAKE_TIMEOUT);
    tls->shutdown_timeout =
        timeout_of(options->shutdown_timeout, SHUTDOWN_TIMEOUT);
    tls->why = options->why;
    tls->step.run = shake_hands;
    rota__list_init(&tls->step.link);
    rota__timer_init(&tls->timer, out_of_patience);
    memcpy(tls->host, host, size);
    return tls;
}

int rota__tls_start(struct rota__conn *conn, rota_tls_context *context,
                    const rota_tls_options *options, const char *host,
                    void (*done)(struct rota__conn *conn, int error))
{
    static const rota_tls_options nothing_special = {0};
    struct rota__tls *tls;
    int err;

    if (!options)
        options = &nothing_special;
    if (options->server_name)
        host = options->server_name;
    if (!host || (context && context->server))
        host = "";
    if (options->why)
        options->why[0] = '\0';
    err = check(conn, context, options, host);
    if (err < 0)
        return err;
    tls = create(conn, context, options, host);
    if (!tls)
        return -ENOMEM;
    conn->filter = &tls->filter;
    tls->done = done;
    err = set_up(tls, options);
    if (err == 0)
        err = rota__tls_limit(tls, tls->handshake_timeout, out_of_patience);
    if (err < 0) {
        rota__tls_ops.fini(conn);
        ERR_clear_error();
        return err;
    }
    rota__tls_take_events(tls, &handshake_events);
    rota__tls_wake(tls);
    return 0;
}
