/* SPDX-License-Identifier: MIT */
/*
 * Connecting
 *
 * sock_connect(), and what create_connection() does with each address: a
 * socket for it, which it then connects. Both are coroutines as in sock.h for
 * numeric addresses and plain sockets; all else is asyncio's own code.
 *
 * Over the loopback a TCP connection stands as soon as connect() returns,
 * though that says EINPROGRESS. create_connection() looks for that, because
 * it lets the loop turn anyway before it ends; sock_connect() always waits.
 */
#include "sock.h"
#include "transport.h"
#include <netinet/in.h>

/* --- What may be done here ------------------------------------------------ */

static PyObject *sock_connect(PyObject *op, PyObject *const *args,
                              Py_ssize_t count, PyObject *names);

bool core_is_still(PyObject *owner, PyObject *name, PyObject *object)
{
    PyObject *found = PyObject_GetAttr(owner, name);

    Py_XDECREF(found);
    PyErr_Clear();
    return found == object;
}

/* Tools and tests put their own in the place of sockets, and proxies a
   connect() of theirs. */
static bool connects_plainly(core_state *state)
{
    return core_is_still(state->plain_socket, state->str_connect,
                         state->socket_connect);
}

bool core_sees_plain_sockets(core_state *state)
{
    return PyDict_GetItemWithError(state->base_events, state->str_socket) ==
           state->sockets;
}

static bool is_own_sock_connect(LoopObject *self)
{
    PyObject *found =
        PyObject_GetAttr((PyObject *)self, self->state->str_sock_connect);
    bool own = found && PyCFunction_CheckExact(found) &&
               PyCFunction_GET_FUNCTION(found) == CORE_ANY(sock_connect) &&
               PyCFunction_GET_SELF(found) == (PyObject *)self;

    Py_XDECREF(found);
    PyErr_Clear();
    return own;
}

/* What asyncio resolves without the system's resolver. */
static bool is_usual(long family, long type, long protocol)
{
    return (family == AF_INET || family == AF_INET6) &&
           (type == SOCK_STREAM || type == SOCK_DGRAM) &&
           (protocol == 0 || protocol == IPPROTO_TCP ||
            protocol == IPPROTO_UDP);
}

static bool is_non_blocking(core_state *state, PyObject *sock)
{
    PyObject *timeout = PyObject_CallMethodNoArgs(sock, state->str_gettimeout);
    bool zero = timeout && PyFloat_CheckExact(timeout) &&
                !(PyFloat_AS_DOUBLE(timeout) > 0);

    Py_XDECREF(timeout);
    PyErr_Clear();
    return zero;
}

static bool is_simple(core_state *state, PyObject *sock, PyObject *address)
{
    long family;
    rota_address to;

    if (Py_TYPE(sock) != (PyTypeObject *)state->plain_socket ||
        !connects_plainly(state) || !is_non_blocking(state, sock))
        return false;
    family = core_number_of_socket(state->socket_family, sock);
    return family == AF_UNIX ||
           (is_usual(family, core_number_of_socket(state->socket_kind, sock),
                     core_number_of_socket(state->socket_proto, sock)) &&
            core_address_parse(address, (int)family, &to));
}

/* --- The calls ------------------------------------------------------------ */

/* Errors by which Python says that a connection is being made. */
static bool is_under_way(int err)
{
    return err == -EINPROGRESS || err == -EAGAIN || err == -EALREADY ||
           err == -EINTR;
}

static enum sock_outcome begin(SockCallObject *call)
{
    PyObject *sock = call->args[0], *address = call->args[1], *none = NULL;
    core_state *state = call->loop->state;
    enum sock_outcome outcome;
    rota_address to;
    int err;

    call->begun = true;
    if (!core_address_parse(address, core_family_of_socket(state, sock), &to)) {
        outcome =
            core_sock_call_method(state->str_connect, call->args, 2, &none);
        Py_XDECREF(none);
        return outcome;
    }
    if (PySys_Audit("socket.connect", "OO", sock, address) < 0)
        return SOCK_FAILED;
    err = rota__socket_connect(core_fd_of_socket(state, sock), &to);
    if (is_under_way(err))
        return SOCK_WOULD_BLOCK;
    if (err < 0)
        (void)core_raise(err);
    return err < 0 ? SOCK_FAILED : SOCK_DONE;
}

/* The address as asyncio has it when it has resolved it. */
static PyObject *resolved(PyObject *address, int family)
{
    rota_address to;

    if (family == AF_INET6 && core_address_parse(address, family, &to))
        return core_address_object(&to);
    return Py_NewRef(address);
}

static void raise_failed(SockCallObject *call, int err)
{
    PyObject *sock = call->args[0];
    PyObject *address =
        resolved(call->args[1], core_family_of_socket(call->loop->state, sock));
    PyObject *text =
        address ? PyUnicode_FromFormat("Connect call failed %S", address)
                : NULL;
    PyObject *exception =
        text ? PyObject_CallFunction(PyExc_OSError, "iO", -err, text) : NULL;

    if (exception)
        PyErr_SetObject((PyObject *)Py_TYPE(exception), exception);
    Py_XDECREF(exception);
    Py_XDECREF(text);
    Py_XDECREF(address);
}

/* Of one that had to wait. */
static enum sock_outcome finish(SockCallObject *call)
{
    int fd = core_fd_of_socket(call->loop->state, call->args[0]);
    int err;

    if (fd < 0) {
        if (!PyErr_Occurred())
            (void)core_raise(-EBADF);
        return SOCK_FAILED;
    }
    err = rota__socket_error(fd);
    if (err == 0)
        return SOCK_DONE;
    if (is_under_way(err))
        return SOCK_WOULD_BLOCK;
    raise_failed(call, err);
    return SOCK_FAILED;
}

static enum sock_outcome make_connect(SockCallObject *call, PyObject **out)
{
    enum sock_outcome outcome = call->begun ? finish(call) : begin(call);

    if (outcome == SOCK_DONE)
        *out = Py_NewRef(Py_None);
    return outcome;
}

static const struct sock_kind connect_kind = {
    .name = "sock_connect",
    .args = {"sock", "address"},
    .needed = 2,
    .writing = true,
    .any_time = true,
    .make = make_connect,
    .apart = true,
};

static PyObject *sock_connect(PyObject *op, PyObject *const *args,
                              Py_ssize_t count, PyObject *names)
{
    LoopObject *self = (LoopObject *)op;
    PyObject *values[SOCK_MOST_ARGS] = {NULL};

    if (!core_parse_args("sock_connect", connect_kind.args, 2, args, count,
                         names, values))
        return NULL;
    if (is_simple(self->state, values[0], values[1]))
        return core_sock_call_make(self, &connect_kind, values);
    return core_asyncios(self, "sock_connect", args, count, names);
}

/* --- A socket and its connection -------------------------------------------
 */

/* The connection may stand already. */
static bool stands(const SockCallObject *call)
{
    rota_address peer;
    int fd = core_fd_of_socket(call->loop->state, call->args[0]);

    return fd >= 0 && rota__socket_peer(fd, &peer) == 0;
}

static enum sock_outcome make_connected(SockCallObject *call, PyObject **out)
{
    bool first = !call->begun;
    enum sock_outcome outcome = first ? begin(call) : finish(call);

    if (first && outcome == SOCK_WOULD_BLOCK && stands(call))
        outcome = SOCK_DONE;
    if (outcome == SOCK_DONE)
        *out = Py_NewRef(call->args[0]);
    return outcome;
}

void core_close_too(core_state *state, PyObject *thing)
{
    PyObject *exception = core_take_exception(), *raised;
    PyObject *done = PyObject_CallMethodNoArgs(thing, state->str_close);

    if (!done && exception) {
        raised = core_take_exception();
        PyException_SetContext(raised, exception);
        exception = raised;
    }
    if (exception)
        core_give_exception(exception);
    Py_XDECREF(done);
}

/* args[2] collects what went wrong with this address. */
static void undo_connected(SockCallObject *call)
{
    PyObject *exception = core_take_exception();

    if (exception &&
        PyObject_TypeCheck(exception, (PyTypeObject *)PyExc_OSError) &&
        PyList_Append(call->args[2], exception) < 0)
        PyErr_Clear();
    core_give_exception(exception);
    core_close_too(call->loop->state, call->args[0]);
}

static const struct sock_kind connected_kind = {
    .name = "_connect_sock",
    .writing = true,
    .any_time = true,
    .make = make_connected,
    .apart = true,
    .undo = undo_connected,
};

/* A new socket for one of getaddrinfo()'s answers; NULL, and perhaps an
   exception, for what asyncio's own code must see to. */
static PyObject *new_socket(core_state *state, PyObject *info)
{
    long number[3];
    rota_address to;

    if (!PyTuple_CheckExact(info) || PyTuple_GET_SIZE(info) != 5)
        return NULL;
    for (int i = 0; i < 3; i++) {
        number[i] = PyLong_Check(PyTuple_GET_ITEM(info, i))
                        ? PyLong_AsLong(PyTuple_GET_ITEM(info, i))
                        : -1;
        if (number[i] < 0 || number[i] > INT_MAX)
            return NULL;
    }
    if (number[1] != SOCK_STREAM ||
        !is_usual(number[0], number[1], number[2]) ||
        !core_address_parse(PyTuple_GET_ITEM(info, 4), (int)number[0], &to))
        return NULL;
    return PyObject_CallFunction(state->plain_socket, "iii", (int)number[0],
                                 SOCK_STREAM | SOCK_NONBLOCK, (int)number[2]);
}

static PyObject *connect_new(LoopObject *self, PyObject *all, PyObject *sock,
                             PyObject *address)
{
    PyObject *failures = PyList_New(0);
    PyObject *values[SOCK_MOST_ARGS] = {sock, address, failures};
    PyObject *call = NULL;

    if (failures && PyList_Append(all, failures) == 0)
        call = core_sock_call_make(self, &connected_kind, values);
    Py_XDECREF(failures);
    return call;
}

/* _connect_sock(all exceptions, info, local infos) */
static PyObject *connect_sock(PyObject *op, PyObject *const *args,
                              Py_ssize_t count, PyObject *names)
{
    LoopObject *self = (LoopObject *)op;
    PyObject *sock = NULL, *call;

    if (!names && (count == 2 || count == 3) && PyList_CheckExact(args[0]) &&
        (count == 2 || Py_IsNone(args[2])) && !self->debug &&
        core_sees_plain_sockets(self->state) &&
        core_is_still(self->state->sockets, self->state->str_socket,
                      self->state->plain_socket) &&
        connects_plainly(self->state) && is_own_sock_connect(self))
        sock = new_socket(self->state, args[1]);
    if (sock) {
        call = connect_new(self, args[0], sock, PyTuple_GET_ITEM(args[1], 4));
        Py_DECREF(sock);
        return call;
    }
    if (PyErr_Occurred() && !PyErr_ExceptionMatches(PyExc_OSError) &&
        !PyErr_ExceptionMatches(PyExc_OverflowError))
        return NULL;
    PyErr_Clear(); /* asyncio's meets it again */
    return core_asyncios(self, "connect_sock", args, count, names);
}

/* --- Its transport ---------------------------------------------------------
 */

/* The protocol, its transport, and who waits for connection_made(). */
static bool make_pair(SockCallObject *call)
{
    LoopObject *loop = call->loop;
    PyObject *sock = call->args[0];
    PyObject *protocol, *transport = NULL;

    protocol = PyObject_CallNoArgs(call->args[1]);
    if (protocol)
        call->future = PyObject_CallMethodNoArgs(
            (PyObject *)loop, loop->state->str_create_future);
    if (call->future && core_open_loop((PyObject *)loop))
        transport = core_socket_transport_new(loop, sock, protocol,
                                              call->future, NULL, NULL, NULL);
    if (transport)
        call->result = PyTuple_Pack(2, transport, protocol);
    Py_XDECREF(transport);
    Py_XDECREF(protocol);
    return call->result != NULL;
}

/* Its result is there before its future is. */
static enum sock_outcome make_transport(SockCallObject *call,
                                        PyObject **Py_UNUSED(out))
{
    core_state *state = call->loop->state;
    PyObject *done;

    call->begun = true;
    if (!is_non_blocking(state, call->args[0])) {
        done = PyObject_CallMethodOneArg(call->args[0], state->str_setblocking,
                                         Py_False);
        Py_XDECREF(done);
        if (!done)
            return SOCK_FAILED;
    }
    return make_pair(call) ? SOCK_WOULD_BLOCK : SOCK_FAILED;
}

/* Until Python 3.14 a socket that gets no transport is left to its maker. */
static PyObject *what_to_close(const SockCallObject *call)
{
    if (call->result)
        return PyTuple_GET_ITEM(call->result, 0);
    if (PY_VERSION_HEX >= 0x030e0000 && call->begun)
        return call->args[0];
    return NULL;
}

static void undo_transport(SockCallObject *call)
{
    PyObject *closed = what_to_close(call);

    if (closed)
        core_close_too(call->loop->state, closed);
}

static const struct sock_kind transport_kind = {
    .name = "_create_connection_transport",
    .make = make_transport,
    .undo = undo_transport,
};

/* (sock, protocol factory, ssl, server's name), and what is only for TLS. */
static PyObject *create_connection_transport(PyObject *op,
                                             PyObject *const *args,
                                             Py_ssize_t count, PyObject *names)
{
    LoopObject *self = (LoopObject *)op;
    PyObject *values[SOCK_MOST_ARGS] = {NULL};

    if (count != 4 ||
        Py_TYPE(args[0]) != (PyTypeObject *)self->state->plain_socket ||
        !(Py_IsNone(args[2]) || Py_IsFalse(args[2])) || self->debug)
        return core_asyncios(self, "create_connection_transport", args, count,
                             names);
    values[0] = args[0];
    values[1] = args[1];
    return core_sock_call_make(self, &transport_kind, values);
}

PyMethodDef core_connect_methods[] = {
    {"sock_connect", CORE_ANY(sock_connect), METH_FASTCALL | METH_KEYWORDS,
     "sock_connect($self, sock, address)\n--\n\n"
     "Connect a socket to an address; a host's name is looked up first."},
    {"_connect_sock", CORE_ANY(connect_sock), METH_FASTCALL | METH_KEYWORDS,
     NULL},
    {"_create_connection_transport", CORE_ANY(create_connection_transport),
     METH_FASTCALL | METH_KEYWORDS, NULL},
    {0},
};
