/* SPDX-License-Identifier: MIT */
/*
 * asyncio's StreamReader, fed from C
 *
 * What StreamReaderProtocol.data_received() and StreamReader.feed_data() do,
 * without a frame of Python's and without a bytes object between: what was
 * received is appended to the reader's buffer. Only for exactly these classes;
 * everybody else's protocol takes the ordinary way.
 */
#include "transport.h"

/* Nobody has put another function in the place of this method. */
static bool has_own(PyObject *object, PyObject *name, PyObject *function)
{
    PyObject *method = PyObject_GetAttr(object, name);
    bool own = method && PyMethod_Check(method) &&
               PyMethod_GET_FUNCTION(method) == function;

    Py_XDECREF(method);
    PyErr_Clear();
    return own;
}

bool core_feeds(core_state *state, PyObject *protocol)
{
    return Py_TYPE(protocol) == (PyTypeObject *)state->stream_protocol_type &&
           has_own(protocol, state->str_data_received, state->data_received);
}

/* Nor in the place of the class's, since. */
static bool class_is_own(core_state *state)
{
    PyObject *function =
        PyObject_GetAttr(state->stream_protocol_type, state->str_data_received);

    Py_XDECREF(function);
    return function == state->data_received;
}

/* One that has been told of the end is not to be fed: that is an error. */
static bool may_be_fed(core_state *state, PyObject *reader)
{
    PyObject *eof;

    if (Py_TYPE(reader) != (PyTypeObject *)state->stream_reader_type ||
        !has_own(reader, state->str_feed_data, state->feed_data))
        return false;
    eof = PyObject_GetAttr(reader, state->str__eof);
    Py_XDECREF(eof);
    return eof == Py_False;
}

/* The protocol's reader, a new reference; NULL without an exception if there
   is none of the class that we know. */
static PyObject *reader_of(core_state *state, PyObject *protocol)
{
    PyObject *ref, *reader = NULL;

    if (!class_is_own(state))
        return NULL;
    ref = PyObject_GetAttr(protocol, state->str__stream_reader_wr);
    if (ref && PyWeakref_Check(ref))
        reader = PyObject_CallNoArgs(ref);
    Py_XDECREF(ref);
    PyErr_Clear();
    if (reader && !may_be_fed(state, reader))
        Py_CLEAR(reader);
    PyErr_Clear();
    return reader;
}

static int append(core_state *state, PyObject *reader, const char *data,
                  size_t size, Py_ssize_t *length)
{
    PyObject *buffer = PyObject_GetAttr(reader, state->str__buffer);
    int err = -1;

    if (buffer && PyByteArray_CheckExact(buffer)) {
        Py_ssize_t before = PyByteArray_GET_SIZE(buffer);

        *length = before + (Py_ssize_t)size;
        err = PyByteArray_Resize(buffer, *length);
        if (err == 0)
            memcpy(PyByteArray_AS_STRING(buffer) + before, data, size);
    } else if (buffer) {
        PyErr_SetString(PyExc_TypeError, "a reader's buffer is a bytearray");
    }
    Py_XDECREF(buffer);
    return err;
}

/* feed_data()'s _wakeup_waiter(). */
static int wake(core_state *state, PyObject *reader)
{
    PyObject *waiter = PyObject_GetAttr(reader, state->str__waiter);
    PyObject *cancelled, *done;

    if (!waiter || Py_IsNone(waiter)) {
        Py_XDECREF(waiter);
        return waiter ? 0 : -1;
    }
    done = NULL;
    if (PyObject_SetAttr(reader, state->str__waiter, Py_None) == 0) {
        cancelled = PyObject_CallMethodNoArgs(waiter, state->str_cancelled);
        if (cancelled && Py_IsTrue(cancelled))
            done = Py_NewRef(Py_None);
        else if (cancelled)
            done = PyObject_CallMethodOneArg(waiter, state->str_set_result,
                                             Py_None);
        Py_XDECREF(cancelled);
    }
    Py_DECREF(waiter);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

static int has_too_much(core_state *state, PyObject *reader, Py_ssize_t length)
{
    PyObject *limit = PyObject_GetAttr(reader, state->str__limit);
    double most = limit ? PyFloat_AsDouble(limit) : -1.0;

    Py_XDECREF(limit);
    if (PyErr_Occurred())
        return -1;
    return (double)length > 2 * most;
}

/* As feed_data(): the reader pauses the transport that it knows. */
static int pause_reader(core_state *state, PyObject *reader)
{
    PyObject *function = core_support(state, "pause_reader");
    PyObject *done = function ? PyObject_CallOneArg(function, reader) : NULL;

    Py_XDECREF(done);
    return done ? 0 : -1;
}

int core_feed(core_state *state, PyObject *protocol, const char *data,
              size_t size)
{
    PyObject *reader = reader_of(state, protocol);
    Py_ssize_t length = 0;
    int err, much = 0;

    if (!reader)
        return 0;
    err = append(state, reader, data, size, &length);
    if (err == 0)
        err = wake(state, reader);
    if (err == 0)
        much = has_too_much(state, reader, length);
    if (much > 0)
        err = pause_reader(state, reader);
    Py_DECREF(reader);
    return err < 0 || much < 0 ? -1 : 1;
}
