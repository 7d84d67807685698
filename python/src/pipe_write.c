/* SPDX-License-Identifier: MIT */
/*
 * A pipe that is written to
 *
 * At once; what the kernel does not take is kept in the conn's `out`. Whatever
 * comes from the other side means that nobody reads any more.
 */
#include "pipe_transport.h"

#define WARN_FROM 5 /* writes for nothing: asyncio's LOG_THRESHOLD */
#define WRITE_FAILED "Fatal write error on pipe transport"

static size_t buffered(const PipeObject *self)
{
    return rota__buffer_size(&self->conn.out);
}

/* --- Flow control -------------------------------------------------------- */

static void tell_protocol(PipeObject *self, PyObject *name, const char *message)
{
    PyObject *done = PyObject_CallMethodNoArgs(self->protocol, name);

    if (!done)
        core_pipe_report(self, message);
    Py_XDECREF(done);
}

static void pause_if_full(PipeObject *self)
{
    if (rota__likely(buffered(self) <= self->high) || self->writing_paused)
        return;
    self->writing_paused = true;
    tell_protocol(self, self->loop->state->str_pause_writing,
                  "protocol.pause_writing() failed");
}

static void resume_if_drained(PipeObject *self)
{
    if (!self->writing_paused || buffered(self) > self->low)
        return;
    self->writing_paused = false;
    tell_protocol(self, self->loop->state->str_resume_writing,
                  "protocol.resume_writing() failed");
}

/* --- Events -------------------------------------------------------------- */

void core_pipe_reader_went(PyObject *op)
{
    PipeObject *self = (PipeObject *)op;
    PyObject *exception = NULL;
    int err = core_pipe_log(self, "%r was closed by peer");

    if (err == 0 && buffered(self) > 0) {
        exception = PyObject_CallNoArgs(PyExc_BrokenPipeError);
        err = exception ? 0 : -1;
    }
    if (err == 0)
        err = core_pipe_close(self, exception);
    Py_XDECREF(exception);
    if (err < 0)
        core_pipe_report(
            self,
            "Exception in callback _UnixWritePipeTransport._read_ready()");
}

static void write_failed(PipeObject *self, int err)
{
    self->lost++;
    (void)core_raise(err);
    core_pipe_fatal(self, WRITE_FAILED);
}

/* All is sent, and nobody will write any more. */
static void lose_now(PipeObject *self)
{
    PyObject *done = core_pipe_lose((PyObject *)self, Py_None);

    if (!done)
        core_pipe_report(
            self,
            "Exception in callback _UnixWritePipeTransport._write_ready()");
    Py_XDECREF(done);
}

static void sent(PyObject *op)
{
    PipeObject *self = (PipeObject *)op;

    if (self->conn.error) {
        write_failed(self, self->conn.error);
    } else if (buffered(self) == 0) {
        resume_if_drained(self); /* it may write more */
        if (self->closing && buffered(self) == 0 && !self->losing &&
            !self->loop->fatal)
            lose_now(self);
    }
}

void core_pipe_writable(struct rota__conn *conn)
{
    PipeObject *self = rota__container_of(conn, PipeObject, conn);

    Py_INCREF(self);
    if (conn->error || self->closing || self->writing_paused)
        core_pipe_step(self, sent);
    core_pipe_keep(self);
    Py_DECREF(self);
}

/* --- Writing ------------------------------------------------------------- */

static bool check_data(PyObject *data)
{
    PyObject *text;

    if (rota__likely(PyBytes_Check(data) || PyByteArray_Check(data) ||
                     PyMemoryView_Check(data)))
        return true;
    text = PyObject_Repr(data);
    if (text)
        PyErr_SetObject(PyExc_AssertionError, text);
    Py_XDECREF(text);
    return false;
}

static void count_lost(PipeObject *self)
{
    PyObject *warn, *done;

    if (self->lost++ < WARN_FROM)
        return;
    warn = core_support(self->loop->state, "lost_pipe_write");
    done = warn ? PyObject_CallNoArgs(warn) : NULL;
    Py_XDECREF(done);
}

static void write_bytes(PipeObject *self, const char *data, size_t size)
{
    intptr_t n = rota__conn_write(&self->conn, data, size);
    int err = n < 0 ? (int)n : 0;

    if (n >= 0 && (size_t)n < size) {
        err = rota__conn_queue(&self->conn, data + n, size - (size_t)n);
        if (self->watch_error < 0) /* which nobody would ever send */
            err = self->watch_error;
    }
    if (err < 0)
        write_failed(self, err);
    else
        pause_if_full(self);
    core_pipe_keep(self);
}

static PyObject *pipe_write(PyObject *op, PyObject *data)
{
    PipeObject *self = (PipeObject *)op;
    Py_buffer view;

    if (!check_data(data))
        return NULL;
    if (PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) < 0)
        return NULL;
    if (view.len > 0 && (self->lost || self->closing))
        count_lost(self);
    else if (view.len > 0 && core_open_loop((PyObject *)self->loop))
        write_bytes(self, view.buf, (size_t)view.len);
    PyBuffer_Release(&view);
    return core_result(self->loop);
}

/* --- Closing ------------------------------------------------------------- */

static PyObject *write_eof(PyObject *op, PyObject *Py_UNUSED(none))
{
    PipeObject *self = (PipeObject *)op;

    if (self->closing)
        Py_RETURN_NONE;
    self->closing = true;
    if (buffered(self) == 0 && core_pipe_close(self, NULL) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *writer_abort(PyObject *op, PyObject *Py_UNUSED(none))
{
    if (core_pipe_close((PipeObject *)op, NULL) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *can_write_eof(PyObject *Py_UNUSED(op),
                               PyObject *Py_UNUSED(none))
{
    Py_RETURN_TRUE;
}

/* --- Limits -------------------------------------------------------------- */

static PyObject *get_size(PyObject *op, PyObject *Py_UNUSED(none))
{
    return PyLong_FromSize_t(buffered((PipeObject *)op));
}

static PyObject *get_limits(PyObject *op, PyObject *Py_UNUSED(none))
{
    PipeObject *self = (PipeObject *)op;

    return Py_BuildValue("(nn)", (Py_ssize_t)self->low, (Py_ssize_t)self->high);
}

static PyObject *set_limits(PyObject *op, PyObject *args, PyObject *named)
{
    PipeObject *self = (PipeObject *)op;

    if (core_parse_limits(self->loop, args, named, &self->high, &self->low) < 0)
        return NULL;
    pause_if_full(self);
    return core_result(self->loop);
}

PyMethodDef core_pipe_writer_methods[] = {
    {"write", pipe_write, METH_O,
     "write($self, data, /)\n--\n\n"
     "Write bytes to the pipe. See asyncio.WriteTransport.write."},
    {"write_eof", write_eof, METH_NOARGS,
     "write_eof($self, /)\n--\n\n"
     "Close the pipe once what is buffered has been sent."},
    {"close", write_eof, METH_NOARGS,
     "close($self, /)\n--\n\n"
     "Close the pipe once what is buffered has been sent."},
    {"abort", writer_abort, METH_NOARGS,
     "abort($self, /)\n--\n\n"
     "Close at once; what is buffered is lost."},
    {"can_write_eof", can_write_eof, METH_NOARGS,
     "can_write_eof($self, /)\n--\n\n"
     "Return True."},
    {"get_write_buffer_size", get_size, METH_NOARGS,
     "get_write_buffer_size($self, /)\n--\n\n"
     "Return how many bytes wait to be sent."},
    {"get_write_buffer_limits", get_limits, METH_NOARGS,
     "get_write_buffer_limits($self, /)\n--\n\n"
     "Return the low and the high water mark."},
    {"set_write_buffer_limits", CORE_ANY(set_limits),
     METH_VARARGS | METH_KEYWORDS,
     "set_write_buffer_limits($self, high=None, low=None)\n--\n\n"
     "Set when the protocol's pause_writing() and resume_writing() are "
     "called."},
    {0},
};
