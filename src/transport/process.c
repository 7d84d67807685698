/* SPDX-License-Identifier: MIT */
/*
 * Process: options become a spawn
 *
 *     check --> fds that are asked for --> ours are opened --> spawn --> watch
 *
 * The caller's fds are checked before the first of ours is opened: one that is
 * closed would else be the number of a pipe's end.
 */
#include "transport/process.h"

/* The child's ends, which we close again; -1: none. */
struct ends {
    int theirs[3];
    int null;
};

/* --- What is asked for --------------------------------------------------- */

static bool is_stream(int what, bool error)
{
    return what >= 0 || what == ROTA_PIPE || what == ROTA_DEVNULL ||
           (error && what == ROTA_STDOUT);
}

static bool is_nobody(const uid_t *user, const gid_t *group)
{
    return (user && *user == (uid_t)-1) || (group && *group == (gid_t)-1);
}

static int check(const rota_subprocess_options *options)
{
    if (!is_stream(options->in, false) || !is_stream(options->out, false) ||
        !is_stream(options->err, true))
        return -EINVAL;
    if ((options->pass_fd_count > 0 && !options->pass_fds) ||
        (options->extra_group_count > 0 && !options->extra_groups))
        return -EINVAL;
    if (options->process_group < ROTA_OWN_GROUP ||
        (options->process_group != 0 && options->start_new_session))
        return -EINVAL;
    return is_nobody(options->user, options->group) ? -EINVAL : 0;
}

static void describe(struct rota__spawn *spawn, const char *const *argv,
                     const rota_subprocess_options *options)
{
    *spawn = (struct rota__spawn){
        .argv = argv,
        .env = options->env,
        .cwd = options->cwd,
        .fds = {-1, -1, -1},
        .pass_fds = options->pass_fds,
        .pass_fd_count = options->pass_fd_count,
        .keep_fds = options->keep_fds,
        .new_session = options->start_new_session,
        .set_group = options->process_group != 0,
        .process_group = options->process_group == ROTA_OWN_GROUP
                             ? 0
                             : options->process_group,
        .user = options->user,
        .group = options->group,
        .extra_groups = options->extra_groups,
        .extra_group_count = options->extra_group_count,
        .umask = options->umask,
    };
    if (options->in > 0)
        spawn->fds[0] = options->in;
    if (options->out > 0)
        spawn->fds[1] = options->out;
    if (options->err > 0)
        spawn->fds[2] = options->err;
}

/* --- The streams --------------------------------------------------------- */

static void close_fd(int *fd)
{
    if (*fd >= 0)
        (void)rota__fd_close(*fd);
    *fd = -1;
}

static int open_null(struct ends *ends)
{
    if (ends->null < 0)
        ends->null = rota__null_open();
    return ends->null;
}

static int open_stream(struct rota__process *process, struct ends *ends, int i,
                       int what, struct rota__spawn *spawn)
{
    int fd;

    if (what == ROTA_PIPE) {
        int err = rota__pipe_open(i == 0, &process->pipes[i], &ends->theirs[i]);

        fd = err < 0 ? err : ends->theirs[i];
    } else if (what == ROTA_DEVNULL)
        fd = open_null(ends);
    else if (what == ROTA_STDOUT)
        fd = spawn->fds[1] >= 0 ? spawn->fds[1] : 1;
    else
        return 0;
    if (fd < 0)
        return fd;
    spawn->fds[i] = fd;
    return 0;
}

static int open_streams(struct rota__process *process, struct ends *ends,
                        const rota_subprocess_options *options,
                        struct rota__spawn *spawn)
{
    const int what[3] = {options->in, options->out, options->err};
    int err = 0;

    for (int i = 0; i < 3 && err == 0; i++)
        err = open_stream(process, ends, i, what[i], spawn);
    return err;
}

void rota__process_close_pipes(struct rota__process *process)
{
    for (int i = 0; i < 3; i++)
        close_fd(&process->pipes[i]);
}

/* --- The start ----------------------------------------------------------- */

static int start(struct rota__process *process, rota_loop *loop,
                 const rota_subprocess_options *options,
                 struct rota__spawn *spawn)
{
    struct ends ends = {{-1, -1, -1}, -1};
    struct rota__process_id id;
    int err = rota__spawn_check_fds(spawn);

    if (err == 0)
        err = open_streams(process, &ends, options, spawn);
    if (err == 0)
        err = rota__spawn(spawn, &id);
    for (int i = 0; i < 3; i++)
        close_fd(&ends.theirs[i]);
    close_fd(&ends.null);
    if (err == 0) {
        process->pid = id.pid;
        err = rota__child_begin(&process->child, loop, &id);
    }
    if (err < 0)
        rota__process_close_pipes(process);
    return err;
}

int rota__process_start(struct rota__process *process, rota_loop *loop,
                        const char *const *argv, const char *command,
                        const rota_subprocess_options *options)
{
    static const rota_subprocess_options defaults;
    const char *const shell[] = {"/bin/sh", "-c", command, NULL};
    struct rota__spawn spawn;
    int err;

    for (int i = 0; i < 3; i++)
        process->pipes[i] = -1;
    process->child.ended = true; /* until there is one */
    if (!options)
        options = &defaults;
    if (command)
        argv = shell;
    if (!argv || !argv[0])
        return -EINVAL;
    err = check(options);
    if (err == 0 && (loop->closed || loop->closing))
        err = -ROTA_ECLOSED;
    if (err < 0)
        return err;
    describe(&spawn, argv, options);
    return start(process, loop, options, &spawn);
}
