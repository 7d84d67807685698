/* SPDX-License-Identifier: MIT */
/*
 * Plain sockets and files under all schedules
 *
 * One task sends, one receives, two more wait for the same fds beside them.
 * Whatever is cancelled: what has been received, and what is still on its
 * way, is what the sender says has gone, byte for byte.
 */
#include "schedules.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SIZE = 40000 };

static struct {
    int fds[2];
    int file; /* or -1: from memory */
    char data[SIZE];
    size_t sent;
    size_t got;
    rota_task sender;
    rota_task receiver;
} line;

static char byte_at(size_t offset)
{
    return (char)(offset * 7 + offset / 251);
}

static void take(const char *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        CHECK(data[i] == byte_at(line.got + i));
    line.got += size;
}

static bool take_what_is_there(void)
{
    static char buf[SIZE];
    ssize_t n = recv(line.fds[1], buf, sizeof buf, MSG_DONTWAIT);

    if (n > 0)
        take(buf, (size_t)n);
    return n > 0;
}

static intptr_t send_it(void *arg)
{
    intptr_t n;

    (void)arg;
    if (line.file < 0)
        n = AWAIT(rota_sock_sendall(line.fds[0], line.data, SIZE, &line.sent));
    else
        n = AWAIT(rota_sock_sendfile(line.fds[0], line.file, 0, 0, &line.sent));
    CHECK(n < 0 || line.sent == SIZE);
    CHECK(n == SIZE || n == -ECANCELED || n == -ETIMEDOUT);
    (void)shutdown(line.fds[0], SHUT_WR);
    return schedules_outcome(n);
}

static intptr_t receive(void *arg)
{
    static char buf[SIZE];
    intptr_t n;

    (void)arg;
    while ((n = AWAIT(rota_sock_recv(line.fds[1], buf, 1500))) > 0)
        take(buf, (size_t)n);
    return schedules_outcome(n);
}

/* In the other direction of the sender's fd: it ends with the other end. */
static intptr_t wait_beside(void *arg)
{
    intptr_t n;

    (void)arg;
    do
        n = AWAIT(rota_wait_readable(line.fds[0]));
    while (n == 0 && recv(line.fds[0], &(char){0}, 1, MSG_DONTWAIT) > 0);
    return schedules_outcome(n);
}

static intptr_t wait_for_room(void *arg)
{
    (void)arg;
    return schedules_outcome(AWAIT(rota_wait_writable(line.fds[1])));
}

static void begin(rota_loop *loop)
{
    int room = 4096;

    (void)loop;
    line.sent = line.got = 0;
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, line.fds) == 0);
    CHECK(setsockopt(line.fds[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof room) ==
          0);
    line.sender = schedules_start(send_it, NULL);
    line.receiver = schedules_start(receive, NULL);
    schedules_start(wait_beside, NULL);
    schedules_start(wait_for_room, NULL);
}

/* Does what a task that has been cancelled will not do any more. */
static bool idle(void)
{
    if (rota_task_done(line.receiver))
        (void)take_what_is_there();
    if (rota_task_done(line.sender))
        (void)shutdown(line.fds[0], SHUT_WR);
    if (rota_task_done(line.sender) && rota_task_done(line.receiver))
        (void)shutdown(line.fds[1], SHUT_WR);
    return true;
}

static void end(void)
{
    while (take_what_is_there())
        ;
    CHECK(line.got == line.sent);
    close(line.fds[0]);
    close(line.fds[1]);
}

static const schedules_scenario scenario = {
    .begin = begin,
    .idle = idle,
    .end = end,
};

static void fill(void)
{
    for (size_t i = 0; i < SIZE; i++)
        line.data[i] = byte_at(i);
}

static void bytes_from_memory_arrive_as_far_as_they_were_sent(void)
{
    fill();
    line.file = -1;
    schedules_hold(&scenario);
}

static void bytes_of_a_file_arrive_as_far_as_they_were_sent(void)
{
    char path[] = "/tmp/rota-test-XXXXXX";

    fill();
    line.file = mkstemp(path);
    assert_true(line.file >= 0);
    unlink(path);
    assert_int_equal(write(line.file, line.data, SIZE), SIZE);
    schedules_hold(&scenario);
    close(line.file);
}

HARNESS_MAIN(TEST_TIMEOUT(bytes_from_memory_arrive_as_far_as_they_were_sent,
                          120),
             TEST_TIMEOUT(bytes_of_a_file_arrive_as_far_as_they_were_sent, 120))
