/* SPDX-License-Identifier: MIT */
/*
 * sock_*: the system calls, and the methods of the loop
 *
 * A socket.socket's fd is used directly, and then no call blocks, whatever the
 * socket's mode. Subclasses, other objects, and arguments that are unusual or
 * wrong are left to the socket's own methods, so that behaviour and texts are
 * theirs.
 */
#include "sock.h"
#include "transport.h"

/* --- The socket's own methods -------------------------------------------- */

/* What an exception of a socket's method means. */
static enum sock_outcome failed(void)
{
    if (!PyErr_ExceptionMatches(PyExc_BlockingIOError) &&
        !PyErr_ExceptionMatches(PyExc_InterruptedError))
        return SOCK_FAILED;
    PyErr_Clear();
    return SOCK_WOULD_BLOCK;
}

enum sock_outcome core_sock_call_method(PyObject *name, PyObject *const *args,
                                        size_t count, PyObject **out)
{
    *out = PyObject_VectorcallMethod(name, args, count, NULL);
    return *out ? SOCK_DONE : failed();
}

/* The same with all arguments that were given. */
static enum sock_outcome call_own(SockCallObject *call, PyObject *name,
                                  PyObject **out)
{
    size_t count = 1;

    while (count < SOCK_MOST_ARGS && call->args[count])
        count++;
    return core_sock_call_method(name, call->args, count, out);
}

int core_fd_of_socket(core_state *state, PyObject *sock)
{
    PyObject *number = PyObject_CallMethodNoArgs(sock, state->str_fileno);
    long fd = number ? PyLong_AsLong(number) : -1;

    Py_XDECREF(number);
    return fd < -1 || fd > INT_MAX ? -1 : (int)fd;
}

/* --- The system calls ----------------------------------------------------- */

/* One of them, on a plain socket. */
struct attempt {
    int fd;
    struct sock_place *place; /* or NULL */
};

/* False: it would block. */
static bool begin(SockCallObject *call, struct attempt *it)
{
    it->fd = core_fd_of_socket(call->loop->state, call->args[0]);
    it->place = core_sock_place_of(call, it->fd);
    return !it->place || core_sock_place_may(it->place, call->kind->writing);
}

/* What it has given, which must be said before other code runs. */
static intptr_t end(const SockCallObject *call, const struct attempt *it,
                    intptr_t n, size_t size)
{
    if (it->place)
        core_sock_place_note(it->place, call->kind->writing, n, size);
    return n;
}

/* An error of the system's. */
static enum sock_outcome refused(intptr_t error)
{
    if (error == -EAGAIN)
        return SOCK_WOULD_BLOCK;
    (void)core_raise((int)error);
    return SOCK_FAILED;
}

/* --- Receiving ----------------------------------------------------------- */

/* A size that may be used directly, else -1: what is special or wrong. */
static Py_ssize_t plain_size(const SockCallObject *call, PyObject *size)
{
    Py_ssize_t number = -1;

    if (call->plain && PyLong_CheckExact(size)) {
        number = PyLong_AsSsize_t(size);
        if (number == -1)
            PyErr_Clear();
    }
    return number > 0 ? number : -1;
}

/* As recv or, with `from`, recvfrom; `*n` is the system call's result. */
static PyObject *receive(SockCallObject *call, Py_ssize_t size,
                         rota_address *from, intptr_t *n)
{
    bool small = size <= ROTA__SCRATCH;
    PyObject *data = small ? NULL : PyBytes_FromStringAndSize(NULL, size);
    char *buf = small  ? rota__scratch(call->loop->loop)
                : data ? PyBytes_AS_STRING(data)
                       : NULL;
    struct attempt it;

    PyErr_Clear();
    if (!buf)
        *n = -ENOMEM;
    else if (!begin(call, &it))
        *n = -EAGAIN;
    else
        *n = end(call, &it,
                 from ? rota__sock_recvfrom(it.fd, buf, (size_t)size, from)
                      : rota__sock_recv(it.fd, buf, (size_t)size),
                 (size_t)size);
    if (*n >= 0 && small)
        return PyBytes_FromStringAndSize(buf, (Py_ssize_t)*n);
    if (*n < 0)
        Py_CLEAR(data);
    else if (*n < size)
        (void)_PyBytes_Resize(&data, (Py_ssize_t)*n);
    return data;
}

static enum sock_outcome make_recv(SockCallObject *call, PyObject **out)
{
    Py_ssize_t size = plain_size(call, call->args[1]);
    intptr_t n;

    if (size < 0)
        return call_own(call, call->loop->state->str_recv, out);
    *out = receive(call, size, NULL, &n);
    if (*out)
        return SOCK_DONE;
    return n < 0 ? refused(n) : SOCK_FAILED;
}

/* Memory that may be written to directly; false: special, wrong or none. */
static bool plain_room(const SockCallObject *call, Py_buffer *room)
{
    if (!call->plain)
        return false;
    if (PyObject_GetBuffer(call->args[1], room, PyBUF_WRITABLE) < 0) {
        PyErr_Clear();
        return false;
    }
    if (room->len > 0)
        return true;
    PyBuffer_Release(room);
    return false;
}

/* Into memory that is given back then. */
static intptr_t receive_into(SockCallObject *call, Py_buffer *room,
                             rota_address *from)
{
    size_t size = (size_t)room->len;
    intptr_t n = -EAGAIN;
    struct attempt it;

    if (begin(call, &it))
        n = end(call, &it,
                from ? rota__sock_recvfrom(it.fd, room->buf, size, from)
                     : rota__sock_recv(it.fd, room->buf, size),
                size);
    PyBuffer_Release(room);
    return n;
}

static enum sock_outcome make_recv_into(SockCallObject *call, PyObject **out)
{
    Py_buffer room;
    intptr_t n;

    if (!plain_room(call, &room))
        return call_own(call, call->loop->state->str_recv_into, out);
    n = receive_into(call, &room, NULL);
    if (n < 0)
        return refused(n);
    *out = PyLong_FromSsize_t((Py_ssize_t)n);
    return *out ? SOCK_DONE : SOCK_FAILED;
}

/* (what, the address): takes the reference of `what`. */
static enum sock_outcome with_address(PyObject *what, const rota_address *from,
                                      PyObject **out)
{
    PyObject *address = what ? core_address_object(from) : NULL;

    *out = address ? PyTuple_Pack(2, what, address) : NULL;
    Py_XDECREF(address);
    Py_XDECREF(what);
    return *out ? SOCK_DONE : SOCK_FAILED;
}

long core_number_of_socket(PyObject *descriptor, PyObject *sock)
{
    PyObject *object =
        Py_TYPE(descriptor)
            ->tp_descr_get(descriptor, sock, (PyObject *)Py_TYPE(sock));
    long number = object ? PyLong_AsLong(object) : -1;

    Py_XDECREF(object);
    PyErr_Clear();
    return number;
}

int core_family_of_socket(core_state *state, PyObject *sock)
{
    return (int)core_number_of_socket(state->socket_family, sock);
}

static int family_of(const SockCallObject *call)
{
    return core_family_of_socket(call->loop->state, call->args[0]);
}

static enum sock_outcome make_recvfrom(SockCallObject *call, PyObject **out)
{
    Py_ssize_t size = plain_size(call, call->args[1]);
    PyObject *data;
    rota_address from;
    intptr_t n;

    if (size < 0 || !core_address_known(family_of(call)))
        return call_own(call, call->loop->state->str_recvfrom, out);
    data = receive(call, size, &from, &n);
    if (n < 0)
        return refused(n);
    return with_address(data, &from, out);
}

/* sock.recvfrom_into(buf, nbytes or len(buf)), as asyncio calls it. */
static enum sock_outcome call_recvfrom_into(SockCallObject *call,
                                            PyObject **out)
{
    PyObject *args[] = {call->args[0], call->args[1], call->args[2]};
    int given = args[2] ? PyObject_IsTrue(args[2]) : 0;
    Py_ssize_t size = given == 0 ? PyObject_Size(args[1]) : 0;
    enum sock_outcome outcome;

    if (given < 0 || size < 0)
        return SOCK_FAILED;
    args[2] = given ? Py_NewRef(args[2]) : PyLong_FromSsize_t(size);
    if (!args[2])
        return SOCK_FAILED;
    outcome = core_sock_call_method(call->loop->state->str_recvfrom_into, args,
                                    3, out);
    Py_DECREF(args[2]);
    return outcome;
}

static enum sock_outcome make_recvfrom_into(SockCallObject *call,
                                            PyObject **out)
{
    Py_buffer room;
    rota_address from;
    intptr_t n;

    if (call->args[2] || !core_address_known(family_of(call)) ||
        !plain_room(call, &room))
        return call_recvfrom_into(call, out);
    n = receive_into(call, &room, &from);
    if (n < 0)
        return refused(n);
    return with_address(PyLong_FromSsize_t((Py_ssize_t)n), &from, out);
}

/* --- Sending ------------------------------------------------------------- */

/* Bytes that may be sent directly; they are held until the call is over. */
static bool plain_data(SockCallObject *call)
{
    if (!call->plain)
        return false;
    if (call->data.obj)
        return true;
    if (PyObject_GetBuffer(call->args[1], &call->data, PyBUF_SIMPLE) == 0)
        return true;
    PyErr_Clear();
    return false;
}

static enum sock_outcome sent_some(SockCallObject *call, size_t n, size_t size,
                                   PyObject **out)
{
    call->sent += n;
    if (call->sent < size)
        return SOCK_WOULD_BLOCK; /* the kernel took a part: it is full */
    *out = Py_NewRef(Py_None);
    return SOCK_DONE;
}

/* What is left of the data, as the socket's send() takes it. */
static PyObject *rest_of(const SockCallObject *call)
{
    PyObject *view, *rest;

    if (call->sent == 0)
        return Py_NewRef(call->args[1]);
    view = PyMemoryView_FromObject(call->args[1]);
    rest =
        view ? PySequence_GetSlice(view, (Py_ssize_t)call->sent, PY_SSIZE_T_MAX)
             : NULL;
    Py_XDECREF(view);
    return rest;
}

static enum sock_outcome call_send(SockCallObject *call, PyObject **out)
{
    PyObject *args[] = {call->args[0], rest_of(call)}, *count = NULL;
    Py_ssize_t size, n = 0;
    enum sock_outcome outcome;

    if (!args[1])
        return SOCK_FAILED;
    outcome =
        core_sock_call_method(call->loop->state->str_send, args, 2, &count);
    Py_DECREF(args[1]);
    if (outcome == SOCK_FAILED)
        return outcome;
    if (count)
        n = PyLong_AsSsize_t(count);
    Py_XDECREF(count);
    size = PyObject_Size(call->args[1]);
    if (n < 0 || size < 0)
        return SOCK_FAILED;
    return sent_some(call, (size_t)n, (size_t)size, out);
}

static enum sock_outcome make_sendall(SockCallObject *call, PyObject **out)
{
    struct attempt it;
    intptr_t n = -EAGAIN;
    size_t left;

    if (!plain_data(call))
        return call_send(call, out);
    left = (size_t)call->data.len - call->sent;
    if (begin(call, &it))
        n = end(call, &it,
                rota__sock_send(
                    it.fd, (const char *)call->data.buf + call->sent, left),
                left);
    if (n < 0 && n != -EAGAIN)
        return refused(n);
    return sent_some(call, n < 0 ? 0 : (size_t)n, (size_t)call->data.len, out);
}

static enum sock_outcome make_sendto(SockCallObject *call, PyObject **out)
{
    PyObject *sock = call->args[0], *address = call->args[2];
    struct attempt it;
    rota_address to;
    intptr_t n;

    if (!call->plain || !core_address_parse(address, family_of(call), &to) ||
        !plain_data(call))
        return call_own(call, call->loop->state->str_sendto, out);
    if (PySys_Audit("socket.sendto", "OO", sock, address) < 0)
        return SOCK_FAILED;
    if (!begin(call, &it))
        return SOCK_WOULD_BLOCK;
    n = end(
        call, &it,
        rota__sock_sendto(it.fd, call->data.buf, (size_t)call->data.len, &to),
        0);
    if (n < 0)
        return refused(n);
    *out = PyLong_FromSsize_t((Py_ssize_t)n);
    return *out ? SOCK_DONE : SOCK_FAILED;
}

/* --- Accepting ----------------------------------------------------------- */

static enum sock_outcome make_accept(SockCallObject *call, PyObject **out)
{
    core_state *state = call->loop->state;
    enum sock_outcome outcome = call_own(call, state->str_accept, out);
    PyObject *conn, *done;

    if (outcome != SOCK_DONE)
        return outcome;
    conn = PySequence_GetItem(*out, 0);
    done =
        conn ? PyObject_CallMethodOneArg(conn, state->str_setblocking, Py_False)
             : NULL;
    Py_XDECREF(conn);
    if (done) {
        Py_DECREF(done);
        return SOCK_DONE;
    }
    Py_CLEAR(*out);
    return failed();
}

/* --- Descriptors that are in use ----------------------------------------- */

/* 1, 0, or -1 with an exception. */
static int is_open(core_state *state, PyObject *transport)
{
    PyObject *closing =
        PyObject_CallMethodNoArgs(transport, state->str_is_closing);
    int truth = closing ? PyObject_IsTrue(closing) : -1;

    Py_XDECREF(closing);
    return truth < 0 ? -1 : !truth;
}

/* One of ours. `shown` is the fd as the caller has it. */
static int check_ours(LoopObject *self, int fd, PyObject *shown)
{
    PyObject *transport = core_transport_at(self, fd);
    int open;

    if (!transport)
        transport = core_datagram_at(self, fd);
    if (!transport)
        return 0;
    Py_INCREF(transport);
    open = is_open(self->state, transport);
    if (open > 0)
        PyErr_Format(PyExc_RuntimeError,
                     "File descriptor %R is used by transport %R", shown,
                     transport);
    Py_DECREF(transport);
    return open == 0 ? 0 : -1;
}

/* asyncio's own method. */
static PyObject *ask_asyncio(LoopObject *self, PyObject *file)
{
    PyObject *function = core_support(self->state, "ensure_fd_no_transport");

    return function ? PyObject_CallFunctionObjArgs(function, self, file, NULL)
                    : NULL;
}

/* One of asyncio's, which are in a WeakValueDictionary: nearly always none. */
static int check_asyncios(LoopObject *self, PyObject *shown)
{
    PyObject *all, *data, *done;
    bool none;

    all = PyObject_GetAttr((PyObject *)self, self->state->str__transports);
    data = all ? PyObject_GetAttr(all, self->state->str_data) : NULL;
    Py_XDECREF(all);
    if (!data)
        return -1;
    none = PyDict_CheckExact(data) && PyDict_GET_SIZE(data) == 0;
    Py_DECREF(data);
    if (none)
        return 0;
    done = ask_asyncio(self, shown);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

int core_check_fd_is_free(LoopObject *self, int fd)
{
    PyObject *shown = PyLong_FromLong(fd);
    int err = shown ? check_ours(self, fd, shown) : -1;
    if (err == 0)
        err = check_asyncios(self, shown);
    Py_XDECREF(shown);
    return err;
}

int core_check_file_is_free(LoopObject *self, PyObject *file)
{
    int fd = PyObject_AsFileDescriptor(file);
    PyObject *done;

    if (fd >= 0)
        return check_ours(self, fd, file) < 0 ? -1 : check_asyncios(self, file);
    PyErr_Clear();
    done = ask_asyncio(self, file);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

static PyObject *ensure_fd_no_transport(PyObject *op, PyObject *file)
{
    if (core_check_file_is_free((LoopObject *)op, file) < 0)
        return NULL;
    Py_RETURN_NONE;
}

/* --- Methods ------------------------------------------------------------- */

#define SOCK_METHOD(method, doing, required, ...)                              \
    static const struct sock_kind method##_kind = {                            \
        .name = "sock_" #method,                                               \
        .args = {__VA_ARGS__},                                                 \
        .needed = required,                                                    \
        .make = make_##method,                                                 \
        doing,                                                                 \
    };                                                                         \
    static PyObject *sock_##method(PyObject *op, PyObject *const *args,        \
                                   Py_ssize_t count, PyObject *names)          \
    {                                                                          \
        return core_sock_call_new((LoopObject *)op, &method##_kind, args,      \
                                  count, names);                               \
    }

SOCK_METHOD(recv, .writing = false, 2, "sock", "n")
SOCK_METHOD(recv_into, .writing = false, 2, "sock", "buf")
SOCK_METHOD(recvfrom, .writing = false, 2, "sock", "bufsize")
SOCK_METHOD(recvfrom_into, .writing = false, 2, "sock", "buf", "nbytes")
SOCK_METHOD(accept, .writing = false, 1, "sock")
#define WRITING .writing = true, .any_time = true
SOCK_METHOD(sendall, WRITING, 2, "sock", "data")
SOCK_METHOD(sendto, .writing = true, 3, "sock", "data", "address")

#define FAST (METH_FASTCALL | METH_KEYWORDS)
PyMethodDef core_sock_methods[] = {
    {"sock_recv", CORE_ANY(sock_recv), FAST,
     "sock_recv($self, sock, n)\n--\n\n"
     "Await up to n bytes from a socket; b'' when the peer has ended.\n\n"
     "It and its sisters want a socket that does not block: debug mode\n"
     "raises ValueError for others. TypeError for a TLS socket; OSError\n"
     "from the system. Who is cancelled has taken nothing."},
    {"sock_recv_into", CORE_ANY(sock_recv_into), FAST,
     "sock_recv_into($self, sock, buf)\n--\n\n"
     "Await bytes from a socket in a buffer; gives how many."},
    {"sock_recvfrom", CORE_ANY(sock_recvfrom), FAST,
     "sock_recvfrom($self, sock, bufsize)\n--\n\n"
     "Await a datagram of up to bufsize bytes; gives (bytes, address)."},
    {"sock_recvfrom_into", CORE_ANY(sock_recvfrom_into), FAST,
     "sock_recvfrom_into($self, sock, buf, nbytes=0)\n--\n\n"
     "Await a datagram in a buffer; gives (how many bytes, address)."},
    {"sock_sendall", CORE_ANY(sock_sendall), FAST,
     "sock_sendall($self, sock, data)\n--\n\n"
     "Send all of the data. After an error nobody knows how much was sent."},
    {"sock_sendto", CORE_ANY(sock_sendto), FAST,
     "sock_sendto($self, sock, data, address)\n--\n\n"
     "Send a datagram to an address; gives the number of bytes."},
    {"sock_accept", CORE_ANY(sock_accept), FAST,
     "sock_accept($self, sock)\n--\n\n"
     "Await a connection to a listening socket; gives (socket, address)."},
    {"_ensure_fd_no_transport", ensure_fd_no_transport, METH_O, NULL},
    {0},
};
