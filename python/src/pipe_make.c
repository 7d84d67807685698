/* SPDX-License-Identifier: MIT */
/*
 * Pipe transports: how they are made
 */
#include "pipe_transport.h"

static PipeObject *allocate(LoopObject *loop, bool writer)
{
    PyTypeObject *type =
        (PyTypeObject *)(writer ? loop->state->pipe_writer_type
                                : loop->state->pipe_reader_type);
    PipeObject *self = (PipeObject *)type->tp_alloc(type, 0);

    if (!self)
        return NULL;
    self->loop = (LoopObject *)Py_NewRef(loop);
    self->writer = writer;
    self->ready = writer ? core_pipe_reader_went : core_pipe_read;
    self->conn.closed = true;
    self->high = ROTA__HIGH_WATER;
    self->low = ROTA__LOW_WATER;
    self->on_start.run = core_pipe_start;
    self->on_ready.run = core_pipe_ready;
    rota__list_init(&self->on_start.link);
    rota__list_init(&self->on_ready.link);
    rota__list_init(&self->kept.link);
    return self;
}

/* What asyncio checks, and O_NONBLOCK. */
static int check_file(PipeObject *self, PyObject *pipe, PyObject *extra)
{
    PyObject *function = core_support(self->loop->state, "open_pipe");
    PyObject *found = function ? PyObject_CallFunctionObjArgs(
                                     function, pipe, extra,
                                     self->writer ? Py_True : Py_False, NULL)
                               : NULL;
    int listens = 0, parsed = 0;

    if (found)
        parsed = PyArg_ParseTuple(found, "iOp", &self->fileno, &self->extra,
                                  &listens);
    if (parsed)
        Py_INCREF(self->extra);
    self->listens = listens != 0;
    Py_XDECREF(found);
    return parsed ? 0 : -1;
}

/* Somebody has the fd: a terminal may be read and written by the same one. */
static int open_copy(PipeObject *self)
{
    int fd = rota__fd_copy(self->fileno);
    int err;

    if (fd < 0)
        return fd;
    err = rota__conn_open_fd(&self->conn, self->loop->loop, fd,
                             &core_pipe_events);
    if (err < 0)
        (void)rota__fd_close(fd);
    return err;
}

/* One that cannot be waited for (/dev/null) may be written to. */
static int open_conn(PipeObject *self)
{
    int err = rota__conn_open_fd(&self->conn, self->loop->loop, self->fileno,
                                 &core_pipe_events);

    self->conn.lent = true;
    if (err == -EEXIST) {
        err = open_copy(self);
        self->conn.lent = err < 0;
    }
    self->conn.closed = err < 0;
    if (self->writer)
        self->conn.may_read = false; /* until there is an event */
    if (err == -EPERM) {
        self->watch_error = err;
        self->conn.watch.fd = self->fileno;
    } else if (err < 0) {
        (void)core_raise(err);
        return -1;
    }
    core_pipe_keep(self);
    return 0;
}

static PyObject *make(LoopObject *loop, PyObject *args, PyObject *named,
                      bool writer)
{
    static char *names[] = {"pipe", "protocol", "waiter", "extra", NULL};
    PyObject *pipe, *protocol, *waiter = NULL, *extra = Py_None;
    PipeObject *self;

    if (!PyArg_ParseTupleAndKeywords(args, named, "OO|OO", names, &pipe,
                                     &protocol, &waiter, &extra) ||
        !core_open_loop((PyObject *)loop))
        return NULL;
    self = allocate(loop, writer);
    if (!self)
        return NULL;
    self->context = PyContext_CopyCurrent();
    if (!self->context || check_file(self, pipe, extra) < 0)
        goto fail;
    self->protocol = Py_NewRef(protocol);
    if (open_conn(self) < 0 || core_announce(loop, (PyObject *)self, protocol,
                                             waiter, &self->on_start) < 0)
        goto fail;
    self->pipe = Py_NewRef(pipe);
    return (PyObject *)self;
fail: /* the file is still its maker's */
    core_pipe_let_go(self);
    core_let_go(&self->kept);
    Py_DECREF(self);
    return NULL;
}

static PyObject *make_reader(PyObject *op, PyObject *args, PyObject *named)
{
    return make((LoopObject *)op, args, named, false);
}

static PyObject *make_writer(PyObject *op, PyObject *args, PyObject *named)
{
    return make((LoopObject *)op, args, named, true);
}

PyMethodDef core_pipe_methods[] = {
    {"_make_read_pipe_transport", CORE_ANY(make_reader),
     METH_VARARGS | METH_KEYWORDS, NULL},
    {"_make_write_pipe_transport", CORE_ANY(make_writer),
     METH_VARARGS | METH_KEYWORDS, NULL},
    {0},
};
