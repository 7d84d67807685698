/* SPDX-License-Identifier: MIT */
/*
 * Tasks that wait for an fd: what wakes them, and who else may be there
 */
#include "waiting.h"

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

HARNESS_MAIN(TEST(an_fd_that_is_ready_ends_the_wait_at_once),
             TEST(a_reader_waits_for_bytes), TEST(a_writer_waits_for_room),
             TEST(pipes_can_be_waited_for),
             TEST(an_end_and_an_error_end_the_wait),
             TEST(two_tasks_wait_on_one_fd_in_two_directions),
             TEST(a_hang_up_wakes_both_directions),
             TEST(a_second_waiter_in_the_same_direction_is_refused),
             TEST(a_reader_callback_and_a_waiting_writer_share_an_fd),
             TEST(a_waiter_survives_callbacks_that_come_and_go),
             TEST(two_tasks_play_ball_in_any_order))
