/* SPDX-License-Identifier: MIT */
/*
 * OpenSSL's side of the tests
 */
#include "tls_side.h"
#include "harness.h"
#include "stream/stream.h"
#include "transport/tls.h"

#include <dirent.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define DAY 86400L

static char folder[64];

void papers_begin(void)
{
    const char *tmp = getenv("TMPDIR");

    snprintf(folder, sizeof folder, "%.40s/rota-tls-XXXXXX",
             tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(folder));
}

void papers_end(void)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;

    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL)
        if (entry->d_name[0] != '.')
            assert_int_equal(unlink(paper_path(entry->d_name)), 0);
    closedir(dir);
    assert_int_equal(rmdir(folder), 0);
}

const char *paper_path(const char *file)
{
    static char paths[16][400];
    static int last;

    last = (last + 1) % 16;
    snprintf(paths[last], sizeof paths[last], "%s/%s", folder, file);
    return paths[last];
}

static FILE *open_paper(const char *file, const char *suffix, const char *mode)
{
    char name[100];
    FILE *stream;

    snprintf(name, sizeof name, "%s.%s", file, suffix);
    stream = fopen(paper_path(name), mode);
    assert_non_null(stream);
    return stream;
}

/* Takes the key and the certificate of a paper that was made before. */
static void read_issuer(const char *file, X509 **certificate, EVP_PKEY **key)
{
    FILE *stream = open_paper(file, "pem", "r");

    *certificate = PEM_read_X509(stream, NULL, NULL, NULL);
    fclose(stream);
    stream = open_paper(file, "key", "r");
    *key = PEM_read_PrivateKey(stream, NULL, NULL, NULL);
    fclose(stream);
    assert_true(*certificate && *key);
}

static void extend(X509 *certificate, X509 *issuer, int nid, const char *text)
{
    X509_EXTENSION *extension;
    X509V3_CTX context;

    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    extension = X509V3_EXT_conf_nid(NULL, &context, nid, text);
    assert_non_null(extension);
    assert_true(X509_add_ext(certificate, extension, -1));
    X509_EXTENSION_free(extension);
}

static X509 *write_certificate(const struct paper *paper, EVP_PKEY *key,
                               X509 *issuer, EVP_PKEY *issuer_key)
{
    X509 *certificate = X509_new();
    X509_NAME *name = X509_get_subject_name(certificate);
    static long serial;

    assert_true(X509_set_version(certificate, X509_VERSION_3));
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(certificate),
                    paper->from ? paper->from : -DAY);
    X509_gmtime_adj(X509_getm_notAfter(certificate),
                    paper->until ? paper->until : DAY);
    assert_true(X509_NAME_add_entry_by_txt(
        name, "CN", MBSTRING_UTF8, (const void *)paper->subject, -1, -1, 0));
    assert_true(X509_set_pubkey(certificate, key));
    if (!issuer)
        issuer = certificate;
    X509_set_issuer_name(certificate, X509_get_subject_name(issuer));
    extend(certificate, issuer, NID_basic_constraints,
           paper->authority ? "critical,CA:TRUE" : "CA:FALSE");
    extend(certificate, issuer, NID_subject_key_identifier, "hash");
    extend(certificate, issuer, NID_authority_key_identifier, "keyid");
    if (paper->names)
        extend(certificate, issuer, NID_subject_alt_name, paper->names);
    assert_true(X509_sign(certificate, issuer_key, EVP_sha256()) > 0);
    return certificate;
}

void paper_make(const struct paper *paper)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    EVP_PKEY *issuer_key = NULL;
    X509 *issuer = NULL;
    X509 *certificate;
    FILE *stream;

    assert_non_null(key);
    if (paper->issuer)
        read_issuer(paper->issuer, &issuer, &issuer_key);
    certificate =
        write_certificate(paper, key, issuer, issuer_key ? issuer_key : key);
    stream = open_paper(paper->file, "pem", "w");
    assert_true(PEM_write_X509(stream, certificate));
    if (paper->issuer) /* the chain */
        assert_true(PEM_write_X509(stream, issuer));
    assert_int_equal(fclose(stream), 0);
    stream = open_paper(paper->file, "key", "w");
    assert_true(PEM_write_PKCS8PrivateKey(
        stream, key, paper->password ? EVP_aes_128_cbc() : NULL, NULL, 0, NULL,
        (void *)paper->password));
    assert_int_equal(fclose(stream), 0);
    X509_free(certificate);
    X509_free(issuer);
    EVP_PKEY_free(issuer_key);
    EVP_PKEY_free(key);
}

void tls_only_12(rota_tls_context *context)
{
    assert_true(SSL_CTX_set_max_proto_version(rota_tls_context_native(context),
                                              TLS1_2_VERSION));
}

void tls_short_records(rota_tls_context *context)
{
    assert_true(SSL_CTX_set_tlsext_max_fragment_length(
        rota_tls_context_native(context), TLSEXT_max_fragment_length_512));
}

void tls_update_keys(rota_stream *stream)
{
    SSL *ssl = rota__tls_of(&stream->conn)->ssl;

    assert_true(SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED));
}

void tls_renegotiate(rota_stream *stream)
{
    SSL *ssl = rota__tls_of(&stream->conn)->ssl;

    SSL_clear_options(ssl, SSL_OP_NO_RENEGOTIATION);
    assert_true(SSL_renegotiate(ssl));
}

void tls_say_goodbye(rota_stream *stream)
{
    assert_int_equal(SSL_shutdown(rota__tls_of(&stream->conn)->ssl), 0);
}

void tls_send_keys(rota_stream *stream)
{
    SSL *ssl = rota__tls_of(&stream->conn)->ssl;

    assert_true(SSL_key_update(ssl, SSL_KEY_UPDATE_NOT_REQUESTED));
    assert_int_equal(SSL_do_handshake(ssl), 1);
}
