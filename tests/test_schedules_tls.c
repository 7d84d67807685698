/* SPDX-License-Identifier: MIT */
/*
 * TLS under all schedules
 *
 * Two ends shake hands, talk and say good-bye. Whichever is cancelled or runs
 * out of time, and where: the other hears of it, nobody waits for ever, and
 * nothing is left.
 */
#include "schedules.h"
#include "tls_pairs.h"

struct talker {
    rota_tls_context *context;
    rota_tls_options options;
    int fd;
    bool agreed;
    bool done;
};

static struct talker talkers[2];

static intptr_t exchange(rota_stream *stream)
{
    char buf[5];
    intptr_t n = AWAIT(rota_write(stream, "hello", 5));

    if (n > 0)
        n = AWAIT(rota_read_exactly(stream, buf, sizeof buf));
    CHECK(n < 0 || memcmp(buf, "hello", 5) == 0);
    return n;
}

static intptr_t talk(void *arg)
{
    struct talker *self = arg;
    rota_stream *stream;
    intptr_t err = rota_open_fd(&stream, self->fd);

    if (err < 0)
        return err;
    self->fd = -1;
    err = AWAIT(rota_start_tls(stream, self->context, &self->options));
    self->agreed = err == 0;
    CHECK(err == 0 || rota_is_closing(stream));
    if (err == 0)
        err = exchange(stream);
    rota_close(stream);
    if (err != -ECANCELED) {
        intptr_t closed = AWAIT(rota_wait_closed(stream));

        err = err < 0 && closed != -ECANCELED ? err : closed;
    }
    rota_stream_free(stream);
    CHECK(err == 0 || schedules_disturbed());
    self->done = err == 0;
    return err == -ECANCELED ? err : 0;
}

static void begin_talk(rota_loop *loop)
{
    int fds[2];

    (void)loop;
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0)
        abort();
    for (int i = 0; i < 2; i++) {
        talkers[i].fd = fds[i];
        talkers[i].agreed = false;
        talkers[i].done = false;
        schedules_start(talk, &talkers[i]);
    }
}

static void end_talk(void)
{
    for (int i = 0; i < 2; i++) {
        CHECK(talkers[i].done || schedules_disturbed());
        if (talkers[i].fd >= 0)
            close(talkers[i].fd);
    }
}

static void two_ends_agree_or_both_hear_why_not(void)
{
    static const schedules_scenario scenario = {.begin = begin_talk,
                                                .end = end_talk};

    make_papers();
    talkers[0].context = plain_client();
    talkers[0].options.server_name = "localhost";
    talkers[1].context = server_with("server");
    talkers[1].options.server_side = true;
    schedules_hold(&scenario);
    for (int i = 0; i < 2; i++)
        rota_tls_context_free(talkers[i].context);
    papers_end();
}

HARNESS_MAIN(TEST_TIMEOUT(two_ends_agree_or_both_hear_why_not, 120))
