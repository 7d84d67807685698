/* SPDX-License-Identifier: MIT */
/*
 * Subprocesses
 *
 * Mirrors "Subprocesses" of asyncio's manual. A process belongs to its loop's
 * thread; its pipes are streams. A callback layer is in
 * rota/subprocess_transport.h.
 *
 *     const char *argv[] = {"sort", "-n", NULL};
 *     rota_subprocess_options options = {.in = ROTA_PIPE, .out = ROTA_PIPE};
 *     rota_process *process;
 *
 *     err = rota_create_subprocess_exec(&process, argv, &options);
 *
 * Every child is waited for, by the loop, whatever happens: none is left as a
 * zombie, and no child of another library is touched. A child that still runs
 * when its process is freed, or when the loop closes, is killed; only one that
 * we may not kill, as it has another user's rights, can outlive the loop.
 */
#ifndef ROTA_SUBPROCESS_H
#define ROTA_SUBPROCESS_H

#include <rota/stream.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rota_process rota_process;

/* What a stream of the child's may be, beside an fd above 0, which stays the
   caller's; 0: that of this process. Python has the same names. */
#define ROTA_PIPE (-1)
#define ROTA_STDOUT (-2) /* of err only: where out goes */
#define ROTA_DEVNULL (-3)

/* For process_group: a group of the child's own. */
#define ROTA_OWN_GROUP (-1)

/* How to start a process; all zero is the default. */
typedef struct rota_subprocess_options {
    int in;
    int out;
    int err;
    const char *cwd;     /* NULL: ours */
    char *const *env;    /* "NAME=value"..., NULL; NULL: ours. Its PATH is where
                            the program is looked for */
    const int *pass_fds; /* that the child inherits, under the same numbers */
    size_t pass_fd_count;
    bool keep_fds; /* it inherits all that are not close-on-exec, too;
                      Python: close_fds=False */
    bool start_new_session;
    int process_group; /* to join; 0: ours; ROTA_OWN_GROUP */
    const uid_t *user; /* NULL: ours; so are the next three */
    const gid_t *group;
    const gid_t *extra_groups;
    size_t extra_group_count;
    const mode_t *umask;
    size_t limit; /* of read_until and read_line on its streams; 0: 65,536 */
} rota_subprocess_options;

/*
 * Starts a program: argv[0], looked for in PATH unless it has a '/', with
 * argv up to a NULL. `options` may be NULL. The signals SIGPIPE and SIGXFSZ
 * have their default actions in the child, and no signal is blocked. Does not
 * await; from tasks and callbacks of a loop that runs. Free the process with
 * rota_process_free(). Errors: -ENOENT (no such program, no such cwd),
 * -EACCES, -ENOEXEC and the others of exec, -EPERM (user, group), -EBADF (an
 * fd that is not open), -EAGAIN and -ENOMEM of fork, -EMFILE, -E2BIG, -EINVAL,
 * -ROTA_ENOLOOP.  asyncio: create_subprocess_exec().
 */
int rota_create_subprocess_exec(rota_process **process, const char *const *argv,
                                const rota_subprocess_options *options)
    ROTA_MUST_USE;

/* The same with a command for /bin/sh. asyncio: create_subprocess_shell(). */
int rota_create_subprocess_shell(rota_process **process, const char *command,
                                 const rota_subprocess_options *options)
    ROTA_MUST_USE;

/* The child's streams: we write to stdin and read the others. NULL unless it
   was to be a pipe. They are the process's: rota_close() them as you like, but
   do not free them.  asyncio: Process.stdin, stdout, stderr. */
rota_stream *rota_process_stdin(const rota_process *process);
rota_stream *rota_process_stdout(const rota_process *process);
rota_stream *rota_process_stderr(const rota_process *process);

/* asyncio: Process.pid. */
pid_t rota_process_pid(const rota_process *process);

/*
 * True once it has ended and was waited for, with its exit status, or -n if
 * signal n has ended it, in *returncode (may be NULL); 255 if somebody else
 * has waited for it.  asyncio: Process.returncode.
 */
bool rota_process_returncode(const rota_process *process, int *returncode);

/*
 * Awaits its end; any number of tasks may. 0 with *returncode (may be NULL)
 * as above. A child with a pipe for stdout or stderr that is not read may wait
 * for ever for room in it: use rota_process_communicate(). Errors: -ECANCELED,
 * -ROTA_ECLOSING (it was freed), -ROTA_ENOTASK.  asyncio: Process.wait().
 */
int rota_process_wait(rota_process *process, int *returncode) ROTA_MUST_USE;

/* What to say to a process, and how long to listen; all zero is the default. */
typedef struct rota_communicate_options {
    const void *input; /* for stdin, which is then closed */
    size_t input_size;
    size_t limit;   /* bytes of stdout and of stderr; 0: as many as there are */
    double timeout; /* s; 0: no limit */
} rota_communicate_options;

typedef struct rota_process_output {
    char *out; /* what came from stdout, with a zero byte after it; NULL if */
    size_t out_size; /* it is no pipe */
    char *err;
    size_t err_size;
    int returncode; /* when the result is 0; else 0 */
} rota_process_output;

/*
 * Writes the input and closes stdin, reads stdout and stderr to their ends,
 * and waits; all at once, so nothing blocks for ever. `options` may be NULL.
 * *output is always filled, after an error with what had come until then, and
 * is to be given to rota_process_output_fini(). A child that closes its stdin
 * early is no error, nor is a stream that was closed before or meanwhile.
 * Errors: -ETIMEDOUT (the timeout) and -ROTA_ELIMIT (the limit): the child,
 * but not what it has started itself, was killed and waited for; -ECANCELED:
 * it goes on, unless it was being killed, and has had a part of the input;
 * -EINVAL (an input, but stdin is
 * no pipe; a negative timeout), -EBUSY (another task reads or writes),
 * -ROTA_ECLOSING (an input, but stdin is closed; or the process was freed),
 * -ENOMEM (it goes on), -ROTA_ENOTASK.  asyncio: Process.communicate().
 */
int rota_process_communicate(rota_process *process,
                             const rota_communicate_options *options,
                             rota_process_output *output) ROTA_MUST_USE;
void rota_process_output_fini(rota_process_output *output);

/*
 * Sends a signal; -ESRCH if it has ended (never to another process that has
 * its number by now), -EINVAL.
 * asyncio: Process.send_signal(), terminate() (SIGTERM), kill() (SIGKILL).
 */
int rota_process_send_signal(rota_process *process, int signal);
int rota_process_terminate(rota_process *process);
int rota_process_kill(rota_process *process);

/*
 * Gives it back, with its streams; the child is killed if it still runs, and
 * the loop waits for it in the background. NULL is ignored. Also after the
 * loop was closed.
 */
void rota_process_free(rota_process *process);

#ifdef __cplusplus
}
#endif

#endif
