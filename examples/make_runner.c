/* SPDX-License-Identifier: MIT */
/*
 * A little make: `make_runner [-f RULES] [-j JOBS] [TARGET...]`
 *
 *      all                   a task for each goal: it waits for what it needs,
 *     /   \                  then for one of the JOBS places, looks at the
 *    a     b                 files' times, and runs its commands
 *     \   / \
 *       c    d.c             a file without a rule
 *
 * All are in one group. The first command that fails ends it, so does SIGINT
 * or SIGTERM: the others are cancelled, and each sees to it that its command
 * ends too. A command speaks when it has ended, so that nothing is mixed.
 */
#include "make_rules.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PATIENCE 2.0 /* with a command that is asked to end */

enum { TOLD = -ECHILD }; /* an error that needs no more words */

static rota_semaphore jobs;
static rota_task main_task;
static int interrupted_by;
static bool anything_done;

static intptr_t complain(const struct goal *goal, const char *why)
{
    fprintf(stderr, "make_runner: %s: %s\n", goal->name, why);
    return TOLD;
}

static intptr_t complain_of_end(const struct goal *goal, int returncode)
{
    if (returncode < 0)
        fprintf(stderr, "make_runner: %s: killed by %s\n", goal->name,
                rota_signal_name(-returncode));
    else
        fprintf(stderr, "make_runner: %s: exit status %d\n", goal->name,
                returncode);
    return TOLD;
}

/* --- Commands ------------------------------------------------------------- */

static intptr_t print(const char *command, const rota_process_output *said)
{
    bool open_line =
        said->out_size > 0 && said->out[said->out_size - 1] != '\n';

    puts(command);
    fwrite(said->out, 1, said->out_size, stdout);
    if (open_line)
        putchar('\n');
    return fflush(stdout) == 0 ? 0 : -errno;
}

/* Asks the command to end, with all that it has started, and then insists. */
static void stop(rota_process *process)
{
    const pid_t group = rota_process_pid(process);
    rota_process_output rest;
    rota_timeout patience;
    intptr_t err;

    kill(-group, SIGTERM);
    rota_timeout_begin(&patience, PATIENCE);
    err = rota_process_communicate(process, NULL, &rest);
    if (rota_timeout_end(&patience, err) < 0)
        kill(-group, SIGKILL);
    rota_process_output_fini(&rest);
}

static intptr_t run(const struct goal *goal, const char *command)
{
    const rota_subprocess_options options = {
        .in = ROTA_DEVNULL,
        .out = ROTA_PIPE,
        .err = ROTA_STDOUT,
        .process_group = ROTA_OWN_GROUP,
    };
    rota_process *process;
    rota_process_output said;
    intptr_t err = rota_create_subprocess_shell(&process, command, &options);

    if (err < 0)
        return err;
    err = rota_process_communicate(process, NULL, &said);
    if (err < 0)
        stop(process);
    else
        err = print(command, &said);
    if (err == 0 && said.returncode != 0)
        err = complain_of_end(goal, said.returncode);
    rota_process_output_fini(&said);
    rota_process_free(process);
    return err;
}

/* --- Goals ---------------------------------------------------------------- */

static intptr_t look(struct goal *goal)
{
    struct stat file;
    int err = rota_stat(goal->name, &file);

    goal->exists = err == 0;
    if (err == 0)
        goal->made_at = file.st_mtim;
    return err == -ENOENT || err == -ENOTDIR ? 0 : err;
}

static bool is_newer(const struct goal *a, const struct goal *b)
{
    if (a->made_at.tv_sec != b->made_at.tv_sec)
        return a->made_at.tv_sec > b->made_at.tv_sec;
    return a->made_at.tv_nsec > b->made_at.tv_nsec;
}

static bool is_old(const struct goal *goal)
{
    if (!goal->exists)
        return true;
    for (size_t i = 0; i < goal->need_count; i++)
        if (goal->needs[i]->changed || is_newer(goal->needs[i], goal))
            return true;
    return false;
}

/* What a command that failed has left would look as if it were made. */
static void forget_half(struct goal *goal)
{
    const struct goal before = *goal;

    if (look(goal) == 0 && goal->exists &&
        (!before.exists || is_newer(goal, &before)) &&
        rota_unlink(goal->name) == 0)
        complain(goal, "removed: it may be made by half");
}

static intptr_t bring_up_to_date(struct goal *goal)
{
    intptr_t err = look(goal);

    if (err < 0)
        return err;
    if (!goal->has_rule)
        return goal->exists ? 0 : complain(goal, "no file and no rule for it");
    if (!is_old(goal))
        return 0;
    goal->changed = true;
    for (size_t i = 0; err == 0 && i < goal->command_count; i++) {
        anything_done = true;
        err = run(goal, goal->commands[i]);
    }
    if (err < 0)
        forget_half(goal);
    return err;
}

static intptr_t make(void *arg)
{
    struct goal *goal = arg;
    intptr_t err = 0;

    for (size_t i = 0; err == 0 && i < goal->need_count; i++)
        err = rota_event_wait(&goal->needs[i]->made);
    if (err == 0)
        err = rota_semaphore_acquire(&jobs);
    if (err < 0)
        return err;
    err = bring_up_to_date(goal);
    rota_semaphore_release(&jobs);
    if (err == 0)
        rota_event_set(&goal->made);
    else if (err == -ECANCELED)
        complain(goal, "stopped");
    else if (err != TOLD)
        err = complain(goal, rota_strerror(err));
    return err;
}

/* --- All of them ---------------------------------------------------------- */

static void on_signal(void *number)
{
    interrupted_by = (int)(intptr_t)number;
    if (!rota_task_done(main_task))
        rota_task_cancel(main_task);
}

static intptr_t make_all(struct goal *order)
{
    rota_task_group group;
    intptr_t err = rota_task_group_begin(&group);

    for (struct goal *goal = order; err == 0 && goal; goal = goal->then)
        err = rota_task_group_create_task(&group, make, goal, NULL);
    return rota_task_group_end(&group, err);
}

static intptr_t amain(void *rules)
{
    rota_loop *loop = rota_get_running_loop();
    int err;

    main_task = rota_current_task();
    err = rota_add_signal_handler(loop, SIGINT, on_signal, (void *)SIGINT);
    if (err == 0)
        err =
            rota_add_signal_handler(loop, SIGTERM, on_signal, (void *)SIGTERM);
    return err < 0 ? err : make_all(((struct rules *)rules)->order);
}

static int make_ordered(struct rules *rules, size_t job_count)
{
    intptr_t err;

    rota_semaphore_init(&jobs, job_count);
    err = rota_run(amain, rules);
    rota_semaphore_fini(&jobs);
    if (err == 0 && !anything_done)
        puts("make_runner: all is up to date");
    if (err < 0 && err != TOLD)
        fprintf(stderr, "make_runner: %s\n",
                interrupted_by ? rota_signal_name(interrupted_by)
                               : rota_strerror(err));
    return err < 0;
}

static int make_targets(const char *path, size_t job_count, char **targets)
{
    struct rules rules;
    int err = rules_read(&rules, path);

    if (err == 0)
        err = rules_add(&rules, *targets);
    while (err == 0 && *targets && *++targets)
        err = rules_add(&rules, *targets);
    if (err == 0)
        err = make_ordered(&rules, job_count);
    rules_free(&rules);
    return err != 0;
}

int main(int argc, char **argv)
{
    const char *path = "Makefile";
    long job_count = 1;
    int failed;
    int option;

    while ((option = getopt(argc, argv, "f:j:")) >= 0)
        if (option == 'f')
            path = optarg;
        else
            job_count = option == 'j' ? strtol(optarg, NULL, 10) : 0;
    if (job_count < 1) {
        fprintf(stderr,
                "usage: make_runner [-f RULES] [-j JOBS] [TARGET...]\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN); /* a write fails, and the commands are ended */
    failed = make_targets(path, (size_t)job_count, argv + optind);
    if (interrupted_by)
        raise(interrupted_by); /* whoever has started us is to know */
    return failed;
}
