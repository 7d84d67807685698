/* SPDX-License-Identifier: MIT */
/*
 * loop._ready and loop._selector, for tools that turn the loop themselves
 *
 * nest_asyncio replaces the run by one in Python: it asks loop._selector for
 * events, takes handles out of loop._ready and calls their _run(). Timers are
 * not in loop._scheduled: select() waits for them, and they are in _ready when
 * they are due.
 *
 * A handle of C's own (a transport that can read) comes out as a Step. It
 * stays in a queue, loop->popped, until the Step runs: whoever ends it
 * meanwhile takes it out there.
 */
#include "core.h"
#include <structmember.h>

typedef struct {
    PyObject_HEAD LoopObject *loop;
    bool cancelled;
} PartObject;

static PyObject *part_new(PyTypeObject *type, PyObject *args,
                          PyObject *Py_UNUSED(named))
{
    core_state *state = core_state_of(type);
    PyObject *loop;
    PartObject *self;

    if (!state || !PyArg_ParseTuple(args, "O!", state->loop_type, &loop))
        return NULL;
    self = (PartObject *)type->tp_alloc(type, 0);
    if (self)
        self->loop = (LoopObject *)Py_NewRef(loop);
    return (PyObject *)self;
}

static int part_traverse(PyObject *op, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(((PartObject *)op)->loop);
    return 0;
}

static int part_clear(PyObject *op)
{
    Py_CLEAR(((PartObject *)op)->loop);
    return 0;
}

static void part_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);

    PyObject_GC_UnTrack(op);
    (void)part_clear(op);
    type->tp_free(op);
    Py_DECREF(type);
}

/* --- What is ready ------------------------------------------------------- */

static void count_one(struct rota__handle *Py_UNUSED(handle), void *count)
{
    ++*(Py_ssize_t *)count;
}

static Py_ssize_t count_list(const struct rota__link *list)
{
    Py_ssize_t count = 0;

    for (const struct rota__link *at = list->next; at != list; at = at->next)
        count++;
    return count;
}

static Py_ssize_t ready_length(PyObject *op)
{
    rota_loop *loop = ((PartObject *)op)->loop->loop;
    Py_ssize_t count = count_list(&loop->running) + count_list(&loop->ready);

    rota__visit_posts(loop, count_one, &count);
    return count;
}

static PyObject *ready_popleft(PyObject *op, PyObject *Py_UNUSED(none))
{
    LoopObject *owner = ((PartObject *)op)->loop;
    rota_loop *loop = owner->loop;
    struct rota__handle *next;
    struct rota__link *link;

    rota__take_from_threads(loop);
    link = rota__list_pop(&loop->running);
    if (!link)
        link = rota__list_pop(&loop->ready);
    if (!link) {
        PyErr_SetString(PyExc_IndexError, "pop from an empty deque");
        return NULL;
    }
    next = rota__container_of(link, struct rota__handle, link);
    if (next->run == core_handle_run) {
        HandleObject *handle = core_handle_of(next);

        handle->queued = false;
        if (!PyObject_GC_IsTracked((PyObject *)handle))
            PyObject_GC_Track(handle);
        return (PyObject *)handle;
    }
    rota__list_push(&owner->popped, link);
    return PyObject_CallOneArg(owner->state->step_type, (PyObject *)owner);
}

static PyObject *ready_append(PyObject *op, PyObject *handle)
{
    LoopObject *owner = ((PartObject *)op)->loop;
    PyObject *run = PyObject_GetAttrString(handle, "_run");
    int err = run ? core_call_soon(owner, run, NULL) : -1;

    Py_XDECREF(run);
    return err < 0 ? NULL : Py_NewRef(Py_None);
}

/* Callbacks are dropped; a transport that waits for its step gets it. */
static PyObject *ready_clear(PyObject *op, PyObject *Py_UNUSED(none))
{
    rota_loop *loop = ((PartObject *)op)->loop->loop;
    struct rota__link all, *link;

    rota__list_init(&all);
    rota__list_append(&all, &loop->running);
    rota__list_append(&all, &loop->ready);
    while ((link = rota__list_pop(&all)) != NULL) {
        struct rota__handle *next =
            rota__container_of(link, struct rota__handle, link);

        if (next->run == core_handle_run)
            core_handle_drop(next);
        else
            rota__list_push(&loop->ready, link);
    }
    Py_RETURN_NONE;
}

struct listed {
    PyObject *list;
    PyObject *step; /* for all of C's own: one that was not popped is empty */
};

/* They stay where they are. This begins no collection, which could change the
   queue. */
static void list_one(struct rota__handle *queued, void *arg)
{
    struct listed *listed = arg;
    bool ours = queued->run == core_handle_run;

    if (PyErr_Occurred())
        return;
    if (PyList_Append(listed->list, ours ? (PyObject *)core_handle_of(queued)
                                         : listed->step) == 0 &&
        ours)
        core_handle_show(core_handle_of(queued));
}

static void list_queue(const struct rota__link *queue, struct listed *listed)
{
    for (const struct rota__link *at = queue->next; at != queue; at = at->next)
        list_one(rota__container_of(at, struct rota__handle, link), listed);
}

static PyObject *ready_list(PyObject *op)
{
    LoopObject *owner = ((PartObject *)op)->loop;
    struct listed listed = {PyList_New(0), NULL};

    if (listed.list)
        listed.step =
            PyObject_CallOneArg(owner->state->step_type, (PyObject *)owner);
    if (listed.step) {
        list_queue(&owner->loop->running, &listed);
        list_queue(&owner->loop->ready, &listed);
        rota__visit_posts(owner->loop, list_one, &listed);
        Py_DECREF(listed.step);
    }
    if (PyErr_Occurred())
        Py_CLEAR(listed.list);
    return listed.list;
}

static PyObject *ready_iter(PyObject *op)
{
    PyObject *list = ready_list(op);
    PyObject *iter = list ? PyObject_GetIter(list) : NULL;

    Py_XDECREF(list);
    return iter;
}

static PyObject *ready_item(PyObject *op, Py_ssize_t index)
{
    PyObject *list = ready_list(op), *item = NULL;

    if (list && index >= 0 && index < PyList_GET_SIZE(list))
        item = Py_NewRef(PyList_GET_ITEM(list, index));
    else if (list)
        PyErr_SetString(PyExc_IndexError, "deque index out of range");
    Py_XDECREF(list);
    return item;
}

static PyMethodDef ready_methods[] = {
    {"clear", ready_clear, METH_NOARGS, NULL},
    {"popleft", ready_popleft, METH_NOARGS, NULL},
    {"append", ready_append, METH_O, NULL},
    {0},
};

static PyType_Slot ready_slots[] = {
    {Py_tp_new, part_new},
    {Py_tp_traverse, part_traverse},
    {Py_tp_clear, part_clear},
    {Py_tp_dealloc, part_dealloc},
    {Py_sq_length, ready_length},
    {Py_sq_item, ready_item},
    {Py_tp_iter, ready_iter},
    {Py_tp_methods, ready_methods},
    {Py_tp_doc, "What a loop has ready."},
    {0},
};

PyType_Spec core_ready_spec = {
    .name = "rota._core.Ready",
    .basicsize = sizeof(PartObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = ready_slots,
};

/* --- A handle of C's own ------------------------------------------------- */

static PyObject *step_run(PyObject *op, PyObject *Py_UNUSED(none))
{
    LoopObject *owner = ((PartObject *)op)->loop;
    struct rota__link *link = rota__list_pop(&owner->popped);
    struct rota__handle *handle;

    if (link) {
        handle = rota__container_of(link, struct rota__handle, link);
        handle->run(handle);
    }
    return core_failed(owner) ? NULL : Py_NewRef(Py_None);
}

static PyMethodDef step_methods[] = {
    {"_run", step_run, METH_NOARGS, NULL},
    {0},
};

static PyMemberDef step_members[] = {
    {"_cancelled", T_BOOL, offsetof(PartObject, cancelled), READONLY, NULL},
    {0},
};

static PyType_Slot step_slots[] = {
    {Py_tp_new, part_new},
    {Py_tp_traverse, part_traverse},
    {Py_tp_clear, part_clear},
    {Py_tp_dealloc, part_dealloc},
    {Py_tp_members, step_members},
    {Py_tp_methods, step_methods},
    {Py_tp_doc, "A step of a transport's."},
    {0},
};

PyType_Spec core_step_spec = {
    .name = "rota._core.Step",
    .basicsize = sizeof(PartObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = step_slots,
};

/* --- Waiting ------------------------------------------------------------- */

static void ignore(struct rota__handle *Py_UNUSED(limit))
{
}

/* The loop knows its timers; one of ours ends a wait that has a limit. */
static int wait_until(rota_loop *loop, PyObject *timeout)
{
    double seconds = Py_IsNone(timeout) ? 0 : PyFloat_AsDouble(timeout);
    struct rota__timer limit = {0};
    int err = 0;

    if (PyErr_Occurred())
        return -1;
    rota__timer_init(&limit, ignore);
    if (!Py_IsNone(timeout))
        err = rota__timer_arm(loop, &limit,
                              rota__now(loop) + rota__to_ns(seconds));
    if (err == 0)
        err = rota__turn_wait(loop);
    rota__timer_cancel(loop, &limit);
    if (err < 0)
        (void)core_raise(err);
    return err < 0 ? -1 : 0;
}

static PyObject *wait_for_events(PyObject *op, PyObject *timeout)
{
    LoopObject *self = core_open_loop(op);

    if (!self)
        return NULL;
    core_flush(self);
    rota__turn_break(self->loop);
    rota__list_append(&self->loop->ready, &self->late);
    if (core_failed(self) || wait_until(self->loop, timeout) < 0)
        return NULL;
    if (PyErr_CheckSignals() < 0)
        return NULL;
    Py_RETURN_NONE;
}

PyMethodDef core_ready_methods[] = {
    {"_wait", wait_for_events, METH_O,
     "Waits until something is in _ready, for those who turn the loop; or as\n"
     "many seconds, unless that is None."},
    {0},
};
