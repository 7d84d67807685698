/* SPDX-License-Identifier: MIT */
/*
 * Pools of processes: what a process has of its parent, and what it has not
 */
#include "os/os.h"
#include "processes.h"
#include "task/task.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/prctl.h>

/* --- Descriptors --------------------------------------------------------- */

static intptr_t open_fds(void *arg)
{
    intptr_t set = 0;

    (void)arg;
    for (int fd = 0; fd < 1024; fd++)
        if (fcntl(fd, F_GETFD) >= 0)
            set |= (intptr_t)1 << (fd < 60 ? fd : 60);
    return set;
}

static void no_fd_of_the_program_is_inherited(void)
{
    enum { COUNT = 40 };
    rota_executor *pool = new_workers(3);
    rota_concurrent_future *futures[2];
    int fds[COUNT];

    put_up_board();
    for (int i = 0; i < COUNT; i++)
        fds[i] = open("/dev/null", O_RDWR); /* for children to inherit */
    assert_int_equal(dup2(fds[0], 700), 700);
    for (int i = 0; i < 2; i++)
        futures[i] = submit(pool, held, NULL, 0); /* sockets of others */
    see_held(2);
    assert_int_equal(call(pool, open_fds, NULL, 0), 0xf);
    let_go(2);
    for (int i = 0; i < 2; i++)
        assert_int_equal(result_of(futures[i]), 0);
    for (int i = 0; i < COUNT; i++)
        close(fds[i]);
    close(700);
    end_pool(pool);
}

static void a_program_without_stdio_has_processes_with_it(void)
{
    rota_executor *pool;
    int saved[3];

    for (int fd = 0; fd < 3; fd++) {
        saved[fd] = fcntl(fd, F_DUPFD_CLOEXEC, 100);
        close(fd);
    }
    pool = new_workers(1);
    assert_int_equal(call(pool, open_fds, NULL, 0), 0xf);
    assert_int_equal(fcntl(0, F_GETFD), -1);
    for (int fd = 0; fd < 3; fd++) {
        dup2(saved[fd], fd);
        close(saved[fd]);
    }
    end_pool(pool);
}

/* --- Output -------------------------------------------------------------- */

static int saved_stdout;

static int catch_output(void)
{
    char path[] = "/tmp/rota-output-XXXXXX";
    int file = mkstemp(path);

    assert_true(file >= 0);
    unlink(path);
    fflush(stdout);
    saved_stdout = dup(STDOUT_FILENO);
    dup2(file, STDOUT_FILENO);
    setvbuf(stdout, NULL, _IOFBF, 4096);
    return file;
}

static void assert_caught(int file, const char *expected)
{
    char text[256] = "";

    fflush(stdout);
    dup2(saved_stdout, STDOUT_FILENO);
    close(saved_stdout);
    assert_true(pread(file, text, sizeof text - 1, 0) >= 0);
    close(file);
    assert_string_equal(text, expected);
}

static intptr_t say(void *word)
{
    return printf("%s ", (const char *)word);
}

/* The parent's word is still in its buffer when the process is made. */
static void output_is_neither_doubled_nor_lost(void)
{
    int file = catch_output();
    rota_executor *pool = new_workers(1);
    char one[] = "one", two[] = "two";

    printf("parent ");
    assert_int_equal(call(pool, say, one, sizeof one), 4);
    fflush(stdout); /* it comes after what the call has printed */
    assert_int_equal(call(pool, say, two, sizeof two), 4);
    rota_executor_free(pool);
    assert_caught(file, "one parent two ");
    assert_no_process();
}

static intptr_t say_and_exit(void *word)
{
    printf("%s ", (const char *)word);
    exit(0);
}

static void count_exit(void)
{
    if (board)
        atomic_fetch_add(&board->count, 1);
}

static void an_exit_does_nothing_of_the_parents(void)
{
    int file = catch_output();
    rota_executor *pool = new_workers(1);
    char last[] = "last";

    put_up_board();
    assert_int_equal(atexit(count_exit), 0);
    printf("parent ");
    assert_int_equal(call(pool, say_and_exit, last, sizeof last),
                     -ROTA_EBROKENPOOL);
    assert_caught(file, "last parent ");
    assert_int_equal(board->count, 0);
    assert_int_equal(process_of(pool) > 0, true);
    rota_executor_free(pool); /* nor at its own end */
    assert_int_equal(board->count, 0);
    assert_no_process();
    munmap(board, sizeof *board);
    board = NULL;
}

/* --- Signals ------------------------------------------------------------- */

static void ignore_it(int number)
{
    (void)number;
}

static bool is_ignored(int number)
{
    struct sigaction action;

    return sigaction(number, NULL, &action) == 0 &&
           action.sa_handler == SIG_IGN;
}

static bool ignored[NSIG]; /* by the program */

static bool is_as_after_exec(int number)
{
    struct sigaction action;

    if (number == SIGSEGV || number == SIGBUS || number == SIGFPE ||
        number == SIGILL || sigaction(number, NULL, &action) < 0)
        return true;
    return action.sa_handler ==
           (ignored[number] || number == SIGINT ? SIG_IGN : SIG_DFL);
}

static intptr_t look_at_signals(void *arg)
{
    sigset_t mask;

    (void)arg;
    for (int number = 1; number < 32; number++) /* valgrind has one of 64 */
        if (!is_as_after_exec(number))
            return number;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    for (int number = 1; number < 32; number++)
        if (sigismember(&mask, number))
            return 100 + number;
    return 0;
}

static void signals_are_as_after_exec(void)
{
    rota_executor *pool = new_workers(1);

    signal(SIGTERM, ignore_it);
    signal(SIGUSR1, ignore_it);
    signal(SIGURG, ignore_it);
    signal(SIGHUP, SIG_IGN);
    for (int number = 1; number < NSIG; number++)
        ignored[number] = is_ignored(number);
    assert_true(ignored[SIGHUP]);
    assert_int_equal(call(pool, look_at_signals, NULL, 0), 0);
    end_pool(pool);
}

static void an_interrupt_is_the_parents_affair(void)
{
    rota_executor *pool = new_workers(1);
    rota_concurrent_future *future;

    put_up_board();
    future = submit(pool, held, (void *)1, 0);
    see_held(1);
    kill(board->pids[0], SIGINT);
    let_go(1);
    assert_int_equal(result_of(future), 1);
    end_pool(pool);
}

static intptr_t begin_halts(void *arg)
{
    struct sigaction before, after;

    (void)arg;
    sigaction(SIGURG, NULL, &before);
    rota__halt_begin();
    sigaction(SIGURG, NULL, &after);
    rota__halt_end();
    return before.sa_handler == SIG_DFL && after.sa_handler != SIG_DFL;
}

static void halts_of_the_program_are_forgotten(void)
{
    rota_executor *pool = new_workers(1);

    rota__halt_begin();
    assert_int_equal(call(pool, begin_halts, NULL, 0), 1);
    rota__halt_end();
    end_pool(pool);
}

/* --- Loops inside -------------------------------------------------------- */

static intptr_t nap(void *arg)
{
    int err = rota_sleep(0.001);

    return err < 0 ? err : (intptr_t)arg;
}

static intptr_t nap_in_tasks(void *arg)
{
    enum { COUNT = 10 };
    rota_task tasks[COUNT];
    intptr_t results[COUNT];
    intptr_t sum = (intptr_t)arg;
    int err;

    for (int i = 0; i < COUNT; i++) {
        err = rota_create_task(&tasks[i], nap, (void *)(intptr_t)i);
        if (err < 0)
            return err;
    }
    err = rota_gather(tasks, COUNT, results, false);
    for (int i = 0; i < COUNT && err == 0; i++)
        sum += results[i];
    return err < 0 ? err : sum;
}

static intptr_t run_loop(void *arg)
{
    return rota_run(nap_in_tasks, arg);
}

static void a_call_may_run_a_loop(void)
{
    rota_executor *pool = new_workers(2);

    for (intptr_t i = 0; i < 6; i++)
        assert_int_equal(call(pool, run_loop, (void *)i, 0), 45 + i);
    end_pool(pool);
}

static intptr_t knows_loops(void *arg)
{
    (void)arg;
    return rota__known_tasks != NULL;
}

static intptr_t call_knows_loops(void *pool)
{
    assert_int_equal(knows_loops(NULL), 1);
    return rota_run_in_executor(pool, knows_loops, NULL, 0);
}

static void loops_of_the_program_are_forgotten(void)
{
    rota_executor *pool = new_workers(1);

    assert_int_equal(rota_run(call_knows_loops, pool), 0);
    end_pool(pool);
}

static intptr_t call_run_loop(void *pool)
{
    rota_task task;
    intptr_t result;
    int err = rota_create_task(&task, nap, (void *)1);

    if (err < 0)
        return err;
    result = rota_run_in_executor(pool, run_loop, NULL, 0);
    return rota_await(task) == 1 ? result : -EIO;
}

static void a_call_of_a_task_may_run_a_loop(void)
{
    rota_executor *pool = new_workers(1);

    for (int i = 0; i < 3; i++)
        assert_int_equal(rota_run(call_run_loop, pool), 45);
    end_pool(pool);
}

static int dive(int depth)
{
    volatile char frame[2048];

    frame[0] = (char)depth;
    return depth < 0 ? 0 : dive(depth + 1) + frame[0];
}

static intptr_t overflow(void *arg)
{
    (void)arg;
    return dive(0);
}

static intptr_t run_into_the_guard(void *arg)
{
    return rota_run(overflow, arg);
}

static intptr_t call_run_into_the_guard(void *pool)
{
    return rota_run_in_executor(pool, run_into_the_guard, NULL, 0);
}

/* With loops of the parent about, whose watch it is no more. */
static void a_stack_overflow_inside_is_explained(void)
{
    rota_executor *pool = new_workers(1);

    assert_int_equal(rota_run(call_run_into_the_guard, pool),
                     -(ROTA_EBROKENPOOL + SIGSEGV));
    end_pool(pool);
}

static intptr_t pass_on(void *arg)
{
    rota_executor *pool = NULL;
    rota_concurrent_future *future = NULL;
    intptr_t result = rota_process_pool_new(&pool, NULL);

    if (result == 0)
        result = rota_executor_submit(pool, &future, give_back, arg, 0);
    if (result == 0)
        result = rota_concurrent_future_result(future, (double)INFINITY);
    rota_concurrent_future_free(future);
    rota_executor_free(pool);
    return result;
}

static void a_call_may_have_a_pool_of_its_own(void)
{
    rota_executor *pool = new_workers(1);

    assert_int_equal(call(pool, pass_on, (void *)11, 0), 11);
    assert_int_equal(call(pool, pass_on, (void *)12, 0), 12);
    end_pool(pool);
}

/* --- The ends of others -------------------------------------------------- */

/* A program, until it is killed: a process that works and one that is idle. */
static void be_a_program(void)
{
    rota_executor *pool = new_workers(2);
    rota_concurrent_future *first = submit(pool, held, NULL, 0);
    rota_concurrent_future *second = submit(pool, held, NULL, 0);

    see_held(2);
    let_go(1);
    while (!rota_concurrent_future_done(first) &&
           !rota_concurrent_future_done(second))
        sched_yield();
    atomic_store(&board->count, 1);
    for (;;)
        pause();
}

static void processes_end_when_the_program_was_killed(void)
{
    pid_t program;
    int status;

    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    put_up_board();
    program = fork();
    if (program == 0)
        be_a_program();
    while (atomic_load(&board->count) == 0)
        sched_yield();
    kill(program, SIGKILL);
    assert_int_equal(waitpid(program, &status, 0), program);
    let_go(1); /* the one that works may be busy for as long as it likes */
    for (int i = 0; i < 2; i++) {
        assert_int_equal(waitpid(board->pids[i], &status, 0), board->pids[i]);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
    }
    assert_no_process();
    munmap(board, sizeof *board);
}

static intptr_t leave_a_child(void *arg)
{
    pid_t child = fork();

    if (child == 0)
        for (;;)
            pause();
    atomic_store(&board->pids[0], child);
    if (arg)
        raise(SIGKILL);
    return 0;
}

/* It holds an end of the socket, and will not let go. */
static void a_child_of_a_process_hides_no_end(void)
{
    rota_executor *pool = new_workers(1);
    pid_t pid;
    int status;

    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    put_up_board();
    assert_int_equal(call(pool, leave_a_child, (void *)1, 0),
                     -(ROTA_EBROKENPOOL + SIGKILL));
    kill(board->pids[0], SIGKILL);
    assert_int_equal(waitpid(board->pids[0], &status, 0), board->pids[0]);
    pid = process_of(pool);
    assert_int_equal(call(pool, leave_a_child, NULL, 0), 0);
    kill(pid, SIGKILL);
    see_dead(pid);
    assert_int_not_equal(process_of(pool), pid);
    kill(board->pids[0], SIGKILL);
    assert_int_equal(waitpid(board->pids[0], &status, 0), board->pids[0]);
    assert_int_equal(call(pool, leave_a_child, NULL, 0), 0);
    rota_executor_free(pool);
    kill(board->pids[0], SIGKILL);
    assert_int_equal(waitpid(board->pids[0], &status, 0), board->pids[0]);
    assert_no_process();
    munmap(board, sizeof *board);
}

/* A child of the program has our end of the socket, too. */
static void a_child_of_the_program_hides_no_end(void)
{
    rota_executor *pool = new_workers(1);
    pid_t child;
    int status;

    (void)process_of(pool);
    child = fork();
    if (child == 0)
        for (;;)
            pause();
    rota_executor_free(pool);
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_no_process();
}

HARNESS_MAIN(TEST(no_fd_of_the_program_is_inherited),
             TEST(a_program_without_stdio_has_processes_with_it),
             TEST(output_is_neither_doubled_nor_lost),
             TEST(an_exit_does_nothing_of_the_parents),
             TEST(signals_are_as_after_exec),
             TEST(an_interrupt_is_the_parents_affair),
             TEST(halts_of_the_program_are_forgotten),
             TEST(loops_of_the_program_are_forgotten),
             TEST(a_call_may_run_a_loop), TEST(a_call_of_a_task_may_run_a_loop),
             TEST_WITH(a_stack_overflow_inside_is_explained,
                       .says = "stack overflow in task",
                       .skip_under = HARNESS_ASAN | HARNESS_TSAN |
                                     HARNESS_VALGRIND,
                       .skip_reason = "it has faults for itself"),
             TEST(a_call_may_have_a_pool_of_its_own),
             TEST(processes_end_when_the_program_was_killed),
             TEST(a_child_of_a_process_hides_no_end),
             TEST(a_child_of_the_program_hides_no_end))
