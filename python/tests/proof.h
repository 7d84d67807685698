/* SPDX-License-Identifier: MIT */
/*
 * What the two files of the proof share
 */
#ifndef ROTA_PYTHON_TESTS_PROOF_H
#define ROTA_PYTHON_TESTS_PROOF_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include "loop/loop.h"

struct state {
    PyObject *breathe; /* a function in Python that does nothing */
    PyObject *handle_type;
    PyObject *loop_type;
    PyObject *future; /* from here on asyncio's, in the order of names[] */
    PyObject *task;
    PyObject *get_running_loop;
    PyObject *set_running_loop;
};

typedef struct {
    PyObject_HEAD rota_loop *loop;
    struct state *state; /* lives as long as our type does */
    PyObject *readers;   /* fd: Handle */
    PyObject *exception_handler;
    PyObject *weakrefs;
    PyThreadState *thread; /* while the GIL is let go */
    int64_t breathed;
    Py_ssize_t waits; /* for which the GIL was let go */
    char nested;      /* a run inside a callback is allowed */
    bool failed;      /* the current exception ends the run */
} LoopObject;

typedef struct {
    PyObject_VAR_HEAD struct rota__timer
        timer;          /* its handle alone, if it is no timer */
    LoopObject *loop;   /* borrowed, in whose queue it is, or NULL */
    PyObject *callback; /* NULL once it will not run any more */
    PyObject *context;
    bool cancelled;
    bool posted;     /* from another thread: cannot be unlinked */
    PyObject *spare; /* for a bound method's self while it is called */
    PyObject *args[];
} HandleObject;

static inline HandleObject *proof_handle_of(struct rota__handle *queued)
{
    return rota__container_of(queued, HandleObject, timer.handle);
}

/* The current exception, or NULL; none is current then. And back, stolen. */
PyObject *proof_take_exception(void);
void proof_give_exception(PyObject *value);

/* Raises what a function of loop/ returned; NULL. */
PyObject *proof_raise(int err);
/* The Loop, or NULL with an exception if it is closed. */
LoopObject *proof_open_loop(PyObject *op);

extern PyType_Spec proof_handle_spec;
/* A handle for args[0](*args[1:]); `context` NULL: a copy of the current. */
HandleObject *proof_handle_new(LoopObject *loop, PyObject *context,
                               PyObject *const *args, Py_ssize_t count);
/* The same for what a method was given, checked. */
HandleObject *proof_handle_for(PyObject *op, PyObject *const *args,
                               Py_ssize_t count, PyObject *names);
/* Runs one that is in no queue. */
void proof_handle_call(LoopObject *loop, HandleObject *handle);
/* What loop/ calls for one that is in a queue, or was until now. */
void proof_handle_run(struct rota__handle *queued);
void proof_handle_drop(struct rota__handle *queued);

/* Methods of Loop */
PyObject *proof_call_soon(PyObject *op, PyObject *const *args, Py_ssize_t count,
                          PyObject *names);
PyObject *proof_call_soon_threadsafe(PyObject *op, PyObject *const *args,
                                     Py_ssize_t count, PyObject *names);
PyObject *proof_call_later(PyObject *op, PyObject *const *args,
                           Py_ssize_t count, PyObject *names);
PyObject *proof_call_at(PyObject *op, PyObject *const *args, Py_ssize_t count,
                        PyObject *names);

#endif
