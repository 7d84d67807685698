/* SPDX-License-Identifier: MIT */
/*
 * Spawns: what the tests of children below the streams share
 *
 * A child writes what it is to a file of ours, and ends; what it wrote is
 * compared when it was waited for. Each test of `ON_EACH_WAY(test)` runs twice:
 * by clone, where there is that, and by fork.
 */
#ifndef TESTS_SPAWNS_H
#define TESTS_SPAWNS_H

#include "harness.h"
#include "os/os.h"
#include "os/spawn.h"

#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__linux__)
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#endif

#define ON_EACH_WAY(test)                                                      \
    static void test##_by_clone(void)                                          \
    {                                                                          \
        test();                                                                \
    }                                                                          \
    static void test##_by_fork(void)                                           \
    {                                                                          \
        setenv("ROTA_SPAWN", "fork", 1);                                       \
        test();                                                                \
    }
#define TESTS(test) TEST(test##_by_clone), TEST(test##_by_fork)

static const struct rota__spawn plain = {.fds = {-1, -1, -1}};

/* Anonymous, close-on-exec and above 2: what a child says is read from it. */
static inline int new_paper(void)
{
    char name[] = "/tmp/rota-spawn-XXXXXX";
    int fd = mkostemp(name, O_CLOEXEC);
    int high = fcntl(fd, F_DUPFD_CLOEXEC, 100);

    assert_true(high >= 0);
    unlink(name);
    close(fd);
    return high;
}

static inline const char *text_on(int paper)
{
    static char text[65536];
    ssize_t n = pread(paper, text, sizeof text - 1, 0);

    assert_true(n >= 0);
    text[n] = '\0';
    return text;
}

static inline int end_of(struct rota__process_id *id)
{
    int returncode = 12345;

    assert_int_equal(rota__process_reap(id, true, &returncode), 1);
    assert_int_equal(rota__process_reap(id, false, &returncode), -ECHILD);
    rota__process_close(id);
    return returncode;
}

/* Spawns, waits, and gives the returncode; or the error. */
static inline int run_child(struct rota__spawn spawn, const char *const *argv)
{
    struct rota__process_id id = {-1, -1};
    int err;

    spawn.argv = argv;
    err = rota__spawn(&spawn, &id);
    if (err < 0) {
        assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
        return err;
    }
    assert_true(id.pid > 0);
    return end_of(&id);
}

static inline int run_command(struct rota__spawn spawn, const char *command)
{
    const char *argv[] = {"/bin/sh", "-c", command, NULL};

    return run_child(spawn, argv);
}

/* What a command says on its standard output. */
static inline const char *words_of(struct rota__spawn spawn,
                                   const char *command)
{
    int paper = new_paper();
    const char *text;

    spawn.fds[1] = paper;
    assert_int_equal(run_command(spawn, command), 0);
    text = text_on(paper);
    close(paper);
    return text;
}

static inline int count_fds(void)
{
    int count = 0;

    for (int fd = 0; fd < 4096; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

#if defined(__linux__)

/* A system call, and what it fails with from now on, in this test's process. */
struct refusal {
    int number;
    int error;
    int argument;  /* -1, or the one that is looked at: */
    unsigned bits; /* refused only if one of these is set */
};

/* False where there is no seccomp. */
static inline bool refuse(const struct refusal *refusals, size_t count)
{
    struct sock_filter filter[128];
    struct sock_fprog program = {.filter = filter};
    unsigned short at = 0;

    for (size_t i = 0; i < count; i++) {
        const struct refusal *r = &refusals[i];
        unsigned char skip = r->argument < 0 ? 1 : 3;

        filter[at++] = (struct sock_filter)BPF_STMT(
            BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
        filter[at++] = (struct sock_filter)BPF_JUMP(
            BPF_JMP | BPF_JEQ | BPF_K, (unsigned)r->number, 0, skip);
        if (r->argument >= 0) {
            filter[at++] = (struct sock_filter)BPF_STMT(
                BPF_LD | BPF_W | BPF_ABS,
                (unsigned)(offsetof(struct seccomp_data, args) +
                           8 * (unsigned)r->argument));
            filter[at++] = (struct sock_filter)BPF_JUMP(
                BPF_JMP | BPF_JSET | BPF_K, r->bits, 0, 1);
        }
        filter[at++] = (struct sock_filter)BPF_STMT(
            BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)r->error);
    }
    filter[at++] =
        (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    program.len = at;
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

#define REFUSE(...)                                                            \
    do {                                                                       \
        const struct refusal refusals[] = {__VA_ARGS__};                       \
                                                                               \
        if (!refuse(refusals, rota__countof(refusals)))                        \
            harness_skip("this kernel has no seccomp");                        \
    } while (0)

#define SPAWN_FLAG_PIDFD 0x1000u /* CLONE_PIDFD */
#if defined(SYS_vfork)
#define REFUSE_BIRTHS(error)                                                   \
    REFUSE({SYS_clone3, error, -1, 0}, {SYS_clone, error, -1, 0},              \
           {SYS_fork, error, -1, 0}, {SYS_vfork, error, -1, 0})
#else
#define REFUSE_BIRTHS(error)                                                   \
    REFUSE({SYS_clone3, error, -1, 0}, {SYS_clone, error, -1, 0})
#endif

#endif

#endif
