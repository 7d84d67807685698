/* SPDX-License-Identifier: MIT */
/*
 * Interrupts: what SIGINT does while a main task runs
 */
#include "signals.h"

/* --- The first ----------------------------------------------------------- */

static intptr_t raise_and_wait(void *arg)
{
    int err;

    (void)arg;
    raise(SIGINT);
    err = rota_sleep(3600);
    note("%s", rota_errname(err));
    return err;
}

static void the_first_cancels_the_main_task(void)
{
    assert_int_equal(run_virtually(raise_and_wait, NULL), -EINTR);
    assert_noted("ECANCELED");
    assert_true(is_default(SIGINT));
    assert_int_equal(rota_run(raise_and_wait, NULL), -EINTR);
    assert_noted("ECANCELED");
    assert_true(is_default(SIGINT));
}

static intptr_t send_and_sleep(void *arg)
{
    struct sender *sender = arg;
    rota_future never;
    int err;

    sender->loop = rota_get_running_loop();
    start_sender(sender);
    rota_future_init(&never, sender->loop);
    err = rota_await_future(&never, NULL);
    rota_future_fini(&never);
    join_sender(sender);
    return err;
}

static void a_wait_is_ended(void)
{
    const rota_loop_options real = {.virtual_clock = false};
    void (*const ways[])(const struct sender *) = {send_to_process,
                                                   send_to_thread};

    for (int i = 0; i < 2; i++) {
        struct sender sender = {.number = SIGINT, .times = 1, .send = ways[i]};

        assert_int_equal(rota_run_with(&real, send_and_sleep, &sender), -EINTR);
    }
}

static intptr_t clean_up_slowly(void *arg)
{
    int err = (int)raise_and_wait(arg);

    note("cleaning");
    assert_int_equal(rota_sleep(60), 0);
    note("clean");
    return err;
}

static void a_main_task_may_clean_up(void)
{
    assert_int_equal(run_virtually(clean_up_slowly, NULL), -EINTR);
    assert_noted("ECANCELED cleaning clean");
}

static intptr_t swallow_it(void *result)
{
    (void)raise_and_wait(NULL);
    assert_int_equal(rota_task_uncancel(rota_current_task()), 0);
    assert_int_equal(rota_sleep(1), 0);
    return (intptr_t)result;
}

/* asyncio: the same. */
static void a_main_task_that_swallows_it_returns_its_own_result(void)
{
    assert_int_equal(run_virtually(swallow_it, (void *)7), 7);
    assert_int_equal(run_virtually(swallow_it, (void *)-EIO), -EIO);
    /* Python raises KeyboardInterrupt: uncancel() has nothing left. */
    assert_int_equal(run_virtually(swallow_it, (void *)-ECANCELED), -EINTR);
}

static intptr_t cancel_myself_too(void *arg)
{
    assert_int_equal(rota_task_cancel(rota_current_task()), 1);
    assert_int_equal(rota_sleep(0), -ECANCELED);
    return raise_and_wait(arg);
}

/* asyncio: CancelledError. */
static void one_that_others_have_cancelled_too_is_cancelled(void)
{
    assert_int_equal(run_virtually(cancel_myself_too, NULL), -ECANCELED);
}

static intptr_t cancel_myself(void *arg)
{
    (void)arg;
    assert_int_equal(rota_task_cancel(rota_current_task()), 1);
    return rota_sleep(1);
}

static void without_an_interrupt_a_cancelled_one_is_cancelled(void)
{
    assert_int_equal(run_virtually(cancel_myself, NULL), -ECANCELED);
}

static void raise_before(void *arg)
{
    (void)arg;
    raise(SIGINT);
}

static void one_before_the_first_step_ends_the_first_wait(void)
{
    const rota_loop_options virtually = {.virtual_clock = true};
    rota_runner runner;

    assert_int_equal(rota_runner_open(&runner, &virtually), 0);
    assert_int_equal(rota_call_soon(runner.loop, NULL, raise_before, NULL), 0);
    assert_int_equal(rota_runner_run(&runner, sleep_for_ever, (void *)"main"),
                     -EINTR);
    assert_noted("main");
    assert_int_equal(rota_runner_close(&runner), 0);
}

/* --- One that comes as the main task ends -------------------------------- */

static intptr_t raise_and_return(void *result)
{
    raise(SIGINT);
    return (intptr_t)result;
}

/* asyncio: KeyboardInterrupt for a result, an exception as it is. */
static void one_that_comes_too_late_takes_the_results_place(void)
{
    assert_int_equal(run_virtually(raise_and_return, (void *)7), -EINTR);
    assert_int_equal(run_virtually(raise_and_return, (void *)-EIO), -EIO);
    assert_true(is_default(SIGINT));
}

static intptr_t raise_and_stop(void *arg)
{
    raise(SIGINT);
    rota_loop_stop(rota_get_running_loop());
    return sleep_for_ever(arg);
}

static void a_stopped_run_leaves_it_to_the_next(void)
{
    rota_runner runner;

    assert_int_equal(rota_runner_open(&runner, NULL), 0);
    assert_int_equal(rota_runner_run(&runner, raise_and_stop, (void *)"main"),
                     -ROTA_ESTOPPED);
    assert_noted("");
    assert_true(is_default(SIGINT));
    assert_int_equal(rota_runner_run(&runner, return_arg, (void *)3), 3);
    assert_noted("main");
    assert_int_equal(rota_runner_close(&runner), 0);
}

/* --- The second ---------------------------------------------------------- */

static intptr_t raise_twice(void *arg)
{
    (void)raise_and_wait(arg);
    raise(SIGINT);
    fail_msg("the process has not ended");
    return 0;
}

static void the_second_ends_the_process(void)
{
    (void)run_virtually(raise_twice, NULL);
}

static intptr_t be_stuck(void *arg)
{
    raise(SIGINT);
    return raise_twice(arg);
}

static void the_second_ends_a_process_whose_loop_is_stuck(void)
{
    (void)run_virtually(be_stuck, NULL);
}

static atomic_bool stuck;

/* The kernel may fold the two into one: then the test sends more. */
static void *interrupt_until_it_ends(void *arg)
{
    while (!atomic_load(&stuck))
        sched_yield();
    for (;;) {
        kill(getpid(), SIGINT);
        sched_yield();
    }
    return arg;
}

static intptr_t spin_for_ever(void *arg)
{
    sigset_t all, before;
    pthread_t thread;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    assert_int_equal(
        pthread_create(&thread, NULL, interrupt_until_it_ends, arg), 0);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    atomic_store(&stuck, true);
    for (;;)
        ;
    return 0;
}

static void a_callback_that_never_ends_is_ended(void)
{
    (void)rota_run(spin_for_ever, NULL);
}

static intptr_t clean_up(void *arg)
{
    int err = rota_sleep(3600);

    (void)arg;
    note("%s", is_default(SIGINT) ? "default" : "ours");
    return err;
}

static intptr_t leave_one_to_clean_up(void *arg)
{
    int err = rota_detach(start(clean_up, arg));

    assert_int_equal(err, 0);
    pass_turns(1);
    note("%s", is_default(SIGINT) ? "default" : "ours");
    return 5;
}

/* asyncio: the same. */
static void while_others_are_cancelled_one_ends_the_process(void)
{
    assert_int_equal(run_virtually(leave_one_to_clean_up, NULL), 5);
    assert_noted("ours default");
}

/* --- Who has it ---------------------------------------------------------- */

static intptr_t note_disposition(void *arg)
{
    (void)arg;
    note("%s", is_default(SIGINT) ? "default" : "other");
    return 1;
}

static void *run_elsewhere(void *arg)
{
    assert_int_equal(run_virtually(note_disposition, NULL), 1);
    return arg;
}

static void another_thread_leaves_it_alone(void)
{
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, run_elsewhere, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_noted("default");
}

static void run_until_complete_leaves_it_alone(void)
{
    rota_loop *loop = signal_loop(NULL);

    assert_int_equal(rota_loop_run_until_complete(loop, note_disposition, NULL),
                     1);
    assert_noted("default");
    rota_loop_free(loop);
}

static intptr_t raise_and_pass(void *arg)
{
    (void)arg;
    raise(SIGINT);
    pass_turns(3);
    return 2;
}

static void own_handler(int number)
{
    (void)number;
    note("own");
}

static void a_program_that_handles_it_keeps_it(void)
{
    set_disposition(SIGINT, own_handler);
    assert_int_equal(run_virtually(raise_and_pass, NULL), 2);
    assert_noted("own");
    assert_ptr_equal((void *)disposition(SIGINT).sa_handler,
                     (void *)own_handler);
    set_disposition(SIGINT, SIG_IGN);
    assert_int_equal(run_virtually(raise_and_pass, NULL), 2);
    assert_ptr_equal((void *)disposition(SIGINT).sa_handler, (void *)SIG_IGN);
}

static intptr_t handle_it(void *arg)
{
    rota_loop *loop = rota_get_running_loop();

    add_handler(loop, SIGINT, note_callback, (void *)"told");
    for (int i = 0; i < 3; i++)
        assert_int_equal(raise_and_pass(arg), 2);
    return 0;
}

static intptr_t handle_it_for_a_while(void *arg)
{
    assert_int_equal(handle_it(arg), 0);
    assert_int_equal(
        rota_remove_signal_handler(rota_get_running_loop(), SIGINT), 1);
    return raise_and_wait(arg);
}

static void a_handler_of_the_programs_goes_first(void)
{
    assert_int_equal(run_virtually(handle_it, NULL), 0);
    assert_noted("told told told");
    assert_true(is_default(SIGINT));
    assert_int_equal(run_virtually(handle_it_for_a_while, NULL), -EINTR);
    assert_noted("told told told ECANCELED");
    assert_true(is_default(SIGINT));
}

static void a_loop_that_handles_it_keeps_it(void)
{
    rota_runner runner;

    assert_int_equal(rota_runner_open(&runner, NULL), 0);
    add_handler(runner.loop, SIGINT, note_callback, (void *)"told");
    assert_int_equal(rota_runner_run(&runner, raise_and_pass, NULL), 2);
    assert_noted("told");
    assert_int_equal(rota_runner_close(&runner), 0);
    assert_true(is_default(SIGINT));
}

static intptr_t take_it_over(void *arg)
{
    set_disposition(SIGINT, own_handler);
    return raise_and_pass(arg);
}

static void who_takes_it_in_the_meantime_keeps_it(void)
{
    assert_int_equal(run_virtually(take_it_over, NULL), 2);
    raise(SIGINT);
    assert_noted("own own");
}

static void a_runner_counts_anew_in_each_run(void)
{
    const rota_loop_options virtually = {.virtual_clock = true};
    rota_runner runner;

    assert_int_equal(rota_runner_open(&runner, &virtually), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(rota_runner_run(&runner, raise_and_wait, NULL),
                         -EINTR);
        assert_true(is_default(SIGINT));
    }
    assert_noted("ECANCELED ECANCELED ECANCELED");
    assert_int_equal(rota_runner_close(&runner), 0);
}

static intptr_t fork_a_child(void *arg)
{
    pid_t child = fork();

    (void)arg;
    if (child == 0) {
        raise(SIGINT); /* it has the default action there */
        _exit(0);
    }
    assert_int_equal(WTERMSIG(status_of(child)), SIGINT);
    pass_turns(3);
    return 4;
}

static void a_forked_child_has_the_default_action(void)
{
    assert_int_equal(run_virtually(fork_a_child, NULL), 4);
}

HARNESS_MAIN(TEST(the_first_cancels_the_main_task), TEST(a_wait_is_ended),
             TEST(a_main_task_may_clean_up),
             TEST(a_main_task_that_swallows_it_returns_its_own_result),
             TEST(one_that_others_have_cancelled_too_is_cancelled),
             TEST(without_an_interrupt_a_cancelled_one_is_cancelled),
             TEST(one_before_the_first_step_ends_the_first_wait),
             TEST(one_that_comes_too_late_takes_the_results_place),
             TEST(a_stopped_run_leaves_it_to_the_next),
             TEST_EXPECT_SIGNAL(the_second_ends_the_process, SIGINT, NULL),
             TEST_EXPECT_SIGNAL(the_second_ends_a_process_whose_loop_is_stuck,
                                SIGINT, NULL),
             TEST_WITH(a_callback_that_never_ends_is_ended, .ends_by = SIGINT,
                       .skip_under = HARNESS_TSAN,
                       .skip_reason = "it holds signals back"),
             TEST(while_others_are_cancelled_one_ends_the_process),
             TEST(another_thread_leaves_it_alone),
             TEST(run_until_complete_leaves_it_alone),
             TEST(a_program_that_handles_it_keeps_it),
             TEST(a_handler_of_the_programs_goes_first),
             TEST(a_loop_that_handles_it_keeps_it),
             TEST(who_takes_it_in_the_meantime_keeps_it),
             TEST(a_runner_counts_anew_in_each_run),
             TEST(a_forked_child_has_the_default_action))
