/* SPDX-License-Identifier: MIT */
/*
 * A stream socket's transport: its life
 */
#include "socket_transport.h"
#include <structmember.h>

/* --- Reading, paused ----------------------------------------------------- */

void core_socket_let_go_if_idle(SocketTransportObject *self)
{
    if (rota__unlikely(self->paused || self->ended) && !self->closing &&
        core_socket_buffered(self) == 0 && !self->empty_waiter)
        core_let_go(&self->kept);
}

static PyObject *socket_pause_reading(PyObject *op, PyObject *Py_UNUSED(none))
{
    SocketTransportObject *self = (SocketTransportObject *)op;

    if (self->closing || self->paused)
        Py_RETURN_NONE;
    self->paused = true;
    if (self->on_readable.run == core_socket_on_readable)
        rota__unready(&self->on_readable);
    core_socket_log(self, "%r pauses reading");
    core_socket_let_go_if_idle(self);
    return core_result(self->loop);
}

static PyObject *socket_resume_reading(PyObject *op, PyObject *Py_UNUSED(none))
{
    SocketTransportObject *self = (SocketTransportObject *)op;

    if (self->closing || !self->paused)
        Py_RETURN_NONE;
    self->paused = false;
    if (self->ended) /* as with asyncio, the system is asked again */
        self->ended = self->conn.at_end = false;
    if (!self->kept.object && !self->conn.closed)
        core_socket_keep(self);
    core_socket_read_soon(self);
    core_socket_log(self, "%r resumes reading");
    return core_result(self->loop);
}

static PyObject *socket_is_reading(PyObject *op, PyObject *Py_UNUSED(none))
{
    SocketTransportObject *self = (SocketTransportObject *)op;

    return PyBool_FromLong(!self->closing && !self->paused);
}

/* --- The protocol -------------------------------------------------------- */

static int use_protocol(SocketTransportObject *self, PyObject *protocol)
{
    core_state *state = self->loop->state;
    int buffered;

    self->ops = NULL;
    self->buffered = self->feeds = false;
    if (state->ssl_protocol_type &&
        PyObject_TypeCheck(protocol,
                           (PyTypeObject *)state->ssl_protocol_type)) {
        self->ops = ((CoreProtocolObject *)protocol)->ops;
    } else {
        buffered = PyObject_IsInstance(protocol, state->buffered_protocol);
        if (buffered < 0)
            return -1;
        self->buffered = buffered != 0;
        self->feeds = core_feeds(state, protocol);
    }
    Py_XSETREF(self->protocol, Py_NewRef(protocol));
    self->protocol_connected = true;
    return 0;
}

static PyObject *socket_set_protocol(PyObject *op, PyObject *protocol)
{
    if (use_protocol((SocketTransportObject *)op, protocol) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *socket_get_protocol(PyObject *op, PyObject *Py_UNUSED(none))
{
    PyObject *protocol = ((SocketTransportObject *)op)->protocol;

    return Py_NewRef(protocol ? protocol : Py_None);
}

/* --- Making -------------------------------------------------------------- */

static const struct rota__conn_events events = {
    .readable = core_socket_readable,
    .writable = core_socket_writable,
    .drained = core_socket_drained,
    .closed = core_socket_closed,
};

/* The loop closes: the fd stays open until the transport goes. Behind bytes
   that nobody will send no others may be sent. */
static void detach(PyObject *op)
{
    SocketTransportObject *self = (SocketTransportObject *)op;

    if (core_socket_buffered(self) > 0 && !self->lost)
        self->lost = 1;
    core_socket_forget_gathered(self);
    rota__unready(&self->on_readable);
    rota__conn_destroy(&self->conn);
}

void core_socket_keep(SocketTransportObject *self)
{
    core_keep(self->loop, &self->kept, (PyObject *)self, detach);
}

static int open_once(SocketTransportObject *self, int fd, int family)
{
    rota_loop *loop = self->loop->loop;

    return family == AF_UNIX
               ? rota__conn_open_unix(&self->conn, loop, fd, &events)
               : rota__conn_open(&self->conn, loop, fd, &events);
}

/* A transport whose socket was closed without it, before the number was used
   again, is at its end. */
static void end_stale(LoopObject *loop, int fd)
{
    PyObject *op = core_transport_at(loop, fd);
    SocketTransportObject *other = (SocketTransportObject *)op;

    if (!op || !core_is_socket_transport(loop->state, op) ||
        core_fd_of_socket(loop->state, other->sock) == fd)
        return;
    PyErr_Clear();
    core_socket_forget_gathered(other);
    core_socket_force_close(other, NULL);
}

static int make_room(LoopObject *loop, int fd)
{
    end_stale(loop, fd);
    if (core_check_fd_is_free(loop, fd) < 0)
        return -1;
    return core_take_place(loop, fd);
}

static int open_conn(SocketTransportObject *self, int fd, int family)
{
    int err = open_once(self, fd, family);

    if (err == -EEXIST && make_room(self->loop, fd) == 0)
        err = open_once(self, fd, family);
    self->conn.lent = true;
    if (err < 0) {
        self->conn.closed = true;
        if (!PyErr_Occurred())
            (void)core_raise(err);
        return -1;
    }
    if (family == AF_INET || family == AF_INET6)
        rota__socket_no_delay(fd);
    core_socket_keep(self);
    return 0;
}

static int join_server(SocketTransportObject *self, PyObject *server)
{
    PyObject *function, *done;

    if (!server || Py_IsNone(server))
        return 0;
    self->server = Py_NewRef(server);
    function = core_support(self->loop->state, "server_attach");
    done = function ? PyObject_CallFunctionObjArgs(function, server, self, NULL)
                    : NULL;
    Py_XDECREF(done);
    if (!done)
        Py_CLEAR(self->server); /* it does not count us */
    return done ? 0 : -1;
}

static SocketTransportObject *allocate(LoopObject *loop)
{
    PyTypeObject *type = (PyTypeObject *)loop->state->socket_transport_type;
    SocketTransportObject *self =
        type ? (SocketTransportObject *)type->tp_alloc(type, 0) : NULL;

    if (!self)
        return NULL;
    self->loop = (LoopObject *)Py_NewRef(loop);
    self->conn.closed = true;
    self->conn.watch.fd = -1;
    self->high = ROTA__HIGH_WATER;
    self->low = ROTA__LOW_WATER;
    self->on_readable.run = core_socket_start;
    rota__list_init(&self->on_readable.link);
    rota__list_init(&self->kept.link);
    return self;
}

PyObject *core_socket_transport_new(LoopObject *loop, PyObject *sock,
                                    PyObject *protocol, PyObject *waiter,
                                    PyObject *extra, PyObject *server,
                                    const rota_address *peer)
{
    SocketTransportObject *self = allocate(loop);
    int fd = self ? PyObject_AsFileDescriptor(sock) : -1;
    int family;

    if (fd < 0) {
        Py_XDECREF(self);
        return NULL;
    }
    self->context = PyContext_CopyCurrent();
    if (!self->context || use_protocol(self, protocol) < 0)
        goto fail;
    self->sock = Py_NewRef(sock);
    family = core_socket_learn_names(self, fd, extra, peer);
    if (family < 0 || open_conn(self, fd, family) < 0 ||
        join_server(self, server) < 0 ||
        core_announce(loop, (PyObject *)self, protocol, waiter,
                      &self->on_readable) < 0)
        goto fail;
    return (PyObject *)self;
fail: /* the socket is still its maker's */
    rota__conn_destroy(&self->conn);
    Py_CLEAR(self->sock);
    core_let_go(&self->kept);
    Py_DECREF(self);
    return NULL;
}

static PyObject *make_socket_transport(PyObject *op, PyObject *args,
                                       PyObject *named)
{
    static char *names[] = {"sock",  "protocol", "waiter",
                            "extra", "server",   NULL};
    PyObject *sock, *protocol, *waiter = NULL, *extra = NULL, *server = NULL;
    PyObject *function;
    LoopObject *self;

    if (!PyArg_ParseTupleAndKeywords(args, named, "OO|O$OO", names, &sock,
                                     &protocol, &waiter, &extra, &server) ||
        !core_open_loop(op))
        return NULL;
    self = (LoopObject *)op;
    if (PyObject_TypeCheck(sock, (PyTypeObject *)self->state->socket_class))
        return core_socket_transport_new(self, sock, protocol, waiter, extra,
                                         server, NULL);
    /* What only looks like a socket gets asyncio's transport. */
    function = core_support(self->state, "make_foreign_transport");
    if (!function)
        return NULL;
    return PyObject_CallFunctionObjArgs(
        function, op, sock, protocol, waiter ? waiter : Py_None,
        extra ? extra : Py_None, server ? server : Py_None, NULL);
}

bool core_is_socket_transport(core_state *state, PyObject *op)
{
    return Py_TYPE(op) == (PyTypeObject *)state->socket_transport_type;
}

_Static_assert(offsetof(SocketTransportObject, conn) -
                       offsetof(SocketTransportObject, kept) ==
                   offsetof(struct core_kept_conn, conn),
               "the conn stands behind what keeps it");

PyObject *core_transport_at(LoopObject *loop, int fd)
{
    struct rota__conn *conn = rota__conn_of(loop->loop, fd);

    return conn ? rota__container_of(conn, struct core_kept_conn, conn)
                      ->kept.owner
                : NULL;
}

static PyObject *transport_at(PyObject *op, PyObject *number)
{
    LoopObject *self = (LoopObject *)op;
    int fd = PyObject_AsFileDescriptor(number);
    PyObject *found;

    if (fd < 0)
        return NULL;
    found = self->closed ? NULL : core_transport_at(self, fd);
    return Py_NewRef(found ? found : Py_None);
}

static PyObject *socket_transports(PyObject *op, PyObject *Py_UNUSED(none))
{
    LoopObject *self = (LoopObject *)op;
    PyObject *list = PyList_New(0), *found;
    int fds = self->closed ? 0 : (int)self->loop->poller.entry_count;

    for (int fd = 0; list && fd < fds; fd++) {
        found = core_transport_at(self, fd);
        if (found && core_is_socket_transport(self->state, found) &&
            PyList_Append(list, found) < 0)
            Py_CLEAR(list);
    }
    return list;
}

PyMethodDef core_socket_methods[] = {
    {"_make_socket_transport", CORE_ANY(make_socket_transport),
     METH_VARARGS | METH_KEYWORDS, NULL},
    {"_transport_at", transport_at, METH_O, "The transport of an fd, or None."},
    {"_socket_transports", socket_transports, METH_NOARGS,
     "The transports of sockets, as a list."},
    {0},
};

/* --- The type ------------------------------------------------------------ */

static int socket_traverse(PyObject *op, visitproc visit, void *arg)
{
    SocketTransportObject *self = (SocketTransportObject *)op;

    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->extra);
    Py_VISIT(self->loop);
    Py_VISIT(self->sock);
    Py_VISIT(self->protocol);
    Py_VISIT(self->server);
    Py_VISIT(self->context);
    Py_VISIT(self->write_context);
    Py_VISIT(self->empty_waiter);
    Py_VISIT(self->lost_exception);
    Py_VISIT(self->dict);
    return 0;
}

/* Not the loop, which our ends need. */
static int socket_clear(PyObject *op)
{
    SocketTransportObject *self = (SocketTransportObject *)op;

    core_socket_forget_gathered(self);
    Py_CLEAR(self->extra);
    Py_CLEAR(self->sock);
    Py_CLEAR(self->protocol);
    Py_CLEAR(self->server);
    Py_CLEAR(self->context);
    Py_CLEAR(self->write_context);
    Py_CLEAR(self->empty_waiter);
    Py_CLEAR(self->lost_exception);
    Py_CLEAR(self->dict);
    return 0;
}

static void socket_dealloc(PyObject *op)
{
    SocketTransportObject *self = (SocketTransportObject *)op;
    PyTypeObject *type = Py_TYPE(op);

    if (PyObject_CallFinalizerFromDealloc(op) < 0)
        return;
    PyObject_GC_UnTrack(op);
    if (self->weakrefs)
        PyObject_ClearWeakRefs(op);
    rota__unready(&self->on_readable);
    core_socket_forget_gathered(self);
    (void)socket_clear(op);
    core_socket_forget_names(self);
    Py_CLEAR(self->loop);
    PyObject_GC_Del(op);
    Py_DECREF(type);
}

static PyObject *socket_repr(PyObject *op)
{
    SocketTransportObject *self = (SocketTransportObject *)op;
    PyObject *function = core_support(self->loop->state, "socket_repr");

    return function ? PyObject_CallOneArg(function, op) : NULL;
}

static PyObject *get_fd(PyObject *op, void *Py_UNUSED(closure))
{
    return PyLong_FromLong(((SocketTransportObject *)op)->conn.watch.fd);
}

static PyObject *get_sock(PyObject *op, void *Py_UNUSED(closure))
{
    SocketTransportObject *self = (SocketTransportObject *)op;

    return Py_NewRef(self->sock && !self->sock_closed ? self->sock : Py_None);
}

static PyObject *get_high_water(PyObject *op, void *Py_UNUSED(closure))
{
    return PyLong_FromSize_t(((SocketTransportObject *)op)->high);
}

static PyObject *get_low_water(PyObject *op, void *Py_UNUSED(closure))
{
    return PyLong_FromSize_t(((SocketTransportObject *)op)->low);
}

static PyObject *get_writing(PyObject *op, void *Py_UNUSED(closure))
{
    SocketTransportObject *self = (SocketTransportObject *)op;

    return PyBool_FromLong(rota__buffer_size(&self->conn.out) > 0);
}

static PyObject *get_writing_paused(PyObject *op, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(((SocketTransportObject *)op)->writing_paused);
}

static PyObject *get_buffered(PyObject *op, void *Py_UNUSED(closure))
{
    return PyLong_FromSize_t(core_socket_buffered((SocketTransportObject *)op));
}

static PyGetSetDef socket_getset[] = {
    {"_extra", core_socket_get_extra, NULL, NULL, NULL},
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, NULL, NULL},
    {"_protocol_paused", get_writing_paused, NULL, NULL, NULL},
    {"_high_water", get_high_water, NULL, NULL, NULL},
    {"_low_water", get_low_water, NULL, NULL, NULL},
    {"_sock", get_sock, NULL, NULL, NULL},
    {"_sock_fd", get_fd, NULL, NULL, NULL},
    {"_writing", get_writing, NULL, "Whether it waits to send.", NULL},
    {"_buffered", get_buffered, NULL, "Bytes that wait.", NULL},
    {0},
};

static PyMemberDef socket_members[] = {
    {"_loop", T_OBJECT, offsetof(SocketTransportObject, loop), READONLY, NULL},
    {"_server", T_OBJECT, offsetof(SocketTransportObject, server), READONLY,
     NULL},
    {"_protocol", T_OBJECT, offsetof(SocketTransportObject, protocol), READONLY,
     NULL},
    {"_closing", T_BOOL, offsetof(SocketTransportObject, closing), READONLY,
     NULL},
    {"_paused", T_BOOL, offsetof(SocketTransportObject, paused), READONLY,
     NULL},
    {"_eof", T_BOOL, offsetof(SocketTransportObject, eof), READONLY, NULL},
    {"_conn_lost", T_INT, offsetof(SocketTransportObject, lost), READONLY,
     NULL},
    {"__dictoffset__", T_PYSSIZET, offsetof(SocketTransportObject, dict),
     READONLY, NULL},
    {"__weaklistoffset__", T_PYSSIZET,
     offsetof(SocketTransportObject, weakrefs), READONLY, NULL},
    {0},
};

static PyMethodDef socket_methods[] = {
    {"pause_reading", socket_pause_reading, METH_NOARGS,
     "pause_reading($self, /)\n--\n\n"
     "Stop reading until resume_reading(); then nothing is received."},
    {"resume_reading", socket_resume_reading, METH_NOARGS,
     "resume_reading($self, /)\n--\n\n"
     "Read again after pause_reading()."},
    {"is_reading", socket_is_reading, METH_NOARGS,
     "is_reading($self, /)\n--\n\n"
     "Return True if the transport reads."},
    {"set_protocol", socket_set_protocol, METH_O,
     "set_protocol($self, protocol, /)\n--\n\n"
     "Go on with another protocol."},
    {"get_protocol", socket_get_protocol, METH_NOARGS,
     "get_protocol($self, /)\n--\n\n"
     "Return the protocol."},
    {0},
};

static PyMethodDef all_methods[32];

static PyType_Slot socket_slots[] = {
    {Py_tp_doc, "A connected stream socket: see asyncio.Transport."},
    {Py_tp_traverse, socket_traverse},
    {Py_tp_clear, socket_clear},
    {Py_tp_finalize, core_socket_finalize},
    {Py_tp_dealloc, socket_dealloc},
    {Py_tp_repr, socket_repr},
    {Py_tp_methods, all_methods},
    {Py_tp_members, socket_members},
    {Py_tp_getset, socket_getset},
    {0},
};

static PyType_Spec socket_spec = {
    .name = "rota.SocketTransport",
    .basicsize = sizeof(SocketTransportObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC |
             Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = socket_slots,
};

PyType_Spec *core_make_socket_spec(void)
{
    static const PyMethodDef *const parts[] = {
        socket_methods, core_socket_close_methods, core_socket_write_methods,
        core_socket_info_methods};

    core_join_methods(all_methods, rota__countof(all_methods), parts,
                      rota__countof(parts));
    return &socket_spec;
}
