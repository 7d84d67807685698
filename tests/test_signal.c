/* SPDX-License-Identifier: MIT */
/*
 * Signal handlers of one loop
 */
#include "pollers.h"
#include "signals.h"

#include <poll.h>

/* --- They are called ----------------------------------------------------- */

static void by_raise(int number)
{
    raise(number);
}

static void by_kill(int number)
{
    kill(getpid(), number);
}

static void by_pthread_kill(int number)
{
    pthread_kill(pthread_self(), number);
}

static void by_sigqueue(int number)
{
    sigqueue(getpid(), number, (union sigval){.sival_int = 7});
}

static void a_handler_is_called_however_the_signal_comes(const char *poller)
{
    void (*const ways[])(int) = {by_raise, by_kill, by_pthread_kill,
                                 by_sigqueue};
    rota_loop *loop = signal_loop(poller);
    int calls = 0;

    add_handler(loop, SIGUSR1, count_call, &calls);
    for (int i = 0; i < 4; i++) {
        ways[i](SIGUSR1);
        assert_int_equal(calls, i);
        while (calls == i) /* a sanitizer may hold it back for a while */
            one_turn(loop);
    }
    two_turns(loop);
    assert_int_equal(calls, 4);
    rota_loop_free(loop);
}
ON_EACH(a_handler_is_called_however_the_signal_comes)

static void a_wait_is_ended_by_a_signal(const char *poller)
{
    void (*const ways[])(const struct sender *) = {send_to_process,
                                                   send_to_thread};
    rota_loop *loop = signal_loop(poller);

    add_handler(loop, SIGTERM, stop_loop, loop);
    for (int i = 0; i < 2; i++) {
        struct sender sender = {
            .loop = loop, .number = SIGTERM, .times = 1, .send = ways[i]};

        start_sender(&sender);
        assert_int_equal(rota_loop_run_forever(loop), 0);
        join_sender(&sender);
    }
    rota_loop_free(loop);
}
ON_EACH(a_wait_is_ended_by_a_signal)

static void an_alarm_ends_a_wait(const char *poller)
{
    const struct itimerval soon = {.it_value = {.tv_usec = 1000}};
    rota_loop *loop = signal_loop(poller);

    add_handler(loop, SIGALRM, stop_loop, loop);
    assert_int_equal(setitimer(ITIMER_REAL, &soon, NULL), 0);
    assert_int_equal(rota_loop_run_forever(loop), 0);
    rota_loop_free(loop);
}
ON_EACH(an_alarm_ends_a_wait)

static void each_signal_is_told_once_a_turn_each(void)
{
    rota_loop *loop = signal_loop(NULL);
    int calls = 0;

    add_handler(loop, SIGUSR1, count_call, &calls);
    for (int i = 0; i < 3; i++)
        raise(SIGUSR1);
    one_turn(loop);
    for (int i = 1; i <= 3; i++) {
        one_turn(loop);
        assert_int_equal(calls, i);
    }
    two_turns(loop);
    assert_int_equal(calls, 3);
    rota_loop_free(loop);
}

static intptr_t raise_and_tick(void *arg)
{
    rota_loop *loop = rota_get_running_loop();

    (void)arg;
    loop->keep_order = true; /* whatever the environment says */
    add_handler(loop, SIGUSR1, note_callback, (void *)"usr1");
    add_handler(loop, SIGUSR2, note_callback, (void *)"usr2");
    raise(SIGUSR2);
    raise(SIGUSR1);
    assert_int_equal(rota_call_soon(loop, NULL, note_callback, (void *)"soon"),
                     0);
    for (int i = 1; i <= 3; i++) {
        pass_turns(1);
        note("%d", i);
    }
    return 0;
}

/* asyncio: the same line. */
static void handlers_are_called_a_turn_after_the_signal_is_heard_of(void)
{
    scenario(raise_and_tick);
    assert_noted("soon 1 2 usr2 usr1 3");
}

static void raise_in_a_callback(void *arg)
{
    (void)arg;
    raise(SIGUSR1);
    note("raised");
}

static void a_signal_in_a_callback_waits_for_its_turn(void)
{
    rota_loop *loop = signal_loop(NULL);

    add_handler(loop, SIGUSR1, note_callback, (void *)"told");
    assert_int_equal(rota_call_soon(loop, NULL, raise_in_a_callback, NULL), 0);
    one_turn(loop);
    assert_noted("raised");
    two_turns(loop);
    assert_noted("told");
    rota_loop_free(loop);
}

static void a_handler_gets_each_of_many_kinds(void)
{
    const int numbers[] = {SIGHUP,  SIGINT,   SIGQUIT,     SIGUSR1, SIGUSR2,
                           SIGPIPE, SIGALRM,  SIGTERM,     SIGCHLD, SIGCONT,
                           SIGTSTP, SIGURG,   SIGWINCH,    SIGABRT, SIGSYS,
                           SIGTRAP, SIGRTMIN, SIGRTMAX - 1};
    rota_loop *loop = signal_loop(NULL);
    int calls = 0;

    for (size_t i = 0; i < rota__countof(numbers); i++) {
        set_disposition(numbers[i], SIG_DFL); /* in the background, ignored */
        add_handler(loop, numbers[i], count_call, &calls);
        raise(numbers[i]);
        two_turns(loop);
        assert_int_equal(calls, i + 1);
    }
    rota_loop_free(loop);
    for (size_t i = 0; i < rota__countof(numbers); i++)
        assert_true(is_default(numbers[i]));
}

/* --- The context --------------------------------------------------------- */

static rota_context_var var = ROTA_CONTEXT_VAR("var", "none");

static void set(const char *value)
{
    assert_int_equal(rota_context_var_set(&var, (void *)value, NULL), 0);
}

static void note_var(void *arg)
{
    (void)arg;
    note("%s", (const char *)rota_context_var_get(&var));
}

static void note_and_set_var(void *value)
{
    note_var(NULL);
    set(value);
}

static intptr_t raise_in_another_context(void *arg)
{
    rota_loop *loop = rota_get_running_loop();

    (void)arg;
    set("first");
    add_handler(loop, SIGUSR1, note_and_set_var, (void *)"inside");
    set("second");
    add_handler(loop, SIGUSR2, note_var, NULL);
    set("third");
    raise(SIGUSR1);
    pass_turns(3);
    raise(SIGUSR1);
    raise(SIGUSR2);
    pass_turns(3);
    note_var(NULL);
    return 0;
}

/* asyncio: the same line. */
static void a_handler_is_called_in_the_context_of_who_added_it(void)
{
    scenario(raise_in_another_context);
    assert_noted("first inside second third");
}

/* --- Replaced and removed ------------------------------------------------ */

static void a_second_handler_replaces_the_first(void)
{
    rota_loop *loop = signal_loop(NULL);
    int calls = 0;

    add_handler(loop, SIGUSR1, must_not_run, NULL);
    raise(SIGUSR1);
    add_handler(loop, SIGUSR1, count_call, &calls);
    two_turns(loop);
    assert_int_equal(calls, 1);
    assert_int_equal(rota_remove_signal_handler(loop, SIGUSR1), 1);
    assert_true(is_default(SIGUSR1));
    rota_loop_free(loop);
}

struct changing {
    rota_loop *loop;
    int calls;
};

static void replace_myself(void *arg)
{
    struct changing *self = arg;

    add_handler(self->loop, SIGUSR1, count_call, &self->calls);
}

static void a_handler_may_replace_itself(void)
{
    struct changing self = {signal_loop(NULL), 0};

    add_handler(self.loop, SIGUSR1, replace_myself, &self);
    raise(SIGUSR1);
    raise(SIGUSR1);
    two_turns(self.loop);
    assert_int_equal(self.calls, 0);
    one_turn(self.loop);
    assert_int_equal(self.calls, 1);
    rota_loop_free(self.loop);
}

static void remove_myself(void *arg)
{
    struct changing *self = arg;

    self->calls++;
    assert_int_equal(rota_remove_signal_handler(self->loop, SIGUSR1), 1);
    assert_int_equal(rota_remove_signal_handler(self->loop, SIGUSR1), 0);
}

static void a_handler_may_remove_itself(void)
{
    struct changing self = {signal_loop(NULL), 0};

    set_disposition(SIGUSR1, SIG_IGN);
    add_handler(self.loop, SIGUSR1, remove_myself, &self);
    for (int i = 0; i < 3; i++)
        raise(SIGUSR1);
    for (int i = 0; i < 4; i++)
        one_turn(self.loop);
    assert_int_equal(self.calls, 1);
    rota_loop_free(self.loop);
}

static void a_signal_that_was_not_told_is_forgotten_with_its_handler(void)
{
    rota_loop *loop = signal_loop(NULL);

    for (int turns = 0; turns < 2; turns++) {
        add_handler(loop, SIGUSR1, must_not_run, NULL);
        raise(SIGUSR1);
        raise(SIGUSR1);
        for (int i = 0; i < turns; i++)
            one_turn(loop);
        assert_int_equal(rota_remove_signal_handler(loop, SIGUSR1), 1);
        two_turns(loop);
    }
    rota_loop_free(loop);
}

static void removing_says_whether_there_was_one(void)
{
    const int none[] = {0, -1, 65, 128, 129, 100000, INT32_MIN};
    rota_loop *loop = signal_loop(NULL);

    assert_int_equal(rota_remove_signal_handler(loop, SIGUSR1), 0);
    assert_int_equal(rota_remove_signal_handler(loop, SIGKILL), 0);
    add_handler(loop, SIGUSR1, must_not_run, NULL);
    assert_int_equal(rota_remove_signal_handler(loop, SIGUSR2), 0);
    assert_int_equal(rota_remove_signal_handler(loop, SIGUSR1), 1);
    assert_int_equal(rota_remove_signal_handler(loop, SIGUSR1), 0);
    for (size_t i = 0; i < rota__countof(none); i++)
        assert_int_equal(rota_remove_signal_handler(loop, none[i]), -EINVAL);
    rota_loop_close(loop);
    assert_int_equal(rota_remove_signal_handler(loop, SIGUSR1), -ROTA_ECLOSED);
    rota_loop_free(loop);
}

/* --- What is refused ----------------------------------------------------- */

static void what_cannot_be_handled_is_refused(void)
{
    const int numbers[] = {0,      -1,      65,      128,     129,
                           100000, SIGKILL, SIGSTOP, SIGSEGV, SIGBUS,
                           SIGFPE, SIGILL,  32,      33};
    rota_loop *loop = signal_loop(NULL);

    for (size_t i = 0; i < rota__countof(numbers); i++)
        assert_int_equal(
            rota_add_signal_handler(loop, numbers[i], must_not_run, NULL),
            -EINVAL);
    assert_int_equal(rota_add_signal_handler(loop, SIGUSR1, NULL, NULL),
                     -EINVAL);
    assert_true(is_default(SIGUSR1));
    rota_loop_close(loop);
    assert_int_equal(rota_add_signal_handler(loop, SIGUSR1, must_not_run, NULL),
                     -ROTA_ECLOSED);
    assert_true(is_default(SIGUSR1));
    rota_loop_free(loop);
}

static void without_memory_nothing_changes(void)
{
    rota_loop *loop = signal_loop(NULL);
    long before = harness_live_blocks();

    harness_fail_allocation(1);
    assert_int_equal(rota_add_signal_handler(loop, SIGUSR1, must_not_run, NULL),
                     -ENOMEM);
    assert_true(is_default(SIGUSR1));
    assert_int_equal(harness_live_blocks(), before);
    add_handler(loop, SIGUSR1, must_not_run, NULL);
    harness_fail_allocation(1); /* replacing one needs none */
    add_handler(loop, SIGUSR1, note_callback, (void *)"told");
    harness_fail_allocation(-1);
    raise(SIGUSR1);
    two_turns(loop);
    assert_noted("told");
    rota_loop_free(loop);
}

static void *add_from_elsewhere(void *loop)
{
    (void)rota_add_signal_handler(loop, SIGUSR1, must_not_run, NULL);
    return NULL;
}

static void add_on_a_foreign_thread(void *loop)
{
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, add_from_elsewhere, loop),
                     0);
    pthread_join(thread, NULL);
}

static void debug_mode_stops_a_foreign_thread(void)
{
    rota_loop *loop = signal_loop(NULL);

    rota_set_debug(loop, true);
    assert_int_equal(rota_call_soon(loop, NULL, add_on_a_foreign_thread, loop),
                     0);
    one_turn(loop);
}

/* --- What was there before ----------------------------------------------- */

static void restored_is(const struct sigaction *wanted)
{
    struct sigaction now = disposition(SIGUSR1);
    int flags =
        SA_SIGINFO | SA_RESTART | SA_ONSTACK | SA_NODEFER | SA_RESETHAND;

    assert_ptr_equal((void *)now.sa_handler, (void *)wanted->sa_handler);
    if (harness_under(HARNESS_TSAN))
        return; /* it has handlers of its own in between */
    assert_int_equal(now.sa_flags & flags, wanted->sa_flags & flags);
    assert_int_equal(sigismember(&now.sa_mask, SIGHUP),
                     sigismember(&wanted->sa_mask, SIGHUP));
}

static void own_handler(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)context;
    note("%d", info->si_value.sival_int);
}

static void check_restoring(const struct sigaction *before)
{
    rota_loop *loop = signal_loop(NULL);

    assert_int_equal(sigaction(SIGUSR1, before, NULL), 0);
    add_handler(loop, SIGUSR1, must_not_run, NULL);
    assert_int_equal(disposition(SIGUSR1).sa_flags &
                         (SA_RESTART | SA_ONSTACK | SA_SIGINFO),
                     SA_RESTART | SA_ONSTACK);
    assert_int_equal(rota_remove_signal_handler(loop, SIGUSR1), 1);
    restored_is(before);
    add_handler(loop, SIGUSR1, must_not_run, NULL);
    add_handler(loop, SIGUSR1, must_not_run, NULL);
    rota_loop_close(loop);
    restored_is(before);
    rota_loop_free(loop);
}

static void what_the_signal_did_comes_back(void)
{
    struct sigaction before = {.sa_handler = SIG_DFL};

    check_restoring(&before);
    before.sa_handler = SIG_IGN;
    check_restoring(&before);
    before.sa_sigaction = own_handler;
    before.sa_flags = SA_SIGINFO | SA_NODEFER;
    sigaddset(&before.sa_mask, SIGHUP);
    check_restoring(&before);
    by_sigqueue(SIGUSR1);
    while (!scenario_line[0]) /* it is held back there, too */
        poll(NULL, 0, 1);
    assert_noted("7");
}

static void other_handler(int number)
{
    (void)number;
    note("other");
}

static void who_comes_after_us_keeps_the_signal(void)
{
    rota_loop *loop = signal_loop(NULL);

    add_handler(loop, SIGUSR1, note_callback, (void *)"ours");
    set_disposition(SIGUSR1, other_handler);
    assert_int_equal(rota_remove_signal_handler(loop, SIGUSR1), 1);
    raise(SIGUSR1);
    assert_noted("other");
    add_handler(loop, SIGUSR1, note_callback, (void *)"ours");
    raise(SIGUSR1);
    two_turns(loop);
    assert_noted("ours");
    rota_loop_free(loop);
    raise(SIGUSR1);
    assert_noted("other");
}

static void a_loop_may_close_with_signals_pending(void)
{
    set_disposition(SIGUSR1, SIG_IGN);
    for (int turns = 0; turns < 3; turns++) {
        rota_loop *loop = signal_loop(NULL);

        add_handler(loop, SIGUSR1, turns < 2 ? must_not_run : note_callback,
                    (void *)"one");
        add_handler(loop, SIGUSR2, turns < 2 ? must_not_run : note_callback,
                    (void *)"two");
        raise(SIGUSR2);
        raise(SIGUSR1);
        raise(SIGUSR1);
        for (int i = 0; i < turns; i++)
            one_turn(loop);
        rota_loop_free(loop);
        raise(SIGUSR1);
    }
    assert_noted("two one");
    assert_true(is_default(SIGUSR2));
}

static void errno_is_kept(void)
{
    const uint64_t full = UINT64_MAX - 1;
    rota_loop *loop = signal_loop(NULL);

    add_handler(loop, SIGUSR1, note_callback, (void *)"told");
    if (loop->wake.read_fd == loop->wake.write_fd)
        assert_int_equal(write(loop->wake.write_fd, &full, sizeof full), 8);
    atomic_store(&loop->asleep, true);
    errno = 77;
    raise(SIGUSR1);
    assert_int_equal(errno, 77);
    assert_false(atomic_load(&loop->asleep)); /* it was woken */
    two_turns(loop);
    assert_noted("told");
    rota_loop_free(loop);
}

/* --- Names --------------------------------------------------------------- */

static void signals_have_names(void)
{
    char name[32];

    assert_string_equal(rota_signal_name(SIGTERM), "SIGTERM");
    assert_string_equal(rota_signal_name(SIGKILL), "SIGKILL");
    assert_string_equal(rota_signal_name(SIGCHLD), "SIGCHLD");
    assert_string_equal(rota_signal_name(SIGRTMIN), "SIGRTMIN");
    assert_string_equal(rota_signal_name(SIGRTMAX), "SIGRTMAX");
    for (int i = SIGRTMIN + 1; i < SIGRTMAX; i++) {
        snprintf(name, sizeof name, "SIGRTMIN+%d", i - SIGRTMIN);
        assert_string_equal(rota_signal_name(i), name);
    }
    for (int i = 1; i < 32; i++)
        assert_int_equal(strncmp(rota_signal_name(i), "SIG", 3), 0);
    assert_string_equal(rota_signal_name(0), "UNKNOWN");
    assert_string_equal(rota_signal_name(-5), "UNKNOWN");
    assert_string_equal(rota_signal_name(32), "UNKNOWN");
    assert_string_equal(rota_signal_name(SIGRTMAX + 1), "UNKNOWN");
    assert_string_equal(rota_signal_name(1000), "UNKNOWN");
}

HARNESS_MAIN(TESTS(a_handler_is_called_however_the_signal_comes),
             TESTS(a_wait_is_ended_by_a_signal), TESTS(an_alarm_ends_a_wait),
             TEST(each_signal_is_told_once_a_turn_each),
             TEST(handlers_are_called_a_turn_after_the_signal_is_heard_of),
             TEST(a_signal_in_a_callback_waits_for_its_turn),
             TEST(a_handler_gets_each_of_many_kinds),
             TEST(a_handler_is_called_in_the_context_of_who_added_it),
             TEST(a_second_handler_replaces_the_first),
             TEST(a_handler_may_replace_itself),
             TEST(a_handler_may_remove_itself),
             TEST(a_signal_that_was_not_told_is_forgotten_with_its_handler),
             TEST(removing_says_whether_there_was_one),
             TEST(what_cannot_be_handled_is_refused),
             TEST(without_memory_nothing_changes),
             TEST_EXPECT_SIGNAL(debug_mode_stops_a_foreign_thread, SIGABRT,
                                "rota_add_signal_handler"),
             TEST(what_the_signal_did_comes_back),
             TEST(who_comes_after_us_keeps_the_signal),
             TEST(a_loop_may_close_with_signals_pending), TEST(errno_is_kept),
             TEST(signals_have_names))
