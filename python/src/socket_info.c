/* SPDX-License-Identifier: MIT */
/*
 * What get_extra_info() of a socket's transport knows
 *
 * The names of both ends are learnt when the transport is made, in the
 * system's form; Python's objects (the dict, the tuples, the TransportSocket)
 * are made when somebody asks.
 */
#include "socket_transport.h"

/* False for a name that is not kept so: of a Unix socket, or of nothing. */
static bool keep(struct core_name *name, const rota_address *address)
{
    if (address->size == 0 || address->size > sizeof name->bytes ||
        address->storage.ss_family == AF_UNIX)
        return false;
    memcpy(name->bytes, &address->storage, address->size);
    name->size = (unsigned char)address->size;
    return true;
}

static PyObject *object_of(const struct core_name *name)
{
    rota_address address;

    if (name->size == 0)
        Py_RETURN_NONE;
    memset(&address, 0, sizeof address);
    memcpy(&address.storage, name->bytes, name->size);
    address.size = name->size;
    return core_address_object(&address);
}

/* With names that were not kept: the socket is asked. */
static int fill_at_once(SocketTransportObject *self, PyObject *extra)
{
    PyObject *function = core_support(self->loop->state, "socket_extra");
    PyObject *full =
        function ? PyObject_CallFunctionObjArgs(
                       function, extra ? extra : Py_None, self->file, NULL)
                 : NULL;

    if (!full)
        return -1;
    Py_XSETREF(self->extra, full);
    self->extra_full = true;
    return 0;
}

int core_socket_learn_names(SocketTransportObject *self, int fd,
                            PyObject *extra, const rota_address *peer)
{
    rota_address local, remote;
    int family = AF_UNSPEC;

    if (rota__socket_local(fd, &local) == 0)
        family = local.storage.ss_family;
    if (!peer && rota__socket_peer(fd, &remote) == 0)
        peer = &remote;
    if (extra && !Py_IsNone(extra))
        self->extra = Py_NewRef(extra);
    if (peer && keep(&self->peer, peer) && keep(&self->local, &local))
        return family;
    return fill_at_once(self, self->extra) < 0 ? -1 : family;
}

static int fill(SocketTransportObject *self)
{
    PyObject *function, *peer, *local, *full = NULL;

    if (self->extra_full)
        return 0;
    function = core_support(self->loop->state, "named_extra");
    peer = object_of(&self->peer);
    local = object_of(&self->local);
    if (function && peer && local)
        full = PyObject_CallFunctionObjArgs(
            function, self->extra ? self->extra : Py_None,
            self->file ? self->file : Py_None, local, peer, NULL);
    Py_XDECREF(peer);
    Py_XDECREF(local);
    if (!full)
        return -1;
    Py_XSETREF(self->extra, full);
    self->extra_full = true;
    return 0;
}

PyObject *core_socket_get_extra(PyObject *op, void *Py_UNUSED(closure))
{
    SocketTransportObject *self = (SocketTransportObject *)op;

    return fill(self) < 0 ? NULL : Py_NewRef(self->extra);
}

static PyObject *get_extra_info(PyObject *op, PyObject *args, PyObject *named)
{
    static char *names[] = {"name", "default", NULL};
    SocketTransportObject *self = (SocketTransportObject *)op;
    PyObject *name, *otherwise = Py_None, *found;

    if (!PyArg_ParseTupleAndKeywords(args, named, "O|O", names, &name,
                                     &otherwise) ||
        fill(self) < 0)
        return NULL;
    found = PyDict_GetItemWithError(self->extra, name);
    if (!found && PyErr_Occurred())
        return NULL;
    return Py_NewRef(found ? found : otherwise);
}

PyMethodDef core_socket_info_methods[] = {
    {"get_extra_info", CORE_ANY(get_extra_info), METH_VARARGS | METH_KEYWORDS,
     "Return what is known by a name ('peername', 'socket', ...)."},
    {0},
};
