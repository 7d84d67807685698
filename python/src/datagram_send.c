/* SPDX-License-Identifier: MIT */
/*
 * What a datagram transport sends
 *
 * An address that is the very object we gave out with the last datagram is
 * not read again, and one of numbers is read here; all others are given to the
 * socket's sendto(), which may ask for a name.
 */
#include "datagram_transport.h"

#define WARN_FROM 5 /* sent for nothing: asyncio's LOG_THRESHOLD */

/* Since 3.13 a datagram may be empty; since 3.14 it counts for more than its
   bytes. */
#define EMPTY_ONES (PY_VERSION_HEX >= 0x030d0000)
#define HEADER_COST (PY_VERSION_HEX >= 0x030e0000 ? 8 : 0)

/* --- Flow control -------------------------------------------------------- */

static size_t cost_of(PyObject *bytes)
{
    return (size_t)PyBytes_GET_SIZE(bytes) + HEADER_COST;
}

/* 0, or -1 with an exception that must not be held up. */
static int tell_protocol(DatagramObject *self, PyObject *name,
                         const char *message)
{
    PyObject *done = PyObject_CallMethodNoArgs(self->protocol, name);

    if (!done && core_is_fatal())
        return -1;
    if (!done)
        core_report(self->loop, message, "transport", (PyObject *)self,
                    "protocol", self->protocol);
    Py_XDECREF(done);
    return 0;
}

static int pause_if_full(DatagramObject *self)
{
    if (self->unsent_size <= self->high || self->writing_paused)
        return 0;
    self->writing_paused = true;
    if (!self->protocol)
        return 0;
    return tell_protocol(self, self->loop->state->str_pause_writing,
                         "protocol.pause_writing() failed");
}

static int resume_if_drained(DatagramObject *self)
{
    if (!self->writing_paused || self->unsent_size > self->low)
        return 0;
    self->writing_paused = false;
    if (!self->protocol)
        return 0;
    return tell_protocol(self, self->loop->state->str_resume_writing,
                         "protocol.resume_writing() failed");
}

/* --- One datagram -------------------------------------------------------- */

enum outcome { FAILED = -1, SENT, WOULD_BLOCK };

static const char callback_failed[] =
    "Exception in callback DatagramTransport._sendto_ready()";

static enum outcome send_to(DatagramObject *self, const Py_buffer *data,
                            const rota_address *to)
{
    intptr_t n =
        rota__datagram_send(&self->socket, data->buf, (size_t)data->len, to);

    if (rota__likely(n >= 0))
        return SENT;
    if (n == -EAGAIN)
        return WOULD_BLOCK;
    (void)core_raise((int)n);
    return FAILED;
}

/* By Python's own sendto(), which may ask for a name; or by its send(). */
static enum outcome send_by_python(DatagramObject *self, PyObject *data,
                                   PyObject *address)
{
    core_state *state = self->loop->state;
    PyObject *done;

    if (!self->socket.may_write)
        return WOULD_BLOCK;
    if (self->connected)
        done = PyObject_CallMethodOneArg(self->sock, state->str_send, data);
    else
        done = PyObject_CallMethodObjArgs(self->sock, state->str_sendto, data,
                                          address, NULL);
    if (done) {
        Py_DECREF(done);
        return SENT;
    }
    if (!PyErr_ExceptionMatches(PyExc_BlockingIOError) &&
        !PyErr_ExceptionMatches(PyExc_InterruptedError))
        return FAILED;
    PyErr_Clear();
    if (!core_open_loop((PyObject *)self->loop))
        return FAILED;
    rota__datagram_full(&self->socket, !self->connected);
    return WOULD_BLOCK;
}

static enum outcome send_numbered(DatagramObject *self, const Py_buffer *data,
                                  PyObject *address, const rota_address *to)
{
    if (PySys_Audit("socket.sendto", "OO", self->sock, address) < 0)
        return FAILED;
    return send_to(self, data, to);
}

static enum outcome send_one(DatagramObject *self, PyObject *data,
                             PyObject *address)
{
    enum outcome outcome;
    Py_buffer view;
    rota_address to;

    if (PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) < 0)
        return FAILED;
    if (rota__unlikely(self->socket.closed)) /* the loop is */
        outcome = send_by_python(self, data, address);
    else if (self->connected)
        outcome = send_to(self, &view, NULL);
    else if (address == self->peer_object && self->peer_object)
        outcome = send_numbered(self, &view, address, &self->peer);
    else if (core_address_parse(address, self->family, &to))
        outcome = send_numbered(self, &view, address, &to);
    else
        outcome = send_by_python(self, data, address);
    PyBuffer_Release(&view);
    return outcome;
}

/* The current exception is the network's, or a bug. 0 or -1. */
static int send_failed(DatagramObject *self)
{
    if (PyErr_ExceptionMatches(PyExc_OSError))
        return core_datagram_tell(self);
    return core_datagram_fatal(self, "Fatal write error on datagram transport")
               ? 0
               : -1;
}

/* --- Those that wait ----------------------------------------------------- */

static int keep(DatagramObject *self, PyObject *data, PyObject *address)
{
    PyObject *bytes = PyBytes_FromObject(data);
    struct core_unsent *unsent = bytes ? PyMem_Malloc(sizeof *unsent) : NULL;

    if (!unsent) {
        Py_XDECREF(bytes);
        if (!PyErr_Occurred())
            PyErr_NoMemory();
        return -1;
    }
    if (rota__list_empty(&self->unsent))
        Py_XSETREF(self->write_context, PyContext_CopyCurrent());
    unsent->data = bytes;
    unsent->address = Py_NewRef(address);
    rota__list_push(&self->unsent, &unsent->link);
    self->unsent_size += cost_of(bytes);
    return self->write_context ? pause_if_full(self) : -1;
}

static void drop(DatagramObject *self, struct core_unsent *unsent)
{
    rota__list_remove(&unsent->link);
    self->unsent_size -= cost_of(unsent->data);
    Py_DECREF(unsent->data);
    Py_DECREF(unsent->address);
    PyMem_Free(unsent);
}

static struct core_unsent *first_unsent(DatagramObject *self)
{
    return rota__container_of(self->unsent.next, struct core_unsent, link);
}

void core_datagram_forget_unsent(DatagramObject *self)
{
    while (!rota__list_empty(&self->unsent))
        drop(self, first_unsent(self));
}

/* SENT: all of them. FAILED: one has, and is gone. It is in no queue while
   sendto() runs, which may be a program's own. */
static enum outcome send_unsent(DatagramObject *self)
{
    enum outcome outcome = SENT;

    while (outcome == SENT && !rota__list_empty(&self->unsent)) {
        struct core_unsent *first = first_unsent(self);

        rota__list_remove(&first->link);
        outcome = send_one(self, first->data, first->address);
        if (outcome == WOULD_BLOCK)
            rota__list_push(self->unsent.next, &first->link); /* in front */
        else
            drop(self, first);
    }
    return outcome;
}

static bool may_write_soon(const DatagramObject *self)
{
    return !self->lost && rota__list_empty(&self->on_writable.link);
}

static void write_later(DatagramObject *self)
{
    if (may_write_soon(self))
        core_ready_late(self->loop, &self->on_writable);
}

static void flush(PyObject *op)
{
    DatagramObject *self = (DatagramObject *)op;
    enum outcome outcome = send_unsent(self);
    PyObject *done;

    if (outcome == FAILED) { /* the rest in the next turn, as asyncio does */
        if (send_failed(self) < 0)
            core_datagram_report(self, callback_failed);
        write_later(self);
        return;
    }
    if (resume_if_drained(self) < 0) {
        core_datagram_report(self, callback_failed);
        write_later(self);
        return;
    }
    if (!rota__list_empty(&self->unsent) || !self->closing || self->lost)
        return;
    self->lost++;
    done = core_datagram_lose(op, Py_None);
    if (!done)
        core_datagram_report(self, callback_failed);
    Py_XDECREF(done);
}

void core_datagram_on_writable(struct rota__handle *handle)
{
    DatagramObject *self =
        rota__container_of(handle, DatagramObject, on_writable);

    if (self->write_context)
        core_transport_step(self->loop, (PyObject *)self, self->write_context,
                            flush);
}

/* In the middle of polling. */
void core_datagram_writable(struct rota__datagram *socket)
{
    DatagramObject *self = rota__container_of(socket, DatagramObject, socket);

    if (!rota__list_empty(&self->unsent) && may_write_soon(self))
        rota__ready(self->loop->loop, &self->on_writable);
}

/* --- Methods ------------------------------------------------------------- */

static bool check_data(PyObject *data)
{
    PyObject *name;

    if (rota__likely(PyBytes_Check(data)) || PyByteArray_Check(data) ||
        PyMemoryView_Check(data))
        return true;
    name = PyType_GetName(Py_TYPE(data));
    if (name)
        PyErr_Format(PyExc_TypeError,
                     "data argument must be a bytes-like object, not %R", name);
    Py_XDECREF(name);
    return false;
}

/* Where it goes; NULL with an exception. Borrowed. */
static PyObject *destination(DatagramObject *self, PyObject *address)
{
    int same;

    if (!self->address || Py_IsNone(self->address))
        return address;
    same = Py_IsNone(address)
               ? 1
               : PyObject_RichCompareBool(address, self->address, Py_EQ);
    if (same == 0)
        PyErr_Format(PyExc_ValueError, "Invalid address: must be None or %S",
                     self->address);
    return same == 1 ? self->address : NULL;
}

/* Sent for nothing. 0, or -1 with an exception. */
static int count_lost(DatagramObject *self)
{
    PyObject *function, *done = Py_None;

    if (self->lost++ < WARN_FROM)
        return 0;
    function = core_support(self->loop->state, "lost_write");
    done = function ? PyObject_CallNoArgs(function) : NULL;
    Py_XDECREF(done);
    return done ? 0 : -1;
}

static int send_or_keep(DatagramObject *self, PyObject *data, PyObject *address)
{
    if (rota__likely(rota__list_empty(&self->unsent))) {
        enum outcome outcome = send_one(self, data, address);

        if (rota__likely(outcome == SENT))
            return 0;
        if (outcome == FAILED)
            return send_failed(self);
    }
    return keep(self, data, address);
}

static int transport_sendto_now(DatagramObject *self, PyObject *data,
                                PyObject *address)
{
    if (!check_data(data))
        return -1;
    if (!EMPTY_ONES && PyObject_Size(data) == 0)
        return 0;
    address = destination(self, address);
    if (!address)
        return -1;
    if (rota__unlikely(!self->sock) ||
        (rota__unlikely(self->lost) && !Py_IsNone(self->address)))
        return count_lost(self);
    return send_or_keep(self, data, address);
}

static PyObject *transport_sendto(PyObject *op, PyObject *const *args,
                                  Py_ssize_t count, PyObject *names)
{
    DatagramObject *self = (DatagramObject *)op;
    static const char *const known[] = {"data", "addr", NULL};
    PyObject *values[2] = {NULL, Py_None};

    if (!core_parse_args("sendto", known, 1, args, count, names, values))
        return NULL;
    if (transport_sendto_now(self, values[0], values[1]) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *transport_get_size(PyObject *op, PyObject *Py_UNUSED(none))
{
    return PyLong_FromSize_t(((DatagramObject *)op)->unsent_size);
}

static PyObject *transport_get_limits(PyObject *op, PyObject *Py_UNUSED(none))
{
    DatagramObject *self = (DatagramObject *)op;

    return Py_BuildValue("(nn)", (Py_ssize_t)self->low, (Py_ssize_t)self->high);
}

static PyObject *transport_set_limits(PyObject *op, PyObject *args,
                                      PyObject *named)
{
    DatagramObject *self = (DatagramObject *)op;

    if (core_parse_limits(self->loop, args, named, &self->high, &self->low) <
            0 ||
        pause_if_full(self) < 0)
        return NULL;
    Py_RETURN_NONE;
}

PyMethodDef core_datagram_send_methods[] = {
    {"sendto", CORE_ANY(transport_sendto), METH_FASTCALL | METH_KEYWORDS,
     "sendto($self, data, addr=None)\n--\n\n"
     "Send a datagram to an address, or to the one the socket is connected "
     "to."},
    {"get_write_buffer_size", transport_get_size, METH_NOARGS,
     "get_write_buffer_size($self, /)\n--\n\n"
     "Return the number of bytes that wait to be sent."},
    {"get_write_buffer_limits", transport_get_limits, METH_NOARGS,
     "get_write_buffer_limits($self, /)\n--\n\n"
     "Return (low, high): when the protocol may write again, and no more."},
    {"set_write_buffer_limits", CORE_ANY(transport_set_limits),
     METH_VARARGS | METH_KEYWORDS,
     "set_write_buffer_limits($self, high=None, low=None)\n--\n\n"
     "Set when the protocol may write no more, and again."},
    {0},
};
