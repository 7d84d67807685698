/* SPDX-License-Identifier: MIT */
/*
 * TLS: what comes from the network, and its flow control
 *
 *     network -> room -> incoming BIO -> SSLObject -> bytes or a lent buffer
 *
 * An SSLObject that has nothing to give raises an exception, which costs more
 * than a short record; so when a record was read to its end and the BIO is
 * empty, nobody asks.
 */
#include "ssl_protocol.h"

static Py_ssize_t decrypt(CoreSSLProtocolObject *self, char *at,
                          Py_ssize_t size)
{
    PyObject *number = PyLong_FromSsize_t(size), *answer;
    PyObject *args[] = {self->engine, number, NULL};

    if (!number)
        return -1;
    args[2] = core_room_lend(self->room, at, size, false);
    answer = PyObject_VectorcallMethod(
        self->state->str_read, args, 3 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
    core_room_take_back(self->room);
    Py_DECREF(number);
    return core_ssl_count(self, answer);
}

static int control_reading(CoreSSLProtocolObject *self)
{
    Py_ssize_t pending = core_ssl_pending(self, self->incoming);

    if (pending < 0)
        return -1;
    if (rota__likely(!core_ssl_crosses(self->ssl_reading_paused, pending,
                                       &self->limits[CORE_SSL_IN_HIGH],
                                       &self->limits[CORE_SSL_IN_LOW])))
        return 0;
    return core_ssl_call(self, self->state->str__turn_reading);
}

/* Whether the SSLObject may have more, after it gave less than it could. */
static int has_more(CoreSSLProtocolObject *self)
{
    Py_ssize_t pending = core_ssl_pending(self, self->incoming);

    return pending < 0 ? -1 : pending > 0;
}

#define FEW 1024

/* Bytes that grow: few lie on the stack, many in the object they become. */
struct growing {
    PyObject *bytes;
    char *at;
    Py_ssize_t got;
    Py_ssize_t size;
    char few[FEW];
};

static int grow(struct growing *data, Py_ssize_t size)
{
    if (data->bytes) {
        if (_PyBytes_Resize(&data->bytes, size) < 0)
            return -1;
    } else {
        data->bytes = PyBytes_FromStringAndSize(NULL, size);
        if (!data->bytes)
            return -1;
        memcpy(PyBytes_AS_STRING(data->bytes), data->few, (size_t)data->got);
    }
    data->at = PyBytes_AS_STRING(data->bytes);
    data->size = size;
    return 0;
}

/* 1: there may be more, 0: not, CORE_SSL_AGAIN: not now, or -1. */
static int decrypt_into(CoreSSLProtocolObject *self, struct growing *data,
                        bool *ended)
{
    Py_ssize_t count;

    if (data->got == data->size && grow(data, 2 * data->size) < 0)
        return -1;
    count = decrypt(self, data->at + data->got, data->size - data->got);
    if (count < 0)
        return (int)count;
    *ended = count == 0;
    data->got += count;
    if (count == 0)
        return 0;
    return data->got == data->size ? 1 : has_more(self);
}

/* What the peer sent: a bytes object; NULL without an exception if nothing. */
static PyObject *decrypt_all(CoreSSLProtocolObject *self, bool *ended)
{
    Py_ssize_t pending = core_ssl_pending(self, self->incoming);
    struct growing data;
    int more = 1;

    data.bytes = NULL;
    data.at = data.few;
    data.got = 0;
    data.size = FEW;
    /* Ciphertext is longer than what it says. */
    if (pending < 0 || (pending > FEW && grow(&data, pending) < 0))
        return NULL;
    while (more > 0)
        more = decrypt_into(self, &data, ended);
    if (more == -1 || data.got == 0) {
        Py_XDECREF(data.bytes);
        return NULL;
    }
    if (!data.bytes)
        return PyBytes_FromStringAndSize(data.few, data.got);
    if (data.got < data.size)
        (void)_PyBytes_Resize(&data.bytes, data.got);
    return data.bytes;
}

/* A method of the application's protocol. */
static int tell_app(CoreSSLProtocolObject *self, PyObject *name, PyObject *arg)
{
    PyObject *app = Py_NewRef(self->app_protocol);
    int result = core_ssl_tell(app, name, arg);

    Py_DECREF(app);
    return result;
}

static int copied(CoreSSLProtocolObject *self, bool *ended)
{
    PyObject *data = decrypt_all(self, ended);
    int result = 0;

    if (!data)
        return PyErr_Occurred() ? -1 : 0;
    if (self->app_protocol_feeds)
        result =
            core_feed(self->state, self->app_protocol, PyBytes_AS_STRING(data),
                      (size_t)PyBytes_GET_SIZE(data));
    if (result == 0)
        result = tell_app(self, self->state->str_data_received, data);
    Py_DECREF(data);
    return result < 0 ? -1 : 0;
}

/* 1: the lent buffer is full, or else 0, or -1. */
static int decrypt_into_lent(CoreSSLProtocolObject *self, Py_buffer *lent,
                             Py_ssize_t *got, bool *ended)
{
    Py_ssize_t count;
    int more = 1;

    *ended = lent->len == 0; /* as asyncio takes it */
    if (*ended)
        return 0;
    while (more > 0 && *got < lent->len) {
        count = decrypt(self, (char *)lent->buf + *got, lent->len - *got);
        if (count < 0)
            return count == CORE_SSL_AGAIN ? 0 : -1;
        *got += count;
        *ended = count == 0;
        more = *ended ? 0 : *got < lent->len ? has_more(self) : 1;
    }
    return more;
}

/* The app's buffer was full: there may be more, in a turn of its own. */
static int read_later(CoreSSLProtocolObject *self)
{
    PyObject *method =
        PyObject_GetAttr((PyObject *)self, self->state->str__do_read);
    int result = method ? core_call_soon(self->loop, method, NULL) : -1;

    Py_XDECREF(method);
    return result;
}

/* What the app's get_buffer() gave; 0, or -1 with what ssl raises. */
static int borrow(PyObject *buffer, Py_buffer *lent)
{
    if (PyObject_Size(buffer) < 0)
        return -1;
    if (PyObject_GetBuffer(buffer, lent, PyBUF_WRITABLE) == 0)
        return 0;
    PyErr_Format(PyExc_TypeError,
                 "read() argument 2 must be read-write bytes-like object, "
                 "not %.50s",
                 Py_TYPE(buffer)->tp_name);
    return -1;
}

/* 1: the app's buffer is full, or else 0, or -1. */
static int fill_lent(CoreSSLProtocolObject *self, Py_ssize_t *got, bool *ended)
{
    PyObject *hint = PyObject_GetAttr(self->incoming, self->state->str_pending);
    PyObject *buffer = NULL;
    Py_buffer lent;
    int full = -1;

    if (hint)
        buffer = PyObject_CallMethodOneArg(self->app_protocol,
                                           self->state->str_get_buffer, hint);
    Py_XDECREF(hint);
    if (!buffer)
        return -1;
    if (borrow(buffer, &lent) == 0) {
        full = decrypt_into_lent(self, &lent, got, ended);
        PyBuffer_Release(&lent);
    }
    Py_DECREF(buffer);
    return full;
}

static int tell_updated(CoreSSLProtocolObject *self, Py_ssize_t got)
{
    PyObject *count = PyLong_FromSsize_t(got);
    int result;

    if (!count)
        return -1;
    result = tell_app(self, self->state->str_buffer_updated, count);
    Py_DECREF(count);
    return result;
}

/* A full buffer ends the turn, unless the connection ends with it. */
static int into_lent_buffer(CoreSSLProtocolObject *self, bool *ended)
{
    bool flushing = self->phase == self->state->ssl_flushing;
    int full = 1;

    while (full > 0 && !self->app_reading_paused) {
        Py_ssize_t got = 0;

        full = fill_lent(self, &got, ended);
        if (full < 0 || (full > 0 && !flushing && read_later(self) < 0))
            return -1;
        if (got > 0 && tell_updated(self, got) < 0)
            return -1;
        if (!flushing || self->phase != self->state->ssl_flushing)
            break;
    }
    return 0;
}

/* The peer's close_notify. */
static int end(CoreSSLProtocolObject *self)
{
    if (core_ssl_call(self, self->state->str__call_eof_received) < 0)
        return -1;
    return core_ssl_call(self, self->state->str__start_shutdown);
}

static int read_and_write(CoreSSLProtocolObject *self)
{
    bool ended = false;

    if ((self->app_protocol_is_buffer ? into_lent_buffer(self, &ended)
                                      : copied(self, &ended)) < 0)
        return -1;
    if (ended && end(self) < 0)
        return -1;
    return PyList_GET_SIZE(self->backlog) > 0 ? core_ssl_write_backlog(self)
                                              : core_ssl_send(self);
}

int core_ssl_read(CoreSSLProtocolObject *self)
{
    core_state *state = self->state;

    if (self->phase != state->ssl_wrapped && self->phase != state->ssl_flushing)
        return 0;
    if (!self->engine)
        return core_ssl_call(self, state->str__slow_read);
    if ((self->app_reading_paused || read_and_write(self) == 0) &&
        control_reading(self) == 0)
        return 0;
    return core_ssl_fail(self);
}

int core_ssl_received(CoreSSLProtocolObject *self, char *at, Py_ssize_t size)
{
    core_state *state = self->state;
    PyObject *room = core_room_lend(self->room, at, size, true);
    int result = core_ssl_tell(self->incoming, state->str_write, room);

    core_room_take_back(self->room);
    if (result < 0)
        return -1;
    if (rota__likely(self->phase == state->ssl_wrapped))
        return core_ssl_read(self);
    if (self->phase == state->ssl_do_handshake)
        return core_ssl_call(self, state->str__do_handshake);
    if (self->phase == state->ssl_flushing)
        return core_ssl_call(self, state->str__do_flush);
    if (self->phase == state->ssl_shutdown)
        return core_ssl_call(self, state->str__do_shutdown);
    return 0;
}
