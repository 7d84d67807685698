/* SPDX-License-Identifier: MIT */
/*
 * Idle connections to an echo server: `hold PORT CONNECTIONS`
 *
 * Each makes one exchange of 64 bytes, so that the server has done for it what
 * it does for all, and then is silent. Prints "ready" when all are, and holds
 * them until its input ends. They end with a reset: thousands of closed
 * connections would use up the ports for a minute.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "channel.h"

static void exchange(int fd)
{
    char there[64] = "are you there?", back[sizeof there];
    struct linger reset = {.l_onoff = 1};

    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    if (send(fd, there, sizeof there, MSG_NOSIGNAL) != sizeof there ||
        recv(fd, back, sizeof back, MSG_WAITALL) != sizeof back)
        load_fail("exchange");
    if (memcmp(there, back, sizeof back) != 0) {
        fprintf(stderr, "hold: the server did not echo\n");
        exit(1);
    }
}

int main(int argc, char **argv)
{
    long count = argc == 3 ? atol(argv[2]) : 0;
    char end;

    if (count <= 0) {
        fprintf(stderr, "usage: hold PORT CONNECTIONS\n");
        return 2;
    }
    for (long i = 0; i < count; i++) {
        struct channel channel; /* stays open until the program ends */

        channel_open(&channel, CHANNEL_TCP, argv[1]);
        exchange(channel.fd);
    }
    printf("ready\n");
    fflush(stdout);
    while (read(0, &end, 1) > 0)
        continue;
    return 0;
}
