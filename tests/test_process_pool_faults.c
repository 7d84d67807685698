/* SPDX-License-Identifier: MIT */
/*
 * Pools of processes: what breaks, and whom it concerns
 */
#include "processes.h"

#include <dlfcn.h>
#include <errno.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/resource.h>

/* --- Calls that end their process ---------------------------------------- */

static intptr_t raise_signal(void *arg)
{
    int number = (int)(intptr_t)arg;

    signal(number, SIG_DFL); /* a sanitizer has its own ideas of faults */
    raise(number);
    return 0;
}

static void a_call_is_told_which_signal_killed_its_process(void)
{
    static const int numbers[] = {SIGSEGV, SIGBUS,  SIGFPE,  SIGILL,
                                  SIGABRT, SIGKILL, SIGTERM, SIGSYS};
    rota_executor *pool = new_workers(1);

    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        void *number = (void *)(intptr_t)numbers[i];
        intptr_t result = call(pool, raise_signal, number, 0);

        assert_int_equal(result, -(ROTA_EBROKENPOOL + numbers[i]));
        assert_true(rota_is_broken_pool(result));
        assert_no_process();
    }
    assert_int_equal(call(pool, give_back, (void *)1, 0), 1);
    end_pool(pool);
}

static void the_signal_has_its_name_in_the_error(void)
{
    const intptr_t segv = -(ROTA_EBROKENPOOL + SIGSEGV);

    assert_string_equal(rota_errname(segv), "ROTA_EBROKENPOOL+SIGSEGV");
    assert_string_equal(rota_strerror(segv),
                        "a process of the pool was killed by SIGSEGV");
    assert_string_equal(rota_errname(-ROTA_EBROKENPOOL), "ROTA_EBROKENPOOL");
    assert_string_equal(rota_strerror(-ROTA_EBROKENPOOL),
                        "a process of the pool has ended");
    for (int number = 1; number < 32; number++) {
        intptr_t error = -(ROTA_EBROKENPOOL + number);
        char expected[64];

        snprintf(expected, sizeof expected, "ROTA_EBROKENPOOL+%s",
                 rota_signal_name(number));
        assert_string_equal(rota_errname(error), expected);
        assert_true(rota_is_broken_pool(error));
    }
    assert_false(rota_is_broken_pool(-(ROTA_EBROKENPOOL + 32)));
    assert_false(rota_is_broken_pool(-ROTA_EBROKENPOOL + 1));
    assert_string_equal(rota_errname(-(ROTA_EBROKENPOOL + 32)), "UNKNOWN");
}

static intptr_t follow_null(void *arg)
{
    volatile int *nowhere = arg;

    return *nowhere;
}

static void a_null_pointer_is_sigsegv(void)
{
    rota_executor *pool = new_workers(1);

    assert_int_equal(call(pool, follow_null, NULL, 0),
                     -(ROTA_EBROKENPOOL + SIGSEGV));
    end_pool(pool);
}

static intptr_t call_abort(void *arg)
{
    (void)arg;
    abort();
}

static intptr_t call_exit(void *arg)
{
    exit((int)(intptr_t)arg);
}

static intptr_t call__exit(void *arg)
{
    _exit((int)(intptr_t)arg);
}

static void abort_and_exit_are_broken_pools(void)
{
    rota_executor *pool = new_workers(1);

    assert_int_equal(call(pool, call_abort, NULL, 0),
                     -(ROTA_EBROKENPOOL + SIGABRT));
    assert_int_equal(call(pool, call_exit, (void *)3, 0), -ROTA_EBROKENPOOL);
    assert_int_equal(call(pool, call__exit, NULL, 0), -ROTA_EBROKENPOOL);
    assert_int_equal(call(pool, give_back, (void *)1, 0), 1);
    end_pool(pool);
}

/* A wake-up of the semaphore must not meet one that is about to die. */
static void see_one_done(rota_concurrent_future *const *futures, int count)
{
    int i = 0;

    while (!rota_concurrent_future_done(futures[i])) {
        sched_yield();
        i = (i + 1) % count;
    }
}

static void a_killed_process_concerns_one_caller(void)
{
    rota_executor *pool = new_workers(3);
    rota_concurrent_future *futures[3];
    int killed = 0;

    put_up_board();
    for (int i = 0; i < 3; i++)
        futures[i] = submit(pool, held, (void *)(intptr_t)(i + 1), 0);
    see_held(3);
    kill(board->pids[1], SIGKILL);
    see_one_done(futures, 3);
    let_go(2);
    for (int i = 0; i < 3; i++) {
        intptr_t result = result_of(futures[i]);

        killed += result == -(ROTA_EBROKENPOOL + SIGKILL);
        assert_true(result == i + 1 || rota_is_broken_pool(result));
    }
    assert_int_equal(killed, 1);
    for (intptr_t i = 0; i < 20; i++)
        assert_int_equal(call(pool, give_back, (void *)i, 0), i);
    end_pool(pool);
}

static intptr_t break_in_the_middle(void *item)
{
    int *number = item;

    if (*number == 5)
        abort();
    *number += 100;
    return *number;
}

static intptr_t map_with_a_crash(void *pool)
{
    int numbers[9];
    intptr_t results[9];
    const int broken = -(ROTA_EBROKENPOOL + SIGABRT);

    for (int i = 0; i < 9; i++)
        numbers[i] = i;
    assert_int_equal(rota_executor_map(pool, break_in_the_middle, numbers, 9,
                                       sizeof numbers[0], 3, results),
                     broken);
    for (int i = 0; i < 9; i++) {
        bool in_chunk = i / 3 == 1;

        assert_int_equal(numbers[i], in_chunk ? i : 100 + i);
        assert_int_equal(results[i], in_chunk ? broken : 100 + i);
    }
    return 0;
}

static void a_crash_concerns_one_chunk(void)
{
    rota_executor *pool = new_workers(1);

    assert_int_equal(rota_run(map_with_a_crash, pool), 0);
    end_pool(pool);
}

static intptr_t close_its_socket(void *arg)
{
    (void)arg;
    for (int fd = 3; fd < 10; fd++)
        close(fd);
    down(&board->go);
    return 0;
}

static void a_process_that_cannot_answer_is_ended(void)
{
    rota_executor *pool = new_workers(1);

    put_up_board();
    assert_true(rota_is_broken_pool(call(pool, close_its_socket, NULL, 0)));
    assert_no_process();
    assert_int_equal(call(pool, give_back, (void *)1, 0), 1);
    end_pool(pool);
}

/* --- Processes that die while they have nothing to do -------------------- */

static void an_idle_process_that_dies_is_replaced_unseen(void)
{
    rota_executor *pool = new_workers(1);
    pid_t pid = process_of(pool);

    for (int i = 0; i < 5; i++) {
        pid_t next;

        kill(pid, SIGKILL);
        see_dead(pid);
        next = process_of(pool);
        assert_int_not_equal(next, pid);
        pid = next;
    }
    end_pool(pool);
}

static void see_stopped(pid_t pid)
{
    siginfo_t info;

    assert_int_equal(waitid(P_PID, (id_t)pid, &info, WSTOPPED), 0);
}

/* Until something lies in a socket of ours that the other side has not read. */
static void see_unread(void)
{
    int fd = 3;
    int unread = 0;

    while (ioctl(fd, SIOCOUTQ, &unread) < 0 || unread == 0)
        fd = fd == 20 ? 3 : fd + 1;
}

static void a_request_that_was_not_read_goes_to_another_process(void)
{
    rota_executor *pool = new_workers(1);
    char *block = calloc(1, 1 << 20);

    for (int i = 0; i < 10; i++) {
        size_t size = i % 2 ? 1 << 20 : 1;
        pid_t pid = process_of(pool);
        rota_concurrent_future *future;
        intptr_t next;

        kill(pid, SIGSTOP);
        see_stopped(pid);
        future = submit(pool, who_am_i, block, size);
        see_unread();
        kill(pid, SIGKILL);
        next = result_of(future);
        assert_true(next > 0 && next != pid);
    }
    free(block);
    end_pool(pool);
}

static void a_stopped_process_does_not_hold_up_the_end(void)
{
    rota_executor *pool = new_workers(1);
    pid_t pid = process_of(pool);

    kill(pid, SIGSTOP);
    see_stopped(pid);
    end_pool(pool);
}

/* --- Time ---------------------------------------------------------------- */

static intptr_t stop_itself(void *arg)
{
    (void)arg;
    raise(SIGSTOP);
    return 0;
}

static void a_call_that_takes_too_long_is_killed(void)
{
    rota_executor *pool = new_processes(&(rota_process_pool_options){
        .max_workers = 1,
        .timeout = 0.5 * harness_slowness(),
    });
    pid_t pid = process_of(pool);

    put_up_board(); /* which that process cannot see */
    kill(pid, SIGKILL);
    see_dead(pid);
    assert_int_equal(call(pool, held, NULL, 0), -ETIMEDOUT);
    assert_no_process();
    assert_int_equal(call(pool, stop_itself, NULL, 0), -ETIMEDOUT);
    assert_no_process();
    assert_int_equal(call(pool, give_back, (void *)1, 0), 1);
    end_pool(pool);
}

static void a_process_that_does_not_read_is_killed_too(void)
{
    enum { SIZE = 8 << 20 };
    rota_executor *pool = new_processes(&(rota_process_pool_options){
        .max_workers = 1,
        .timeout = 0.5 * harness_slowness(),
    });
    pid_t pid = process_of(pool);
    char *block = calloc(1, SIZE);

    kill(pid, SIGSTOP);
    see_stopped(pid);
    assert_int_equal(call(pool, give_back, block, SIZE), -ETIMEDOUT);
    assert_no_process();
    free(block);
    end_pool(pool);
}

/* --- Processes that cannot be made --------------------------------------- */

static int fail_to_begin(void *arg)
{
    if (atomic_load(&board->count) == 0)
        return 0;
    atomic_fetch_sub(&board->count, 1);
    if (arg)
        abort();
    return -EIO;
}

static void an_initializer_that_fails_breaks_one_call(void)
{
    rota_executor *pool = new_processes(&(rota_process_pool_options){
        .max_workers = 1,
        .initializer = fail_to_begin,
    });

    put_up_board();
    atomic_store(&board->count, 2);
    assert_int_equal(call(pool, give_back, (void *)1, 0), -ROTA_EBROKENPOOL);
    assert_int_equal(call(pool, give_back, (void *)1, 0), -ROTA_EBROKENPOOL);
    assert_no_process();
    assert_int_equal(call(pool, give_back, (void *)1, 0), 1);
    end_pool(pool);
}

static void an_initializer_that_crashes_is_named(void)
{
    rota_executor *pool = new_processes(&(rota_process_pool_options){
        .max_workers = 1,
        .initializer = fail_to_begin,
        .initializer_arg = "",
    });

    put_up_board();
    atomic_store(&board->count, 1);
    assert_int_equal(call(pool, give_back, (void *)1, 0),
                     -(ROTA_EBROKENPOOL + SIGABRT));
    assert_int_equal(call(pool, give_back, (void *)1, 0), 1);
    end_pool(pool);
}

static atomic_int forks_refused;
static int refusal;

/* The library's, since it stands in the program. */
pid_t fork(void)
{
    static pid_t (*real)(void);

    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "fork");
    if (atomic_load(&forks_refused) > 0) {
        atomic_fetch_sub(&forks_refused, 1);
        errno = refusal;
        return -1;
    }
    return real();
}

static void assert_refused_fork(int error)
{
    rota_executor *pool = new_workers(1);

    refusal = error;
    atomic_store(&forks_refused, 2);
    assert_int_equal(call(pool, give_back, (void *)1, 0), -error);
    assert_int_equal(call(pool, give_back, (void *)1, 0), -error);
    assert_int_equal(call(pool, give_back, (void *)1, 0), 1);
    end_pool(pool);
}

static void a_fork_that_fails_is_an_error_of_one_call(void)
{
    assert_refused_fork(EAGAIN);
    assert_refused_fork(ENOMEM);
}

static int lowest_free_fd(void)
{
    int fd = dup(0);

    close(fd);
    return fd;
}

/* The thread and its process need fds. */
static intptr_t try_to_call(rota_executor *pool)
{
    rota_concurrent_future *future;
    int err = rota_executor_submit(pool, &future, give_back, (void *)1, 0);

    return err < 0 ? err : result_of(future);
}

static void without_fds_a_call_fails_and_the_pool_goes_on(void)
{
    rota_executor *pool = new_workers(1);
    struct rlimit before, none;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    for (int more = 0; more < 2; more++) {
        none.rlim_cur = (rlim_t)(lowest_free_fd() + more);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
        assert_int_equal(try_to_call(pool), -EMFILE);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    }
    none.rlim_cur = (rlim_t)lowest_free_fd() + 2; /* but no pidfd */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    assert_int_equal(call(pool, give_back, (void *)1, 0), 1);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(call(pool, raise_signal, (void *)SIGTERM, 0),
                     -(ROTA_EBROKENPOOL + SIGTERM));
    end_pool(pool);
}

/* With one process at hand, no call fails for want of another. */
static void a_thread_without_a_process_leaves_its_calls_to_others(void)
{
    enum { CALLS = 64 };
    rota_executor *pool = new_workers(8);
    rota_concurrent_future *futures[CALLS];

    assert_int_equal(call(pool, give_back, (void *)1, 0), 1);
    refusal = EAGAIN;
    atomic_store(&forks_refused, 1000000);
    for (int i = 0; i < CALLS; i++)
        futures[i] = submit(pool, give_back, (void *)(intptr_t)i, 0);
    for (int i = 0; i < CALLS; i++)
        assert_int_equal(result_of(futures[i]), i);
    atomic_store(&forks_refused, 0);
    end_pool(pool);
}

static intptr_t fail_next_allocation(void *arg)
{
    harness_fail_allocation(1);
    return (intptr_t)arg;
}

static void a_process_without_memory_stays_in_step(void)
{
    enum { SIZE = 100000 };
    rota_executor *pool = new_workers(1);
    char *block = calloc(1, SIZE);
    pid_t pid = process_of(pool);

    memset(block, 7, SIZE);
    assert_int_equal(call(pool, fail_next_allocation, NULL, 0), 0);
    assert_int_equal(call(pool, who_am_i, block, SIZE), -ENOMEM);
    assert_int_equal(call(pool, who_am_i, block, SIZE), pid);
    assert_int_equal(block[SIZE - 1], 7);
    free(block);
    end_pool(pool);
}

/* The nth allocation fails; which thread asks for it does not matter. */
static bool survive_failure(long nth)
{
    rota_executor *pool = NULL;
    rota_concurrent_future *future = NULL;
    int err;
    intptr_t result = -ENOMEM;
    long end = harness_allocations() + nth;
    bool refused;

    harness_fail_allocation(nth);
    err = rota_process_pool_new(&pool, NULL);
    if (err == 0)
        err = rota_executor_submit(pool, &future, give_back, (void *)1, 0);
    if (err == 0)
        result = result_of(future);
    refused = harness_allocations() >= end;
    harness_fail_allocation(-1);
    assert_int_equal(result, refused ? -ENOMEM : 1);
    if (pool)
        assert_int_equal(call(pool, give_back, (void *)2, 0), 2);
    rota_executor_free(pool);
    assert_no_process();
    assert_int_equal(harness_live_blocks(), 0);
    return refused;
}

static void each_allocation_may_fail(void)
{
    long nth = 1;

    while (survive_failure(nth))
        nth++;
    assert_true(nth > 3);
}

HARNESS_MAIN(TEST(a_call_is_told_which_signal_killed_its_process),
             TEST(the_signal_has_its_name_in_the_error),
             TEST_SKIP_UNDER(a_null_pointer_is_sigsegv,
                             HARNESS_ASAN | HARNESS_TSAN | HARNESS_VALGRIND,
                             "it has faults for itself"),
             TEST(abort_and_exit_are_broken_pools),
             TEST(a_killed_process_concerns_one_caller),
             TEST(a_crash_concerns_one_chunk),
             TEST(a_process_that_cannot_answer_is_ended),
             TEST(a_thread_without_a_process_leaves_its_calls_to_others),
             TEST(an_idle_process_that_dies_is_replaced_unseen),
             TEST(a_request_that_was_not_read_goes_to_another_process),
             TEST(a_stopped_process_does_not_hold_up_the_end),
             TEST(a_call_that_takes_too_long_is_killed),
             TEST(a_process_that_does_not_read_is_killed_too),
             TEST(an_initializer_that_fails_breaks_one_call),
             TEST(an_initializer_that_crashes_is_named),
             TEST(a_fork_that_fails_is_an_error_of_one_call),
             TEST_SKIP_UNDER(without_fds_a_call_fails_and_the_pool_goes_on,
                             HARNESS_VALGRIND, "it has fds for itself"),
             TEST(a_process_without_memory_stays_in_step),
             TEST(each_allocation_may_fail))
