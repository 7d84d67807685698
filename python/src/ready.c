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
        core_handle_of(next)->queued = false;
        return (PyObject *)core_handle_of(next);
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

/* The close has done it. */
static PyObject *ready_clear(PyObject *Py_UNUSED(op), PyObject *Py_UNUSED(none))
{
    Py_RETURN_NONE;
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
    if (owner->failed) {
        owner->failed = false;
        return NULL;
    }
    Py_RETURN_NONE;
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

/* The timeout is the loop's own affair: it knows its timers. */
static PyObject *wait_for_events(PyObject *op, PyObject *Py_UNUSED(none))
{
    LoopObject *self = core_open_loop(op);
    int err;

    if (!self)
        return NULL;
    core_flush(self);
    rota__turn_break(self->loop);
    err = rota__turn_wait(self->loop);
    if (err < 0)
        return core_raise(err);
    if (PyErr_CheckSignals() < 0)
        return NULL;
    Py_RETURN_NONE;
}

PyMethodDef core_ready_methods[] = {
    {"_wait", wait_for_events, METH_NOARGS,
     "Waits until something is in _ready, for those who turn the loop."},
    {0},
};
