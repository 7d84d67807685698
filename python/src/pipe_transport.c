/* SPDX-License-Identifier: MIT */
/*
 * Pipe transports: their life
 */
#include "pipe_transport.h"

/* --- Reports ------------------------------------------------------------- */

void core_pipe_log(PipeObject *self, const char *text)
{
    PyObject *function, *done;

    if (rota__likely(!self->loop->debug))
        return;
    function = core_support(self->loop->state, "log_pipe");
    done = function ? PyObject_CallFunction(function, "sO", text, self) : NULL;
    if (!done)
        PyErr_WriteUnraisable((PyObject *)self);
    Py_XDECREF(done);
}

void core_pipe_report(PipeObject *self, const char *message)
{
    core_report(self->loop, message, "transport", (PyObject *)self, "protocol",
                self->protocol);
}

void core_pipe_fatal(PipeObject *self, const char *message)
{
    PyObject *exception, *function, *done = NULL;

    if (core_stop_if_fatal(self->loop))
        return;
    exception = core_take_exception();
    function = core_support(self->loop->state, "pipe_failed");
    if (function)
        done = PyObject_CallFunction(function, "OOOOs", self->loop, self,
                                     self->protocol ? self->protocol : Py_None,
                                     exception, message);
    if (!done && !core_stop_if_fatal(self->loop))
        PyErr_WriteUnraisable((PyObject *)self);
    Py_XDECREF(done);
    if (core_pipe_close(self, exception) < 0)
        PyErr_WriteUnraisable((PyObject *)self);
    Py_XDECREF(exception);
}

PyObject *core_pipe_result(PipeObject *self)
{
    if (rota__unlikely(self->loop->failed)) {
        self->loop->failed = false;
        return NULL;
    }
    return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
}

/* --- Events -------------------------------------------------------------- */

/* A loop that is closed has forgotten the fd. */
static void let_go(PipeObject *self)
{
    rota__unready(&self->on_start);
    rota__unready(&self->on_ready);
    if (self->conn.closed)
        return;
    if (rota_loop_is_closed(self->loop->loop))
        self->conn.watch.events = 0;
    rota__conn_release(&self->conn);
    if (!self->conn.lent)
        (void)rota__fd_close(self->conn.watch.fd);
}

/* The loop closes: the file stays open until the transport goes. */
static void detach(PyObject *op)
{
    let_go((PipeObject *)op);
}

void core_pipe_look(PipeObject *self)
{
    if (self->started && self->listens && self->conn.may_read &&
        !self->paused && !self->conn.closed && !self->losing &&
        rota__list_empty(&self->on_ready.link))
        rota__ready(self->loop->loop, &self->on_ready);
}

static void readable(struct rota__conn *conn)
{
    core_pipe_look(rota__container_of(conn, PipeObject, conn));
}

/* The exception of a run that ends must outlive the context. */
static void leave_context(PipeObject *self)
{
    PyObject *exception = core_take_exception();

    (void)PyContext_Exit(self->context);
    core_give_exception(exception);
}

void core_pipe_step(PipeObject *self, void (*step)(PipeObject *))
{
    int64_t began;

    Py_INCREF(self);
    began = core_step_begin(self->loop);
    if (rota__likely(PyContext_Enter(self->context) == 0)) {
        step(self);
        leave_context(self);
    } else {
        core_pipe_report(self, "the context of a pipe is in use");
    }
    if (rota__unlikely(self->loop->debug))
        core_step_end(self->loop, began, (PyObject *)self);
    core_pipe_look(self);
    Py_DECREF(self);
}

static void on_ready(struct rota__handle *handle)
{
    PipeObject *self = rota__container_of(handle, PipeObject, on_ready);

    core_pipe_step(self, self->ready);
}

/* As asyncio's selector does: one that is paused is its users' alone. */
static bool is_waited_for(const PipeObject *self)
{
    if (!self->started)
        return true;
    if (self->conn.closed)
        return false;
    if (self->writer)
        return self->listens || rota__buffer_size(&self->conn.out) > 0;
    return !self->paused;
}

void core_pipe_keep(PipeObject *self)
{
    if (is_waited_for(self) && !self->kept.object)
        core_keep(self->loop, &self->kept, (PyObject *)self, detach);
    else if (!is_waited_for(self))
        core_let_go(&self->kept);
}

static void on_start(struct rota__handle *handle)
{
    PipeObject *self = rota__container_of(handle, PipeObject, on_start);

    Py_INCREF(self);
    self->started = true;
    if (self->watch_error < 0 && self->listens && !self->closing) {
        (void)core_raise(self->watch_error);
        core_pipe_report(self, self->writer
                                   ? "Exception in callback "
                                     "_UnixWritePipeTransport._add_reader()"
                                   : "Exception in callback "
                                     "_UnixReadPipeTransport._add_reader()");
    }
    core_pipe_look(self);
    core_pipe_keep(self);
    Py_DECREF(self);
}

/* --- Ending -------------------------------------------------------------- */

static void closed(struct rota__conn *conn)
{
    (void)conn; /* a conn that is released tells nobody */
}

static int lose_soon(PipeObject *self, PyObject *exception)
{
    PyObject *method;
    int err;

    if (!core_open_loop((PyObject *)self->loop))
        return -1;
    if (self->losing)
        return 0;
    self->losing = true;
    method = PyObject_GetAttrString((PyObject *)self, "_call_connection_lost");
    err = method ? core_call_soon(self->loop, method,
                                  exception ? exception : Py_None)
                 : -1;
    Py_XDECREF(method);
    return err;
}

int core_pipe_close(PipeObject *self, PyObject *exception)
{
    int err;

    self->closing = true;
    let_go(self);
    err = lose_soon(self, exception);
    core_let_go(&self->kept);
    return err;
}

static int close_file(PipeObject *self)
{
    PyObject *pipe = self->pipe, *done;

    self->pipe = NULL;
    if (!pipe)
        return 0;
    done = PyObject_CallMethodNoArgs(pipe, self->loop->state->str_close);
    Py_DECREF(pipe);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

PyObject *core_pipe_lose(PyObject *op, PyObject *exception)
{
    PipeObject *self = (PipeObject *)op;
    PyObject *done, *error;

    self->losing = true;
    if (!self->protocol)
        Py_RETURN_NONE;
    done = PyObject_CallMethodOneArg(
        self->protocol, self->loop->state->str_connection_lost, exception);
    error = core_take_exception();
    let_go(self);
    if (close_file(self) < 0) {
        if (error)
            PyErr_WriteUnraisable(op);
        else
            Py_CLEAR(done);
    }
    Py_CLEAR(self->protocol);
    core_let_go(&self->kept);
    if (error)
        core_give_exception(error);
    return done;
}

/* --- Making -------------------------------------------------------------- */

static const struct rota__conn_events events = {
    .readable = readable,
    .writable = core_pipe_writable,
    .closed = closed,
};

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
    self->on_start.run = on_start;
    self->on_ready.run = on_ready;
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
    err = rota__conn_open_fd(&self->conn, self->loop->loop, fd, &events);
    if (err < 0)
        (void)rota__fd_close(fd);
    return err;
}

/* One that cannot be waited for (/dev/null) may be written to. */
static int open_conn(PipeObject *self)
{
    int err = rota__conn_open_fd(&self->conn, self->loop->loop, self->fileno,
                                 &events);

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
    core_keep(self->loop, &self->kept, (PyObject *)self, detach);
    return 0;
}

/* connection_made(transport), then the first event, then the waiter. */
static int announce(PipeObject *self, PyObject *waiter)
{
    core_state *state = self->loop->state;
    PyObject *made =
        PyObject_GetAttr(self->protocol, state->str_connection_made);
    PyObject *wake;
    int err = made ? core_call_soon(self->loop, made, (PyObject *)self) : -1;

    Py_XDECREF(made);
    if (err < 0)
        return -1;
    rota__ready(self->loop->loop, &self->on_start);
    if (!waiter || Py_IsNone(waiter))
        return 0;
    wake = core_support(state, "wake_waiter");
    return wake ? core_call_soon(self->loop, wake, waiter) : -1;
}

PyObject *core_pipe_new(LoopObject *loop, PyObject *args, PyObject *named,
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
    if (open_conn(self) < 0 || announce(self, waiter) < 0)
        goto fail;
    self->pipe = Py_NewRef(pipe);
    return (PyObject *)self;
fail: /* the file is still its maker's */
    detach((PyObject *)self);
    core_let_go(&self->kept);
    Py_DECREF(self);
    return NULL;
}

static PyObject *make_reader(PyObject *op, PyObject *args, PyObject *named)
{
    return core_pipe_new((LoopObject *)op, args, named, false);
}

static PyObject *make_writer(PyObject *op, PyObject *args, PyObject *named)
{
    return core_pipe_new((LoopObject *)op, args, named, true);
}

PyMethodDef core_pipe_methods[] = {
    {"_make_read_pipe_transport", CORE_ANY(make_reader),
     METH_VARARGS | METH_KEYWORDS, NULL},
    {"_make_write_pipe_transport", CORE_ANY(make_writer),
     METH_VARARGS | METH_KEYWORDS, NULL},
    {0},
};

/* --- Methods of both ----------------------------------------------------- */

static PyObject *pipe_is_closing(PyObject *op, PyObject *Py_UNUSED(none))
{
    return PyBool_FromLong(((PipeObject *)op)->closing);
}

static PyObject *pipe_set_protocol(PyObject *op, PyObject *protocol)
{
    Py_XSETREF(((PipeObject *)op)->protocol, Py_NewRef(protocol));
    Py_RETURN_NONE;
}

static PyObject *pipe_get_protocol(PyObject *op, PyObject *Py_UNUSED(none))
{
    PyObject *protocol = ((PipeObject *)op)->protocol;

    return Py_NewRef(protocol ? protocol : Py_None);
}

static PyMethodDef shared_methods[] = {
    {"is_closing", pipe_is_closing, METH_NOARGS,
     "Return True if the transport is closed or is being closed."},
    {"set_protocol", pipe_set_protocol, METH_O, "Set another protocol."},
    {"get_protocol", pipe_get_protocol, METH_NOARGS, "Return the protocol."},
    {"_call_connection_lost", core_pipe_lose, METH_O, NULL},
    {0},
};

/* --- The types ----------------------------------------------------------- */

static int pipe_traverse(PyObject *op, visitproc visit, void *arg)
{
    PipeObject *self = (PipeObject *)op;

    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->extra);
    Py_VISIT(self->loop);
    Py_VISIT(self->pipe);
    Py_VISIT(self->protocol);
    Py_VISIT(self->context);
    Py_VISIT(self->dict);
    return 0;
}

/* Not the loop, which our ends need. */
static int pipe_clear(PyObject *op)
{
    PipeObject *self = (PipeObject *)op;

    Py_CLEAR(self->extra);
    Py_CLEAR(self->pipe);
    Py_CLEAR(self->protocol);
    Py_CLEAR(self->context);
    Py_CLEAR(self->dict);
    return 0;
}

static void pipe_finalize(PyObject *op)
{
    PipeObject *self = (PipeObject *)op;
    PyObject *exception = core_take_exception();

    if (self->pipe) {
        if (PyErr_ResourceWarning(op, 1, "unclosed transport %R", op) < 0)
            PyErr_WriteUnraisable(op);
        let_go(self);
        if (close_file(self) < 0)
            PyErr_WriteUnraisable(op);
    }
    core_give_exception(exception);
}

static void pipe_dealloc(PyObject *op)
{
    PipeObject *self = (PipeObject *)op;
    PyTypeObject *type = Py_TYPE(op);

    if (PyObject_CallFinalizerFromDealloc(op) < 0)
        return;
    PyObject_GC_UnTrack(op);
    if (self->weakrefs)
        PyObject_ClearWeakRefs(op);
    let_go(self);
    (void)pipe_clear(op);
    Py_CLEAR(self->loop);
    PyObject_GC_Del(op);
    Py_DECREF(type);
}

static PyObject *pipe_repr(PyObject *op)
{
    PyObject *function =
        core_support(((PipeObject *)op)->loop->state, "pipe_repr");

    return function ? PyObject_CallOneArg(function, op) : NULL;
}

/* What asyncio's selector would be asked for. */
static PyObject *get_polling(PyObject *op, void *Py_UNUSED(closure))
{
    PipeObject *self = (PipeObject *)op;

    if (self->conn.closed)
        Py_RETURN_FALSE;
    if (self->writer)
        return PyBool_FromLong(rota__buffer_size(&self->conn.out) > 0);
    return PyBool_FromLong(self->started && !self->paused);
}

static PyObject *get_pipe(PyObject *op, void *Py_UNUSED(closure))
{
    PyObject *pipe = ((PipeObject *)op)->pipe;

    return Py_NewRef(pipe ? pipe : Py_None);
}

/* None: the file is somebody else's to close from now on. */
static int set_pipe(PyObject *op, PyObject *value, void *Py_UNUSED(closure))
{
    PipeObject *self = (PipeObject *)op;

    if (value && Py_IsNone(value))
        value = NULL;
    Py_XSETREF(self->pipe, Py_XNewRef(value));
    return 0;
}

static PyGetSetDef pipe_getset[] = {
    {"_pipe", get_pipe, set_pipe, NULL, NULL},
    {"_polling", get_polling, NULL, NULL, NULL},
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, NULL, NULL},
    {0},
};

static PyMemberDef pipe_members[] = {
    {"_loop", T_OBJECT, offsetof(PipeObject, loop), READONLY, NULL},
    {"_protocol", T_OBJECT, offsetof(PipeObject, protocol), READONLY, NULL},
    {"_fileno", T_INT, offsetof(PipeObject, fileno), READONLY, NULL},
    {"_closing", T_BOOL, offsetof(PipeObject, closing), READONLY, NULL},
    {"_paused", T_BOOL, offsetof(PipeObject, paused), READONLY, NULL},
    {"_protocol_paused", T_BOOL, offsetof(PipeObject, writing_paused), READONLY,
     NULL},
    {"_high_water", T_PYSSIZET, offsetof(PipeObject, high), READONLY, NULL},
    {"_low_water", T_PYSSIZET, offsetof(PipeObject, low), READONLY, NULL},
    {"_conn_lost", T_INT, offsetof(PipeObject, lost), READONLY, NULL},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(PipeObject, weakrefs), READONLY,
     NULL},
    {"__dictoffset__", T_PYSSIZET, offsetof(PipeObject, dict), READONLY, NULL},
    {0},
};

static PyMethodDef all_methods[2][16];

#define PIPE_SLOTS(doc, methods)                                               \
    {                                                                          \
        {Py_tp_doc, doc}, {Py_tp_traverse, pipe_traverse},                     \
            {Py_tp_clear, pipe_clear}, {Py_tp_finalize, pipe_finalize},        \
            {Py_tp_dealloc, pipe_dealloc}, {Py_tp_repr, pipe_repr},            \
            {Py_tp_methods, methods}, {Py_tp_members, pipe_members},           \
            {Py_tp_getset, pipe_getset},                                       \
        {                                                                      \
            0                                                                  \
        }                                                                      \
    }

static PyType_Slot reader_slots[] =
    PIPE_SLOTS("The end of a pipe that is read: see asyncio.ReadTransport.",
               all_methods[0]);
static PyType_Slot writer_slots[] = PIPE_SLOTS(
    "The end of a pipe that is written to: see asyncio.WriteTransport.",
    all_methods[1]);

/* They print as asyncio's do. */
static PyType_Spec pipe_specs[] = {
    {
        .name = "rota._UnixReadPipeTransport",
        .basicsize = sizeof(PipeObject),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC |
                 Py_TPFLAGS_DISALLOW_INSTANTIATION,
        .slots = reader_slots,
    },
    {
        .name = "rota._UnixWritePipeTransport",
        .basicsize = sizeof(PipeObject),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC |
                 Py_TPFLAGS_DISALLOW_INSTANTIATION,
        .slots = writer_slots,
    },
};

PyType_Spec *core_make_pipe_spec(bool writer)
{
    const PyMethodDef *const parts[] = {shared_methods,
                                        writer ? core_pipe_writer_methods
                                               : core_pipe_reader_methods};

    core_join_methods(all_methods[writer], parts, rota__countof(parts));
    return &pipe_specs[writer];
}
