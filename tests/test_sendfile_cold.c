/* SPDX-License-Identifier: MIT */
/*
 * Sending files that are not known to be in memory
 *
 * A file of /proc is one: nobody can ask it what it has at hand.
 */
#include "files.h"
#include "held_files.h"

#define STRANGE "/proc/version"

static intptr_t send_strange(void *way)
{
    struct scene scene;
    struct sending sending = {.scene = &scene,
                              .file = open(STRANGE, O_RDONLY | O_CLOEXEC)};
    char expected[1000];
    char data[1000];
    ssize_t size = pread(sending.file, expected, sizeof expected, 0);
    rota_task task;

    assert_in_range(size, 1, sizeof expected - 1);
    scene_open(&scene, (enum way)(intptr_t)way);
    hold_files();
    task = start(send_it, &sending);
    pass_turns(20);
    assert_int_equal(recv(scene.peer, data, 1, MSG_DONTWAIT), -1);
    open_gate();
    assert_int_equal(rota_await(task), size);
    assert_int_equal(recv(scene.peer, data, sizeof data, MSG_DONTWAIT), size);
    assert_memory_equal(data, expected, size);
    scene_end(&scene);
    close(scene.peer);
    close(sending.file);
    return 0;
}

static void the_loop_does_not_wait_for_a_disk(void)
{
    each_way(send_strange);
}

HARNESS_MAIN(TEST(the_loop_does_not_wait_for_a_disk))
