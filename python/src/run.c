/* SPDX-License-Identifier: MIT */
/*
 * The run: turns, signals, and the interpreter's lock
 *
 * Signals are looked at between waiting and running. A wait that sleeps ends
 * with EINTR only if the signal comes on this thread and not a moment too
 * early; for the rest the main thread's run owns Python's wake-up fd, a socket
 * whose other end the loop watches (see rota/_loop.py).
 */
#include "core.h"

void core_release_gil(void *arg)
{
    LoopObject *self = arg;

    self->thread = PyEval_SaveThread();
}

void core_take_gil(void *arg)
{
    LoopObject *self = arg;

    PyEval_RestoreThread(self->thread);
}

/*
 * Python's own code gives way to threads that ask for the GIL; callbacks in C
 * do not, and letting go unasked helps nobody: we would have it back before
 * the other is awake. So run a line of Python's own code now and then.
 */
#define TURNS_A_BREATH 64

static int give_way(LoopObject *self)
{
    PyObject *done;

    if (rota__likely(++self->turns % TURNS_A_BREATH != 0))
        return 0;
    if (!self->state->breathe)
        return 0; /* the interpreter ends */
    done = PyObject_CallNoArgs(self->state->breathe);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

int core_turn(LoopObject *self)
{
    int err;

    if (!rota__list_empty(&self->dirty))
        core_flush(self);
    if (rota__unlikely(self->failed)) {
        self->failed = false;
        return -1;
    }
    err = rota__turn_wait(self->loop);
    if (rota__unlikely(err < 0)) {
        (void)core_raise(err);
        return -1;
    }
    if (rota__unlikely(PyErr_CheckSignals() < 0))
        return -1;
    rota__turn_run(self->loop);
    if (rota__unlikely(self->failed)) {
        self->failed = false;
        return -1;
    }
    return give_way(self);
}

int64_t core_step_begin(LoopObject *self)
{
    return self->debug ? rota__now(self->loop) : 0;
}

void core_step_end(LoopObject *self, int64_t began, PyObject *who)
{
    double took =
        (double)(rota__now(self->loop) - began) / (double)ROTA__SECOND;
    PyObject *exception, *function, *done = NULL, *seconds;

    if (!self->debug || took < self->slow_callback)
        return;
    exception = core_take_exception();
    function = core_support(self->state, "slow_callback");
    seconds = PyFloat_FromDouble(took);
    if (function && seconds)
        done = PyObject_CallFunctionObjArgs(function, who, seconds, NULL);
    Py_XDECREF(seconds);
    if (!done)
        PyErr_WriteUnraisable(who);
    Py_XDECREF(done);
    core_give_exception(exception);
}

/* asyncio's idea of the running loop, beside loop/'s own. */
static PyObject *swap_running(core_state *state, PyObject *loop)
{
    PyObject *get = core_late(state->events, state->str__get_running_loop);
    PyObject *set = core_late(state->events, state->str__set_running_loop);
    PyObject *before = get && set ? PyObject_CallNoArgs(get) : NULL;
    PyObject *done = before ? PyObject_CallOneArg(set, loop) : NULL;

    if (!done)
        Py_CLEAR(before);
    Py_XDECREF(done);
    return before;
}

/* `once`: a single turn. */
static PyObject *run(LoopObject *self, bool once)
{
    struct rota__running running;
    unsigned long thread_before = self->thread_id;
    int err = rota__run_begin(self->loop, &running, true);
    PyObject *before, *exception;
    bool stop;

    if (err < 0)
        return core_raise(err);
    self->loop->stopping |= running.stopping_before;
    before = swap_running(self->state, (PyObject *)self);
    self->thread_id = PyThread_get_thread_ident();
    while (before && core_turn(self) == 0 && !self->loop->stopping && !once)
        ;
    exception = core_take_exception();
    core_flush(self);
    stop = self->loop->stopping;
    rota__run_end(self->loop, &running);
    self->loop->stopping = once && stop;
    self->thread_id = thread_before;
    if (before)
        Py_XDECREF(swap_running(self->state, before));
    Py_XDECREF(before);
    if (exception) {
        core_give_exception(exception);
        return NULL;
    }
    return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
}

static PyObject *loop_run(PyObject *op, PyObject *Py_UNUSED(none))
{
    LoopObject *self = core_open_loop(op);

    return self ? run(self, false) : NULL;
}

static PyObject *loop_run_once(PyObject *op, PyObject *Py_UNUSED(none))
{
    LoopObject *self = core_open_loop(op);

    return self ? run(self, true) : NULL;
}

static PyObject *loop_stop(PyObject *op, PyObject *Py_UNUSED(none))
{
    ((LoopObject *)op)->loop->stopping = true;
    Py_RETURN_NONE;
}

PyMethodDef core_run_methods[] = {
    {"_run", loop_run, METH_NOARGS, "Turns until stop()."},
    {"_run_once", loop_run_once, METH_NOARGS, "One turn."},
    {"stop", loop_stop, METH_NOARGS,
     "Stop the run at the end of the present turn (or of the next one)."},
    {0},
};
