/* SPDX-License-Identifier: MIT */
/*
 * Servers: listening sockets, and a task or a transport for each connection
 *
 * Mirrors "Server Objects" of asyncio's manual. A server is made for tasks by
 * rota_start_server(), for protocols by rota_create_server(); what follows is
 * the same for both. It belongs to its loop's thread.
 */
#ifndef ROTA_SERVER_H
#define ROTA_SERVER_H

#include <rota/stream.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rota_server rota_server;

/* What a server runs as a task for each connection. */
typedef intptr_t rota_client_connected(rota_stream *stream, void *arg);

/* How to listen; all zero is the default. */
typedef struct rota_server_options {
    int family;               /* AF_INET or AF_INET6 only; 0: both */
    const char *const *hosts; /* further ones, up to a NULL */
    int backlog;              /* 0: 100 */
    bool no_reuse_address;    /* asyncio: reuse_address=False */
    bool reuse_port;          /* several servers behind one port */
    bool keep_alive;          /* of the connections */
    bool do_not_serve;        /* until rota_server_start_serving():
                                 asyncio's start_serving=False */
    rota_tls_context *tls;    /* encrypt; made with `server` */
    double handshake_timeout; /* seconds; 0: 60 */
    double shutdown_timeout;  /* seconds; 0: 30 */
    size_t stack_size;        /* of the tasks; 0: the loop's default */
    const char *name;         /* of the tasks; NULL: "Task-N" */
} rota_server_options;

/*
 * Listens on host and port and runs client(stream, arg) as a task for each
 * connection; when that returns, the stream is closed and freed. Awaits only
 * to resolve a name. `host` NULL: all addresses of the machine, IPv4 and
 * IPv6. `port` 0: any free one (see rota_server_address()).
 *
 * What client() returns is reported to the exception handler if it is an
 * error, other than -ECANCELED and what a peer can cause by going away or
 * being silent (-ECONNRESET, -EPIPE, -ETIMEDOUT) or by breaking TLS
 * (-ROTA_ETRUNCATED, -ROTA_ETLS, -ROTA_ETLSALERT). A lack of fds is reported
 * too; listening goes on a second later.
 *
 * Free it with rota_server_free(), or let rota_serve_forever() do so. Errors:
 * -ROTA_ENOLOOP, -ROTA_ENOTASK (a name to look up, outside a task), -EINVAL,
 * -EADDRINUSE and the others of bind, -ROTA_ENONAME..., -EMFILE,
 * -ENOMEM.  asyncio: start_server().
 */
int rota_start_server(rota_server **server, rota_client_connected *client,
                      void *arg, const char *host, int port) ROTA_MUST_USE;

/* The same with options, which are not needed after the call. */
int rota_start_server_with(rota_server **server, rota_client_connected *client,
                           void *arg, const char *host, int port,
                           const rota_server_options *options) ROTA_MUST_USE;

/*
 * The same on a Unix socket; '@' begins an abstract name. A socket file that
 * is there already, and that nobody listens on, is replaced; the server
 * removes its file when it closes. Errors as above; -EADDRINUSE.
 * asyncio: start_unix_server().
 */
int rota_start_unix_server(rota_server **server, rota_client_connected *client,
                           void *arg, const char *path,
                           const rota_server_options *options) ROTA_MUST_USE;

/*
 * Listens with a protocol: each connection is a transport with that protocol
 * and `arg`, until connection_made() sets another by
 * rota_transport_set_protocol(). `host` is a number or NULL; a name is for
 * rota_getaddrinfo(). Errors as above.  asyncio: loop.create_server().
 */
int rota_create_server(rota_server **server, rota_loop *loop,
                       const rota_protocol *protocol, void *arg,
                       const char *host, int port,
                       const rota_server_options *options);
int rota_create_unix_server(rota_server **server, rota_loop *loop,
                            const rota_protocol *protocol, void *arg,
                            const char *path,
                            const rota_server_options *options);

/*
 * Begins to serve, for a server made with do_not_serve; again does nothing.
 * -ROTA_ECLOSING, or what listen() says.  asyncio: Server.start_serving().
 */
int rota_server_start_serving(rota_server *server);
bool rota_server_is_serving(const rota_server *server);

/*
 * Serves until its task is cancelled (or another one closes the server), then
 * closes the server, cancels the tasks of its connections (aborts its
 * transports), waits for them and frees the server, whatever it returns:
 * -ECANCELED, 0 when it was closed, or what listen() says. (When the loop
 * closes first, the server stays the caller's.)  asyncio:
 * Server.serve_forever().
 */
int rota_serve_forever(rota_server *server) ROTA_MUST_USE;

/* Stops listening; connections go on. asyncio: Server.close(). */
void rota_server_close(rota_server *server);

/*
 * Waits until the server is closed and all of its connections are gone.
 * asyncio: Server.wait_closed().
 */
int rota_server_wait_closed(rota_server *server) ROTA_MUST_USE;

/*
 * Closes the stream or transport of every connection, once what is queued is
 * sent; or at once.
 * asyncio: Server.close_clients(), Server.abort_clients().
 */
void rota_server_close_clients(rota_server *server);
void rota_server_abort_clients(rota_server *server);

/* Cancels the task of every connection; aborts its transports. */
void rota_server_cancel_clients(rota_server *server);

/* How many connections there are. */
size_t rota_server_client_count(const rota_server *server);

/* Closes the server if need be and gives it back; connections go on. */
void rota_server_free(rota_server *server);

/*
 * The address of the i-th socket that is listened on, in order, or its fd;
 * -ENOENT behind the last one.  asyncio: Server.sockets.
 */
int rota_server_address(const rota_server *server, size_t i, rota_address *out);
int rota_server_fileno(const rota_server *server, size_t i);
rota_loop *rota_server_get_loop(const rota_server *server);

/* How several workers serve; all zero is a worker for each processor. */
typedef struct rota_workers_options {
    int workers;  /* 0: as many as there are processors to run on */
    double grace; /* seconds that connections get to end by themselves */
    rota_loop_options loop;     /* of each worker */
    rota_server_options server; /* of each; always with reuse_port */
    /*
     * In the first task of each worker: when it listens at this address (an
     * error ends all), and when its connections are gone. NULL: nothing.
     */
    int (*started)(const rota_address *address, void *arg);
    void (*stopped)(void *arg);
} rota_workers_options;

/*
 * Serves on several threads, each with a loop of its own, all behind one port
 * by SO_REUSEPORT: the system spreads the connections. client(stream, arg)
 * runs on any of the threads, so what `arg` points to must be safe to share.
 *
 * Awaits until its task is cancelled. Then every worker closes its server,
 * gives the tasks of its connections options->grace seconds to end, cancels
 * those that are left and waits for them; a second cancel ends the grace.
 * Returns -ECANCELED when all have ended, or the first error of a worker,
 * which ends the others too. `options` may be NULL. Errors: -EINVAL, -EAGAIN
 * (no thread), -EOPNOTSUPP (a system without SO_REUSEPORT), and those of
 * rota_new_event_loop() and rota_start_server().
 */
int rota_serve_workers(rota_client_connected *client, void *arg,
                       const char *host, int port,
                       const rota_workers_options *options) ROTA_MUST_USE;

#ifdef __cplusplus
}
#endif

#endif
