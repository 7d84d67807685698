/* SPDX-License-Identifier: MIT */
/*
 * TLS: calls, of the SSLObject and of asyncio's code
 */
#include "ssl_protocol.h"

int core_ssl_call(CoreSSLProtocolObject *self, PyObject *name)
{
    PyObject *done = PyObject_CallMethodNoArgs((PyObject *)self, name);

    Py_XDECREF(done);
    return done ? 0 : -1;
}

int core_ssl_tell(PyObject *op, PyObject *name, PyObject *a)
{
    PyObject *done = PyObject_CallMethodOneArg(op, name, a);

    Py_XDECREF(done);
    return done ? 0 : -1;
}

Py_ssize_t core_ssl_count(CoreSSLProtocolObject *self, PyObject *answer)
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
    return CORE_SSL_AGAIN;
}

Py_ssize_t core_ssl_pending(CoreSSLProtocolObject *self, PyObject *bio)
{
    PyObject *number = PyObject_GetAttr(bio, self->state->str_pending);
    Py_ssize_t size = number ? PyLong_AsSsize_t(number) : -1;

    Py_XDECREF(number);
    return size;
}

int core_ssl_fail(CoreSSLProtocolObject *self)
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

bool core_ssl_crosses(bool paused, Py_ssize_t size,
                      const struct core_ssl_limit *high,
                      const struct core_ssl_limit *low)
{
    return paused ? (double)size <= low->bytes : (double)size >= high->bytes;
}
