/* SPDX-License-Identifier: MIT */
/*
 * Quiet: the io_uring behind the flag
 *
 * Raw system calls: the three that are needed fit on a page, and rota so has
 * no dependency for it. A request belongs to the thread that made it, so the
 * ring is made anew when a loop moves to another thread.
 */
#include "os/os.h"

#if defined(__linux__)

#include "os/quiet.h"
#include <linux/io_uring.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef IORING_SETUP_COOP_TASKRUN
#define IORING_SETUP_COOP_TASKRUN (1U << 8)
#endif
#ifndef IORING_SETUP_TASKRUN_FLAG
#define IORING_SETUP_TASKRUN_FLAG (1U << 9)
#endif

enum { UNTRIED = -1, REFUSED = -2, ENTRIES = 2 };

void rota__quiet_init(struct rota__quiet *quiet)
{
    *quiet = (struct rota__quiet){.ring_fd = UNTRIED};
}

void rota__quiet_fini(struct rota__quiet *quiet)
{
    if (quiet->ring_fd >= 0) {
        munmap(quiet->rings, quiet->rings_size);
        munmap(quiet->entries, quiet->entries_size);
        close(quiet->ring_fd);
    }
    rota__quiet_init(quiet);
}

static void *map_ring(int fd, size_t size, off_t offset)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_POPULATE, fd, offset);

    return memory == MAP_FAILED ? NULL : memory;
}

/* Of the mapping that holds both rings; the kernel does not tell its size. */
static size_t size_of_rings(const struct io_uring_params *params)
{
    size_t completions =
        params->cq_off.cqes + params->cq_entries * sizeof(struct io_uring_cqe);
    size_t submissions =
        params->sq_off.array + params->sq_entries * sizeof(unsigned);

    return completions > submissions ? completions : submissions;
}

static int map_rings(struct rota__quiet *quiet,
                     const struct io_uring_params *params)
{
    char *rings;

    if (!(params->features & IORING_FEAT_SINGLE_MMAP))
        return -ENOSYS;
    quiet->rings_size = size_of_rings(params);
    quiet->entries_size = params->sq_entries * sizeof(struct io_uring_sqe);
    rings = map_ring(quiet->ring_fd, quiet->rings_size, IORING_OFF_SQ_RING);
    if (!rings)
        return -ENOMEM;
    quiet->entries =
        map_ring(quiet->ring_fd, quiet->entries_size, IORING_OFF_SQES);
    if (!quiet->entries) {
        munmap(rings, quiet->rings_size);
        return -ENOMEM;
    }
    quiet->rings = rings;
    quiet->sq_flags = (unsigned *)(void *)(rings + params->sq_off.flags);
    quiet->sq_tail = (unsigned *)(void *)(rings + params->sq_off.tail);
    quiet->sq_mask = *(unsigned *)(void *)(rings + params->sq_off.ring_mask);
    quiet->sq_array = (unsigned *)(void *)(rings + params->sq_off.array);
    quiet->cq_head = (unsigned *)(void *)(rings + params->cq_off.head);
    quiet->cq_tail = (unsigned *)(void *)(rings + params->cq_off.tail);
    return 0;
}

static int open_ring(struct rota__quiet *quiet)
{
    struct io_uring_params params = {
        .flags = IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
    };
    long fd = syscall(SYS_io_uring_setup, ENTRIES, &params);

    if (fd < 0)
        return -errno;
    quiet->ring_fd = (int)fd;
    if (map_rings(quiet, &params) < 0) {
        close((int)fd);
        return -ENOSYS;
    }
    quiet->thread = rota__thread_self();
    return 0;
}

static int ready_ring(struct rota__quiet *quiet)
{
    if (rota__likely(quiet->ring_fd >= 0 &&
                     quiet->thread == rota__thread_self()))
        return 0;
    if (quiet->ring_fd == REFUSED)
        return -ENOSYS;
    rota__quiet_fini(quiet);
    if (open_ring(quiet) < 0)
        quiet->ring_fd = REFUSED;
    return quiet->ring_fd == REFUSED ? -ENOSYS : 0;
}

/* For now, if the kernel was only interrupted or short of something. */
static int give_up(struct rota__quiet *quiet, unsigned tail)
{
    if (errno == EINTR || errno == EAGAIN || errno == EBUSY) {
        __atomic_store_n(quiet->sq_tail, tail, __ATOMIC_RELEASE);
        return -EAGAIN;
    }
    rota__quiet_fini(quiet);
    quiet->ring_fd = REFUSED;
    return -ENOSYS;
}

int rota__quiet_set(struct rota__quiet *quiet, int fd)
{
    struct io_uring_sqe *entry;
    unsigned tail;

    if (ready_ring(quiet) < 0)
        return -ENOSYS;
    tail = *quiet->sq_tail;
    entry = (struct io_uring_sqe *)quiet->entries + (tail & quiet->sq_mask);
    memset(entry, 0, sizeof *entry);
    entry->opcode = IORING_OP_POLL_ADD;
    entry->fd = fd;
    entry->poll_events = POLLIN;
    quiet->sq_array[tail & quiet->sq_mask] = tail & quiet->sq_mask;
    __atomic_store_n(quiet->sq_tail, tail + 1, __ATOMIC_RELEASE);
    if (syscall(SYS_io_uring_enter, quiet->ring_fd, 1, 0, 0, NULL, 0) != 1)
        return give_up(quiet, tail);
    quiet->set = true;
    return 0;
}

void rota__quiet_take(struct rota__quiet *quiet)
{
    unsigned tail = __atomic_load_n(quiet->cq_tail, __ATOMIC_ACQUIRE);

    if (tail == *quiet->cq_head)
        return; /* not posted yet: it still counts as set */
    __atomic_store_n(quiet->cq_head, tail, __ATOMIC_RELEASE);
    quiet->set = false;
}

#else
typedef int rota__no_quiet;
#endif
