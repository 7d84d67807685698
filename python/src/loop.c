/* SPDX-License-Identifier: MIT */
/*
 * Loop: its life, and what it remembers
 */
#include "transport.h"
#include <structmember.h>

LoopObject *core_open_loop(PyObject *op)
{
    LoopObject *self = (LoopObject *)op;

    if (rota__likely(!self->closed))
        return self;
    PyErr_SetString(PyExc_RuntimeError, "Event loop is closed");
    return NULL;
}

bool core_check_thread(LoopObject *self)
{
    if (self->thread_id == 0 || self->thread_id == PyThread_get_thread_ident())
        return true;
    PyErr_SetString(PyExc_RuntimeError,
                    "Non-thread-safe operation invoked on an event loop other "
                    "than the current one");
    return false;
}

/* --- What it keeps alive ------------------------------------------------- */

void core_keep(LoopObject *self, struct core_kept *kept, PyObject *object,
               void (*detach)(PyObject *))
{
    kept->owner = object;
    kept->object = Py_NewRef(object);
    kept->detach = detach;
    rota__list_push(&self->kept, &kept->link);
}

void core_let_go(struct core_kept *kept)
{
    PyObject *object = kept->object;

    if (!object)
        return;
    kept->object = NULL;
    rota__list_remove(&kept->link);
    Py_DECREF(object);
}

static void detach_all(LoopObject *self)
{
    while (!rota__list_empty(&self->kept)) {
        struct core_kept *kept =
            rota__container_of(self->kept.next, struct core_kept, link);
        PyObject *object = Py_NewRef(kept->object);

        core_let_go(kept);
        kept->detach(object);
        Py_DECREF(object);
    }
}

/* --- Closing ------------------------------------------------------------- */

/* Whatever runs meanwhile (destructors) finds a loop that is closed. */
static void close_loop(LoopObject *self)
{
    PyObject *exception = core_take_exception();
    int err;

    self->closed = true;
    detach_all(self);
    core_sock_places_free(self);
    PyDict_Clear(self->readers);
    PyDict_Clear(self->writers);
    err = rota_loop_close(self->loop);
    if (err < 0) {
        (void)core_raise(err);
        PyErr_WriteUnraisable((PyObject *)self);
    } else { /* nobody posts any more: that takes the GIL and an open loop */
        rota__wake_close(&self->loop->wake);
    }
    core_give_exception(exception);
}

static PyObject *loop_is_closed(PyObject *op, PyObject *Py_UNUSED(none))
{
    return PyBool_FromLong(((LoopObject *)op)->closed);
}

static PyObject *loop_is_running(PyObject *op, PyObject *Py_UNUSED(none))
{
    return PyBool_FromLong(((LoopObject *)op)->thread_id != 0);
}

static PyObject *loop_get_debug(PyObject *op, PyObject *Py_UNUSED(none))
{
    return PyBool_FromLong(((LoopObject *)op)->debug);
}

static PyObject *loop_check_closed(PyObject *op, PyObject *Py_UNUSED(none))
{
    return core_open_loop(op) ? Py_NewRef(Py_None) : NULL;
}

static PyObject *loop_check_thread(PyObject *op, PyObject *Py_UNUSED(none))
{
    return core_check_thread((LoopObject *)op) ? Py_NewRef(Py_None) : NULL;
}

/* --- The garbage collector ----------------------------------------------- */

struct visit {
    visitproc visit;
    void *arg;
    int result;
};

/* One that is hidden from the collector is shown through us, unless somebody
   else has it, too. */
static void visit_handle(struct rota__handle *queued, void *arg)
{
    struct visit *to = arg;
    HandleObject *handle = core_handle_of(queued);

    if (queued->run != core_handle_run || to->result != 0)
        return;
    if (PyObject_GC_IsTracked((PyObject *)handle))
        to->result = to->visit((PyObject *)handle, to->arg);
    else if (Py_REFCNT(handle) == 1)
        to->result = core_handle_visit(handle, to->visit, to->arg);
}

static int loop_traverse(PyObject *op, visitproc visit, void *arg)
{
    LoopObject *self = (LoopObject *)op;
    struct visit to = {visit, arg, 0};

    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->module);
    Py_VISIT(self->readers);
    Py_VISIT(self->writers);
    Py_VISIT(self->task_factory);
    Py_VISIT(self->current_handle);
    Py_VISIT(self->fatal);
    if (!self->loop)
        return 0;
    for (struct rota__link *at = self->kept.next; at != &self->kept;
         at = at->next)
        Py_VISIT(rota__container_of(at, struct core_kept, link)->object);
    if (!self->closed)
        rota__visit(self->loop, visit_handle, &to);
    return to.result;
}

static int loop_clear(PyObject *op)
{
    LoopObject *self = (LoopObject *)op;

    if (self->loop && !self->closed)
        close_loop(self);
    Py_CLEAR(self->readers);
    Py_CLEAR(self->writers);
    Py_CLEAR(self->task_factory);
    Py_CLEAR(self->current_handle);
    Py_CLEAR(self->fatal);
    return 0;
}

static void loop_dealloc(PyObject *op)
{
    LoopObject *self = (LoopObject *)op;
    PyTypeObject *type = Py_TYPE(op);

    PyObject_GC_UnTrack(op);
    if (self->weakrefs)
        PyObject_ClearWeakRefs(op);
    (void)loop_clear(op);
    core_free_gathers(self);
    if (self->loop)
        (void)rota_loop_free(self->loop);
    Py_XDECREF(self->module);
    type->tp_free(op);
    Py_DECREF(type);
}

#define LARGE_BUFFER (4 << 20)

/*
 * glibc returns freed memory to the system, to ask for it anew at once, unless
 * it has seen that large blocks come and go. Streams' buffers do that: tell it
 * so, by a block that nobody touches.
 */
static void announce_large_buffers(void)
{
    void *volatile block = PyMem_RawMalloc(LARGE_BUFFER);

    PyMem_RawFree(block);
}

static PyObject *loop_new(PyTypeObject *type, PyObject *Py_UNUSED(args),
                          PyObject *Py_UNUSED(named))
{
    LoopObject *self = (LoopObject *)type->tp_alloc(type, 0);
    int err;

    if (!self)
        return NULL;
    rota__list_init(&self->kept);
    rota__list_init(&self->popped);
    rota__list_init(&self->dirty);
    rota__list_init(&self->late);
    rota__list_init(&self->places);
    self->slow_callback = 0.1;
    self->module = Py_XNewRef(PyType_GetModuleByDef(type, &core_module_def));
    self->state = self->module ? PyModule_GetState(self->module) : NULL;
    self->readers = PyDict_New();
    self->writers = PyDict_New();
    if (!self->state || !self->readers || !self->writers)
        goto fail;
    err = rota_new_event_loop(&self->loop, NULL);
    if (err < 0) {
        (void)core_raise(err);
        goto fail;
    }
    self->loop->wait_hooks =
        (struct rota__wait_hooks){core_release_gil, core_take_gil, self};
    self->loop->drop = core_handle_drop;
    announce_large_buffers();
    return (PyObject *)self;
fail:
    self->closed = true; /* for asyncio's __del__() */
    Py_DECREF(self);
    return NULL;
}

/* --- Attributes that asyncio's own code reads and writes ----------------- */

static PyObject *get_stopping(PyObject *op, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(((LoopObject *)op)->loop->stopping);
}

static int set_stopping(PyObject *op, PyObject *value, void *Py_UNUSED(closure))
{
    int truth = value ? PyObject_IsTrue(value) : 0;

    if (truth >= 0)
        ((LoopObject *)op)->loop->stopping = truth;
    return truth < 0 ? -1 : 0;
}

static PyObject *get_thread_id(PyObject *op, void *Py_UNUSED(closure))
{
    unsigned long id = ((LoopObject *)op)->thread_id;

    return id ? PyLong_FromUnsignedLong(id) : Py_NewRef(Py_None);
}

static int set_thread_id(PyObject *op, PyObject *value,
                         void *Py_UNUSED(closure))
{
    unsigned long id = 0;

    if (value && !Py_IsNone(value))
        id = PyLong_AsUnsignedLong(value);
    if (PyErr_Occurred())
        return -1;
    ((LoopObject *)op)->thread_id = id;
    return 0;
}

static PyObject *get_factory(PyObject *op, void *Py_UNUSED(closure))
{
    PyObject *factory = ((LoopObject *)op)->task_factory;

    return Py_NewRef(factory ? factory : Py_None);
}

static int set_factory(PyObject *op, PyObject *value, void *Py_UNUSED(closure))
{
    LoopObject *self = (LoopObject *)op;

    if (!value || Py_IsNone(value))
        Py_CLEAR(self->task_factory);
    else
        Py_XSETREF(self->task_factory, Py_NewRef(value));
    return 0;
}

static PyObject *get_ready(PyObject *op, void *Py_UNUSED(closure))
{
    return PyObject_CallOneArg(((LoopObject *)op)->state->ready_type, op);
}

static PyObject *get_selector(PyObject *op, void *Py_UNUSED(closure))
{
    PyObject *type = core_support(((LoopObject *)op)->state, "Selector");

    return type ? PyObject_CallOneArg(type, op) : NULL;
}

static PyObject *get_closed(PyObject *op, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(((LoopObject *)op)->closed);
}

static PyObject *get_debug(PyObject *op, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(((LoopObject *)op)->debug);
}

static int set_debug(PyObject *op, PyObject *value, void *Py_UNUSED(closure))
{
    int truth = value ? PyObject_IsTrue(value) : 0;

    if (truth >= 0)
        ((LoopObject *)op)->debug = truth;
    return truth < 0 ? -1 : 0;
}

/* asyncio's close() comes here. */
static int set_closed(PyObject *op, PyObject *value, void *Py_UNUSED(closure))
{
    LoopObject *self = (LoopObject *)op;
    int truth = value ? PyObject_IsTrue(value) : 0;

    if (truth > 0 && !self->closed)
        close_loop(self);
    return truth < 0 ? -1 : 0;
}

/* asyncio counts its self-pipe here. */
static PyObject *get_internal_fds(PyObject *op, void *Py_UNUSED(closure))
{
    return PyLong_FromLong(!((LoopObject *)op)->closed);
}

static int ignore(PyObject *Py_UNUSED(op), PyObject *Py_UNUSED(value),
                  void *Py_UNUSED(closure))
{
    return 0;
}

static PyGetSetDef loop_getset[] = {
    {"_stopping", get_stopping, set_stopping, NULL, NULL},
    {"_thread_id", get_thread_id, set_thread_id, NULL, NULL},
    {"_task_factory", get_factory, set_factory, NULL, NULL},
    {"_ready", get_ready, NULL, NULL, NULL},
    {"_selector", get_selector, ignore, NULL, NULL},
    {"_debug", get_debug, set_debug, NULL, NULL},
    {"_closed", get_closed, set_closed, NULL, NULL},
    {"_internal_fds", get_internal_fds, ignore, NULL, NULL},
    {0},
};

static PyMemberDef loop_members[] = {
    {"_current_handle", T_OBJECT, offsetof(LoopObject, current_handle), 0,
     NULL},
    {"slow_callback_duration", T_DOUBLE, offsetof(LoopObject, slow_callback), 0,
     "Debug mode reports callbacks that take as many seconds or more."},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(LoopObject, weakrefs), READONLY,
     NULL},
    {0},
};

static PyMethodDef loop_methods[] = {
    {"is_closed", loop_is_closed, METH_NOARGS,
     "is_closed($self, /)\n--\n\n"
     "Return True if close() was called."},
    {"is_running", loop_is_running, METH_NOARGS,
     "is_running($self, /)\n--\n\n"
     "Return True if a thread runs the loop."},
    {"get_debug", loop_get_debug, METH_NOARGS,
     "get_debug($self, /)\n--\n\n"
     "Return True in debug mode."},
    {"_check_closed", loop_check_closed, METH_NOARGS, NULL},
    {"_check_thread", loop_check_thread, METH_NOARGS, NULL},
    {0},
};

/* The methods of all files, made when the type is. */
static PyMethodDef all_methods[64];

static PyType_Slot loop_slots[] = {
    {Py_tp_doc, "The part of rota.Loop that is in C."},
    {Py_tp_new, loop_new},
    {Py_tp_traverse, loop_traverse},
    {Py_tp_clear, loop_clear},
    {Py_tp_dealloc, loop_dealloc},
    {Py_tp_methods, all_methods},
    {Py_tp_members, loop_members},
    {Py_tp_getset, loop_getset},
    {0},
};

static PyType_Spec loop_spec = {
    .name = "rota._core.Loop",
    .basicsize = sizeof(LoopObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
    .slots = loop_slots,
};

PyType_Spec *core_make_loop_spec(void)
{
    static const PyMethodDef *const parts[] = {
        loop_methods,         core_schedule_methods, core_run_methods,
        core_reader_methods,  core_ready_methods,    core_socket_methods,
        core_accept_methods,  core_pipe_methods,     core_child_methods,
        core_sock_methods,    core_datagram_methods, core_fork_methods,
        core_connect_methods, core_names_methods};

    core_join_methods(all_methods, rota__countof(all_methods), parts,
                      rota__countof(parts));
    return &loop_spec;
}
