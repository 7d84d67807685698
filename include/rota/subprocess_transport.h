/* SPDX-License-Identifier: MIT */
/*
 * Subprocesses with callbacks
 *
 * Mirrors SubprocessProtocol and SubprocessTransport of asyncio's manual, for
 * those who want no task. The functions are called on the loop's thread, in
 * turns of it, never from inside the call that caused them, but for
 * pause_writing:
 *
 *     connection_made -> (pipe_data_received | pipe_connection_lost |
 *     process_exited)* -> connection_lost
 *
 * connection_lost comes when the process has ended and all pipes are lost:
 * what the child has started itself may hold them for longer. One that is
 * closed before connection_made hears of nothing else.
 */
#ifndef ROTA_SUBPROCESS_TRANSPORT_H
#define ROTA_SUBPROCESS_TRANSPORT_H

#include <rota/subprocess.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rota_subprocess_transport rota_subprocess_transport;

/* NULL for what does not matter. `fd` is 0, 1 or 2: the child's. */
typedef struct rota_subprocess_protocol {
    void (*connection_made)(rota_subprocess_transport *transport, void *arg);
    /* The bytes are the loop's and gone when this returns. */
    void (*pipe_data_received)(rota_subprocess_transport *transport, int fd,
                               const void *data, size_t size, void *arg);
    /* As a transport's connection_lost: -EPIPE for 0 when something was still
       to be sent. */
    void (*pipe_connection_lost)(rota_subprocess_transport *transport, int fd,
                                 int error, void *arg);
    void (*process_exited)(rota_subprocess_transport *transport, void *arg);
    /* 0, or -ROTA_ECLOSING when the loop closes, which kills the child. */
    void (*connection_lost)(rota_subprocess_transport *transport, int error,
                            void *arg);
    /* Of stdin: more than the high-water mark is queued, no more than the
       low one. */
    void (*pause_writing)(rota_subprocess_transport *transport, void *arg);
    void (*resume_writing)(rota_subprocess_transport *transport, void *arg);
} rota_subprocess_protocol;

/*
 * Starts a program, or a command for /bin/sh, with the protocol to be told.
 * The transport lives until connection_lost has returned. Errors as for
 * rota_create_subprocess_exec(), and -ROTA_ECLOSED.
 * asyncio: loop.subprocess_exec(), loop.subprocess_shell().
 */
int rota_subprocess_exec(rota_subprocess_transport **transport, rota_loop *loop,
                         const rota_subprocess_protocol *protocol, void *arg,
                         const char *const *argv,
                         const rota_subprocess_options *options);
int rota_subprocess_shell(rota_subprocess_transport **transport,
                          rota_loop *loop,
                          const rota_subprocess_protocol *protocol, void *arg,
                          const char *command,
                          const rota_subprocess_options *options);

/* asyncio: get_pid(), get_returncode() (as rota_process_returncode()). */
pid_t rota_subprocess_transport_get_pid(
    const rota_subprocess_transport *transport);
bool rota_subprocess_transport_get_returncode(
    const rota_subprocess_transport *transport, int *returncode);

/*
 * The transport of a pipe: 0 to write to, 1 and 2 to pause and resume. NULL
 * if it is no pipe or is lost.  asyncio: get_pipe_transport().
 */
rota_transport *rota_subprocess_transport_get_pipe_transport(
    const rota_subprocess_transport *transport, int fd);

/* As of a process: 0, -ESRCH, -EINVAL.
   asyncio: send_signal(), terminate(), kill(). */
int rota_subprocess_transport_send_signal(rota_subprocess_transport *transport,
                                          int signal);
int rota_subprocess_transport_terminate(rota_subprocess_transport *transport);
int rota_subprocess_transport_kill(rota_subprocess_transport *transport);

/* Kills a child that still runs and closes the pipes; connection_lost comes
   when it was waited for.  asyncio: close(), is_closing(). */
void rota_subprocess_transport_close(rota_subprocess_transport *transport);
bool rota_subprocess_transport_is_closing(
    const rota_subprocess_transport *transport);

/* Keeps the handle usable after connection_lost; each ref wants an unref. */
void rota_subprocess_transport_ref(rota_subprocess_transport *transport);
void rota_subprocess_transport_unref(rota_subprocess_transport *transport);

#ifdef __cplusplus
}
#endif

#endif
