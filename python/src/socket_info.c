/* SPDX-License-Identifier: MIT */
/*
 * What get_extra_info() of a socket's transport knows
 *
 * The names of both ends are learnt when the transport is made, in the
 * system's form; Python's objects (the dict, the tuples, the TransportSocket)
 * are made when somebody asks.
 */
#include "socket_transport.h"

static void keep_in(SocketTransportObject *self, enum core_end end,
                    const rota_address *address)
{
    const struct sockaddr_in *name = (const void *)&address->storage;

    self->names.in.hosts[end] = name->sin_addr.s_addr;
    self->names.in.ports[end] = name->sin_port;
}

/* False for names that are not kept so: of a Unix socket, or of nothing. */
static bool keep(SocketTransportObject *self, const rota_address *local,
                 const rota_address *peer)
{
    sa_family_t family = local->storage.ss_family;

    if (local->size == 0 || family != peer->storage.ss_family)
        return false;
    if (family == AF_INET) {
        keep_in(self, CORE_LOCAL, local);
        keep_in(self, CORE_PEER, peer);
    } else if (family == AF_INET6) {
        struct sockaddr_in6 *both = rota__alloc(CORE_ENDS * sizeof *both);

        if (!both)
            return false;
        memcpy(&both[CORE_LOCAL], &local->storage, sizeof *both);
        memcpy(&both[CORE_PEER], &peer->storage, sizeof *both);
        self->names.in6 = both;
    } else {
        return false;
    }
    self->named = (unsigned char)family;
    return true;
}

void core_socket_forget_names(SocketTransportObject *self)
{
    if (self->named == AF_INET6)
        rota__free(self->names.in6);
    self->named = 0;
}

static PyObject *name_of(const SocketTransportObject *self, enum core_end end)
{
    rota_address address = {.size = sizeof(struct sockaddr_in6)};
    struct sockaddr_in *name = (void *)&address.storage;

    if (self->named == AF_INET6) {
        memcpy(&address.storage, &self->names.in6[end], address.size);
    } else {
        address.size = sizeof *name;
        name->sin_family = AF_INET;
        name->sin_addr.s_addr = self->names.in.hosts[end];
        name->sin_port = self->names.in.ports[end];
    }
    return core_address_object(&address);
}

/* With names that were not kept: the socket is asked. */
static int fill_at_once(SocketTransportObject *self, PyObject *extra)
{
    PyObject *function = core_support(self->loop->state, "socket_extra");
    PyObject *full =
        function ? PyObject_CallFunctionObjArgs(
                       function, extra ? extra : Py_None, self->sock, NULL)
                 : NULL;

    if (!full)
        return -1;
    Py_XSETREF(self->extra, full);
    return 0;
}

int core_socket_learn_names(SocketTransportObject *self, int fd,
                            PyObject *extra, const rota_address *peer)
{
    rota_address local = {0}, remote;
    int family = AF_UNSPEC;

    if (rota__socket_local(fd, &local) == 0)
        family = local.storage.ss_family;
    if (!peer && rota__socket_peer(fd, &remote) == 0)
        peer = &remote;
    if (extra && !Py_IsNone(extra))
        self->extra = Py_NewRef(extra);
    if (peer && keep(self, &local, peer))
        return family;
    return fill_at_once(self, self->extra) < 0 ? -1 : family;
}

static int fill(SocketTransportObject *self)
{
    PyObject *function, *peer, *local, *full = NULL;

    if (self->named == 0)
        return 0;
    function = core_support(self->loop->state, "named_extra");
    peer = name_of(self, CORE_PEER);
    local = name_of(self, CORE_LOCAL);
    if (function && peer && local)
        full = PyObject_CallFunctionObjArgs(
            function, self->extra ? self->extra : Py_None,
            self->sock ? self->sock : Py_None, local, peer, NULL);
    Py_XDECREF(peer);
    Py_XDECREF(local);
    if (!full)
        return -1;
    Py_XSETREF(self->extra, full);
    core_socket_forget_names(self);
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
    core_socket_flush(self); /* its socket may be used at once */
    if (core_failed(self->loop))
        return NULL;
    found = PyDict_GetItemWithError(self->extra, name);
    if (!found && PyErr_Occurred())
        return NULL;
    return Py_NewRef(found ? found : otherwise);
}

PyMethodDef core_socket_info_methods[] = {
    {"get_extra_info", CORE_ANY(get_extra_info), METH_VARARGS | METH_KEYWORDS,
     "get_extra_info($self, name, default=None)\n--\n\n"
     "Return what is known by a name ('peername', 'socket', ...)."},
    {0},
};
