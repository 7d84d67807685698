/* SPDX-License-Identifier: MIT */
/*
 * Arguments of a vectorcall, by position or by name
 */
#include "core.h"

/* Where an argument of this name goes, or -1. Most are given in order. */
static int place_of(const char *function, const char *const *known,
                    PyObject *name, Py_ssize_t likely)
{
    if (known[likely] &&
        PyUnicode_CompareWithASCIIString(name, known[likely]) == 0)
        return (int)likely;
    for (int i = 0; known[i]; i++)
        if (PyUnicode_CompareWithASCIIString(name, known[i]) == 0)
            return i;
    PyErr_Format(PyExc_TypeError,
                 "%s() got an unexpected keyword argument '%U'", function,
                 name);
    return -1;
}

static bool fill_named(const char *function, const char *const *known,
                       Py_ssize_t most, Py_ssize_t count,
                       PyObject *const *values, PyObject *names, PyObject **out)
{
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(names); i++) {
        int place = place_of(function, known, PyTuple_GET_ITEM(names, i),
                             count + i < most ? count + i : most);

        if (place < 0)
            return false;
        if (place < count) {
            PyErr_Format(PyExc_TypeError,
                         "%s() got multiple values for argument '%s'", function,
                         known[place]);
            return false;
        }
        out[place] = values[i];
    }
    return true;
}

bool core_parse_args(const char *function, const char *const *known, int needed,
                     PyObject *const *args, Py_ssize_t count, PyObject *names,
                     PyObject **out)
{
    Py_ssize_t most = 0;

    while (known[most])
        most++;
    if (count > most) {
        PyErr_Format(PyExc_TypeError,
                     "%s() takes at most %zd arguments but %zd were given",
                     function, most, count);
        return false;
    }
    for (Py_ssize_t i = 0; i < count; i++)
        out[i] = args[i];
    if (names &&
        !fill_named(function, known, most, count, args + count, names, out))
        return false;
    for (int i = 0; i < needed; i++)
        if (!out[i]) {
            PyErr_Format(PyExc_TypeError,
                         "%s() missing required argument: '%s'", function,
                         known[i]);
            return false;
        }
    return true;
}

#define MOST_ARGS 15

PyObject *core_asyncios(LoopObject *self, const char *name,
                        PyObject *const *args, Py_ssize_t count,
                        PyObject *names)
{
    PyObject *function = core_support(self->state, name);
    PyObject *all[1 + MOST_ARGS] = {(PyObject *)self};
    Py_ssize_t total = count + (names ? PyTuple_GET_SIZE(names) : 0);

    if (function && total > MOST_ARGS) {
        PyErr_Format(PyExc_TypeError, "%s() takes fewer arguments", name);
        return NULL;
    }
    for (Py_ssize_t i = 0; i < total; i++)
        all[i + 1] = args[i];
    return function
               ? PyObject_Vectorcall(function, all, (size_t)count + 1, names)
               : NULL;
}
