/* SPDX-License-Identifier: MIT */
/*
 * SockCall: a call of sock_*, as a coroutine
 *
 * It has what collections.abc.Coroutine asks for, so that tasks take it, and
 * am_send, by which they drive it without a StopIteration. While it waits the
 * loop keeps it alive, and through its future the task.
 */
#include "sock.h"
#include <structmember.h>

static SockCallObject *call_of(struct rota__watcher *watcher)
{
    return rota__container_of(watcher, SockCallObject, watcher);
}

/* --- Making -------------------------------------------------------------- */

static void on_ready(struct rota__handle *handle);

static bool remember_origin(SockCallObject *self)
{
    PyObject *function = core_support(self->loop->state, "coroutine_origin");

    self->origin = function ? PyObject_CallNoArgs(function) : NULL;
    return self->origin != NULL;
}

PyObject *core_sock_call_make(LoopObject *loop, const struct sock_kind *kind,
                              PyObject *const *values)
{
    PyTypeObject *type = (PyTypeObject *)loop->state->sock_call_type;
    SockCallObject *self = (SockCallObject *)type->tp_alloc(type, 0);

    if (!self)
        return NULL;
    self->loop = (LoopObject *)Py_NewRef(loop);
    self->kind = kind;
    for (int i = 0; i < SOCK_MOST_ARGS; i++)
        self->args[i] = Py_XNewRef(values[i]);
    self->on_ready.run = on_ready;
    rota__list_init(&self->on_ready.link);
    if (rota__unlikely(loop->debug) && !remember_origin(self)) {
        self->state = SOCK_OVER; /* nobody could have awaited it */
        Py_CLEAR(self);
    }
    return (PyObject *)self;
}

PyObject *core_sock_call_new(LoopObject *loop, const struct sock_kind *kind,
                             PyObject *const *args, Py_ssize_t count,
                             PyObject *names)
{
    PyObject *values[SOCK_MOST_ARGS] = {NULL};

    if (!core_parse_args(kind->name, kind->args, kind->needed, args, count,
                         names, values))
        return NULL;
    return core_sock_call_make(loop, kind, values);
}

/* --- Ending -------------------------------------------------------------- */

void core_sock_stop_waiting(SockCallObject *self)
{
    core_sock_place_leave(self);
    rota__watcher_end(&self->watcher);
    rota__unready(&self->on_ready);
    core_let_go(&self->kept);
}

static void detach(PyObject *op)
{
    core_sock_stop_waiting((SockCallObject *)op);
}

static void drop_references(SockCallObject *self)
{
    for (int i = 0; i < SOCK_MOST_ARGS; i++)
        Py_CLEAR(self->args[i]);
    Py_CLEAR(self->future);
    Py_CLEAR(self->result);
    Py_CLEAR(self->error);
    Py_CLEAR(self->origin);
    if (self->data.obj)
        PyBuffer_Release(&self->data);
}

static void end(SockCallObject *self)
{
    self->state = SOCK_OVER;
    core_sock_stop_waiting(self);
    drop_references(self);
}

/* Without a result. */
static void fail(SockCallObject *self)
{
    if (self->kind->undo && self->state != SOCK_OVER)
        self->kind->undo(self);
    end(self);
}

/* --- Waiting ------------------------------------------------------------- */

/* 1, 0, or -1 with an exception. */
static int is_cancelled(SockCallObject *self)
{
    PyObject *done =
        PyObject_CallMethodNoArgs(self->future, self->loop->state->str_done);
    int is_done = done ? PyObject_IsTrue(done) : -1;

    Py_XDECREF(done);
    return is_done;
}

static int set_done(SockCallObject *self)
{
    PyObject *done;

    self->woken = true;
    done = PyObject_CallMethodOneArg(
        self->future, self->loop->state->str_set_result, Py_None);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

/* In the middle of polling. */
static void wake(struct rota__watcher *watcher)
{
    SockCallObject *self = call_of(watcher);

    rota__ready(self->loop->loop, &self->on_ready);
}

bool core_sock_forget(LoopObject *loop, int fd, bool writing)
{
    struct rota__watcher *watcher = rota__watcher_of(loop->loop, fd, writing);
    SockCallObject *self = core_sock_place_waiting(loop, fd, writing);

    if (!self && watcher && watcher->wake == wake)
        self = call_of(watcher);
    if (!self)
        return false;
    Py_INCREF(self);
    core_sock_stop_waiting(self);
    Py_DECREF(self);
    return true;
}

/* As in asyncio, who comes last has the fd; the other one waits for ever. 0,
   or -1 with an exception. */
static int take_place(LoopObject *loop, int fd, bool writing)
{
    PyObject *done;

    if (core_sock_forget(loop, fd, writing))
        return 0;
    done = PyObject_CallMethod((PyObject *)loop,
                               writing ? "_remove_writer" : "_remove_reader",
                               "i", fd);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

/* 0, or -1 with an exception. */
static int watch_otherwise(SockCallObject *self, int fd)
{
    rota_loop *loop = self->loop->loop;
    bool writing = self->kind->writing;
    int err;

    self->watcher.wake = wake;
    err = rota__watcher_begin(loop, &self->watcher, fd, writing);
    if (err == -EBUSY && take_place(self->loop, fd, writing) == 0)
        err = rota__watcher_begin(loop, &self->watcher, fd, writing);
    if (err < 0 && !PyErr_Occurred())
        (void)core_raise(err);
    return err < 0 ? -1 : 0;
}

/* 0, or -1 with an exception. */
static int watch(SockCallObject *self)
{
    LoopObject *loop = self->loop;
    int fd = core_fd_of_socket(loop->state, self->args[0]);

    if (fd == -1 && PyErr_Occurred())
        return -1;
    if (!core_sock_place_of(self, fd) && core_check_fd_is_free(loop, fd) < 0)
        return -1;
    if ((self->kind->apart || !core_sock_place_wait(self, fd)) &&
        watch_otherwise(self, fd) < 0)
        return -1;
    core_keep(loop, &self->kept, (PyObject *)self, detach);
    return 0;
}

/* Makes the call now, if it need not be made by who gets its result. False:
   it must wait on. */
static bool make_early(SockCallObject *self)
{
    enum sock_outcome outcome = self->kind->make(self, &self->result);

    if (outcome == SOCK_WOULD_BLOCK && watch(self) == 0)
        return false;
    if (outcome != SOCK_DONE)
        self->error = core_take_exception();
    return true;
}

static void on_ready(struct rota__handle *handle)
{
    SockCallObject *self = rota__container_of(handle, SockCallObject, on_ready);
    LoopObject *loop = self->loop;
    int64_t began = core_step_begin(loop);
    int err;

    Py_INCREF(self);
    core_sock_stop_waiting(self);
    err = is_cancelled(self);
    if (err == 0 && (!self->kind->any_time || make_early(self)))
        err = set_done(self);
    if (err < 0)
        core_report(loop, "Error in a sock_* call", NULL, NULL, NULL, NULL);
    if (rota__unlikely(loop->debug))
        core_step_end(loop, began, (PyObject *)self);
    Py_DECREF(self);
}

/* The future that the task waits for, or NULL. */
static PyObject *begin_to_wait(SockCallObject *self)
{
    core_state *state = self->loop->state;

    if (!core_open_loop((PyObject *)self->loop))
        return NULL;
    if (!self->future) { /* nobody else wakes it */
        self->future = PyObject_CallMethodNoArgs((PyObject *)self->loop,
                                                 state->str_create_future);
        if (!self->future || watch(self) < 0)
            return NULL;
    }
    if (PyObject_SetAttr(self->future, state->str__asyncio_future_blocking,
                         Py_True) < 0)
        return NULL;
    self->woken = false;
    self->state = SOCK_WAITING;
    return Py_NewRef(self->future);
}

/* --- The coroutine protocol ---------------------------------------------- */

static bool check_socket(SockCallObject *self)
{
    core_state *state = self->loop->state;
    PyObject *function, *done;

    if (self->kind->no_socket)
        return true;
    self->plain = Py_TYPE(self->args[0]) == (PyTypeObject *)state->plain_socket;
    if (rota__likely(self->plain && !self->loop->debug))
        return true;
    function = core_support(state, "check_socket");
    done = function ? PyObject_CallFunctionObjArgs(function, self->loop,
                                                   self->args[0], NULL)
                    : NULL;
    Py_XDECREF(done);
    return done != NULL;
}

/* Somebody has resumed it: true if that is what it waits for. */
static bool take_news(SockCallObject *self)
{
    PyObject *future = self->future, *done;

    self->future = NULL;
    if (rota__likely(self->woken)) {
        Py_DECREF(future);
        return true;
    }
    done = PyObject_CallMethodNoArgs(future, self->loop->state->str_result);
    Py_DECREF(future);
    Py_XDECREF(done);
    return done != NULL;
}

static enum sock_outcome resume(SockCallObject *self, PyObject **out)
{
    bool new = self->state == SOCK_NEW;

    if (!(new ? check_socket(self) : take_news(self)))
        return SOCK_FAILED;
    if (self->result) {
        *out = self->result;
        self->result = NULL;
        return SOCK_DONE;
    }
    if (self->error) {
        core_give_exception(self->error);
        self->error = NULL;
        return SOCK_FAILED;
    }
    core_sock_stop_waiting(self);
    return self->kind->make(self, out);
}

static PySendResult step(SockCallObject *self, PyObject **out)
{
    enum sock_outcome outcome = resume(self, out);

    if (outcome == SOCK_WOULD_BLOCK) {
        *out = begin_to_wait(self);
        if (*out)
            return PYGEN_NEXT;
    }
    if (outcome == SOCK_DONE) {
        end(self);
        return PYGEN_RETURN;
    }
    fail(self);
    return PYGEN_ERROR;
}

static bool may_resume(const SockCallObject *self, PyObject *value)
{
    if (self->running)
        PyErr_SetString(PyExc_ValueError, "coroutine already executing");
    else if (self->state == SOCK_OVER)
        PyErr_SetString(PyExc_RuntimeError,
                        "cannot reuse already awaited coroutine");
    else if (self->state == SOCK_NEW && value && !Py_IsNone(value))
        PyErr_SetString(
            PyExc_TypeError,
            "can't send non-None value to a just-started coroutine");
    else
        return true;
    return false;
}

static PySendResult call_am_send(PyObject *op, PyObject *value, PyObject **out)
{
    SockCallObject *self = (SockCallObject *)op;
    PySendResult result;

    *out = NULL;
    if (rota__unlikely(!may_resume(self, value)))
        return PYGEN_ERROR;
    Py_INCREF(self);
    self->running = true;
    result = step(self, out);
    self->running = false;
    Py_DECREF(self);
    return result;
}

/* As an iterator says it: StopIteration carries the result. */
static PyObject *call_send(PyObject *op, PyObject *value)
{
    PyObject *out, *stop;

    if (call_am_send(op, value, &out) != PYGEN_RETURN)
        return out;
    stop = PyObject_CallOneArg(PyExc_StopIteration, out);
    Py_DECREF(out);
    if (stop) {
        PyErr_SetObject(PyExc_StopIteration, stop);
        Py_DECREF(stop);
    }
    return NULL;
}

static PyObject *call_next(PyObject *op)
{
    return call_send(op, Py_None);
}

static PyObject *call_await(PyObject *op)
{
    SockCallObject *self = (SockCallObject *)op;

    if (self->state != SOCK_WAITING && !self->running)
        return Py_NewRef(op);
    PyErr_SetString(PyExc_RuntimeError, "coroutine is being awaited already");
    return NULL;
}

/* An exception as raise takes it: a class, or an instance. */
static PyObject *exception_of(PyObject *what, PyObject *value)
{
    PyObject *exception;

    if (PyExceptionInstance_Check(what))
        return Py_NewRef(what);
    if (!PyExceptionClass_Check(what)) {
        PyErr_SetString(PyExc_TypeError,
                        "exceptions must be classes or instances deriving "
                        "from BaseException");
        return NULL;
    }
    if (value && PyObject_IsInstance(value, what) == 1)
        return Py_NewRef(value);
    exception = value && !Py_IsNone(value) ? PyObject_CallOneArg(what, value)
                                           : PyObject_CallNoArgs(what);
    if (exception && !PyExceptionInstance_Check(exception)) {
        PyErr_SetString(PyExc_TypeError, "the class made no exception");
        Py_CLEAR(exception);
    }
    return exception;
}

static PyObject *call_throw(PyObject *op, PyObject *const *args,
                            Py_ssize_t count)
{
    SockCallObject *self = (SockCallObject *)op;
    PyObject *exception;

    if (count < 1 || count > 3) {
        PyErr_SetString(PyExc_TypeError, "throw() takes 1 to 3 arguments");
        return NULL;
    }
    exception = exception_of(args[0], count > 1 ? args[1] : NULL);
    if (!exception)
        return NULL;
    if (count > 2 && !Py_IsNone(args[2]) &&
        PyException_SetTraceback(exception, args[2]) < 0) {
        Py_DECREF(exception);
        return NULL;
    }
    if (!may_resume(self, NULL)) {
        Py_DECREF(exception);
        return NULL;
    }
    PyErr_SetObject((PyObject *)Py_TYPE(exception), exception);
    Py_DECREF(exception);
    fail(self);
    return NULL;
}

static PyObject *call_close(PyObject *op, PyObject *Py_UNUSED(none))
{
    SockCallObject *self = (SockCallObject *)op;

    if (self->running) {
        PyErr_SetString(PyExc_ValueError, "coroutine already executing");
        return NULL;
    }
    fail(self);
    return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
}

/* --- The type ------------------------------------------------------------ */

static int call_traverse(PyObject *op, visitproc visit, void *arg)
{
    SockCallObject *self = (SockCallObject *)op;

    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->loop);
    for (int i = 0; i < SOCK_MOST_ARGS; i++)
        Py_VISIT(self->args[i]);
    Py_VISIT(self->future);
    Py_VISIT(self->result);
    Py_VISIT(self->error);
    Py_VISIT(self->origin);
    Py_VISIT(self->data.obj);
    return 0;
}

/* Not the loop, which the watch needs. */
static int call_clear(PyObject *op)
{
    ((SockCallObject *)op)->state = SOCK_OVER;
    drop_references((SockCallObject *)op);
    return 0;
}

static void call_finalize(PyObject *op)
{
    SockCallObject *self = (SockCallObject *)op;
    PyObject *exception, *function, *done;

    exception = core_take_exception();
    if (self->kind->undo && self->state != SOCK_OVER)
        self->kind->undo(self);
    if (PyErr_Occurred())
        PyErr_WriteUnraisable(op);
    if (self->state != SOCK_NEW) {
        core_give_exception(exception);
        return;
    }
    function = core_support(self->loop->state, "never_awaited");
    done = function ? PyObject_CallOneArg(function, op) : NULL;
    if (!done)
        PyErr_WriteUnraisable(op);
    Py_XDECREF(done);
    core_give_exception(exception);
}

static void call_dealloc(PyObject *op)
{
    SockCallObject *self = (SockCallObject *)op;
    PyTypeObject *type = Py_TYPE(op);

    if (rota__unlikely(self->state != SOCK_OVER) &&
        PyObject_CallFinalizerFromDealloc(op) < 0)
        return;
    PyObject_GC_UnTrack(op);
    if (rota__unlikely(self->weakrefs != NULL))
        PyObject_ClearWeakRefs(op);
    core_sock_place_leave(self);
    rota__watcher_end(&self->watcher);
    rota__unready(&self->on_ready);
    drop_references(self);
    Py_CLEAR(self->loop);
    type->tp_free(op);
    Py_DECREF(type);
}

static PyObject *get_name(PyObject *op, void *Py_UNUSED(closure))
{
    return PyUnicode_FromString(((SockCallObject *)op)->kind->name);
}

static PyObject *get_qualname(PyObject *op, void *Py_UNUSED(closure))
{
    return PyUnicode_FromFormat("Loop.%s", ((SockCallObject *)op)->kind->name);
}

static PyObject *call_repr(PyObject *op)
{
    return PyUnicode_FromFormat("<coroutine object Loop.%s at %p>",
                                ((SockCallObject *)op)->kind->name, op);
}

static PyGetSetDef call_getset[] = {
    {"__name__", get_name, NULL, NULL, NULL},
    {"__qualname__", get_qualname, NULL, NULL, NULL},
    {0},
};

static PyMemberDef call_members[] = {
    {"cr_running", T_BOOL, offsetof(SockCallObject, running), READONLY, NULL},
    {"cr_origin", T_OBJECT, offsetof(SockCallObject, origin), READONLY, NULL},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(SockCallObject, weakrefs),
     READONLY, NULL},
    {0},
};

static PyMethodDef call_methods[] = {
    {"send", call_send, METH_O, "Resume the call; StopIteration has its end."},
    {"throw", CORE_ANY(call_throw), METH_FASTCALL,
     "End the call with an exception."},
    {"close", call_close, METH_NOARGS, "End the call."},
    {0},
};

static PyType_Slot call_slots[] = {
    {Py_tp_doc, "A call of one of the loop's methods sock_*, to be awaited."},
    {Py_tp_traverse, call_traverse},
    {Py_tp_clear, call_clear},
    {Py_tp_finalize, call_finalize},
    {Py_tp_dealloc, call_dealloc},
    {Py_tp_repr, call_repr},
    {Py_tp_methods, call_methods},
    {Py_tp_members, call_members},
    {Py_tp_getset, call_getset},
    {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, call_next},
    {Py_am_await, call_await},
    {Py_am_send, call_am_send},
    {0},
};

PyType_Spec core_sock_call_spec = {
    .name = "rota.SockCall",
    .basicsize = sizeof(SockCallObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC |
             Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = call_slots,
};
