/* SPDX-License-Identifier: MIT */
/*
 * What a socket's transport sends
 */
#include "socket_transport.h"

#define WARN_FROM 5 /* writes for nothing: asyncio's LOG_THRESHOLD */

/* --- Flow control -------------------------------------------------------- */

size_t core_socket_buffered(const SocketTransportObject *self)
{
    return (self->gathered ? self->gathered->size : 0) +
           rota__buffer_size(&self->conn.out);
}

static void tell_protocol(SocketTransportObject *self, PyObject *name,
                          const char *message)
{
    PyObject *done = PyObject_CallMethodNoArgs(self->protocol, name);

    if (done)
        Py_DECREF(done);
    else
        core_report(self->loop, message, "transport", (PyObject *)self,
                    "protocol", self->protocol);
}

static void pause_if_full(SocketTransportObject *self)
{
    if (rota__likely(core_socket_buffered(self) <= self->high) ||
        self->writing_paused)
        return;
    self->writing_paused = true;
    if (self->ops)
        self->ops->pause_writing(self->protocol);
    else
        tell_protocol(self, self->loop->state->str_pause_writing,
                      "protocol.pause_writing() failed");
}

static void resume_if_drained(SocketTransportObject *self)
{
    if (!self->writing_paused || core_socket_buffered(self) > self->low)
        return;
    self->writing_paused = false;
    if (!self->protocol)
        return;
    if (self->ops)
        self->ops->resume_writing(self->protocol);
    else
        tell_protocol(self, self->loop->state->str_resume_writing,
                      "protocol.resume_writing() failed");
}

/* --- Gathering ----------------------------------------------------------- */

#define MOST_LENT 64 /* kept by a loop when nobody needs them */

static struct core_gather *borrow(LoopObject *loop)
{
    struct core_gather *gather = loop->gathers;

    if (gather) {
        loop->gathers = gather->next;
        loop->gather_count--;
    } else {
        gather = rota__alloc(sizeof *gather);
    }
    if (gather) {
        gather->size = 0;
        gather->count = 0;
    }
    return gather;
}

static void give_back(LoopObject *loop, struct core_gather *gather)
{
    for (int i = 0; i < gather->count; i++)
        Py_DECREF(gather->parts[i]);
    if (loop->gather_count >= MOST_LENT) {
        rota__free(gather);
        return;
    }
    gather->next = loop->gathers;
    loop->gathers = gather;
    loop->gather_count++;
}

void core_free_gathers(LoopObject *loop)
{
    struct core_gather *gather;

    while ((gather = loop->gathers) != NULL) {
        loop->gathers = gather->next;
        rota__free(gather);
    }
    loop->gather_count = 0;
}

static struct core_gather *take_gathered(SocketTransportObject *self)
{
    struct core_gather *gather = self->gathered;

    self->gathered = NULL;
    rota__list_remove(&self->dirty);
    return gather;
}

void core_socket_forget_gathered(SocketTransportObject *self)
{
    if (self->gathered)
        give_back(self->loop, take_gathered(self));
}

static int queue_rest(SocketTransportObject *self,
                      const struct core_gather *gather, size_t sent)
{
    int err = 0;

    for (int i = 0; i < gather->count && err == 0; i++) {
        size_t size = (size_t)PyBytes_GET_SIZE(gather->parts[i]);
        size_t skip = sent < size ? sent : size;

        sent -= skip;
        if (skip < size)
            err = rota__conn_queue(&self->conn,
                                   PyBytes_AS_STRING(gather->parts[i]) + skip,
                                   size - skip);
    }
    return err;
}

/* What is gathered and, behind it, `size` bytes more. */
static intptr_t send_gathered(SocketTransportObject *self,
                              const struct core_gather *gather,
                              const char *data, size_t size)
{
    struct iovec parts[CORE_GATHERED + 1];
    int count = gather->count;

    for (int i = 0; i < count; i++)
        parts[i] = (struct iovec){
            .iov_base = PyBytes_AS_STRING(gather->parts[i]),
            .iov_len = (size_t)PyBytes_GET_SIZE(gather->parts[i]),
        };
    if (size > 0)
        parts[count++] = (struct iovec){(char *)data, size};
    if (count == 1)
        return rota__conn_write(&self->conn, parts[0].iov_base,
                                parts[0].iov_len);
    return rota__conn_writev(&self->conn, parts, count);
}

/* The same, and what the kernel does not take is copied. */
static void send_all(SocketTransportObject *self, const char *data, size_t size)
{
    struct core_gather none = {.count = 0};
    struct core_gather *gather = self->gathered ? take_gathered(self) : &none;
    intptr_t n = send_gathered(self, gather, data, size);
    int err = n < 0 ? (int)n : 0;

    if (rota__unlikely(n >= 0 && (size_t)n < gather->size + size)) {
        size_t sent = (size_t)n;

        err = queue_rest(self, gather, sent);
        sent = sent > gather->size ? sent - gather->size : 0;
        if (err == 0 && sent < size)
            err = rota__conn_queue(&self->conn, data + sent, size - sent);
    }
    if (gather != &none)
        give_back(self->loop, gather);
    if (rota__unlikely(err < 0))
        core_socket_failed(self, err, "Fatal write error on socket transport");
}

void core_socket_flush(SocketTransportObject *self)
{
    if (self->gathered)
        send_all(self, NULL, 0);
}

void core_flush(LoopObject *loop)
{
    struct rota__link *link;

    while ((link = rota__list_pop(&loop->dirty)) != NULL) {
        SocketTransportObject *self =
            rota__container_of(link, SocketTransportObject, dirty);

        Py_INCREF(self);
        core_socket_flush(self);
        if (!self->lost)
            pause_if_full(self);
        Py_DECREF(self);
    }
}

/* One that is paused is kept by nobody, unless it has something to send. */
static void keep_alive(SocketTransportObject *self)
{
    if (rota__unlikely(!self->kept.object) && !self->conn.closed)
        core_socket_keep(self);
}

/* What may change before the turn is over is sent now, and what is so much
   that it would leave the processor's cache meanwhile; and behind what the
   kernel has not taken nothing is gathered. */
#define AT_ONCE_FROM 4096

static void send_now(SocketTransportObject *self, const char *data, size_t size)
{
    send_all(self, data, size);
    if (self->lost)
        return;
    if (rota__buffer_size(&self->conn.out) > 0)
        keep_alive(self);
    pause_if_full(self);
}

static void send_bytes(SocketTransportObject *self, PyObject *bytes)
{
    send_now(self, PyBytes_AS_STRING(bytes), (size_t)PyBytes_GET_SIZE(bytes));
}

static void gather(SocketTransportObject *self, PyObject *bytes)
{
    struct core_gather *gather = self->gathered;

    if (PyBytes_GET_SIZE(bytes) >= AT_ONCE_FROM ||
        rota__buffer_size(&self->conn.out) > 0) {
        send_bytes(self, bytes);
        return;
    }
    keep_alive(self);
    if (!gather) {
        gather = self->gathered = borrow(self->loop);
        if (!gather) {
            send_bytes(self, bytes);
            return;
        }
        rota__list_push(&self->loop->dirty, &self->dirty);
    }
    gather->parts[gather->count++] = Py_NewRef(bytes);
    gather->size += (size_t)PyBytes_GET_SIZE(bytes);
    if (gather->count < CORE_GATHERED && gather->size <= self->high)
        return;
    core_socket_flush(self);
    if (!self->lost)
        pause_if_full(self);
}

/* --- Writing ------------------------------------------------------------- */

static bool check_data(PyObject *data)
{
    if (rota__likely(PyBytes_Check(data) || PyByteArray_Check(data) ||
                     PyMemoryView_Check(data)))
        return true;
    PyErr_Format(PyExc_TypeError,
                 "data argument must be a bytes-like object, not '%s'",
                 Py_TYPE(data)->tp_name);
    return false;
}

static bool check_open(SocketTransportObject *self, const char *function)
{
    if (rota__unlikely(self->eof)) {
        PyErr_Format(PyExc_RuntimeError, "Cannot call %s() after write_eof()",
                     function);
        return false;
    }
    if (rota__unlikely(self->empty_waiter != NULL)) {
        PyErr_SetString(PyExc_RuntimeError,
                        "unable to write; sendfile is in progress");
        return false;
    }
    return true;
}

/* True if the connection is lost; asyncio warns from the fifth write on. */
static bool is_lost(SocketTransportObject *self)
{
    PyObject *warn, *done;

    if (rota__likely(!self->lost))
        return false;
    if (self->lost >= WARN_FROM) {
        warn = core_support(self->loop->state, "lost_write");
        done = warn ? PyObject_CallNoArgs(warn) : NULL;
        Py_XDECREF(done);
    }
    self->lost++;
    return true;
}

static int write_one(SocketTransportObject *self, PyObject *data)
{
    Py_buffer view;

    if (rota__likely(PyBytes_CheckExact(data))) {
        if (PyBytes_GET_SIZE(data) > 0)
            gather(self, data);
        return 0;
    }
    if (PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) < 0)
        return -1;
    if (view.len > 0)
        send_now(self, view.buf, (size_t)view.len);
    PyBuffer_Release(&view);
    return 0;
}

static bool is_empty(PyObject *data)
{
    return PyBytes_CheckExact(data) ? PyBytes_GET_SIZE(data) == 0
                                    : PyObject_Size(data) == 0;
}

static PyObject *result(SocketTransportObject *self)
{
    if (rota__unlikely(self->loop->failed)) {
        self->loop->failed = false;
        return NULL;
    }
    return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
}

static PyObject *socket_write(PyObject *op, PyObject *data)
{
    SocketTransportObject *self = (SocketTransportObject *)op;

    if (!check_data(data) || !check_open(self, "write"))
        return NULL;
    if (is_empty(data) || is_lost(self))
        return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
    if (write_one(self, data) < 0)
        return NULL;
    return result(self);
}

static PyObject *socket_writelines(PyObject *op, PyObject *lines)
{
    SocketTransportObject *self = (SocketTransportObject *)op;
    PyObject *list;

    if (!check_open(self, "writelines"))
        return NULL;
    list = PySequence_Fast(lines, "writelines() takes an iterable");
    if (!list)
        return NULL;
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(list); i++) {
        if (!check_data(PySequence_Fast_GET_ITEM(list, i)))
            goto done;
    }
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(list); i++) {
        PyObject *data = PySequence_Fast_GET_ITEM(list, i);

        if (is_empty(data))
            continue;
        if (is_lost(self) || write_one(self, data) < 0)
            break;
    }
done:
    Py_DECREF(list);
    return result(self);
}

void core_transport_write(PyObject *op, PyObject *bytes)
{
    SocketTransportObject *self = (SocketTransportObject *)op;

    if (PyBytes_GET_SIZE(bytes) > 0 && !is_lost(self))
        gather(self, bytes);
}

size_t core_transport_buffered(PyObject *op)
{
    return core_socket_buffered((SocketTransportObject *)op);
}

static PyObject *socket_write_eof(PyObject *op, PyObject *Py_UNUSED(none))
{
    SocketTransportObject *self = (SocketTransportObject *)op;
    int err;

    if (self->closing || self->eof)
        Py_RETURN_NONE;
    core_socket_flush(self);
    self->eof = true;
    if (self->lost)
        return result(self);
    err = rota__conn_write_eof(&self->conn);
    return err < 0 ? core_raise(err) : result(self);
}

static PyObject *socket_can_write_eof(PyObject *Py_UNUSED(op),
                                      PyObject *Py_UNUSED(none))
{
    Py_RETURN_TRUE;
}

/* --- The kernel takes more ----------------------------------------------- */

static void wake_empty_waiter(SocketTransportObject *self)
{
    PyObject *wake, *done;

    if (!self->empty_waiter || core_socket_buffered(self) > 0)
        return;
    wake = core_support(self->loop->state, "set_result_unless_done");
    done = wake ? PyObject_CallFunctionObjArgs(wake, self->empty_waiter,
                                               Py_None, NULL)
                : NULL;
    if (!done)
        PyErr_WriteUnraisable((PyObject *)self);
    Py_XDECREF(done);
}

void core_socket_writable(struct rota__conn *conn)
{
    SocketTransportObject *self =
        rota__container_of(conn, SocketTransportObject, conn);

    Py_INCREF(self);
    if (conn->error) {
        if (rota__buffer_size(&conn->out) > 0)
            core_socket_failed(self, conn->error,
                               "Fatal write error on socket transport");
    } else {
        resume_if_drained(self);
        wake_empty_waiter(self);
    }
    Py_DECREF(self);
}

/* It closes, and all is sent: resume_writing() may write a last word. */
void core_socket_drained(struct rota__conn *conn)
{
    SocketTransportObject *self =
        rota__container_of(conn, SocketTransportObject, conn);

    Py_INCREF(self);
    resume_if_drained(self);
    core_socket_flush(self);
    wake_empty_waiter(self);
    Py_DECREF(self);
}

/* --- Limits -------------------------------------------------------------- */

static PyObject *socket_get_size(PyObject *op, PyObject *Py_UNUSED(none))
{
    SocketTransportObject *self = (SocketTransportObject *)op;

    core_socket_flush(self);
    if (self->loop->failed)
        return result(self);
    return PyLong_FromSize_t(core_socket_buffered(self));
}

static PyObject *socket_get_limits(PyObject *op, PyObject *Py_UNUSED(none))
{
    SocketTransportObject *self = (SocketTransportObject *)op;

    return Py_BuildValue("(nn)", (Py_ssize_t)self->low, (Py_ssize_t)self->high);
}

static PyObject *socket_set_limits(PyObject *op, PyObject *args,
                                   PyObject *named)
{
    static char *names[] = {"high", "low", NULL};
    SocketTransportObject *self = (SocketTransportObject *)op;
    PyObject *high = Py_None, *low = Py_None, *limits, *function;
    Py_ssize_t to_high, to_low;

    if (!PyArg_ParseTupleAndKeywords(args, named, "|OO", names, &high, &low))
        return NULL;
    function = core_support(self->loop->state, "write_buffer_limits");
    limits = function ? PyObject_CallFunctionObjArgs(function, high, low, NULL)
                      : NULL;
    if (!limits)
        return NULL;
    if (PyArg_ParseTuple(limits, "nn", &to_high, &to_low)) {
        self->high = (size_t)to_high;
        self->low = (size_t)to_low;
        if (!self->lost)
            core_socket_flush(self);
        if (!self->lost)
            pause_if_full(self);
    }
    Py_DECREF(limits);
    return result(self);
}

/* --- sendfile ------------------------------------------------------------ */

static PyObject *make_empty_waiter(PyObject *op, PyObject *Py_UNUSED(none))
{
    SocketTransportObject *self = (SocketTransportObject *)op;

    if (self->empty_waiter) {
        PyErr_SetString(PyExc_RuntimeError, "Empty waiter is already set");
        return NULL;
    }
    core_socket_flush(self);
    self->empty_waiter =
        PyObject_CallMethod((PyObject *)self->loop, "create_future", NULL);
    if (!self->empty_waiter)
        return NULL;
    wake_empty_waiter(self);
    return Py_NewRef(self->empty_waiter);
}

static PyObject *reset_empty_waiter(PyObject *op, PyObject *Py_UNUSED(none))
{
    Py_CLEAR(((SocketTransportObject *)op)->empty_waiter);
    Py_RETURN_NONE;
}

PyMethodDef core_socket_write_methods[] = {
    {"write", socket_write, METH_O,
     "Write bytes to the transport. See asyncio.WriteTransport.write."},
    {"writelines", socket_writelines, METH_O,
     "Write several bytes objects, in order."},
    {"write_eof", socket_write_eof, METH_NOARGS,
     "Close the write end once what is buffered has been sent."},
    {"can_write_eof", socket_can_write_eof, METH_NOARGS,
     "Return True: sockets can be half-closed."},
    {"get_write_buffer_size", socket_get_size, METH_NOARGS,
     "Return how many bytes wait to be sent."},
    {"get_write_buffer_limits", socket_get_limits, METH_NOARGS,
     "Return the low and the high water mark."},
    {"set_write_buffer_limits", CORE_ANY(socket_set_limits),
     METH_VARARGS | METH_KEYWORDS,
     "Set when the protocol's pause_writing() and resume_writing() are "
     "called."},
    {"_make_empty_waiter", make_empty_waiter, METH_NOARGS, NULL},
    {"_reset_empty_waiter", reset_empty_waiter, METH_NOARGS, NULL},
    {0},
};
