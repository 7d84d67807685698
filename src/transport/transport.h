/* SPDX-License-Identifier: MIT */
/*
 * transport: callbacks over fds
 *
 *     rota_transport, rota_server      the public face: protocols
 *            |
 *     open --> lookup --> connect      a name becomes a connection
 *            |
 *          conn <-- filter (TLS)       bytes, with edges and a queue
 *          datagram                    messages
 *
 * None of it knows a task. Each mechanism is a struct of its user's, with the
 * functions to be called back; those run in a turn of the loop, never from
 * inside the call that started them, but for conn's `readable`, which only
 * takes a note.
 */
#ifndef ROTA_TRANSPORT_TRANSPORT_H
#define ROTA_TRANSPORT_TRANSPORT_H

#include "base/base.h"
#include "loop/job.h"
#include "loop/loop.h"
#include "os/os.h"
#include <rota/server.h>
#include <rota/transport.h>

#define ROTA__HIGH_WATER 65536
#define ROTA__LOW_WATER 16384

/*
 * Connection: a stream socket or a pipe, registered once with edges.
 *
 *     may_read   the kernel may have bytes, or the end, for us
 *     may_write  the kernel may take more
 *     out        what it did not take; while there is some, nothing may be
 *                sent past it
 *
 * A read that comes back short, and a write that is taken only in part, say
 * that the kernel has no more: no system call is made to hear "try again".
 *
 *     OPEN --close--> (the filter says good-bye) --> FLUSHING --> CLOSED
 *        `--abort, or close with nothing queued and no filter-----^
 */
struct rota__conn;
struct rota__filter;
struct rota__open;

struct rota__conn_events {
    /* May be called in the middle of polling: take notes, queue handles. */
    void (*readable)(struct rota__conn *conn);
    /* The kernel takes bytes again and `out` may be shorter; or an error. */
    void (*writable)(struct rota__conn *conn);
    /* NULL, or for a pipe instead of that when `out` is empty: a turn sooner,
       in the middle of polling. */
    void (*room)(struct rota__conn *conn);
    /* NULL, or: it closes, and what was queued is sent; may write more. */
    void (*drained)(struct rota__conn *conn);
    /* The fd is closed; the last call. */
    void (*closed)(struct rota__conn *conn);
};

/* What every read and write looks at comes first, in one cache line. */
struct rota__conn {
    struct rota__watch watch;
    rota_loop *loop;
    const struct rota__conn_events *events;
    struct rota__filter *filter; /* NULL: bytes pass as they are */
    int error;                   /* the first that the connection had */
    bool pipe;                   /* no socket */
    bool pieces; /* a short read does not say that there is no more */
    bool local;  /* a Unix socket: only if no fd came along; written to without
                    being watched until it is full */
    bool may_read;
    bool may_write;
    bool hung_up; /* the kernel has said that the peer's end is over */
    bool at_end;  /* and we have read up to it */
    bool end_after_out;
    bool ended;    /* our direction is shut down */
    bool closing;  /* rota__conn_close was called */
    bool flushing; /* and only `out` is still to be sent */
    bool closed;
    bool lent; /* the fd: its user closes it, soon after the conn */
    struct rota__buffer out;
    struct rota__handle on_writable;
    struct rota__open *opening; /* while a handshake is part of that */
};

/* Registers a socket; on an error the fd is still the caller's. */
int rota__conn_open(struct rota__conn *conn, rota_loop *loop, int fd,
                    const struct rota__conn_events *events);
/* The same for a Unix socket. */
int rota__conn_open_unix(struct rota__conn *conn, rota_loop *loop, int fd,
                         const struct rota__conn_events *events);
/* Makes one of a conn that was taken over. */
void rota__conn_set_unix(struct rota__conn *conn);
/*
 * The same for any fd that can be waited for, in the directions that it has:
 * where it has none, reads give -EBADF and writes -EBADF. Sets O_NONBLOCK.
 */
int rota__conn_open_fd(struct rota__conn *conn, rota_loop *loop, int fd,
                       const struct rota__conn_events *events);
/*
 * Takes over the registration (with both directions and edges) of a watch
 * whose socket is connected; `seen` are the events that came before.
 */
void rota__conn_take_over(struct rota__conn *conn, rota_loop *loop,
                          const struct rota__conn_events *events,
                          struct rota__watch *from, unsigned seen);

/*
 * Bytes, 0 at the end, -EAGAIN when there is nothing yet, or the error.
 * Through the filter, if there is one; so are the next three.
 */
intptr_t rota__conn_read(struct rota__conn *conn, void *buf, size_t size);
/* How much was taken, 0 if nothing can be now, or the error. */
intptr_t rota__conn_write(struct rota__conn *conn, const void *data,
                          size_t size);
#define ROTA__PARTS_AT_ONCE 64 /* any system takes as many */
intptr_t rota__conn_writev(struct rota__conn *conn, const struct iovec *parts,
                           int count);
/* How many bytes that is, or -EINVAL. */
intptr_t rota__parts_size(const struct iovec *parts, int count);
/* Keeps a copy to be sent when the kernel takes more. 0 or -ENOMEM. */
int rota__conn_queue(struct rota__conn *conn, const void *data, size_t size);
/* Ends our direction once `out` is empty; -EOPNOTSUPP with a filter. */
int rota__conn_write_eof(struct rota__conn *conn);
/* Closes once `out` is empty; events->closed tells. */
void rota__conn_close(struct rota__conn *conn);
/* Closes now; abort lets the peer see a reset. */
void rota__conn_drop(struct rota__conn *conn);
void rota__conn_abort(struct rota__conn *conn);
/* Without events->closed, for a loop that closes. */
void rota__conn_destroy(struct rota__conn *conn);
/* Gives the fd back to who opened the conn, as it was. */
void rota__conn_release(struct rota__conn *conn);
/* The connection that has this fd, or NULL. */
struct rota__conn *rota__conn_of(rota_loop *loop, int fd);
/* The first error stays. */
void rota__conn_fail(struct rota__conn *conn, intptr_t error);
/* For one that stopped with may_read or may_write true by no fault of its
   own (a sendfile, a filter): the kernel has no more, tell of the next. */
void rota__conn_drained(struct rota__conn *conn, unsigned events);

/*
 * Filter: stands between a conn's user and the kernel. The conn's raw calls,
 * below, are its own; what it sends and the kernel does not take at once is
 * kept in `out`, so that one write of its user's is never half taken.
 */
struct rota__filter_ops {
    /* As rota__conn_read, _write and _queue, of plain bytes. */
    intptr_t (*read)(struct rota__conn *conn, void *buf, size_t size);
    intptr_t (*write)(struct rota__conn *conn, const void *data, size_t size);
    int (*queue)(struct rota__conn *conn, const void *data, size_t size);
    /* Says good-bye, then calls rota__conn_close_raw(), at once or later. */
    void (*close)(struct rota__conn *conn);
    /* Frees the filter; conn->filter is NULL afterwards. */
    void (*fini)(struct rota__conn *conn);
};

struct rota__filter {
    const struct rota__filter_ops *ops;
};

intptr_t rota__conn_recv_raw(struct rota__conn *conn, void *buf, size_t size);
intptr_t rota__conn_send_raw(struct rota__conn *conn, const void *data,
                             size_t size);
int rota__conn_keep_raw(struct rota__conn *conn, const void *data, size_t size);
/* Flushes `out`, then closes the fd and tells conn->events->closed. */
void rota__conn_close_raw(struct rota__conn *conn);

/* Listener */
struct rota__listener {
    struct rota__watch watch;
    struct rota__handle on_readable;
    struct rota__timer retry; /* after a lack of fds */
    rota_loop *loop;
    /* A new non-blocking socket, which is now the user's. False: no more in
       this turn; the listener may be gone. */
    bool (*accepted)(struct rota__listener *listener, int fd);
};

/* Binds a socket, listening to nobody yet; 0 or an error. */
int rota__listener_open(struct rota__listener *listener, rota_loop *loop,
                        const rota_address *address,
                        const rota_server_options *options);
/* Listens; 0 or an error. */
int rota__listener_start(struct rota__listener *listener, int backlog);
void rota__listener_close(struct rota__listener *listener);

/*
 * Connect: the first of several addresses that answers.
 *
 * One after the other, or, with options->happy_eyeballs_delay, each that much
 * after the one before it, or at once when that has failed (RFC 8305), in an
 * order that interleaves the families. The socket is registered with all that
 * the connection will want, once.
 */
struct rota__connect;
struct rota__attempt {
    struct rota__watch watch;
    struct rota__handle on_event;
    struct rota__connect *connect;
    unsigned seen; /* events so far, for the connection that takes over */
    bool connected;
};

struct rota__connect {
    rota_loop *loop;
    rota_addresses *addresses; /* loses what does not fit, and is reordered
                                  when families are interleaved */
    const rota_connect_options *options;
    struct rota__attempt *attempts; /* one an address, or &only */
    struct rota__attempt only;
    struct rota__attempt *winner;
    struct rota__timer delay;
    struct rota__handle on_failed;
    size_t next;
    size_t pending;
    int first_error; /* of the first address, when that has failed */
    size_t first_failed;
    int64_t retry_after; /* ns, of a Unix socket with a full backlog */
    rota_address local;  /* to bind to; size 0: none */
    /* 0: take winner->watch with rota__conn_take_over(); or the first error,
       and nothing is left. */
    void (*done)(struct rota__connect *self, int result);
};

/* The addresses and options must stay. 0, or -ENOMEM or -EINVAL (the local
   address, a negative delay), and then done() is not called. */
int rota__connect_start(struct rota__connect *self, rota_loop *loop,
                        rota_addresses *addresses,
                        const rota_connect_options *options,
                        void (*done)(struct rota__connect *, int));
/* Ends it at any time, also after done(): closes what nobody took over. */
void rota__connect_cancel(struct rota__connect *self);

/* Look-up of a name, on the pool. */
struct rota__lookup {
    struct rota__job job;
    struct rota__name_query query; /* with the texts behind the struct */
    bool abandoned;
    int error;
    rota_addresses addresses; /* the taker's */
    void (*done)(struct rota__lookup *self);
    void *user;
};

/* 0 and *out, which lives until done() returns; or an error. `host` NULL and
   `passive`: all addresses of this machine. */
int rota__lookup_start(struct rota__lookup **out, rota_loop *loop,
                       const char *host, int port, int family, bool passive,
                       void (*done)(struct rota__lookup *), void *user);
/* The same for any query, which is copied. */
int rota__lookup_ask(struct rota__lookup **out, rota_loop *loop,
                     const struct rota__name_query *query,
                     void (*done)(struct rota__lookup *), void *user);
/* done() will not be called any more. */
void rota__lookup_abandon(struct rota__lookup *self);

/* The other way round: the names of an address. */
struct rota__naming {
    struct rota__job job;
    rota_address address;
    int flags;
    bool wants_host;
    bool wants_service;
    bool abandoned;
    int error;
    char host[ROTA__HOST_SIZE];
    char service[ROTA__SERVICE_SIZE];
    void (*done)(struct rota__naming *self);
    void *user;
};

int rota__naming_start(struct rota__naming **out, rota_loop *loop,
                       const rota_address *address, bool host, bool service,
                       int flags, void (*done)(struct rota__naming *),
                       void *user);
void rota__naming_abandon(struct rota__naming *self);

/*
 * Open: from a name or path to a conn that can be used: look-up, connect,
 * TLS. `conn` is the user's memory, opened when done() is called with 0.
 */
struct rota__open {
    rota_loop *loop;
    struct rota__conn *conn;
    const struct rota__conn_events *events;
    rota_connect_options options;
    const char *host; /* for TLS */
    rota_addresses addresses;
    struct rota__lookup *lookup;
    struct rota__connect connect;
    short stage;
    void (*done)(struct rota__open *self, int error);
};

/* 0 and done() in a later turn, or an error at once. `host` must stay. */
int rota__open_start(struct rota__open *self, rota_loop *loop,
                     struct rota__conn *conn,
                     const struct rota__conn_events *events, const char *host,
                     int port, const rota_connect_options *options,
                     void (*done)(struct rota__open *, int));
int rota__open_start_unix(struct rota__open *self, rota_loop *loop,
                          struct rota__conn *conn,
                          const struct rota__conn_events *events,
                          const char *path, const rota_connect_options *options,
                          void (*done)(struct rota__open *, int));
/* Before done(): nothing is left, done() is not called. */
void rota__open_cancel(struct rota__open *self);

/*
 * TLS, as a filter (transport/tls.h has OpenSSL's side).
 *
 * Begins a handshake on a conn that is open and has nothing queued. Until
 * done(conn, error) is called, in a turn of the loop, conn->events are TLS's
 * own; then the user's are back, and a read may give bytes of which no event
 * tells. After an error the conn is still there, with that error: drop it (a
 * reset might overtake the alert that tells the peer). Whatever closes the
 * conn meanwhile ends the handshake without done(). `host` is whom to verify
 * when options->server_name is NULL, and may be NULL. 0, or an error at once,
 * with nothing changed: -EINVAL, -EBUSY (it has a filter), -ENOMEM,
 * -ROTA_ENOTLS.
 */
int rota__tls_start(struct rota__conn *conn, rota_tls_context *context,
                    const rota_tls_options *options, const char *host,
                    void (*done)(struct rota__conn *conn, int error));
/* -ENOENT for a conn without TLS. */
int rota__tls_info(const struct rota__conn *conn, rota_tls_info *out);
intptr_t rota__tls_peer_certificate(const struct rota__conn *conn, void *out,
                                    size_t size);
int rota__tls_session(const struct rota__conn *conn, rota_tls_session **out);
void rota__tls_context_ref(rota_tls_context *context);
/* Whether a context is for the accepting side. */
bool rota__tls_context_is_server(const rota_tls_context *context);

/*
 * Server: listening sockets and their clients, for both faces. `ops` says
 * what a client is. It lives as long as its handle, a client, or a task that
 * waits for it.
 */
enum rota__farewell { ROTA__CLOSE, ROTA__ABORT, ROTA__CANCEL };

struct rota__server_ops {
    /* A connected socket, which is now its own; 0 or an error (and closed). */
    int (*accepted)(rota_server *server, int fd);
    /* To the client whose link this is. */
    void (*say)(struct rota__link *client, enum rota__farewell how);
    /* The loop closes: the client goes without another word. */
    void (*drop)(struct rota__link *client);
};

struct rota__port {
    struct rota__listener listener;
    rota_server *server;
};

struct rota_server {
    rota_loop *loop;
    const struct rota__server_ops *ops;
    const rota_protocol *protocol; /* of the callback face */
    rota_client_connected *client; /* of the tasks' */
    void *arg;
    rota_server_options options;     /* without what is only for the start */
    char name[32];                   /* of its tasks, or "" */
    struct rota__bindings *bindings; /* the context of the clients */
    struct rota__link clients;
    size_t client_count;
    struct rota__link waiters;            /* the tasks' */
    void (*changed)(rota_server *server); /* closed, or the last client gone */
    struct rota__at_close at_close;
    size_t port_count;
    struct rota__port *ports;
    bool local;               /* Unix sockets */
    char *path;               /* of such a one's file */
    unsigned long path_id[2]; /* which file it was */
    unsigned users;           /* tasks that wait for news */
    bool serving;
    bool closed;
    bool freed;
};

/* A server that listens on these addresses, or an error. */
int rota__server_new(rota_server **out, rota_loop *loop,
                     const struct rota__server_ops *ops,
                     const rota_addresses *addresses,
                     const rota_server_options *options);
int rota__server_new_unix(rota_server **out, rota_loop *loop,
                          const struct rota__server_ops *ops, const char *path,
                          const rota_server_options *options);
/* Starts, unless the options say no; an error frees it. */
int rota__server_begin(rota_server *server);
void rota__server_add(rota_server *server, struct rota__link *client);
/* Also with NULL, for a client that has left the list itself. */
void rota__server_remove(rota_server *server, struct rota__link *client);
/* Frees it if nobody needs it any more. */
void rota__server_release(rota_server *server);
/* Opens the conn of a socket that a server has accepted. */
int rota__conn_open_accepted(struct rota__conn *conn, const rota_server *server,
                             int fd, const struct rota__conn_events *events);
/* The options of an accepted connection's TLS. */
void rota__server_tls_options(const rota_server *server, rota_tls_options *out);

#endif
