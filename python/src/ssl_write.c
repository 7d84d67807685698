/* SPDX-License-Identifier: MIT */
/*
 * TLS: what the application writes, and its flow control
 *
 *     write() -> SSLObject -> outgoing BIO -> bytes -> the transport
 */
#include "ssl_protocol.h"

static Py_ssize_t encrypt(CoreSSLProtocolObject *self, const char *at,
                          Py_ssize_t size)
{
    PyObject *room = core_room_lend(self->room, (char *)at, size, true);
    PyObject *answer =
        PyObject_CallMethodOneArg(self->engine, self->state->str_write, room);

    core_room_take_back(self->room);
    return core_ssl_count(self, answer);
}

static int control_writing(CoreSSLProtocolObject *self, Py_ssize_t pending)
{
    if (rota__likely(!core_ssl_crosses(
            self->app_writing_paused, pending + self->write_buffer_size,
            &self->limits[CORE_SSL_OUT_HIGH], &self->limits[CORE_SSL_OUT_LOW])))
        return 0;
    return core_ssl_call(self, self->state->str__turn_writing);
}

/* To a transport of ours; an error that ends the run is its caller's, too. */
static int write_directly(CoreSSLProtocolObject *self, PyObject *transport,
                          PyObject *bytes)
{
    core_transport_write(transport, bytes);
    return core_failed(self->loop) ? -1 : 0;
}

/* Whatever that calls may end the transport. */
static int hand_over(CoreSSLProtocolObject *self, PyObject *data)
{
    PyObject *transport =
        Py_NewRef(core_is_none(self->transport) ? Py_None : self->transport);
    Py_ssize_t size = PyObject_Size(data);
    int result = size < 0 ? -1 : 0;

    if (size > 0)
        result = self->direct && PyBytes_CheckExact(data)
                     ? write_directly(self, transport, data)
                     : core_ssl_tell(transport, self->state->str_write, data);
    Py_DECREF(transport);
    return result;
}

int core_ssl_send(CoreSSLProtocolObject *self)
{
    Py_ssize_t pending = 0;
    PyObject *data;
    int result;

    if (rota__likely(!self->ssl_writing_paused)) {
        data = PyObject_CallMethodNoArgs(self->outgoing, self->state->str_read);
        if (!data)
            return -1;
        result = hand_over(self, data);
        Py_DECREF(data);
        if (result < 0)
            return -1;
    }
    /* The transport may have paused us just now: nothing is pending, still. */
    if (rota__unlikely(self->ssl_writing_paused))
        pending = core_ssl_pending(self, self->outgoing);
    return pending < 0 ? -1 : control_writing(self, pending);
}

static int keep(CoreSSLProtocolObject *self, PyObject *data, Py_ssize_t size)
{
    if (!data || size < 0 || PyList_Append(self->backlog, data) < 0)
        return -1;
    self->write_buffer_size += size;
    return 0;
}

/* As much as the SSLObject takes; how much that was, or -1. */
static Py_ssize_t encrypt_all(CoreSSLProtocolObject *self, const char *at,
                              Py_ssize_t size)
{
    Py_ssize_t done = 0, count = 0;

    while (done < size) {
        count = encrypt(self, at + done, size - done);
        if (count <= 0)
            break;
        done += count;
    }
    return count == -1 ? -1 : done;
}

/* Nothing waits before it: no need to keep it. */
static int write_now(CoreSSLProtocolObject *self, PyObject *data)
{
    Py_buffer view;
    Py_ssize_t done;
    PyObject *rest;
    int result = 0;

    if (PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) < 0)
        return -1;
    done = encrypt_all(self, view.buf, view.len);
    if (rota__unlikely(done >= 0 && done < view.len)) {
        rest =
            PyBytes_FromStringAndSize((char *)view.buf + done, view.len - done);
        result = keep(self, rest, view.len - done);
        Py_XDECREF(rest);
    }
    PyBuffer_Release(&view);
    return done < 0 || result < 0 ? -1 : core_ssl_send(self);
}

static bool can_write_now(CoreSSLProtocolObject *self)
{
    return self->phase == self->state->ssl_wrapped && self->engine &&
           PyList_GET_SIZE(self->backlog) == 0;
}

int core_ssl_write(CoreSSLProtocolObject *self, PyObject *data)
{
    PyObject *list;
    int result;

    if (rota__likely(can_write_now(self)))
        return write_now(self, data) < 0 ? core_ssl_fail(self) : 0;
    list = PyTuple_Pack(1, data);
    result = list ? core_ssl_write_many(self, list) : -1;
    Py_XDECREF(list);
    return result;
}

/* The first of the backlog: 1 if it is gone now, 0 if not, or -1. */
static int write_first(CoreSSLProtocolObject *self)
{
    PyObject *data = Py_NewRef(PyList_GET_ITEM(self->backlog, 0)), *rest;
    Py_buffer view;
    Py_ssize_t done;
    int result = -1;

    if (PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) < 0) {
        Py_DECREF(data);
        return -1;
    }
    done = encrypt_all(self, view.buf, view.len);
    if (done >= 0 && PyList_GET_SIZE(self->backlog) > 0) {
        self->write_buffer_size -= done;
        rest = done < view.len ? PyBytes_FromStringAndSize(
                                     (char *)view.buf + done, view.len - done)
                               : NULL;
        if (rest)
            result = PyList_SetItem(self->backlog, 0, rest);
        else if (done == view.len)
            result = PyList_SetSlice(self->backlog, 0, 1, NULL) < 0 ? -1 : 1;
    }
    PyBuffer_Release(&view);
    Py_DECREF(data);
    return result;
}

int core_ssl_write_backlog(CoreSSLProtocolObject *self)
{
    int result = 1;

    if (!self->engine)
        return core_ssl_call(self, self->state->str__slow_write);
    while (result > 0 && PyList_GET_SIZE(self->backlog) > 0)
        result = write_first(self);
    return result < 0 ? -1 : core_ssl_send(self);
}

/* Whatever can be changed is copied. What is no buffer fails when its turn
   comes, as in asyncio. */
static PyObject *copy_of(PyObject *data)
{
    PyObject *copy;
    Py_buffer view;

    if (PyBytes_CheckExact(data))
        return Py_NewRef(data);
    if (PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) < 0) {
        PyErr_Clear();
        return Py_NewRef(data);
    }
    copy = PyBytes_FromStringAndSize(view.buf, view.len);
    PyBuffer_Release(&view);
    return copy;
}

static int keep_all(CoreSSLProtocolObject *self, PyObject *list)
{
    PyObject *iterator = PyObject_GetIter(list), *data, *copy;
    int result = iterator ? 0 : -1;

    while (result == 0 && (data = PyIter_Next(iterator)) != NULL) {
        copy = copy_of(data);
        result = keep(self, copy, copy ? PyObject_Size(copy) : -1);
        Py_XDECREF(copy);
        Py_DECREF(data);
    }
    Py_XDECREF(iterator);
    return PyErr_Occurred() ? -1 : result;
}

int core_ssl_write_many(CoreSSLProtocolObject *self, PyObject *list)
{
    core_state *state = self->state;

    if (self->phase != state->ssl_wrapped &&
        self->phase != state->ssl_do_handshake)
        return core_ssl_tell((PyObject *)self, state->str__late_write, list);
    if (keep_all(self, list) < 0)
        return -1;
    if (self->phase == state->ssl_wrapped && core_ssl_write_backlog(self) < 0)
        return core_ssl_fail(self);
    return 0;
}
