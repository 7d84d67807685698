/* SPDX-License-Identifier: MIT */
/*
 * Subprocesses: the options that say who a child is and what it inherits
 */
#define _GNU_SOURCE
#include "children.h"

#include <fcntl.h>
#include <sys/stat.h>

static rota_process *exec_with(const rota_subprocess_options *options,
                               const char *command, const char *arg)
{
    const char *argv[] = {"/bin/sh", "-c", command, "name", arg, NULL};
    rota_process *process = NULL;

    assert_int_equal(rota_create_subprocess_exec(&process, argv, options), 0);
    return process;
}

/* What a command says; it must end well. */
static void expect_words(rota_subprocess_options options, const char *command,
                         const char *expected)
{
    rota_process_output output;
    rota_process *process;

    options.out = ROTA_PIPE;
    process = exec_with(&options, command, NULL);
    communicate(process, NULL, &output, 0);
    expect_said(&output, expected, NULL, 0);
    rota_process_free(process);
}

static intptr_t mask_files(void *arg)
{
    const mode_t strict = 077;
    const mode_t lax = 0;
    const mode_t ours = umask(022);

    (void)arg;
    expect_words((rota_subprocess_options){.umask = &strict}, "umask",
                 "0077\n");
    expect_words((rota_subprocess_options){.umask = &lax}, "umask", "0000\n");
    expect_words((rota_subprocess_options){0}, "umask", "0022\n");
    assert_int_equal(umask(ours), 022);
    return 0;
}

static void a_child_has_the_umask_it_was_given(void)
{
    run(mask_files);
}

/* --- Descriptors --------------------------------------------------------- */

/* The end of a child that writes into our pipe, by the number it has here. */
static int write_into(int fd, bool passed)
{
    const rota_subprocess_options options = {
        .err = ROTA_DEVNULL,
        .pass_fds = &fd,
        .pass_fd_count = passed ? 1 : 0,
    };
    char number[16];

    snprintf(number, sizeof number, "%d", fd);
    return last_of(exec_with(&options, "echo through >/dev/fd/$1", number));
}

static intptr_t pass_a_pipe(void *arg)
{
    char text[32] = "";
    int ends[2];

    (void)arg;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_not_equal(write_into(ends[1], false), 0);
    assert_int_equal(write_into(ends[1], true), 0);
    assert_int_equal(fcntl(ends[1], F_GETFD), FD_CLOEXEC);
    close(ends[1]);
    assert_int_equal(read(ends[0], text, sizeof text), 8);
    assert_string_equal(text, "through\n");
    assert_int_equal(read(ends[0], text, sizeof text), 0);
    close(ends[0]);
    return 0;
}

static void an_fd_that_is_passed_arrives_under_its_number(void)
{
    run(pass_a_pipe);
}

/* --- Groups of processes ------------------------------------------------- */

static intptr_t join_a_group(void *arg)
{
    const rota_subprocess_options own = {.process_group = ROTA_OWN_GROUP};
    rota_process *leader = exec_with(&own, FOR_EVER, NULL);
    pid_t group = rota_process_pid(leader);
    const rota_subprocess_options joining = {.process_group = group};
    rota_process *member = exec_with(&joining, FOR_EVER, NULL);
    rota_process *other = exec_with(NULL, FOR_EVER, NULL);

    (void)arg;
    assert_int_equal(getpgid(group), group);
    assert_int_equal(getpgid(rota_process_pid(member)), group);
    assert_int_equal(getpgid(rota_process_pid(other)), getpgid(0));
    assert_int_equal(kill(-group, SIGTERM), 0);
    assert_int_equal(last_of(leader), -SIGTERM);
    assert_int_equal(last_of(member), -SIGTERM);
    assert_false(rota_process_returncode(other, NULL));
    rota_process_free(other);
    return 0;
}

static void a_child_joins_the_group_that_another_leads(void)
{
    run(join_a_group);
}

static intptr_t join_what_has_ended(void *arg)
{
    const rota_subprocess_options own = {.process_group = ROTA_OWN_GROUP};
    rota_process *leader = exec_with(&own, "exit 0", NULL);
    const rota_subprocess_options joining = {
        .in = ROTA_PIPE,
        .process_group = rota_process_pid(leader),
    };
    const char *argv[] = {"true", NULL};
    rota_process *member;

    (void)arg;
    assert_int_equal(last_of(leader), 0);
    assert_int_equal(rota_create_subprocess_exec(&member, argv, &joining),
                     -EPERM);
    return 0;
}

static void a_group_that_has_ended_cannot_be_joined(void)
{
    run(join_what_has_ended);
}

/* --- Users --------------------------------------------------------------- */

static intptr_t become_others(void *arg)
{
    const uid_t user = 65534;
    const gid_t group = 65533;
    const gid_t extra[] = {65531, 65532};

    (void)arg;
    expect_words((rota_subprocess_options){.user = &user}, "id -u; id -ru",
                 "65534\n65534\n");
    expect_words((rota_subprocess_options){.group = &group},
                 "id -u; id -g; id -rg", "0\n65533\n65533\n");
    expect_words((rota_subprocess_options){.extra_groups = extra,
                                           .extra_group_count = 2,
                                           .user = &user,
                                           .group = &group},
                 "id -u; id -g; id -G", "65534\n65533\n65533 65531 65532\n");
    assert_int_equal(geteuid(), 0);
    assert_int_equal(getegid(), getgid());
    return 0;
}

static void a_child_has_the_user_and_the_groups_it_was_given(void)
{
    if (geteuid() != 0)
        harness_skip("only root may become another user");
    run(become_others);
}

static intptr_t become_root(void *arg)
{
    const uid_t root = 0;
    const gid_t group = 0;
    const rota_subprocess_options wishes[] = {
        {.in = ROTA_PIPE, .user = &root},
        {.in = ROTA_PIPE, .group = &group},
        {.in = ROTA_PIPE, .extra_groups = &group, .extra_group_count = 1},
    };
    const char *argv[] = {"true", NULL};
    rota_process *process;

    (void)arg;
    for (int i = 0; i < 3; i++)
        assert_int_equal(
            rota_create_subprocess_exec(&process, argv, &wishes[i]), -EPERM);
    assert_int_equal(last_of(exec_with(NULL, "exit 3", NULL)), 3);
    return 0;
}

static void who_may_not_change_its_user_is_told(void)
{
    if (geteuid() == 0 && (setgid(65534) < 0 || setuid(65534) < 0))
        harness_skip("root may not become somebody else here");
    run(become_root);
}

HARNESS_MAIN(TEST(a_child_has_the_umask_it_was_given),
             TEST(an_fd_that_is_passed_arrives_under_its_number),
             TEST(a_child_joins_the_group_that_another_leads),
             TEST(a_group_that_has_ended_cannot_be_joined),
             TEST(a_child_has_the_user_and_the_groups_it_was_given),
             TEST(who_may_not_change_its_user_is_told))
