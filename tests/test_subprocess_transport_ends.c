/* SPDX-License-Identifier: MIT */
/*
 * Subprocesses with callbacks: closed, refused, left
 */
#define _GNU_SOURCE
#include "listeners.h"

/* --- Closed ------------------------------------------------------------------
 */

static void close_it(struct listener *listener)
{
    rota_subprocess_transport *transport = listener->transport;

    assert_false(rota_subprocess_transport_is_closing(transport));
    rota_subprocess_transport_close(transport);
    rota_subprocess_transport_close(transport);
    assert_true(rota_subprocess_transport_is_closing(transport));
    assert_false(rota_subprocess_transport_get_returncode(transport, NULL));
}

static void close_a_running_one(rota_loop *loop)
{
    struct listener listener = {.made = close_it};

    listen_to(loop, &listener, &all_pipes, "trap '' TERM; " FOR_EVER);
    run_until_lost(loop, &listener);
    assert_noted("made exited:-9 lost");
    assert_int_equal(listener.lost_pipes, 3);
}

static void close_kills_one_that_runs(void)
{
    with_loops(close_a_running_one);
}

static void close_at_once(rota_loop *loop)
{
    struct listener listener = {0};
    rota_subprocess_transport *transport =
        listen_to(loop, &listener, &all_pipes, FOR_EVER);

    rota_subprocess_transport_close(transport);
    assert_noted("");
    run_until_lost(loop, &listener);
    assert_noted("lost");
    listener = (struct listener){0};
    transport = listen_to(loop, &listener, NULL, FOR_EVER);
    rota_subprocess_transport_close(transport);
    run_until_lost(loop, &listener);
    assert_noted("lost");
}

static void one_that_is_closed_before_it_is_made_is_only_lost(void)
{
    with_loops(close_at_once);
}

static void close_one_that_has_ended(rota_loop *loop)
{
    struct listener listener = {0};
    rota_subprocess_transport *transport =
        listen_to(loop, &listener, &piped_out, "exit 4");
    siginfo_t info;

    assert_int_equal(waitid(P_PID,
                            (id_t)rota_subprocess_transport_get_pid(transport),
                            &info, WEXITED | WNOWAIT),
                     0);
    rota_subprocess_transport_ref(transport);
    rota_subprocess_transport_close(transport);
    run_until_lost(loop, &listener);
    assert_noted("lost");
    rota_subprocess_transport_unref(transport);
}

static void one_that_has_ended_may_be_closed_before_it_is_told(void)
{
    with_loops(close_one_that_has_ended);
}

/* --- Refused
 * ------------------------------------------------------------------ */

static int start_error(rota_loop *loop, const char *program,
                       const rota_subprocess_protocol *protocol)
{
    const char *argv[] = {program, NULL};
    rota_subprocess_transport *const untouched =
        (rota_subprocess_transport *)&argv;
    rota_subprocess_transport *transport = untouched;
    int err = rota_subprocess_exec(&transport, loop, protocol, NULL, argv,
                                   &all_pipes);

    assert_ptr_equal(transport, untouched);
    return err;
}

static void what_cannot_be_started_is_an_error_and_leaves_nothing(void)
{
    rota_subprocess_transport *transport;
    rota_loop *loop;

    assert_int_equal(rota_new_event_loop(&loop, NULL), 0);
    assert_int_equal(start_error(loop, "no-such-program", &listeners), -ENOENT);
    assert_int_equal(start_error(loop, "/etc/passwd", &listeners), -EACCES);
    assert_int_equal(start_error(loop, NULL, &listeners), -EINVAL);
    assert_int_equal(start_error(loop, "true", NULL), -EINVAL);
    assert_int_equal(
        rota_subprocess_shell(&transport, loop, &listeners, NULL, NULL, NULL),
        -EINVAL);
    assert_int_equal(rota_loop_close(loop), 0);
    rota_set_debug(loop, false); /* which stops at this misuse */
    assert_int_equal(start_error(loop, "true", &listeners), -ROTA_ECLOSED);
    assert_noted("");
    rota_loop_free(loop);
}

static void without_memory_nothing_is_left(void)
{
    struct listener listener = {0};
    rota_subprocess_transport *transport = NULL;
    rota_loop *loop;
    int err = -ENOMEM;

    assert_int_equal(rota_new_event_loop(&loop, NULL), 0);
    for (long nth = 1; err == -ENOMEM; nth++) {
        assert_true(nth < 30);
        harness_fail_allocation(nth);
        err = rota_subprocess_shell(&transport, loop, &listeners, &listener,
                                    FOR_EVER, &all_pipes);
        harness_fail_allocation(-1);
    }
    assert_int_equal(err, 0);
    rota_subprocess_transport_close(transport);
    run_until_lost(loop, &listener);
    assert_noted("lost");
    rota_loop_free(loop);
}

/* --- Left
 * --------------------------------------------------------------------- */

static void stop(struct listener *listener)
{
    rota_loop_stop(rota_get_running_loop());
    (void)listener;
}

static void a_loop_that_closes_kills_and_tells(void)
{
    struct listener listener = {.made = stop};
    rota_subprocess_transport *transport;
    rota_loop *loop;
    pid_t pid;

    assert_int_equal(rota_new_event_loop(&loop, NULL), 0);
    transport = listen_to(loop, &listener, &all_pipes, FOR_EVER);
    pid = rota_subprocess_transport_get_pid(transport);
    assert_int_equal(rota_loop_run_forever(loop), 0);
    rota_loop_free(loop);
    assert_true(listener.lost);
    assert_int_equal(listener.lost_pipes, 3);
    assert_non_null(strstr(scenario_line, "lost1:ROTA_ECLOSING"));
    assert_non_null(strstr(scenario_line, "exited:-9 lost:ROTA_ECLOSING"));
    assert_true(is_gone(pid));
}

static void a_loop_that_closes_before_it_is_made_only_loses_it(void)
{
    struct listener listener = {0};
    rota_subprocess_transport *transport;
    rota_loop *loop;

    assert_int_equal(rota_new_event_loop(&loop, NULL), 0);
    transport = listen_to(loop, &listener, &all_pipes, FOR_EVER);
    rota_subprocess_transport_ref(transport);
    rota_loop_free(loop);
    assert_noted("lost:ROTA_ECLOSING");
    assert_int_equal(rota_subprocess_transport_kill(transport), -ESRCH);
    rota_subprocess_transport_unref(transport);
}

static void start_another(rota_subprocess_transport *transport, int error,
                          void *arg)
{
    rota_subprocess_transport *another;

    (void)transport;
    note("lost:%s", rota_errname(error));
    assert_int_equal(rota_subprocess_shell(&another, arg, &listeners, arg,
                                           FOR_EVER, &all_pipes),
                     -ROTA_ECLOSED);
}

static void nothing_is_started_while_the_loop_closes(void)
{
    const rota_subprocess_protocol stubborn = {.connection_lost =
                                                   start_another};
    rota_subprocess_transport *transport;
    rota_loop *loop;

    assert_int_equal(rota_new_event_loop(&loop, NULL), 0);
    assert_int_equal(rota_subprocess_shell(&transport, loop, &stubborn, loop,
                                           FOR_EVER, &all_pipes),
                     0);
    rota_loop_free(loop);
    assert_noted("lost:ROTA_ECLOSING");
}

HARNESS_MAIN(TEST(close_kills_one_that_runs),
             TEST(one_that_is_closed_before_it_is_made_is_only_lost),
             TEST(one_that_has_ended_may_be_closed_before_it_is_told),
             TEST(what_cannot_be_started_is_an_error_and_leaves_nothing),
             TEST(without_memory_nothing_is_left),
             TEST(a_loop_that_closes_kills_and_tells),
             TEST(a_loop_that_closes_before_it_is_made_only_loses_it),
             TEST(nothing_is_started_while_the_loop_closes))
