/* SPDX-License-Identifier: MIT */
/*
 * TLS: the protocol, as the transport below and asyncio's code see it
 */
#include "ssl_protocol.h"
#include <structmember.h>

/* --- The room ------------------------------------------------------------- */

static int room_lends(PyObject *op, Py_buffer *view, int flags)
{
    CoreRoomObject *self = (CoreRoomObject *)op;

    return PyBuffer_FillInfo(view, op, self->lent, self->size, self->readonly,
                             flags);
}

static void room_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);

    PyMem_Free(((CoreRoomObject *)op)->memory);
    type->tp_free(op);
    Py_DECREF(type);
}

static CoreRoomObject *room_new(core_state *state)
{
    PyTypeObject *type = (PyTypeObject *)state->ssl_room_type;

    return (CoreRoomObject *)type->tp_alloc(type, 0);
}

/* The loop's, which has it in a slot of its class in Python. */
static CoreRoomObject *room_of(LoopObject *loop)
{
    core_state *state = loop->state;
    PyObject *room = PyObject_GetAttr((PyObject *)loop, state->str__room);

    if (!room && PyErr_ExceptionMatches(PyExc_AttributeError)) {
        PyErr_Clear();
        room = (PyObject *)room_new(state);
        if (room &&
            PyObject_SetAttr((PyObject *)loop, state->str__room, room) < 0)
            Py_CLEAR(room);
    }
    return (CoreRoomObject *)room;
}

static PyType_Slot room_slots[] = {
    {Py_tp_doc, "Lends memory to ssl, for one call."},
    {Py_tp_dealloc, room_dealloc},
    {Py_bf_getbuffer, room_lends},
    {0},
};

PyType_Spec core_ssl_room_spec = {
    .name = "rota._core.Room",
    .basicsize = sizeof(CoreRoomObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = room_slots,
};

/* --- What the transport below calls, by name ------------------------------ */

static CoreSSLProtocolObject *ours(PyObject *op)
{
    return (CoreSSLProtocolObject *)op;
}

static PyObject *none_if(int result)
{
    return result < 0 ? NULL : Py_NewRef(Py_None);
}

static PyObject *get_buffer(PyObject *op, PyObject *Py_UNUSED(hint))
{
    CoreRoomObject *room = ours(op)->room;
    PyObject *view;

    if (!room->memory)
        room->memory = PyMem_Malloc(CORE_ROOM_SIZE);
    if (!room->memory)
        return PyErr_NoMemory();
    view = PyMemoryView_FromObject(
        core_room_lend(room, room->memory, CORE_ROOM_SIZE, false));
    core_room_take_back(room);
    return view;
}

static PyObject *buffer_updated(PyObject *op, PyObject *arg)
{
    Py_ssize_t size = PyLong_AsSsize_t(arg);

    if (size < 0 && PyErr_Occurred())
        return NULL;
    if (!ours(op)->room->memory)
        size = 0; /* nobody has asked for it */
    size = Py_MIN(Py_MAX(size, 0), CORE_ROOM_SIZE);
    return none_if(core_ssl_received(ours(op), ours(op)->room->memory, size));
}

static PyObject *pause_writing(PyObject *op, PyObject *Py_UNUSED(none))
{
    if (ours(op)->ssl_writing_paused) {
        PyErr_SetNone(PyExc_AssertionError);
        return NULL;
    }
    ours(op)->ssl_writing_paused = true;
    Py_RETURN_NONE;
}

static PyObject *resume_writing(PyObject *op, PyObject *Py_UNUSED(none))
{
    if (!ours(op)->ssl_writing_paused) {
        PyErr_SetNone(PyExc_AssertionError);
        return NULL;
    }
    ours(op)->ssl_writing_paused = false;
    return none_if(core_ssl_send(ours(op)));
}

/* --- And directly --------------------------------------------------------- */

/* As a transport of asyncio's, whose protocol has raised an exception. */
static void end_transport(CoreSSLProtocolObject *self, const char *message)
{
    PyObject *exception, *text, *done = NULL;
    PyObject *transport;

    if (core_stop_if_fatal(self->loop))
        return;
    exception = core_take_exception();
    transport = Py_NewRef(self->transport ? self->transport : Py_None);
    text = PyUnicode_FromString(message);
    if (text)
        done = PyObject_CallMethodObjArgs(
            transport, self->state->str__fatal_error, exception, text, NULL);
    if (!done)
        core_report(self->loop, message, "protocol", (PyObject *)self,
                    "transport", transport);
    Py_XDECREF(text);
    Py_DECREF(transport);
    Py_XDECREF(exception);
    Py_XDECREF(done);
}

static char *direct_get_buffer(PyObject *op, size_t *size)
{
    *size = CORE_ROOM_SIZE; /* the scratch memory is larger */
    return rota__scratch(ours(op)->loop->loop);
}

static void direct_buffer_updated(PyObject *op, size_t size)
{
    Py_INCREF(op);
    if (core_ssl_received(ours(op), rota__scratch(ours(op)->loop->loop),
                          (Py_ssize_t)size) < 0)
        end_transport(ours(op), "Fatal error: protocol.buffer_updated() call "
                                "failed.");
    Py_DECREF(op);
}

static bool direct_eof_received(PyObject *op)
{
    PyObject *answer;
    int stay;

    Py_INCREF(op);
    answer = PyObject_CallMethodNoArgs(op, ours(op)->state->str_eof_received);
    stay = answer ? PyObject_IsTrue(answer) : -1;
    Py_XDECREF(answer);
    if (stay < 0) {
        end_transport(ours(op),
                      "Fatal error: protocol.eof_received() call failed.");
        stay = true; /* it is closed already */
    }
    Py_DECREF(op);
    return stay > 0;
}

static void direct_connection_lost(PyObject *op, PyObject *exc)
{
    PyObject *done = PyObject_CallMethodOneArg(
        op, ours(op)->state->str_connection_lost, exc);

    Py_XDECREF(done);
}

static void report_flow(CoreSSLProtocolObject *self, PyObject *done,
                        const char *message)
{
    Py_XDECREF(done);
    if (!done)
        core_report(self->loop, message, "transport", self->transport,
                    "protocol", (PyObject *)self);
}

static void direct_pause_writing(PyObject *op)
{
    report_flow(ours(op), pause_writing(op, NULL),
                "protocol.pause_writing() failed");
}

static void direct_resume_writing(PyObject *op)
{
    Py_INCREF(op);
    report_flow(ours(op), resume_writing(op, NULL),
                "protocol.resume_writing() failed");
    Py_DECREF(op);
}

static const struct core_protocol_ops direct_ops = {
    direct_get_buffer,      direct_buffer_updated, direct_eof_received,
    direct_connection_lost, direct_pause_writing,  direct_resume_writing,
};

/* --- What asyncio's own code calls ---------------------------------------- */

static PyObject *do_read(PyObject *op, PyObject *Py_UNUSED(none))
{
    return none_if(core_ssl_read(ours(op)));
}

static PyObject *do_write(PyObject *op, PyObject *Py_UNUSED(none))
{
    return none_if(core_ssl_write_backlog(ours(op)));
}

static PyObject *process_outgoing(PyObject *op, PyObject *Py_UNUSED(none))
{
    return none_if(core_ssl_send(ours(op)));
}

static PyObject *write_appdata(PyObject *op, PyObject *list)
{
    return none_if(core_ssl_write_many(ours(op), list));
}

static PyObject *resume(PyObject *op, PyObject *Py_UNUSED(none))
{
    CoreSSLProtocolObject *self = ours(op);
    core_state *state = self->state;

    if (self->phase == state->ssl_wrapped)
        return none_if(core_ssl_read(self));
    if (self->phase == state->ssl_flushing)
        return none_if(core_ssl_call(self, state->str__do_flush));
    if (self->phase == state->ssl_shutdown)
        return none_if(core_ssl_call(self, state->str__do_shutdown));
    Py_RETURN_NONE;
}

int core_ssl_resume_reading(CoreSSLProtocolObject *self)
{
    PyObject *method;
    int result;

    if (!self->app_reading_paused)
        return 0;
    self->app_reading_paused = false;
    method = PyObject_GetAttr((PyObject *)self, self->state->str__resume);
    result = method ? core_call_soon(self->loop, method, NULL) : -1;
    Py_XDECREF(method);
    return result;
}

static PyObject *resume_reading(PyObject *op, PyObject *Py_UNUSED(none))
{
    return none_if(core_ssl_resume_reading(ours(op)));
}

/* Asked like asyncio asks, for duck types are none. */
static int is_buffered(core_state *state, PyObject *app)
{
    PyObject *method = PyObject_GetAttr(app, state->str_get_buffer);

    if (method) {
        Py_DECREF(method);
        return PyObject_IsInstance(app, state->buffered_protocol);
    }
    if (!PyErr_ExceptionMatches(PyExc_AttributeError))
        return -1;
    PyErr_Clear();
    return 0;
}

static PyObject *set_app_protocol(PyObject *op, PyObject *app)
{
    CoreSSLProtocolObject *self = ours(op);
    int buffered;

    Py_XSETREF(self->app_protocol, Py_NewRef(app));
    buffered = is_buffered(self->state, app);
    if (buffered < 0)
        return NULL;
    self->app_protocol_is_buffer = buffered > 0;
    self->app_protocol_feeds = core_feeds(self->state, app);
    Py_RETURN_NONE;
}

static PyMethodDef protocol_methods[] = {
    {"get_buffer", get_buffer, METH_O, "Room for what comes, of the loop."},
    {"buffer_updated", buffer_updated, METH_O, "Decrypts what came."},
    {"pause_writing", pause_writing, METH_NOARGS,
     "The transport below has enough."},
    {"resume_writing", resume_writing, METH_NOARGS,
     "The transport below takes more."},
    {"_do_read", do_read, METH_NOARGS, NULL},
    {"_do_write", do_write, METH_NOARGS, NULL},
    {"_process_outgoing", process_outgoing, METH_NOARGS, NULL},
    {"_write_appdata", write_appdata, METH_O, NULL},
    {"_resume", resume, METH_NOARGS, NULL},
    {"_resume_reading", resume_reading, METH_NOARGS, NULL},
    {"_set_app_protocol", set_app_protocol, METH_O, NULL},
    {0},
};

/* --- Its attributes ------------------------------------------------------- */

static PyObject *get_loop(PyObject *op, void *Py_UNUSED(closure))
{
    PyObject *loop = (PyObject *)ours(op)->loop;

    return Py_NewRef(loop ? loop : Py_None);
}

static int set_loop(PyObject *op, PyObject *value, void *Py_UNUSED(closure))
{
    CoreSSLProtocolObject *self = ours(op);
    CoreRoomObject *room;

    if (!value ||
        !PyObject_TypeCheck(value, (PyTypeObject *)self->state->loop_type)) {
        PyErr_SetString(PyExc_TypeError, "the loop must be a rota.Loop");
        return -1;
    }
    room = room_of((LoopObject *)value);
    if (!room)
        return -1;
    Py_XSETREF(self->room, room);
    Py_XSETREF(self->loop, (LoopObject *)Py_NewRef(value));
    return 0;
}

static PyObject *get_sslobj(PyObject *op, void *Py_UNUSED(closure))
{
    PyObject *sslobj = ours(op)->sslobj;

    return Py_NewRef(sslobj ? sslobj : Py_None);
}

static int set_sslobj(PyObject *op, PyObject *value, void *Py_UNUSED(closure))
{
    CoreSSLProtocolObject *self = ours(op);
    core_state *state = self->state;
    PyObject *engine = NULL;

    if (value && (PyObject *)Py_TYPE(value) == state->ssl_object_type) {
        engine = PyObject_GetAttr(value, state->str__sslobj);
        if (!engine)
            return -1;
    }
    Py_XSETREF(self->engine, engine);
    Py_XSETREF(self->sslobj, Py_XNewRef(value));
    return 0;
}

static PyObject *get_transport(PyObject *op, void *Py_UNUSED(closure))
{
    PyObject *transport = ours(op)->transport;

    return Py_NewRef(transport ? transport : Py_None);
}

static int set_transport(PyObject *op, PyObject *value,
                         void *Py_UNUSED(closure))
{
    CoreSSLProtocolObject *self = ours(op);

    self->direct = value && core_is_socket_transport(self->state, value);
    Py_XSETREF(self->transport, Py_XNewRef(value));
    return 0;
}

static PyObject *get_backlog(PyObject *op, void *Py_UNUSED(closure))
{
    return Py_NewRef(ours(op)->backlog);
}

/* Whatever it is for asyncio, ours is a list. */
static int set_backlog(PyObject *op, PyObject *value, void *Py_UNUSED(closure))
{
    PyObject *list = value ? PySequence_List(value) : PyList_New(0);

    if (!list)
        return -1;
    Py_XSETREF(ours(op)->backlog, list);
    return 0;
}

static PyObject *get_limit(PyObject *op, void *closure)
{
    PyObject *given =
        ((struct core_ssl_limit *)((char *)op + (size_t)closure))->given;

    return given ? Py_NewRef(given) : PyLong_FromLong(0);
}

static int set_limit(PyObject *op, PyObject *value, void *closure)
{
    struct core_ssl_limit *limit =
        (struct core_ssl_limit *)((char *)op + (size_t)closure);
    double bytes = value ? PyFloat_AsDouble(value) : 0;

    if (bytes < 0 && PyErr_Occurred())
        return -1;
    limit->bytes = bytes;
    Py_XSETREF(limit->given, Py_XNewRef(value));
    return 0;
}

#define LIMIT(name, which)                                                     \
    {                                                                          \
        name, get_limit, set_limit, NULL,                                      \
            (void *)(offsetof(CoreSSLProtocolObject, limits) +                 \
                     (which) * sizeof(struct core_ssl_limit))                  \
    }

static PyGetSetDef protocol_getset[] = {
    {"_loop", get_loop, set_loop, NULL, NULL},
    {"_sslobj", get_sslobj, set_sslobj, NULL, NULL},
    {"_transport", get_transport, set_transport, NULL, NULL},
    {"_write_backlog", get_backlog, set_backlog, NULL, NULL},
    LIMIT("_outgoing_high_water", CORE_SSL_OUT_HIGH),
    LIMIT("_outgoing_low_water", CORE_SSL_OUT_LOW),
    LIMIT("_incoming_high_water", CORE_SSL_IN_HIGH),
    LIMIT("_incoming_low_water", CORE_SSL_IN_LOW),
    {0},
};

#define MEMBER(name, type, field)                                              \
    {                                                                          \
        name, type, offsetof(CoreSSLProtocolObject, field), 0, NULL            \
    }

static PyMemberDef protocol_members[] = {
    MEMBER("_app_protocol", T_OBJECT, app_protocol),
    MEMBER("_app_protocol_is_buffer", T_BOOL, app_protocol_is_buffer),
    MEMBER("_app_reading_paused", T_BOOL, app_reading_paused),
    MEMBER("_app_transport", T_OBJECT, app_transport),
    MEMBER("_app_writing_paused", T_BOOL, app_writing_paused),
    MEMBER("_extra", T_OBJECT, extra),
    MEMBER("_incoming", T_OBJECT, incoming),
    MEMBER("_outgoing", T_OBJECT, outgoing),
    MEMBER("_ssl_reading_paused", T_BOOL, ssl_reading_paused),
    MEMBER("_ssl_writing_paused", T_BOOL, ssl_writing_paused),
    MEMBER("_state", T_OBJECT, phase),
    MEMBER("_write_buffer_size", T_PYSSIZET, write_buffer_size),
    {0},
};

/* --- Its life ------------------------------------------------------------- */

static int protocol_traverse(PyObject *op, visitproc visit, void *arg)
{
    CoreSSLProtocolObject *self = ours(op);

    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->loop);
    Py_VISIT(self->app_protocol);
    Py_VISIT(self->app_transport);
    Py_VISIT(self->transport);
    Py_VISIT(self->sslobj);
    Py_VISIT(self->engine);
    Py_VISIT(self->phase);
    Py_VISIT(self->backlog);
    Py_VISIT(self->extra);
    return 0;
}

/* What is left leads nowhere, and is used without a question. */
static int protocol_clear(PyObject *op)
{
    CoreSSLProtocolObject *self = ours(op);

    self->direct = false;
    Py_CLEAR(self->app_protocol);
    Py_CLEAR(self->app_transport);
    Py_CLEAR(self->transport);
    Py_CLEAR(self->sslobj);
    Py_CLEAR(self->engine);
    Py_CLEAR(self->extra);
    return 0;
}

static void protocol_dealloc(PyObject *op)
{
    CoreSSLProtocolObject *self = ours(op);
    PyTypeObject *type = Py_TYPE(op);

    PyObject_GC_UnTrack(op);
    (void)protocol_clear(op);
    for (int i = 0; i < CORE_SSL_LIMITS; i++)
        Py_XDECREF(self->limits[i].given);
    Py_XDECREF(self->incoming);
    Py_XDECREF(self->outgoing);
    Py_XDECREF(self->phase);
    Py_XDECREF(self->backlog);
    Py_XDECREF(self->room);
    Py_XDECREF(self->loop);
    type->tp_free(op);
    Py_DECREF(type);
}

/* --- The types ------------------------------------------------------------ */

static PyObject *attribute(const char *module_name, const char *name)
{
    PyObject *module = PyImport_ImportModule(module_name);
    PyObject *found = module ? PyObject_GetAttrString(module, name) : NULL;

    Py_XDECREF(module);
    return found;
}

/* (SSLWantReadError, SSLSyscallError), as asyncio has them; and the phases. */
static int look_up(core_state *state)
{
    const char sslproto[] = "asyncio.sslproto";
    PyObject *phases = attribute(sslproto, "SSLProtocolState");
    PyObject *protocol = attribute(sslproto, "SSLProtocol");

    if (!phases)
        return -1;
    state->ssl_do_handshake = PyObject_GetAttrString(phases, "DO_HANDSHAKE");
    state->ssl_wrapped = PyObject_GetAttrString(phases, "WRAPPED");
    state->ssl_flushing = PyObject_GetAttrString(phases, "FLUSHING");
    state->ssl_shutdown = PyObject_GetAttrString(phases, "SHUTDOWN");
    Py_DECREF(phases);
    state->ssl_asks_below = PyBool_FromLong(
        protocol && PyObject_HasAttrString(protocol, "_is_transport_closing"));
    Py_XDECREF(protocol);
    state->ssl_again = attribute(sslproto, "SSLAgainErrors");
    state->ssl_object_type = attribute("ssl", "SSLObject");
    return PyErr_Occurred() ? -1 : 0;
}

static PyObject *protocol_new(PyTypeObject *type, PyObject *Py_UNUSED(args),
                              PyObject *Py_UNUSED(named))
{
    core_state *state = core_state_of(type);
    CoreSSLProtocolObject *self;

    if (!state || (!state->ssl_object_type && look_up(state) < 0))
        return NULL;
    self = (CoreSSLProtocolObject *)type->tp_alloc(type, 0);
    if (!self)
        return NULL;
    self->ops = &direct_ops;
    self->state = state;
    self->backlog = PyList_New(0);
    if (!self->backlog)
        Py_CLEAR(self);
    return (PyObject *)self;
}

static PyType_Slot protocol_slots[] = {
    {Py_tp_doc, "The part of rota's SSLProtocol that is in C."},
    {Py_tp_new, protocol_new},
    {Py_tp_traverse, protocol_traverse},
    {Py_tp_clear, protocol_clear},
    {Py_tp_dealloc, protocol_dealloc},
    {Py_tp_methods, protocol_methods},
    {Py_tp_members, protocol_members},
    {Py_tp_getset, protocol_getset},
    {0},
};

PyType_Spec core_ssl_protocol_spec = {
    .name = "rota._core.SSLProtocol",
    .basicsize = sizeof(CoreSSLProtocolObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
    .slots = protocol_slots,
};
