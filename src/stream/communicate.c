/* SPDX-License-Identifier: MIT */
/*
 * A whole conversation with a process
 *
 * One task does all of it. Its one waiter is the reader of stdout and of
 * stderr and stands in stdin's queue for room; whichever has news wakes it,
 * and it then reads and writes what can be without waiting. What is read goes
 * from the kernel straight into the memory that the caller gets.
 */
#include "stream/subprocess.h"

#define SMALLEST 4096

struct talk {
    rota_process *process;
    struct rota__task *self;
    struct rota__waiter waiter;
    rota_stream *in; /* while we are its writer */
    const char *input;
    size_t left;
    struct rota__buffer heard[2]; /* always with room for a zero byte */
    size_t limit;
    struct rota__at_close at_close;
};

static rota_stream *ear(const struct talk *talk, int i)
{
    return talk->process->streams[i + 1];
}

/* --- Begin and end ------------------------------------------------------ */

static bool is_open(const rota_stream *stream)
{
    return stream && !stream->closing;
}

static int check(const rota_process *process,
                 const rota_communicate_options *options)
{
    rota_stream *const *streams = process->streams;
    bool says = options->input != NULL;

    if ((says && !streams[0]) || (!says && options->input_size > 0) ||
        !(options->timeout >= 0))
        return -EINVAL;
    if (options->input_size > 0 && !is_open(streams[0]))
        return -ROTA_ECLOSING;
    if ((is_open(streams[0]) && streams[0]->writing) ||
        (is_open(streams[1]) && streams[1]->reader) ||
        (is_open(streams[2]) && streams[2]->reader))
        return -EBUSY;
    return 0;
}

static void forget(struct talk *talk)
{
    rota__buffer_fini(&talk->heard[0]);
    rota__buffer_fini(&talk->heard[1]);
}

static void loop_closes(struct rota__at_close *at_close)
{
    forget(rota__container_of(at_close, struct talk, at_close));
}

/* Becomes the reader of what is open, and the writer of stdin. */
static void take_places(struct talk *talk)
{
    rota_stream *in = talk->process->streams[0];

    talk->waiter.task = talk->self;
    for (int i = 0; i < 2; i++)
        if (is_open(ear(talk, i)))
            ear(talk, i)->reader = &talk->waiter;
    if (is_open(in)) {
        in->writing = true;
        in->users++;
        talk->in = in;
    }
}

static int begin(struct talk *talk)
{
    for (int i = 0; i < 2; i++) {
        if (ear(talk, i) && rota__buffer_reserve(&talk->heard[i], 1) < 0) {
            forget(talk);
            return -ENOMEM;
        }
    }
    rota__process_enter(talk->process);
    rota__at_close_add(talk->process->base.child.loop, &talk->at_close,
                       loop_closes);
    take_places(talk);
    return 0;
}

/* One that was freed in the meantime has left us as the last in stdin. */
static void stop_saying(struct talk *talk)
{
    rota_stream *in = talk->in;

    if (!in)
        return;
    talk->in = NULL;
    rota__stream_release_writer(in);
    in->users--;
    rota__stream_leave(in);
}

static void leave_places(struct talk *talk)
{
    stop_saying(talk);
    if (talk->process->freed)
        return;
    for (int i = 0; i < 2; i++)
        if (ear(talk, i) && ear(talk, i)->reader == &talk->waiter)
            ear(talk, i)->reader = NULL;
}

static void give(struct rota__buffer *heard, size_t limit, char **out,
                 size_t *size)
{
    char *fitting;

    if (!heard->memory)
        return;
    if (limit > 0 && heard->end > limit)
        heard->end = limit;
    fitting = rota__realloc(heard->memory, heard->end + 1);
    *out = fitting ? fitting : heard->memory;
    *size = heard->end;
    (*out)[*size] = '\0';
}

static void give_all(struct talk *talk, rota_process_output *output)
{
    rota__at_close_remove(&talk->at_close);
    give(&talk->heard[0], talk->limit, &output->out, &output->out_size);
    give(&talk->heard[1], talk->limit, &output->err, &output->err_size);
}

/* --- What can be done without waiting ------------------------------------ */

/* Room for what comes next, of which one byte may be too many. */
static intptr_t make_room(const struct talk *talk, struct rota__buffer *heard)
{
    size_t room = heard->capacity - heard->end - 1;

    if (room < SMALLEST)
        room = SMALLEST;
    if (talk->limit > 0 && talk->limit - heard->end < room)
        room = talk->limit - heard->end + 1;
    return rota__buffer_reserve(heard, room + 1) < 0 ? -ENOMEM : (intptr_t)room;
}

static intptr_t receive(rota_stream *stream, char *to, size_t room)
{
    size_t have = rota__buffer_size(&stream->in);

    if (have == 0)
        return rota__conn_read(&stream->conn, to, room);
    if (have > room)
        have = room;
    memcpy(to, rota__buffer_data(&stream->in), have);
    rota__buffer_consume(&stream->in, have);
    return (intptr_t)have;
}

/* Bytes, 0 if there are none now or none any more, or an error. */
static intptr_t hear(struct talk *talk, int i)
{
    rota_stream *stream = ear(talk, i);
    struct rota__buffer *heard = &talk->heard[i];
    intptr_t n;

    if (!is_open(stream))
        return 0;
    n = make_room(talk, heard);
    if (n > 0)
        n = receive(stream, heard->memory + heard->end, (size_t)n);
    if (n == -EAGAIN)
        return 0;
    if (n > 0)
        rota__buffer_filled(heard, (size_t)n);
    if (n == 0)
        rota_close(stream);
    if (talk->limit > 0 && heard->end > talk->limit)
        return -ROTA_ELIMIT;
    return n;
}

/* Bytes, or 0. A child that hears no more is no error. */
static intptr_t say(struct talk *talk)
{
    rota_stream *in = talk->in;
    intptr_t n = 0;

    if (!in)
        return 0;
    if (!in->closing && talk->left > 0) {
        n = rota__conn_write(&in->conn, talk->input, talk->left);
        if (n < 0)
            talk->left = 0;
    }
    if (n > 0) {
        talk->input += n;
        talk->left -= (size_t)n;
    }
    if (in->closing || talk->left == 0) {
        stop_saying(talk);
        rota_close(in);
    }
    return n > 0 ? n : 0;
}

static intptr_t hear_and_say(struct talk *talk)
{
    intptr_t out = hear(talk, 0);
    intptr_t err = out < 0 ? out : hear(talk, 1);

    return err < 0 ? err : out + err + say(talk);
}

/* --- Waiting ------------------------------------------------------------ */

static bool is_over(const struct talk *talk)
{
    return !is_open(ear(talk, 0)) && !is_open(ear(talk, 1)) && !talk->in;
}

/* What closes meanwhile has ended. */
static int wait_for_news(struct talk *talk)
{
    intptr_t err;

    rota__list_init(&talk->waiter.link);
    if (talk->in)
        rota__list_push(&talk->in->flow, &talk->waiter.link);
    err = rota__park(talk->self, &talk->waiter);
    return err == -ROTA_ECLOSING ? 0 : (int)err;
}

static int talk_to_the_end(struct talk *talk)
{
    intptr_t n = 0;

    while (n >= 0 && !is_over(talk)) {
        n = hear_and_say(talk);
        if (n == 0 && !is_over(talk))
            n = wait_for_news(talk);
        else if (n > 0 && rota__task_is_greedy(talk->self))
            n = rota__yield(talk->self);
        if (n >= 0 && talk->process->freed)
            n = -ROTA_ECLOSING;
    }
    return n < 0 ? (int)n : rota__process_wait(talk->process, talk->self);
}

static int talk_in_time(struct talk *talk, double seconds)
{
    rota_timeout timeout;
    int err;

    if (seconds <= 0)
        return talk_to_the_end(talk);
    err = rota_timeout_begin(&timeout, seconds);
    if (err == 0)
        err = talk_to_the_end(talk);
    return (int)rota_timeout_end(&timeout, err);
}

static int kill_and_wait(struct talk *talk, int why)
{
    int err;

    (void)rota_process_kill(talk->process);
    err = rota__process_wait(talk->process, talk->self);
    return err < 0 ? err : why;
}

int rota_process_communicate(rota_process *process,
                             const rota_communicate_options *options,
                             rota_process_output *output)
{
    static const rota_communicate_options plain;
    struct talk talk = {.process = process, .self = rota__current()};
    int err =
        rota__process_check(process, talk.self, "rota_process_communicate");

    *output = (rota_process_output){0};
    if (!options)
        options = &plain;
    talk.input = options->input;
    talk.left = options->input_size;
    talk.limit = options->limit;
    if (err == 0)
        err = check(process, options);
    if (err == 0)
        err = begin(&talk);
    if (err < 0)
        return err;
    err = talk_in_time(&talk, options->timeout);
    leave_places(&talk);
    if (err == -ETIMEDOUT || err == -ROTA_ELIMIT)
        err = kill_and_wait(&talk, err);
    if (err == 0)
        (void)rota_process_returncode(process, &output->returncode);
    give_all(&talk, output);
    rota__process_leave(process);
    return err;
}

void rota_process_output_fini(rota_process_output *output)
{
    rota__free(output->out);
    rota__free(output->err);
    *output = (rota_process_output){0};
}
