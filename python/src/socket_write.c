/* SPDX-License-Identifier: MIT */
/*
 * What a socket's transport sends
 */
#include "socket_transport.h"

#define WARN_FROM 5 /* writes for nothing: asyncio's LOG_THRESHOLD */

/* --- Flow control -------------------------------------------------------- */

size_t core_socket_buffered(const SocketTransportObject *self)
{
    return self->gathered_size + rota__buffer_size(&self->conn.out);
}

static void tell_protocol(SocketTransportObject *self, PyObject *name,
                          const char *message)
{
    PyObject *done = PyObject_CallMethodNoArgs(self->protocol, name);

    if (done)
        Py_DECREF(done);
    else
        core_report(self->loop, message, "transport", (PyObject *)self,
                    "protocol", self->protocol);
}

static void pause_if_full(SocketTransportObject *self)
{
    if (rota__likely(core_socket_buffered(self) <= self->high) ||
        self->writing_paused)
        return;
    self->writing_paused = true;
    if (self->ops)
        self->ops->pause_writing(self->protocol);
    else
        tell_protocol(self, self->loop->state->str_pause_writing,
                      "protocol.pause_writing() failed");
}

static void resume_if_drained(SocketTransportObject *self)
{
    if (!self->writing_paused || core_socket_buffered(self) > self->low)
        return;
    self->writing_paused = false;
    if (!self->protocol)
        return;
    if (self->ops)
        self->ops->resume_writing(self->protocol);
    else
        tell_protocol(self, self->loop->state->str_resume_writing,
                      "protocol.resume_writing() failed");
}

/* --- Gathering ----------------------------------------------------------- */

void core_socket_forget_gathered(SocketTransportObject *self)
{
    rota__list_remove(&self->dirty);
    self->gathered_size = 0;
    while (self->gathered_count > 0)
        Py_DECREF(self->gathered[--self->gathered_count]);
}

static int queue_rest(SocketTransportObject *self, size_t sent)
{
    int err = 0;

    for (int i = 0; i < self->gathered_count && err == 0; i++) {
        size_t size = (size_t)PyBytes_GET_SIZE(self->gathered[i]);
        size_t skip = sent < size ? sent : size;

        sent -= skip;
        if (skip < size)
            err = rota__conn_queue(&self->conn,
                                   PyBytes_AS_STRING(self->gathered[i]) + skip,
                                   size - skip);
    }
    return err;
}

static intptr_t send_gathered(SocketTransportObject *self)
{
    struct iovec parts[CORE_GATHERED];

    if (self->gathered_count == 1)
        return rota__conn_write(&self->conn,
                                PyBytes_AS_STRING(self->gathered[0]),
                                self->gathered_size);
    for (int i = 0; i < self->gathered_count; i++)
        parts[i] = (struct iovec){
            .iov_base = PyBytes_AS_STRING(self->gathered[i]),
            .iov_len = (size_t)PyBytes_GET_SIZE(self->gathered[i]),
        };
    return rota__conn_writev(&self->conn, parts, self->gathered_count);
}

void core_socket_flush(SocketTransportObject *self)
{
    intptr_t n;
    int err = 0;

    if (self->gathered_count == 0)
        return;
    n = send_gathered(self);
    if (rota__unlikely(n < 0))
        err = (int)n;
    else if (rota__unlikely((size_t)n < self->gathered_size))
        err = queue_rest(self, (size_t)n);
    core_socket_forget_gathered(self);
    if (rota__unlikely(err < 0))
        core_socket_failed(self, err, "Fatal write error on socket transport");
}

void core_flush(LoopObject *loop)
{
    struct rota__link *link;

    while ((link = rota__list_pop(&loop->dirty)) != NULL) {
        SocketTransportObject *self =
            rota__container_of(link, SocketTransportObject, dirty);

        Py_INCREF(self);
        core_socket_flush(self);
        if (!self->lost)
            pause_if_full(self);
        Py_DECREF(self);
    }
}

static void gather(SocketTransportObject *self, PyObject *bytes)
{
    if (self->gathered_count == 0)
        rota__list_push(&self->loop->dirty, &self->dirty);
    self->gathered[self->gathered_count++] = Py_NewRef(bytes);
    self->gathered_size += (size_t)PyBytes_GET_SIZE(bytes);
    if (self->gathered_count < CORE_GATHERED &&
        self->gathered_size <= self->high)
        return;
    core_socket_flush(self);
    if (!self->lost)
        pause_if_full(self);
}

/* What may change before the turn is over is sent now. */
static void send_now(SocketTransportObject *self, const char *data, size_t size)
{
    intptr_t n;
    int err = 0;

    core_socket_flush(self);
    if (self->lost)
        return;
    n = rota__conn_write(&self->conn, data, size);
    if (n >= 0 && (size_t)n < size)
        err = rota__conn_queue(&self->conn, data + n, size - (size_t)n);
    if (n < 0 || err < 0)
        core_socket_failed(self, n < 0 ? (int)n : err,
                           "Fatal write error on socket transport");
    else
        pause_if_full(self);
}

/* --- Writing ------------------------------------------------------------- */

static bool check_data(PyObject *data)
{
    if (rota__likely(PyBytes_Check(data) || PyByteArray_Check(data) ||
                     PyMemoryView_Check(data)))
        return true;
    PyErr_Format(PyExc_TypeError,
                 "data argument must be a bytes-like object, not '%s'",
                 Py_TYPE(data)->tp_name);
    return false;
}

static bool check_open(SocketTransportObject *self, const char *function)
{
    if (rota__unlikely(self->eof)) {
        PyErr_Format(PyExc_RuntimeError, "Cannot call %s() after write_eof()",
                     function);
        return false;
    }
    if (rota__unlikely(self->empty_waiter != NULL)) {
        PyErr_SetString(PyExc_RuntimeError,
                        "unable to write; sendfile is in progress");
        return false;
    }
    return true;
}

/* True if the connection is lost; asyncio warns from the fifth write on. */
static bool is_lost(SocketTransportObject *self)
{
    PyObject *warn, *done;

    if (rota__likely(!self->lost))
        return false;
    if (self->lost >= WARN_FROM) {
        warn = core_support(self->loop->state, "lost_write");
        done = warn ? PyObject_CallNoArgs(warn) : NULL;
        Py_XDECREF(done);
    }
    self->lost++;
    return true;
}

static int write_one(SocketTransportObject *self, PyObject *data)
{
    Py_buffer view;

    if (rota__likely(PyBytes_CheckExact(data))) {
        if (PyBytes_GET_SIZE(data) > 0)
            gather(self, data);
        return 0;
    }
    if (PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) < 0)
        return -1;
    if (view.len > 0)
        send_now(self, view.buf, (size_t)view.len);
    PyBuffer_Release(&view);
    return 0;
}

static bool is_empty(PyObject *data)
{
    return PyBytes_CheckExact(data) ? PyBytes_GET_SIZE(data) == 0
                                    : PyObject_Size(data) == 0;
}

static PyObject *result(SocketTransportObject *self)
{
    if (rota__unlikely(self->loop->failed)) {
        self->loop->failed = false;
        return NULL;
    }
    return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
}

static PyObject *socket_write(PyObject *op, PyObject *data)
{
    SocketTransportObject *self = (SocketTransportObject *)op;

    if (!check_data(data) || !check_open(self, "write"))
        return NULL;
    if (is_empty(data) || is_lost(self))
        return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
    if (write_one(self, data) < 0)
        return NULL;
    return result(self);
}

static PyObject *socket_writelines(PyObject *op, PyObject *lines)
{
    SocketTransportObject *self = (SocketTransportObject *)op;
    PyObject *list;

    if (!check_open(self, "writelines"))
        return NULL;
    list = PySequence_Fast(lines, "writelines() takes an iterable");
    if (!list)
        return NULL;
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(list); i++) {
        if (!check_data(PySequence_Fast_GET_ITEM(list, i)))
            goto done;
    }
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(list); i++) {
        PyObject *data = PySequence_Fast_GET_ITEM(list, i);

        if (is_empty(data))
            continue;
        if (is_lost(self) || write_one(self, data) < 0)
            break;
    }
done:
    Py_DECREF(list);
    return result(self);
}

void core_transport_write(PyObject *op, PyObject *bytes)
{
    SocketTransportObject *self = (SocketTransportObject *)op;

    if (PyBytes_GET_SIZE(bytes) > 0 && !is_lost(self))
        gather(self, bytes);
}

size_t core_transport_buffered(PyObject *op)
{
    return core_socket_buffered((SocketTransportObject *)op);
}

static PyObject *socket_write_eof(PyObject *op, PyObject *Py_UNUSED(none))
{
    SocketTransportObject *self = (SocketTransportObject *)op;
    int err;

    if (self->closing || self->eof)
        Py_RETURN_NONE;
    core_socket_flush(self);
    self->eof = true;
    if (self->lost)
        return result(self);
    err = rota__conn_write_eof(&self->conn);
    return err < 0 ? core_raise(err) : result(self);
}

static PyObject *socket_can_write_eof(PyObject *Py_UNUSED(op),
                                      PyObject *Py_UNUSED(none))
{
    Py_RETURN_TRUE;
}

/* --- The kernel takes more ----------------------------------------------- */

static void wake_empty_waiter(SocketTransportObject *self)
{
    PyObject *wake, *done;

    if (!self->empty_waiter || core_socket_buffered(self) > 0)
        return;
    wake = core_support(self->loop->state, "set_result_unless_done");
    done = wake ? PyObject_CallFunctionObjArgs(wake, self->empty_waiter,
                                               Py_None, NULL)
                : NULL;
    if (!done)
        PyErr_WriteUnraisable((PyObject *)self);
    Py_XDECREF(done);
}

void core_socket_writable(struct rota__conn *conn)
{
    SocketTransportObject *self =
        rota__container_of(conn, SocketTransportObject, conn);

    Py_INCREF(self);
    if (conn->error) {
        if (rota__buffer_size(&conn->out) > 0)
            core_socket_failed(self, conn->error,
                               "Fatal write error on socket transport");
    } else {
        resume_if_drained(self);
        wake_empty_waiter(self);
    }
    Py_DECREF(self);
}

/* It closes, and all is sent: resume_writing() may write a last word. */
void core_socket_drained(struct rota__conn *conn)
{
    SocketTransportObject *self =
        rota__container_of(conn, SocketTransportObject, conn);

    Py_INCREF(self);
    resume_if_drained(self);
    core_socket_flush(self);
    wake_empty_waiter(self);
    Py_DECREF(self);
}

/* --- Limits -------------------------------------------------------------- */

static PyObject *socket_get_size(PyObject *op, PyObject *Py_UNUSED(none))
{
    SocketTransportObject *self = (SocketTransportObject *)op;

    core_socket_flush(self);
    if (self->loop->failed)
        return result(self);
    return PyLong_FromSize_t(core_socket_buffered(self));
}

static PyObject *socket_get_limits(PyObject *op, PyObject *Py_UNUSED(none))
{
    SocketTransportObject *self = (SocketTransportObject *)op;

    return Py_BuildValue("(nn)", (Py_ssize_t)self->low, (Py_ssize_t)self->high);
}

static PyObject *socket_set_limits(PyObject *op, PyObject *args,
                                   PyObject *named)
{
    static char *names[] = {"high", "low", NULL};
    SocketTransportObject *self = (SocketTransportObject *)op;
    PyObject *high = Py_None, *low = Py_None, *limits, *function;
    Py_ssize_t to_high, to_low;

    if (!PyArg_ParseTupleAndKeywords(args, named, "|OO", names, &high, &low))
        return NULL;
    function = core_support(self->loop->state, "write_buffer_limits");
    limits = function ? PyObject_CallFunctionObjArgs(function, high, low, NULL)
                      : NULL;
    if (!limits)
        return NULL;
    if (PyArg_ParseTuple(limits, "nn", &to_high, &to_low)) {
        self->high = (size_t)to_high;
        self->low = (size_t)to_low;
        if (!self->lost)
            core_socket_flush(self);
        if (!self->lost)
            pause_if_full(self);
    }
    Py_DECREF(limits);
    return result(self);
}

/* --- sendfile ------------------------------------------------------------ */

static PyObject *make_empty_waiter(PyObject *op, PyObject *Py_UNUSED(none))
{
    SocketTransportObject *self = (SocketTransportObject *)op;

    if (self->empty_waiter) {
        PyErr_SetString(PyExc_RuntimeError, "Empty waiter is already set");
        return NULL;
    }
    core_socket_flush(self);
    self->empty_waiter =
        PyObject_CallMethod((PyObject *)self->loop, "create_future", NULL);
    if (!self->empty_waiter)
        return NULL;
    wake_empty_waiter(self);
    return Py_NewRef(self->empty_waiter);
}

static PyObject *reset_empty_waiter(PyObject *op, PyObject *Py_UNUSED(none))
{
    Py_CLEAR(((SocketTransportObject *)op)->empty_waiter);
    Py_RETURN_NONE;
}

PyMethodDef core_socket_write_methods[] = {
    {"write", socket_write, METH_O,
     "Write bytes to the transport. See asyncio.WriteTransport.write."},
    {"writelines", socket_writelines, METH_O,
     "Write several bytes objects, in order."},
    {"write_eof", socket_write_eof, METH_NOARGS,
     "Close the write end once what is buffered has been sent."},
    {"can_write_eof", socket_can_write_eof, METH_NOARGS,
     "Return True: sockets can be half-closed."},
    {"get_write_buffer_size", socket_get_size, METH_NOARGS,
     "Return how many bytes wait to be sent."},
    {"get_write_buffer_limits", socket_get_limits, METH_NOARGS,
     "Return the low and the high water mark."},
    {"set_write_buffer_limits", CORE_ANY(socket_set_limits),
     METH_VARARGS | METH_KEYWORDS,
     "Set when the protocol's pause_writing() and resume_writing() are "
     "called."},
    {"_make_empty_waiter", make_empty_waiter, METH_NOARGS, NULL},
    {"_reset_empty_waiter", reset_empty_waiter, METH_NOARGS, NULL},
    {0},
};
