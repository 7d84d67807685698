/* SPDX-License-Identifier: MIT */
/*
 * The bare limit for Python: the least loop that its tasks can run on
 *
 * A ring of calls, each with its one argument and its context, and no more:
 * no handles, no poll, no timers that fire, no debug mode. What a work costs
 * on it is what CPython itself takes for tasks, futures, contexts and calls,
 * so no loop that keeps asyncio's rules can be faster. A program ends with
 * the first exception that a call lets out, and what it holds then is left to
 * the end of the process.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <time.h>

struct call {
    PyObject *function, *argument, *context; /* the argument may be NULL */
};

typedef struct {
    PyObject_HEAD struct call *ring;
    size_t first, count, room; /* the room is a power of 2 */
    PyObject *timer;
    int stopping;
} Loop;

static PyObject *task_type, *future_type, *set_running_loop, *loop_names;

static int grow(Loop *self)
{
    size_t room = self->room > 0 ? 2 * self->room : 1024;
    struct call *ring = PyMem_Calloc(room, sizeof *ring);

    if (ring == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (size_t i = 0; i < self->count; i++)
        ring[i] = self->ring[(self->first + i) & (self->room - 1)];
    PyMem_Free(self->ring);
    self->ring = ring;
    self->room = room;
    self->first = 0;
    return 0;
}

/* call_soon(function, [argument], context=None): no handle comes back. */
static PyObject *loop_call_soon(PyObject *op, PyObject *const *args,
                                Py_ssize_t count, PyObject *names)
{
    Loop *self = (Loop *)op;
    PyObject *context = names != NULL ? args[count] : Py_None;
    struct call *call;

    if (count < 1 || count > 2)
        return PyErr_Format(PyExc_TypeError, "only one argument here");
    if (self->count == self->room && grow(self) < 0)
        return NULL;
    context = context == Py_None ? PyContext_CopyCurrent() : Py_NewRef(context);
    if (context == NULL)
        return NULL;
    call = &self->ring[(self->first + self->count++) & (self->room - 1)];
    call->function = Py_NewRef(args[0]);
    call->argument = count == 2 ? Py_NewRef(args[1]) : NULL;
    call->context = context;
    Py_RETURN_NONE;
}

static int run_first(Loop *self)
{
    struct call call = self->ring[self->first];
    PyObject *result = NULL;

    self->first = (self->first + 1) & (self->room - 1);
    self->count--;
    if (PyContext_Enter(call.context) == 0) {
        result = PyObject_Vectorcall(call.function, &call.argument,
                                     call.argument != NULL, NULL);
        if (PyContext_Exit(call.context) < 0)
            Py_CLEAR(result);
    }
    Py_DECREF(call.context);
    Py_XDECREF(call.argument);
    Py_DECREF(call.function);
    Py_XDECREF(result);
    return result != NULL ? 0 : -1;
}

static PyObject *loop_stop(PyObject *op, PyObject *task)
{
    (void)task;
    ((Loop *)op)->stopping = 1;
    Py_RETURN_NONE;
}

static PyObject *loop_create_task(PyObject *op, PyObject *const *args,
                                  Py_ssize_t count, PyObject *names)
{
    Py_ssize_t named = names != NULL ? PyTuple_GET_SIZE(names) : 0;
    PyObject *all_names = loop_names, *task, *values[8];

    if (count != 1 || named > 6)
        return PyErr_Format(PyExc_TypeError, "one coroutine, please");
    memcpy(values, args, (size_t)(1 + named) * sizeof *values);
    values[1 + named] = op;
    all_names = named > 0 ? PySequence_Concat(names, loop_names)
                          : Py_NewRef(loop_names);
    if (all_names == NULL)
        return NULL;
    task = PyObject_Vectorcall(task_type, values, 1, all_names);
    Py_DECREF(all_names);
    return task;
}

static PyObject *loop_create_future(PyObject *op, PyObject *unused)
{
    (void)unused;
    return PyObject_Vectorcall(future_type, &op, 0, loop_names);
}

static int run(Loop *self)
{
    self->stopping = 0;
    while (!self->stopping)
        if (self->count == 0) {
            PyErr_SetString(PyExc_RuntimeError, "nothing left to run");
            return -1;
        } else if (run_first(self) < 0) {
            return -1;
        }
    return 0;
}

static PyObject *run_task(Loop *self, PyObject *task)
{
    PyObject *stop = PyObject_GetAttrString((PyObject *)self, "stop");
    PyObject *added =
        stop ? PyObject_CallMethod(task, "add_done_callback", "O", stop) : NULL;

    Py_XDECREF(stop);
    Py_XDECREF(added);
    if (added == NULL || run(self) < 0)
        return NULL;
    return PyObject_CallMethod(task, "result", NULL);
}

static PyObject *loop_run_until_complete(PyObject *op, PyObject *coroutine)
{
    PyObject *task = loop_create_task(op, &coroutine, 1, NULL);
    PyObject *set = task ? PyObject_CallOneArg(set_running_loop, op) : NULL;
    PyObject *result = set ? run_task((Loop *)op, task) : NULL;

    Py_XDECREF(set);
    Py_XDECREF(task);
    return result;
}

static PyObject *loop_get_debug(PyObject *op, PyObject *unused)
{
    (void)op, (void)unused;
    Py_RETURN_FALSE;
}

static PyObject *loop_time(PyObject *op, PyObject *unused)
{
    struct timespec now;

    (void)op, (void)unused;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return PyFloat_FromDouble((double)now.tv_sec + (double)now.tv_nsec * 1e-9);
}

/* A timer that can be cancelled, which is all that a work asks of it. */
static PyObject *loop_call_at(PyObject *op, PyObject *const *args,
                              Py_ssize_t count, PyObject *names)
{
    (void)args, (void)count, (void)names;
    return Py_NewRef(((Loop *)op)->timer);
}

static PyObject *timer_cancel(PyObject *op, PyObject *unused)
{
    (void)op, (void)unused;
    Py_RETURN_NONE;
}

static PyMethodDef timer_methods[] = {
    {"cancel", timer_cancel, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyTypeObject timer_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "limit_loop.Timer",
    .tp_basicsize = sizeof(PyObject),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_methods = timer_methods,
    .tp_new = PyType_GenericNew,
};

#define NAMED (METH_FASTCALL | METH_KEYWORDS)
#define NAMED_FUNCTION(function) ((PyCFunction)(void (*)(void))(function))

static PyMethodDef loop_methods[] = {
    {"call_soon", NAMED_FUNCTION(loop_call_soon), NAMED, NULL},
    {"call_at", NAMED_FUNCTION(loop_call_at), NAMED, NULL},
    {"create_task", NAMED_FUNCTION(loop_create_task), NAMED, NULL},
    {"create_future", loop_create_future, METH_NOARGS, NULL},
    {"get_debug", loop_get_debug, METH_NOARGS, NULL},
    {"time", loop_time, METH_NOARGS, NULL},
    {"stop", loop_stop, METH_O, NULL},
    {"run_until_complete", loop_run_until_complete, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static PyTypeObject loop_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "limit_loop.Loop",
    .tp_basicsize = sizeof(Loop),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_methods = loop_methods,
    .tp_new = PyType_GenericNew,
};

static PyObject *new_event_loop(PyObject *module, PyObject *unused)
{
    Loop *loop = (Loop *)PyObject_CallNoArgs((PyObject *)&loop_type);

    (void)module, (void)unused;
    if (loop != NULL)
        loop->timer = PyObject_CallNoArgs((PyObject *)&timer_type);
    if (loop == NULL || loop->timer == NULL)
        return NULL;
    return (PyObject *)loop;
}

static PyMethodDef module_methods[] = {
    {"new_event_loop", new_event_loop, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "limit_loop",
    .m_methods = module_methods,
};

PyMODINIT_FUNC PyInit_limit_loop(void);

PyMODINIT_FUNC PyInit_limit_loop(void)
{
    PyObject *asyncio = PyImport_ImportModule("asyncio");

    if (asyncio == NULL)
        return NULL;
    task_type = PyObject_GetAttrString(asyncio, "Task");
    future_type = PyObject_GetAttrString(asyncio, "Future");
    set_running_loop = PyObject_GetAttrString(asyncio, "_set_running_loop");
    loop_names = Py_BuildValue("(s)", "loop");
    Py_DECREF(asyncio);
    if (!task_type || !future_type || !set_running_loop || !loop_names ||
        PyType_Ready(&timer_type) < 0 || PyType_Ready(&loop_type) < 0)
        return NULL;
    return PyModule_Create(&module_def);
}
