/* SPDX-License-Identifier: MIT */
/*
 * Transports: what their tests share
 *
 * A protocol that notes what it is told, one word a call, and can do something
 * besides, in any of its callbacks:
 *
 *     made  data:hello  eof  lost  lost:ECONNRESET  pause  resume
 *     lend  filled:hello                    (a buffered protocol)
 *
 * The other end is a bare socket that the test drives by hand. Turns are made
 * one by one, until something is noted or nothing more comes.
 */
#ifndef TESTS_TRANSPORTS_H
#define TESTS_TRANSPORTS_H

#include "sockets.h"
#include "transport/transport.h"

#include <sys/un.h>

enum moment { MADE, DATA, LEND, FILLED, END, LOST, PAUSE, RESUME, MOMENTS };

/* A protocol's `arg`. */
struct ear {
    rota_transport *transport; /* from connection_made on, until it is lost */
    void (*then[MOMENTS])(struct ear *ear); /* after the word is noted */
    bool stays;                             /* after eof_received */
    bool silent;                            /* notes nothing of the data */
    size_t heard;
    int made;
    int lost;
    int error;
    long turns[MOMENTS]; /* in which turn it was told last */
    char room[64];       /* that a buffered one lends */
    size_t lends;        /* so many bytes of it */
};

static rota_loop *the_loop;
static long turn_number;

static inline void ear_tell(struct ear *ear, enum moment moment)
{
    ear->turns[moment] = turn_number;
    if (ear->then[moment])
        ear->then[moment](ear);
}

static inline void ear_made(rota_transport *transport, void *arg)
{
    struct ear *ear = arg;

    note("made");
    ear->made++;
    ear->transport = transport;
    ear_tell(ear, MADE);
}

static inline void ear_note(const struct ear *ear, const char *word,
                            const void *data, size_t size)
{
    if (!ear->silent)
        note("%s:%.*s", word, (int)size, (const char *)data);
}

static inline void ear_data(rota_transport *transport, const void *data,
                            size_t size, void *arg)
{
    struct ear *ear = arg;

    (void)transport;
    assert_true(size > 0);
    ear->heard += size;
    ear_note(ear, "data", data, size);
    ear_tell(ear, DATA);
}

static inline void *ear_lend(rota_transport *transport, size_t *size, void *arg)
{
    struct ear *ear = arg;

    (void)transport;
    assert_true(*size >= sizeof ear->room);
    ear_tell(ear, LEND);
    *size = ear->lends;
    return ear->room;
}

static inline void ear_filled(rota_transport *transport, size_t size, void *arg)
{
    struct ear *ear = arg;

    (void)transport;
    assert_in_range(size, 1, ear->lends);
    ear->heard += size;
    ear_note(ear, "filled", ear->room, size);
    ear_tell(ear, FILLED);
}

static inline bool ear_eof(rota_transport *transport, void *arg)
{
    struct ear *ear = arg;

    (void)transport;
    note("eof");
    ear_tell(ear, END);
    return ear->stays;
}

static inline void ear_lost(rota_transport *transport, int error, void *arg)
{
    struct ear *ear = arg;

    if (error)
        note("lost:%s", rota_errname(error));
    else
        note("lost");
    ear->transport = transport;
    ear->lost++;
    ear->error = error;
    ear_tell(ear, LOST);
    ear->transport = NULL;
}

static inline void ear_pause(rota_transport *transport, void *arg)
{
    (void)transport;
    note("pause");
    ear_tell(arg, PAUSE);
}

static inline void ear_resume(rota_transport *transport, void *arg)
{
    (void)transport;
    note("resume");
    ear_tell(arg, RESUME);
}

static const rota_protocol ears = {
    .connection_made = ear_made,
    .data_received = ear_data,
    .eof_received = ear_eof,
    .connection_lost = ear_lost,
    .pause_writing = ear_pause,
    .resume_writing = ear_resume,
};

static const rota_protocol buffered_ears ROTA__UNUSED = {
    .connection_made = ear_made,
    .get_buffer = ear_lend,
    .buffer_updated = ear_filled,
    .eof_received = ear_eof,
    .connection_lost = ear_lost,
};

/* --- The loop ------------------------------------------------------------ */

static inline void begin(void)
{
    assert_int_equal(rota_new_event_loop(&the_loop, NULL), 0);
    the_loop->keep_order = true;
    the_loop->debug = false;
}

static inline void end(void)
{
    rota_loop_free(the_loop);
    the_loop = NULL;
}

static inline void turn(void)
{
    turn_number++;
    rota_loop_stop(the_loop);
    assert_int_equal(rota_loop_run_forever(the_loop), 0);
}

/* A loop that is busy need not ask for events in every turn. */
static inline void settle(void)
{
    for (int i = 0; i < 60; i++)
        turn();
}

static inline bool was_noted(const char *word)
{
    return strstr(scenario_line, word) != NULL;
}

static inline void await_word(const char *word)
{
    while (!was_noted(word))
        turn();
}

/* --- Ends ---------------------------------------------------------------- */

/* A TCP connection, both ends bare; what the first sends fills it soon. */
static inline void tcp_pair(int ends[2])
{
    int port;
    int listener = bare_listen(&port, NARROW, 1);

    ends[0] = bare_connect(port);
    ends[1] = accept(listener, NULL, NULL);
    assert_true(ends[1] >= 0);
    set_option(ends[0], SO_SNDBUF, NARROW);
    close(listener);
}

static inline void unix_pair(int ends[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
}

/* A transport over one end; the other is returned. */
static inline int adopt(const int ends[2], struct ear *ear,
                        const rota_protocol *protocol)
{
    rota_transport *transport;

    assert_int_equal(rota_connect_accepted_socket(&transport, the_loop,
                                                  protocol, ear, ends[0], NULL),
                     0);
    return ends[1];
}

/* The same, and connection_made was called. */
static inline int join(struct ear *ear, const rota_protocol *protocol)
{
    int ends[2];
    int peer;

    tcp_pair(ends);
    peer = adopt(ends, ear, protocol);
    await_word("made");
    assert_noted("made");
    return peer;
}

/* Writes until more is queued than the kernel may yet take while nobody reads;
   returns how much in all. The limits are raised, so that nothing is noted. */
#define PLENTY 300000
static inline size_t fill(rota_transport *transport)
{
    static const char block[4096];
    size_t sum = 0;

    assert_int_equal(
        rota_transport_set_write_buffer_limits(transport, 2 * PLENTY, 0), 0);
    while (rota_transport_get_write_buffer_size(transport) < PLENTY) {
        assert_int_equal(rota_transport_write(transport, block, sizeof block),
                         0);
        sum += sizeof block;
    }
    return sum;
}

/* Takes what has come to a bare end; false at its end. */
static inline bool drink(int fd, size_t *sum)
{
    static char block[65536];
    ssize_t n;

    while ((n = recv(fd, block, sizeof block, MSG_DONTWAIT)) > 0)
        *sum += (size_t)n;
    return n != 0;
}

/* Turns until the bare end has heard all of it, and its end. */
static inline size_t drink_up(int fd)
{
    size_t sum = 0;

    while (drink(fd, &sum))
        turn();
    return sum;
}

static inline void drink_bytes(int fd, size_t wanted)
{
    size_t sum = 0;

    while (sum < wanted) {
        assert_true(drink(fd, &sum));
        turn();
    }
    assert_int_equal(sum, wanted);
}

/* What a bare end hears once it hears something. */
static inline const char *hear(int fd)
{
    const char *heard;

    while (*(heard = bare_hear(fd)) == '\0')
        turn();
    return heard;
}

static inline void then_close(struct ear *ear)
{
    rota_transport_close(ear->transport);
}

static inline void then_abort(struct ear *ear)
{
    rota_transport_abort(ear->transport);
}

static inline void then_pause(struct ear *ear)
{
    assert_int_equal(rota_transport_pause_reading(ear->transport), 0);
}

#endif
