/* SPDX-License-Identifier: MIT */
/*
 * Pipe transports: what happens to them, up to their end
 */
#include "pipe_transport.h"

/* --- Reports ------------------------------------------------------------- */

void core_pipe_log(PipeObject *self, const char *text)
{
    PyObject *function, *done;

    if (rota__likely(!self->loop->debug))
        return;
    function = core_support(self->loop->state, "log_pipe");
    done = function ? PyObject_CallFunction(function, "sO", text, self) : NULL;
    if (!done)
        PyErr_WriteUnraisable((PyObject *)self);
    Py_XDECREF(done);
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
    if (!done && !core_stop_if_fatal(self->loop))
        PyErr_WriteUnraisable((PyObject *)self);
    Py_XDECREF(done);
    if (core_pipe_close(self, exception) < 0)
        PyErr_WriteUnraisable((PyObject *)self);
    Py_XDECREF(exception);
}

PyObject *core_pipe_result(PipeObject *self)
{
    if (rota__unlikely(self->loop->failed)) {
        self->loop->failed = false;
        return NULL;
    }
    return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
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

void core_pipe_look(PipeObject *self)
{
    if (self->started && self->listens && self->conn.may_read &&
        !self->paused && !self->conn.closed && !self->losing &&
        rota__list_empty(&self->on_ready.link))
        rota__ready(self->loop->loop, &self->on_ready);
}

static void readable(struct rota__conn *conn)
{
    core_pipe_look(rota__container_of(conn, PipeObject, conn));
}

/* Its own, or a copy while that is entered: a callback runs the loop. */
static PyObject *enter_context(PipeObject *self)
{
    PyObject *context = Py_NewRef(self->context);

    if (rota__likely(PyContext_Enter(context) == 0))
        return context;
    PyErr_Clear();
    Py_SETREF(context, PyContext_Copy(self->context));
    if (context && PyContext_Enter(context) < 0)
        Py_CLEAR(context);
    return context;
}

/* The exception of a run that ends must outlive it. */
static void leave_context(PyObject *context)
{
    PyObject *exception = core_take_exception();

    (void)PyContext_Exit(context);
    Py_DECREF(context);
    core_give_exception(exception);
}

void core_pipe_step(PipeObject *self, void (*step)(PipeObject *))
{
    int64_t began;
    PyObject *context;

    Py_INCREF(self);
    began = core_step_begin(self->loop);
    context = enter_context(self);
    if (rota__likely(context != NULL)) {
        step(self);
        leave_context(context);
    } else {
        core_pipe_report(self, "a pipe's callback has no context");
    }
    if (rota__unlikely(self->loop->debug))
        core_step_end(self->loop, began, (PyObject *)self);
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

static int lose_soon(PipeObject *self, PyObject *exception)
{
    PyObject *method;
    int err;

    if (!core_open_loop((PyObject *)self->loop))
        return -1;
    if (self->losing)
        return 0;
    self->losing = true;
    method = PyObject_GetAttrString((PyObject *)self, "_call_connection_lost");
    err = method ? core_call_soon(self->loop, method,
                                  exception ? exception : Py_None)
                 : -1;
    Py_XDECREF(method);
    return err;
}

int core_pipe_close(PipeObject *self, PyObject *exception)
{
    int err;

    self->closing = true;
    core_pipe_let_go(self);
    err = lose_soon(self, exception);
    core_let_go(&self->kept);
    return err;
}

int core_pipe_close_file(PipeObject *self)
{
    PyObject *pipe = self->pipe, *done;

    self->pipe = NULL;
    if (!pipe)
        return 0;
    done = PyObject_CallMethodNoArgs(pipe, self->loop->state->str_close);
    Py_DECREF(pipe);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

PyObject *core_pipe_lose(PyObject *op, PyObject *exception)
{
    PipeObject *self = (PipeObject *)op;
    PyObject *done, *error;

    self->losing = true;
    if (!self->protocol)
        Py_RETURN_NONE;
    done = PyObject_CallMethodOneArg(
        self->protocol, self->loop->state->str_connection_lost, exception);
    error = core_take_exception();
    core_pipe_let_go(self);
    if (core_pipe_close_file(self) < 0) {
        if (error)
            PyErr_WriteUnraisable(op);
        else
            Py_CLEAR(done);
    }
    Py_CLEAR(self->protocol);
    core_let_go(&self->kept);
    if (error)
        core_give_exception(error);
    return done;
}

const struct rota__conn_events core_pipe_events = {
    .readable = readable,
    .writable = core_pipe_writable,
    .closed = closed,
};
