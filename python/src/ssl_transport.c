/* SPDX-License-Identifier: MIT */
/*
 * TLS: the transport that the application has
 *
 * What a program calls while data flows. The rest is asyncio's own
 * _SSLProtocolTransport, from which the class in rota/_tls.py derives, too.
 */
#include "ssl_protocol.h"
#include <structmember.h>

/* asyncio's _FlowControlMixin has these slots: _extra, and four of its own,
   of which only _loop is used, by asyncio's code. */
typedef struct {
    CORE_TRANSPORT_HEAD;
    PyObject *flow[4];
    CoreSSLProtocolObject *protocol; /* NULL: closed twice, as in asyncio */
    bool closed;
} SSLTransportObject;

/* Its protocol, or NULL with what asyncio raises. */
static CoreSSLProtocolObject *protocol_of(PyObject *op, const char *wanted)
{
    CoreSSLProtocolObject *protocol = ((SSLTransportObject *)op)->protocol;

    if (rota__unlikely(!protocol))
        PyErr_Format(PyExc_AttributeError,
                     "'NoneType' object has no attribute '%s'", wanted);
    return protocol;
}

/* --- Writing -------------------------------------------------------------- */

/* 1: bytes-like and not empty, 0: empty, or -1 with an exception. */
static int check_data(PyObject *data)
{
    PyObject *name;

    if (PyBytes_Check(data))
        return PyBytes_GET_SIZE(data) > 0;
    if (PyByteArray_Check(data))
        return PyByteArray_GET_SIZE(data) > 0;
    if (PyMemoryView_Check(data))
        return PyObject_IsTrue(data);
    name = PyType_GetName(Py_TYPE(data));
    if (name)
        PyErr_Format(PyExc_TypeError,
                     "data: expecting a bytes-like instance, got %U", name);
    Py_XDECREF(name);
    return -1;
}

/* What writing calls may close us, twice. */
static PyObject *write_by(PyObject *op, PyObject *data,
                          int (*write)(CoreSSLProtocolObject *, PyObject *))
{
    CoreSSLProtocolObject *protocol = protocol_of(op, "_write_appdata");
    int result;

    if (!protocol)
        return NULL;
    Py_INCREF(protocol);
    result = write(protocol, data);
    Py_DECREF(protocol);
    return result < 0 ? NULL : Py_NewRef(Py_None);
}

static PyObject *transport_write(PyObject *op, PyObject *data)
{
    int some = check_data(data);

    if (some < 0)
        return NULL;
    if (some == 0)
        Py_RETURN_NONE;
    return write_by(op, data, core_ssl_write);
}

static PyObject *transport_writelines(PyObject *op, PyObject *list)
{
    return write_by(op, list, core_ssl_write_many);
}

static PyObject *get_write_buffer_size(PyObject *op, PyObject *Py_UNUSED(none))
{
    CoreSSLProtocolObject *protocol = protocol_of(op, "_get_write_buffer_size");
    Py_ssize_t pending =
        protocol ? core_ssl_pending(protocol, protocol->outgoing) : -1;

    return pending < 0
               ? NULL
               : PyLong_FromSsize_t(pending + protocol->write_buffer_size);
}

static PyObject *is_closing(PyObject *op, PyObject *Py_UNUSED(none))
{
    SSLTransportObject *self = (SSLTransportObject *)op;
    CoreSSLProtocolObject *protocol;

    if (self->closed)
        Py_RETURN_TRUE;
    protocol = protocol_of(op, "_is_transport_closing");
    if (!protocol)
        return NULL;
    if (core_is_none(protocol->transport) ||
        !Py_IsTrue(protocol->state->ssl_asks_below))
        Py_RETURN_FALSE;
    return PyObject_CallMethodNoArgs(protocol->transport,
                                     protocol->state->str_is_closing);
}

/* --- Reading -------------------------------------------------------------- */

static PyObject *is_reading(PyObject *op, PyObject *Py_UNUSED(none))
{
    CoreSSLProtocolObject *protocol = protocol_of(op, "_app_reading_paused");

    return protocol ? PyBool_FromLong(!protocol->app_reading_paused) : NULL;
}

static PyObject *pause_reading(PyObject *op, PyObject *Py_UNUSED(none))
{
    CoreSSLProtocolObject *protocol = protocol_of(op, "_pause_reading");

    if (!protocol)
        return NULL;
    protocol->app_reading_paused = true;
    Py_RETURN_NONE;
}

static PyObject *resume_reading(PyObject *op, PyObject *Py_UNUSED(none))
{
    CoreSSLProtocolObject *protocol = protocol_of(op, "_resume_reading");

    if (!protocol || core_ssl_resume_reading(protocol) < 0)
        return NULL;
    Py_RETURN_NONE;
}

/* --- What it is ----------------------------------------------------------- */

static PyObject *get_extra_info(PyObject *op, PyObject *args, PyObject *named)
{
    static char *names[] = {"name", "default", NULL};
    CoreSSLProtocolObject *protocol = protocol_of(op, "_get_extra_info");
    PyObject *name, *otherwise = Py_None, *found;

    if (!protocol ||
        !PyArg_ParseTupleAndKeywords(args, named, "O|O:get_extra_info", names,
                                     &name, &otherwise))
        return NULL;
    found =
        protocol->extra ? PyDict_GetItemWithError(protocol->extra, name) : NULL;
    if (found || PyErr_Occurred())
        return Py_XNewRef(found);
    if (core_is_none(protocol->transport))
        return Py_NewRef(otherwise);
    return PyObject_CallMethodObjArgs(protocol->transport,
                                      protocol->state->str_get_extra_info, name,
                                      otherwise, NULL);
}

static PyObject *get_protocol(PyObject *op, PyObject *Py_UNUSED(none))
{
    CoreSSLProtocolObject *protocol = protocol_of(op, "_app_protocol");

    if (!protocol)
        return NULL;
    return Py_NewRef(protocol->app_protocol ? protocol->app_protocol : Py_None);
}

static PyMethodDef transport_methods[] = {
    {"write", transport_write, METH_O,
     "write($self, data, /)\n--\n\n"
     "Encrypt the bytes and send them; what cannot be sent yet is buffered."},
    {"writelines", transport_writelines, METH_O,
     "writelines($self, list_of_data, /)\n--\n\n"
     "Write all bytes of an iterable."},
    {"get_write_buffer_size", get_write_buffer_size, METH_NOARGS,
     "get_write_buffer_size($self, /)\n--\n\n"
     "Return how many bytes are buffered."},
    {"is_closing", is_closing, METH_NOARGS,
     "is_closing($self, /)\n--\n\n"
     "Return True if the transport is closed or being closed."},
    {"is_reading", is_reading, METH_NOARGS,
     "is_reading($self, /)\n--\n\n"
     "Return False while reading is paused."},
    {"pause_reading", pause_reading, METH_NOARGS,
     "pause_reading($self, /)\n--\n\n"
     "Pass nothing to the protocol until resume_reading()."},
    {"resume_reading", resume_reading, METH_NOARGS,
     "resume_reading($self, /)\n--\n\n"
     "End what pause_reading() began."},
    {"get_extra_info", CORE_ANY(get_extra_info), METH_VARARGS | METH_KEYWORDS,
     "get_extra_info($self, name, default=None)\n--\n\n"
     "Return what is known about the connection: see asyncio."},
    {"get_protocol", get_protocol, METH_NOARGS,
     "get_protocol($self, /)\n--\n\n"
     "Return the protocol."},
    {0},
};

/* --- Its life ------------------------------------------------------------- */

static PyObject *get_ssl_protocol(PyObject *op, void *Py_UNUSED(closure))
{
    PyObject *protocol = (PyObject *)((SSLTransportObject *)op)->protocol;

    return Py_NewRef(protocol ? protocol : Py_None);
}

static int set_ssl_protocol(PyObject *op, PyObject *value,
                            void *Py_UNUSED(closure))
{
    SSLTransportObject *self = (SSLTransportObject *)op;
    core_state *state = core_state_of(Py_TYPE(op));

    if (!state)
        return -1;
    if (core_is_none(value)) {
        Py_CLEAR(self->protocol);
        return 0;
    }
    if (!PyObject_TypeCheck(value, (PyTypeObject *)state->ssl_protocol_type)) {
        PyErr_SetString(PyExc_TypeError, "the protocol must be rota's own");
        return -1;
    }
    Py_XSETREF(self->protocol, (CoreSSLProtocolObject *)Py_NewRef(value));
    return 0;
}

static int transport_traverse(PyObject *op, visitproc visit, void *arg)
{
    SSLTransportObject *self = (SSLTransportObject *)op;

    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->extra);
    for (size_t i = 0; i < rota__countof(self->flow); i++)
        Py_VISIT(self->flow[i]);
    Py_VISIT(self->protocol);
    return 0;
}

static int transport_clear(PyObject *op)
{
    SSLTransportObject *self = (SSLTransportObject *)op;

    Py_CLEAR(self->extra);
    for (size_t i = 0; i < rota__countof(self->flow); i++)
        Py_CLEAR(self->flow[i]);
    Py_CLEAR(self->protocol);
    return 0;
}

static void transport_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);

    PyObject_GC_UnTrack(op);
    (void)transport_clear(op);
    type->tp_free(op);
    Py_DECREF(type);
}

static PyMemberDef transport_members[] = {
    {"_closed", T_BOOL, offsetof(SSLTransportObject, closed), 0, NULL},
    {0},
};

static PyGetSetDef transport_getset[] = {
    {"_ssl_protocol", get_ssl_protocol, set_ssl_protocol, NULL, NULL},
    {0},
};

static PyType_Slot transport_slots[] = {
    {Py_tp_doc, "The part of rota's SSLTransport that is in C."},
    {Py_tp_traverse, transport_traverse},
    {Py_tp_clear, transport_clear},
    {Py_tp_dealloc, transport_dealloc},
    {Py_tp_methods, transport_methods},
    {Py_tp_members, transport_members},
    {Py_tp_getset, transport_getset},
    {0},
};

PyType_Spec core_ssl_transport_spec = {
    .name = "rota._core.SSLTransport",
    .basicsize = sizeof(SSLTransportObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
    .slots = transport_slots,
};
