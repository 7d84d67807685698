/* SPDX-License-Identifier: MIT */
/*
 * Watches of signals: several of one signal, of one loop and of many
 */
#include "signals.h"

struct counting {
    struct rota__signal_watch watch;
    int times;
    int at_once;
    bool ends;
};

static struct counting *counting_of(struct rota__signal_watch *watch)
{
    return rota__container_of(watch, struct counting, watch);
}

static void count_it(struct rota__signal_watch *watch)
{
    struct counting *self = counting_of(watch);

    self->times++;
    if (self->ends)
        rota__signal_watch_end(watch);
}

static void count_at_once(struct rota__signal_watch *watch)
{
    counting_of(watch)->at_once++;
}

static void begin(struct counting *self, rota_loop *loop, bool reserve)
{
    *self = (struct counting){
        .watch = {.loop = loop,
                  .number = SIGUSR1,
                  .caught = count_it,
                  .at_once = count_at_once,
                  .reserve = reserve},
    };
    assert_int_equal(rota__signal_watch_begin(&self->watch), 0);
}

static void end(struct counting *self)
{
    rota__signal_watch_end(&self->watch);
}

static void one_loop_may_have_several_and_a_handler(void)
{
    rota_loop *loop = signal_loop(NULL);
    struct counting one, two;
    int calls = 0;

    begin(&one, loop, false);
    add_handler(loop, SIGUSR1, count_call, &calls);
    begin(&two, loop, false);
    raise(SIGUSR1);
    assert_int_equal(one.at_once, 1);
    assert_int_equal(two.at_once, 1);
    two_turns(loop);
    assert_int_equal(one.times, 1);
    assert_int_equal(two.times, 1);
    assert_int_equal(calls, 1);
    end(&one);
    assert_int_equal(rota_remove_signal_handler(loop, SIGUSR1), 1);
    assert_false(is_default(SIGUSR1));
    raise(SIGUSR1);
    two_turns(loop);
    assert_int_equal(one.times, 1);
    assert_int_equal(two.times, 2);
    assert_int_equal(calls, 1);
    end(&two);
    assert_true(is_default(SIGUSR1));
    rota_loop_free(loop);
}

static void the_order_of_ends_does_not_matter(void)
{
    rota_loop *loop = signal_loop(NULL);
    struct counting watches[3];

    for (int first = 0; first < 3; first++) {
        for (int i = 0; i < 3; i++)
            begin(&watches[i], loop, false);
        for (int gone = 0; gone < 3; gone++) {
            raise(SIGUSR1);
            two_turns(loop);
            end(&watches[(first + gone) % 3]);
            end(&watches[(first + gone) % 3]); /* again does nothing */
            assert_int_equal(is_default(SIGUSR1), gone == 2);
        }
        for (int i = 0; i < 3; i++)
            assert_int_equal(watches[(first + i) % 3].times, i + 1);
    }
    rota_loop_free(loop);
}

static void one_may_end_in_its_own_call(void)
{
    rota_loop *loop = signal_loop(NULL);
    struct counting one, two;

    begin(&one, loop, false);
    begin(&two, loop, false);
    one.ends = true;
    for (int i = 0; i < 3; i++)
        raise(SIGUSR1);
    for (int i = 0; i < 4; i++)
        one_turn(loop);
    assert_int_equal(one.times, 1);
    assert_int_equal(one.at_once, 3);
    assert_int_equal(two.times, 3);
    end(&two);
    rota_loop_free(loop);
}

static void a_reserve_is_told_while_it_is_alone(void)
{
    rota_loop *loop = signal_loop(NULL);
    struct counting reserve, other;

    begin(&reserve, loop, true);
    raise(SIGUSR1);
    begin(&other, loop, false);
    raise(SIGUSR1);
    two_turns(loop);
    assert_int_equal(reserve.at_once, 1);
    assert_int_equal(reserve.times, 1);
    assert_int_equal(other.times, 1);
    end(&other);
    raise(SIGUSR1);
    two_turns(loop);
    assert_int_equal(reserve.times, 2);
    end(&reserve);
    assert_true(is_default(SIGUSR1));
    rota_loop_free(loop);
}

static void a_number_that_is_no_signal_is_refused(void)
{
    rota_loop *loop = signal_loop(NULL);
    struct counting watch = {
        .watch = {.loop = loop, .number = 1000, .caught = count_it}};

    assert_int_equal(rota__signal_watch_begin(&watch.watch), -EINVAL);
    end(&watch);
    watch.watch.number = SIGKILL;
    assert_int_equal(rota__signal_watch_begin(&watch.watch), -EINVAL);
    end(&watch);
    rota_loop_free(loop);
}

/* --- Two loops ----------------------------------------------------------- */

static void each_of_two_loops_is_told(void)
{
    rota_loop *one = signal_loop(NULL);
    rota_loop *two = signal_loop(NULL);
    int ones = 0, twos = 0;

    add_handler(one, SIGUSR1, count_call, &ones);
    add_handler(two, SIGUSR1, count_call, &twos);
    add_handler(two, SIGUSR2, must_not_run, NULL);
    raise(SIGUSR1);
    two_turns(one);
    assert_int_equal(ones, 1);
    assert_int_equal(twos, 0);
    two_turns(two);
    assert_int_equal(twos, 1);
    rota_loop_free(one);
    assert_false(is_default(SIGUSR1));
    raise(SIGUSR1);
    two_turns(two);
    assert_int_equal(twos, 2);
    rota_loop_free(two);
    assert_true(is_default(SIGUSR1));
    assert_true(is_default(SIGUSR2));
}

/* --- Forked children ----------------------------------------------------- */

static int raise_in_a_child(int number)
{
    pid_t child = fork();

    if (child == 0) {
        raise(number);
        _exit(9);
    }
    return status_of(child);
}

static void a_child_has_what_was_there_before(void)
{
    rota_loop *loop = signal_loop(NULL);
    int status;

    set_disposition(SIGUSR2, SIG_IGN);
    add_handler(loop, SIGUSR1, must_not_run, NULL);
    add_handler(loop, SIGUSR2, must_not_run, NULL);
    status = raise_in_a_child(SIGUSR1);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGUSR1);
    status = raise_in_a_child(SIGUSR2);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 9);
    two_turns(loop);
    assert_false(is_default(SIGUSR1));
    rota_loop_free(loop);
}

static void be_a_child(rota_loop *parents)
{
    rota_loop *own = signal_loop(NULL);
    int calls = 0;

    assert_int_equal(rota_remove_signal_handler(parents, SIGUSR1), 1);
    assert_true(is_default(SIGUSR1));
    add_handler(own, SIGUSR1, count_call, &calls);
    raise(SIGUSR1);
    two_turns(own);
    assert_int_equal(calls, 1);
    rota_loop_free(own);
    assert_true(is_default(SIGUSR1));
    _exit(7);
}

static void a_child_may_have_a_loop_of_its_own(void)
{
    rota_loop *loop = signal_loop(NULL);
    int calls = 0;
    pid_t child;
    int status;

    add_handler(loop, SIGUSR1, count_call, &calls);
    raise(SIGUSR1);
    child = fork();
    if (child == 0)
        be_a_child(loop);
    status = status_of(child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 7);
    two_turns(loop);
    assert_int_equal(calls, 1);
    rota_loop_free(loop);
}

static void a_fork_keeps_the_mask(void)
{
    rota_loop *loop = signal_loop(NULL);
    sigset_t mask, before, in_child;
    pid_t child;

    add_handler(loop, SIGUSR1, must_not_run, NULL);
    sigemptyset(&mask);
    sigaddset(&mask, SIGHUP);
    assert_int_equal(pthread_sigmask(SIG_SETMASK, &mask, &before), 0);
    child = fork();
    if (child == 0) {
        pthread_sigmask(SIG_BLOCK, NULL, &in_child);
        _exit(sigismember(&in_child, SIGHUP) +
              2 * sigismember(&in_child, SIGINT));
    }
    pthread_sigmask(SIG_SETMASK, &before, &mask);
    assert_int_equal(sigismember(&mask, SIGHUP), 1);
    assert_int_equal(sigismember(&mask, SIGINT), 0);
    assert_int_equal(WEXITSTATUS(status_of(child)), 1);
    rota_loop_free(loop);
}

HARNESS_MAIN(TEST(one_loop_may_have_several_and_a_handler),
             TEST(the_order_of_ends_does_not_matter),
             TEST(one_may_end_in_its_own_call),
             TEST(a_reserve_is_told_while_it_is_alone),
             TEST(a_number_that_is_no_signal_is_refused),
             TEST(each_of_two_loops_is_told),
             TEST(a_child_has_what_was_there_before),
             TEST(a_child_may_have_a_loop_of_its_own),
             TEST(a_fork_keeps_the_mask))
