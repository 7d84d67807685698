/* SPDX-License-Identifier: MIT */
/*
 * The harness: leaks
 *
 * Runs in the child of one test. Before the test it notes the open
 * descriptors and the number of threads, and hands rota an allocator that
 * counts; after the test it compares. A thread that was joined may be seen
 * for an instant more, so threads get a second to go.
 */
#include "harness_leaks.h"

#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#if defined(__APPLE__)
#include <malloc/malloc.h>
#define block_size malloc_size
#elif defined(__FreeBSD__)
#include <malloc_np.h>
#define block_size malloc_usable_size
#else
#include <malloc.h>
#define block_size malloc_usable_size
#endif

#include "harness.h"

enum { FDS = 4096 };

static bool open_before[FDS];
static int threads_before;

static atomic_long live_bytes;
static atomic_long live_blocks;
static atomic_long asked;
static atomic_long refuse_at = -1;

static bool refused(void)
{
    long number = atomic_fetch_add(&asked, 1) + 1;

    return number == atomic_load(&refuse_at);
}

static void *count_allocate(void *ctx, size_t size)
{
    void *block;

    (void)ctx;
    block = refused() ? NULL : malloc(size);
    if (block == NULL)
        return NULL;
    atomic_fetch_add(&live_blocks, 1);
    atomic_fetch_add(&live_bytes, (long)block_size(block));
    return block;
}

static void count_release(void *ctx, void *block)
{
    (void)ctx;
    if (block == NULL)
        return;
    atomic_fetch_sub(&live_blocks, 1);
    atomic_fetch_sub(&live_bytes, (long)block_size(block));
    free(block);
}

static void *count_reallocate(void *ctx, void *block, size_t size)
{
    long before;
    void *grown;

    if (block == NULL)
        return count_allocate(ctx, size);
    before = (long)block_size(block);
    grown = refused() ? NULL : realloc(block, size > 0 ? size : 1);
    if (grown != NULL)
        atomic_fetch_add(&live_bytes, (long)block_size(grown) - before);
    return grown;
}

const rota_allocator harness_allocator = {
    .allocate = count_allocate,
    .reallocate = count_reallocate,
    .release = count_release,
};

void harness_fail_allocation(long nth)
{
    atomic_store(&refuse_at, nth < 0 ? -1 : atomic_load(&asked) + nth);
}

long harness_allocations(void)
{
    return atomic_load(&asked);
}

long harness_live_blocks(void)
{
    return atomic_load(&live_blocks);
}

/* Calls back for each open descriptor; how many refused. */
static int each_fd(int (*visit)(int fd))
{
    DIR *dir = opendir("/proc/self/fd");
    struct dirent *entry;
    int sum = 0;

    if (dir == NULL)
        dir = opendir("/dev/fd");
    if (dir == NULL)
        return 0;
    while ((entry = readdir(dir)) != NULL) {
        int fd = (int)strtol(entry->d_name, NULL, 10);

        if (entry->d_name[0] != '.' && fd != dirfd(dir) && fd < FDS)
            sum += visit(fd);
    }
    closedir(dir);
    return sum;
}

static int note_fd(int fd)
{
    open_before[fd] = true;
    return 0;
}

static int report_fd(int fd)
{
    char path[64];
    char target[256];
    ssize_t length;

    if (open_before[fd])
        return 0;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    length = readlink(path, target, sizeof target - 1);
    target[length > 0 ? length : 0] = '\0';
    fprintf(stderr, "leak: descriptor %d is open: %s\n", fd, target);
    return 1;
}

static int count_threads(void)
{
    DIR *dir = opendir("/proc/self/task");
    struct dirent *entry;
    int count = 0;

    if (dir == NULL)
        return 0;
    while ((entry = readdir(dir)) != NULL)
        count += entry->d_name[0] != '.';
    closedir(dir);
    return count;
}

static int threads_left(void)
{
    const struct timespec moment = {.tv_nsec = 1000000};
    int left = 0;

    for (int tries = 0; tries < 1000; tries++) {
        left = count_threads() - threads_before;
        if (left <= 0)
            return 0;
        nanosleep(&moment, NULL);
    }
    fprintf(stderr, "leak: %d more threads than before\n", left);
    return left;
}

static void *return_at_once(void *arg)
{
    return arg;
}

/* TSan starts a thread of its own beside the first that a program makes. */
static void wake_sanitizer(void)
{
    pthread_t thread;

    if (pthread_create(&thread, NULL, return_at_once, NULL) == 0)
        pthread_join(thread, NULL);
}

void harness_leaks_begin(void)
{
    if (harness_under(HARNESS_TSAN))
        wake_sanitizer();
    each_fd(note_fd);
    threads_before = count_threads();
    if (rota_set_allocator(&harness_allocator) < 0)
        abort();
}

bool harness_leaks_none(void)
{
    int left = threads_left() + each_fd(report_fd);
    long blocks = harness_live_blocks();

    if (blocks != 0)
        fprintf(stderr, "leak: %ld blocks of rota's allocator, %ld bytes\n",
                blocks, atomic_load(&live_bytes));
    return left == 0 && blocks == 0;
}
