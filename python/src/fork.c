/* SPDX-License-Identifier: MIT */
/*
 * A fork: see rota/_fork.py
 */
#include "core.h"

static PyObject *loop_forked(PyObject *op, PyObject *Py_UNUSED(none))
{
    LoopObject *self = (LoopObject *)op;
    int err = rota__loop_forked(self->loop);

    if (!rota_loop_is_running(self->loop))
        self->thread_id = 0;
    return err < 0 ? core_raise(err) : Py_NewRef(Py_None);
}

/* Before a fork: else parent and child would both send it. */
static PyObject *loop_flush(PyObject *op, PyObject *Py_UNUSED(none))
{
    LoopObject *self = (LoopObject *)op;

    core_flush(self);
    return core_failed(self) ? NULL : Py_NewRef(Py_None);
}

PyMethodDef core_fork_methods[] = {
    {"_flush", loop_flush, METH_NOARGS, "Send what callbacks have written."},
    {"_forked", loop_forked, METH_NOARGS,
     "The process is a forked child: share nothing with the parent's loop."},
    {0},
};
