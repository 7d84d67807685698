/* SPDX-License-Identifier: MIT */
/*
 * Fuzzing: the state machine of a stream, over the simulated poller
 *
 * Two ends of a wire (wires.h). The input says what happens: writes of three
 * tasks, reads of every kind, cancellations, limits, ends, closes, aborts, and
 * time between them. Writes are numbered messages. What is read must be whole
 * messages, none twice, each that was written among them unless somebody
 * aborts. And nobody waits for ever.
 */
#define _GNU_SOURCE
#include "fuzz.h"
#include "wires.h"

#include <stdlib.h>

enum { WRITERS = 3, MOST = 1 << 11, LONGEST = 250, HEAD = 4 };

struct scene {
    struct input input;
    rota_stream *ends[2];
    rota_task writers[WRITERS];
    rota_task reader;
    bool writing[WRITERS];
    bool reading;
    bool broken; /* somebody aborted, or the reading end closed */
    bool ended;
    bool written[MOST]; /* the messages that were */
    unsigned sent;
    char heard[MOST * 4];
    size_t size;
};

static struct scene scene;

/* --- Writers ------------------------------------------------------------ */

/* Size, number, and bytes that follow from both. */
static size_t make_message(char *out, unsigned number, size_t size)
{
    out[0] = (char)size;
    out[1] = (char)(number >> 8);
    out[2] = (char)number;
    for (size_t i = 3; i < size; i++)
        out[i] = (char)(number * 31 + i * 7);
    return size;
}

static intptr_t write_message(void *arg)
{
    char message[LONGEST];
    unsigned number = scene.sent++;
    size_t size = HEAD + (uintptr_t)arg % (LONGEST - HEAD);
    struct iovec parts[2];
    intptr_t n;

    make_message(message, number, size);
    parts[0] = (struct iovec){message, size / 2};
    parts[1] = (struct iovec){message + size / 2, size - size / 2};
    if (number % 3 == 0)
        n = rota_writelines(scene.ends[0], parts, 2);
    else
        n = rota_write(scene.ends[0], message, size);
    assert_true(n == (intptr_t)size || rota_is_error(n));
    if (n > 0 && number < MOST)
        scene.written[number] = true;
    return n;
}

/* --- Readers ------------------------------------------------------------ */

static void hear(const void *data, intptr_t n)
{
    if (n <= 0 || scene.size + (size_t)n > sizeof scene.heard)
        return;
    memcpy(scene.heard + scene.size, data, (size_t)n);
    scene.size += (size_t)n;
}

static intptr_t read_somehow(void *arg)
{
    static const rota_separator separators[] = {{"\1\2", 2}, {"\7", 1}};
    unsigned how = (unsigned)(uintptr_t)arg;
    size_t size = 1 + how / 8;
    rota_stream *stream = scene.ends[1];
    const void *borrowed;
    char buf[64];
    intptr_t n;

    switch (how % 8) {
    case 0:
        n = rota_read_exactly(stream, buf, size);
        break;
    case 1:
        n = rota_read_until(stream, "\3", 1, buf, sizeof buf);
        break;
    case 2:
        n = rota_read_line(stream, buf, sizeof buf);
        break;
    case 3:
        n = rota_read_until_any(stream, separators, 2, buf, sizeof buf);
        break;
    case 4:
        n = rota_read_borrowed(stream, &borrowed);
        hear(borrowed, n);
        return n;
    case 5:
        n = rota_read_all(stream, buf, sizeof buf);
        break;
    default:
        n = rota_read(stream, buf, size);
    }
    hear(buf, n);
    return n;
}

/* --- The director ------------------------------------------------------- */

static void reap(bool *running, rota_task *task)
{
    intptr_t result;

    if (!*running)
        return;
    *running = false;
    result = rota_await(*task);
    assert_int_not_equal(result, -ROTA_EAWAITED);
}

static void cancel(bool *running, rota_task *task)
{
    if (*running)
        rota_task_cancel(*task);
    reap(running, task);
}

static void begin(bool *running, rota_task *task, rota_task_function *function,
                  unsigned arg)
{
    if (*running && !rota_task_done(*task))
        return;
    reap(running, task);
    *running = rota_create_task(task, function, (void *)(uintptr_t)arg) == 0;
}

static void end_somehow(unsigned how)
{
    switch (how % 8) {
    case 0:
    case 1:
    case 2:
        scene.ended = rota_write_eof(scene.ends[0]) == 0 || scene.ended;
        break;
    case 3:
    case 4:
    case 5:
        rota_close(scene.ends[0]);
        scene.ended = true;
        break;
    case 6:
        rota_close(scene.ends[1]);
        scene.broken = true;
        break;
    default:
        rota_abort(scene.ends[how / 8 % 2]);
        scene.broken = true;
    }
}

static void act(unsigned what, unsigned how)
{
    switch (what % 8) {
    case 0:
    case 1:
        begin(&scene.writing[how % WRITERS], &scene.writers[how % WRITERS],
              write_message, how);
        break;
    case 2:
    case 3:
        begin(&scene.reading, &scene.reader, read_somehow, how);
        break;
    case 4:
        cancel(&scene.writing[how % WRITERS], &scene.writers[how % WRITERS]);
        break;
    case 5:
        cancel(&scene.reading, &scene.reader);
        break;
    case 6:
        assert_int_equal(rota_sleep(how % 4 == 0 ? how * 0.001 : 0), 0);
        break;
    default:
        if (how < 64)
            end_somehow(how);
        else if (how < 128)
            rota_stream_set_limit(scene.ends[1], how);
        else
            rota_stream_set_write_buffer_limits(scene.ends[0], how, how / 2);
    }
}

/* Reads up to the end. A wait of an hour is one that never ends. */
static void finish(void)
{
    char buf[64];
    rota_timeout timeout;
    intptr_t n = 1;

    assert_int_equal(rota_timeout_begin(&timeout, 3600), 0);
    cancel(&scene.reading, &scene.reader);
    for (int i = 0; i < WRITERS; i++)
        cancel(&scene.writing[i], &scene.writers[i]);
    rota_close(scene.ends[0]);
    while (n > 0) {
        n = rota_read(scene.ends[1], buf, sizeof buf);
        hear(buf, n);
    }
    n = rota_timeout_end(&timeout, n);
    if (!scene.broken)
        assert_int_equal(n, 0);
}

/* --- What has been heard ------------------------------------------------ */

static void check(void)
{
    bool heard[MOST] = {false};
    char whole[LONGEST];
    size_t at = 0;

    while (at < scene.size) {
        size_t size = (unsigned char)scene.heard[at];
        unsigned number;

        if (scene.size - at < HEAD || scene.size - at < size)
            break; /* cut off by an abort */
        number = (unsigned)(unsigned char)scene.heard[at + 1] << 8 |
                 (unsigned char)scene.heard[at + 2];
        assert_true(size >= HEAD && number < scene.sent);
        make_message(whole, number, size);
        assert_memory_equal(scene.heard + at, whole, size);
        assert_false(heard[number]);
        heard[number] = true;
        at += size;
    }
    if (scene.broken)
        return;
    assert_int_equal(at, scene.size);
    for (unsigned i = 0; i < scene.sent && i < MOST; i++)
        assert_true(heard[i] || !scene.written[i]);
}

static intptr_t direct(void *arg)
{
    (void)arg;
    wire_begin(next_word(&scene.input));
    wire_open(0, scene.ends);
    while (scene.input.at < scene.input.end && scene.sent < 2000) {
        unsigned what = next_byte(&scene.input);

        act(what, next_byte(&scene.input));
    }
    finish();
    rota_stream_free(scene.ends[0]);
    rota_stream_free(scene.ends[1]);
    assert_int_equal(rota_sleep(3600), 0); /* what was queued is sent */
    assert_int_equal(wires_open(), 0);
    check();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const rota_loop_options options = {
        .poller = "sim", .virtual_clock = true, .stack_size = 1 << 18};

    memset(&scene, 0, offsetof(struct scene, written));
    memset(scene.written, 0, sizeof scene.written[0] * 2048);
    scene.sent = 0;
    scene.size = 0;
    scene.input = (struct input){data, data + size};
    assert_int_equal(rota_run_with(&options, direct, NULL), 0);
    return 0;
}
