/* SPDX-License-Identifier: MIT */
/*
 * call_soon and its sisters, and the makers of futures and tasks
 */
#include "core.h"
#include <math.h>

/* --- Arguments ----------------------------------------------------------- */

static bool is_name(PyObject *name, PyObject *wanted)
{
    return name == wanted || PyUnicode_Compare(name, wanted) == 0;
}

bool core_parse_context(core_state *state, const char *function,
                        PyObject *const *values, PyObject *names,
                        PyObject **context)
{
    Py_ssize_t count = names ? PyTuple_GET_SIZE(names) : 0;

    *context = NULL;
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *name = PyTuple_GET_ITEM(names, i);

        if (!is_name(name, state->str_context)) {
            PyErr_Format(PyExc_TypeError,
                         "%s() got an unexpected keyword argument '%U'",
                         function, name);
            return false;
        }
        if (!Py_IsNone(values[i]))
            *context = values[i];
    }
    return true;
}

/* As debug mode asks: a call from the right thread, of a callable. */
static bool check_call(LoopObject *self, PyObject *callback,
                       const char *function, bool any_thread)
{
    PyObject *check, *done;

    if (!any_thread && !core_check_thread(self))
        return false;
    check = core_support(self->state, "check_callback");
    if (!check)
        return false;
    done = PyObject_CallFunction(check, "Os", callback, function);
    Py_XDECREF(done);
    return done != NULL;
}

static HandleObject *handle_for(LoopObject *self, const char *function,
                                bool timer, PyObject *const *args,
                                Py_ssize_t count, PyObject *names,
                                bool any_thread)
{
    PyObject *context;

    if (!core_open_loop((PyObject *)self) ||
        !core_parse_context(self->state, function, args + count, names,
                            &context))
        return NULL;
    if (rota__unlikely(count < 1)) {
        PyErr_Format(PyExc_TypeError,
                     "%s() missing 1 required positional argument: 'callback'",
                     function);
        return NULL;
    }
    if (rota__unlikely(self->debug) &&
        !check_call(self, args[0], function, any_thread))
        return NULL;
    return core_handle_new(self, timer, context, args, count);
}

/* --- Now ----------------------------------------------------------------- */

static PyObject *call_soon(PyObject *op, PyObject *const *args,
                           Py_ssize_t count, PyObject *names)
{
    LoopObject *self = (LoopObject *)op;
    HandleObject *handle =
        handle_for(self, "call_soon", false, args, count, names, false);

    if (rota__unlikely(!handle))
        return NULL;
    handle->queued = true;
    rota__ready(self->loop, &handle->timer.handle);
    return Py_NewRef(handle);
}

int core_call_soon(LoopObject *self, PyObject *callable, PyObject *arg)
{
    PyObject *args[] = {callable, arg};
    HandleObject *handle =
        core_handle_new(self, false, NULL, args, arg ? 2 : 1);

    if (!handle)
        return -1;
    handle->queued = true;
    rota__ready(self->loop, &handle->timer.handle);
    return 0;
}

/* The GIL is the lock of the queue: the order is that of all calls. */
static PyObject *call_soon_threadsafe(PyObject *op, PyObject *const *args,
                                      Py_ssize_t count, PyObject *names)
{
    LoopObject *self = (LoopObject *)op;
    HandleObject *handle = handle_for(self, "call_soon_threadsafe", false, args,
                                      count, names, true);

    if (rota__unlikely(!handle))
        return NULL;
    handle->queued = true;
    rota__ready(self->loop, &handle->timer.handle);
    rota__interrupt(self->loop);
    return Py_NewRef(handle);
}

/* --- Later --------------------------------------------------------------- */

static bool parse_time(PyObject *const *args, Py_ssize_t count,
                       const char *missing, const char *none, double *out)
{
    if (count < 1) {
        PyErr_SetString(PyExc_TypeError, missing);
        return false;
    }
    if (Py_IsNone(args[0])) {
        PyErr_SetString(PyExc_TypeError, none);
        return false;
    }
    *out = PyFloat_AsDouble(args[0]);
    if (*out == -1.0 && PyErr_Occurred())
        return false;
    if (isnan(*out)) {
        PyErr_SetString(PyExc_ValueError, "the time is not a number (nan)");
        return false;
    }
    return true;
}

static PyObject *arm(LoopObject *self, HandleObject *handle, double when,
                     int64_t ns)
{
    int err;

    if (!handle)
        return NULL;
    handle->when = when;
    err = rota__timer_arm(self->loop, &handle->timer, ns);
    if (err < 0) {
        Py_DECREF(handle);
        return core_raise(err);
    }
    handle->queued = true;
    return Py_NewRef(handle);
}

static PyObject *call_later(PyObject *op, PyObject *const *args,
                            Py_ssize_t count, PyObject *names)
{
    LoopObject *self = (LoopObject *)op;
    double delay;
    int64_t now;

    if (!parse_time(args, count,
                    "call_later() missing 2 required positional arguments: "
                    "'delay' and 'callback'",
                    "delay must not be None", &delay))
        return NULL;
    now = rota__now(self->loop);
    return arm(
        self,
        handle_for(self, "call_later", true, args + 1, count - 1, names, false),
        (double)now / (double)ROTA__SECOND + delay, now + rota__to_ns(delay));
}

static PyObject *call_at(PyObject *op, PyObject *const *args, Py_ssize_t count,
                         PyObject *names)
{
    LoopObject *self = (LoopObject *)op;
    double when;

    if (!parse_time(args, count,
                    "call_at() missing 2 required positional arguments: "
                    "'when' and 'callback'",
                    "when cannot be None", &when))
        return NULL;
    return arm(
        self,
        handle_for(self, "call_at", true, args + 1, count - 1, names, false),
        when, rota__time_at(when, rota__now(self->loop)));
}

static PyObject *loop_time(PyObject *op, PyObject *Py_UNUSED(none))
{
    LoopObject *self = (LoopObject *)op;

    return PyFloat_FromDouble((double)rota__now(self->loop) /
                              (double)ROTA__SECOND);
}

/* --- Of asyncio's types -------------------------------------------------- */

PyObject *core_late(PyObject *dict, PyObject *name)
{
    PyObject *found = dict ? PyDict_GetItemWithError(dict, name) : NULL;

    if (!found && !PyErr_Occurred())
        PyErr_SetObject(PyExc_AttributeError, name);
    return found;
}

static PyObject *create_future(PyObject *op, PyObject *Py_UNUSED(none))
{
    LoopObject *self = (LoopObject *)op;
    core_state *state = self->state;
    PyObject *type = core_late(state->futures, state->str_Future);
    PyObject *args[2] = {NULL, op};

    if (!type)
        return NULL;
    return PyObject_Vectorcall(
        type, args + 1, 0 | PY_VECTORCALL_ARGUMENTS_OFFSET, state->loop_names);
}

#define MOST_NAMES 8

/* Task(coro, loop=self, **named): the names stand behind our own. */
static PyObject *make_task(LoopObject *self, PyObject *coro,
                           PyObject *const *values, PyObject *names)
{
    core_state *state = self->state;
    Py_ssize_t count = names ? PyTuple_GET_SIZE(names) : 0;
    PyObject *type = core_late(state->tasks, state->str_Task);
    PyObject *args[MOST_NAMES + 3] = {NULL, coro, (PyObject *)self};
    PyObject *all = state->loop_names, *task;

    if (!type)
        return NULL;
    if (count > 0) {
        all = PyTuple_New(count + 1);
        if (!all)
            return NULL;
        PyTuple_SET_ITEM(all, 0, Py_NewRef(state->str_loop));
        for (Py_ssize_t i = 0; i < count; i++) {
            PyTuple_SET_ITEM(all, i + 1, Py_NewRef(PyTuple_GET_ITEM(names, i)));
            args[i + 3] = values[i];
        }
    }
    task = PyObject_Vectorcall(type, args + 1,
                               1 | PY_VECTORCALL_ARGUMENTS_OFFSET, all);
    if (count > 0)
        Py_DECREF(all);
    return task;
}

/* With a factory, or in any unusual case, asyncio's own does it. */
static PyObject *create_task_slowly(LoopObject *self, PyObject *const *args,
                                    Py_ssize_t count, PyObject *names)
{
    PyObject *function = core_support(self->state, "create_task");
    PyObject **all, *task = NULL;
    Py_ssize_t total = count + (names ? PyTuple_GET_SIZE(names) : 0);

    if (!function)
        return NULL;
    all = PyMem_New(PyObject *, total + 1);
    if (!all)
        return PyErr_NoMemory();
    all[0] = (PyObject *)self;
    for (Py_ssize_t i = 0; i < total; i++)
        all[i + 1] = args[i];
    task = PyObject_Vectorcall(function, all, (size_t)count + 1, names);
    PyMem_Free(all);
    return task;
}

static PyObject *create_task(PyObject *op, PyObject *const *args,
                             Py_ssize_t count, PyObject *names)
{
    LoopObject *self = (LoopObject *)op;

    if (count != 1 || self->debug || self->task_factory ||
        (names && PyTuple_GET_SIZE(names) > MOST_NAMES))
        return create_task_slowly(self, args, count, names);
    if (!core_open_loop(op))
        return NULL;
    return make_task(self, args[0], args + 1, names);
}

#define FAST (METH_FASTCALL | METH_KEYWORDS)
PyMethodDef core_schedule_methods[] = {
    {"call_soon", CORE_ANY(call_soon), FAST,
     "Arrange for callback(*args) to be called in the next turn of the loop.\n"
     "\nReturns a Handle. See asyncio.loop.call_soon."},
    {"call_soon_threadsafe", CORE_ANY(call_soon_threadsafe), FAST,
     "Like call_soon(), from any thread."},
    {"call_later", CORE_ANY(call_later), FAST,
     "Arrange for callback(*args) to be called after delay seconds.\n\n"
     "Never sooner. Returns a TimerHandle. See asyncio.loop.call_later."},
    {"call_at", CORE_ANY(call_at), FAST,
     "Like call_later(), but at a time of loop.time()."},
    {"time", loop_time, METH_NOARGS,
     "Return the time of the loop's clock, in seconds; it never goes back."},
    {"create_future", create_future, METH_NOARGS,
     "Create an asyncio.Future attached to the loop."},
    {"create_task", CORE_ANY(create_task), FAST,
     "Schedule a coroutine and return its asyncio.Task."},
    {0},
};
