/* SPDX-License-Identifier: MIT */
/*
 * A server's new connections
 *
 * The listening socket has a reader, as asyncio's own code registers it; its
 * callback is here. It accepts all that wait, and then serves them: what the
 * application does meanwhile, closing the server even, cannot lose one.
 * Connections without TLS are made in C at once, each in a context of its own,
 * where asyncio makes a task for each.
 */
#include "transport.h"
#include <sys/un.h>

#if PY_VERSION_HEX < 0x030e0000
#define MORE 0
#define GOES_ON(error) false
#else
#define MORE 1 /* than the backlog are accepted */
#define GOES_ON(error) ((error) == -ECONNABORTED)
#endif

struct newcomer {
    int fd;
    rota_address from;
};

/* What one round has accepted, and how it is served. */
struct newcomers {
    struct newcomer *items;
    size_t count, room;
    PyObject *factory, *server;
    int type, protocol; /* of their sockets */
    PyObject *error;    /* that the round ends with, or NULL */
};

/* --- Accepting ------------------------------------------------------------ */

static struct newcomer *make_room(struct newcomers *all)
{
    size_t room = all->room ? 2 * all->room : 8;
    struct newcomer *items = all->items;

    if (all->count == all->room) {
        items = PyMem_Realloc(items, room * sizeof *items);
        if (!items)
            return NULL;
        all->items = items;
        all->room = room;
    }
    return &items[all->count];
}

/* 0, or the error that ended it. Nothing of Python's runs. */
static int accept_all(struct newcomers *all, int listener, long most)
{
    for (long i = 0; i < most; i++) {
        struct newcomer *it = make_room(all);

        if (!it)
            return -ENOMEM;
        it->fd = rota__sock_accept(listener, &it->from);
        if (it->fd >= 0)
            all->count++;
        else if (!GOES_ON(it->fd))
            return it->fd;
    }
    return 0;
}

/* --- Serving -------------------------------------------------------------- */

/* asyncio tells of it in debug mode only, where its own code serves. */
static void failed(struct newcomers *all)
{
    if (core_is_fatal() && !all->error)
        all->error = core_take_exception();
    PyErr_Clear();
}

/* Python's socket object for a new fd, which is then its own. The flag tells
   it that the fd does not block. */
static PyObject *wrap(LoopObject *self, const struct newcomers *all,
                      const struct newcomer *it)
{
    PyObject *sock = PyObject_CallFunction(
        self->state->plain_socket, "iiii", it->from.storage.ss_family,
        all->type | SOCK_NONBLOCK, all->protocol, it->fd);

    if (!sock)
        (void)rota__fd_close(it->fd);
    return sock;
}

/* Of a Unix socket, whose peer may be gone already. */
static PyObject *name_peer(const rota_address *from)
{
    PyObject *name = from->size > offsetof(struct sockaddr_un, sun_path)
                         ? core_address_object(from)
                         : PyUnicode_FromString("");
    PyObject *extra = name ? Py_BuildValue("{sO}", "peername", name) : NULL;

    Py_XDECREF(name);
    return extra;
}

/* 0, or -1 with an exception. */
static int make_transport(LoopObject *self, const struct newcomers *all,
                          PyObject *sock, const rota_address *from)
{
    bool local = from->storage.ss_family == AF_UNIX;
    PyObject *extra = local ? name_peer(from) : NULL;
    PyObject *protocol =
        local && !extra ? NULL : PyObject_CallNoArgs(all->factory);
    PyObject *transport =
        protocol ? core_socket_transport_new(self, sock, protocol, NULL, extra,
                                             all->server, local ? NULL : from)
                 : NULL;

    Py_XDECREF(protocol);
    Py_XDECREF(extra);
    Py_XDECREF(transport);
    return transport ? 0 : -1;
}

static void serve(LoopObject *self, struct newcomers *all,
                  const struct newcomer *it)
{
    PyObject *sock = wrap(self, all, it);
    PyObject *context = sock ? PyContext_CopyCurrent() : NULL;
    int err = -1;

    if (context && PyContext_Enter(context) == 0) {
        err = make_transport(self, all, sock, &it->from);
        core_leave_context(context);
        context = NULL;
    }
    if (err < 0 && sock)
        core_close_too(self->state, sock);
    if (err < 0)
        failed(all);
    Py_XDECREF(context);
    Py_XDECREF(sock);
}

/* --- A round -------------------------------------------------------------- */

/* TLS, debug mode, an unusual socket, a lack of fds: asyncio's own. */
static PyObject *accept_slowly(LoopObject *self, PyObject *const *args,
                               Py_ssize_t count)
{
    return core_asyncios(self, "accept_connection", args, count, NULL);
}

static bool is_plain(LoopObject *self, PyObject *listener)
{
    core_state *state = self->state;

    return Py_TYPE(listener) == (PyTypeObject *)state->plain_socket &&
           core_address_known(core_family_of_socket(state, listener));
}

/* The arguments of BaseSelectorEventLoop._accept_connection: factory, socket,
   TLS's context, server, how many at once, and TLS's timeouts. */
static PyObject *accept_connections(PyObject *op, PyObject *const *args,
                                    Py_ssize_t count)
{
    LoopObject *self = (LoopObject *)op;
    core_state *state = self->state;
    struct newcomers all = {0};
    PyObject *result;
    long most;
    int err;

    if (count < 5 || !Py_IsNone(args[2]) || self->debug ||
        !is_plain(self, args[1]))
        return accept_slowly(self, args, count);
    most = PyLong_AsLong(args[4]);
    if (most == -1 && PyErr_Occurred())
        return NULL;
    all.factory = args[0];
    all.server = args[3];
    all.type = (int)core_number_of_socket(state->socket_kind, args[1]);
    all.protocol = (int)core_number_of_socket(state->socket_proto, args[1]);
    err = accept_all(&all, core_fd_of_socket(state, args[1]), most + MORE);
    result = err == 0 || err == -EAGAIN || err == -ECONNABORTED
                 ? Py_NewRef(Py_None)
                 : accept_slowly(self, args, count);
    if (!result)
        all.error = core_take_exception();
    for (size_t i = 0; i < all.count; i++)
        serve(self, &all, &all.items[i]);
    PyMem_Free(all.items);
    if (all.error) {
        Py_CLEAR(result);
        core_give_exception(all.error);
    }
    return result;
}

PyMethodDef core_accept_methods[] = {
    {"_accept_connection", CORE_ANY(accept_connections), METH_FASTCALL, NULL},
    {0},
};
