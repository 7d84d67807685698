/* SPDX-License-Identifier: MIT */
/*
 * Children: what the tests of subprocesses share
 *
 * Small programs that every system has, most of them commands for sh. One that
 * is to be in a certain state says so by a line, so nothing waits for time to
 * pass.
 */
#ifndef TESTS_CHILDREN_H
#define TESTS_CHILDREN_H

#include "sockets.h"

#include <rota/subprocess.h>
#include <signal.h>
#include <sys/wait.h>

static const rota_subprocess_options piped = {
    .in = ROTA_PIPE,
    .out = ROTA_PIPE,
};
static const rota_subprocess_options piped_out = {.out = ROTA_PIPE};
static const rota_subprocess_options piped_in = {.in = ROTA_PIPE};

/* Runs for as long as nobody ends it. */
#define FOR_EVER "exec sleep 3600"

static inline rota_process *shell_with(const rota_subprocess_options *options,
                                       const char *command)
{
    rota_process *process = NULL;

    assert_int_equal(rota_create_subprocess_shell(&process, command, options),
                     0);
    assert_true(rota_process_pid(process) > 0);
    return process;
}

static inline rota_process *shell(const char *command)
{
    return shell_with(NULL, command);
}

/* Its end, which must come. */
static inline int end_of(rota_process *process)
{
    int returncode = 12345;
    int again = 12345;

    assert_int_equal(rota_process_wait(process, &returncode), 0);
    assert_true(rota_process_returncode(process, &again));
    assert_int_equal(again, returncode);
    return returncode;
}

/* The same, and gives it back. */
static inline int last_of(rota_process *process)
{
    int returncode = end_of(process);

    rota_process_free(process);
    return returncode;
}

static inline void expect_line(rota_stream *stream, const char *expected)
{
    char line[256];
    intptr_t n = rota_read_line(stream, line, sizeof line - 1);

    assert_true(n >= 0);
    line[n] = '\0';
    assert_string_equal(line, expected);
}

static inline void expect_all(rota_stream *stream, const char *expected)
{
    char text[512];
    intptr_t n = rota_read_all(stream, text, sizeof text - 1);

    assert_true(n >= 0);
    text[n] = '\0';
    assert_string_equal(text, expected);
}

static inline void say(rota_stream *stream, const char *text)
{
    assert_int_equal(rota_write(stream, text, strlen(text)), strlen(text));
}

/* Neither alive nor a zombie. */
static inline bool is_gone(pid_t pid)
{
    return kill(pid, 0) < 0 && errno == ESRCH;
}

static inline char pattern_at(size_t at)
{
    return (char)(at * 31 + at / 4099 + at / 65537);
}

static inline char *make_pattern(size_t size)
{
    char *data = malloc(size);

    assert_non_null(data);
    for (size_t i = 0; i < size; i++)
        data[i] = pattern_at(i);
    return data;
}

static inline void assert_pattern(const char *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (data[i] != pattern_at(i))
            fail_msg("wrong byte at %zu of %zu", i, size);
}

/* --- Conversations ------------------------------------------------------- */

enum { BIG = 4 << 20 }; /* more than any pipe holds */

static const rota_subprocess_options all_piped = {
    .in = ROTA_PIPE,
    .out = ROTA_PIPE,
    .err = ROTA_PIPE,
};

/* Its result must be `err`; the caller gives the output back. */
static inline void communicate(rota_process *process,
                               const rota_communicate_options *options,
                               rota_process_output *output, int err)
{
    int result;

    memset(output, 1, sizeof *output);
    result = rota_process_communicate(process, options, output);
    assert_int_equal(result, err);
    if (err < 0)
        assert_int_equal(output->returncode, 0);
    if (output->out)
        assert_int_equal(output->out[output->out_size], '\0');
    if (output->err)
        assert_int_equal(output->err[output->err_size], '\0');
}

static inline void expect_said(rota_process_output *output, const char *out,
                               const char *err, int returncode)
{
    if (out)
        assert_string_equal(output->out, out);
    else
        assert_null(output->out);
    if (err)
        assert_string_equal(output->err, err);
    else
        assert_null(output->err);
    assert_int_equal(output->returncode, returncode);
    rota_process_output_fini(output);
    rota_process_output_fini(output);
}

static inline rota_communicate_options input(const char *text)
{
    return (rota_communicate_options){.input = text,
                                      .input_size = strlen(text)};
}

struct call {
    rota_process *process;
    rota_communicate_options options;
    rota_process_output output;
};

static inline intptr_t make_call(void *arg)
{
    struct call *call = arg;

    return rota_process_communicate(call->process, &call->options,
                                    &call->output);
}

#endif
