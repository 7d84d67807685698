/* SPDX-License-Identifier: MIT */
/*
 * Listeners: a protocol of subprocesses that notes what it is told
 *
 *     made  1:hello  lost1  lost0:EPIPE  exited:7  lost  pause  resume
 */
#ifndef TESTS_LISTENERS_H
#define TESTS_LISTENERS_H

#include "children.h"

#include <rota/subprocess_transport.h>

struct listener {
    rota_subprocess_transport *transport; /* until it is lost */
    void (*made)(struct listener *listener);
    void (*exited)(struct listener *listener);
    char heard[2][64]; /* on 1 and 2 */
    size_t heard_size;
    int lost_pipes;
    bool silent;
    bool lost;
};

static inline void listener_made(rota_subprocess_transport *transport,
                                 void *arg)
{
    struct listener *listener = arg;

    note("made");
    assert_false(listener->lost);
    listener->transport = transport;
    if (listener->made)
        listener->made(listener);
}

static inline void listener_hears(rota_subprocess_transport *transport, int fd,
                                  const void *data, size_t size, void *arg)
{
    struct listener *listener = arg;

    assert_ptr_equal(transport, listener->transport);
    assert_in_range(fd, 1, 2);
    assert_false(listener->lost);
    listener->heard_size += size;
    if (!listener->silent)
        strncat(listener->heard[fd - 1], data, size);
}

static inline void listener_lost_pipe(rota_subprocess_transport *transport,
                                      int fd, int error, void *arg)
{
    struct listener *listener = arg;

    assert_ptr_equal(transport, listener->transport);
    assert_null(rota_subprocess_transport_get_pipe_transport(transport, fd));
    listener->lost_pipes++;
    if (error)
        note("lost%d:%s", fd, rota_errname(error));
}

static inline void listener_exited(rota_subprocess_transport *transport,
                                   void *arg)
{
    struct listener *listener = arg;
    int returncode = 12345;

    assert_true(
        rota_subprocess_transport_get_returncode(transport, &returncode));
    note("exited:%d", returncode);
    if (listener->exited)
        listener->exited(listener);
}

static inline void listener_lost(rota_subprocess_transport *transport,
                                 int error, void *arg)
{
    struct listener *listener = arg;

    assert_true(rota_subprocess_transport_get_returncode(transport, NULL));
    assert_false(listener->lost);
    if (error)
        note("lost:%s", rota_errname(error));
    else
        note("lost");
    listener->lost = true;
    listener->transport = NULL;
    if (!rota_get_running_loop())
        return;
    rota_loop_stop(rota_get_running_loop());
}

static inline void listener_pauses(rota_subprocess_transport *transport,
                                   void *arg)
{
    (void)transport;
    (void)arg;
    note("pause");
}

static inline void listener_resumes(rota_subprocess_transport *transport,
                                    void *arg)
{
    (void)transport;
    (void)arg;
    note("resume");
}

static const rota_subprocess_protocol listeners = {
    .connection_made = listener_made,
    .pipe_data_received = listener_hears,
    .pipe_connection_lost = listener_lost_pipe,
    .process_exited = listener_exited,
    .connection_lost = listener_lost,
    .pause_writing = listener_pauses,
    .resume_writing = listener_resumes,
};

static const rota_subprocess_options all_pipes = {
    .in = ROTA_PIPE,
    .out = ROTA_PIPE,
    .err = ROTA_PIPE,
};

/* Writes to stdin. */
static inline void tell(struct listener *listener, const char *text)
{
    assert_int_equal(
        rota_transport_write(rota_subprocess_transport_get_pipe_transport(
                                 listener->transport, 0),
                             text, strlen(text)),
        0);
}

static inline void hang_up(struct listener *listener)
{
    rota_transport_close(
        rota_subprocess_transport_get_pipe_transport(listener->transport, 0));
}

static inline rota_subprocess_transport *
listen_to(rota_loop *loop, struct listener *listener,
          const rota_subprocess_options *options, const char *command)
{
    rota_subprocess_transport *transport = NULL;

    assert_int_equal(rota_subprocess_shell(&transport, loop, &listeners,
                                           listener, command, options),
                     0);
    assert_true(rota_subprocess_transport_get_pid(transport) > 0);
    return transport;
}

/* Runs until connection_lost; in order, and in twenty others. */
static inline void with_loops(void (*function)(rota_loop *loop))
{
    for (uint64_t seed = 0; seed <= 20; seed++) {
        const rota_loop_options options = {.seed = seed};
        rota_loop *loop;

        assert_int_equal(rota_new_event_loop(&loop, seed ? &options : NULL), 0);
        function(loop);
        rota_loop_free(loop);
    }
}

static inline void run_until_lost(rota_loop *loop, struct listener *listener)
{
    while (!listener->lost)
        assert_int_equal(rota_loop_run_forever(loop), 0);
}

#endif
