/* SPDX-License-Identifier: MIT */
/*
 * A chat room: what one says, all others hear: `chat_server [PORT]`
 *
 * Try it with several `nc 127.0.0.1 7001`. The first line is one's name. Each
 * member has two tasks: one reads what the member says, the other writes what
 * stands in the member's queue, so that a slow member holds up nobody; whoever
 * is more than a hundred messages behind is thrown out.
 */
#include "announce.h"
#include <string.h>

#define LINE 512
#define BEHIND 100
#define PATIENCE 5.0

struct member {
    struct member *next;
    rota_stream *stream;
    rota_queue *heard;
    char name[32];
};

static struct member *members;

static void tell_all(const struct member *from, const char *format,
                     const char *text)
{
    char line[LINE + 64] = "";

    snprintf(line, sizeof line, format, from->name, text);
    for (struct member *to = members; to; to = to->next)
        if (to != from && rota_queue_put_nowait(to->heard, line) < 0)
            rota_abort(to->stream);
}

static intptr_t write_all(void *arg)
{
    struct member *self = arg;
    char line[LINE + 64] = "";
    intptr_t n;

    while ((n = rota_queue_get(self->heard, line)) == 0)
        if ((n = rota_write(self->stream, line, strlen(line))) < 0)
            break;
    return n == -ROTA_ESHUTDOWN ? 0 : n;
}

/* A line without its end; 0 when the member has gone. */
static intptr_t hear(struct member *self, char *line, size_t size)
{
    intptr_t n = rota_read_line(self->stream, line, size - 1);

    if (n <= 0)
        return n;
    line[n] = '\0';
    line[strcspn(line, "\r\n")] = '\0';
    return n;
}

static intptr_t converse(struct member *self)
{
    char line[LINE];
    intptr_t n;

    tell_all(self, "* %s has come%s\n", "");
    while ((n = hear(self, line, sizeof line)) > 0) {
        tell_all(self, "%s: %s\n", line);
        if ((n = rota_sleep(0)) < 0) /* the writers' turn, in a burst too */
            break;
    }
    return n;
}

static void leave(struct member *self)
{
    struct member **at = &members;

    while (*at != self)
        at = &(*at)->next;
    *at = self->next;
    tell_all(self, "* %s has left%s\n", "");
}

/* Whoever has stopped reading is not waited for. */
static intptr_t end_writer(struct member *self, rota_task writer)
{
    rota_timeout patience;
    intptr_t err;

    rota_queue_shutdown(self->heard, true);
    rota_timeout_begin(&patience, PATIENCE);
    err = rota_timeout_end(&patience, rota_await(writer));
    if (err == -ETIMEDOUT)
        rota_abort(self->stream);
    return err;
}

static intptr_t join(struct member *self)
{
    rota_task writer;
    intptr_t ended = 0;
    intptr_t err;

    err = rota_queue_new(&self->heard, LINE + 64, BEHIND);
    if (err < 0)
        return err;
    err = rota_create_task(&writer, write_all, self);
    if (err == 0) {
        self->next = members;
        members = self;
        err = converse(self);
        leave(self);
        ended = end_writer(self, writer);
    }
    rota_queue_free(self->heard);
    return err < 0 ? err : ended;
}

static intptr_t client(rota_stream *stream, void *arg)
{
    struct member self = {.stream = stream};
    intptr_t n;

    (void)arg;
    n = rota_write(stream, "your name? ", 11);
    if (n > 0)
        n = hear(&self, self.name, sizeof self.name);
    if (n > 0)
        n = join(&self);
    /* Thrown out, or with too long a line: that is no news. */
    return n == -ROTA_ECLOSING || n == -ROTA_ELIMIT ? 0 : n;
}

static intptr_t amain(void *port)
{
    rota_server *server;
    int err =
        rota_start_server(&server, client, NULL, "127.0.0.1", *(int *)port);

    if (err == 0)
        err = announce(server);
    return err < 0 ? err : rota_serve_forever(server);
}

int main(int argc, char **argv)
{
    int port = argc > 1 ? parse_port(argv[1]) : 7001;
    intptr_t err = rota_run(amain, &port);

    if (err == -EINTR) /* Ctrl-C */
        err = 0;
    if (err < 0)
        fprintf(stderr, "chat_server: %s\n", rota_strerror(err));
    return err < 0;
}
