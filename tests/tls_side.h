/* SPDX-License-Identifier: MIT */
/*
 * OpenSSL's side of the tests: certificates, made when they are needed so that
 * none expires in the tree, and what a peer may do that rota's own never does
 */
#ifndef TESTS_TLS_SIDE_H
#define TESTS_TLS_SIDE_H

#include <rota.h>

/* A certificate and its key: FILE.pem and FILE.key in the test's folder. */
struct paper {
    const char *file;
    const char *subject;  /* the common name */
    const char *names;    /* "DNS:localhost,IP:127.0.0.1", or NULL */
    const char *issuer;   /* the file of another paper; NULL: signs itself */
    bool authority;       /* may issue others */
    long from;            /* seconds from now; 0: since yesterday */
    long until;           /* 0: until tomorrow */
    const char *password; /* of the key, or NULL */
};

void paper_make(const struct paper *paper);

/* The folder of this test; papers_end() removes it and all that is in it. */
void papers_begin(void);
void papers_end(void);

/* The path of a file there; good for the next sixteen calls. */
const char *paper_path(const char *file);

/* Speaks no TLS above 1.2. */
void tls_only_12(rota_tls_context *context);
/* A client that asks for records of no more than 512 bytes. */
void tls_short_records(rota_tls_context *context);
/* New keys for our direction with the next write, and for the peer's. */
void tls_update_keys(rota_stream *stream);
/* New keys for our direction at once, and nothing else. */
void tls_send_keys(rota_stream *stream);
/* Asks for another handshake, as TLS 1.2 had it; it leaves with a write. */
void tls_renegotiate(rota_stream *stream);
/* Ends our direction, as rota_close() does, and no more. */
void tls_say_goodbye(rota_stream *stream);

#endif
