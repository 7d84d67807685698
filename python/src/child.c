/* SPDX-License-Identifier: MIT */
/*
 * Children: the end of a process that subprocess.Popen has started
 *
 * No thread waits for one, and no signal is taken: see loop/child.h. A loop
 * that closes leaves its children to their Popen.
 */
#include "core.h"
#include "loop/child.h"

typedef struct {
    PyObject_HEAD LoopObject *loop;
    struct core_kept kept; /* until it has ended */
    struct rota__child child;
    PyObject *pid;
    PyObject *callback;
    PyObject *context;
} ChildObject;

static void call_back(ChildObject *self)
{
    PyObject *code = self->child.unknown
                         ? Py_NewRef(Py_None)
                         : PyLong_FromLong(self->child.returncode);
    PyObject *done = NULL;

    if (code && PyContext_Enter(self->context) == 0) {
        done =
            PyObject_CallFunctionObjArgs(self->callback, self->pid, code, NULL);
        if (PyContext_Exit(self->context) < 0)
            Py_CLEAR(done);
    }
    if (!done)
        core_report(self->loop, "Exception in callback of a child's end", "pid",
                    self->pid, NULL, NULL);
    Py_XDECREF(code);
    Py_XDECREF(done);
}

static void exited(struct rota__child *child)
{
    ChildObject *self = rota__container_of(child, ChildObject, child);
    int64_t began;

    Py_INCREF(self);
    core_let_go(&self->kept);
    began = core_step_begin(self->loop);
    call_back(self);
    if (rota__unlikely(self->loop->debug))
        core_step_end(self->loop, began, self->callback);
    Py_DECREF(self);
}

/* The loop closes first. */
static void detach(PyObject *op)
{
    ChildObject *self = (ChildObject *)op;
    PyObject *done;

    rota__child_leave(&self->child);
    done = PyObject_CallMethodOneArg(self->callback,
                                     self->loop->state->str_left, self->pid);
    if (!done)
        PyErr_WriteUnraisable(op);
    Py_XDECREF(done);
}

static int begin(ChildObject *self)
{
    long pid = PyLong_AsLong(self->pid);
    int err;

    if (pid == -1 && PyErr_Occurred())
        return -1;
    self->context = PyContext_CopyCurrent();
    if (!self->context)
        return -1;
    self->child.exited = exited;
    err = rota__child_watch(&self->child, self->loop->loop, (pid_t)pid);
    if (err < 0) {
        (void)core_raise(err);
        return -1;
    }
    core_keep(self->loop, &self->kept, (PyObject *)self, detach);
    return 0;
}

static PyObject *watch_child(PyObject *op, PyObject *args)
{
    LoopObject *loop = core_open_loop(op);
    PyObject *pid, *callback;
    ChildObject *self;
    int err;

    if (!loop || !PyArg_ParseTuple(args, "OO", &pid, &callback))
        return NULL;
    self =
        PyObject_GC_New(ChildObject, (PyTypeObject *)loop->state->child_type);
    if (!self)
        return NULL;
    self->loop = (LoopObject *)Py_NewRef(loop);
    self->pid = Py_NewRef(pid);
    self->callback = Py_NewRef(callback);
    self->context = NULL;
    self->kept.object = NULL;
    PyObject_GC_Track(self);
    err = begin(self);
    Py_DECREF(self);
    return err < 0 ? NULL : Py_NewRef(Py_None);
}

PyMethodDef core_child_methods[] = {
    {"_watch_child", watch_child, METH_VARARGS,
     "callback(pid, returncode) when a child has ended and was reaped; None\n"
     "for a returncode that somebody else has taken. Or callback.left(pid),\n"
     "when the loop closes first."},
    {0},
};

/* --- The type ------------------------------------------------------------ */

static int child_traverse(PyObject *op, visitproc visit, void *arg)
{
    ChildObject *self = (ChildObject *)op;

    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->loop);
    Py_VISIT(self->callback);
    Py_VISIT(self->context);
    return 0;
}

static int child_clear(PyObject *op)
{
    ChildObject *self = (ChildObject *)op;

    Py_CLEAR(self->callback);
    Py_CLEAR(self->context);
    return 0;
}

static void child_dealloc(PyObject *op)
{
    ChildObject *self = (ChildObject *)op;
    PyTypeObject *type = Py_TYPE(op);

    PyObject_GC_UnTrack(op);
    (void)child_clear(op);
    Py_DECREF(self->pid);
    Py_DECREF(self->loop);
    PyObject_GC_Del(op);
    Py_DECREF(type);
}

static PyType_Slot child_slots[] = {
    {Py_tp_doc, "A child whose end the loop waits for."},
    {Py_tp_traverse, child_traverse},
    {Py_tp_clear, child_clear},
    {Py_tp_dealloc, child_dealloc},
    {0},
};

PyType_Spec core_child_spec = {
    .name = "rota.Child",
    .basicsize = sizeof(ChildObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC |
             Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = child_slots,
};
