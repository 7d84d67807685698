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

bool core_failed(LoopObject *self)
{
    PyObject *fatal = self->fatal;

    if (rota__likely(!fatal))
        return false;
    self->fatal = NULL;
    core_give_exception(fatal);
    return true;
}

PyObject *core_result(LoopObject *self)
{
    if (core_failed(self) || PyErr_Occurred())
        return NULL;
    Py_RETURN_NONE;
}

void core_ready_late(LoopObject *self, struct rota__handle *handle)
{
    rota__list_push(&self->late, &handle->link);
}

int core_turn(LoopObject *self)
{
    int err;

    self->gathering = false;
    if (!rota__list_empty(&self->dirty))
        core_flush(self);
    rota__list_append(&self->loop->ready, &self->late);
    if (rota__unlikely(core_failed(self)))
        return -1;
    err = rota__turn_wait(self->loop);
    if (rota__unlikely(err < 0)) {
        (void)core_raise(err);
        return -1;
    }
    if (rota__unlikely(PyErr_CheckSignals() < 0))
        return -1;
    self->gathering = true;
    rota__turn_run(self->loop);
    if (rota__unlikely(core_failed(self)))
        return -1;
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

    if (!self->debug || began == 0 || took < self->slow_callback)
        return;
    exception = core_take_exception();
    function = core_support(self->state, "slow_callback");
    seconds = PyFloat_FromDouble(took);
    if (function && seconds)
        done = PyObject_CallFunctionObjArgs(function, who, seconds, NULL);
    Py_XDECREF(seconds);
    if (!done)
        core_unraisable(self, who);
    Py_XDECREF(done);
    if (exception)
        core_give_exception(exception);
}

PyObject *core_enter_context(PyObject *context)
{
    PyObject *copy;

    if (rota__likely(PyContext_Enter(context) == 0))
        return Py_NewRef(context);
    PyErr_Clear(); /* it is entered: somebody runs the loop inside of it */
    copy = PyContext_Copy(context);
    if (copy && PyContext_Enter(copy) < 0)
        Py_CLEAR(copy);
    return copy;
}

void core_leave_context(PyObject *entered)
{
    PyObject *exception =
        rota__unlikely(PyErr_Occurred() != NULL) ? core_take_exception() : NULL;

    (void)PyContext_Exit(entered);
    Py_DECREF(entered);
    if (rota__unlikely(exception != NULL))
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

/* What is left and kept by somebody may be garbage when the run is over. */
static void show_handles(const struct rota__link *queue)
{
    for (const struct rota__link *at = queue->next; at != queue;
         at = at->next) {
        struct rota__handle *handle =
            rota__container_of(at, struct rota__handle, link);

        if (handle->run == core_handle_run)
            core_handle_show(core_handle_of(handle));
    }
}

/* `once`: a single turn. */
static PyObject *run(LoopObject *self, bool once)
{
    struct rota__running running;
    unsigned long thread_before = self->thread_id;
    bool gathering = self->gathering;
    int err = rota__run_begin(self->loop, &running, true);
    PyObject *before, *exception, *late;
    bool stop;

    if (err < 0)
        return core_raise(err);
    self->loop->stopping |= running.stopping_before;
    before = swap_running(self->state, (PyObject *)self);
    self->thread_id = PyThread_get_thread_ident();
    while (before && core_turn(self) == 0 && !self->loop->stopping && !once)
        ;
    exception = core_take_exception();
    self->gathering = gathering;
    core_flush(self);
    late = core_failed(self) ? core_take_exception() : NULL;
    stop = self->loop->stopping;
    rota__run_end(self->loop, &running);
    show_handles(&self->loop->ready);
    self->loop->stopping = once && stop;
    self->thread_id = thread_before;
    if (before)
        Py_XDECREF(swap_running(self->state, before));
    Py_XDECREF(before);
    if (!exception)
        exception = Py_XNewRef(late);
    Py_XDECREF(late);
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
     "stop($self, /)\n--\n\n"
     "End the run when the present turn is over, or the next one's first.\n\n"
     "On the loop's thread; from others by call_soon_threadsafe(loop.stop)."},
    {0},
};
