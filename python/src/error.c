/* SPDX-License-Identifier: MIT */
/*
 * Errors: rota's as Python's exceptions, and exceptions without a caller
 */
#include "core.h"

PyObject *core_take_exception(void)
{
#if PY_VERSION_HEX >= 0x030c0000
    return PyErr_GetRaisedException();
#else
    PyObject *type, *value, *traceback;

    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    if (traceback)
        PyException_SetTraceback(value, traceback);
    Py_XDECREF(traceback);
    Py_XDECREF(type);
    return value;
#endif
}

void core_give_exception(PyObject *value)
{
#if PY_VERSION_HEX >= 0x030c0000
    PyErr_SetRaisedException(value);
#else
    if (value)
        PyErr_Restore(Py_NewRef(Py_TYPE(value)), value,
                      PyException_GetTraceback(value));
#endif
}

/* The system's own codes become OSError's subclasses with the system's text. */
static PyObject *system_error(int number)
{
    PyObject *value = Py_BuildValue("(is)", number, strerror(number));
    PyObject *error = value ? PyObject_CallObject(PyExc_OSError, value) : NULL;

    Py_XDECREF(value);
    return error;
}

PyObject *core_exception(int err)
{
    if (err == -ENOMEM)
        return PyObject_CallNoArgs(PyExc_MemoryError);
    if (err > -4000)
        return system_error(-err);
    if (err == -ROTA_ECLOSED)
        return PyObject_CallFunction(PyExc_RuntimeError, "s",
                                     "Event loop is closed");
    return PyObject_CallFunction(PyExc_RuntimeError, "s", rota_strerror(err));
}

PyObject *core_raise(int err)
{
    PyObject *error = core_exception(err);

    if (error) {
        PyErr_SetObject((PyObject *)Py_TYPE(error), error);
        Py_DECREF(error);
    }
    return NULL;
}

bool core_is_fatal(void)
{
    return PyErr_ExceptionMatches(PyExc_KeyboardInterrupt) ||
           PyErr_ExceptionMatches(PyExc_SystemExit);
}

bool core_stop_if_fatal(LoopObject *loop)
{
    PyObject *exception;

    if (!core_is_fatal())
        return false;
    exception = core_take_exception();
    if (loop->fatal)
        Py_DECREF(exception); /* the first one counts */
    else
        loop->fatal = exception;
    rota__turn_break(loop->loop);
    return true;
}

void core_unraisable(LoopObject *loop, PyObject *where)
{
    if (!core_stop_if_fatal(loop))
        PyErr_WriteUnraisable(where);
}

PyObject *core_handling_begin(PyObject *exception)
{
    PyObject *before = PyErr_GetHandledException();

    PyErr_SetHandledException(exception);
    return before;
}

void core_handling_end(PyObject *before)
{
    PyErr_SetHandledException(before);
    Py_XDECREF(before);
}

static int put(PyObject *context, const char *key, PyObject *value)
{
    return key && value ? PyDict_SetItemString(context, key, value) : 0;
}

void core_report(LoopObject *loop, const char *message, const char *key,
                 PyObject *value, const char *key2, PyObject *value2)
{
    PyObject *exception, *context, *before, *done = NULL;

    if (core_stop_if_fatal(loop))
        return;
    exception = core_take_exception();
    before = core_handling_begin(exception);
    context = Py_BuildValue("{sssO}", "message", message, "exception",
                            exception ? exception : Py_None);
    if (context && put(context, key, value) == 0 &&
        put(context, key2, value2) == 0)
        done = PyObject_CallMethodOneArg(
            (PyObject *)loop, loop->state->str_call_exception_handler, context);
    core_handling_end(before);
    Py_XDECREF(exception);
    Py_XDECREF(context);
    Py_XDECREF(done);
    if (!done)
        core_unraisable(loop, (PyObject *)loop);
}
