/* SPDX-License-Identifier: MIT */
/*
 * A proof: Python's callbacks, tasks and futures on loop/
 *
 * The smallest event loop that CPython's own C Task and Future accept, to
 * hold loop/ to its contract with the Python face:
 *
 *   - The GIL is the lock of the wait hooks. Whoever holds it finds the
 *     queues whole, on any thread, so that the garbage collector may visit
 *     them at any time.
 *   - A Handle is one object: its place in the queue, its callback and its
 *     arguments. A queue owns a reference to it; `loop` says that it is in one.
 *   - An error that must stop the loop breaks the turn, stays set as Python's
 *     current exception and comes out of run_forever(). What was not run
 *     stays queued.
 *   - Signals are looked at between waiting and running. A wait that sleeps
 *     ends with EINTR only if the signal comes on this thread and not a
 *     moment too early; for the rest a real loop gives set_wakeup_fd() the
 *     end of a socket pair (an eventfd refuses Python's single byte) and
 *     watches the other one, which the test does in Python.
 */
#include "proof.h"
#include <structmember.h>

#define BREATH (ROTA__SECOND / 1000)

static struct PyModuleDef module_def;

/* Reading */
/* The wait hooks' argument is the Loop, which runs here and now. */
static void reader_ready(void *arg)
{
    HandleObject *handle = (HandleObject *)Py_NewRef(arg);

    proof_handle_call(rota_get_running_loop()->wait_hooks.arg, handle);
    Py_DECREF(handle);
}

static PyObject *loop_add_reader(PyObject *op, PyObject *const *args,
                                 Py_ssize_t count)
{
    LoopObject *self = (LoopObject *)op;
    int fd = count > 0 ? PyObject_AsFileDescriptor(args[0]) : 0;
    HandleObject *handle;
    PyObject *key;
    int err;

    if (fd < 0)
        return NULL;
    handle = proof_handle_for(op, args + 1, count - 1, NULL);
    key = handle ? PyLong_FromLong(fd) : NULL;
    if (key) {
        err = rota_add_reader(self->loop, fd, reader_ready, handle);
        if (err < 0)
            (void)proof_raise(err);
        else if (PyDict_SetItem(self->readers, key, (PyObject *)handle) < 0)
            (void)rota_remove_reader(self->loop, fd);
    }
    Py_XDECREF(key);
    Py_XDECREF(handle);
    return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
}

static PyObject *loop_remove_reader(PyObject *op, PyObject *file)
{
    LoopObject *self = proof_open_loop(op);
    int fd = self ? PyObject_AsFileDescriptor(file) : -1;
    PyObject *key;
    int removed;

    if (fd < 0)
        return NULL;
    removed = rota_remove_reader(self->loop, fd);
    if (removed <= 0)
        return removed < 0 ? proof_raise(removed) : Py_NewRef(Py_False);
    key = PyLong_FromLong(fd);
    if (!key || PyDict_DelItem(self->readers, key) < 0) {
        Py_XDECREF(key);
        return NULL;
    }
    Py_DECREF(key);
    Py_RETURN_TRUE;
}

/* Running */
static void release_gil(void *arg)
{
    LoopObject *self = arg;

    self->waits++;
    self->thread = PyEval_SaveThread();
}

static void take_gil(void *arg)
{
    LoopObject *self = arg;

    PyEval_RestoreThread(self->thread);
}

/*
 * Python's own code gives way to threads that ask for the GIL; callbacks in C
 * do not, and letting go unasked helps nobody: we would have it back before
 * the other is awake. So run a line of Python's own code now and then.
 */
static int give_way(LoopObject *self)
{
    int64_t now = rota__clock_now();
    PyObject *done;

    if (now - self->breathed < BREATH)
        return 0;
    self->breathed = now;
    done = PyObject_CallNoArgs(self->state->breathe);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

static int turn(LoopObject *self)
{
    int err = rota__turn_wait(self->loop);

    if (err < 0) {
        (void)proof_raise(err);
        return -1;
    }
    if (PyErr_CheckSignals() < 0)
        return -1;
    rota__turn_run(self->loop);
    if (self->failed) {
        self->failed = false;
        return -1;
    }
    return give_way(self);
}

/* asyncio's idea of the running loop, beside loop/'s own. */
static PyObject *swap_running(struct state *state, PyObject *loop)
{
    PyObject *before = PyObject_CallNoArgs(state->get_running_loop);
    PyObject *done = NULL;

    if (before)
        done = PyObject_CallOneArg(state->set_running_loop, loop);
    if (!done)
        Py_CLEAR(before);
    Py_XDECREF(done);
    return before;
}

/* `once`: one turn, which does not wait. */
static PyObject *run(LoopObject *self, bool once)
{
    struct rota__running running;
    int err = rota__run_begin(self->loop, &running, self->nested);
    PyObject *before, *exception;

    if (err < 0)
        return proof_raise(err);
    if (once)
        rota_loop_stop(self->loop);
    before = swap_running(self->state, (PyObject *)self);
    while (before && turn(self) == 0 && !self->loop->stopping)
        ;
    rota__run_end(self->loop, &running);
    exception = proof_take_exception();
    if (before)
        Py_XDECREF(swap_running(self->state, before));
    Py_XDECREF(before);
    if (!exception)
        return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
    proof_give_exception(exception);
    return NULL;
}

static PyObject *loop_run_forever(PyObject *op, PyObject *Py_UNUSED(none))
{
    LoopObject *self = proof_open_loop(op);

    return self ? run(self, false) : NULL;
}

static PyObject *loop_run_once(PyObject *op, PyObject *Py_UNUSED(none))
{
    LoopObject *self = proof_open_loop(op);

    return self ? run(self, true) : NULL;
}

static PyObject *loop_stop(PyObject *op, PyObject *Py_UNUSED(none))
{
    rota_loop_stop(((LoopObject *)op)->loop);
    Py_RETURN_NONE;
}

static PyObject *loop_close(PyObject *op, PyObject *Py_UNUSED(none))
{
    LoopObject *self = (LoopObject *)op;
    int err = rota_loop_close(self->loop);

    if (err < 0)
        return proof_raise(err);
    PyDict_Clear(self->readers);
    Py_RETURN_NONE;
}

static PyObject *loop_is_running(PyObject *op, PyObject *Py_UNUSED(none))
{
    return PyBool_FromLong(rota_loop_is_running(((LoopObject *)op)->loop));
}

static PyObject *loop_is_closed(PyObject *op, PyObject *Py_UNUSED(none))
{
    return PyBool_FromLong(rota_loop_is_closed(((LoopObject *)op)->loop));
}

static PyObject *loop_time(PyObject *op, PyObject *Py_UNUSED(none))
{
    return PyFloat_FromDouble(rota_loop_time(((LoopObject *)op)->loop));
}

static PyObject *loop_get_debug(PyObject *Py_UNUSED(op),
                                PyObject *Py_UNUSED(none))
{
    Py_RETURN_FALSE;
}

/* Of asyncio's types */
static PyObject *make(PyObject *op, PyObject *type, PyObject *args,
                      PyObject *named)
{
    PyObject *all = named ? PyDict_Copy(named) : PyDict_New();
    PyObject *result = NULL;

    if (all && PyDict_SetItemString(all, "loop", op) == 0)
        result = PyObject_Call(type, args, all);
    Py_XDECREF(all);
    return result;
}

static PyObject *loop_create_future(PyObject *op, PyObject *args,
                                    PyObject *named)
{
    return make(op, ((LoopObject *)op)->state->future, args, named);
}

static PyObject *loop_create_task(PyObject *op, PyObject *args, PyObject *named)
{
    return make(op, ((LoopObject *)op)->state->task, args, named);
}

static PyObject *loop_call_exception_handler(PyObject *op, PyObject *context)
{
    PyObject *handler = ((LoopObject *)op)->exception_handler;

    if (handler)
        return PyObject_CallFunctionObjArgs(handler, op, context, NULL);
    PyErr_SetObject(PyExc_RuntimeError, context);
    PyErr_WriteUnraisable(op);
    Py_RETURN_NONE;
}

/* The life of a loop */
struct visit {
    visitproc visit;
    void *arg;
    int result;
};

static void visit_handle(struct rota__handle *queued, void *arg)
{
    struct visit *to = arg;

    if (queued->run == proof_handle_run && to->result == 0)
        to->result = to->visit((PyObject *)proof_handle_of(queued), to->arg);
}

static int loop_traverse(PyObject *op, visitproc visit, void *arg)
{
    LoopObject *self = (LoopObject *)op;
    struct visit to = {visit, arg, 0};

    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->readers);
    Py_VISIT(self->exception_handler);
    if (self->loop)
        rota__visit(self->loop, visit_handle, &to);
    return to.result;
}

static int count_one(PyObject *Py_UNUSED(handle), void *arg)
{
    ++*(Py_ssize_t *)arg;
    return 0;
}

static PyObject *loop_pending(PyObject *op, PyObject *Py_UNUSED(none))
{
    Py_ssize_t count = 0;
    struct visit to = {count_one, &count, 0};

    rota__visit(((LoopObject *)op)->loop, visit_handle, &to);
    return PyLong_FromSsize_t(count);
}

static int loop_clear(PyObject *op)
{
    LoopObject *self = (LoopObject *)op;

    if (self->loop)
        (void)rota_loop_close(self->loop);
    Py_CLEAR(self->readers);
    Py_CLEAR(self->exception_handler);
    return 0;
}

/* Nobody runs it: whoever runs a loop has a reference to it. */
static void loop_finalize(PyObject *op)
{
    LoopObject *self = (LoopObject *)op;
    PyObject *exception = proof_take_exception();

    if (self->loop && !rota_loop_is_closed(self->loop)) {
        if (PyErr_ResourceWarning(op, 1, "unclosed event loop %R", op) < 0)
            PyErr_WriteUnraisable(op);
        (void)rota_loop_close(self->loop);
        PyDict_Clear(self->readers);
    }
    proof_give_exception(exception);
}

static void loop_dealloc(PyObject *op)
{
    LoopObject *self = (LoopObject *)op;
    PyTypeObject *type = Py_TYPE(op);

    if (PyObject_CallFinalizerFromDealloc(op) < 0)
        return;
    PyObject_GC_UnTrack(op);
    if (self->weakrefs)
        PyObject_ClearWeakRefs(op);
    (void)loop_clear(op);
    rota_loop_free(self->loop);
    type->tp_free(op);
    Py_DECREF(type);
}

static PyObject *loop_new(PyTypeObject *type, PyObject *Py_UNUSED(args),
                          PyObject *Py_UNUSED(named))
{
    LoopObject *self = (LoopObject *)type->tp_alloc(type, 0);
    int err;

    if (!self)
        return NULL;
    self->state = PyModule_GetState(PyType_GetModuleByDef(type, &module_def));
    self->readers = PyDict_New();
    if (!self->readers)
        goto fail;
    err = rota_new_event_loop(&self->loop, NULL);
    if (err < 0) {
        (void)proof_raise(err);
        goto fail;
    }
    self->loop->wait_hooks =
        (struct rota__wait_hooks){release_gil, take_gil, self};
    self->loop->drop = proof_handle_drop;
    return (PyObject *)self;
fail:
    Py_DECREF(self);
    return NULL;
}

#define ANY(function) (PyCFunction)(void (*)(void))(function)
#define FAST (METH_FASTCALL | METH_KEYWORDS)
#define NAMED (METH_VARARGS | METH_KEYWORDS)
static PyMethodDef loop_methods[] = {
    {"call_soon", ANY(proof_call_soon), FAST, NULL},
    {"call_soon_threadsafe", ANY(proof_call_soon_threadsafe), FAST, NULL},
    {"call_later", ANY(proof_call_later), FAST, NULL},
    {"call_at", ANY(proof_call_at), FAST, NULL},
    {"add_reader", ANY(loop_add_reader), METH_FASTCALL, NULL},
    {"remove_reader", loop_remove_reader, METH_O, NULL},
    {"create_future", ANY(loop_create_future), NAMED, NULL},
    {"create_task", ANY(loop_create_task), NAMED, NULL},
    {"call_exception_handler", loop_call_exception_handler, METH_O, NULL},
    {"run_forever", loop_run_forever, METH_NOARGS, NULL},
    {"run_once", loop_run_once, METH_NOARGS, NULL},
    {"stop", loop_stop, METH_NOARGS, NULL},
    {"close", loop_close, METH_NOARGS, NULL},
    {"is_running", loop_is_running, METH_NOARGS, NULL},
    {"is_closed", loop_is_closed, METH_NOARGS, NULL},
    {"time", loop_time, METH_NOARGS, NULL},
    {"get_debug", loop_get_debug, METH_NOARGS, NULL},
    {"pending", loop_pending, METH_NOARGS, NULL},
    {0},
};

static PyMemberDef loop_members[] = {
    {"nested", T_BOOL, offsetof(LoopObject, nested), 0, NULL},
    {"waits", T_PYSSIZET, offsetof(LoopObject, waits), READONLY, NULL},
    {"exception_handler", T_OBJECT, offsetof(LoopObject, exception_handler), 0,
     NULL},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(LoopObject, weakrefs), READONLY,
     NULL},
    {0},
};

static PyType_Slot loop_slots[] = {
    {Py_tp_new, loop_new},         {Py_tp_traverse, loop_traverse},
    {Py_tp_clear, loop_clear},     {Py_tp_finalize, loop_finalize},
    {Py_tp_dealloc, loop_dealloc}, {Py_tp_methods, loop_methods},
    {Py_tp_members, loop_members}, {0},
};

static PyType_Spec loop_spec = {
    .name = "_rota_proof.Loop",
    .basicsize = sizeof(LoopObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = loop_slots,
};

/* The module */
static PyObject *add_type(PyObject *module, PyType_Spec *spec)
{
    PyObject *type = PyType_FromModuleAndSpec(module, spec, NULL);

    if (type && PyModule_AddType(module, (PyTypeObject *)type) < 0)
        Py_CLEAR(type);
    return type;
}

static int module_exec(PyObject *module)
{
    static const char *const names[] = {"Future", "Task", "_get_running_loop",
                                        "_set_running_loop"};
    struct state *state = PyModule_GetState(module);
    PyObject **into = &state->future;
    PyObject *globals = PyModule_GetDict(module);
    PyObject *asyncio = PyImport_ImportModule("asyncio");

    if (!asyncio)
        return -1;
    state->breathe =
        PyRun_String("lambda: None", Py_eval_input, globals, globals);
    state->handle_type = add_type(module, &proof_handle_spec);
    state->loop_type = state->breathe && state->handle_type
                           ? add_type(module, &loop_spec)
                           : NULL;
    for (size_t i = 0; state->loop_type && i < rota__countof(names); i++) {
        into[i] = PyObject_GetAttrString(asyncio, names[i]);
        if (!into[i])
            break;
    }
    Py_DECREF(asyncio);
    return PyErr_Occurred() ? -1 : 0;
}

static PyObject **objects_of(PyObject *module, size_t *count)
{
    *count = sizeof(struct state) / sizeof(PyObject *);
    return PyModule_GetState(module);
}

static int module_traverse(PyObject *module, visitproc visit, void *arg)
{
    size_t count;
    PyObject **objects = objects_of(module, &count);

    for (size_t i = 0; i < count; i++)
        Py_VISIT(objects[i]);
    return 0;
}

static int module_clear(PyObject *module)
{
    size_t count;
    PyObject **objects = objects_of(module, &count);

    for (size_t i = 0; i < count; i++)
        Py_CLEAR(objects[i]);
    return 0;
}

static void module_free(void *module)
{
    (void)module_clear(module);
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, module_exec},
#ifdef Py_mod_multiple_interpreters
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
    {0},
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,          .m_name = "_rota_proof",
    .m_size = sizeof(struct state), .m_slots = module_slots,
    .m_traverse = module_traverse,  .m_clear = module_clear,
    .m_free = module_free,
};

PyMODINIT_FUNC PyInit__rota_proof(void);
PyMODINIT_FUNC PyInit__rota_proof(void)
{
    return PyModuleDef_Init(&module_def);
}
