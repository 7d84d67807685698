/* SPDX-License-Identifier: MIT */
/*
 * Channels of the load where there is no OpenSSL: see channel.h
 */
#include <errno.h>

#include "channel.h"

void tls_open(struct channel *channel)
{
    (void)channel;
    errno = ENOSYS;
    load_fail("built without OpenSSL");
}

size_t tls_send(struct channel *channel, const char *data, size_t size)
{
    (void)channel, (void)data, (void)size;
    return 0;
}

size_t tls_receive(struct channel *channel, char *buf, size_t size)
{
    (void)channel, (void)buf, (void)size;
    return 0;
}

bool tls_pending(const struct channel *channel)
{
    (void)channel;
    return false;
}

void tls_close(struct channel *channel)
{
    (void)channel;
}
