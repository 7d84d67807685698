/* SPDX-License-Identifier: MIT */
/*
 * Transports: what they do alike
 */
#include "transport.h"

/* --- Beginning and ending ------------------------------------------------ */

static int wake_soon(LoopObject *loop, PyObject *waiter)
{
    PyObject *function;

    if (!waiter || Py_IsNone(waiter))
        return 0;
    function = core_support(loop->state, "wake_waiter");
    return function ? core_call_soon(loop, function, waiter) : -1;
}

int core_announce(LoopObject *loop, PyObject *transport, PyObject *protocol,
                  PyObject *waiter, struct rota__handle *on_start)
{
    PyObject *made =
        PyObject_GetAttr(protocol, loop->state->str_connection_made);
    int err = made ? core_call_soon(loop, made, transport) : -1;

    Py_XDECREF(made);
    if (err == 0)
        err = wake_soon(loop, waiter);
    if (err == 0)
        rota__ready(loop->loop, on_start);
    return err;
}

int core_lose_soon(LoopObject *loop, PyObject *transport, PyObject *context,
                   PyObject *exc)
{
    PyObject *method;
    int err;

    if (!core_open_loop((PyObject *)loop))
        return -1;
    method = PyObject_GetAttrString(transport, "_call_connection_lost");
    err = method ? core_call_soon_in(loop, context, method, exc ? exc : Py_None)
                 : -1;
    Py_XDECREF(method);
    return err;
}

int core_close_file(core_state *state, PyObject **file)
{
    PyObject *open = *file, *done;

    *file = NULL;
    if (!open)
        return 0;
    done = PyObject_CallMethodNoArgs(open, state->str_close);
    Py_DECREF(open);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

PyObject *core_lose(core_state *state, PyObject **protocol, PyObject **file,
                    PyObject *exc)
{
    PyObject *told = Py_XNewRef(*protocol), *done = Py_NewRef(Py_None);
    PyObject *before, *raised;

    if (told)
        Py_SETREF(done, PyObject_CallMethodOneArg(
                            told, state->str_connection_lost, exc));
    before = core_take_exception();
    if (core_close_file(state, file) < 0) {
        raised = core_take_exception();
        if (raised != before)
            PyException_SetContext(raised, Py_XNewRef(before));
        Py_XSETREF(before, raised);
        Py_CLEAR(done);
    }
    Py_CLEAR(*protocol);
    Py_XDECREF(told);
    core_give_exception(before);
    return done;
}

/* --- Steps --------------------------------------------------------------- */

void core_transport_step(LoopObject *loop, PyObject *transport,
                         PyObject *context, void (*step)(PyObject *transport))
{
    int64_t began = core_step_begin(loop);
    PyObject *entered;

    Py_INCREF(transport);
    entered = core_enter_context(context);
    if (rota__likely(entered != NULL)) {
        step(transport);
        core_leave_context(entered);
    } else {
        core_report(loop, "A transport's callback has no context", "transport",
                    transport, NULL, NULL);
    }
    if (rota__unlikely(loop->debug))
        core_step_end(loop, began, transport);
    Py_DECREF(transport);
}

int core_log(LoopObject *loop, PyObject *transport, const char *text)
{
    PyObject *function, *done;

    if (rota__likely(!loop->debug))
        return 0;
    function = core_support(loop->state, "log_debug");
    done = function ? PyObject_CallFunction(function, "sO", text, transport)
                    : NULL;
    Py_XDECREF(done);
    return done ? 0 : -1;
}

/* --- Limits -------------------------------------------------------------- */

int core_parse_limits(LoopObject *loop, PyObject *args, PyObject *named,
                      size_t *to_high, size_t *to_low)
{
    static char *names[] = {"high", "low", NULL};
    PyObject *high = Py_None, *low = Py_None, *limits, *function;
    Py_ssize_t h, l;
    int parsed;

    if (!PyArg_ParseTupleAndKeywords(args, named, "|OO", names, &high, &low))
        return -1;
    function = core_support(loop->state, "write_buffer_limits");
    limits = function ? PyObject_CallFunctionObjArgs(function, high, low, NULL)
                      : NULL;
    parsed = limits && PyArg_ParseTuple(limits, "nn", &h, &l);
    Py_XDECREF(limits);
    if (!parsed)
        return -1;
    *to_high = (size_t)h;
    *to_low = (size_t)l;
    return 0;
}
