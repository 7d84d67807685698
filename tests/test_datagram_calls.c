/* SPDX-License-Identifier: MIT */
/*
 * How often the system is asked for datagrams
 *
 * The library's calls of recvmmsg() come here first, and are counted.
 */
#define _GNU_SOURCE
#include "datagrams.h"

#include <dlfcn.h>

struct mmsghdr;
struct timespec;
typedef int receive_function(int fd, struct mmsghdr *headers, unsigned count,
                             int flags, struct timespec *timeout);

static int calls;

int recvmmsg(int fd, struct mmsghdr *headers, unsigned count, int flags,
             struct timespec *timeout)
{
    static receive_function *real;

    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "recvmmsg");
    calls++;
    return real(fd, headers, count, flags, timeout);
}

static int calls_now(void)
{
    int count = calls;

    calls = 0;
    return count;
}

static intptr_t receive_one_at_a_time(void *arg)
{
    struct link link;

    (void)arg;
    link_open(&link, false);
    for (int i = 0; i < 20; i++) {
        rota_task task = start(hear_in_task, link.datagram);

        settle();
        assert_int_equal(calls_now(), 0);
        tell(&link, "x");
        assert_int_equal(rota_await(task), 1);
        settle();
        assert_int_equal(calls_now(), 1);
    }
    link_close(&link);
    return 0;
}

static void one_datagram_for_a_task_is_one_call(void)
{
    scenario(receive_one_at_a_time);
}

static intptr_t receive_by_callback(void *arg)
{
    struct end end = {.quiet = true};
    rota_address peer;
    int fd = bare_udp(&peer);
    rota_address local = open_v4(&end);

    (void)arg;
    settle();
    for (int i = 1; i <= 20; i++) {
        assert_int_equal(calls_now(), 0);
        bare_tell_text(fd, &local, "x");
        settle();
        assert_int_equal(end.received, i);
        assert_int_equal(calls_now(), 1);
    }
    close_end(&end);
    close(fd);
    return 0;
}

static void one_datagram_for_a_protocol_is_one_call(void)
{
    scenario(receive_by_callback);
}

static intptr_t receive_a_burst(void *arg)
{
    struct link link;

    (void)arg;
    link_open(&link, false);
    for (int i = 0; i < 20; i++)
        tell(&link, "x");
    for (int i = 0; i < 20; i++)
        assert_int_equal(hear(link.datagram), 1);
    assert_int_equal(calls_now(), 20 / ROTA__PACKETS + 1);
    link_close(&link);
    return 0;
}

static void a_burst_is_a_call_for_each_batch(void)
{
    scenario(receive_a_burst);
}

HARNESS_MAIN(TEST(one_datagram_for_a_task_is_one_call),
             TEST(one_datagram_for_a_protocol_is_one_call),
             TEST(a_burst_is_a_call_for_each_batch))
