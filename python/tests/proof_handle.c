/* SPDX-License-Identifier: MIT */
/*
 * The proof's Handle and what queues one: call_soon and its sisters
 *
 * A handle is one object: its place, its callback and its arguments.
 *
 * `loop` is set while it is in a queue, which then owns a reference. The
 * arguments are called where they lie; so while the callback runs, nothing
 * clears them.
 */
#include "proof.h"
#include <math.h>

PyObject *proof_take_exception(void)
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

void proof_give_exception(PyObject *value)
{
#if PY_VERSION_HEX >= 0x030c0000
    PyErr_SetRaisedException(value);
#else
    if (value)
        PyErr_Restore(Py_NewRef(Py_TYPE(value)), value,
                      PyException_GetTraceback(value));
#endif
}

static bool stop_if_fatal(LoopObject *loop)
{
    if (!PyErr_ExceptionMatches(PyExc_KeyboardInterrupt) &&
        !PyErr_ExceptionMatches(PyExc_SystemExit))
        return false;
    loop->failed = true;
    rota__turn_break(loop->loop);
    return true;
}

static void report_failure(LoopObject *loop, HandleObject *handle)
{
    PyObject *exception, *context, *result = NULL;

    if (stop_if_fatal(loop))
        return;
    exception = proof_take_exception();
    context =
        Py_BuildValue("{sssOsO}", "message", "Exception in callback",
                      "exception", exception, "handle", (PyObject *)handle);
    Py_XDECREF(exception);
    if (context)
        result = PyObject_CallMethod((PyObject *)loop, "call_exception_handler",
                                     "O", context);
    Py_XDECREF(context);
    Py_XDECREF(result);
    if (!result && !stop_if_fatal(loop))
        PyErr_WriteUnraisable((PyObject *)loop);
}

void proof_handle_call(LoopObject *loop, HandleObject *handle)
{
    size_t count = (size_t)Py_SIZE(handle) | PY_VECTORCALL_ARGUMENTS_OFFSET;
    PyObject *result = NULL;

    if (!handle->callback)
        return;
    if (PyContext_Enter(handle->context) == 0) {
        result =
            PyObject_Vectorcall(handle->callback, handle->args, count, NULL);
        if (PyContext_Exit(handle->context) < 0)
            Py_CLEAR(result);
    }
    if (result)
        Py_DECREF(result);
    else
        report_failure(loop, handle);
}

/* The queue's reference becomes ours for the call. */
void proof_handle_run(struct rota__handle *queued)
{
    HandleObject *handle = proof_handle_of(queued);
    LoopObject *loop = handle->loop;

    handle->loop = NULL;
    proof_handle_call(loop, handle);
    Py_DECREF(handle);
}

void proof_handle_drop(struct rota__handle *queued)
{
    HandleObject *handle = proof_handle_of(queued);

    if (queued->run != proof_handle_run)
        return;
    handle->loop = NULL;
    Py_DECREF(handle);
}

HandleObject *proof_handle_new(LoopObject *loop, PyObject *context,
                               PyObject *const *args, Py_ssize_t count)
{
    HandleObject *handle = PyObject_GC_NewVar(
        HandleObject, (PyTypeObject *)loop->state->handle_type, count - 1);

    if (!handle)
        return NULL;
    handle->timer.node = (struct rota__heap_node){0};
    rota__timer_init(&handle->timer, proof_handle_run);
    handle->loop = NULL;
    handle->cancelled = handle->posted = false;
    handle->spare = NULL;
    handle->callback = Py_NewRef(args[0]);
    for (Py_ssize_t i = 1; i < count; i++)
        handle->args[i - 1] = Py_NewRef(args[i]);
    handle->context = context ? Py_NewRef(context) : PyContext_CopyCurrent();
    PyObject_GC_Track(handle);
    if (!handle->context)
        Py_CLEAR(handle);
    return handle;
}

static int handle_traverse(PyObject *op, visitproc visit, void *arg)
{
    HandleObject *self = (HandleObject *)op;

    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->callback);
    Py_VISIT(self->context);
    for (Py_ssize_t i = 0; i < Py_SIZE(op); i++)
        Py_VISIT(self->args[i]);
    return 0;
}

static int handle_clear(PyObject *op)
{
    HandleObject *self = (HandleObject *)op;

    Py_CLEAR(self->callback);
    Py_CLEAR(self->context);
    for (Py_ssize_t i = 0; i < Py_SIZE(op); i++)
        Py_CLEAR(self->args[i]);
    return 0;
}

static void handle_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);

    PyObject_GC_UnTrack(op);
    (void)handle_clear(op);
    type->tp_free(op);
    Py_DECREF(type);
}

/* While it runs, its arguments are in use: a mark is enough then. */
static PyObject *handle_cancel(PyObject *op, PyObject *Py_UNUSED(none))
{
    HandleObject *self = (HandleObject *)op;
    LoopObject *loop = self->loop;

    self->cancelled = true;
    if (!loop)
        Py_RETURN_NONE;
    Py_INCREF(self);
    if (!self->posted) {
        rota__timer_cancel(loop->loop, &self->timer);
        proof_handle_drop(&self->timer.handle);
    }
    Py_CLEAR(self->callback);
    for (Py_ssize_t i = 0; i < Py_SIZE(op); i++)
        Py_CLEAR(self->args[i]);
    Py_DECREF(self);
    Py_RETURN_NONE;
}

static PyObject *handle_cancelled(PyObject *op, PyObject *Py_UNUSED(none))
{
    return PyBool_FromLong(((HandleObject *)op)->cancelled);
}

static PyMethodDef handle_methods[] = {
    {"cancel", handle_cancel, METH_NOARGS, NULL},
    {"cancelled", handle_cancelled, METH_NOARGS, NULL},
    {0},
};

static PyType_Slot handle_slots[] = {
    {Py_tp_traverse, handle_traverse},
    {Py_tp_clear, handle_clear},
    {Py_tp_dealloc, handle_dealloc},
    {Py_tp_methods, handle_methods},
    {0},
};

PyType_Spec proof_handle_spec = {
    .name = "_rota_proof.Handle",
    .basicsize = offsetof(HandleObject, args),
    .itemsize = sizeof(PyObject *),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC |
             Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = handle_slots,
};

PyObject *proof_raise(int err)
{
    PyObject *value;

    if (err == -ENOMEM)
        return PyErr_NoMemory();
    if (err <= -4000) {
        PyErr_SetString(PyExc_RuntimeError, rota_strerror(err));
        return NULL;
    }
    value = Py_BuildValue("(is)", -err, rota_strerror(err));
    if (value)
        PyErr_SetObject(PyExc_OSError, value);
    Py_XDECREF(value);
    return NULL;
}

LoopObject *proof_open_loop(PyObject *op)
{
    LoopObject *self = (LoopObject *)op;

    if (!rota_loop_is_closed(self->loop))
        return self;
    PyErr_SetString(PyExc_RuntimeError, "Event loop is closed");
    return NULL;
}

/* The `context` that asyncio gives by name; *context NULL if it is None. */
static bool parse_context(PyObject *const *values, PyObject *names,
                          PyObject **context)
{
    *context = NULL;
    if (!names || PyTuple_GET_SIZE(names) == 0)
        return true;
    if (PyTuple_GET_SIZE(names) != 1 ||
        PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(names, 0),
                                         "context") != 0) {
        PyErr_SetString(PyExc_TypeError, "only context= goes by name");
        return false;
    }
    if (!Py_IsNone(values[0]))
        *context = values[0];
    return true;
}

HandleObject *proof_handle_for(PyObject *op, PyObject *const *args,
                               Py_ssize_t count, PyObject *names)
{
    LoopObject *self = proof_open_loop(op);
    PyObject *context;

    if (!self || !parse_context(args + count, names, &context))
        return NULL;
    if (count < 1 || !PyCallable_Check(args[0])) {
        PyErr_SetString(PyExc_TypeError, "a callable is wanted");
        return NULL;
    }
    return proof_handle_new(self, context, args, count);
}

PyObject *proof_call_soon(PyObject *op, PyObject *const *args, Py_ssize_t count,
                          PyObject *names)
{
    HandleObject *handle = proof_handle_for(op, args, count, names);

    if (!handle)
        return NULL;
    handle->loop = (LoopObject *)op;
    rota__ready(handle->loop->loop, &handle->timer.handle);
    return Py_NewRef(handle);
}

PyObject *proof_call_soon_threadsafe(PyObject *op, PyObject *const *args,
                                     Py_ssize_t count, PyObject *names)
{
    HandleObject *handle = proof_handle_for(op, args, count, names);

    if (!handle)
        return NULL;
    handle->loop = (LoopObject *)op;
    handle->posted = true;
    Py_INCREF(handle);
    rota__post(handle->loop->loop, &handle->timer.handle);
    return (PyObject *)handle;
}

static PyObject *call_when(PyObject *op, PyObject *const *args,
                           Py_ssize_t count, PyObject *names, bool relative)
{
    rota_loop *loop = ((LoopObject *)op)->loop;
    double time = count > 0 ? PyFloat_AsDouble(args[0]) : 0.0;
    HandleObject *handle;
    int64_t when;
    int err;

    if (PyErr_Occurred())
        return NULL;
    if (isnan(time)) {
        PyErr_SetString(PyExc_ValueError, "no time at all");
        return NULL;
    }
    handle = proof_handle_for(op, args + 1, count - 1, names);
    if (!handle)
        return NULL;
    when = rota__to_ns(relative && time < 0 ? 0.0 : time);
    err = rota__timer_arm(loop, &handle->timer,
                          relative ? rota__now(loop) + when : when);
    if (err < 0) {
        Py_DECREF(handle);
        return proof_raise(err);
    }
    handle->loop = (LoopObject *)op;
    return Py_NewRef(handle);
}

PyObject *proof_call_later(PyObject *op, PyObject *const *args,
                           Py_ssize_t count, PyObject *names)
{
    return call_when(op, args, count, names, true);
}

PyObject *proof_call_at(PyObject *op, PyObject *const *args, Py_ssize_t count,
                        PyObject *names)
{
    return call_when(op, args, count, names, false);
}
