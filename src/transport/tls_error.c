/* SPDX-License-Identifier: MIT */
/*
 * TLS: OpenSSL's errors become rota's numbers, and a sentence
 */
#include "transport/tls.h"
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdarg.h>
#include <stdio.h>

void rota__tls_explain(char *why, const char *format, ...)
{
    va_list args;

    if (!why)
        return;
    va_start(args, format);
    (void)vsnprintf(why, ROTA_TLS_MESSAGE, format, args);
    va_end(args);
}

const char *rota__tls_reason(unsigned long code)
{
    const char *reason = ERR_reason_error_string(code);

    return reason ? reason : "no reason given";
}

/* --- Certificates ------------------------------------------------------- */

#define NAME_STYLE                                                             \
    (XN_FLAG_RFC2253 & ~XN_FLAG_DN_REV & ~(unsigned long)ASN1_STRFLGS_ESC_MSB)

void rota__tls_subject(X509 *certificate, char *out, size_t size)
{
    BIO *text = BIO_new(BIO_s_mem());
    int n = 0;

    if (text) {
        X509_NAME *name = X509_get_subject_name(certificate);

        if (X509_NAME_print_ex(text, name, 0, NAME_STYLE) >= 0)
            n = BIO_read(text, out, (int)size - 1);
        BIO_free(text);
    }
    out[n > 0 ? n : 0] = '\0';
}

static bool is_other_host(int code)
{
    return code == X509_V_ERR_HOSTNAME_MISMATCH ||
           code == X509_V_ERR_IP_ADDRESS_MISMATCH;
}

int rota__tls_on_verify(int ok, X509_STORE_CTX *store)
{
    int index = SSL_get_ex_data_X509_STORE_CTX_idx();
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, index);
    struct rota__tls *tls = ssl ? SSL_get_app_data(ssl) : NULL;
    X509 *certificate = X509_STORE_CTX_get_current_cert(store);
    int code = X509_STORE_CTX_get_error(store);
    char subject[128] = "";

    if (ok || !tls || !tls->why)
        return ok;
    if (certificate)
        rota__tls_subject(certificate, subject, sizeof subject);
    if (is_other_host(code))
        rota__tls_explain(tls->why, "the certificate of %s is not for %.64s",
                          subject, tls->host);
    else
        rota__tls_explain(tls->why, "%s: the certificate of %s (depth %d)",
                          X509_verify_cert_error_string(code), subject,
                          X509_STORE_CTX_get_error_depth(store));
    return ok;
}

int rota__tls_verify_error(const struct rota__tls *tls, long code)
{
    if (tls->why && tls->why[0] == '\0')
        rota__tls_explain(tls->why, "%s", X509_verify_cert_error_string(code));
    switch (code) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return -ROTA_ECERTEXPIRED;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        return -ROTA_ECERTHOST;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_CERT_UNTRUSTED:
        return -ROTA_ECERTUNKNOWN;
    default:
        return -ROTA_ECERT;
    }
}

/* --- OpenSSL's notes ---------------------------------------------------- */

/* An alert of the peer's is noted with this number and the alert's. */
static bool is_alert(unsigned long code)
{
    int reason = ERR_GET_REASON(code);

    return ERR_GET_LIB(code) == ERR_LIB_SSL && reason >= SSL_AD_REASON_OFFSET &&
           reason < SSL_AD_REASON_OFFSET + 256;
}

static int from_notes(const struct rota__tls *tls, unsigned long code)
{
    int reason = ERR_GET_REASON(code);

    if (reason == ERR_R_MALLOC_FAILURE)
        return -ENOMEM;
    if (is_alert(code)) {
        rota__tls_explain(
            tls->why, "the peer refuses: %s",
            SSL_alert_desc_string_long(reason - SSL_AD_REASON_OFFSET));
        return -ROTA_ETLSALERT;
    }
    if (ERR_GET_LIB(code) == ERR_LIB_SSL) {
        if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED)
            return rota__tls_verify_error(tls, SSL_get_verify_result(tls->ssl));
        if (reason == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE) {
            rota__tls_explain(tls->why, "the peer has given no certificate");
            return -ROTA_ECERT;
        }
    }
    rota__tls_explain(tls->why, "%s", rota__tls_reason(code));
    return -ROTA_ETLS;
}

int rota__tls_error(const struct rota__tls *tls)
{
    unsigned long code = ERR_peek_error(); /* the first is the cause */
    int error;

    if (code != 0) {
        error = from_notes(tls, code);
    } else if (tls->met < 0 && tls->met != -EAGAIN) {
        error = tls->met;
        rota__tls_explain(tls->why, "%s", rota_strerror(error));
    } else if (tls->met == 0 || SSL_get_shutdown(tls->ssl) != 0) {
        error = -ECONNRESET;
        rota__tls_explain(tls->why, "the peer has gone during the handshake");
    } else {
        error = -ROTA_ETLS;
        rota__tls_explain(tls->why, "OpenSSL gives no reason");
    }
    ERR_clear_error();
    return error;
}
