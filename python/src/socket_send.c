/* SPDX-License-Identifier: MIT */
/*
 * What a socket's transport sends, and when
 */
#include "socket_transport.h"

/* --- Flow control -------------------------------------------------------- */

size_t core_socket_buffered(const SocketTransportObject *self)
{
    return (self->gathered ? self->gathered->size : 0) +
           rota__buffer_size(&self->conn.out);
}

static void tell_protocol(SocketTransportObject *self, PyObject *name,
                          const char *message)
{
    PyObject *protocol = Py_NewRef(self->protocol);
    PyObject *done = PyObject_CallMethodNoArgs(protocol, name);

    if (!done)
        core_report(self->loop, message, "transport", (PyObject *)self,
                    "protocol", protocol);
    Py_XDECREF(done);
    Py_DECREF(protocol);
}

void core_socket_pause_if_full(SocketTransportObject *self)
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
    rota__list_cut(&gather->dirty);
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

/* What is gathered, if anything, and, behind it, `size` bytes more. */
static intptr_t send_gathered(SocketTransportObject *self,
                              const struct core_gather *gather,
                              const char *data, size_t size)
{
    struct iovec parts[CORE_GATHERED + 1];
    int count = gather ? gather->count : 0;

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

/* In whose context the protocol hears that the kernel takes more; what was
   gathered is sent when nobody's is entered any more. */
static void remember_writer(SocketTransportObject *self, bool here)
{
    if (self->write_context)
        return;
    self->write_context =
        here ? PyContext_CopyCurrent() : Py_NewRef(self->context);
    if (!self->write_context)
        PyErr_Clear();
}

/* The same, and what the kernel does not take is copied. */
static void send_all(SocketTransportObject *self, const char *data, size_t size)
{
    struct core_gather *gather = self->gathered ? take_gathered(self) : NULL;
    size_t before = gather ? gather->size : 0;
    intptr_t n = send_gathered(self, gather, data, size);
    int err = n < 0 ? (int)n : 0;

    if (rota__unlikely(n >= 0 && (size_t)n < before + size)) {
        size_t sent = (size_t)n;

        if (gather)
            err = queue_rest(self, gather, sent);
        sent = sent > before ? sent - before : 0;
        if (err == 0 && sent < size)
            err = rota__conn_queue(&self->conn, data + sent, size - sent);
    }
    if (gather)
        give_back(self->loop, gather);
    if (rota__unlikely(err < 0))
        core_socket_failed(self, err, CORE_WRITE_FAILED);
    else if (rota__unlikely(rota__buffer_size(&self->conn.out) > 0))
        remember_writer(self, data != NULL);
}

void core_socket_flush(SocketTransportObject *self)
{
    if (self->gathered)
        send_all(self, NULL, 0);
}

void core_socket_flush_and_look(SocketTransportObject *self)
{
    core_socket_flush(self);
    if (!self->lost)
        core_socket_pause_if_full(self);
}

void core_flush(LoopObject *loop)
{
    struct rota__link *link;

    while ((link = loop->dirty.next) != &loop->dirty) {
        SocketTransportObject *self =
            rota__container_of(link, struct core_gather, dirty)->owner;

        Py_INCREF(self);
        core_socket_flush_and_look(self);
        core_socket_let_go_if_idle(self);
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
   that it would leave the processor's cache meanwhile. Behind what the kernel
   has not taken nothing is gathered, and nothing where no turn would end. */
#define AT_ONCE_FROM 4096

/* Nobody will tell when the kernel takes more. */
static void send_without_loop(SocketTransportObject *self, const char *data,
                              size_t size)
{
    intptr_t n = rota__socket_send(self->conn.watch.fd, data, size);

    if (n != (intptr_t)size)
        (void)core_open_loop((PyObject *)self->loop);
}

void core_socket_send(SocketTransportObject *self, const char *data,
                      size_t size)
{
    if (rota__unlikely(self->loop->closed)) {
        send_without_loop(self, data, size);
        return;
    }
    send_all(self, data, size);
    if (self->lost)
        return;
    if (rota__buffer_size(&self->conn.out) > 0)
        keep_alive(self);
    core_socket_pause_if_full(self);
}

static void send_bytes(SocketTransportObject *self, PyObject *bytes)
{
    core_socket_send(self, PyBytes_AS_STRING(bytes),
                     (size_t)PyBytes_GET_SIZE(bytes));
}

void core_socket_gather(SocketTransportObject *self, PyObject *bytes)
{
    struct core_gather *gather = self->gathered;

    if (PyBytes_GET_SIZE(bytes) >= AT_ONCE_FROM || !self->loop->gathering ||
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
        gather->owner = self;
        rota__list_push(&self->loop->dirty, &gather->dirty);
    }
    gather->parts[gather->count++] = Py_NewRef(bytes);
    gather->size += (size_t)PyBytes_GET_SIZE(bytes);
    if (gather->count == CORE_GATHERED)
        core_socket_flush_and_look(self);
}

/* --- The kernel takes more ----------------------------------------------- */

void core_socket_wake_empty_waiter(SocketTransportObject *self)
{
    PyObject *wake, *done;

    if (!self->empty_waiter || core_socket_buffered(self) > 0)
        return;
    wake = core_support(self->loop->state, "set_result_unless_done");
    done = wake ? PyObject_CallFunctionObjArgs(wake, self->empty_waiter,
                                               Py_None, NULL)
                : NULL;
    if (!done)
        core_unraisable(self->loop, (PyObject *)self);
    Py_XDECREF(done);
}

void core_socket_fail_empty_waiter(SocketTransportObject *self, PyObject *exc)
{
    PyObject *fail, *done;

    if (rota__likely(!self->empty_waiter))
        return;
    fail = core_support(self->loop->state, "fail_empty_waiter");
    done = fail ? PyObject_CallFunctionObjArgs(fail, self->empty_waiter,
                                               exc ? exc : Py_None, NULL)
                : NULL;
    if (!done)
        core_unraisable(self->loop, (PyObject *)self);
    Py_XDECREF(done);
}

static void take_more(SocketTransportObject *self)
{
    if (self->conn.error) {
        if (rota__buffer_size(&self->conn.out) > 0)
            core_socket_failed(self, self->conn.error, CORE_WRITE_FAILED);
        core_socket_fail_empty_waiter(self, self->lost_exception);
        return;
    }
    resume_if_drained(self);
    core_socket_wake_empty_waiter(self);
}

/* It closes, and all is sent: resume_writing() may write a last word. */
static void take_last(SocketTransportObject *self)
{
    resume_if_drained(self);
    core_socket_flush(self);
    core_socket_wake_empty_waiter(self);
}

static void as_writer(SocketTransportObject *self,
                      void (*step)(SocketTransportObject *self))
{
    PyObject *context =
        self->write_context ? self->write_context : self->context;
    PyObject *entered;

    Py_INCREF(self);
    entered = core_enter_context(context);
    if (entered) {
        step(self);
        core_leave_context(entered);
    } else {
        core_socket_fatal(self, CORE_WRITE_FAILED);
    }
    if (rota__buffer_size(&self->conn.out) == 0 && !self->conn.flushing)
        Py_CLEAR(self->write_context);
    core_socket_let_go_if_idle(self);
    Py_DECREF(self);
}

void core_socket_writable(struct rota__conn *conn)
{
    as_writer(rota__container_of(conn, SocketTransportObject, conn), take_more);
}

void core_socket_drained(struct rota__conn *conn)
{
    as_writer(rota__container_of(conn, SocketTransportObject, conn), take_last);
}
