/* SPDX-License-Identifier: MIT */
/*
 * Pollers: levels, edges, hang-ups and registrations
 */
#define _GNU_SOURCE
#include "pollers.h"

#include <stdlib.h>
#include <sys/resource.h>

/* Levels and edges */

static void a_level_is_told_in_every_wait(const char *poller)
{
    struct scene scene;

    open_scene(&scene, poller, ROTA__READABLE);
    assert_int_equal(look_at(&scene), 0);
    send_byte(scene.theirs);
    assert_int_equal(look_at(&scene), ROTA__READABLE);
    assert_int_equal(look_at(&scene), ROTA__READABLE);
    read_all(scene.ours);
    assert_int_equal(look_at(&scene), 0);
    close_scene(&scene);
}
ON_EACH(a_level_is_told_in_every_wait)

static void an_edge_is_told_once(const char *poller)
{
    struct scene scene;

    open_scene(&scene, poller, ROTA__READABLE | ROTA__EDGE);
    assert_int_equal(look_at(&scene), 0);
    send_byte(scene.theirs);
    assert_int_equal(look_at(&scene), ROTA__READABLE);
    assert_int_equal(look_at(&scene), 0);
    read_all(scene.ours);
    rota__poller_drained(&scene.poller, &scene.noted.watch, ROTA__READABLE);
    assert_int_equal(look_at(&scene), 0);
    send_byte(scene.theirs);
    assert_int_equal(look_at(&scene), ROTA__READABLE);
    assert_int_equal(look_at(&scene), 0);
    close_scene(&scene);
}
ON_EACH(an_edge_is_told_once)

static void a_byte_that_comes_before_drained_is_not_lost(const char *poller)
{
    struct scene scene;

    open_scene(&scene, poller, ROTA__READABLE | ROTA__EDGE);
    send_byte(scene.theirs);
    assert_int_equal(look_at(&scene), ROTA__READABLE);
    read_all(scene.ours);
    send_byte(scene.theirs);
    rota__poller_drained(&scene.poller, &scene.noted.watch, ROTA__READABLE);
    assert_int_equal(look_at(&scene), ROTA__READABLE);
    close_scene(&scene);
}
ON_EACH(a_byte_that_comes_before_drained_is_not_lost)

static void a_full_socket_is_writable_when_the_peer_has_read(const char *poller)
{
    struct scene scene;

    open_scene(&scene, poller, ROTA__WRITABLE);
    assert_int_equal(look_at(&scene), ROTA__WRITABLE);
    fill_up(scene.ours);
    assert_int_equal(look_at(&scene), 0);
    read_all(scene.theirs);
    assert_int_equal(look_at(&scene), ROTA__WRITABLE);
    close_scene(&scene);
}
ON_EACH(a_full_socket_is_writable_when_the_peer_has_read)

static void edges_of_both_directions_are_kept_apart(const char *poller)
{
    struct scene scene;

    open_scene(&scene, poller, ROTA__READABLE | ROTA__WRITABLE | ROTA__EDGE);
    assert_int_equal(look_at(&scene), ROTA__WRITABLE);
    assert_int_equal(look_at(&scene), 0);
    send_byte(scene.theirs);
    assert_true(look_at(&scene) & ROTA__READABLE);
    fill_up(scene.ours);
    rota__poller_drained(&scene.poller, &scene.noted.watch, ROTA__WRITABLE);
    assert_int_equal(look_at(&scene) & ROTA__WRITABLE, 0);
    read_all(scene.theirs);
    assert_true(look_at(&scene) & ROTA__WRITABLE);
    close_scene(&scene);
}
ON_EACH(edges_of_both_directions_are_kept_apart)

/* The end of the peer */

static void a_closed_peer_is_a_hang_up(const char *poller)
{
    struct scene scene;

    open_scene(&scene, poller, ROTA__READABLE);
    close(scene.theirs);
    scene.theirs = -1;
    assert_true(look_at(&scene) & ROTA__HANGUP);
    assert_true(look_at(&scene) & ROTA__HANGUP);
    close_scene(&scene);
}
ON_EACH(a_closed_peer_is_a_hang_up)

static void the_edge_of_a_hang_up_is_told_once(const char *poller)
{
    struct scene scene;

    open_scene(&scene, poller, ROTA__READABLE | ROTA__EDGE);
    close(scene.theirs);
    scene.theirs = -1;
    assert_true(look_at(&scene) & ROTA__HANGUP);
    assert_int_equal(look_at(&scene), 0);
    close_scene(&scene);
}
ON_EACH(the_edge_of_a_hang_up_is_told_once)

static void the_end_of_the_peers_writing_can_be_read(const char *poller)
{
    struct scene scene;

    open_scene(&scene, poller, ROTA__READABLE);
    assert_int_equal(shutdown(scene.theirs, SHUT_WR), 0);
    assert_true(look_at(&scene) & ROTA__READABLE);
    close_scene(&scene);
}
ON_EACH(the_end_of_the_peers_writing_can_be_read)

static void both_ends_of_a_pipe_hear_of_the_other_ones_end(const char *poller)
{
    for (int end = 0; end < 2; end++) {
        struct rota__poller opened;
        struct noted noted;
        int fds[2];

        assert_int_equal(pipe(fds), 0);
        assert_int_equal(rota__poller_open(&opened, poller), 0);
        noted = noted_for(fds[end]);
        assert_int_equal(
            rota__poller_add(&opened, &noted.watch,
                             end == 0 ? ROTA__READABLE : ROTA__WRITABLE),
            0);
        assert_int_equal(look(&opened, &noted), end == 0 ? 0 : ROTA__WRITABLE);
        close(fds[!end]);
        assert_true(look(&opened, &noted) & ROTA__HANGUP);
        rota__poller_remove(&opened, &noted.watch);
        rota__poller_close(&opened);
        close(fds[end]);
    }
}
ON_EACH(both_ends_of_a_pipe_hear_of_the_other_ones_end)

/* Registrations */

static void a_change_asks_for_something_else(const char *poller)
{
    struct scene scene;
    struct rota__watch *watch = &scene.noted.watch;

    open_scene(&scene, poller, ROTA__READABLE);
    send_byte(scene.theirs);
    assert_int_equal(rota__poller_change(&scene.poller, watch, ROTA__WRITABLE),
                     0);
    assert_int_equal(watch->events, ROTA__WRITABLE);
    assert_int_equal(look_at(&scene), ROTA__WRITABLE);
    assert_int_equal(rota__poller_change(&scene.poller, watch,
                                         ROTA__READABLE | ROTA__WRITABLE),
                     0);
    assert_int_equal(look_at(&scene), ROTA__READABLE | ROTA__WRITABLE);
    assert_int_equal(rota__poller_change(&scene.poller, watch, ROTA__READABLE),
                     0);
    assert_int_equal(rota__poller_change(&scene.poller, watch, ROTA__READABLE),
                     0);
    assert_int_equal(look_at(&scene), ROTA__READABLE);
    close_scene(&scene);
}
ON_EACH(a_change_asks_for_something_else)

static void a_removed_watch_is_told_nothing(const char *poller)
{
    struct scene scene;
    struct rota__watch *watch = &scene.noted.watch;

    open_scene(&scene, poller, ROTA__READABLE);
    send_byte(scene.theirs);
    assert_ptr_equal(rota__poller_find(&scene.poller, scene.ours), watch);
    rota__poller_remove(&scene.poller, watch);
    rota__poller_remove(&scene.poller, watch);
    assert_null(rota__poller_find(&scene.poller, scene.ours));
    assert_int_equal(look_at(&scene), 0);
    assert_int_equal(rota__poller_add(&scene.poller, watch, ROTA__READABLE), 0);
    assert_int_equal(look_at(&scene), ROTA__READABLE);
    close_scene(&scene);
}
ON_EACH(a_removed_watch_is_told_nothing)

static void removing_one_watch_leaves_the_others(const char *poller)
{
    struct scene scenes[5];
    struct rota__poller opened;

    assert_int_equal(rota__poller_open(&opened, poller), 0);
    for (int i = 0; i < 5; i++) {
        open_scene(&scenes[i], "poll", 0);
        assert_int_equal(
            rota__poller_add(&opened, &scenes[i].noted.watch, ROTA__READABLE),
            0);
        send_byte(scenes[i].theirs);
    }
    rota__poller_remove(&opened, &scenes[1].noted.watch);
    rota__poller_remove(&opened, &scenes[4].noted.watch);
    assert_int_equal(rota__poller_wait(&opened, ROTA__ASK), 0);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(scenes[i].noted.times, i != 1 && i != 4);
        rota__poller_remove(&opened, &scenes[i].noted.watch);
        close_scene(&scenes[i]);
    }
    rota__poller_close(&opened);
}
ON_EACH(removing_one_watch_leaves_the_others)

static void an_event_of_an_earlier_registration_is_dropped(const char *poller)
{
    struct scene scene;
    struct rota__watch *watch = &scene.noted.watch;
    uint64_t before;

    open_scene(&scene, poller, ROTA__READABLE);
    before = rota__poller_tag(&scene.poller, scene.ours);
    rota__poller_remove(&scene.poller, watch);
    rota__poller_report(&scene.poller, before, ROTA__READABLE);
    assert_int_equal(scene.noted.times, 0);
    assert_int_equal(rota__poller_add(&scene.poller, watch, ROTA__READABLE), 0);
    rota__poller_report(&scene.poller, before, ROTA__READABLE);
    assert_int_equal(scene.noted.times, 0);
    rota__poller_report(&scene.poller,
                        rota__poller_tag(&scene.poller, scene.ours),
                        ROTA__READABLE);
    assert_int_equal(scene.noted.times, 1);
    close_scene(&scene);
}
ON_EACH(an_event_of_an_earlier_registration_is_dropped)

static void what_is_removed_before_its_delivery_is_not_told(const char *poller)
{
    struct scene scene;
    struct rota__watch *watch = &scene.noted.watch;
    int count;

    open_scene(&scene, poller, ROTA__READABLE);
    send_byte(scene.theirs);
    count = rota__poller_collect(&scene.poller, ROTA__FOREVER);
    assert_int_equal(count, 1);
    assert_int_equal(scene.noted.times, 0);
    rota__poller_remove(&scene.poller, watch);
    rota__poller_deliver(&scene.poller, count);
    assert_int_equal(scene.noted.times, 0);
    assert_int_equal(rota__poller_add(&scene.poller, watch, ROTA__READABLE), 0);
    count = rota__poller_collect(&scene.poller, ROTA__FOREVER);
    rota__poller_remove(&scene.poller, watch);
    assert_int_equal(rota__poller_add(&scene.poller, watch, ROTA__READABLE), 0);
    rota__poller_deliver(&scene.poller, count); /* of the one before */
    assert_int_equal(scene.noted.times, 0);
    assert_int_equal(look_at(&scene), ROTA__READABLE);
    close_scene(&scene);
}
ON_EACH(what_is_removed_before_its_delivery_is_not_told)

/* A duplicate keeps the old registration alive in epoll. */
static void a_number_used_again_does_not_inherit_events(const char *poller)
{
    struct scene scene;
    struct rota__watch *watch = &scene.noted.watch;
    int fresh[2];
    int copy;

    open_scene(&scene, poller, ROTA__READABLE);
    copy = dup(scene.ours);
    send_byte(scene.theirs);
    assert_int_equal(pipe(fresh), 0);
    close(scene.ours);
    rota__poller_remove(&scene.poller, watch);
    assert_int_equal(dup2(fresh[0], scene.ours), scene.ours);
    assert_int_equal(rota__poller_add(&scene.poller, watch, ROTA__READABLE), 0);
    assert_int_equal(look_at(&scene), 0);
    send_byte(fresh[1]);
    assert_int_equal(look_at(&scene), ROTA__READABLE);
    close(fresh[0]);
    close(fresh[1]);
    close(copy);
    close_scene(&scene);
}
ON_EACH(a_number_used_again_does_not_inherit_events)

static void a_forgotten_fd_is_closed_and_used_again(const char *poller)
{
    struct scene scene;
    struct rota__watch *watch = &scene.noted.watch;
    int fresh[2];

    open_scene(&scene, poller, ROTA__READABLE);
    assert_int_equal(pipe(fresh), 0);
    rota__poller_forget(&scene.poller, watch);
    assert_int_equal(dup2(fresh[0], scene.ours), scene.ours); /* closes it */
    assert_int_equal(rota__poller_add(&scene.poller, watch, ROTA__READABLE), 0);
    assert_int_equal(look_at(&scene), 0);
    send_byte(fresh[1]);
    assert_int_equal(look_at(&scene), ROTA__READABLE);
    close(fresh[0]);
    close(fresh[1]);
    close_scene(&scene);
}
ON_EACH(a_forgotten_fd_is_closed_and_used_again)

static void a_registration_is_handed_over_to_another_watch(const char *poller)
{
    struct scene scene;
    struct noted heir = noted_for(-1);

    open_scene(&scene, poller, ROTA__READABLE);
    rota__poller_hand_over(&scene.poller, &scene.noted.watch, &heir.watch);
    send_byte(scene.theirs);
    assert_int_equal(look(&scene.poller, &heir), ROTA__READABLE);
    assert_int_equal(scene.noted.times, 0);
    rota__poller_remove(&scene.poller, &scene.noted.watch); /* has none */
    assert_ptr_equal(rota__poller_find(&scene.poller, scene.ours), &heir.watch);
    rota__poller_remove(&scene.poller, &heir.watch);
    assert_int_equal(look(&scene.poller, &heir), 0);
    close_scene(&scene);
}
ON_EACH(a_registration_is_handed_over_to_another_watch)

static void a_weak_watch_gives_way_to_another_one(const char *poller)
{
    struct scene scene;
    struct noted second;

    open_scene(&scene, poller, ROTA__READABLE | ROTA__EDGE | ROTA__WEAK);
    send_byte(scene.theirs);
    assert_int_equal(look_at(&scene), ROTA__READABLE);
    second = noted_for(scene.ours);
    scene.noted.events = 0;
    scene.noted.times = 0;
    assert_int_equal(
        rota__poller_add(&scene.poller, &second.watch, ROTA__READABLE), 0);
    assert_int_equal(scene.noted.events, ROTA__GONE);
    assert_int_equal(scene.noted.watch.events, 0);
    assert_int_equal(look(&scene.poller, &second), ROTA__READABLE);
    assert_int_equal(scene.noted.times, 1);
    assert_int_equal(scene.poller.watched, 1);
    rota__poller_remove(&scene.poller, &second.watch);
    close_scene(&scene);
}
ON_EACH(a_weak_watch_gives_way_to_another_one)

static void a_weak_watch_gives_way_to_a_new_fd(const char *poller)
{
    struct scene scene;
    struct noted second;
    int fresh[2];

    open_scene(&scene, poller, ROTA__READABLE | ROTA__EDGE | ROTA__WEAK);
    assert_int_equal(pipe(fresh), 0);
    assert_int_equal(dup2(fresh[0], scene.ours), scene.ours); /* closes it */
    second = noted_for(scene.ours);
    assert_int_equal(
        rota__poller_add(&scene.poller, &second.watch, ROTA__READABLE), 0);
    assert_int_equal(scene.noted.events, ROTA__GONE);
    send_byte(fresh[1]);
    assert_int_equal(look(&scene.poller, &second), ROTA__READABLE);
    rota__poller_remove(&scene.poller, &second.watch);
    close(fresh[0]);
    close(fresh[1]);
    close_scene(&scene);
}
ON_EACH(a_weak_watch_gives_way_to_a_new_fd)

static void what_cannot_be_watched_is_refused(const char *poller)
{
    struct scene scene;
    struct noted second;
    struct noted bad = noted_for(-1);
    int closed;

    open_scene(&scene, poller, ROTA__READABLE);
    second = noted_for(scene.ours);
    closed = dup(scene.ours);
    close(closed);
    assert_int_equal(
        rota__poller_add(&scene.poller, &second.watch, ROTA__READABLE),
        -EEXIST);
    assert_int_equal(
        rota__poller_add(&scene.poller, &bad.watch, ROTA__READABLE), -EBADF);
    bad.watch.fd = closed;
    assert_int_equal(
        rota__poller_add(&scene.poller, &bad.watch, ROTA__READABLE), -EBADF);
    assert_null(rota__poller_find(&scene.poller, closed));
    assert_null(rota__poller_find(&scene.poller, -1));
    assert_null(rota__poller_find(&scene.poller, 1 << 30));
    assert_int_equal(scene.poller.watched, 1);
    close_scene(&scene);
}
ON_EACH(what_cannot_be_watched_is_refused)

static void watches_follow_their_fds_to_high_numbers(const char *poller)
{
    static const int numbers[] = {63, 64, 65, 127, 128, 500, 900};
    struct noted noted[rota__countof(numbers)];
    struct rota__poller opened;
    int fds[2];

    assert_int_equal(pipe(fds), 0);
    assert_int_equal(rota__poller_open(&opened, poller), 0);
    for (size_t i = 0; i < rota__countof(numbers); i++) {
        int fd = fcntl(fds[0], F_DUPFD_CLOEXEC, numbers[i]);

        assert_true(fd >= numbers[i]);
        noted[i] = noted_for(fd);
        assert_int_equal(
            rota__poller_add(&opened, &noted[i].watch, ROTA__READABLE), 0);
    }
    send_byte(fds[1]);
    assert_int_equal(rota__poller_wait(&opened, ROTA__FOREVER), 0);
    for (size_t i = 0; i < rota__countof(numbers); i++) {
        assert_int_equal(noted[i].times, 1);
        rota__poller_remove(&opened, &noted[i].watch);
        close(noted[i].watch.fd);
    }
    rota__poller_close(&opened);
    close(fds[0]);
    close(fds[1]);
}
ON_EACH(watches_follow_their_fds_to_high_numbers)

#define MANY 1300 /* more than one call of the system hands out */

static void more_events_than_a_batch_are_all_told(const char *poller)
{
    static struct noted noted[MANY];
    struct rlimit limit;
    struct rota__poller opened;
    int fds[2];

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max < 4096 ? limit.rlim_max : 4096;
    if (limit.rlim_cur < MANY + 50 || setrlimit(RLIMIT_NOFILE, &limit) < 0)
        harness_skip("too few descriptors are allowed");
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(rota__poller_open(&opened, poller), 0);
    for (int i = 0; i < MANY; i++) {
        noted[i] = noted_for(dup(fds[0]));
        assert_int_equal(rota__poller_add(&opened, &noted[i].watch,
                                          ROTA__READABLE | ROTA__EDGE),
                         0);
    }
    send_byte(fds[1]);
    for (int i = 0; i < 2; i++)
        assert_int_equal(rota__poller_wait(&opened, ROTA__ASK), 0);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(noted[i].times, 1);
        rota__poller_remove(&opened, &noted[i].watch);
        close(noted[i].watch.fd);
    }
    rota__poller_close(&opened);
    close(fds[0]);
    close(fds[1]);
}
ON_EACH(more_events_than_a_batch_are_all_told)

static void without_memory_a_watch_is_refused_and_nothing_lost(const char *name)
{
    struct scene scene;
    struct rota__watch *watch = &scene.noted.watch;
    int refused = 0;

    open_scene(&scene, name, 0);
    for (int err = -ENOMEM; err < 0;) {
        harness_fail_allocation(1 + refused);
        err = rota__poller_add(&scene.poller, watch, ROTA__READABLE);
        harness_fail_allocation(-1);
        assert_true(err == 0 || err == -ENOMEM);
        refused += err < 0;
    }
    assert_true(refused > 0);
    send_byte(scene.theirs);
    assert_int_equal(look_at(&scene), ROTA__READABLE);
    close_scene(&scene);
}
ON_EACH(without_memory_a_watch_is_refused_and_nothing_lost)

static void without_memory_a_poller_does_not_open(const char *name)
{
    struct rota__poller poller;

    harness_fail_allocation(1);
    assert_int_equal(rota__poller_open(&poller, name), -ENOMEM);
    harness_fail_allocation(-1);
    assert_int_equal(rota__poller_open(&poller, name), 0);
    rota__poller_close(&poller);
}
ON_EACH(without_memory_a_poller_does_not_open)

/* Names */

static void an_unknown_poller_is_refused(void)
{
    struct rota__poller poller;

    assert_int_equal(rota__poller_open(&poller, "select"), -EINVAL);
    assert_int_equal(rota__poller_open(&poller, ""), -EINVAL);
}

static void without_a_name_the_best_is_taken(void)
{
    struct rota__poller poller;

    assert_int_equal(rota__poller_open(&poller, NULL), 0);
    assert_string_equal(poller.ops->name, NATIVE);
    rota__poller_close(&poller);
}

static void epoll_refuses_a_regular_file(void)
{
    char path[] = "/tmp/rota-test-XXXXXX";
    struct rota__poller poller;
    struct noted noted = noted_for(mkstemp(path));

    assert_true(noted.watch.fd >= 0);
    unlink(path);
    if (rota__poller_open(&poller, "epoll") == -EINVAL)
        harness_skip("this system has no epoll");
    assert_int_equal(rota__poller_add(&poller, &noted.watch, ROTA__READABLE),
                     -EPERM);
    assert_null(rota__poller_find(&poller, noted.watch.fd));
    rota__poller_close(&poller);
    close(noted.watch.fd);
}

HARNESS_MAIN(TESTS(a_level_is_told_in_every_wait), TESTS(an_edge_is_told_once),
             TESTS(a_byte_that_comes_before_drained_is_not_lost),
             TESTS(a_full_socket_is_writable_when_the_peer_has_read),
             TESTS(edges_of_both_directions_are_kept_apart),
             TESTS(a_closed_peer_is_a_hang_up),
             TESTS(the_edge_of_a_hang_up_is_told_once),
             TESTS(the_end_of_the_peers_writing_can_be_read),
             TESTS(both_ends_of_a_pipe_hear_of_the_other_ones_end),
             TESTS(a_change_asks_for_something_else),
             TESTS(a_removed_watch_is_told_nothing),
             TESTS(removing_one_watch_leaves_the_others),
             TESTS(an_event_of_an_earlier_registration_is_dropped),
             TESTS(what_is_removed_before_its_delivery_is_not_told),
             TESTS(a_number_used_again_does_not_inherit_events),
             TESTS(a_forgotten_fd_is_closed_and_used_again),
             TESTS(a_registration_is_handed_over_to_another_watch),
             TESTS(a_weak_watch_gives_way_to_another_one),
             TESTS(a_weak_watch_gives_way_to_a_new_fd),
             TESTS(what_cannot_be_watched_is_refused),
             TESTS(watches_follow_their_fds_to_high_numbers),
             TESTS(more_events_than_a_batch_are_all_told),
             TESTS(without_memory_a_watch_is_refused_and_nothing_lost),
             TESTS(without_memory_a_poller_does_not_open),
             TEST(epoll_refuses_a_regular_file),
             TEST(an_unknown_poller_is_refused),
             TEST(without_a_name_the_best_is_taken))
