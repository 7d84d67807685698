/* SPDX-License-Identifier: MIT */
/*
 * What a datagram transport receives
 *
 * Registered once, with edges; one batch a turn, so that a busy socket starves
 * nobody. Whoever sent the last datagram is known by the bytes of the address,
 * and gets the object that was made of it.
 */
#include "datagram_transport.h"

/* --- Reports ------------------------------------------------------------- */

int core_datagram_tell(DatagramObject *self)
{
    PyObject *exception = core_take_exception(), *done = Py_None;

    if (self->protocol)
        done = PyObject_CallMethodOneArg(
            self->protocol, self->loop->state->str_error_received, exception);
    Py_DECREF(exception);
    if (!done)
        return -1;
    if (self->protocol || !Py_IsNone(done))
        Py_DECREF(done);
    return 0;
}

bool core_datagram_fatal(DatagramObject *self, const char *message)
{
    PyObject *exception, *function, *before, *done = NULL;
    int err;

    if (core_is_fatal())
        return false;
    exception = core_take_exception();
    before = core_handling_begin(exception);
    function = core_support(self->loop->state, "fatal_error");
    if (function)
        done = PyObject_CallFunction(function, "OOOOs", self->loop, self,
                                     self->protocol ? self->protocol : Py_None,
                                     exception, message);
    core_handling_end(before);
    err = done ? core_datagram_force_close(self, exception) : -1;
    Py_XDECREF(done);
    Py_DECREF(exception);
    return err == 0;
}

void core_datagram_report(DatagramObject *self, const char *message)
{
    core_report(self->loop, message, "transport", (PyObject *)self, "protocol",
                self->protocol);
}

/* --- Receiving ----------------------------------------------------------- */

static bool wants_data(const DatagramObject *self)
{
    return self->started && !self->closing && !self->paused && !self->lost;
}

static bool has_something(const DatagramObject *self)
{
    return wants_data(self) && rota__datagram_has_more(&self->socket) &&
           rota__list_empty(&self->on_readable.link);
}

/* As if the selector told it in the next turn. */
static void read_soon(DatagramObject *self)
{
    if (has_something(self))
        core_ready_late(self->loop, &self->on_readable);
}

/* In the middle of polling. */
void core_datagram_readable(struct rota__datagram *socket)
{
    DatagramObject *self = rota__container_of(socket, DatagramObject, socket);

    if (has_something(self))
        rota__ready(self->loop->loop, &self->on_readable);
}

static PyObject *sender(DatagramObject *self, const rota_address *from)
{
    PyObject *object;

    if (self->peer_object && self->peer.size == from->size &&
        memcmp(&self->peer.storage, &from->storage, from->size) == 0)
        return Py_NewRef(self->peer_object);
    Py_CLEAR(self->peer_object);
    self->peer = *from;
    object = core_address_object(&self->peer);
    if (object && !Py_IsNone(object) && !self->peer_object)
        self->peer_object = Py_NewRef(object);
    return object;
}

/* The packet is gone when other code has run. */
static void deliver(DatagramObject *self, const struct rota__packet *packet)
{
    PyObject *data =
        PyBytes_FromStringAndSize(packet->data, (Py_ssize_t)packet->size);
    PyObject *from = data ? sender(self, &packet->address) : NULL;
    PyObject *args[] = {self->protocol, data, from}, *done;

    if (from) {
        Py_INCREF(args[0]);
        done = PyObject_VectorcallMethod(
            self->loop->state->str_datagram_received, args, 3, NULL);
        if (rota__likely(done != NULL))
            Py_DECREF(done);
        else
            core_datagram_report(
                self, "Exception in callback DatagramTransport._read_ready()");
        Py_DECREF(args[0]);
    } else if (!core_datagram_fatal(self,
                                    "Fatal read error on datagram transport")) {
        core_datagram_report(self, "Fatal read error on datagram transport");
    }
    Py_XDECREF(from);
    Py_XDECREF(data);
}

static void receiving_failed(DatagramObject *self, int err)
{
    bool told;

    (void)core_raise(err);
    told = PyErr_ExceptionMatches(PyExc_OSError)
               ? core_datagram_tell(self) == 0
               : core_datagram_fatal(self,
                                     "Fatal read error on datagram transport");
    if (!told)
        core_datagram_report(
            self, "Exception in callback DatagramTransport._read_ready()");
}

static void receive(PyObject *op)
{
    DatagramObject *self = (DatagramObject *)op;
    struct rota__packet *packet;
    int err = 0;

    for (int i = 0; i < ROTA__PACKETS && err == 0; i++) {
        if (!wants_data(self) || self->loop->fatal)
            break;
        err = rota__datagram_take(&self->socket, &packet);
        if (err == 0)
            deliver(self, packet);
    }
    if (err < 0 && err != -EAGAIN)
        receiving_failed(self, err);
    read_soon(self);
}

void core_datagram_on_readable(struct rota__handle *handle)
{
    DatagramObject *self =
        rota__container_of(handle, DatagramObject, on_readable);

    core_transport_step(self->loop, (PyObject *)self, self->context, receive);
}

void core_datagram_on_start(struct rota__handle *handle)
{
    DatagramObject *self = rota__container_of(handle, DatagramObject, on_start);

    self->started = true;
    read_soon(self);
}

/* --- Reading, paused ----------------------------------------------------- */

static PyObject *transport_pause(PyObject *op, PyObject *Py_UNUSED(none))
{
    DatagramObject *self = (DatagramObject *)op;

    if (self->closing || self->paused)
        Py_RETURN_NONE;
    self->paused = true;
    rota__unready(&self->on_readable);
    return core_log(self->loop, op, "%r pauses reading") < 0
               ? NULL
               : Py_NewRef(Py_None);
}

static PyObject *transport_resume(PyObject *op, PyObject *Py_UNUSED(none))
{
    DatagramObject *self = (DatagramObject *)op;

    if (self->closing || !self->paused)
        Py_RETURN_NONE;
    self->paused = false;
    read_soon(self);
    return core_log(self->loop, op, "%r resumes reading") < 0
               ? NULL
               : Py_NewRef(Py_None);
}

static PyObject *transport_is_reading(PyObject *op, PyObject *Py_UNUSED(none))
{
    DatagramObject *self = (DatagramObject *)op;

    return PyBool_FromLong(!self->closing && !self->paused);
}

PyMethodDef core_datagram_receive_methods[] = {
    {"pause_reading", transport_pause, METH_NOARGS,
     "pause_reading($self, /)\n--\n\n"
     "Receive no more until resume_reading()."},
    {"resume_reading", transport_resume, METH_NOARGS,
     "resume_reading($self, /)\n--\n\n"
     "Receive again."},
    {"is_reading", transport_is_reading, METH_NOARGS,
     "is_reading($self, /)\n--\n\n"
     "Return True if the transport receives."},
    {0},
};
