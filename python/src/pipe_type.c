/* SPDX-License-Identifier: MIT */
/*
 * Pipe transports: their types
 */
#include "pipe_transport.h"
#include <structmember.h>

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
     "is_closing($self, /)\n--\n\n"
     "Return True if the transport is closed or is being closed."},
    {"set_protocol", pipe_set_protocol, METH_O,
     "set_protocol($self, protocol, /)\n--\n\n"
     "Set another protocol."},
    {"get_protocol", pipe_get_protocol, METH_NOARGS,
     "get_protocol($self, /)\n--\n\n"
     "Return the protocol."},
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
        core_pipe_let_go(self);
        if (core_close_file(self->loop->state, &self->pipe) < 0)
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
    core_pipe_let_go(self);
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

    core_join_methods(all_methods[writer], rota__countof(all_methods[writer]),
                      parts, rota__countof(parts));
    return &pipe_specs[writer];
}
