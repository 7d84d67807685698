/* SPDX-License-Identifier: MIT */
/*
 * Sending files that are not known to be in memory
 *
 * A file of /proc is one: nobody can ask it what it has at hand.
 */
#include "files.h"
#include "held_files.h"

#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>

#define STRANGE "/proc/version"

/* In front of the system's: the loop's thread must not wait in it. */
static int sends;

ssize_t sendfile(int out, int file, off_t *offset, size_t count)
{
    sends++;
    return syscall(SYS_sendfile, out, file, offset, count);
}

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

/* Pages that are there, asked of the system without fetching any. */
static size_t count_resident(int file, size_t size)
{
    unsigned char pages[SIZE / 4096 + 1];
    void *memory = mmap(NULL, size, PROT_READ, MAP_SHARED, file, 0);
    size_t count = 0;

    assert_ptr_not_equal(memory, MAP_FAILED);
    assert_int_equal(mincore(memory, size, pages), 0);
    for (size_t i = 0; i < (size + 4095) / 4096; i++)
        count += pages[i] & 1;
    munmap(memory, size);
    return count;
}

/* Only its first page is in memory, and the system does not read ahead. */
static int make_cold_file(void)
{
    int file = make_file(SIZE);
    char byte;

    assert_int_equal(posix_fadvise(file, 0, 0, POSIX_FADV_RANDOM), 0);
    assert_int_equal(pread(file, &byte, 1, 0), 1);
    return file;
}

static intptr_t begin_to_send_cold(void *way)
{
    struct scene scene;
    struct sending sending = {.scene = &scene, .file = make_cold_file()};
    rota_task task;
    int before;

    if (count_resident(sending.file, SIZE) > 10)
        harness_skip("/tmp is in memory");
    scene_open(&scene, (enum way)(intptr_t)way);
    hold_files();
    before = sends;
    task = start(send_it, &sending);
    pass_turns(3);
    assert_int_equal(sends, before);
    open_gate();
    (void)rota_task_cancel(task);
    assert_int_equal(rota_await(task), -ECANCELED);
    scene_end(&scene);
    close(scene.peer);
    close(sending.file);
    return 0;
}

static void a_file_that_begins_in_memory_may_end_on_a_disk(void)
{
    each_way(begin_to_send_cold);
}

HARNESS_MAIN(TEST(the_loop_does_not_wait_for_a_disk),
             TEST(a_file_that_begins_in_memory_may_end_on_a_disk))
