/* SPDX-License-Identifier: MIT */
/*
 * add_reader and add_writer
 */
#include "loops.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* A loop and two connected sockets. */
struct scene {
    rota_loop *loop;
    int ours;
    int theirs;
};

static void open_scene(struct scene *scene)
{
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(fcntl(fds[1], F_SETFL, O_NONBLOCK), 0);
    scene->ours = fds[0];
    scene->theirs = fds[1];
    scene->loop = new_loop();
}

static void close_scene(struct scene *scene)
{
    rota_loop_free(scene->loop);
    close(scene->ours);
    if (scene->theirs >= 0)
        close(scene->theirs);
}

/* One turn. A poller may skip a question of a moment ago: wait a moment. */
static void turn(struct scene *scene)
{
    int64_t begin = rota__clock_now();

    while (rota__clock_now() - begin < 10000)
        ;
    run_one_turn(scene->loop);
}

static void send_byte(int fd)
{
    assert_int_equal(write(fd, "x", 1), 1);
}

static void fill_up(int fd)
{
    static const char bytes[65536];

    while (write(fd, bytes, sizeof bytes) > 0)
        ;
}

static void read_all(int fd)
{
    char bytes[65536];

    while (read(fd, bytes, sizeof bytes) > 0)
        ;
}

static void a_reader_is_called_in_each_turn_while_there_is_data(void)
{
    struct scene scene;

    open_scene(&scene);
    assert_int_equal(rota_add_reader(scene.loop, scene.ours, note, "r"), 0);
    turn(&scene);
    expect_noted("");
    send_byte(scene.theirs);
    turn(&scene);
    turn(&scene);
    expect_noted("rr");
    read_all(scene.ours);
    turn(&scene);
    expect_noted("");
    close_scene(&scene);
}

static void a_writer_is_called_in_each_turn_while_there_is_room(void)
{
    struct scene scene;

    open_scene(&scene);
    assert_int_equal(rota_add_writer(scene.loop, scene.ours, note, "w"), 0);
    turn(&scene);
    turn(&scene);
    expect_noted("ww");
    fill_up(scene.ours);
    turn(&scene);
    expect_noted("");
    read_all(scene.theirs);
    turn(&scene);
    expect_noted("w");
    close_scene(&scene);
}

static void reader_and_writer_of_an_fd_come_and_go_alone(void)
{
    struct scene scene;

    open_scene(&scene);
    send_byte(scene.theirs);
    assert_int_equal(rota_add_reader(scene.loop, scene.ours, note, "r"), 0);
    assert_int_equal(rota_add_writer(scene.loop, scene.ours, note, "w"), 0);
    turn(&scene);
    expect_noted("rw");
    assert_int_equal(rota_remove_reader(scene.loop, scene.ours), 1);
    turn(&scene);
    expect_noted("w");
    assert_int_equal(rota_add_reader(scene.loop, scene.ours, note, "r"), 0);
    assert_int_equal(rota_remove_writer(scene.loop, scene.ours), 1);
    turn(&scene);
    expect_noted("r");
    assert_int_equal(rota_remove_reader(scene.loop, scene.ours), 1);
    turn(&scene);
    expect_noted("");
    close_scene(&scene);
}

static void removing_says_whether_there_was_one(void)
{
    struct scene scene;

    open_scene(&scene);
    assert_int_equal(rota_remove_reader(scene.loop, scene.ours), 0);
    assert_int_equal(rota_remove_writer(scene.loop, scene.ours), 0);
    assert_int_equal(rota_remove_reader(scene.loop, -1), 0);
    assert_int_equal(rota_remove_writer(scene.loop, 1 << 28), 0);
    rota_add_reader(scene.loop, scene.ours, note, "r");
    assert_int_equal(rota_remove_writer(scene.loop, scene.ours), 0);
    assert_int_equal(rota_remove_reader(scene.loop, scene.ours), 1);
    assert_int_equal(rota_remove_reader(scene.loop, scene.ours), 0);
    close_scene(&scene);
}

static void a_second_reader_replaces_the_first(void)
{
    struct scene scene;

    open_scene(&scene);
    send_byte(scene.theirs);
    rota_add_reader(scene.loop, scene.ours, must_not_run, NULL);
    assert_int_equal(rota_add_reader(scene.loop, scene.ours, note, "2"), 0);
    rota_add_writer(scene.loop, scene.ours, must_not_run, NULL);
    assert_int_equal(rota_add_writer(scene.loop, scene.ours, note, "w"), 0);
    turn(&scene);
    expect_noted("2w");
    assert_int_equal(rota_remove_reader(scene.loop, scene.ours), 1);
    assert_int_equal(rota_remove_reader(scene.loop, scene.ours), 0);
    close_scene(&scene);
}

/* A callback that runs in the turn of the event, but before the reader. */
static void only_note(void *arg)
{
    (void)arg;
    note("a");
}

static void remove_reader(void *arg)
{
    struct scene *scene = arg;

    note("a");
    assert_int_equal(rota_remove_reader(scene->loop, scene->ours), 1);
}

static void replace_reader(void *arg)
{
    struct scene *scene = arg;

    note("a");
    assert_int_equal(rota_add_reader(scene->loop, scene->ours, note, "n"), 0);
}

static void close_and_reopen(void *arg)
{
    struct scene *scene = arg;
    int fresh[2];

    note("a");
    assert_int_equal(rota_remove_reader(scene->loop, scene->ours), 1);
    assert_int_equal(pipe(fresh), 0);
    assert_int_equal(dup2(fresh[0], scene->ours), scene->ours);
    assert_int_equal(rota_add_reader(scene->loop, scene->ours, note, "n"), 0);
    close(fresh[0]);
    close(scene->theirs);
    scene->theirs = fresh[1];
}

static void act_before_the_reader(struct scene *scene, rota_callback *act)
{
    open_scene(scene);
    send_byte(scene->theirs);
    rota_add_reader(scene->loop, scene->ours, note, "r");
    rota_call_soon(scene->loop, NULL, act, scene);
    turn(scene);
}

static void a_reader_runs_in_the_turn_of_its_event(void)
{
    struct scene scene;

    act_before_the_reader(&scene, only_note);
    expect_noted("ar");
    close_scene(&scene);
}

static void a_reader_removed_in_the_turn_of_its_event_does_not_run(void)
{
    struct scene scene;

    act_before_the_reader(&scene, remove_reader);
    turn(&scene);
    expect_noted("a");
    close_scene(&scene);
}

static void a_removed_reader_does_not_run_if_a_writer_stays(void)
{
    struct scene scene;

    open_scene(&scene);
    send_byte(scene.theirs);
    rota_add_reader(scene.loop, scene.ours, must_not_run, NULL);
    rota_add_writer(scene.loop, scene.ours, note, "w");
    rota_call_soon(scene.loop, NULL, remove_reader, &scene);
    turn(&scene);
    expect_noted("aw");
    close_scene(&scene);
}

static void a_reader_replaced_in_the_turn_of_its_event_does_not_run(void)
{
    struct scene scene;

    act_before_the_reader(&scene, replace_reader);
    expect_noted("a");
    turn(&scene);
    expect_noted("n");
    close_scene(&scene);
}

static void an_fd_reopened_in_the_turn_of_its_event_starts_afresh(void)
{
    struct scene scene;

    act_before_the_reader(&scene, close_and_reopen);
    turn(&scene);
    expect_noted("a");
    send_byte(scene.theirs);
    turn(&scene);
    expect_noted("n");
    close_scene(&scene);
}

static void remove_both(void *arg)
{
    struct scene *scene = arg;

    note("b");
    assert_int_equal(rota_remove_reader(scene->loop, scene->ours), 1);
    assert_int_equal(rota_remove_writer(scene->loop, scene->ours), 1);
}

static void a_reader_removes_itself_and_the_writer(void)
{
    struct scene scene;

    open_scene(&scene);
    send_byte(scene.theirs);
    rota_add_reader(scene.loop, scene.ours, remove_both, &scene);
    rota_add_writer(scene.loop, scene.ours, must_not_run, NULL);
    turn(&scene);
    turn(&scene);
    expect_noted("b");
    close_scene(&scene);
}

/* The end of the peer */

static void a_closed_peer_calls_reader_and_writer(void)
{
    struct scene scene;

    open_scene(&scene);
    fill_up(scene.ours);
    rota_add_reader(scene.loop, scene.ours, note, "r");
    rota_add_writer(scene.loop, scene.ours, note, "w");
    turn(&scene);
    expect_noted("");
    close(scene.theirs);
    scene.theirs = -1;
    turn(&scene);
    expect_noted("rw");
    close_scene(&scene);
}

static void a_peer_that_has_ended_writing_makes_no_room(void)
{
    struct scene scene;

    open_scene(&scene);
    fill_up(scene.ours);
    rota_add_reader(scene.loop, scene.ours, note, "r");
    rota_add_writer(scene.loop, scene.ours, note, "w");
    assert_int_equal(shutdown(scene.theirs, SHUT_WR), 0);
    turn(&scene);
    expect_noted("r");
    rota_remove_reader(scene.loop, scene.ours);
    turn(&scene);
    expect_noted("");
    close_scene(&scene);
}

/* Errors */

static void what_cannot_be_watched_is_refused(void)
{
    struct scene scene;
    int closed;

    open_scene(&scene);
    closed = dup(scene.ours);
    close(closed);
    assert_int_equal(rota_add_reader(scene.loop, -1, note, "x"), -EBADF);
    assert_int_equal(rota_add_writer(scene.loop, closed, note, "x"), -EBADF);
    assert_int_equal(rota_add_reader(scene.loop, scene.ours, NULL, NULL),
                     -EINVAL);
    assert_int_equal(rota_remove_reader(scene.loop, closed), 0);
    turn(&scene);
    expect_noted("");
    close_scene(&scene);
}

static void epoll_refuses_a_regular_file(void)
{
    char path[] = "/tmp/rota-test-XXXXXX";
    struct scene scene;
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    unlink(path);
    open_scene(&scene);
    if (strcmp(scene.loop->poller.ops->name, "epoll") != 0)
        harness_skip("another poller");
    assert_int_equal(rota_add_reader(scene.loop, fd, note, "x"), -EPERM);
    assert_int_equal(rota_remove_reader(scene.loop, fd), 0);
    close(fd);
    close_scene(&scene);
}

static void take_no_notice(struct rota__watch *watch, unsigned events)
{
    (void)watch;
    (void)events;
}

static void the_fd_of_a_stream_is_refused(void)
{
    struct rota__watch watch = {.ready = take_no_notice};
    struct scene scene;

    open_scene(&scene);
    watch.fd = scene.ours;
    assert_int_equal(
        rota__poller_add(&scene.loop->poller, &watch, ROTA__READABLE), 0);
    assert_int_equal(rota_add_reader(scene.loop, scene.ours, note, "x"),
                     -EEXIST);
    assert_int_equal(rota_add_writer(scene.loop, scene.ours, note, "x"),
                     -EEXIST);
    assert_int_equal(rota_remove_reader(scene.loop, scene.ours), 0);
    rota__poller_remove(&scene.loop->poller, &watch);
    assert_int_equal(rota_add_writer(scene.loop, scene.ours, note, "w"), 0);
    turn(&scene);
    expect_noted("w");
    close_scene(&scene);
}

static void without_memory_nothing_is_watched(void)
{
    struct scene scene;
    int refused = 0;

    open_scene(&scene);
    send_byte(scene.theirs);
    for (int err = -ENOMEM; err < 0;) {
        harness_fail_allocation(1 + refused);
        err = rota_add_reader(scene.loop, scene.ours, note, "r");
        harness_fail_allocation(-1);
        assert_true(err == 0 || err == -ENOMEM);
        refused += err < 0;
        turn(&scene);
        expect_noted(err < 0 ? "" : "r");
    }
    assert_true(refused > 0);
    close_scene(&scene);
}

static void closing_the_loop_leaves_the_fds_open(void)
{
    struct scene scene;

    open_scene(&scene);
    rota_add_reader(scene.loop, scene.ours, must_not_run, NULL);
    rota_add_writer(scene.loop, scene.theirs, must_not_run, NULL);
    assert_int_equal(rota_loop_close(scene.loop), 0);
    send_byte(scene.theirs);
    read_all(scene.ours);
    close_scene(&scene);
}

#define MANY 300

static void many_fds_are_each_called_once_a_turn(void)
{
    static int calls[MANY];
    struct scene scene;
    int fds[MANY];

    open_scene(&scene);
    send_byte(scene.theirs);
    for (int i = 0; i < MANY; i++) {
        fds[i] = dup(scene.ours);
        assert_int_equal(
            rota_add_reader(scene.loop, fds[i], count_call, &calls[i]), 0);
    }
    for (int round = 1; round <= 3; round++) {
        turn(&scene);
        for (int i = 0; i < MANY; i++)
            assert_int_equal(calls[i], round);
    }
    for (int i = 0; i < MANY; i += 2)
        assert_int_equal(rota_remove_reader(scene.loop, fds[i]), 1);
    turn(&scene);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(calls[i], i % 2 ? 4 : 3);
        if (i % 2)
            rota_remove_reader(scene.loop, fds[i]);
        close(fds[i]);
    }
    close_scene(&scene);
}

HARNESS_MAIN(TEST(a_reader_is_called_in_each_turn_while_there_is_data),
             TEST(a_writer_is_called_in_each_turn_while_there_is_room),
             TEST(reader_and_writer_of_an_fd_come_and_go_alone),
             TEST(removing_says_whether_there_was_one),
             TEST(a_second_reader_replaces_the_first),
             TEST(a_reader_runs_in_the_turn_of_its_event),
             TEST(a_reader_removed_in_the_turn_of_its_event_does_not_run),
             TEST(a_removed_reader_does_not_run_if_a_writer_stays),
             TEST(a_reader_replaced_in_the_turn_of_its_event_does_not_run),
             TEST(an_fd_reopened_in_the_turn_of_its_event_starts_afresh),
             TEST(a_reader_removes_itself_and_the_writer),
             TEST(a_closed_peer_calls_reader_and_writer),
             TEST(a_peer_that_has_ended_writing_makes_no_room),
             TEST(what_cannot_be_watched_is_refused),
             TEST(epoll_refuses_a_regular_file),
             TEST(the_fd_of_a_stream_is_refused),
             TEST(without_memory_nothing_is_watched),
             TEST(closing_the_loop_leaves_the_fds_open),
             TEST(many_fds_are_each_called_once_a_turn))
