/* SPDX-License-Identifier: MIT */
/*
 * What a socket's transport receives
 *
 * One read a turn, so that a busy peer starves nobody. A small message goes
 * through the loop's scratch memory into a bytes object of its size; where
 * much came last time, the next read goes into a bytes object that is large
 * enough at once.
 */
#include "socket_transport.h"

#define DIRECT_FROM 8192 /* bytes: below it, a copy is cheaper */
#define READ_MOST 262144 /* asyncio's max_size */

static bool wants_data(const SocketTransportObject *self)
{
    return !self->paused && !self->closing && !self->ended && !self->lost;
}

void core_socket_read_soon(SocketTransportObject *self)
{
    if (self->conn.may_read && wants_data(self) &&
        rota__list_empty(&self->on_readable.link))
        core_ready_late(self->loop, &self->on_readable);
}

/* In the middle of polling. */
void core_socket_readable(struct rota__conn *conn)
{
    SocketTransportObject *self =
        rota__container_of(conn, SocketTransportObject, conn);

    if (wants_data(self) && rota__list_empty(&self->on_readable.link))
        rota__ready(conn->loop, &self->on_readable);
}

void core_socket_start(struct rota__handle *handle)
{
    handle->run = core_socket_on_readable;
    core_socket_read_soon(
        rota__container_of(handle, SocketTransportObject, on_readable));
}

static void end_of_data(SocketTransportObject *self)
{
    PyObject *answer = NULL;
    int keep;

    core_socket_log(self, "%r received EOF");
    if (rota__unlikely(self->loop->fatal))
        return; /* it is read again */
    if (self->ops) {
        keep = self->ops->eof_received(self->protocol);
    } else {
        answer = PyObject_CallMethodNoArgs(self->protocol,
                                           self->loop->state->str_eof_received);
        keep = answer ? PyObject_IsTrue(answer) : -1;
        Py_XDECREF(answer);
    }
    if (keep < 0)
        core_socket_fatal(self,
                          "Fatal error: protocol.eof_received() call failed.");
    else if (keep)
        self->ended = true;
    else if (core_socket_close(self) < 0)
        core_unraisable(self->loop, (PyObject *)self);
}

/* True if there are bytes. */
static bool received(SocketTransportObject *self, intptr_t n)
{
    if (rota__likely(n > 0))
        return true;
    if (n == 0)
        end_of_data(self);
    else if (n != -EAGAIN)
        core_socket_failed(self, (int)n,
                           "Fatal read error on socket transport");
    return false;
}

static void data_failed(SocketTransportObject *self)
{
    core_socket_fatal(self,
                      "Fatal error: protocol.data_received() call failed.");
}

static void give(SocketTransportObject *self, PyObject *data)
{
    PyObject *protocol = Py_NewRef(self->protocol);
    PyObject *done = PyObject_CallMethodOneArg(
        protocol, self->loop->state->str_data_received, data);

    Py_DECREF(protocol);
    if (rota__likely(done != NULL))
        Py_DECREF(done);
    else
        data_failed(self);
}

/* Straight into the object that the protocol gets. */
static PyObject *read_directly(SocketTransportObject *self, intptr_t *n)
{
    PyObject *data =
        PyBytes_FromStringAndSize(NULL, (Py_ssize_t)self->expected);

    if (!data) {
        *n = -ENOMEM;
        PyErr_Clear();
        return NULL;
    }
    *n = rota__conn_read(&self->conn, PyBytes_AS_STRING(data), self->expected);
    if (*n <= 0)
        Py_CLEAR(data);
    else if ((size_t)*n < self->expected)
        (void)_PyBytes_Resize(&data, (Py_ssize_t)*n);
    return data;
}

static PyObject *read_through(SocketTransportObject *self, intptr_t *n)
{
    char *scratch = rota__scratch(self->loop->loop);

    *n = -ENOMEM;
    if (scratch)
        *n = rota__conn_read(&self->conn, scratch, ROTA__SCRATCH);
    return *n > 0 ? PyBytes_FromStringAndSize(scratch, (Py_ssize_t)*n) : NULL;
}

/* What came decides how the next is read. */
static void expect(SocketTransportObject *self, size_t n)
{
    unsigned next = ROTA__SCRATCH;

    if (n < DIRECT_FROM) {
        self->expected = 0;
        return;
    }
    while (next < READ_MOST && next < 2 * n)
        next *= 2;
    self->expected = next;
}

/* A stream's buffer takes it from the scratch memory. */
static void read_for_stream(SocketTransportObject *self)
{
    char *scratch = rota__scratch(self->loop->loop);
    intptr_t n = -ENOMEM;
    PyObject *data;
    int fed;

    if (scratch)
        n = rota__conn_read(&self->conn, scratch, READ_MOST);
    if (!received(self, n))
        return;
    fed = core_feed(self->loop->state, self->protocol, scratch, (size_t)n);
    if (rota__likely(fed > 0))
        return;
    data = fed < 0 ? NULL : PyBytes_FromStringAndSize(scratch, (Py_ssize_t)n);
    if (!data) {
        data_failed(self);
        return;
    }
    give(self, data);
    Py_DECREF(data);
}

static void read_data(SocketTransportObject *self)
{
    intptr_t n;
    PyObject *data =
        self->expected ? read_directly(self, &n) : read_through(self, &n);

    if (rota__likely(data != NULL)) {
        expect(self, (size_t)n);
        give(self, data);
        Py_DECREF(data);
    } else if (n > 0) {
        core_socket_failed(self, -ENOMEM,
                           "Fatal read error on socket transport");
    } else {
        (void)received(self, n);
    }
}

/* A protocol in C lends its memory. */
static void read_for_c(SocketTransportObject *self)
{
    size_t size = 0;
    char *buf = self->ops->get_buffer(self->protocol, &size);
    intptr_t n = -ENOMEM;

    if (!wants_data(self))
        return;
    if (buf)
        n = rota__conn_read(&self->conn, buf, size);
    if (received(self, n))
        self->ops->buffer_updated(self->protocol, (size_t)n);
}

/* The error is that of socket.recv_into(). */
static int get_writable(PyObject *buffer, Py_buffer *view)
{
    if (PyObject_GetBuffer(buffer, view, PyBUF_WRITABLE) == 0)
        return 0;
    if (PyErr_ExceptionMatches(PyExc_BufferError))
        PyErr_Format(PyExc_TypeError,
                     "get_buffer() must return a read-write bytes-like "
                     "object, not %s",
                     Py_TYPE(buffer)->tp_name);
    return -1;
}

static int get_buffer(SocketTransportObject *self, Py_buffer *view)
{
    PyObject *hint = PyLong_FromLong(-1), *buffer;
    Py_ssize_t size;
    int err = -1;

    buffer = hint ? PyObject_CallMethodOneArg(
                        self->protocol, self->loop->state->str_get_buffer, hint)
                  : NULL;
    Py_XDECREF(hint);
    size = buffer ? PyObject_Size(buffer) : -1;
    if (size == 0)
        PyErr_SetString(PyExc_RuntimeError,
                        "get_buffer() returned an empty buffer");
    else if (size > 0)
        err = get_writable(buffer, view);
    Py_XDECREF(buffer);
    return err;
}

static void tell_updated(SocketTransportObject *self, intptr_t n)
{
    PyObject *count = PyLong_FromSsize_t((Py_ssize_t)n);
    PyObject *done = count ? PyObject_CallMethodOneArg(
                                 self->protocol,
                                 self->loop->state->str_buffer_updated, count)
                           : NULL;

    Py_XDECREF(count);
    if (done)
        Py_DECREF(done);
    else
        core_socket_fatal(
            self, "Fatal error: protocol.buffer_updated() call failed.");
}

static void read_into_buffer(SocketTransportObject *self)
{
    Py_buffer view;
    intptr_t n;

    if (get_buffer(self, &view) < 0) {
        core_socket_fatal(self,
                          "Fatal error: protocol.get_buffer() call failed.");
        return;
    }
    n = rota__conn_read(&self->conn, view.buf, (size_t)view.len);
    PyBuffer_Release(&view);
    if (received(self, n))
        tell_updated(self, n);
}

static void read_some(SocketTransportObject *self)
{
    if (self->ops)
        read_for_c(self);
    else if (self->feeds)
        read_for_stream(self);
    else if (self->buffered)
        read_into_buffer(self);
    else
        read_data(self);
}

void core_socket_on_readable(struct rota__handle *handle)
{
    SocketTransportObject *self =
        rota__container_of(handle, SocketTransportObject, on_readable);
    PyObject *entered;
    int64_t began;

    if (!wants_data(self))
        return;
    Py_INCREF(self);
    began = core_step_begin(self->loop);
    entered = core_enter_context(self->context);
    if (rota__likely(entered != NULL)) {
        read_some(self);
        core_leave_context(entered);
    } else {
        core_socket_fatal(self, "Fatal read error on socket transport");
    }
    if (rota__unlikely(self->loop->debug))
        core_step_end(self->loop, began, (PyObject *)self);
    core_socket_read_soon(self);
    core_socket_let_go_if_idle(self);
    Py_DECREF(self);
}
