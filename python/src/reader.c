/* SPDX-License-Identifier: MIT */
/*
 * add_reader and add_writer
 *
 * The Handle is in the loop's dict of its direction while it is registered;
 * loop/ has it as the argument of its callback.
 */
#include "core.h"

/* int(file.fileno()), as selectors has it. */
static PyObject *ask_file(core_state *state, PyObject *file)
{
    PyObject *answer = PyObject_CallMethodNoArgs(file, state->str_fileno);
    PyObject *number = answer ? PyNumber_Long(answer) : NULL;

    Py_XDECREF(answer);
    return number;
}

static bool is_no_file(void)
{
    return PyErr_ExceptionMatches(PyExc_AttributeError) ||
           PyErr_ExceptionMatches(PyExc_TypeError) ||
           PyErr_ExceptionMatches(PyExc_ValueError);
}

/* An int, or what has a fileno(). */
static int fd_of(core_state *state, PyObject *file)
{
    bool plain = PyLong_Check(file);
    PyObject *number = plain ? Py_NewRef(file) : ask_file(state, file);
    long fd = number ? PyLong_AsLong(number) : -1;

    Py_XDECREF(number);
    if (PyErr_Occurred()) {
        if (plain || !is_no_file())
            return -1;
        PyErr_Clear();
        PyErr_Format(PyExc_ValueError, "Invalid file object: %R", file);
        return -1;
    }
    if (fd < 0 || fd > INT_MAX) {
        PyErr_Format(PyExc_ValueError, "Invalid file descriptor: %ld", fd);
        return -1;
    }
    return (int)fd;
}

/* In the queue was a handle of the loop's own; ours is called at once. */
static void ready(void *arg)
{
    HandleObject *handle = arg;

    Py_INCREF(handle);
    handle->queued = true; /* for this call */
    core_handle_run(&handle->timer.handle);
}

static PyObject *dict_of(LoopObject *self, bool writer)
{
    return writer ? self->writers : self->readers;
}

/* The handle that is registered, borrowed; or NULL. */
static HandleObject *registered(LoopObject *self, PyObject *key, bool writer)
{
    return (HandleObject *)PyDict_GetItemWithError(dict_of(self, writer), key);
}

static int replace(LoopObject *self, int fd, HandleObject *handle, bool writer)
{
    PyObject *key = PyLong_FromLong(fd);
    HandleObject *old = key ? registered(self, key, writer) : NULL;
    int err;

    if (!key)
        return -1;
    Py_XINCREF(old);
    (void)core_sock_forget(self, fd, writer);
    err = writer ? rota_add_writer(self->loop, fd, ready, handle)
                 : rota_add_reader(self->loop, fd, ready, handle);
    if (err < 0)
        (void)core_raise(err);
    else if (PyDict_SetItem(dict_of(self, writer), key, (PyObject *)handle) < 0)
        (void)(writer ? rota_remove_writer(self->loop, fd)
                      : rota_remove_reader(self->loop, fd));
    else if (old)
        (void)core_handle_cancel(old);
    Py_XDECREF(old);
    Py_DECREF(key);
    return PyErr_Occurred() ? -1 : 0;
}

static PyObject *add(PyObject *op, PyObject *const *args, Py_ssize_t count,
                     bool writer)
{
    LoopObject *self = core_open_loop(op);
    HandleObject *handle;
    int fd;

    if (!self)
        return NULL;
    if (count < 2) {
        PyErr_Format(PyExc_TypeError, "add_%s() takes a file and a callback",
                     writer ? "writer" : "reader");
        return NULL;
    }
    fd = fd_of(self->state, args[0]);
    if (fd < 0)
        return NULL;
    handle = core_handle_new(self, false, NULL, args + 1, count - 1);
    if (!handle)
        return NULL;
    PyObject_GC_Track(handle); /* the loop has it, and it the loop */
    if (replace(self, fd, handle, writer) < 0)
        Py_CLEAR(handle);
    return (PyObject *)handle;
}

static PyObject *take(PyObject *op, PyObject *file, bool writer)
{
    LoopObject *self = (LoopObject *)op;
    HandleObject *handle;
    PyObject *key;
    int fd;

    if (rota_loop_is_closed(self->loop))
        Py_RETURN_FALSE;
    fd = fd_of(self->state, file);
    key = fd < 0 ? NULL : PyLong_FromLong(fd);
    if (!key)
        return NULL;
    handle = registered(self, key, writer);
    Py_XINCREF(handle);
    if (handle) { /* also of an fd that was closed */
        (void)(writer ? rota_remove_writer(self->loop, fd)
                      : rota_remove_reader(self->loop, fd));
        (void)PyDict_DelItem(dict_of(self, writer), key);
        (void)core_handle_cancel(handle);
    }
    Py_XDECREF(handle);
    Py_DECREF(key);
    if (PyErr_Occurred())
        return NULL;
    return PyBool_FromLong(handle || core_sock_forget(self, fd, writer));
}

static PyObject *add_reader(PyObject *op, PyObject *const *args,
                            Py_ssize_t count)
{
    return add(op, args, count, false);
}

static PyObject *add_writer(PyObject *op, PyObject *const *args,
                            Py_ssize_t count)
{
    return add(op, args, count, true);
}

static PyObject *remove_reader(PyObject *op, PyObject *file)
{
    return take(op, file, false);
}

static PyObject *remove_writer(PyObject *op, PyObject *file)
{
    return take(op, file, true);
}

/* The fd, and the handles of its reader and its writer, or None. */
static PyObject *watched(PyObject *op, PyObject *file)
{
    LoopObject *self = (LoopObject *)op;
    int fd = fd_of(self->state, file);
    PyObject *key = fd < 0 ? NULL : PyLong_FromLong(fd);
    PyObject *reader, *writer;

    if (!key)
        return NULL;
    reader = (PyObject *)registered(self, key, false);
    writer = (PyObject *)registered(self, key, true);
    Py_DECREF(key);
    return Py_BuildValue("(iOO)", fd, reader ? reader : Py_None,
                         writer ? writer : Py_None);
}

int core_take_place(LoopObject *loop, int fd)
{
    static const char *const names[] = {"_remove_reader", "_remove_writer"};

    for (size_t i = 0; i < rota__countof(names); i++) {
        PyObject *done =
            PyObject_CallMethod((PyObject *)loop, names[i], "i", fd);

        if (!done)
            return -1;
        Py_DECREF(done);
    }
    return 0;
}

PyMethodDef core_reader_methods[] = {
    {"_add_reader", CORE_ANY(add_reader), METH_FASTCALL, NULL},
    {"_add_writer", CORE_ANY(add_writer), METH_FASTCALL, NULL},
    {"_remove_reader", remove_reader, METH_O, NULL},
    {"_remove_writer", remove_writer, METH_O, NULL},
    {"_watched", watched, METH_O, NULL},
    {0},
};
