/* SPDX-License-Identifier: MIT */
/*
 * OpenSSL's side of the tests, where it is not there: they skip themselves
 */
#include "tls_side.h"
#include "harness.h"

#define REASON "rota was built without TLS"

void papers_begin(void)
{
    harness_skip(REASON);
}

void papers_end(void)
{
    harness_skip(REASON);
}

void paper_make(const struct paper *paper)
{
    (void)paper;
    harness_skip(REASON);
}

const char *paper_path(const char *file)
{
    (void)file;
    harness_skip(REASON);
}

void tls_only_12(rota_tls_context *context)
{
    (void)context;
    harness_skip(REASON);
}

void tls_short_records(rota_tls_context *context)
{
    (void)context;
    harness_skip(REASON);
}

void tls_update_keys(rota_stream *stream)
{
    (void)stream;
    harness_skip(REASON);
}

void tls_renegotiate(rota_stream *stream)
{
    (void)stream;
    harness_skip(REASON);
}

void tls_say_goodbye(rota_stream *stream)
{
    (void)stream;
    harness_skip(REASON);
}

void tls_send_keys(rota_stream *stream)
{
    (void)stream;
    harness_skip(REASON);
}
