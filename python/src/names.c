/* SPDX-License-Identifier: MIT */
/*
 * Names, where there is nothing to look up
 *
 * getaddrinfo(), and what create_connection() and its like ask by, answer for
 * a numeric host at once; the system's resolver has no file to read for one
 * and asks nobody. For everything else, errors too, rota/_names.py or asyncio's
 * own code asks socket.getaddrinfo() in the default executor.
 */
#include "sock.h"
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>

/* --- An answer ------------------------------------------------------------ */

static enum sock_outcome make_answer(SockCallObject *call, PyObject **out)
{
    *out = Py_NewRef(call->args[0]);
    return SOCK_DONE;
}

static const struct sock_kind answer_kind = {
    .name = "getaddrinfo",
    .make = make_answer,
    .no_socket = true,
};

PyObject *core_answer(LoopObject *self, PyObject *result)
{
    PyObject *values[SOCK_MOST_ARGS] = {result};
    PyObject *call =
        result ? core_sock_call_make(self, &answer_kind, values) : NULL;

    Py_XDECREF(result);
    return call;
}

/* --- What is asked ---------------------------------------------------------
 */

#define PLACES 6

struct question {
    PyObject *args[PLACES]; /* as they were given; NULL: not */
    const char *host;       /* NULL: none */
    int family, type, protocol, flags;
    long port; /* -1: none */
};

/* An int of C, or one that was not given. */
static bool is_number(PyObject *object, int otherwise, int *out)
{
    long number = otherwise;

    if (object) {
        number = PyLong_Check(object) ? PyLong_AsLong(object) : -1;
        if (PyErr_Occurred())
            PyErr_Clear();
    }
    *out = (int)number;
    return number >= 0 && number <= INT_MAX;
}

static bool is_port(PyObject *object, long *out)
{
    int port;

    *out = -1;
    if (Py_IsNone(object))
        return true;
    if (!PyLong_CheckExact(object) || !is_number(object, 0, &port) ||
        port > 65535)
        return false;
    *out = port;
    return true;
}

static bool is_numeric(const char *host)
{
    struct in6_addr room;

    return inet_pton(AF_INET, host, &room) == 1 ||
           inet_pton(AF_INET6, host, &room) == 1;
}

static bool is_numeric_host(PyObject *object, const char **out)
{
    Py_ssize_t size = -1;

    *out = NULL;
    if (PyUnicode_CheckExact(object)) {
        *out = PyUnicode_AsUTF8AndSize(object, &size);
        PyErr_Clear();
    } else if (PyBytes_CheckExact(object)) {
        *out = PyBytes_AS_STRING(object);
        size = PyBytes_GET_SIZE(object);
    }
    return *out && strlen(*out) == (size_t)size && is_numeric(*out);
}

static bool has_usual_family(const struct question *it)
{
    return it->family == AF_UNSPEC || it->family == AF_INET ||
           it->family == AF_INET6;
}

/* --- _ensure_resolved() ----------------------------------------------------
 */

/* What asyncio's own takes to be an address already. */
static bool is_resolved(struct question *it)
{
    PyObject *address = it->args[0];

    return PyTuple_CheckExact(address) && PyTuple_GET_SIZE(address) == 2 &&
           PyUnicode_CheckExact(PyTuple_GET_ITEM(address, 0)) &&
           is_numeric_host(PyTuple_GET_ITEM(address, 0), &it->host) &&
           is_port(PyTuple_GET_ITEM(address, 1), &it->port) && it->port >= 0 &&
           is_number(it->args[1], AF_UNSPEC, &it->family) &&
           has_usual_family(it) &&
           is_number(it->args[2], SOCK_STREAM, &it->type) &&
           (it->type == SOCK_STREAM || it->type == SOCK_DGRAM) &&
           is_number(it->args[3], 0, &it->protocol) &&
           (it->protocol == 0 || it->protocol == IPPROTO_TCP ||
            it->protocol == IPPROTO_UDP);
}

static PyObject *resolved_address(const struct question *it, bool six)
{
    PyObject *address = it->args[0];

    return six ? Py_BuildValue("(Olii)", PyTuple_GET_ITEM(address, 0), it->port,
                               0, 0)
               : Py_NewRef(address);
}

/* A list of one tuple as getaddrinfo() gives, or NULL. */
static PyObject *as_resolved(core_state *state, const struct question *it)
{
    bool six = strchr(it->host, ':') != NULL;
    PyObject *name = PyUnicode_FromStringAndSize(NULL, 0);
    PyObject *protocol =
        PyLong_FromLong(it->type == SOCK_STREAM ? IPPROTO_TCP : IPPROTO_UDP);
    PyObject *address = resolved_address(it, six);
    PyObject *info = NULL, *list = NULL;

    if (name && protocol && address &&
        (!it->family || it->family == (six ? AF_INET6 : AF_INET)))
        info = PyTuple_Pack(5, it->family ? it->args[1] : state->families[six],
                            it->args[2] ? it->args[2] : state->kinds[0],
                            protocol, name, address);
    if (info)
        list = PyList_New(1);
    if (list)
        PyList_SET_ITEM(list, 0, Py_NewRef(info));
    Py_XDECREF(info);
    Py_XDECREF(address);
    Py_XDECREF(protocol);
    Py_XDECREF(name);
    return list;
}

static PyObject *ensure_resolved(PyObject *op, PyObject *const *args,
                                 Py_ssize_t count, PyObject *names)
{
    static const char *const known[] = {"address", "family", "type", "proto",
                                        "flags",   "loop",   NULL};
    LoopObject *self = (LoopObject *)op;
    struct question it = {0};
    PyObject *list = NULL;

    if (count == 1 && core_sees_plain_sockets(self->state) &&
        core_parse_args("_ensure_resolved", known, 1, args, count, names,
                        it.args) &&
        it.args[5] && is_resolved(&it))
        list = as_resolved(self->state, &it);
    if (list)
        return core_answer(self, list);
    PyErr_Clear();
    return core_asyncios(self, "ensure_resolved", args, count, names);
}

/* --- getaddrinfo() ----------------------------------------------------------
 */

static bool is_numeric_question(struct question *it)
{
    return (Py_IsNone(it->args[0]) ||
            is_numeric_host(it->args[0], &it->host)) &&
           is_port(it->args[1], &it->port) &&
           is_number(it->args[2], AF_UNSPEC, &it->family) &&
           has_usual_family(it) && is_number(it->args[3], 0, &it->type) &&
           is_number(it->args[4], 0, &it->protocol) &&
           is_number(it->args[5], 0, &it->flags);
}

static bool has_executor(LoopObject *self)
{
    return core_is_still((PyObject *)self,
                         self->state->str__executor_shutdown_called, Py_False);
}

/* Nobody has put something in the place of what asyncio would call. */
static bool is_unpatched(LoopObject *self)
{
    core_state *state = self->state;
    PyObject *method =
        PyObject_GetAttr((PyObject *)self, state->str_run_in_executor);
    bool own =
        method && PyMethod_Check(method) &&
        PyMethod_GET_FUNCTION(method) == core_support(state, "run_in_executor");

    Py_XDECREF(method);
    PyErr_Clear();
    return own && core_sees_plain_sockets(state) &&
           core_is_still(state->sockets, state->str_getaddrinfo,
                         state->getaddrinfo);
}

static PyObject *address_of(const struct addrinfo *info)
{
    rota_address address = {.size = info->ai_addrlen};

    memcpy(&address.storage, info->ai_addr, info->ai_addrlen);
    return core_address_object(&address);
}

/* NULL: an exception, or an answer that is not known here. */
static PyObject *info_object(core_state *state, const struct addrinfo *info)
{
    bool six = info->ai_family == AF_INET6;
    PyObject *kind = NULL, *address, *object;

    if (info->ai_socktype == SOCK_STREAM)
        kind = state->kinds[0];
    if (info->ai_socktype == SOCK_DGRAM)
        kind = state->kinds[1];
    if (info->ai_socktype == SOCK_RAW)
        kind = state->kinds[2];
    if (!kind || (!six && info->ai_family != AF_INET))
        return NULL;
    address = address_of(info);
    object = address
                 ? Py_BuildValue(
                       "OOisO", state->families[six], kind, info->ai_protocol,
                       info->ai_canonname ? info->ai_canonname : "", address)
                 : NULL;
    Py_XDECREF(address);
    return object;
}

static PyObject *list_of(core_state *state, const struct addrinfo *first)
{
    PyObject *list = PyList_New(0), *object;

    for (const struct addrinfo *at = first; list && at; at = at->ai_next) {
        object = info_object(state, at);
        if (!object || PyList_Append(list, object) < 0)
            Py_CLEAR(list);
        Py_XDECREF(object);
    }
    return list;
}

/* As socket.getaddrinfo(); or NULL. */
static PyObject *answer(core_state *state, const struct question *it)
{
    struct addrinfo hints = {
        .ai_family = it->family,
        .ai_socktype = it->type,
        .ai_protocol = it->protocol,
        .ai_flags = it->flags | AI_NUMERICHOST,
    };
    struct addrinfo *first = NULL;
    char port[24];
    PyObject *list;

    snprintf(port, sizeof port, "%ld", it->port);
    if (PySys_Audit("socket.getaddrinfo", "OOiii", it->args[0], it->args[1],
                    it->family, it->type, it->protocol) < 0 ||
        getaddrinfo(it->host, it->port < 0 ? NULL : port, &hints, &first) != 0)
        return NULL;
    list = list_of(state, first);
    freeaddrinfo(first);
    return list;
}

/* In the default executor; see rota/_names.py. */
static PyObject *look_up(LoopObject *self, PyObject *const *args)
{
    PyObject *function = core_support(self->state, "look_up");
    PyObject *zero = PyLong_FromLong(0), *all[1 + PLACES] = {(PyObject *)self};
    PyObject *asked = NULL;

    for (int i = 0; i < PLACES; i++)
        all[i + 1] = args[i] ? args[i] : zero;
    if (function && zero)
        asked = PyObject_Vectorcall(function, all, 1 + PLACES, NULL);
    Py_XDECREF(zero);
    return asked;
}

static PyObject *loop_getaddrinfo(PyObject *op, PyObject *const *args,
                                  Py_ssize_t count, PyObject *names)
{
    static const char *const known[] = {"host",  "port",  "family", "type",
                                        "proto", "flags", NULL};
    LoopObject *self = (LoopObject *)op;
    struct question it = {0};
    PyObject *list = NULL;

    if (count > 2 || self->debug || self->closed ||
        !core_parse_args("getaddrinfo", known, 2, args, count, names,
                         it.args) ||
        !is_unpatched(self) || !has_executor(self)) {
        PyErr_Clear();
        return core_asyncios(self, "getaddrinfo", args, count, names);
    }
    if (is_numeric_question(&it))
        list = answer(self->state, &it);
    if (list)
        return core_answer(self, list);
    PyErr_Clear();
    return look_up(self, it.args);
}

#define ANY (METH_FASTCALL | METH_KEYWORDS)
PyMethodDef core_names_methods[] = {
    {"_ensure_resolved", CORE_ANY(ensure_resolved), ANY, NULL},
    {"getaddrinfo", CORE_ANY(loop_getaddrinfo), ANY,
     "getaddrinfo($self, host, port, *, family=0, type=0, proto=0, flags=0)\n"
     "--\n\n"
     "Look up addresses: see asyncio.loop.getaddrinfo."},
    {0},
};
