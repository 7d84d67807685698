/* SPDX-License-Identifier: MIT */
/*
 * Two ends of a link that is taken down and up again
 *
 *     link serve            echoes on port 7000 until stdin ends
 *     link talk HOST BYTES  sends so many and hears them again, in rounds;
 *                           says "moving" after the first ones, "timed out"
 *                           for each read that does, and "all is heard"
 *     link try HOST SECONDS [LOCAL]   connects; says how that ended
 */
#include <rota.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PORT = 7000, ROUND = 20000 };

static intptr_t echo(rota_stream *stream, void *arg)
{
    char buf[ROUND];
    intptr_t n;

    (void)arg;
    while ((n = rota_read(stream, buf, sizeof buf)) > 0)
        if ((n = rota_write(stream, buf, (size_t)n)) < 0)
            break;
    return n;
}

static intptr_t serve(void *arg)
{
    rota_server *server;
    rota_stream *input;
    char end;
    intptr_t err = rota_start_server(&server, echo, NULL, "0.0.0.0", PORT);

    (void)arg;
    if (err < 0)
        return err;
    puts("ready");
    err = rota_open_fd(&input, dup(0));
    if (err == 0) {
        err = rota_read(input, &end, 1);
        rota_stream_free(input);
    }
    rota_server_free(server);
    return err;
}

/* Once more until it is there: what a read that times out had is kept. */
static intptr_t hear_round(rota_stream *stream, char *buf)
{
    for (;;) {
        rota_loop *loop = rota_get_running_loop();
        double began = rota_loop_time(loop);
        rota_timeout limit;
        intptr_t n;

        rota_timeout_begin(&limit, 0.3);
        n = rota_read_exactly(stream, buf, ROUND);
        n = rota_timeout_end(&limit, n);
        if (n != -ETIMEDOUT)
            return n;
        printf("timed out %.3f\n", rota_loop_time(loop) - began);
    }
}

static intptr_t talk(void *arg)
{
    char **words = arg;
    size_t bytes = strtoul(words[1], NULL, 10);
    char said[ROUND];
    char heard[ROUND];
    rota_stream *stream;
    intptr_t n = rota_open_connection(&stream, words[0], PORT);

    if (n < 0)
        return n;
    for (size_t at = 0; n >= 0 && at < bytes; at += ROUND) {
        for (size_t i = 0; i < ROUND; i++)
            said[i] = (char)(((at + i) * 2654435761U) >> 24);
        n = rota_write(stream, said, ROUND);
        if (n > 0)
            n = hear_round(stream, heard);
        if (n > 0 && memcmp(said, heard, ROUND) != 0)
            n = -EPROTO;
        if (n > 0 && at == 0)
            puts("moving");
        if (n > 0)
            n = rota_sleep(0.0005);
    }
    rota_stream_free(stream);
    if (n >= 0)
        puts("all is heard");
    return n;
}

static intptr_t try(void *arg)
{
    char **words = arg;
    const rota_connect_options options = {.local_host = words[2]};
    rota_stream *stream = NULL;
    rota_timeout limit;
    intptr_t err;

    rota_timeout_begin(&limit, strtod(words[1], NULL));
    err = rota_open_connection_with(&stream, words[0], PORT, &options);
    err = rota_timeout_end(&limit, err);
    puts(err < 0 ? rota_errname(err) : "connected");
    rota_stream_free(stream);
    return 0;
}

int main(int argc, char **argv)
{
    intptr_t err = -EINVAL;

    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc == 2 && strcmp(argv[1], "serve") == 0)
        err = rota_run(serve, NULL);
    else if (argc == 4 && strcmp(argv[1], "talk") == 0)
        err = rota_run(talk, argv + 2);
    else if (argc >= 4 && strcmp(argv[1], "try") == 0)
        err = rota_run(try, argv + 2);
    if (err < 0)
        printf("%s\n", rota_errname(err));
    return err < 0;
}
