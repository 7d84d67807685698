/* SPDX-License-Identifier: MIT */
/*
 * Clients of a server for protocols
 *
 * Each gets an ear of its own when it is made.
 */
#ifndef TESTS_CLIENTS_H
#define TESTS_CLIENTS_H

#include "transports.h"

static struct ear clients[8];
static int client_count;

static inline void client_made(rota_transport *transport, void *arg)
{
    struct ear *ear = &clients[client_count++];

    assert_string_equal(arg, "the server's");
    assert_int_equal(rota_transport_set_protocol(transport, &ears, ear), 0);
    ear_made(transport, ear);
}

/* Who has not heard connection_made does not hear this. */
static inline void no_client_is_lost(rota_transport *transport, int error,
                                     void *arg)
{
    (void)transport;
    (void)error;
    (void)arg;
    fail_msg("lost, and not made before");
}

static const rota_protocol client = {.connection_made = client_made,
                                     .connection_lost = no_client_is_lost};

static char servers[] = "the server's";

#endif
