/* SPDX-License-Identifier: MIT */
/*
 * Taking a URL to pieces
 */
#include "url.h"
#include <stdlib.h>
#include <string.h>

static int parse_port(const char *text)
{
    char *end;
    long port = strtol(text, &end, 10);

    return *end || port < 1 || port > 65535 ? -EINVAL : (int)port;
}

/* "host", "host:port", "[::1]:port" */
static int parse_authority(struct url *url)
{
    char *host = url->memory;
    char *end = host + strcspn(host, ":");

    if (*host == '[') {
        end = strchr(++host, ']');
        if (!end)
            return -EINVAL;
        *end++ = '\0';
    }
    if (*end == ':')
        url->port = parse_port(end + 1);
    else
        url->port = *end ? -EINVAL : 80;
    *end = '\0';
    url->host = host;
    return *host ? url->port : -EINVAL;
}

int url_parse(struct url *url, const char *text)
{
    static const char scheme[] = "http://";
    const char *authority = text + strlen(scheme);
    size_t length;

    if (strncmp(text, scheme, strlen(scheme)) != 0 || strpbrk(text, " \r\n\t"))
        return -EINVAL;
    length = strcspn(authority, "/?#");
    if (length >= sizeof url->authority)
        return -EINVAL;
    memcpy(url->authority, authority, length);
    url->authority[length] = '\0';
    memcpy(url->memory, url->authority, length + 1);
    url->path = authority + length;
    return parse_authority(url) < 0 ? -EINVAL : 0;
}
