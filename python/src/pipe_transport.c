/* SPDX-License-Identifier: MIT */
/*
 * Pipe transports: what happens to them, up to their end
 */
#include "pipe_transport.h"

/* --- Reports ------------------------------------------------------------- */

int core_pipe_log(PipeObject *self, const char *text)
{
    return core_log(self->loop, (PyObject *)self, text);
}

void core_pipe_report(PipeObject *self, const char *message)
{
    core_report(self->loop, message, "transport", (PyObject *)self, "protocol",
                self->protocol);
}

void core_pipe_fatal(PipeObject *self, const char *message)
{
    PyObject *exception, *function, *done = NULL;

    if (core_stop_if_fatal(self->loop))
        return;
    exception = core_take_exception();
    function = core_support(self->loop->state, "pipe_failed");
    if (function)
        done = PyObject_CallFunction(function, "OOOOs", self->loop, self,
                                     self->protocol ? self->protocol : Py_None,
                                     exception, message);
    if (done && core_pipe_close(self, exception) < 0)
        Py_CLEAR(done);
    if (!done)
        core_pipe_report(self, message);
    Py_XDECREF(done);
    Py_XDECREF(exception);
}

/* --- Events -------------------------------------------------------------- */

/* A loop that is closed has forgotten the fd. */
void core_pipe_let_go(PipeObject *self)
{
    rota__unready(&self->on_start);
    rota__unready(&self->on_ready);
    if (self->conn.closed)
        return;
    if (rota_loop_is_closed(self->loop->loop))
        self->conn.watch.events = 0;
    rota__conn_release(&self->conn);
    if (!self->conn.lent)
        (void)rota__fd_close(self->conn.watch.fd);
}

/* The loop closes: the file stays open until the transport goes. */
static void detach(PyObject *op)
{
    core_pipe_let_go((PipeObject *)op);
}

static bool has_something(const PipeObject *self)
{
    return self->started && self->listens && self->conn.may_read &&
           !self->paused && !self->conn.closed && !self->losing &&
           rota__list_empty(&self->on_ready.link);
}

/* In the middle of polling. */
static void readable(struct rota__conn *conn)
{
    PipeObject *self = rota__container_of(conn, PipeObject, conn);

    if (has_something(self))
        rota__ready(self->loop->loop, &self->on_ready);
}

/* As if the selector told it in the next turn. */
void core_pipe_look(PipeObject *self)
{
    if (has_something(self))
        core_ready_late(self->loop, &self->on_ready);
}

void core_pipe_step(PipeObject *self, void (*step)(PyObject *op))
{
    Py_INCREF(self);
    core_transport_step(self->loop, (PyObject *)self, self->context, step);
    core_pipe_look(self);
    Py_DECREF(self);
}

void core_pipe_ready(struct rota__handle *handle)
{
    PipeObject *self = rota__container_of(handle, PipeObject, on_ready);

    core_pipe_step(self, self->ready);
}

/* As asyncio's selector does: one that is paused is its users' alone. */
static bool is_waited_for(const PipeObject *self)
{
    if (!self->started)
        return true;
    if (self->conn.closed)
        return false;
    if (self->writer)
        return self->listens || rota__buffer_size(&self->conn.out) > 0;
    return !self->paused;
}

void core_pipe_keep(PipeObject *self)
{
    if (is_waited_for(self) && !self->kept.object)
        core_keep(self->loop, &self->kept, (PyObject *)self, detach);
    else if (!is_waited_for(self))
        core_let_go(&self->kept);
}

void core_pipe_start(struct rota__handle *handle)
{
    PipeObject *self = rota__container_of(handle, PipeObject, on_start);

    Py_INCREF(self);
    self->started = true;
    if (self->watch_error < 0 && self->listens && !self->closing) {
        (void)core_raise(self->watch_error);
        core_pipe_report(self, self->writer
                                   ? "Exception in callback "
                                     "_UnixWritePipeTransport._add_reader()"
                                   : "Exception in callback "
                                     "_UnixReadPipeTransport._add_reader()");
    }
    core_pipe_look(self);
    core_pipe_keep(self);
    Py_DECREF(self);
}

/* --- Ending -------------------------------------------------------------- */

static void closed(struct rota__conn *conn)
{
    (void)conn; /* a conn that is released tells nobody */
}

int core_pipe_close(PipeObject *self, PyObject *exception)
{
    int err = core_open_loop((PyObject *)self->loop) ? 0 : -1;

    self->closing = true;
    core_pipe_let_go(self);
    if (err == 0 && !self->losing) {
        err = core_lose_soon(self->loop, (PyObject *)self, NULL, exception);
        self->losing = err == 0;
    }
    core_let_go(&self->kept);
    return err;
}

PyObject *core_pipe_lose(PyObject *op, PyObject *exception)
{
    PipeObject *self = (PipeObject *)op;
    PyObject *done;

    self->losing = true;
    if (!self->protocol)
        Py_RETURN_NONE;
    core_pipe_let_go(self);
    done =
        core_lose(self->loop->state, &self->protocol, &self->pipe, exception);
    core_let_go(&self->kept);
    return done;
}

const struct rota__conn_events core_pipe_events = {
    .readable = readable,
    .writable = core_pipe_writable,
    .closed = closed,
};
