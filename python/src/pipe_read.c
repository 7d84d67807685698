/* SPDX-License-Identifier: MIT */
/*
 * A pipe that is read
 *
 * One read a turn, of as much as asyncio would take. Small pieces go through
 * the loop's scratch memory; where much came last time, the next read goes
 * into a bytes object that is large enough at once.
 */
#include "pipe_transport.h"

#define READ_MOST 262144 /* asyncio's max_size */
#define PIPE_HOLDS 65536 /* unless somebody has made it larger */
#define DIRECT_FROM 8192 /* bytes: below it, a copy is cheaper */

static PyObject *read_directly(PipeObject *self, size_t size, intptr_t *n)
{
    PyObject *data = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)size);

    if (!data) {
        PyErr_Clear();
        *n = -ENOMEM;
        return NULL;
    }
    *n = rota__conn_read(&self->conn, PyBytes_AS_STRING(data), size);
    if (*n <= 0)
        Py_CLEAR(data);
    else if ((size_t)*n < size)
        (void)_PyBytes_Resize(&data, (Py_ssize_t)*n);
    return data;
}

static PyObject *read_through(PipeObject *self, intptr_t *n)
{
    char *scratch = rota__scratch(self->loop->loop);

    *n = -ENOMEM;
    if (scratch)
        *n = rota__conn_read(&self->conn, scratch, READ_MOST);
    return *n > 0 ? PyBytes_FromStringAndSize(scratch, (Py_ssize_t)*n) : NULL;
}

static PyObject *read_some(PipeObject *self, intptr_t *n)
{
    size_t expected = self->expected;
    PyObject *data;

    if (expected < DIRECT_FROM)
        data = read_through(self, n);
    else
        data = read_directly(self,
                             expected < PIPE_HOLDS ? PIPE_HOLDS : READ_MOST, n);
    self->expected = *n > 0 ? (size_t)*n : 0;
    return data;
}

static const char callback_failed[] =
    "Exception in callback _UnixReadPipeTransport._read_ready()";

/* No error of the transport's: it goes on, as asyncio's does. */
static void give(PipeObject *self, PyObject *data)
{
    PyObject *done = PyObject_CallMethodOneArg(
        self->protocol, self->loop->state->str_data_received, data);

    if (rota__unlikely(!done))
        core_pipe_report(self, callback_failed);
    Py_XDECREF(done);
}

static int at_end(PipeObject *self)
{
    PyObject *method;
    int err = core_pipe_log(self, "%r was closed by peer");

    if (err < 0)
        return err;
    self->closing = true;
    core_pipe_let_go(self);
    core_pipe_keep(self);
    method =
        PyObject_GetAttr(self->protocol, self->loop->state->str_eof_received);
    err = method ? core_call_soon(self->loop, method, NULL) : -1;
    Py_XDECREF(method);
    return err < 0 ? err : core_pipe_close(self, NULL);
}

void core_pipe_read(PyObject *op)
{
    PipeObject *self = (PipeObject *)op;
    intptr_t n;
    PyObject *data = read_some(self, &n);

    if (rota__likely(data != NULL)) {
        give(self, data);
        Py_DECREF(data);
    } else if (n == 0) {
        if (at_end(self) < 0)
            core_pipe_report(self, callback_failed);
    } else if (n != -EAGAIN) {
        (void)core_raise(n > 0 ? -ENOMEM : (int)n);
        core_pipe_fatal(self, "Fatal read error on pipe transport");
    }
}

/* --- Methods ------------------------------------------------------------- */

static PyObject *pause_reading(PyObject *op, PyObject *Py_UNUSED(none))
{
    PipeObject *self = (PipeObject *)op;

    if (self->closing || self->paused)
        Py_RETURN_NONE;
    self->paused = true;
    rota__unready(&self->on_ready);
    core_pipe_keep(self);
    return core_pipe_log(self, "%r pauses reading") < 0 ? NULL
                                                        : Py_NewRef(Py_None);
}

/* From here on callbacks run in the context of who calls, as in asyncio. */
static PyObject *resume_reading(PyObject *op, PyObject *Py_UNUSED(none))
{
    PipeObject *self = (PipeObject *)op;
    PyObject *context;

    if (self->closing || !self->paused)
        Py_RETURN_NONE;
    if (!core_open_loop((PyObject *)self->loop))
        return NULL;
    context = PyContext_CopyCurrent();
    if (!context)
        return NULL;
    Py_SETREF(self->context, context);
    self->paused = false;
    core_pipe_keep(self);
    core_pipe_look(self);
    return core_pipe_log(self, "%r resumes reading") < 0 ? NULL
                                                         : Py_NewRef(Py_None);
}

static PyObject *is_reading(PyObject *op, PyObject *Py_UNUSED(none))
{
    PipeObject *self = (PipeObject *)op;

    return PyBool_FromLong(!self->closing && !self->paused);
}

static PyObject *reader_close(PyObject *op, PyObject *Py_UNUSED(none))
{
    PipeObject *self = (PipeObject *)op;

    if (!self->closing && core_pipe_close(self, NULL) < 0)
        return NULL;
    Py_RETURN_NONE;
}

PyMethodDef core_pipe_reader_methods[] = {
    {"close", reader_close, METH_NOARGS,
     "close($self, /)\n--\n\n"
     "Close the transport; no more data is received."},
    {"pause_reading", pause_reading, METH_NOARGS,
     "pause_reading($self, /)\n--\n\n"
     "Stop reading: data_received() is not called until resume_reading()."},
    {"resume_reading", resume_reading, METH_NOARGS,
     "resume_reading($self, /)\n--\n\n"
     "Read again."},
    {"is_reading", is_reading, METH_NOARGS,
     "is_reading($self, /)\n--\n\n"
     "Return True if the transport reads."},
    {0},
};
