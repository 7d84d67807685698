/* SPDX-License-Identifier: MIT */
/*
 * A socket's transport is written to
 */
#include "socket_transport.h"

#define SMALL_PART 1024
#define WARN_FROM 5 /* writes for nothing: asyncio's LOG_THRESHOLD */

/* --- Writing ------------------------------------------------------------- */

#if PY_VERSION_HEX < 0x030E0000
#define WANTED "a bytes-like object"
#else
#define WANTED "a bytes, bytearray, or memoryview object"
#endif

static bool check_data(PyObject *data)
{
    PyObject *name;

    if (rota__likely(PyBytes_Check(data) || PyByteArray_Check(data) ||
                     PyMemoryView_Check(data)))
        return true;
    name = PyType_GetName(Py_TYPE(data));
    if (name)
        PyErr_Format(PyExc_TypeError,
                     "data argument must be " WANTED ", not %R", name);
    Py_XDECREF(name);
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
        PyErr_Format(PyExc_RuntimeError,
                     "unable to %s; sendfile is in progress", function);
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
            core_socket_gather(self, data);
        return 0;
    }
    if (PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) < 0)
        return -1;
    if (view.len > 0)
        core_socket_send(self, view.buf, (size_t)view.len);
    PyBuffer_Release(&view);
    return 0;
}

/* Also with an exception: what has no length. */
static bool is_empty(PyObject *data)
{
    return PyBytes_CheckExact(data) ? PyBytes_GET_SIZE(data) == 0
                                    : PyObject_Size(data) <= 0;
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
    core_socket_flush_if_much(self);
    return core_result(self->loop);
}

/* --- Writing several ----------------------------------------------------- */

/* Anything that has bytes is allowed, unlike in write(). */
static bool check_parts(PyObject *parts)
{
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(parts); i++) {
        PyObject *part = PySequence_Fast_GET_ITEM(parts, i);

        if (rota__likely(PyObject_CheckBuffer(part)))
            continue;
#if PY_VERSION_HEX < 0x030C0000
        PyErr_Format(PyExc_TypeError,
                     "sequence item %zd: expected a bytes-like object, "
                     "%.80s found",
                     i, Py_TYPE(part)->tp_name);
#else
        PyErr_Format(
            PyExc_TypeError,
            "memoryview: a bytes-like object is required, not '%.200s'",
            Py_TYPE(part)->tp_name);
#endif
        return false;
    }
    return true;
}

/* What asyncio looks at, in which order, depends on its version. */
#if PY_VERSION_HEX < 0x030C0000 /* it joins them, and calls write() */

static bool has_bytes(PyObject *parts)
{
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(parts); i++) {
        if (PyObject_Size(PySequence_Fast_GET_ITEM(parts, i)) != 0) {
            PyErr_Clear(); /* one without a length may have bytes */
            return true;
        }
    }
    return false;
}

static bool may_write(SocketTransportObject *self, PyObject *parts)
{
    return check_parts(parts) && check_open(self, "write") &&
           has_bytes(parts) && !is_lost(self);
}

#else

static bool may_write(SocketTransportObject *self, PyObject *parts)
{
    return check_open(self, "writelines") &&
           PySequence_Fast_GET_SIZE(parts) > 0 && !is_lost(self) &&
           check_parts(parts);
}

#endif

/* Several system calls for what is little: it is joined. */
static bool are_many_and_small(PyObject *parts)
{
    Py_ssize_t count = PySequence_Fast_GET_SIZE(parts);

    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *part = PySequence_Fast_GET_ITEM(parts, i);

        if (!PyBytes_CheckExact(part) || PyBytes_GET_SIZE(part) > SMALL_PART)
            return false;
    }
    return count > CORE_GATHERED;
}

static int write_joined(SocketTransportObject *self, PyObject *parts)
{
    PyObject *none = PyBytes_FromStringAndSize(NULL, 0);
    PyObject *all =
        none ? PyObject_CallMethod(none, "join", "(O)", parts) : NULL;
    int err = all ? write_one(self, all) : -1;

    Py_XDECREF(all);
    Py_XDECREF(none);
    return err;
}

static int write_each(SocketTransportObject *self, PyObject *parts)
{
    int err = 0;

    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(parts); i++) {
        PyObject *part = Py_NewRef(PySequence_Fast_GET_ITEM(parts, i));

        err = write_one(self, part);
        Py_DECREF(part);
        if (err < 0 || self->lost)
            break;
    }
    return err;
}

static PyObject *socket_writelines(PyObject *op, PyObject *lines)
{
    SocketTransportObject *self = (SocketTransportObject *)op;
    PyObject *parts = PySequence_Fast(lines, "can only join an iterable");

    if (!parts)
        return NULL;
    if (!may_write(self, parts)) {
        Py_DECREF(parts);
        return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
    }
    if (are_many_and_small(parts))
        (void)write_joined(self, parts);
    else
        (void)write_each(self, parts);
    Py_DECREF(parts);
    core_socket_flush_if_much(self);
    return core_result(self->loop);
}

void core_transport_write(PyObject *op, PyObject *bytes)
{
    SocketTransportObject *self = (SocketTransportObject *)op;

    if (PyBytes_GET_SIZE(bytes) == 0 || self->loop->closed || is_lost(self))
        return;
    core_socket_gather(self, bytes);
    core_socket_flush_if_much(self);
}

size_t core_transport_buffered(PyObject *op)
{
    return core_socket_buffered((SocketTransportObject *)op);
}

/* Unlike the conn's own, this tells that the peer is gone. */
static int shut_down(SocketTransportObject *self)
{
    if (rota__buffer_size(&self->conn.out) > 0)
        return rota__conn_write_eof(&self->conn);
    self->conn.ended = true;
    return rota__socket_shutdown_write(self->conn.watch.fd);
}

static PyObject *socket_write_eof(PyObject *op, PyObject *Py_UNUSED(none))
{
    SocketTransportObject *self = (SocketTransportObject *)op;
    int err;

    if (self->closing || self->eof)
        Py_RETURN_NONE;
    core_socket_flush(self);
    if (self->lost)
        return core_result(self->loop);
    self->eof = true;
    err = shut_down(self);
    return err < 0 ? core_raise(err) : core_result(self->loop);
}

static PyObject *socket_can_write_eof(PyObject *Py_UNUSED(op),
                                      PyObject *Py_UNUSED(none))
{
    Py_RETURN_TRUE;
}

/* --- Limits -------------------------------------------------------------- */

static PyObject *socket_get_size(PyObject *op, PyObject *Py_UNUSED(none))
{
    SocketTransportObject *self = (SocketTransportObject *)op;

    core_socket_flush(self);
    if (core_failed(self->loop))
        return NULL;
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
    SocketTransportObject *self = (SocketTransportObject *)op;

    if (core_parse_limits(self->loop, args, named, &self->high, &self->low) < 0)
        return NULL;
    if (!self->lost)
        core_socket_flush_and_look(self);
    return core_result(self->loop);
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
    if (core_failed(self->loop))
        return NULL;
    self->empty_waiter =
        PyObject_CallMethod((PyObject *)self->loop, "create_future", NULL);
    if (!self->empty_waiter)
        return NULL;
    core_socket_wake_empty_waiter(self);
    return Py_NewRef(self->empty_waiter);
}

static PyObject *reset_empty_waiter(PyObject *op, PyObject *Py_UNUSED(none))
{
    Py_CLEAR(((SocketTransportObject *)op)->empty_waiter);
    Py_RETURN_NONE;
}

PyMethodDef core_socket_write_methods[] = {
    {"write", socket_write, METH_O,
     "write($self, data, /)\n--\n\n"
     "Send bytes; what the system does not take yet is buffered.\n\n"
     "Small ones of a turn are sent together when it ends. TypeError for\n"
     "what is not bytes-like; RuntimeError after write_eof()."},
    {"writelines", socket_writelines, METH_O,
     "writelines($self, list_of_data, /)\n--\n\n"
     "Write several bytes objects, in order."},
    {"write_eof", socket_write_eof, METH_NOARGS,
     "write_eof($self, /)\n--\n\n"
     "Close the write end once what is buffered has been sent."},
    {"can_write_eof", socket_can_write_eof, METH_NOARGS,
     "can_write_eof($self, /)\n--\n\n"
     "Return True: sockets can be half-closed."},
    {"get_write_buffer_size", socket_get_size, METH_NOARGS,
     "get_write_buffer_size($self, /)\n--\n\n"
     "Return how many bytes wait to be sent."},
    {"get_write_buffer_limits", socket_get_limits, METH_NOARGS,
     "get_write_buffer_limits($self, /)\n--\n\n"
     "Return the low and the high water mark."},
    {"set_write_buffer_limits", CORE_ANY(socket_set_limits),
     METH_VARARGS | METH_KEYWORDS,
     "set_write_buffer_limits($self, high=None, low=None)\n--\n\n"
     "Set when the protocol's pause_writing() and resume_writing() are "
     "called."},
    {"_make_empty_waiter", make_empty_waiter, METH_NOARGS, NULL},
    {"_reset_empty_waiter", reset_empty_waiter, METH_NOARGS, NULL},
    {0},
};
