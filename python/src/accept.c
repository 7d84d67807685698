/* SPDX-License-Identifier: MIT */
/*
 * A server's new connections
 *
 * The listening socket has a reader, as asyncio's own code registers it; its
 * callback is here. Connections without TLS are made in C at once, where
 * asyncio makes a task for each.
 */
#include "transport.h"
#include <sys/un.h>

/* Python's socket object for a new fd, which is then its own. The flag tells
   it that the fd does not block. */
static PyObject *wrap(PyObject *listener, const rota_address *from, int fd)
{
    PyObject *sock = PyObject_CallFunction((PyObject *)Py_TYPE(listener),
                                           "iiii", from->storage.ss_family,
                                           SOCK_STREAM | SOCK_NONBLOCK, 0, fd);

    if (!sock)
        (void)rota__fd_close(fd);
    return sock;
}

static void close_quietly(PyObject *sock)
{
    PyObject *exception = core_take_exception();
    PyObject *done = PyObject_CallMethod(sock, "close", NULL);

    if (!done)
        PyErr_WriteUnraisable(sock);
    Py_XDECREF(done);
    core_give_exception(exception);
}

/* As asyncio: only debug mode tells of a factory that fails. */
static void report(LoopObject *self, PyObject *protocol)
{
    if (self->debug || core_stop_if_fatal(self))
        core_report(self, "Error on transport creation for incoming connection",
                    "protocol", protocol, NULL, NULL);
    else
        PyErr_Clear();
}

static void serve(LoopObject *self, PyObject *const *args, PyObject *sock,
                  PyObject *extra, const rota_address *peer)
{
    PyObject *protocol = PyObject_CallNoArgs(args[0]);
    PyObject *transport =
        protocol ? core_socket_transport_new(self, sock, protocol, NULL, extra,
                                             args[3], peer)
                 : NULL;

    if (!transport) {
        close_quietly(sock);
        report(self, protocol);
    }
    Py_XDECREF(transport);
    Py_XDECREF(protocol);
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

static void accepted(LoopObject *self, PyObject *const *args, int fd,
                     const rota_address *from)
{
    bool local = from->storage.ss_family == AF_UNIX;
    PyObject *sock = wrap(args[1], from, fd);
    PyObject *extra = sock && local ? name_peer(from) : NULL;

    if (!sock || PyErr_Occurred())
        report(self, NULL);
    else
        serve(self, args, sock, extra, local ? NULL : from);
    Py_XDECREF(extra);
    Py_XDECREF(sock);
}

/* TLS, a socket of another class, a lack of fds: asyncio's own. */
static PyObject *accept_slowly(LoopObject *self, PyObject *const *args,
                               Py_ssize_t count)
{
    PyObject *function = core_support(self->state, "accept_connection");
    PyObject *all[16] = {(PyObject *)self};

    if (!function || count > 15)
        return NULL;
    for (Py_ssize_t i = 0; i < count; i++)
        all[i + 1] = args[i];
    return PyObject_Vectorcall(function, all, (size_t)count + 1, NULL);
}

/* The arguments of BaseSelectorEventLoop._accept_connection: factory, socket,
   TLS's context, server, how many at once, and TLS's timeouts. */
static PyObject *accept_connections(PyObject *op, PyObject *const *args,
                                    Py_ssize_t count)
{
    LoopObject *self = (LoopObject *)op;
    long most;
    int listener;

    if (count < 5 || !Py_IsNone(args[2]) ||
        Py_TYPE(args[1]) != (PyTypeObject *)self->state->plain_socket)
        return accept_slowly(self, args, count);
    most = PyLong_AsLong(args[4]);
    listener = PyObject_AsFileDescriptor(args[1]);
    if (PyErr_Occurred())
        return NULL;
    for (long i = 0; i < most && !self->failed; i++) {
        rota_address from;
        int fd = rota__sock_accept(listener, &from);

        if (fd == -EAGAIN || fd == -ECONNABORTED)
            break;
        if (fd < 0)
            return accept_slowly(self, args, count);
        accepted(self, args, fd, &from);
    }
    if (self->failed) {
        self->failed = false;
        return NULL;
    }
    Py_RETURN_NONE;
}

PyMethodDef core_accept_methods[] = {
    {"_accept_connection", CORE_ANY(accept_connections), METH_FASTCALL, NULL},
    {0},
};
