/* SPDX-License-Identifier: MIT */
/*
 * Handle and TimerHandle
 *
 * They print, compare and cancel like asyncio's. Those with few arguments are
 * kept to be used again. While its callback runs, nothing clears a handle's
 * arguments: they are called where they lie.
 */
#include "core.h"
#include <structmember.h>

/* --- Making and ending --------------------------------------------------- */

static HandleObject *allocate(core_state *state, bool timer, Py_ssize_t count)
{
    PyTypeObject *type =
        (PyTypeObject *)(timer ? state->timer_handle_type : state->handle_type);
    HandleObject *handle = state->free_handles[timer];
    bool few = count <= CORE_FEW_ARGS;

    if (few && handle && type) {
        state->free_handles[timer] = handle->next_free;
        state->free_count[timer]--;
        PyObject_InitVar((PyVarObject *)handle, type, count);
        return handle;
    }
    handle =
        PyObject_GC_NewVar(HandleObject, type, few ? CORE_FEW_ARGS : count);
    if (!handle)
        return NULL;
    handle->few = few;
    handle->is_timer = timer;
    Py_SET_SIZE(handle, count);
    return handle;
}

/* Where it was scheduled: the frame of Python's that called us. */
static int remember_stack(HandleObject *handle)
{
    handle->source_traceback =
        PyObject_CallNoArgs(handle->loop->state->extract_stack);
    return handle->source_traceback ? 0 : -1;
}

HandleObject *core_handle_new(LoopObject *loop, bool timer, PyObject *context,
                              PyObject *const *args, Py_ssize_t count)
{
    HandleObject *handle;

    context = context ? Py_NewRef(context) : PyContext_CopyCurrent();
    if (!context)
        return NULL;
    handle = allocate(loop->state, timer, count - 1);
    if (!handle) {
        Py_DECREF(context);
        return NULL;
    }
    rota__timer_init(&handle->timer, core_handle_run);
    handle->timer.node = (struct rota__heap_node){0};
    handle->loop = (LoopObject *)Py_NewRef(loop);
    handle->context = context;
    handle->source_traceback = handle->repr = handle->weakrefs = NULL;
    handle->queued = false;
    handle->cancelled = handle->running = false;
    handle->shared = handle->awaited = false;
    handle->callback = Py_NewRef(args[0]);
    for (Py_ssize_t i = 1; i < count; i++)
        handle->args[i - 1] = Py_NewRef(args[i]);
    if (timer)
        PyObject_GC_Track(handle);
    if (rota__unlikely(loop->debug) && remember_stack(handle) < 0)
        Py_CLEAR(handle);
    else if (!core_open_loop((PyObject *)loop))
        Py_CLEAR(handle); /* a collection has run, and whatever it destroyed */
    return handle;
}

static void clear_call(HandleObject *self)
{
    PyObject *callback = self->callback;

    self->callback = NULL;
    Py_XDECREF(callback);
    for (Py_ssize_t i = 0; i < Py_SIZE(self); i++)
        Py_CLEAR(self->args[i]);
}

static int handle_clear(PyObject *op)
{
    HandleObject *self = (HandleObject *)op;

    if (!self->running)
        clear_call(self);
    Py_CLEAR(self->source_traceback);
    return 0;
}

int core_handle_visit(HandleObject *self, visitproc visit, void *arg)
{
    Py_VISIT(self->callback);
    Py_VISIT(self->context);
    Py_VISIT(self->loop);
    Py_VISIT(self->source_traceback);
    for (Py_ssize_t i = 0; i < Py_SIZE(self); i++)
        Py_VISIT(self->args[i]);
    return 0;
}

static int handle_traverse(PyObject *op, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(op));
    return core_handle_visit((HandleObject *)op, visit, arg);
}

static void release(HandleObject *self)
{
    PyObject *op = (PyObject *)self;
    PyTypeObject *type = Py_TYPE(op);
    LoopObject *loop = self->loop;
    core_state *state = loop->state;
    bool timer = self->is_timer;

    if (rota__unlikely(self->weakrefs != NULL))
        PyObject_ClearWeakRefs(op);
    clear_call(self);
    Py_CLEAR(self->context);
    Py_XDECREF(self->source_traceback);
    Py_XDECREF(self->repr);
    if (self->few && state->free_count[timer] < CORE_FREE_HANDLES) {
        self->next_free = state->free_handles[timer];
        state->free_handles[timer] = self;
        state->free_count[timer]++;
    } else {
        PyObject_GC_Del(op);
    }
    Py_DECREF(loop);
    Py_DECREF(type);
}

static void handle_dealloc(PyObject *op);

static bool has_handles(HandleObject *self)
{
    for (Py_ssize_t i = 0; i < Py_SIZE(self); i++)
        if (self->args[i] &&
            Py_TYPE(self->args[i])->tp_dealloc == handle_dealloc)
            return true;
    return false;
}

/* Each may be the argument of the next, and the stack must not grow. */
static void handle_dealloc(PyObject *op)
{
    HandleObject *self = (HandleObject *)op;

    PyObject_GC_UnTrack(op);
    if (rota__likely(!has_handles(self))) {
        release(self);
        return;
    }
    Py_TRASHCAN_BEGIN(op, handle_dealloc) release(self);
    Py_TRASHCAN_END
}

void core_free_handles(core_state *state)
{
    for (int timer = 0; timer < 2; timer++) {
        HandleObject *next;

        for (HandleObject *at = state->free_handles[timer]; at; at = next) {
            next = at->next_free;
            PyObject_GC_Del(at);
        }
        state->free_handles[timer] = NULL;
        state->free_count[timer] = CORE_FREE_HANDLES; /* no more of them */
    }
}

/* --- Threads ------------------------------------------------------------- */

/* A thread that waits for the end of a callback; it lies on its stack. */
struct core_gate {
    struct core_gate *next; /* of the loop's */
    HandleObject *handle;
    PyThread_type_lock lock; /* held until the callback has ended */
};

/*
 * From Python 3.14 on, who asks a handle of call_soon_threadsafe() or cancels
 * it while its callback runs on another thread waits for the callback's end.
 */
static int await_end(HandleObject *self)
{
    LoopObject *loop = self->loop;
    struct core_gate gate = {loop->gates, self, NULL};

    if (!self->shared || !self->running || loop->thread_id == 0 ||
        loop->thread_id == PyThread_get_thread_ident())
        return 0;
    gate.lock = PyThread_allocate_lock();
    if (!gate.lock) {
        (void)PyErr_NoMemory();
        return -1;
    }
    (void)PyThread_acquire_lock(gate.lock, WAIT_LOCK);
    loop->gates = &gate;
    self->awaited = true;
    Py_BEGIN_ALLOW_THREADS(void) PyThread_acquire_lock(gate.lock, WAIT_LOCK);
    Py_END_ALLOW_THREADS PyThread_release_lock(gate.lock);
    PyThread_free_lock(gate.lock);
    return 0;
}

static void open_gates(HandleObject *self)
{
    struct core_gate **at = &self->loop->gates;

    self->awaited = false;
    while (*at) {
        struct core_gate *gate = *at;

        if (gate->handle == self) {
            *at = gate->next;
            PyThread_release_lock(gate->lock);
        } else {
            at = &gate->next;
        }
    }
}

/* --- Running ------------------------------------------------------------- */

static void report_failure(LoopObject *loop, HandleObject *handle)
{
    PyObject *function, *exception, *before, *done = NULL;

    if (core_stop_if_fatal(loop))
        return;
    exception = core_take_exception();
    before = core_handling_begin(exception);
    function = core_support(loop->state, "callback_failed");
    if (function)
        done = PyObject_CallFunctionObjArgs(function, loop, handle, exception,
                                            NULL);
    core_handling_end(before);
    Py_XDECREF(exception);
    Py_XDECREF(done);
    if (!done)
        core_unraisable(loop, (PyObject *)loop);
}

void core_handle_call(LoopObject *loop, HandleObject *handle)
{
    size_t count = (size_t)Py_SIZE(handle) | PY_VECTORCALL_ARGUMENTS_OFFSET;
    bool was_running = handle->running;
    PyObject *result = NULL;

    if (!handle->callback)
        return;
    handle->running = true;
    if (rota__likely(PyContext_Enter(handle->context) == 0)) {
        result =
            PyObject_Vectorcall(handle->callback, handle->args, count, NULL);
        if (PyContext_Exit(handle->context) < 0)
            Py_CLEAR(result);
    }
    handle->running = was_running;
    if (rota__unlikely(handle->awaited) && !was_running)
        open_gates(handle);
    if (rota__likely(result != NULL))
        Py_DECREF(result);
    else
        report_failure(loop, handle);
    if (rota__unlikely(handle->cancelled) && !was_running)
        clear_call(handle);
}

static void call_timed(LoopObject *loop, HandleObject *handle)
{
    int64_t began;

    Py_XSETREF(loop->current_handle, Py_NewRef(handle));
    began = core_step_begin(loop);
    core_handle_call(loop, handle);
    core_step_end(loop, began, (PyObject *)handle);
    Py_CLEAR(loop->current_handle);
}

/* Whoever has kept it may be part of a cycle through it. */
void core_handle_show(HandleObject *handle)
{
    if (rota__unlikely(Py_REFCNT(handle) > 1) &&
        !PyObject_GC_IsTracked((PyObject *)handle))
        PyObject_GC_Track(handle);
}

/* The queue's reference becomes ours for the call. */
void core_handle_run(struct rota__handle *queued)
{
    HandleObject *handle = core_handle_of(queued);
    LoopObject *loop = handle->loop;

    handle->queued = false;
    if (rota__unlikely(loop->debug))
        call_timed(loop, handle);
    else
        core_handle_call(loop, handle);
    core_handle_show(handle);
    Py_DECREF(handle);
}

void core_handle_drop(struct rota__handle *queued)
{
    HandleObject *handle = core_handle_of(queued);

    if (queued->run != core_handle_run)
        return;
    handle->queued = false;
    core_handle_show(handle);
    Py_DECREF(handle);
}

/* --- Methods ------------------------------------------------------------- */

int core_handle_cancel(HandleObject *self)
{
    if (self->cancelled)
        return 0;
    self->cancelled = true;
    if (self->loop->debug) {
        self->repr = PyObject_Repr((PyObject *)self);
        if (!self->repr)
            return -1;
    }
    Py_INCREF(self);
    if (self->queued) {
        rota__timer_cancel(self->loop->loop, &self->timer);
        core_handle_drop(&self->timer.handle);
    }
    if (!self->running)
        clear_call(self);
    Py_DECREF(self);
    return 0;
}

static PyObject *handle_cancel(PyObject *op, PyObject *Py_UNUSED(none))
{
    if (await_end((HandleObject *)op) < 0 ||
        core_handle_cancel((HandleObject *)op) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *handle_cancelled(PyObject *op, PyObject *Py_UNUSED(none))
{
    if (await_end((HandleObject *)op) < 0)
        return NULL;
    return PyBool_FromLong(((HandleObject *)op)->cancelled);
}

static PyObject *handle_get_context(PyObject *op, PyObject *Py_UNUSED(none))
{
    return Py_NewRef(((HandleObject *)op)->context);
}

static PyObject *handle_run_now(PyObject *op, PyObject *Py_UNUSED(none))
{
    HandleObject *self = (HandleObject *)op;
    LoopObject *loop = self->loop;

    Py_INCREF(self);
    core_handle_call(loop, self);
    Py_DECREF(self);
    return core_failed(loop) ? NULL : Py_NewRef(Py_None);
}

static PyObject *handle_when(PyObject *op, PyObject *Py_UNUSED(none))
{
    return PyFloat_FromDouble(((HandleObject *)op)->when);
}

static PyObject *handle_repr(PyObject *op)
{
    HandleObject *self = (HandleObject *)op;
    PyObject *function = core_support(self->loop->state, "handle_repr");

    return function ? PyObject_CallOneArg(function, op) : NULL;
}

/* For isinstance(): the class of asyncio's that ours stands for. */
static PyObject *get_class(PyObject *op, void *Py_UNUSED(closure))
{
    HandleObject *self = (HandleObject *)op;
    core_state *state = self->loop->state;
    PyObject *name = state->str_Handle;

    if (self->is_timer)
        name = state->str_TimerHandle;
    else if (self->shared)
        name = state->str__ThreadSafeHandle;
    return Py_XNewRef(core_late(state->events, name));
}

static PyObject *get_args(PyObject *op, void *Py_UNUSED(closure))
{
    HandleObject *self = (HandleObject *)op;
    PyObject *args;

    if (!self->callback)
        Py_RETURN_NONE;
    args = PyTuple_New(Py_SIZE(self));
    for (Py_ssize_t i = 0; args && i < Py_SIZE(self); i++)
        PyTuple_SET_ITEM(args, i, Py_NewRef(self->args[i]));
    return args;
}

static PyObject *get_callback(PyObject *op, void *Py_UNUSED(closure))
{
    HandleObject *self = (HandleObject *)op;
    bool gone = !self->callback ||
                (self->cancelled && self->running && !self->loop->debug);

    return Py_NewRef(gone ? Py_None : self->callback);
}

static PyObject *get_scheduled(PyObject *op, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(((HandleObject *)op)->timer.node.index != 0);
}

/* Whoever compares may cancel either of them: what is compared is held. */
static int same_of(PyObject *a, PyObject *b, getter get)
{
    PyObject *one = get(a, NULL), *two = one ? get(b, NULL) : NULL;
    int same = two ? PyObject_RichCompareBool(one, two, Py_EQ) : -1;

    Py_XDECREF(one);
    Py_XDECREF(two);
    return same;
}

/* As TimerHandle: by time; equal if the call is the same, too. */
static PyObject *compare(PyObject *a, PyObject *b, int how)
{
    HandleObject *one = (HandleObject *)a, *two = (HandleObject *)b;
    int same;

    if (Py_TYPE(a) != Py_TYPE(b) || !one->is_timer)
        Py_RETURN_NOTIMPLEMENTED;
    if ((how == Py_LT || how == Py_GT) || one->when != two->when) {
        if (how == Py_EQ || how == Py_NE)
            return PyBool_FromLong(how == Py_NE);
        Py_RETURN_RICHCOMPARE(one->when, two->when, how);
    }
    same = same_of(a, b, get_callback);
    if (same == 1)
        same = same_of(a, b, get_args);
    if (same < 0)
        return NULL;
    same = same && one->cancelled == two->cancelled;
    if (how == Py_LE || how == Py_GE)
        return PyBool_FromLong(same);
    return PyBool_FromLong((how == Py_EQ) == (same != 0));
}

static Py_hash_t timer_hash(PyObject *op)
{
    PyObject *when = PyFloat_FromDouble(((HandleObject *)op)->when);
    Py_hash_t hash = when ? PyObject_Hash(when) : -1;

    Py_XDECREF(when);
    return hash;
}

/* A Handle's begin behind when(). */
static PyMethodDef timer_methods[] = {
    {"when", handle_when, METH_NOARGS,
     "when($self, /)\n--\n\n"
     "Return the scheduled time, in seconds of loop.time()."},
    {"cancel", handle_cancel, METH_NOARGS,
     "cancel($self, /)\n--\n\n"
     "Cancel the callback: it will not run. A second time does nothing."},
    {"cancelled", handle_cancelled, METH_NOARGS,
     "cancelled($self, /)\n--\n\n"
     "Return True if the callback was cancelled."},
    {"get_context", handle_get_context, METH_NOARGS,
     "get_context($self, /)\n--\n\n"
     "Return the contextvars.Context that the callback runs in."},
    {"_run", handle_run_now, METH_NOARGS, NULL},
    {0},
};

static PyMemberDef handle_members[] = {
    {"_cancelled", T_BOOL, offsetof(HandleObject, cancelled), READONLY, NULL},
    {"_context", T_OBJECT, offsetof(HandleObject, context), READONLY, NULL},
    {"_loop", T_OBJECT, offsetof(HandleObject, loop), READONLY, NULL},
    {"_repr", T_OBJECT, offsetof(HandleObject, repr), READONLY, NULL},
    {"_source_traceback", T_OBJECT, offsetof(HandleObject, source_traceback),
     READONLY, NULL},
    {"_when", T_DOUBLE, offsetof(HandleObject, when), READONLY, NULL},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(HandleObject, weakrefs),
     READONLY, NULL},
    {0},
};

static PyGetSetDef handle_getset[] = {
    {"__class__", get_class, NULL, NULL, NULL},
    {"_callback", get_callback, NULL, NULL, NULL},
    {"_args", get_args, NULL, NULL, NULL},
    {"_scheduled", get_scheduled, NULL, NULL, NULL},
    {0},
};

static PyType_Slot handle_slots[] = {
    {Py_tp_doc, "A callback that was given to the loop: see asyncio.Handle."},
    {Py_tp_traverse, handle_traverse},
    {Py_tp_clear, handle_clear},
    {Py_tp_dealloc, handle_dealloc},
    {Py_tp_repr, handle_repr},
    {Py_tp_methods, timer_methods + 1},
    {Py_tp_members, handle_members},
    {Py_tp_getset, handle_getset},
    {0},
};

static PyType_Slot timer_slots[] = {
    {Py_tp_doc, "A callback for later: see asyncio.TimerHandle."},
    {Py_tp_traverse, handle_traverse},
    {Py_tp_clear, handle_clear},
    {Py_tp_dealloc, handle_dealloc},
    {Py_tp_repr, handle_repr},
    {Py_tp_richcompare, compare},
    {Py_tp_hash, timer_hash},
    {Py_tp_methods, timer_methods},
    {Py_tp_members, handle_members},
    {Py_tp_getset, handle_getset},
    {0},
};

#define HANDLE_FLAGS                                                           \
    (Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC |                                 \
     Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE)

PyType_Spec core_handle_spec = {
    .name = "rota.Handle",
    .basicsize = offsetof(HandleObject, args),
    .itemsize = sizeof(PyObject *),
    .flags = HANDLE_FLAGS,
    .slots = handle_slots,
};

PyType_Spec core_timer_handle_spec = {
    .name = "rota.TimerHandle",
    .basicsize = offsetof(HandleObject, args),
    .itemsize = sizeof(PyObject *),
    .flags = HANDLE_FLAGS,
    .slots = timer_slots,
};
