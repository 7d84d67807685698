/* SPDX-License-Identifier: MIT */
/*
 * TLS: the way of the bytes, and its flow control
 *
 *     network -> room -> incoming BIO -> SSLObject -> bytes or a lent buffer
 *     write() -> SSLObject -> outgoing BIO -> bytes -> the transport
 *
 * An SSLObject that has nothing to give raises an exception, which costs more
 * than a short record; so when a record was read to its end and the BIO is
 * empty, nobody asks.
 */
#include "ssl_protocol.h"

/* --- Calls ---------------------------------------------------------------- */

#define AGAIN (-2) /* the SSLObject wants to read, or to write, first */

int core_ssl_call(CoreSSLProtocolObject *self, PyObject *name)
{
    PyObject *done = PyObject_CallMethodNoArgs((PyObject *)self, name);

    Py_XDECREF(done);
    return done ? 0 : -1;
}

/* method(a) or method(a, b); gives up the reference to a result that is not
   wanted. */
static int tell(PyObject *op, PyObject *name, PyObject *a)
{
    PyObject *done = PyObject_CallMethodOneArg(op, name, a);

    Py_XDECREF(done);
    return done ? 0 : -1;
}

/* A count that the SSLObject has answered, AGAIN, or -1 with an exception. */
static Py_ssize_t count_of(CoreSSLProtocolObject *self, PyObject *answer)
{
    Py_ssize_t count;

    if (rota__likely(answer != NULL)) {
        count = PyLong_AsSsize_t(answer);
        Py_DECREF(answer);
        return count;
    }
    if (!PyErr_ExceptionMatches(self->state->ssl_again))
        return -1;
    PyErr_Clear();
    return AGAIN;
}

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
    return count_of(self, answer);
}

static Py_ssize_t encrypt(CoreSSLProtocolObject *self, const char *at,
                          Py_ssize_t size)
{
    PyObject *room = core_room_lend(self->room, (char *)at, size, true);
    PyObject *answer =
        PyObject_CallMethodOneArg(self->engine, self->state->str_write, room);

    core_room_take_back(self->room);
    return count_of(self, answer);
}

Py_ssize_t core_ssl_pending(CoreSSLProtocolObject *self, PyObject *bio)
{
    PyObject *number = PyObject_GetAttr(bio, self->state->str_pending);
    Py_ssize_t size = number ? PyLong_AsSsize_t(number) : -1;

    Py_XDECREF(number);
    return size;
}

/* asyncio's except clause, which finds its exception in sys.exc_info(). */
static int fail(CoreSSLProtocolObject *self)
{
    PyObject *exception, *before, *done = NULL, *message;

    if (!PyErr_ExceptionMatches(PyExc_Exception))
        return -1;
    exception = core_take_exception();
    before = PyErr_GetHandledException();
    PyErr_SetHandledException(exception);
    message = PyUnicode_FromString("Fatal error on SSL protocol");
    if (message)
        done = PyObject_CallMethodObjArgs((PyObject *)self,
                                          self->state->str__fatal_error,
                                          exception, message, NULL);
    PyErr_SetHandledException(before);
    Py_XDECREF(before);
    Py_XDECREF(message);
    Py_XDECREF(exception);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

/* --- Flow control --------------------------------------------------------- */

/* Whoever crosses a limit goes the long way. */
static bool crosses(bool paused, Py_ssize_t size,
                    const struct core_ssl_limit *high,
                    const struct core_ssl_limit *low)
{
    return paused ? (double)size <= low->bytes : (double)size >= high->bytes;
}

static int control_writing(CoreSSLProtocolObject *self, Py_ssize_t pending)
{
    if (rota__likely(!crosses(
            self->app_writing_paused, pending + self->write_buffer_size,
            &self->limits[CORE_SSL_OUT_HIGH], &self->limits[CORE_SSL_OUT_LOW])))
        return 0;
    return core_ssl_call(self, self->state->str__turn_writing);
}

static int control_reading(CoreSSLProtocolObject *self)
{
    Py_ssize_t pending = core_ssl_pending(self, self->incoming);

    if (pending < 0)
        return -1;
    if (rota__likely(!crosses(self->ssl_reading_paused, pending,
                              &self->limits[CORE_SSL_IN_HIGH],
                              &self->limits[CORE_SSL_IN_LOW])))
        return 0;
    return core_ssl_call(self, self->state->str__turn_reading);
}

/* --- Out ------------------------------------------------------------------ */

static int hand_over(CoreSSLProtocolObject *self, PyObject *data)
{
    if (PyObject_Size(data) == 0)
        return 0;
    if (self->direct && PyBytes_CheckExact(data)) {
        core_transport_write(self->transport, data);
        if (rota__likely(!self->loop->failed))
            return 0;
        self->loop->failed = false; /* whoever called us gets it */
        return -1;
    }
    return tell(core_is_none(self->transport) ? Py_None : self->transport,
                self->state->str_write, data);
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

static int keep(CoreSSLProtocolObject *self, PyObject *bytes)
{
    if (!bytes || PyList_Append(self->backlog, bytes) < 0)
        return -1;
    self->write_buffer_size += PyBytes_GET_SIZE(bytes);
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
        result = keep(self, rest);
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
        return write_now(self, data) < 0 ? fail(self) : 0;
    list = PyTuple_Pack(1, data);
    result = list ? core_ssl_write_many(self, list) : -1;
    Py_XDECREF(list);
    return result;
}

/* The first of the backlog: 1 if it is gone now, 0 if not, or -1. */
static int write_first(CoreSSLProtocolObject *self)
{
    PyObject *data = Py_NewRef(PyList_GET_ITEM(self->backlog, 0)), *rest;
    Py_ssize_t size = PyBytes_GET_SIZE(data), done;
    int result = -1;

    done = encrypt_all(self, PyBytes_AS_STRING(data), size);
    if (done >= 0 && PyList_GET_SIZE(self->backlog) > 0) {
        self->write_buffer_size -= done;
        rest = done < size ? PyBytes_FromStringAndSize(
                                 PyBytes_AS_STRING(data) + done, size - done)
                           : NULL;
        if (rest)
            result = PyList_SetItem(self->backlog, 0, rest);
        else if (done == size)
            result = PyList_SetSlice(self->backlog, 0, 1, NULL) < 0 ? -1 : 1;
    }
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

/* Whatever can be changed is copied. */
static int keep_all(CoreSSLProtocolObject *self, PyObject *list)
{
    PyObject *iterator = PyObject_GetIter(list), *data, *bytes;
    int result = iterator ? 0 : -1;

    while (result == 0 && (data = PyIter_Next(iterator)) != NULL) {
        bytes = PyBytes_CheckExact(data) ? Py_NewRef(data)
                                         : PyBytes_FromObject(data);
        result = keep(self, bytes);
        Py_XDECREF(bytes);
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
        return tell((PyObject *)self, state->str__late_write, list);
    if (keep_all(self, list) < 0)
        return -1;
    if (self->phase == state->ssl_wrapped && core_ssl_write_backlog(self) < 0)
        return fail(self);
    return 0;
}

/* --- In ------------------------------------------------------------------- */

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

/* 1: there may be more, 0: not, AGAIN: not now, or -1. */
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
    int result = tell(app, name, arg);

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
    while (more > 0 && *got < lent->len) {
        count = decrypt(self, (char *)lent->buf + *got, lent->len - *got);
        if (count < 0)
            return count == AGAIN ? 0 : -1;
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
    if (PyObject_GetBuffer(buffer, &lent, PyBUF_WRITABLE) == 0) {
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
    return fail(self);
}

int core_ssl_received(CoreSSLProtocolObject *self, char *at, Py_ssize_t size)
{
    core_state *state = self->state;
    PyObject *room = core_room_lend(self->room, at, size, true);
    int result = tell(self->incoming, state->str_write, room);

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
