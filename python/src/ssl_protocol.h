/* SPDX-License-Identifier: MIT */
/*
 * TLS: what its files share
 *
 *     app protocol  <- SSLTransport <- SSLProtocol <- the socket's transport
 *                      (writes)        | ssl.SSLObject, two ssl.MemoryBIO
 *
 * The classes in rota/_tls.py derive from the two here first and from
 * asyncio's own second: what moves data is in C, and how a connection begins,
 * ends and fails is asyncio's code, of the Python that runs. It finds the
 * attributes it knows, which lie in C.
 *
 *   - The cipher is Python's: the program's SSLContext, whose SSLObject we
 *     call without the method in Python around it. If the program has put its
 *     own in the SSLObject's place, asyncio's code moves the data, too.
 *   - Bytes reach the SSLObject through the loop's Room, an object that lends
 *     whatever memory it is told to, for one call.
 *   - A socket's transport of ours reads into the loop's scratch memory; any
 *     other asks get_buffer() for the Room's own.
 */
#ifndef ROTA_PYTHON_SSL_PROTOCOL_H
#define ROTA_PYTHON_SSL_PROTOCOL_H

#include "transport.h"

/* One for each loop: nobody reads while somebody else does. */
typedef struct {
    PyObject_HEAD char *lent;
    Py_ssize_t size;
    bool readonly;
    char *memory; /* for other transports; or NULL */
} CoreRoomObject;

#define CORE_ROOM_SIZE 262144 /* bytes: asyncio's max_size */

enum {
    CORE_SSL_OUT_HIGH,
    CORE_SSL_OUT_LOW,
    CORE_SSL_IN_HIGH,
    CORE_SSL_IN_LOW,
    CORE_SSL_LIMITS
};

/* As Python gave it, and to compare with. */
struct core_ssl_limit {
    PyObject *given;
    double bytes;
};

typedef struct {
    PyObject_HEAD const struct core_protocol_ops *ops;
    core_state *state;
    LoopObject *loop;
    CoreRoomObject *room;
    PyObject *app_protocol;
    PyObject *app_transport;
    PyObject *transport;
    PyObject *sslobj;
    PyObject *engine; /* what is in the SSLObject; NULL: asyncio moves data */
    PyObject *incoming;
    PyObject *outgoing;
    PyObject *phase;   /* asyncio's _state: an SSLProtocolState */
    PyObject *backlog; /* a list of bytes */
    PyObject *extra;
    Py_ssize_t write_buffer_size; /* of the backlog */
    struct core_ssl_limit limits[CORE_SSL_LIMITS];
    bool direct; /* the transport is a socket's of ours */
    bool app_protocol_is_buffer;
    bool app_protocol_feeds; /* it is asyncio's of streams */
    bool app_reading_paused;
    bool app_writing_paused;
    bool ssl_reading_paused;
    bool ssl_writing_paused;
} CoreSSLProtocolObject;

/*
 * asyncio's _do_read(): decrypts what there is and passes it on. 0, or -1 with
 * an exception that is no Exception; others end the connection.
 */
int core_ssl_read(CoreSSLProtocolObject *self);
/* transport.write() and _write_appdata(), likewise. */
int core_ssl_write(CoreSSLProtocolObject *self, PyObject *data);
int core_ssl_write_many(CoreSSLProtocolObject *self, PyObject *list);
/* _do_write(): the backlog; 0, or -1 with any exception. */
int core_ssl_write_backlog(CoreSSLProtocolObject *self);
/* _process_outgoing(): what is encrypted goes to the transport; likewise. */
int core_ssl_send(CoreSSLProtocolObject *self);
/* The SSLObject wants to read, or to write, first. */
#define CORE_SSL_AGAIN (-2)
/* A count that the SSLObject has answered (stolen), CORE_SSL_AGAIN, or -1 with
   an exception. */
Py_ssize_t core_ssl_count(CoreSSLProtocolObject *self, PyObject *answer);
/* As asyncio's except clause, which finds its exception in sys.exc_info(): the
   current one, if it is an Exception, ends the connection. 0, or -1 with the
   exception of that. */
int core_ssl_fail(CoreSSLProtocolObject *self);
/* Whether so many bytes cross a limit: then asyncio's code turns the flow. */
bool core_ssl_crosses(bool paused, Py_ssize_t size,
                      const struct core_ssl_limit *high,
                      const struct core_ssl_limit *low);
/* Bytes in a MemoryBIO, or -1. */
Py_ssize_t core_ssl_pending(CoreSSLProtocolObject *self, PyObject *bio);
/* What came from the network goes into the incoming BIO, and on from there as
   the connection's phase asks; 0, or -1 with any exception. */
int core_ssl_received(CoreSSLProtocolObject *self, char *at, Py_ssize_t size);
int core_ssl_resume_reading(CoreSSLProtocolObject *self);
/* Method `name` without arguments; 0 or -1. */
int core_ssl_call(CoreSSLProtocolObject *self, PyObject *name);
/* Method `name` of any object, with one argument; 0 or -1. */
int core_ssl_tell(PyObject *op, PyObject *name, PyObject *a);

/* Lends `size` bytes at `at`; the reference is borrowed. */
static inline PyObject *core_room_lend(CoreRoomObject *room, char *at,
                                       Py_ssize_t size, bool readonly)
{
    room->lent = at;
    room->size = size;
    room->readonly = readonly;
    return (PyObject *)room;
}

/* No one may come back to what was lent. */
static inline void core_room_take_back(CoreRoomObject *room)
{
    room->lent = NULL;
    room->size = 0;
}

static inline bool core_is_none(PyObject *op)
{
    return !op || Py_IsNone(op);
}

#endif
