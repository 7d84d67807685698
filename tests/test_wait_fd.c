/* SPDX-License-Identifier: MIT */
/*
 * Tasks that wait for an fd
 */
#include "sockets.h"

#define CLOSED_FD 900 /* a number that no fd has */

/* A connected pair of non-blocking sockets. */
static void open_pair(int fds[2])
{
    assert_int_equal(
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
}

static void open_pipe(int ends[2])
{
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
}

static void close_pair(const int fds[2])
{
    close(fds[0]);
    close(fds[1]);
}

static void fill_up(int fd)
{
    static const char bytes[65536];

    while (write(fd, bytes, sizeof bytes) > 0)
        ;
}

static void read_all(int fd)
{
    static char bytes[65536];

    while (read(fd, bytes, sizeof bytes) > 0)
        ;
}

/* A task that waits once and notes its word, an error behind it. */
struct waiting {
    int fd;
    bool writing;
    const char *word;
};

static intptr_t wait_once(void *arg)
{
    const struct waiting *waiting = arg;
    int err = waiting->writing ? rota_wait_writable(waiting->fd)
                               : rota_wait_readable(waiting->fd);

    if (err < 0)
        note("%s:%s", waiting->word, rota_errname(err));
    else
        note("%s", waiting->word);
    return err;
}

/* Begun, and waiting by the next line. */
static rota_task start_waiting(struct waiting *waiting)
{
    rota_task task = start(wait_once, waiting);

    pass_turns(1);
    return task;
}

/* --- Waking ------------------------------------------------------------- */

static intptr_t wait_for_what_is_ready(void *arg)
{
    int fds[2];

    (void)arg;
    open_pair(fds);
    assert_int_equal(rota_wait_writable(fds[0]), 0);
    bare_say(fds[1], "x");
    assert_int_equal(rota_wait_readable(fds[0]), 0);
    assert_int_equal(rota_wait_readable(fds[0]), 0); /* it still is */
    assert_string_equal(bare_hear(fds[0]), "x");
    close_pair(fds);
    return 0;
}

static void an_fd_that_is_ready_ends_the_wait_at_once(void)
{
    run(wait_for_what_is_ready);
}

static intptr_t wait_for_bytes(void *arg)
{
    struct waiting waiting = {.word = "r"};
    rota_task task;
    int fds[2];

    (void)arg;
    open_pair(fds);
    waiting.fd = fds[0];
    for (int i = 0; i < 3; i++) {
        task = start_waiting(&waiting);
        pass_turns(3);
        assert_noted("");
        bare_say(fds[1], "x");
        assert_int_equal(rota_await(task), 0);
        assert_noted("r");
        assert_string_equal(bare_hear(fds[0]), "x");
    }
    close_pair(fds);
    return 0;
}

static void a_reader_waits_for_bytes(void)
{
    run(wait_for_bytes);
}

static intptr_t wait_for_room(void *arg)
{
    struct waiting waiting = {.word = "w", .writing = true};
    rota_task task;
    int fds[2];

    (void)arg;
    open_pair(fds);
    waiting.fd = fds[0];
    for (int i = 0; i < 3; i++) {
        fill_up(fds[0]);
        task = start_waiting(&waiting);
        pass_turns(3);
        assert_noted("");
        read_all(fds[1]);
        assert_int_equal(rota_await(task), 0);
        assert_noted("w");
    }
    close_pair(fds);
    return 0;
}

static void a_writer_waits_for_room(void)
{
    run(wait_for_room);
}

static intptr_t wait_at_pipes(void *arg)
{
    struct waiting reader = {.word = "r"};
    struct waiting writer = {.word = "w", .writing = true};
    rota_task tasks[2];
    int fds[2];

    (void)arg;
    open_pipe(fds);
    reader.fd = fds[0];
    writer.fd = fds[1];
    tasks[0] = start_waiting(&reader);
    fill_up(fds[1]);
    assert_int_equal(rota_await(tasks[0]), 0);
    tasks[1] = start_waiting(&writer);
    pass_turns(2);
    assert_noted("r");
    read_all(fds[0]);
    assert_int_equal(rota_await(tasks[1]), 0);
    assert_noted("w");
    close_pair(fds);
    return 0;
}

static void pipes_can_be_waited_for(void)
{
    run(wait_at_pipes);
}

static intptr_t wait_for_the_end(void *arg)
{
    struct waiting reader = {.word = "r"};
    struct waiting writer = {.word = "w", .writing = true};
    rota_task tasks[2];
    int ends[2];
    int fds[2];

    (void)arg;
    open_pair(fds);
    reader.fd = fds[0];
    tasks[0] = start_waiting(&reader);
    assert_int_equal(shutdown(fds[1], SHUT_WR), 0);
    assert_int_equal(rota_await(tasks[0]), 0);
    open_pipe(ends);
    fill_up(ends[1]);
    writer.fd = ends[1];
    tasks[1] = start_waiting(&writer);
    close(ends[0]); /* an error for who writes */
    assert_int_equal(rota_await(tasks[1]), 0);
    assert_noted("r w");
    close(ends[1]);
    close_pair(fds);
    return 0;
}

static void an_end_and_an_error_end_the_wait(void)
{
    run(wait_for_the_end);
}

/* --- Several on one fd -------------------------------------------------- */

static intptr_t wait_in_both_directions(void *arg)
{
    struct waiting reader = {.word = "r"};
    struct waiting writer = {.word = "w", .writing = true};
    rota_task tasks[2];
    int fds[2];

    (void)arg;
    open_pair(fds);
    reader.fd = writer.fd = fds[0];
    for (int i = 0; i < 2; i++) {
        fill_up(fds[0]);
        tasks[0] = start_waiting(&reader);
        tasks[1] = start_waiting(&writer);
        if (i == 0) {
            bare_say(fds[1], "x");
            assert_int_equal(rota_await(tasks[0]), 0);
            pass_turns(2); /* the fd stays readable: nobody must notice */
            assert_noted("r");
        } else {
            read_all(fds[1]);
            assert_int_equal(rota_await(tasks[1]), 0);
            pass_turns(2);
            assert_noted("w");
            bare_say(fds[1], "x");
            assert_int_equal(rota_await(tasks[0]), 0);
            assert_noted("r");
            read_all(fds[0]);
            continue;
        }
        read_all(fds[0]);
        read_all(fds[1]);
        assert_int_equal(rota_await(tasks[1]), 0);
        assert_noted("w");
    }
    close_pair(fds);
    return 0;
}

static void two_tasks_wait_on_one_fd_in_two_directions(void)
{
    run(wait_in_both_directions);
}

static intptr_t hang_up_on_both(void *arg)
{
    struct waiting reader = {.word = "r"};
    struct waiting writer = {.word = "w", .writing = true};
    rota_task tasks[2];
    int fds[2];

    (void)arg;
    open_pair(fds);
    reader.fd = writer.fd = fds[0];
    fill_up(fds[0]);
    tasks[0] = start_waiting(&reader);
    tasks[1] = start_waiting(&writer);
    close(fds[1]);
    assert_int_equal(rota_await(tasks[0]), 0);
    assert_int_equal(rota_await(tasks[1]), 0);
    assert_noted("r w");
    close(fds[0]);
    return 0;
}

static void a_hang_up_wakes_both_directions(void)
{
    run(hang_up_on_both);
}

static intptr_t wait_twice_in_one_direction(void *arg)
{
    struct waiting reader = {.word = "r"};
    rota_task task;
    int fds[2];

    (void)arg;
    open_pair(fds);
    reader.fd = fds[0];
    task = start_waiting(&reader);
    assert_int_equal(rota_wait_readable(fds[0]), -EBUSY);
    assert_int_equal(rota_wait_writable(fds[0]), 0);
    assert_int_equal(rota_wait_readable(fds[0]), -EBUSY);
    bare_say(fds[1], "x");
    assert_int_equal(rota_await(task), 0);
    assert_int_equal(rota_wait_readable(fds[0]), 0);
    assert_noted("r");
    close_pair(fds);
    return 0;
}

static void a_second_waiter_in_the_same_direction_is_refused(void)
{
    run(wait_twice_in_one_direction);
}

static intptr_t mix_with_callbacks(void *arg)
{
    rota_loop *loop = rota_get_running_loop();
    struct waiting waiting = {.word = "w", .writing = true};
    rota_task task;
    int fds[2];

    (void)arg;
    open_pair(fds);
    fill_up(fds[0]);
    waiting.fd = fds[0];
    assert_int_equal(rota_add_reader(loop, fds[0], note_callback, "cb"), 0);
    assert_int_equal(rota_wait_readable(fds[0]), -EBUSY);
    task = start_waiting(&waiting);
    assert_int_equal(rota_add_writer(loop, fds[0], note_callback, "no"),
                     -EBUSY);
    assert_int_equal(rota_remove_writer(loop, fds[0]), 0);
    read_all(fds[1]);
    assert_int_equal(rota_await(task), 0);
    assert_noted("w");
    bare_say(fds[1], "x");
    pass_turns(2);
    read_all(fds[0]);
    assert_string_equal(scenario_line, "cb");
    assert_noted("cb");
    assert_int_equal(rota_remove_reader(loop, fds[0]), 1);
    close_pair(fds);
    return 0;
}

static void a_reader_callback_and_a_waiting_writer_share_an_fd(void)
{
    run(mix_with_callbacks);
}

static intptr_t add_a_reader_beside_a_waiter(void *arg)
{
    rota_loop *loop = rota_get_running_loop();
    struct waiting waiting = {.word = "r"};
    rota_task task;
    int fds[2];

    (void)arg;
    open_pair(fds);
    waiting.fd = fds[0];
    task = start_waiting(&waiting);
    assert_int_equal(rota_add_reader(loop, fds[0], note_callback, "no"),
                     -EBUSY);
    assert_int_equal(rota_add_writer(loop, fds[0], note_callback, "cb"), 0);
    while (!scenario_line[0])
        pass_turns(1);
    assert_int_equal(rota_remove_writer(loop, fds[0]), 1);
    scenario_line[0] = '\0';
    bare_say(fds[1], "x");
    assert_int_equal(rota_await(task), 0);
    assert_noted("r");
    assert_int_equal(rota_add_reader(loop, fds[0], note_callback, "cb"), 0);
    while (!scenario_line[0])
        pass_turns(1);
    assert_int_equal(rota_remove_reader(loop, fds[0]), 1);
    close_pair(fds);
    return 0;
}

static void a_waiter_survives_callbacks_that_come_and_go(void)
{
    run(add_a_reader_beside_a_waiter);
}

/* --- Cancelling --------------------------------------------------------- */

static intptr_t cancel_a_wait(void *arg)
{
    struct waiting waiting = {.word = "r"};
    rota_task task;
    int fds[2];

    (void)arg;
    open_pair(fds);
    waiting.fd = fds[0];
    task = start_waiting(&waiting);
    assert_int_equal(rota_task_cancel(task), 1);
    assert_int_equal(rota_await(task), -ECANCELED);
    assert_noted("r:ECANCELED");
    task = start_waiting(&waiting);
    bare_say(fds[1], "x");
    assert_int_equal(rota_await(task), 0);
    assert_noted("r");
    close_pair(fds);
    return 0;
}

static void a_cancelled_wait_leaves_nothing_behind(void)
{
    run(cancel_a_wait);
}

static intptr_t take_the_place(void *arg)
{
    struct waiting waiting = {.word = "r"};
    rota_task task;
    int fds[2];

    (void)arg;
    open_pair(fds);
    waiting.fd = fds[0];
    task = start_waiting(&waiting);
    assert_int_equal(rota_task_cancel(task), 1);
    bare_say(fds[1], "x");
    assert_int_equal(rota_wait_readable(fds[0]), 0); /* at once */
    assert_int_equal(rota_await(task), -ECANCELED);
    assert_noted("r:ECANCELED");
    close_pair(fds);
    return 0;
}

static void who_cancels_a_waiter_may_take_its_place_at_once(void)
{
    run(take_the_place);
}

static void cancel(void *task)
{
    assert_int_equal(rota_task_cancel(*(rota_task *)task), 1);
}

/* Before it has run, in the turn in which its fd has become ready. */
static intptr_t cancel_when_woken(void *arg)
{
    struct waiting waiting = {.word = "r"};
    rota_task task;
    int fds[2];

    (void)arg;
    open_pair(fds);
    waiting.fd = fds[0];
    task = start_waiting(&waiting);
    bare_say(fds[1], "x");
    assert_int_equal(
        rota_call_soon(rota_get_running_loop(), NULL, cancel, &task), 0);
    assert_int_equal(rota_await(task), -ECANCELED);
    assert_noted("r:ECANCELED");
    assert_int_equal(rota_wait_readable(fds[0]), 0);
    assert_string_equal(bare_hear(fds[0]), "x");
    close_pair(fds);
    return 0;
}

static void a_cancel_after_the_wake_up_loses_no_bytes(void)
{
    run(cancel_when_woken);
}

static intptr_t time_out(void *arg)
{
    rota_timeout limit;
    int fds[2];

    (void)arg;
    open_pair(fds);
    assert_int_equal(rota_timeout_begin(&limit, 5), 0);
    assert_int_equal(
        rota_timeout_end(&limit, rota_wait_readable(fds[0])), -ETIMEDOUT);
    close_pair(fds);
    return 0;
}

static void a_timeout_ends_a_wait(void)
{
    scenario(time_out);
}

/* --- Numbers that are used again ---------------------------------------- */

/* Puts another socket under the number of fds[0]. */
static void replace(int fds[2])
{
    int fresh[2];

    close_pair(fds);
    open_pair(fresh);
    if (fresh[0] != fds[0]) {
        assert_int_equal(dup2(fresh[0], fds[0]), fds[0]);
        close(fresh[0]);
    }
    fds[1] = fresh[1];
}

static intptr_t reuse_numbers(void *arg)
{
    struct waiting waiting = {.word = "r"};
    rota_task task;
    int fds[2];

    (void)arg;
    open_pair(fds);
    waiting.fd = fds[0];
    for (int i = 0; i < 10; i++) {
        task = start_waiting(&waiting);
        if (i % 3 == 1) {
            assert_int_equal(rota_task_cancel(task), 1);
            assert_int_equal(rota_await(task), -ECANCELED);
            assert_noted("r:ECANCELED");
        } else {
            bare_say(fds[1], "x");
            assert_int_equal(rota_await(task), 0);
            assert_noted("r");
        }
        if (i % 2)
            replace(fds);
        else
            read_all(fds[0]);
    }
    close_pair(fds);
    return 0;
}

static void a_number_that_another_fd_has_by_now_is_waited_for(void)
{
    run(reuse_numbers);
}

static intptr_t keep_the_old_file(void *arg)
{
    struct waiting waiting = {.word = "r"};
    rota_task task;
    int old[2];
    int fds[2];

    (void)arg;
    open_pair(fds);
    waiting.fd = fds[0];
    task = start_waiting(&waiting);
    bare_say(fds[1], "x");
    assert_int_equal(rota_await(task), 0);
    old[0] = dup(fds[0]); /* keeps the system's registration */
    old[1] = dup(fds[1]);
    replace(fds);
    task = start_waiting(&waiting);
    bare_say(old[1], "y");
    pass_turns(3);
    assert_noted("r");
    bare_say(fds[1], "z");
    assert_int_equal(rota_await(task), 0);
    assert_noted("r");
    assert_string_equal(bare_hear(fds[0]), "z");
    close_pair(old);
    close_pair(fds);
    return 0;
}

static void the_old_file_of_a_number_does_not_wake_who_waits_for_the_new(void)
{
    run(keep_the_old_file);
}

static intptr_t open_a_stream_there(void *arg)
{
    rota_stream *stream;
    char byte;
    int fds[2];

    (void)arg;
    open_pair(fds);
    for (int i = 0; i < 2; i++) {
        bare_say(fds[1], "x");
        assert_int_equal(rota_wait_readable(fds[0]), 0);
        if (i == 1)
            replace(fds);
        else
            read_all(fds[0]);
        assert_int_equal(rota_open_fd(&stream, fds[0]), 0);
        assert_int_equal(rota_wait_readable(fds[0]), -EEXIST);
        assert_int_equal(rota_wait_writable(fds[0]), -EEXIST);
        bare_say(fds[1], "y");
        assert_int_equal(rota_read(stream, &byte, 1), 1);
        rota_stream_free(stream);
        close(fds[1]);
        open_pair(fds);
    }
    close_pair(fds);
    return 0;
}

static void a_stream_may_follow_a_wait_and_then_has_the_fd_alone(void)
{
    run(open_a_stream_there);
}

/* --- Errors ------------------------------------------------------------- */

static intptr_t wait_for_the_impossible(void *arg)
{
    char path[] = "/tmp/rota-test-XXXXXX";
    int file = mkstemp(path);

    (void)arg;
    assert_true(file >= 0);
    unlink(path);
    assert_int_equal(rota_wait_readable(-1), -EBADF);
    assert_int_equal(rota_wait_writable(CLOSED_FD), -EBADF);
    assert_int_equal(rota_wait_readable(file), -EPERM);
    assert_int_equal(rota_wait_writable(file), -EPERM);
    close(file);
    assert_int_equal(rota_wait_readable(file), -EBADF);
    return 0;
}

static void what_cannot_be_waited_for_is_refused(void)
{
    run(wait_for_the_impossible);
}

static intptr_t wait_for_a_closed_one(void *arg)
{
    int fds[2];

    (void)arg;
    open_pair(fds);
    bare_say(fds[1], "x");
    assert_int_equal(rota_wait_readable(fds[0]), 0);
    close_pair(fds);
    assert_int_equal(rota_wait_readable(fds[0]), -EBADF);
    assert_int_equal(rota_wait_writable(fds[0]), -EBADF);
    return 0;
}

static void an_fd_that_was_closed_since_the_last_wait_is_refused(void)
{
    run(wait_for_a_closed_one);
}

static void only_a_task_can_wait(void)
{
    assert_int_equal(rota_wait_readable(0), -ROTA_ENOTASK);
    assert_int_equal(rota_wait_writable(0), -ROTA_ENOTASK);
}

static intptr_t wait_without_memory(void *arg)
{
    int refused = 0;
    int fds[2];

    (void)arg;
    open_pair(fds);
    bare_say(fds[1], "x");
    for (int err = -ENOMEM; err < 0; refused++) {
        harness_fail_allocation(1 + refused);
        err = rota_wait_readable(fds[0]);
        harness_fail_allocation(-1);
        assert_true(err == 0 || err == -ENOMEM);
    }
    assert_true(refused > 1);
    close_pair(fds);
    return 0;
}

static void without_memory_a_wait_is_refused_and_the_next_succeeds(void)
{
    run(wait_without_memory);
}

static void a_loop_that_closes_forgets_who_waits(void)
{
    struct waiting waits[] = {
        {.word = "r"}, {.word = "w", .writing = true}, {.word = "alone"}};
    rota_loop *loop;
    rota_task task;
    int fds[2];

    open_pair(fds);
    fill_up(fds[0]);
    waits[0].fd = waits[1].fd = fds[0];
    waits[2].fd = dup(fds[0]);
    assert_int_equal(rota_new_event_loop(&loop, NULL), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(
            rota_loop_create_task(loop, &task, wait_once, &waits[i]), 0);
    rota_loop_stop(loop);
    assert_int_equal(rota_loop_run_forever(loop), 0);
    rota_loop_free(loop);
    assert_noted("");
    bare_say(fds[1], "x");
    close(waits[2].fd);
    close_pair(fds);
}

/* --- In other orders ---------------------------------------------------- */

struct side {
    int fd;
    int rounds;
};

static intptr_t play(void *arg)
{
    const struct side *side = arg;
    char ball;

    for (int i = 0; i < side->rounds; i++) {
        while (read(side->fd, &ball, 1) < 0) {
            int err = rota_wait_readable(side->fd);

            if (err < 0)
                return err;
        }
        assert_int_equal(write(side->fd, &ball, 1), 1);
    }
    return 0;
}

static intptr_t play_many(void *arg)
{
    struct side sides[2] = {{.rounds = 50}, {.rounds = 49}};
    rota_task tasks[2];
    char ball;
    int fds[2];

    (void)arg;
    open_pair(fds);
    for (int i = 0; i < 2; i++) {
        sides[i].fd = fds[i];
        tasks[i] = start(play, &sides[i]);
    }
    bare_say(fds[1], "o");
    for (int i = 0; i < 2; i++)
        assert_int_equal(rota_await(tasks[i]), 0);
    assert_int_equal(read(fds[1], &ball, 1), 1);
    assert_int_equal(ball, 'o');
    close_pair(fds);
    return 0;
}

static void two_tasks_play_ball_in_any_order(void)
{
    run_shuffled(play_many);
}

HARNESS_MAIN(
    TEST(an_fd_that_is_ready_ends_the_wait_at_once),
    TEST(a_reader_waits_for_bytes), TEST(a_writer_waits_for_room),
    TEST(pipes_can_be_waited_for), TEST(an_end_and_an_error_end_the_wait),
    TEST(two_tasks_wait_on_one_fd_in_two_directions),
    TEST(a_hang_up_wakes_both_directions),
    TEST(a_second_waiter_in_the_same_direction_is_refused),
    TEST(a_reader_callback_and_a_waiting_writer_share_an_fd),
    TEST(a_waiter_survives_callbacks_that_come_and_go),
    TEST(a_cancelled_wait_leaves_nothing_behind),
    TEST(who_cancels_a_waiter_may_take_its_place_at_once),
    TEST(a_cancel_after_the_wake_up_loses_no_bytes),
    TEST(a_timeout_ends_a_wait),
    TEST(a_number_that_another_fd_has_by_now_is_waited_for),
    TEST(the_old_file_of_a_number_does_not_wake_who_waits_for_the_new),
    TEST(a_stream_may_follow_a_wait_and_then_has_the_fd_alone),
    TEST(what_cannot_be_waited_for_is_refused),
    TEST(an_fd_that_was_closed_since_the_last_wait_is_refused),
    TEST(only_a_task_can_wait),
    TEST(without_memory_a_wait_is_refused_and_the_next_succeeds),
    TEST(a_loop_that_closes_forgets_who_waits),
    TEST(two_tasks_play_ball_in_any_order))
