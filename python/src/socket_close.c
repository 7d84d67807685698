/* SPDX-License-Identifier: MIT */
/*
 * A stream socket's transport: its end
 *
 * By close(), which first sends what is buffered, by abort(), by the peer or by
 * an error. The protocol's connection_lost() is called in a later turn, and
 * after it the socket is closed and the server hears of it.
 */
#include "socket_transport.h"

/* --- Reports ------------------------------------------------------------- */

void core_socket_log(SocketTransportObject *self, const char *text)
{
    if (rota__unlikely(core_log(self->loop, (PyObject *)self, text) < 0))
        core_unraisable(self->loop, (PyObject *)self);
}

static void report_fatal(SocketTransportObject *self, PyObject *exception,
                         const char *message)
{
    PyObject *function = core_support(self->loop->state, "fatal_error");
    PyObject *before = core_handling_begin(exception), *done = NULL;

    if (function)
        done = PyObject_CallFunction(function, "OOOOs", self->loop, self,
                                     self->protocol ? self->protocol : Py_None,
                                     exception, message);
    core_handling_end(before);
    if (!done)
        core_unraisable(self->loop, (PyObject *)self);
    Py_XDECREF(done);
}

void core_socket_fatal(SocketTransportObject *self, const char *message)
{
    PyObject *exception;

    if (core_stop_if_fatal(self->loop))
        return;
    exception = core_take_exception();
    report_fatal(self, exception, message);
    core_socket_force_close(self, exception);
    Py_XDECREF(exception);
}

void core_socket_failed(SocketTransportObject *self, int err,
                        const char *message)
{
    (void)core_raise(err);
    core_socket_fatal(self, message);
}

/* --- Ending -------------------------------------------------------------- */

/* While it closes, and nobody but a sendfile() waits to hear of it. */
static void write_failed(SocketTransportObject *self, int err)
{
    PyObject *exception = core_exception(err);

    Py_XSETREF(self->lost_exception, exception);
    core_socket_fail_empty_waiter(self, exception);
    if (exception)
        report_fatal(self, exception, CORE_WRITE_FAILED);
}

void core_socket_closed(struct rota__conn *conn)
{
    SocketTransportObject *self =
        rota__container_of(conn, SocketTransportObject, conn);
    PyObject *context = NULL; /* of whoever closes it */

    rota__unready(&self->on_readable);
    if (!self->lost) {
        self->lost = 1;
        if (conn->flushing) /* of whoever wrote what was sent last */
            context = self->write_context;
        if (conn->error)
            write_failed(self, conn->error);
    }
    if (core_lose_soon(self->loop, (PyObject *)self, context,
                       self->lost_exception) < 0)
        core_unraisable(self->loop, (PyObject *)self);
}

void core_socket_force_close(SocketTransportObject *self, PyObject *exc)
{
    if (self->lost)
        return;
    core_socket_flush(self); /* asyncio has sent it already */
    if (self->lost)
        return;
    self->closing = true;
    self->lost = 1;
    if (exc && !Py_IsNone(exc))
        Py_XSETREF(self->lost_exception, Py_NewRef(exc));
    rota__conn_drop(&self->conn);
}

/* 0, or -1 with an exception: the loop is closed. */
int core_socket_close(SocketTransportObject *self)
{
    if (self->closing)
        return 0;
    self->closing = true;
    rota__unready(&self->on_readable);
    if (!core_open_loop((PyObject *)self->loop))
        return -1;
    core_socket_flush(self);
    if (!self->lost)
        rota__conn_close(&self->conn);
    return 0;
}

static PyObject *socket_close(PyObject *op, PyObject *Py_UNUSED(none))
{
    SocketTransportObject *self = (SocketTransportObject *)op;

    if (core_socket_close(self) < 0)
        return NULL;
    return core_result(self->loop);
}

static PyObject *socket_force_close(PyObject *op, PyObject *exc)
{
    SocketTransportObject *self = (SocketTransportObject *)op;

    if (!self->lost && !core_open_loop((PyObject *)self->loop))
        return NULL;
    core_socket_force_close(self, exc);
    return core_result(self->loop);
}

static PyObject *socket_abort(PyObject *op, PyObject *Py_UNUSED(none))
{
    return socket_force_close(op, Py_None);
}

static PyObject *socket_fatal_error(PyObject *op, PyObject *args)
{
    SocketTransportObject *self = (SocketTransportObject *)op;
    const char *message = "Fatal error on transport";
    PyObject *exc;

    if (!PyArg_ParseTuple(args, "O|s", &exc, &message))
        return NULL;
    PyErr_SetObject((PyObject *)Py_TYPE(exc), exc);
    core_socket_fatal(self, message);
    return core_result(self->loop);
}

static int close_file(SocketTransportObject *self)
{
    PyObject *done;

    if (!self->sock || self->sock_closed)
        return 0;
    self->sock_closed = true;
    done = PyObject_CallMethodNoArgs(self->sock, self->loop->state->str_close);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

/* The server hears of it last; it may be waiting for that. */
static int leave_server(SocketTransportObject *self)
{
    PyObject *server = self->server, *function, *done;

    self->server = NULL;
    if (!server)
        return 0;
    function = core_support(self->loop->state, "server_detach");
    done = function ? PyObject_CallFunctionObjArgs(function, server, self, NULL)
                    : NULL;
    Py_DECREF(server);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

static PyObject *tell_lost(SocketTransportObject *self, PyObject *exc)
{
    if (!self->protocol_connected || !self->protocol)
        Py_RETURN_NONE;
    if (self->ops) {
        self->ops->connection_lost(self->protocol, exc);
        return core_result(self->loop);
    }
    return PyObject_CallMethodOneArg(
        self->protocol, self->loop->state->str_connection_lost, exc);
}

static PyObject *socket_call_connection_lost(PyObject *op, PyObject *exc)
{
    SocketTransportObject *self = (SocketTransportObject *)op;
    PyObject *done = tell_lost(self, exc);
    PyObject *exception = core_take_exception();

    if (close_file(self) < 0)
        core_unraisable(self->loop, op);
    Py_CLEAR(self->protocol);
    self->ops = NULL;
    Py_CLEAR(self->lost_exception);
    if (leave_server(self) < 0)
        core_unraisable(self->loop, op);
    core_socket_fail_empty_waiter(self, NULL);
    Py_CLEAR(self->write_context);
    core_let_go(&self->kept);
    if (exception)
        core_give_exception(exception);
    Py_XDECREF(done);
    return core_result(self->loop);
}

/* Nobody has closed it. */
void core_socket_finalize(PyObject *op)
{
    SocketTransportObject *self = (SocketTransportObject *)op;
    PyObject *exception = core_take_exception();

    rota__conn_destroy(&self->conn);
    if (self->sock && !self->sock_closed) {
        if (PyErr_ResourceWarning(op, 1, "unclosed transport %R", op) < 0)
            PyErr_WriteUnraisable(op);
        if (close_file(self) < 0)
            PyErr_WriteUnraisable(op);
    }
    if (leave_server(self) < 0)
        PyErr_WriteUnraisable(op);
    core_give_exception(exception);
}

static PyObject *socket_is_closing(PyObject *op, PyObject *Py_UNUSED(none))
{
    return PyBool_FromLong(((SocketTransportObject *)op)->closing);
}

PyMethodDef core_socket_close_methods[] = {
    {"close", socket_close, METH_NOARGS,
     "close($self, /)\n--\n\n"
     "Close once what is buffered has been sent."},
    {"abort", socket_abort, METH_NOARGS,
     "abort($self, /)\n--\n\n"
     "Close at once; what is buffered is lost."},
    {"is_closing", socket_is_closing, METH_NOARGS,
     "is_closing($self, /)\n--\n\n"
     "Return True if the transport is closed or is being closed."},
    {"_force_close", socket_force_close, METH_O, NULL},
    {"_fatal_error", socket_fatal_error, METH_VARARGS, NULL},
    {"_call_connection_lost", socket_call_connection_lost, METH_O, NULL},
    {0},
};
