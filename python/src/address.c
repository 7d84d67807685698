/* SPDX-License-Identifier: MIT */
/*
 * Addresses of sockets, as Python's socket module writes them
 *
 * Numbers only, and the three usual families; for everything else the caller
 * asks the socket object.
 */
#include "core.h"
#include <arpa/inet.h>
#include <sys/un.h>

bool core_address_known(int family)
{
    return family == AF_INET || family == AF_INET6 || family == AF_UNIX;
}

static PyObject *inet_object(const rota_address *address)
{
    char host[INET6_ADDRSTRLEN];

    if (rota_address_host(address, host, sizeof host) < 0)
        Py_RETURN_NONE;
    return Py_BuildValue("(si)", host, rota_address_port(address));
}

/* Without the name of the interface, which has a place of its own. */
static PyObject *inet6_object(const rota_address *address)
{
    const struct sockaddr_in6 *name = (const void *)&address->storage;
    char host[INET6_ADDRSTRLEN];

    if (!inet_ntop(AF_INET6, &name->sin6_addr, host, sizeof host))
        Py_RETURN_NONE;
    return Py_BuildValue("(siII)", host, (int)ntohs(name->sin6_port),
                         (unsigned)ntohl(name->sin6_flowinfo),
                         (unsigned)name->sin6_scope_id);
}

/* An abstract name is bytes, with all that are in it. */
static PyObject *unix_object(const rota_address *address)
{
    const struct sockaddr_un *name = (const void *)&address->storage;
    size_t offset = offsetof(struct sockaddr_un, sun_path);
    size_t size = address->size > offset ? address->size - offset : 0;

    if (size > 0 && name->sun_path[0] == '\0')
        return PyBytes_FromStringAndSize(name->sun_path, (Py_ssize_t)size);
    size = strnlen(name->sun_path, size);
    return PyUnicode_DecodeFSDefaultAndSize(name->sun_path, (Py_ssize_t)size);
}

PyObject *core_address_object(const rota_address *address)
{
    if (address->size <= sizeof(sa_family_t))
        Py_RETURN_NONE;
    if (address->storage.ss_family == AF_INET)
        return inet_object(address);
    if (address->storage.ss_family == AF_INET6)
        return inet6_object(address);
    if (address->storage.ss_family == AF_UNIX)
        return unix_object(address);
    Py_RETURN_NONE;
}

/* An exact int between 0 and `most`, or false. */
static bool small_number(PyObject *object, unsigned long most,
                         unsigned long *out)
{
    int overflow = 0;
    long number = PyLong_CheckExact(object)
                      ? PyLong_AsLongAndOverflow(object, &overflow)
                      : -1;

    if (overflow != 0 || number < 0 || (unsigned long)number > most)
        return false;
    *out = (unsigned long)number;
    return true;
}

static bool scoped(PyObject *tuple, struct sockaddr_in6 *name)
{
    Py_ssize_t count = PyTuple_GET_SIZE(tuple);
    unsigned long flow = 0, scope = 0;

    if (count > 2 && !small_number(PyTuple_GET_ITEM(tuple, 2), 0xfffff, &flow))
        return false;
    if (count > 3 &&
        !small_number(PyTuple_GET_ITEM(tuple, 3), UINT32_MAX, &scope))
        return false;
    name->sin6_flowinfo = htonl((uint32_t)flow);
    name->sin6_scope_id = (uint32_t)scope;
    return true;
}

bool core_address_parse(PyObject *object, int family, rota_address *out)
{
    Py_ssize_t count =
        PyTuple_CheckExact(object) ? PyTuple_GET_SIZE(object) : 0;
    unsigned long port;
    const char *host;
    Py_ssize_t size;

    if (count < 2 || count > (family == AF_INET6 ? 4 : 2) ||
        !PyUnicode_CheckExact(PyTuple_GET_ITEM(object, 0)) ||
        !small_number(PyTuple_GET_ITEM(object, 1), 65535, &port))
        return false;
    host = PyUnicode_AsUTF8AndSize(PyTuple_GET_ITEM(object, 0), &size);
    if (!host)
        PyErr_Clear();
    if (!host || strlen(host) != (size_t)size || strchr(host, '%') ||
        rota_address_parse(out, host, (int)port) < 0 ||
        out->storage.ss_family != family)
        return false;
    return family == AF_INET || scoped(object, (void *)&out->storage);
}
