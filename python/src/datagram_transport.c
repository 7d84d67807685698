/* SPDX-License-Identifier: MIT */
/*
 * A datagram transport: its life
 */
#include "datagram_transport.h"
#include <structmember.h>

static const struct rota__datagram_events events = {
    .readable = core_datagram_readable,
    .writable = core_datagram_writable,
};

/* --- Ending -------------------------------------------------------------- */

/* The loop has no more to do with it; the fd stays open. */
static void detach(PyObject *op)
{
    DatagramObject *self = (DatagramObject *)op;

    rota__unready(&self->on_start);
    rota__unready(&self->on_readable);
    rota__unready(&self->on_writable);
    rota__datagram_close(&self->socket);
}

PyObject *core_datagram_lose(PyObject *op, PyObject *exc)
{
    DatagramObject *self = (DatagramObject *)op;
    PyObject *done;

    detach(op);
    core_datagram_forget_unsent(self);
    done = core_lose(self->loop->state, &self->protocol, &self->sock, exc);
    core_let_go(&self->kept);
    return done;
}

/* 0, or -1 with an exception: the loop is closed. */
static int lose_soon(DatagramObject *self, PyObject *exc)
{
    self->lost++;
    return core_lose_soon(self->loop, (PyObject *)self, NULL, exc);
}

int core_datagram_force_close(DatagramObject *self, PyObject *exc)
{
    if (self->lost)
        return 0;
    core_datagram_forget_unsent(self);
    rota__unready(&self->on_readable);
    rota__unready(&self->on_writable);
    self->closing = true;
    return lose_soon(self, exc);
}

static PyObject *transport_force_close(PyObject *op, PyObject *exc)
{
    if (core_datagram_force_close((DatagramObject *)op, exc) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *transport_abort(PyObject *op, PyObject *Py_UNUSED(none))
{
    return transport_force_close(op, Py_None);
}

static PyObject *transport_close(PyObject *op, PyObject *Py_UNUSED(none))
{
    DatagramObject *self = (DatagramObject *)op;

    if (self->closing)
        Py_RETURN_NONE;
    self->closing = true;
    rota__unready(&self->on_readable);
    if (rota__list_empty(&self->unsent) && lose_soon(self, Py_None) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *transport_is_closing(PyObject *op, PyObject *Py_UNUSED(none))
{
    return PyBool_FromLong(((DatagramObject *)op)->closing);
}

static PyObject *transport_fatal_error(PyObject *op, PyObject *args)
{
    const char *message = "Fatal error on transport";
    PyObject *exc;

    if (!PyArg_ParseTuple(args, "O|s", &exc, &message))
        return NULL;
    PyErr_SetObject((PyObject *)Py_TYPE(exc), exc);
    if (!core_datagram_fatal((DatagramObject *)op, message))
        return NULL;
    Py_RETURN_NONE;
}

/* --- What it knows ------------------------------------------------------- */

static PyObject *transport_set_protocol(PyObject *op, PyObject *protocol)
{
    Py_XSETREF(((DatagramObject *)op)->protocol, Py_NewRef(protocol));
    Py_RETURN_NONE;
}

static PyObject *transport_get_protocol(PyObject *op, PyObject *Py_UNUSED(none))
{
    PyObject *protocol = ((DatagramObject *)op)->protocol;

    return Py_NewRef(protocol ? protocol : Py_None);
}

static PyObject *transport_get_extra_info(PyObject *op, PyObject *const *args,
                                          Py_ssize_t count, PyObject *names)
{
    static const char *const known[] = {"name", "default", NULL};
    PyObject *values[2] = {NULL, Py_None}, *found;

    if (!core_parse_args("get_extra_info", known, 1, args, count, names,
                         values))
        return NULL;
    found = ((DatagramObject *)op)->extra;
    if (found)
        found = PyDict_GetItemWithError(found, values[0]);
    if (PyErr_Occurred())
        return NULL;
    return Py_NewRef(found ? found : values[1]);
}

/* --- Making -------------------------------------------------------------- */

static int fill_extra(DatagramObject *self, PyObject *extra)
{
    PyObject *function = core_support(self->loop->state, "socket_extra");
    PyObject *peer;
    int connected = 0;

    self->extra = function ? PyObject_CallFunctionObjArgs(function, extra,
                                                          self->sock, NULL)
                           : NULL;
    if (!self->extra)
        return -1;
    peer = PyDict_GetItemString(self->extra, "peername");
    if (peer)
        connected = PyObject_IsTrue(peer);
    self->connected = connected > 0;
    return connected < 0 ? -1 : 0;
}

static int adopt(DatagramObject *self)
{
    LoopObject *loop = self->loop;
    int fd = core_fd_of_socket(loop->state, self->sock);
    bool local = self->family == AF_UNIX;
    int err = PyErr_Occurred() ? -1
                               : rota__datagram_adopt(&self->socket, loop->loop,
                                                      fd, local, &events);

    if (err == -EEXIST && core_take_place(loop, fd) == 0)
        err =
            rota__datagram_adopt(&self->socket, loop->loop, fd, local, &events);
    if (err < 0) {
        self->socket.closed = true;
        if (!PyErr_Occurred())
            (void)core_raise(err);
        return -1;
    }
    core_keep(loop, &self->kept, (PyObject *)self, detach);
    return 0;
}

static DatagramObject *new_transport(LoopObject *loop, PyObject *sock,
                                     PyObject *protocol, PyObject *address)
{
    PyTypeObject *type = (PyTypeObject *)loop->state->datagram_transport_type;
    DatagramObject *self = (DatagramObject *)type->tp_alloc(type, 0);
    int truth = PyObject_IsTrue(address);

    if (!self)
        return NULL;
    self->loop = (LoopObject *)Py_NewRef(loop);
    self->socket.closed = true;
    self->protocol = Py_NewRef(protocol);
    self->address = Py_NewRef(truth > 0 ? address : Py_None);
    self->high = ROTA__HIGH_WATER;
    self->low = ROTA__LOW_WATER;
    self->on_start.run = core_datagram_on_start;
    self->on_readable.run = core_datagram_on_readable;
    self->on_writable.run = core_datagram_on_writable;
    rota__list_init(&self->on_start.link);
    rota__list_init(&self->on_readable.link);
    rota__list_init(&self->on_writable.link);
    rota__list_init(&self->unsent);
    rota__list_init(&self->kept.link);
    self->context = PyContext_CopyCurrent();
    self->family = core_family_of_socket(loop->state, sock);
    if (self->context && truth >= 0)
        return self;
    Py_DECREF(self);
    return NULL;
}

static PyObject *make_ours(LoopObject *loop, PyObject *const *values)
{
    DatagramObject *self = new_transport(loop, values[0], values[1], values[2]);

    if (!self)
        return NULL;
    self->sock = Py_NewRef(values[0]);
    if (fill_extra(self, values[4]) == 0 && adopt(self) == 0 &&
        core_announce(loop, (PyObject *)self, values[1], values[3],
                      &self->on_start) == 0)
        return (PyObject *)self;
    detach((PyObject *)self); /* the socket is still its maker's */
    Py_CLEAR(self->sock);
    core_let_go(&self->kept);
    Py_DECREF(self);
    return NULL;
}

/* What is not exactly a socket.socket of a family that we know. */
static PyObject *make_asyncios(LoopObject *loop, PyObject *const *values)
{
    PyObject *function = core_support(loop->state, "make_datagram_transport");
    PyObject *args[] = {(PyObject *)loop, values[0], values[1],
                        values[2],        values[3], values[4]};

    return function ? PyObject_Vectorcall(function, args, 6, NULL) : NULL;
}

static PyObject *make_transport(PyObject *op, PyObject *const *args,
                                Py_ssize_t count, PyObject *names)
{
    static const char *const known[] = {"sock",   "protocol", "address",
                                        "waiter", "extra",    NULL};
    PyObject *values[5] = {NULL, NULL, Py_None, Py_None, Py_None};
    LoopObject *self = core_open_loop(op);

    if (!self || !core_parse_args("_make_datagram_transport", known, 2, args,
                                  count, names, values))
        return NULL;
#if PY_VERSION_HEX >= 0x030d0000
    if (core_check_file_is_free(self, values[0]) < 0)
        return NULL;
#endif
    if (Py_TYPE(values[0]) == (PyTypeObject *)self->state->plain_socket &&
        core_address_known(core_family_of_socket(self->state, values[0])))
        return make_ours(self, values);
    return make_asyncios(self, values);
}

PyMethodDef core_datagram_methods[] = {
    {"_make_datagram_transport", CORE_ANY(make_transport),
     METH_FASTCALL | METH_KEYWORDS, NULL},
    {0},
};

PyObject *core_datagram_at(LoopObject *self, int fd)
{
    struct rota__datagram *found = rota__datagram_of(self->loop, fd);

    return found ? (PyObject *)rota__container_of(found, DatagramObject, socket)
                 : NULL;
}

/* --- The type ------------------------------------------------------------ */

static int transport_traverse(PyObject *op, visitproc visit, void *arg)
{
    DatagramObject *self = (DatagramObject *)op;

    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->extra);
    Py_VISIT(self->loop);
    Py_VISIT(self->sock);
    Py_VISIT(self->protocol);
    Py_VISIT(self->address);
    Py_VISIT(self->context);
    Py_VISIT(self->write_context);
    Py_VISIT(self->peer_object);
    Py_VISIT(self->dict);
    for (struct rota__link *at = self->unsent.next; at != &self->unsent;
         at = at->next)
        Py_VISIT(rota__container_of(at, struct core_unsent, link)->address);
    return 0;
}

/* Not the loop, which our end needs. */
static int transport_clear(PyObject *op)
{
    DatagramObject *self = (DatagramObject *)op;

    core_datagram_forget_unsent(self);
    Py_CLEAR(self->extra);
    Py_CLEAR(self->sock);
    Py_CLEAR(self->protocol);
    Py_CLEAR(self->address);
    Py_CLEAR(self->context);
    Py_CLEAR(self->write_context);
    Py_CLEAR(self->peer_object);
    Py_CLEAR(self->dict);
    return 0;
}

static void transport_finalize(PyObject *op)
{
    DatagramObject *self = (DatagramObject *)op;
    PyObject *exception = core_take_exception();

    if (self->sock) {
        if (PyErr_ResourceWarning(op, 1, "unclosed transport %R", op) < 0)
            PyErr_WriteUnraisable(op);
        if (core_close_file(self->loop->state, &self->sock) < 0)
            PyErr_WriteUnraisable(op);
    }
    core_give_exception(exception);
}

static void transport_dealloc(PyObject *op)
{
    DatagramObject *self = (DatagramObject *)op;
    PyTypeObject *type = Py_TYPE(op);

    if (PyObject_CallFinalizerFromDealloc(op) < 0)
        return;
    PyObject_GC_UnTrack(op);
    if (self->weakrefs)
        PyObject_ClearWeakRefs(op);
    (void)transport_clear(op);
    Py_CLEAR(self->loop);
    PyObject_GC_Del(op);
    Py_DECREF(type);
}

static PyObject *transport_repr(PyObject *op)
{
    DatagramObject *self = (DatagramObject *)op;
    PyObject *function = core_support(self->loop->state, "socket_repr");

    return function ? PyObject_CallOneArg(function, op) : NULL;
}

static PyObject *get_fd(PyObject *op, void *Py_UNUSED(closure))
{
    return PyLong_FromLong(((DatagramObject *)op)->socket.watch.fd);
}

static PyObject *get_writing(PyObject *op, void *Py_UNUSED(closure))
{
    DatagramObject *self = (DatagramObject *)op;

    return PyBool_FromLong(!rota__list_empty(&self->unsent));
}

static PyObject *get_buffered(PyObject *op, void *Py_UNUSED(closure))
{
    return PyLong_FromSize_t(((DatagramObject *)op)->unsent_size);
}

static PyGetSetDef transport_getset[] = {
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, NULL, NULL},
    {"_sock_fd", get_fd, NULL, NULL, NULL},
    {"_writing", get_writing, NULL, "Whether it waits to send.", NULL},
    {"_buffered", get_buffered, NULL, "Bytes that wait.", NULL},
    {0},
};

static PyMemberDef transport_members[] = {
    {"_loop", T_OBJECT, offsetof(DatagramObject, loop), READONLY, NULL},
    {"_sock", T_OBJECT, offsetof(DatagramObject, sock), READONLY, NULL},
    {"_protocol", T_OBJECT, offsetof(DatagramObject, protocol), READONLY, NULL},
    {"_address", T_OBJECT, offsetof(DatagramObject, address), READONLY, NULL},
    {"_closing", T_BOOL, offsetof(DatagramObject, closing), READONLY, NULL},
    {"_conn_lost", T_INT, offsetof(DatagramObject, lost), READONLY, NULL},
    {"__dictoffset__", T_PYSSIZET, offsetof(DatagramObject, dict), READONLY,
     NULL},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(DatagramObject, weakrefs),
     READONLY, NULL},
    {0},
};

static PyMethodDef transport_methods[] = {
    {"close", transport_close, METH_NOARGS,
     "close($self, /)\n--\n\n"
     "Close once what is buffered has been sent."},
    {"abort", transport_abort, METH_NOARGS,
     "abort($self, /)\n--\n\n"
     "Close at once; what is buffered is lost."},
    {"is_closing", transport_is_closing, METH_NOARGS,
     "is_closing($self, /)\n--\n\n"
     "Return True if the transport is closed or is being closed."},
    {"set_protocol", transport_set_protocol, METH_O,
     "set_protocol($self, protocol, /)\n--\n\n"
     "Set another protocol."},
    {"get_protocol", transport_get_protocol, METH_NOARGS,
     "get_protocol($self, /)\n--\n\n"
     "Return the protocol."},
    {"get_extra_info", CORE_ANY(transport_get_extra_info),
     METH_FASTCALL | METH_KEYWORDS,
     "get_extra_info($self, name, default=None)\n--\n\n"
     "Return what is known by a name ('peername', 'socket', ...)."},
    {"_force_close", transport_force_close, METH_O, NULL},
    {"_fatal_error", transport_fatal_error, METH_VARARGS, NULL},
    {"_call_connection_lost", core_datagram_lose, METH_O, NULL},
    {0},
};

static PyMethodDef all_methods[32];

static PyType_Slot transport_slots[] = {
    {Py_tp_doc, "A socket for datagrams: see asyncio.DatagramTransport."},
    {Py_tp_traverse, transport_traverse},
    {Py_tp_clear, transport_clear},
    {Py_tp_finalize, transport_finalize},
    {Py_tp_dealloc, transport_dealloc},
    {Py_tp_repr, transport_repr},
    {Py_tp_methods, all_methods},
    {Py_tp_members, transport_members},
    {Py_tp_getset, transport_getset},
    {0},
};

static PyType_Spec datagram_spec = {
    .name = "rota.DatagramTransport",
    .basicsize = sizeof(DatagramObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC |
             Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = transport_slots,
};

PyType_Spec *core_make_datagram_spec(void)
{
    static const PyMethodDef *const parts[] = {transport_methods,
                                               core_datagram_receive_methods,
                                               core_datagram_send_methods};

    core_join_methods(all_methods, rota__countof(all_methods), parts,
                      rota__countof(parts));
    return &datagram_spec;
}
