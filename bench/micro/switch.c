/* SPDX-License-Identifier: MIT */
/*
 * The raw switch between two contexts, below tasks
 */
#include "../rota/micro.h"
#include "os/context.h"
#include "peer.h"

static struct rota__context here;
static struct rota__context there;

static void come_back(void *arg)
{
    (void)arg;
    for (;;)
        rota__context_switch(&there, &here);
}

/* Two switches a round. */
double raw_switch(long n)
{
    static char stack[65536];
    int64_t start;

    rota__context_init(&there, stack, stack + sizeof stack, come_back, NULL);
    start = peer_cpu_ns();
    for (long i = 0; i < n / 2; i++)
        rota__context_switch(&here, &there);
    return peer_ns_per_op(start, n / 2 * 2);
}
