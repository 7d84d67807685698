/* SPDX-License-Identifier: MIT */
/*
 * Pipe transports: what their files share
 *
 * One struct for both directions. The file's fd is lent to a conn, which is
 * opened with the transport and released when that closes; the file is closed
 * by Python after connection_lost().
 *
 *     OPEN --close, the end, an error--> LOSING --call_soon--> LOST
 *       `--close with bytes to send--> CLOSING --sent--> LOST
 */
#ifndef ROTA_PYTHON_PIPE_TRANSPORT_H
#define ROTA_PYTHON_PIPE_TRANSPORT_H

#include "transport.h"

typedef struct PipeObject PipeObject;

/* A writer's class has more slots, as a socket's: see socket_transport.h. */
struct PipeObject {
    CORE_TRANSPORT_HEAD;
    LoopObject *loop;
    PyObject *spare[3];
    struct core_kept kept; /* while the loop waits for it */
    struct rota__conn conn;
    PyObject *pipe;     /* NULL when it is closed */
    PyObject *protocol; /* NULL after connection_lost() */
    PyObject *context;  /* that callbacks run in */
    PyObject *dict;
    PyObject *weakrefs;
    struct rota__handle on_start; /* connection_made() has been called */
    struct rota__handle on_ready;
    void (*ready)(PyObject *op); /* may be read from; or the end */
    int fileno;
    int watch_error; /* why the fd cannot be waited for, or 0 */
    bool writer;
    bool listens; /* false for a writer to a terminal, which has no end */
    bool started;
    bool closing;
    bool losing; /* connection_lost() is scheduled, or was called */
    /* A reader's. */
    bool paused;
    size_t expected; /* bytes of the next read, as a guess */
    /* A writer's. */
    bool writing_paused;
    int lost; /* asyncio's _conn_lost: also counts writes for nothing */
    size_t high;
    size_t low;
};

extern const struct rota__conn_events core_pipe_events;
/* Handles: connection_made() has been called; there is something to do. */
void core_pipe_start(struct rota__handle *handle);
void core_pipe_ready(struct rota__handle *handle);
void core_pipe_read(PyObject *op);
void core_pipe_reader_went(PyObject *op);
void core_pipe_writable(struct rota__conn *conn);
/* The loop keeps it alive if it waits for it: after any change of that. */
void core_pipe_keep(PipeObject *self);
/* Its ready() comes soon, if there is something for it. */
void core_pipe_look(PipeObject *self);
/* Runs a step of the transport's in its context. */
void core_pipe_step(PipeObject *self, void (*step)(PyObject *op));
/* The fd is watched no more. */
void core_pipe_let_go(PipeObject *self);
/* Lets go of the fd and calls connection_lost() soon; 0, or -1 with an
   exception: the loop is closed. */
int core_pipe_close(PipeObject *self, PyObject *exception);
/* Calls connection_lost() now. */
PyObject *core_pipe_lose(PyObject *op, PyObject *exception);
/* Takes the current exception, reports it as asyncio does, and closes. */
void core_pipe_fatal(PipeObject *self, const char *message);
/* What the transport's protocol does wrong, where nobody calls. */
void core_pipe_report(PipeObject *self, const char *message);
/* 0, or -1 with an exception. */
int core_pipe_log(PipeObject *self, const char *text);

extern PyMethodDef core_pipe_reader_methods[];
extern PyMethodDef core_pipe_writer_methods[];

#endif
