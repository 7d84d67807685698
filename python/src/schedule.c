/* SPDX-License-Identifier: MIT */
/*
 * call_soon and its sisters, and the makers of futures and tasks
 */
#include "core.h"
#include <math.h>

/* --- Arguments ----------------------------------------------------------- */

/* asyncio's tasks give the same tuple every time, of a str of their own: the
   last tuple that was ("context",) is known by its address. */
static bool only_context(core_state *state, PyObject *names)
{
    if (rota__likely(names == state->context_names))
        return true;
    if (PyTuple_GET_SIZE(names) != 1 ||
        PyUnicode_Compare(PyTuple_GET_ITEM(names, 0), state->str_context) != 0)
        return false;
    Py_XSETREF(state->context_names, Py_NewRef(names));
    return true;
}

/* `context=` of a vectorcall, borrowed, NULL for None or none; false for any
   other name. */
static bool parse_context(core_state *state, PyObject *const *values,
                          PyObject *names, PyObject **context)
{
    *context = NULL;
    if (!names)
        return true;
    if (!only_context(state, names))
        return PyTuple_GET_SIZE(names) == 0;
    if (!Py_IsNone(values[0]))
        *context = values[0];
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
                                bool timer, PyObject *context,
                                PyObject *const *args, Py_ssize_t count,
                                bool any_thread)
{
    if (rota__unlikely(self->debug) &&
        (!core_open_loop((PyObject *)self) ||
         !check_call(self, args[0], function, any_thread)))
        return NULL;
    return core_handle_new(self, timer, context, args, count);
}

/* Arguments by name, or too few: a function of Python's sorts them, and calls
   us again or raises what is raised for such a call. */
static PyObject *call_sorted(PyObject *op, const char *function,
                             PyObject *const *args, Py_ssize_t count,
                             PyObject *names)
{
    PyObject *sorter = core_support(((LoopObject *)op)->state, function);
    Py_ssize_t total = count + (names ? PyTuple_GET_SIZE(names) : 0);
    PyObject **all, *result;

    if (!sorter)
        return NULL;
    all = PyMem_New(PyObject *, total + 1);
    if (!all)
        return PyErr_NoMemory();
    all[0] = op;
    for (Py_ssize_t i = 0; i < total; i++)
        all[i + 1] = args[i];
    result = PyObject_Vectorcall(sorter, all, (size_t)count + 1, names);
    PyMem_Free(all);
    return result;
}

/* --- Now ----------------------------------------------------------------- */

static PyObject *append(LoopObject *self, HandleObject *handle)
{
    Py_INCREF(handle);
    handle->queued = true;
    rota__ready(self->loop, &handle->timer.handle);
    if (rota__unlikely(self->thread_id == 0))
        core_handle_show(handle);
    return (PyObject *)handle;
}

static PyObject *call_soon(PyObject *op, PyObject *const *args,
                           Py_ssize_t count, PyObject *names)
{
    LoopObject *self = (LoopObject *)op;
    PyObject *context;
    HandleObject *handle;

    if (rota__unlikely(count < 1 || !parse_context(self->state, args + count,
                                                   names, &context)))
        return call_sorted(op, "call_soon", args, count, names);
    handle = handle_for(self, "call_soon", false, context, args, count, false);
    return rota__likely(handle != NULL) ? append(self, handle) : NULL;
}

int core_call_soon_in(LoopObject *self, PyObject *context, PyObject *callable,
                      PyObject *arg)
{
    PyObject *args[] = {callable, arg};
    HandleObject *handle =
        core_handle_new(self, false, context, args, arg ? 2 : 1);

    if (!handle)
        return -1;
    handle->queued = true;
    rota__ready(self->loop, &handle->timer.handle);
    return 0;
}

int core_call_soon(LoopObject *self, PyObject *callable, PyObject *arg)
{
    return core_call_soon_in(self, NULL, callable, arg);
}

/* The GIL is the lock of the queue: the order is that of all calls. */
static PyObject *call_soon_threadsafe(PyObject *op, PyObject *const *args,
                                      Py_ssize_t count, PyObject *names)
{
    LoopObject *self = (LoopObject *)op;
    PyObject *context;
    HandleObject *handle;
    PyObject *appended;

    if (rota__unlikely(count < 1 || !parse_context(self->state, args + count,
                                                   names, &context)))
        return call_sorted(op, "call_soon_threadsafe", args, count, names);
    handle = handle_for(self, "call_soon_threadsafe", false, context, args,
                        count, true);
    if (rota__unlikely(!handle))
        return NULL;
    handle->shared = PY_VERSION_HEX >= 0x030E0000;
    appended = append(self, handle);
    rota__interrupt(self->loop);
    return appended;
}

/* --- Later --------------------------------------------------------------- */

/* Not a number: due at once, as for asyncio. */
static bool parse_time(PyObject *object, const char *none, double *out)
{
    if (Py_IsNone(object)) {
        PyErr_SetString(PyExc_TypeError, none);
        return false;
    }
    *out = PyFloat_AsDouble(object);
    if (*out == -1.0 && PyErr_Occurred())
        return false;
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
    PyObject *context;
    double delay;
    int64_t now;

    if (rota__unlikely(count < 2 || !parse_context(self->state, args + count,
                                                   names, &context)))
        return call_sorted(op, "call_later", args, count, names);
    if (!parse_time(args[0], "delay must not be None", &delay))
        return NULL;
    now = rota__now(self->loop);
    return arm(
        self,
        handle_for(self, "call_at", true, context, args + 1, count - 1, false),
        (double)now / (double)ROTA__SECOND + delay,
        isnan(delay) ? now : now + rota__to_ns(delay));
}

static PyObject *call_at(PyObject *op, PyObject *const *args, Py_ssize_t count,
                         PyObject *names)
{
    LoopObject *self = (LoopObject *)op;
    PyObject *context;
    double when;
    int64_t now;

    if (rota__unlikely(count < 2 || !parse_context(self->state, args + count,
                                                   names, &context)))
        return call_sorted(op, "call_at", args, count, names);
    if (!parse_time(args[0], "when cannot be None", &when))
        return NULL;
    now = rota__now(self->loop);
    return arm(
        self,
        handle_for(self, "call_at", true, context, args + 1, count - 1, false),
        when, isnan(when) ? now : rota__time_at(when, now));
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

#define MOST_NAMES 3

/* Whether asyncio's create_task() hands all of these on to Task: others it
   refuses, or it knows what to do. */
static bool names_of_task(core_state *state, PyObject *names)
{
    PyObject *known[MOST_NAMES] = {state->str_name, state->str_context,
                                   state->str_eager_start};
    size_t count = PY_VERSION_HEX >= 0x030E0000 ? MOST_NAMES : MOST_NAMES - 1;

    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(names); i++) {
        PyObject *name = PyTuple_GET_ITEM(names, i);
        size_t at = 0;

        while (at < count && name != known[at] &&
               PyUnicode_Compare(name, known[at]) != 0)
            at++;
        if (at == count)
            return false;
    }
    return true;
}

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

static PyObject *create_task(PyObject *op, PyObject *const *args,
                             Py_ssize_t count, PyObject *names)
{
    LoopObject *self = (LoopObject *)op;

    if (count != 1 || self->debug || self->task_factory ||
        (names && !names_of_task(self->state, names)))
        return call_sorted(op, "create_task", args, count, names);
    if (!core_open_loop(op))
        return NULL;
    return make_task(self, args[0], args + 1, names);
}

#define FAST (METH_FASTCALL | METH_KEYWORDS)
PyMethodDef core_schedule_methods[] = {
    {"call_soon", CORE_ANY(call_soon), FAST,
     "call_soon($self, callback, *args, context=None)\n--\n\n"
     "Call callback(*args) in the next turn of the loop.\n\n"
     "Callbacks run in the order of these calls, each once. Returns a\n"
     "Handle, which can cancel it. context is the contextvars.Context to\n"
     "run in; without one, a copy of the caller's. On the loop's thread\n"
     "only, which debug mode checks. RuntimeError if the loop is closed."},
    {"call_soon_threadsafe", CORE_ANY(call_soon_threadsafe), FAST,
     "call_soon_threadsafe($self, callback, *args, context=None)\n--\n\n"
     "Like call_soon(), from any thread.\n\n"
     "Wakes the loop. The order is that of all these calls, on all threads."},
    {"call_later", CORE_ANY(call_later), FAST,
     "call_later($self, delay, callback, *args, context=None)\n--\n\n"
     "Call callback(*args) after delay seconds, and never sooner.\n\n"
     "Callbacks for the same time run in the order of these calls. Returns\n"
     "a TimerHandle. The rest is as for call_soon(). TypeError for a delay\n"
     "that is no number."},
    {"call_at", CORE_ANY(call_at), FAST,
     "call_at($self, when, callback, *args, context=None)\n--\n\n"
     "Like call_later(), at a time of loop.time()."},
    {"time", loop_time, METH_NOARGS,
     "time($self, /)\n--\n\n"
     "Return the loop's clock, in seconds. It never goes back. Any thread."},
    {"create_future", create_future, METH_NOARGS,
     "create_future($self, /)\n--\n\n"
     "Return a new asyncio.Future of this loop."},
    {"create_task", CORE_ANY(create_task), FAST,
     "create_task($self, coro, **kwargs)\n--\n\n"
     "Schedule a coroutine and return its asyncio.Task.\n\n"
     "name, context and what else the running Python's Task takes may be\n"
     "given; a task factory gets it all. On the loop's thread only.\n"
     "RuntimeError if the loop is closed."},
    {0},
};
