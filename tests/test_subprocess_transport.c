/* SPDX-License-Identifier: MIT */
/*
 * Subprocesses with callbacks: what is told, and in which order
 */
#define _GNU_SOURCE
#include "contexts.h"
#include "listeners.h"

/* --- To the end ----------------------------------------------------------- */

static void listen_to_nothing(rota_loop *loop)
{
    struct listener listener = {0};

    listen_to(loop, &listener, NULL, "exit 7");
    assert_noted("");
    run_until_lost(loop, &listener);
    assert_noted("made exited:7 lost");
}

static void without_pipes_it_is_made_exits_and_is_lost(void)
{
    with_loops(listen_to_nothing);
}

static void exec_a_program(rota_loop *loop)
{
    const char *argv[] = {"false", NULL};
    struct listener listener = {0};
    rota_subprocess_transport *transport;

    assert_int_equal(rota_subprocess_exec(&transport, loop, &listeners,
                                          &listener, argv, NULL),
                     0);
    assert_false(rota_subprocess_transport_get_returncode(transport, NULL));
    run_until_lost(loop, &listener);
    assert_noted("made exited:1 lost");
}

static void a_program_is_run_as_a_command_is(void)
{
    with_loops(exec_a_program);
}

static void tell_at_once(struct listener *listener)
{
    for (int fd = 0; fd < 3; fd++)
        assert_non_null(rota_subprocess_transport_get_pipe_transport(
            listener->transport, fd));
    assert_null(
        rota_subprocess_transport_get_pipe_transport(listener->transport, 3));
    assert_null(
        rota_subprocess_transport_get_pipe_transport(listener->transport, -1));
    tell(listener, "hello");
    hang_up(listener);
}

static void listen_to_all(rota_loop *loop)
{
    struct listener listener = {.made = tell_at_once};

    listen_to(loop, &listener, &all_pipes, "echo err >&2; cat; exit 3");
    run_until_lost(loop, &listener);
    assert_noted("made exited:3 lost");
    assert_int_equal(listener.lost_pipes, 3);
    assert_string_equal(listener.heard[0], "hello");
    assert_string_equal(listener.heard[1], "err\n");
}

static void all_pipes_can_be_used_from_connection_made_on(void)
{
    with_loops(listen_to_all);
}

/* The child has said all and ended before the loop runs. */
static void listen_late(rota_loop *loop)
{
    struct listener listener = {0};
    rota_subprocess_transport *transport =
        listen_to(loop, &listener, &all_pipes, "echo out; echo err >&2");
    siginfo_t info;

    assert_int_equal(waitid(P_PID,
                            (id_t)rota_subprocess_transport_get_pid(transport),
                            &info, WEXITED | WNOWAIT),
                     0);
    run_until_lost(loop, &listener);
    assert_noted("made exited:0 lost");
    assert_string_equal(listener.heard[0], "out\n");
    assert_string_equal(listener.heard[1], "err\n");
}

static void connection_made_comes_first_also_of_one_that_has_ended(void)
{
    with_loops(listen_late);
}

static void look_at_exit(struct listener *listener)
{
    assert_int_equal(
        rota_subprocess_transport_send_signal(listener->transport, SIGTERM),
        -ESRCH);
    assert_int_equal(rota_subprocess_transport_terminate(listener->transport),
                     -ESRCH);
    assert_int_equal(rota_subprocess_transport_kill(listener->transport),
                     -ESRCH);
    assert_false(rota_subprocess_transport_is_closing(listener->transport));
}

static void signal_the_dead(rota_loop *loop)
{
    struct listener listener = {.exited = look_at_exit};
    rota_subprocess_transport *transport =
        listen_to(loop, &listener, NULL, "exit 6");
    int returncode;

    rota_subprocess_transport_ref(transport);
    run_until_lost(loop, &listener);
    assert_noted("made exited:6 lost");
    assert_true(
        rota_subprocess_transport_get_returncode(transport, &returncode));
    assert_int_equal(returncode, 6);
    assert_int_equal(rota_subprocess_transport_kill(transport), -ESRCH);
    rota_subprocess_transport_close(transport);
    rota_subprocess_transport_unref(transport);
}

static void nobody_is_signalled_after_the_end(void)
{
    with_loops(signal_the_dead);
}

/* --- Signals ---------------------------------------------------------------
 */

static void send_hup(struct listener *listener)
{
    assert_int_equal(
        rota_subprocess_transport_send_signal(listener->transport, SIGHUP), 0);
}

static void send_term(struct listener *listener)
{
    assert_int_equal(rota_subprocess_transport_terminate(listener->transport),
                     0);
}

static void send_kill(struct listener *listener)
{
    assert_int_equal(rota_subprocess_transport_kill(listener->transport), 0);
}

static void end_by_signals(rota_loop *loop)
{
    struct listener hup = {.made = send_hup};
    struct listener term = {.made = send_term};
    struct listener killed = {.made = send_kill};

    listen_to(loop, &hup, NULL, FOR_EVER);
    run_until_lost(loop, &hup);
    listen_to(loop, &term, NULL, FOR_EVER);
    run_until_lost(loop, &term);
    listen_to(loop, &killed, &all_pipes, FOR_EVER);
    run_until_lost(loop, &killed);
    assert_noted("made exited:-1 lost made exited:-15 lost "
                 "made exited:-9 lost");
}

static void signals_are_sent_and_told(void)
{
    with_loops(end_by_signals);
}

/* --- Much --------------------------------------------------------------------
 */

static void write_much(struct listener *listener)
{
    char *data = make_pattern(BIG);

    assert_int_equal(
        rota_transport_write(rota_subprocess_transport_get_pipe_transport(
                                 listener->transport, 0),
                             data, BIG),
        0);
    free(data);
    hang_up(listener);
}

static void send_much(rota_loop *loop)
{
    struct listener listener = {.made = write_much, .silent = true};

    listen_to(loop, &listener, &piped, "exec cat");
    run_until_lost(loop, &listener);
    assert_int_equal(listener.heard_size, BIG);
    assert_noted("made pause resume exited:0 lost");
}

static void what_is_queued_is_sent_after_stdin_was_closed(void)
{
    with_loops(send_much);
}

static void fill_stdin(struct listener *listener)
{
    char *data = make_pattern(BIG);

    assert_int_equal(
        rota_transport_write(rota_subprocess_transport_get_pipe_transport(
                                 listener->transport, 0),
                             data, BIG),
        0);
    free(data);
    send_kill(listener);
}

static void write_to_one_that_ends(rota_loop *loop)
{
    struct listener listener = {.made = fill_stdin};

    listen_to(loop, &listener, &piped_in, FOR_EVER);
    run_until_lost(loop, &listener);
    if (strstr(scenario_line, "exited:-9 lost0:EPIPE"))
        assert_noted("made pause exited:-9 lost0:EPIPE lost");
    else
        assert_noted("made pause lost0:EPIPE exited:-9 lost");
}

static void a_child_that_hears_no_more_loses_stdin_with_epipe(void)
{
    with_loops(write_to_one_that_ends);
}

/* --- The context -------------------------------------------------------------
 */

static void expect_context(struct listener *listener)
{
    (void)listener;
    assert_string_equal(value(), "mine");
}

static void listen_in_a_context(rota_loop *loop)
{
    struct listener listener = {.made = expect_context,
                                .exited = expect_context};

    rota_context_token token = set_with_token("mine");

    listen_to(loop, &listener, NULL, "exit 0");
    assert_int_equal(reset(&token), 0);
    assert_string_equal(value(), "none");
    run_until_lost(loop, &listener);
    assert_noted("made exited:0 lost");
}

static void callbacks_run_in_the_context_of_the_start(void)
{
    with_loops(listen_in_a_context);
}

HARNESS_MAIN(TEST(without_pipes_it_is_made_exits_and_is_lost),
             TEST(a_program_is_run_as_a_command_is),
             TEST(all_pipes_can_be_used_from_connection_made_on),
             TEST(connection_made_comes_first_also_of_one_that_has_ended),
             TEST(nobody_is_signalled_after_the_end),
             TEST(signals_are_sent_and_told),
             TEST(what_is_queued_is_sent_after_stdin_was_closed),
             TEST(a_child_that_hears_no_more_loses_stdin_with_epipe),
             TEST(callbacks_run_in_the_context_of_the_start))
