/* SPDX-License-Identifier: MIT */
/*
 * TLS: contexts
 *
 * Made in one go and constant from then on, so that any number of threads may
 * use one; counted, because connections outlive the caller's handle. Sessions
 * are kept by clients and by tickets, not by a cache that threads would share.
 */
#include "transport/tls.h"
#include <openssl/err.h>
#include <openssl/pem.h>

#define OPTIONS                                                                \
    (SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |                         \
     SSL_OP_CIPHER_SERVER_PREFERENCE)

/* --- Why not ------------------------------------------------------------ */

/* The first of OpenSSL's notes is the cause; a system call's has an errno. */
static int failed(char *why, const char *what, const char *file)
{
    unsigned long code = ERR_peek_error();
    bool system = ERR_SYSTEM_ERROR(code) != 0;
    int error = -ROTA_ECERT;

    if (system)
        error = -ERR_GET_REASON(code);
    else if (ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE)
        error = -ENOMEM;
    rota__tls_explain(why, "%s %s: %s", what, file,
                      system ? rota_strerror(error) : rota__tls_reason(code));
    ERR_clear_error();
    return error;
}

static int invalid(char *why, const char *text)
{
    rota__tls_explain(why, "%s", text);
    ERR_clear_error();
    return -EINVAL;
}

/* --- Files -------------------------------------------------------------- */

/* Never asks a human. */
static int give_password(char *out, int size, int writing, void *password)
{
    size_t n = password ? strlen(password) : 0;

    (void)writing;
    if (!password || n >= (size_t)size)
        return -1;
    memcpy(out, password, n + 1);
    return (int)n;
}

static int load_key(SSL_CTX *ssl, const rota_tls_context_options *options,
                    char *why)
{
    const char *file = options->key ? options->key : options->certificate;

    if (SSL_CTX_use_PrivateKey_file(ssl, file, SSL_FILETYPE_PEM) == 1 &&
        SSL_CTX_check_private_key(ssl) == 1)
        return 0;
    return failed(why, "the key in", file);
}

static int load_certificate(SSL_CTX *ssl,
                            const rota_tls_context_options *options, char *why)
{
    int err;

    if (!options->certificate && options->server)
        return invalid(why, "a server needs a certificate");
    if (!options->certificate)
        return options->key ? invalid(why, "a key without a certificate") : 0;
    SSL_CTX_set_default_passwd_cb(ssl, give_password);
    SSL_CTX_set_default_passwd_cb_userdata(ssl, (void *)options->password);
    if (SSL_CTX_use_certificate_chain_file(ssl, options->certificate) == 1)
        err = load_key(ssl, options, why);
    else
        err = failed(why, "the certificate in", options->certificate);
    SSL_CTX_set_default_passwd_cb_userdata(ssl, NULL);
    return err;
}

/* A client with several certificates sees by it which one to send. */
static int name_authorities(SSL_CTX *ssl, const char *file, char *why)
{
    STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(file);

    if (!names)
        return failed(why, "the authorities in", file);
    SSL_CTX_set_client_CA_list(ssl, names);
    return 0;
}

static int load_authorities(SSL_CTX *ssl,
                            const rota_tls_context_options *options, char *why)
{
    const char *file = options->ca_file;
    const char *path = options->ca_path;

    if (file && SSL_CTX_load_verify_file(ssl, file) != 1)
        return failed(why, "the authorities in", file);
    if (path && SSL_CTX_load_verify_dir(ssl, path) != 1)
        return failed(why, "the authorities in", path);
    if (!file && !path && SSL_CTX_set_default_verify_paths(ssl) != 1)
        return failed(why, "the authorities of", "the system");
    return file && options->server ? name_authorities(ssl, file, why) : 0;
}

/* Whoever is named as an authority is one, also if another has signed it. */
static int set_verify(rota_tls_context *context,
                      const rota_tls_context_options *options, char *why)
{
    X509_VERIFY_PARAM *rules = SSL_CTX_get0_param(context->ssl);
    int mode = SSL_VERIFY_PEER;

    if (!context->verify)
        return 0;
    if (options->server)
        mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    SSL_CTX_set_verify(context->ssl, mode, rota__tls_on_verify);
    if (X509_VERIFY_PARAM_set_flags(rules, X509_V_FLAG_PARTIAL_CHAIN |
                                               X509_V_FLAG_TRUSTED_FIRST) != 1)
        return -ENOMEM;
    return load_authorities(context->ssl, options, why);
}

/* --- Protocols ---------------------------------------------------------- */

#define LONGEST (sizeof((rota_tls_info *)NULL)->alpn - 1)

/* "h2,http/1.1" becomes "\2h2\10http/1.1"... */
static bool parse_alpn(rota_tls_context *context, const char *list)
{
    unsigned size = 0;

    for (;;) {
        size_t n = strcspn(list, ",");

        if (n == 0 || n > LONGEST || size + n + 1 > sizeof context->alpn)
            return false;
        context->alpn[size] = (unsigned char)n;
        memcpy(context->alpn + size + 1, list, n);
        size += (unsigned)n + 1;
        context->alpn_size = size;
        if (list[n] == '\0')
            return true;
        list += n + 1;
    }
}

/* Without a common one the connection goes on without any, as Python's. */
static int choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *size,
                       const unsigned char *offered, unsigned offered_size,
                       void *arg)
{
    const rota_tls_context *context = arg;
    unsigned char *chosen;

    (void)ssl;
    if (SSL_select_next_proto(&chosen, size, context->alpn, context->alpn_size,
                              offered, offered_size) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_NOACK;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static int set_alpn(rota_tls_context *context, const char *list, char *why)
{
    if (!list)
        return 0;
    if (!parse_alpn(context, list))
        return invalid(why, "alpn is no list of names: \"h2,http/1.1\"");
    SSL_CTX_set_alpn_select_cb(context->ssl, choose_alpn, context);
    return SSL_CTX_set_alpn_protos(context->ssl, context->alpn,
                                   context->alpn_size) == 0
               ? 0
               : -ENOMEM;
}

static int set_version(SSL_CTX *ssl, int version, char *why)
{
    if (version != 0 && version != 12 && version != 13)
        return invalid(why, "minimum_version is neither 12 nor 13");
    return SSL_CTX_set_min_proto_version(
               ssl, version == 13 ? TLS1_3_VERSION : TLS1_2_VERSION) == 1
               ? 0
               : -ENOMEM;
}

static int set_ciphers(SSL_CTX *ssl, const char *ciphers, char *why)
{
    if (!ciphers || SSL_CTX_set_cipher_list(ssl, ciphers) == 1)
        return 0;
    return invalid(why, "ciphers names none that OpenSSL knows");
}

/* --- The whole ---------------------------------------------------------- */

static int make(rota_tls_context *context)
{
    static const unsigned char name[] = "rota";

    context->method = rota__tls_bio_method();
    context->ssl = SSL_CTX_new(TLS_method());
    if (!context->method || !context->ssl ||
        !SSL_CTX_set_session_id_context(context->ssl, name, sizeof name - 1))
        return -ENOMEM;
    SSL_CTX_set_options(context->ssl, OPTIONS);
    SSL_CTX_set_mode(context->ssl, SSL_MODE_RELEASE_BUFFERS |
                                       SSL_MODE_ENABLE_PARTIAL_WRITE |
                                       SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_clear_mode(context->ssl, SSL_MODE_AUTO_RETRY);
    SSL_CTX_set_session_cache_mode(context->ssl, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_read_ahead(context->ssl, 1);
    SSL_CTX_set_dh_auto(context->ssl, 1);
    return 0;
}

static int configure(rota_tls_context *context,
                     const rota_tls_context_options *options, char *why)
{
    int err = make(context);

    if (err == 0)
        err = set_version(context->ssl, options->minimum_version, why);
    if (err == 0)
        err = set_ciphers(context->ssl, options->ciphers, why);
    if (err == 0)
        err = set_alpn(context, options->alpn, why);
    if (err == 0)
        err = load_certificate(context->ssl, options, why);
    if (err == 0)
        err = set_verify(context, options, why);
    return err;
}

int rota_tls_context_new(rota_tls_context **out,
                         const rota_tls_context_options *options,
                         char why[ROTA_TLS_MESSAGE])
{
    static const rota_tls_context_options client = {0};
    rota_tls_context *context = rota__zalloc(sizeof *context);
    int err;

    if (why)
        why[0] = '\0';
    if (!context)
        return -ENOMEM;
    if (!options)
        options = &client;
    atomic_init(&context->users, 1);
    context->server = options->server;
    context->verify =
        options->server ? options->client_certificate : !options->no_verify;
    context->check_host =
        context->verify && !options->server && !options->no_host_check;
    ERR_clear_error();
    err = configure(context, options, why);
    if (err < 0) {
        rota_tls_context_free(context);
        if (why && why[0] == '\0')
            rota__tls_explain(why, "%s", rota_strerror(err));
    } else {
        *out = context;
    }
    ERR_clear_error();
    return err;
}

void rota__tls_context_ref(rota_tls_context *context)
{
    atomic_fetch_add_explicit(&context->users, 1, memory_order_relaxed);
}

void rota_tls_context_free(rota_tls_context *context)
{
    if (!context ||
        atomic_fetch_sub_explicit(&context->users, 1, memory_order_acq_rel) > 1)
        return;
    SSL_CTX_free(context->ssl);
    BIO_meth_free(context->method);
    rota__free(context);
}

void *rota_tls_context_native(rota_tls_context *context)
{
    return context->ssl;
}

bool rota__tls_context_is_server(const rota_tls_context *context)
{
    return context->server;
}

bool rota_has_tls(void)
{
    return true;
}
