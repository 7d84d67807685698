/* SPDX-License-Identifier: MIT */
/*
 * Fuzzing: TLS between two ends of rota, and somebody between them
 *
 * The input says which bytes on the way are changed, dropped or added, and
 * where the way ends, or what a peer says that never speaks TLS. Whatever
 * happens: what arrives is what was sent, from its beginning; an end is an
 * orderly one only if all has arrived; and nobody waits longer than the
 * timeouts of TLS. Time is virtual.
 */
#define _GNU_SOURCE
#include "fuzz.h"
#include "tls_pairs.h"

enum { SIZE = 40000, MUTATIONS = 6, CUT = 0, DROP, ADD, CHANGE };

struct mutation {
    unsigned offset;
    unsigned kind;
    unsigned value;
};

struct way {
    rota_stream *from;
    rota_stream *to;
    struct mutation mutations[MUTATIONS];
    int count;
    unsigned at;
};

static rota_tls_context *client_context;
static rota_tls_context *server_context;
static char sent[SIZE];
static bool changed; /* a mutation has been made */

static void prepare(void)
{
    if (client_context)
        return;
    make_papers();
    client_context = plain_client();
    server_context = server_with("server");
    for (size_t i = 0; i < SIZE; i++)
        sent[i] = (char)(i * 7 + i / 256);
}

void fuzz_end(void)
{
    rota_tls_context_free(client_context);
    rota_tls_context_free(server_context);
    client_context = NULL;
    papers_end();
}

/* --- Between them ------------------------------------------------------- */

static const struct mutation *mutation_at(const struct way *way)
{
    for (int i = 0; i < way->count; i++)
        if (way->mutations[i].offset == way->at)
            return &way->mutations[i];
    return NULL;
}

/* One byte becomes none, one or two; -1 ends the way. */
static int mutate(struct way *way, char byte, char *out)
{
    const struct mutation *mutation = mutation_at(way);
    int size = 0;

    way->at++;
    if (mutation) {
        changed = true;
        if (mutation->kind == CUT)
            return -1;
        if (mutation->kind == DROP)
            return 0;
        if (mutation->kind == ADD)
            out[size++] = (char)mutation->value;
        else
            byte = (char)(byte ^ (mutation->value | 1));
    }
    out[size++] = byte;
    return size;
}

static intptr_t pass_on(void *arg)
{
    struct way *way = arg;
    char in[4096];
    char out[2 * sizeof in];
    intptr_t n;

    while ((n = rota_read(way->from, in, sizeof in)) > 0) {
        size_t size = 0;
        int more = 0;

        for (intptr_t i = 0; i < n && more >= 0; i++) {
            more = mutate(way, in[i], out + size);
            size += more > 0 ? (size_t)more : 0;
        }
        if (size > 0 && rota_write(way->to, out, size) < 0)
            break;
        if (more < 0)
            break;
    }
    (void)rota_write_eof(way->to);
    return 0;
}

/* --- The ends ----------------------------------------------------------- */

static intptr_t speak(void *arg)
{
    intptr_t n = rota_write(arg, sent, SIZE);

    if (n > 0)
        rota_close(arg);
    return n;
}

static void listen_to(struct tls_end *end)
{
    static char heard[SIZE + 1];
    size_t size = 0;
    intptr_t n = end->result;

    if (n < 0)
        return;
    while ((n = rota_read(end->stream, heard + size, sizeof heard - size)) > 0)
        size += (size_t)n;
    assert_true(size <= SIZE);
    assert_memory_equal(heard, sent, size);
    if (n == 0 || !changed)
        assert_int_equal(size, SIZE);
}

static intptr_t converse(void *arg)
{
    struct tls_pair *pair = arg;
    rota_task speaker;
    intptr_t n;

    tls_pair_shake(pair);
    if (!changed) {
        assert_int_equal(pair->client.result, 0);
        assert_int_equal(pair->server.result, 0);
    }
    if (pair->client.result < 0) {
        rota_abort(pair->client.stream);
        listen_to(&pair->server);
        return 0;
    }
    speaker = start(speak, pair->client.stream);
    listen_to(&pair->server);
    rota_close(pair->server.stream);
    n = rota_await(speaker);
    assert_true(n == SIZE || (changed && n < 0));
    return 0;
}

static void read_mutations(struct way *way, struct input *input)
{
    way->count = 0;
    way->at = 0;
    while (way->count < MUTATIONS && next_byte(input) % 4 != 0) {
        struct mutation *mutation = &way->mutations[way->count++];
        unsigned high = next_byte(input);

        mutation->offset = high << 8 | next_byte(input);
        if (high >= 128) /* most of what can go wrong is near the beginning */
            mutation->offset %= 1024;
        mutation->kind = next_byte(input) % 4;
        mutation->value = next_byte(input);
    }
}

static struct input input;

static intptr_t stand_between(void *arg)
{
    struct tls_pair pair;
    struct way ways[2];
    rota_stream *middle[2];
    rota_task tasks[3];
    int client[2];
    int server[2];

    (void)arg;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, client), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, server), 0);
    tls_pair_take(&pair, client_context, server_context,
                  (int[]){client[0], server[0]});
    assert_int_equal(rota_open_fd(&middle[0], client[1]), 0);
    assert_int_equal(rota_open_fd(&middle[1], server[1]), 0);
    for (int i = 0; i < 2; i++) {
        ways[i].from = middle[i];
        ways[i].to = middle[1 - i];
        read_mutations(&ways[i], &input);
        tasks[i] = start(pass_on, &ways[i]);
    }
    tasks[2] = start(converse, &pair);
    assert_int_equal(rota_await(tasks[2]), 0);
    rota_stream_free(pair.client.stream);
    rota_stream_free(pair.server.stream);
    for (int i = 0; i < 2; i++)
        assert_int_equal(rota_await(tasks[i]), 0);
    rota_stream_free(middle[0]);
    rota_stream_free(middle[1]);
    return 0;
}

/* The peer says what the input says, and ends. */
static intptr_t talk_nonsense(void *arg)
{
    bool server_side = arg != NULL;
    rota_tls_options options = {.server_name = "localhost",
                                .server_side = server_side};
    rota_stream *stream;
    size_t size = (size_t)(input.end - input.at);
    int fds[2];
    int err;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    assert_int_equal(rota_open_fd(&stream, fds[0]), 0);
    if (size > 0)
        bare_send(fds[1], input.at, size);
    assert_int_equal(shutdown(fds[1], SHUT_WR), 0);
    err = rota_start_tls(stream, server_side ? server_context : client_context,
                         &options);
    assert_true(err < 0 && err != -ETIMEDOUT);
    rota_stream_free(stream);
    close(fds[1]);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rota_loop_options options = {.virtual_clock = true, .stack_size = 1 << 18};
    unsigned what;
    intptr_t result;

    prepare();
    changed = false;
    input = (struct input){data, data + size};
    what = next_byte(&input) % 4;
    if (what == 0)
        result = rota_run_with(&options, talk_nonsense, NULL);
    else if (what == 1)
        result = rota_run_with(&options, talk_nonsense, &options);
    else
        result = rota_run_with(&options, stand_between, NULL);
    assert_int_equal(result, 0);
    return 0;
}
