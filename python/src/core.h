/* SPDX-License-Identifier: MIT */
/*
 * _core: what its files share
 *
 * The hot half of rota.Loop, in C on loop/ and transport/. The class in
 * rota/_loop.py derives from the Loop here first and from asyncio's own
 * SelectorEventLoop second: what is here replaces what is there, and what is
 * cold stays asyncio's, of the Python that runs.
 *
 *   - The GIL is the lock of the wait hooks. Whoever holds it finds the queues
 *     whole, on any thread, so that the garbage collector may visit them.
 *   - Whatever the loop must keep alive (a transport whose fd it watches, a
 *     reader) is a struct core_kept in its list, with a reference of the
 *     list's; the collector finds it there, and close() detaches it.
 *   - An error that must stop the loop (KeyboardInterrupt, SystemExit) breaks
 *     the turn, stays set as the current exception and comes out of the run.
 */
#ifndef ROTA_PYTHON_CORE_H
#define ROTA_PYTHON_CORE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include "loop/loop.h"
#include "transport/transport.h"

typedef struct core_state core_state;
typedef struct LoopObject LoopObject;
typedef struct HandleObject HandleObject;

/* --- The module ---------------------------------------------------------- */

#define CORE_FREE_HANDLES 1024
#define CORE_FEW_ARGS 3 /* handles with so many are kept to be used again */

/* Names that are looked up on hot paths, interned. */
#define CORE_NAMES(X)                                                          \
    X(context)                                                                 \
    X(loop)                                                                    \
    X(call_exception_handler)                                                  \
    X(connection_made)                                                         \
    X(connection_lost)                                                         \
    X(data_received)                                                           \
    X(eof_received)                                                            \
    X(get_buffer)                                                              \
    X(buffer_updated)                                                          \
    X(pause_writing)                                                           \
    X(resume_writing)                                                          \
    X(fileno)                                                                  \
    X(close)                                                                   \
    X(Task)                                                                    \
    X(Future)                                                                  \
    X(write)                                                                   \
    X(read)                                                                    \
    X(pending)                                                                 \
    X(pause_reading)                                                           \
    X(resume_reading)                                                          \
    X(is_closing)                                                              \
    X(get_extra_info)                                                          \
    X(call_soon)                                                               \
    X(_sslobj)                                                                 \
    X(_room)                                                                   \
    X(_fatal_error)                                                            \
    X(_force_close)                                                            \
    X(_do_handshake)                                                           \
    X(_do_flush)                                                               \
    X(_do_shutdown)                                                            \
    X(_do_read)                                                                \
    X(_start_shutdown)                                                         \
    X(_call_eof_received)                                                      \
    X(_slow_read)                                                              \
    X(_slow_write)                                                             \
    X(_late_write)                                                             \
    X(_turn_reading)                                                           \
    X(_turn_writing)                                                           \
    X(_resume)                                                                 \
    X(_get_running_loop)                                                       \
    X(_set_running_loop)                                                       \
    X(left)                                                                    \
    X(_handle_signal)                                                          \
    X(_source_traceback)                                                       \
    X(Handle)                                                                  \
    X(TimerHandle)                                                             \
    X(_ThreadSafeHandle)                                                       \
    X(_asyncio_future_blocking)                                                \
    X(_transports)                                                             \
    X(accept)                                                                  \
    X(create_future)                                                           \
    X(data)                                                                    \
    X(datagram_received)                                                       \
    X(done)                                                                    \
    X(error_received)                                                          \
    X(recv)                                                                    \
    X(recv_into)                                                               \
    X(recvfrom)                                                                \
    X(recvfrom_into)                                                           \
    X(result)                                                                  \
    X(send)                                                                    \
    X(sendto)                                                                  \
    X(set_result)                                                              \
    X(setblocking)                                                             \
    X(feed_data)                                                               \
    X(_eof)                                                                    \
    X(_stream_reader_wr)                                                       \
    X(_buffer)                                                                 \
    X(_waiter)                                                                 \
    X(_limit)                                                                  \
    X(cancelled)                                                               \
    X(connect)                                                                 \
    X(getaddrinfo)                                                             \
    X(gettimeout)                                                              \
    X(run_in_executor)                                                         \
    X(_executor_shutdown_called)                                               \
    X(sock_connect)                                                            \
    X(socket)                                                                  \
    X(name)                                                                    \
    X(eager_start)

struct core_state {
    /* The objects, first to last. */
    PyObject *handle_type;
    PyObject *timer_handle_type;
    PyObject *loop_type;
    PyObject *ready_type;
    PyObject *step_type;
    PyObject *socket_transport_type;
    PyObject *pipe_reader_type;
    PyObject *pipe_writer_type;
    PyObject *child_type;
    PyObject *sock_call_type;
    PyObject *datagram_transport_type;
    PyObject *ssl_protocol_type; /* or NULL: see transport.h */
    PyObject *ssl_transport_type;
    PyObject *ssl_room_type; /* from here on: see ssl_protocol.h */
    PyObject *ssl_object_type;
    PyObject *ssl_again;
    PyObject *ssl_do_handshake;
    PyObject *ssl_wrapped;
    PyObject *ssl_flushing;
    PyObject *ssl_shutdown;
    PyObject *ssl_asks_below;    /* whether is_closing() asks the transport */
    PyObject *buffered_protocol; /* asyncio's BufferedProtocol */
    PyObject *breathe;       /* from here on they go when the module is cleared:
                                a function in Python that does nothing */
    PyObject *support;       /* rota._support's dict: see core_support() */
    PyObject *tasks;         /* asyncio.tasks' dict: Task is looked up late */
    PyObject *futures;       /* asyncio.futures' dict, likewise Future */
    PyObject *events;        /* asyncio.events', with the running loop */
    PyObject *extract_stack; /* from here on they stay again */
    PyObject *socket_class;  /* what sockets of Python's derive from */
    PyObject *socket_family; /* of that, the descriptors */
    PyObject *socket_kind;
    PyObject *socket_proto;
    PyObject *socket_connect;
    PyObject *families[2];  /* AF_INET, AF_INET6 as the module has them */
    PyObject *kinds[3];     /* SOCK_STREAM, SOCK_DGRAM, SOCK_RAW */
    PyObject *getaddrinfo;  /* the module's */
    PyObject *sockets;      /* the module socket */
    PyObject *base_events;  /* asyncio.base_events', which has it too */
    PyObject *plain_socket; /* socket.socket */
    PyObject *stream_protocol_type; /* asyncio's */
    PyObject *stream_reader_type;
    PyObject *feed_data;     /* its method, as it was */
    PyObject *data_received; /* the protocol's */
    PyObject *loop_names;    /* ("loop",) */
#define CORE_NAME(name) PyObject *str_##name;
    CORE_NAMES(CORE_NAME)
#undef CORE_NAME
    PyObject *context_names; /* a ("context",) that was given, see below */
    PyObject *last;
    /* Not objects. */
    HandleObject *free_handles[2]; /* Handles, TimerHandles */
    int free_count[2];
};

extern struct PyModuleDef core_module_def;

/* A function of rota/_support.py, borrowed; NULL with an exception. */
PyObject *core_support(core_state *state, const char *name);
/* The same method as asyncio's own code has it, in _support; of a vectorcall.
 */
PyObject *core_asyncios(LoopObject *self, const char *name,
                        PyObject *const *args, Py_ssize_t count,
                        PyObject *names);
/* From one of the dicts, because tools put their own in their place. */
PyObject *core_late(PyObject *dict, PyObject *name);
core_state *core_state_of(PyTypeObject *type);
/* Makes one table of several, each with an empty end; idempotent. There is room
   for so many in `out`, and the last one is its end. */
void core_join_methods(PyMethodDef *out, size_t room,
                       const PyMethodDef *const *parts, size_t count);

/* The types, made by their files. */
extern PyType_Spec core_handle_spec;
extern PyType_Spec core_timer_handle_spec;
PyType_Spec *core_make_loop_spec(void);
extern PyType_Spec core_ready_spec;
extern PyType_Spec core_step_spec;
extern PyType_Spec core_child_spec;

/* --- Errors -------------------------------------------------------------- */

/* Raises what a function of rota's returned, as what asyncio would; NULL. */
PyObject *core_raise(int err);
/* The same, as a new exception; NULL with an exception if there is none. */
PyObject *core_exception(int err);
/* The current exception, or NULL; none is current then. And back, stolen. */
PyObject *core_take_exception(void);
void core_give_exception(PyObject *value);
/*
 * The current exception goes to the loop's exception handler, with a message
 * and up to two more entries (NULL ends them); or, if it must, ends the run.
 * None is current afterwards, unless the run ends.
 */
void core_report(LoopObject *loop, const char *message, const char *key,
                 PyObject *value, const char *key2, PyObject *value2);
/* The current exception is KeyboardInterrupt or SystemExit. */
bool core_is_fatal(void);
/* True if the current exception is such. It is none then, and ends the run. */
bool core_stop_if_fatal(LoopObject *loop);
/* Python code between these two finds `exception` in sys.exc_info(), as in an
   `except` clause. Begin gives what end must be given. */
PyObject *core_handling_begin(PyObject *exception);
void core_handling_end(PyObject *before);
/* Nobody can catch the current exception: sys.unraisablehook gets it, or it
   ends the run. */
void core_unraisable(LoopObject *loop, PyObject *where);

/* --- The loop ------------------------------------------------------------ */

/* Kept alive by the loop; detach() lets go of whatever hangs on it. */
struct core_kept {
    struct rota__link link;
    PyObject *owner;  /* that it is embedded in, borrowed */
    PyObject *object; /* the same while it is kept: the list's reference */
    void (*detach)(PyObject *object); /* the loop closes */
};

struct LoopObject {
    PyObject_HEAD rota_loop *loop;
    PyObject *module;
    core_state *state; /* the module's */
    bool debug;
    bool closed;
    PyObject *fatal; /* an exception that ends the run, or NULL */
    unsigned turns;
    unsigned long thread_id; /* that runs it, as threading.get_ident(); or 0 */
    PyThreadState *thread;   /* while the GIL is let go */
    struct rota__link kept;
    struct rota__link popped;    /* see ready.c */
    struct core_gather *gathers; /* to lend: see socket_transport.h */
    int gather_count;
    struct rota__link dirty;  /* transports with writes to send: core_flush() */
    struct rota__link late;   /* handles that the next turn runs last */
    bool gathering;           /* callbacks run: a flush follows */
    struct rota__link places; /* see sock_place.c */
    PyObject *readers;        /* fd: Handle */
    PyObject *writers;
    PyObject *task_factory;
    PyObject *current_handle;
    struct core_gate *gates; /* of threads that wait for callbacks' ends */
    double slow_callback;
    PyObject *weakrefs;
};

/* The Loop if it is open; NULL with "Event loop is closed". */
LoopObject *core_open_loop(PyObject *op);
/* False with an exception: debug mode, and another thread runs the loop. */
bool core_check_thread(LoopObject *self);
void core_keep(LoopObject *self, struct core_kept *kept, PyObject *object,
               void (*detach)(PyObject *));
/* Ends that; the reference goes. Harmless for one that is not kept. */
void core_let_go(struct core_kept *kept);
/* loop.call_soon(callable, arg) from C, in the current context; 0 or -1. */
int core_call_soon(LoopObject *self, PyObject *callable, PyObject *arg);
/* The same in `context`, unless that is NULL. */
int core_call_soon_in(LoopObject *self, PyObject *context, PyObject *callable,
                      PyObject *arg);
/* Runs in the next turn, behind all that callbacks of this one schedule. */
void core_ready_late(LoopObject *self, struct rota__handle *handle);

/* Methods, by file. */
extern PyMethodDef core_schedule_methods[];
extern PyMethodDef core_run_methods[];
extern PyMethodDef core_ready_methods[];
extern PyMethodDef core_reader_methods[];
extern PyMethodDef core_sock_methods[];
extern PyMethodDef core_connect_methods[];
extern PyMethodDef core_names_methods[];
extern PyMethodDef core_datagram_methods[];
extern PyMethodDef core_child_methods[];
extern PyMethodDef core_fork_methods[];

/* --- Running (run.c) ----------------------------------------------------- */

/* Sends what the transports have gathered in this turn. */
void core_flush(LoopObject *self);
void core_free_gathers(LoopObject *self);
/* True if an exception is to end the run: that is the current one then. */
bool core_failed(LoopObject *self);
/* None; or NULL with such an exception, or with the one that is current. */
PyObject *core_result(LoopObject *self);
/* One turn; 0, or -1 with an exception that ends the run. */
int core_turn(LoopObject *self);
/* Calls around the callback of a C-only handle: debug mode's clock. */
int64_t core_step_begin(LoopObject *self);
void core_step_end(LoopObject *self, int64_t began, PyObject *who);
/*
 * Enters the context that a callback of ours belongs in; or a copy of it while
 * it is entered already, by a callback that runs the loop. What was entered,
 * for core_leave_context(), or NULL with an exception. An exception that is
 * current when it is left stays so.
 */
PyObject *core_enter_context(PyObject *context);
void core_leave_context(PyObject *entered);
void core_release_gil(void *arg);
void core_take_gil(void *arg);

/* What waits for this fd waits for ever, as in asyncio; 0 or -1. */
int core_take_place(LoopObject *self, int fd);

/* --- sock_* (sock.c, sock_call.c) ----------------------------------------- */

/* What fileno() of a socket says; -1 may be an exception. */
int core_fd_of_socket(core_state *state, PyObject *sock);
/* What state->socket_kind or one of its like says of it; or -1. */
long core_number_of_socket(PyObject *descriptor, PyObject *sock);
/* The address family of one that derives from _socket.socket, else -1. */
int core_family_of_socket(core_state *state, PyObject *sock);
/* 0, or -1 with an exception: a transport that is open has this fd. */
int core_check_fd_is_free(LoopObject *self, int fd);
int core_check_file_is_free(LoopObject *self, PyObject *file);
/* True if a sock_* call waited there: it waits for ever now. */
bool core_sock_forget(LoopObject *self, int fd, bool writing);
void core_sock_places_free(LoopObject *self);
extern PyType_Spec core_sock_call_spec;
/* Whether asyncio.base_events sees the socket module that is known here. */
bool core_sees_plain_sockets(core_state *state);
/* Whether an attribute is this very object, and so what it was at first. */
bool core_is_still(PyObject *owner, PyObject *name, PyObject *object);
/* Closes it; what that raises is current then, before what was. */
void core_close_too(core_state *state, PyObject *thing);
/* A coroutine that gives this at once. */
PyObject *core_answer(LoopObject *self, PyObject *result);
/* The datagram transport that has this fd, borrowed, or NULL. */
PyObject *core_datagram_at(LoopObject *self, int fd);
PyType_Spec *core_make_datagram_spec(void);

/* --- Handles (handle.c) -------------------------------------------------- */

/*
 * A Handle is one object: its place in the queue, its callback, its arguments.
 * A queue owns a reference. While the loop runs, which makes it no garbage,
 * those in its queue are hidden from the collector; the loop shows what those
 * hold that nobody else has.
 */
struct HandleObject {
    PyObject_VAR_HEAD struct rota__timer
        timer; /* its handle alone, if it is no timer */
    double when;
    LoopObject *loop;
    PyObject *callback; /* NULL: cancelled */
    PyObject *context;
    PyObject *source_traceback; /* NULL but in debug mode */
    PyObject *repr;             /* what it was when it was cancelled, debug */
    PyObject *weakrefs;
    HandleObject *next_free;
    bool is_timer;
    bool few;    /* of those that are kept to be used again */
    bool queued; /* in the ready queue or armed: that owns a reference */
    bool cancelled;
    bool running;
    bool shared;     /* by call_soon_threadsafe() of Python 3.14 and later */
    bool awaited;    /* by a gate of another thread's */
    PyObject *spare; /* for a bound method's self while it is called */
    PyObject *args[];
};

static inline HandleObject *core_handle_of(struct rota__handle *queued)
{
    return rota__container_of(queued, HandleObject, timer.handle);
}

/* A handle for args[0](*args[1:]); `context` NULL: a copy of the current. */
HandleObject *core_handle_new(LoopObject *loop, bool timer, PyObject *context,
                              PyObject *const *args, Py_ssize_t count);
/* Runs one that is in no queue. */
void core_handle_call(LoopObject *loop, HandleObject *handle);
/* What loop/ calls for one that is in a queue, or was until now. */
void core_handle_run(struct rota__handle *queued);
void core_handle_drop(struct rota__handle *queued);
/* One that somebody has kept becomes the collector's. */
void core_handle_show(HandleObject *handle);
/* What handle->cancel() does. */
int core_handle_cancel(HandleObject *self);
/* For the collector: what a queued handle holds. */
int core_handle_visit(HandleObject *self, visitproc visit, void *arg);
void core_free_handles(core_state *state);

/* --- Addresses (address.c) ----------------------------------------------- */

/* Families that are written and read here; others by the socket object. */
bool core_address_known(int family);
/* As the socket module has it: a tuple, a str or bytes, or None. */
PyObject *core_address_object(const rota_address *address);
/* Only if no name must be resolved; false without an exception otherwise. */
bool core_address_parse(PyObject *object, int family, rota_address *out);

/* Fills `out`, which holds what is not given; borrowed. False with an
   exception. `known` ends with NULL; the first `needed` must be given. */
bool core_parse_args(const char *function, const char *const *known, int needed,
                     PyObject *const *args, Py_ssize_t count, PyObject *names,
                     PyObject **out);

#define CORE_ANY(function) (PyCFunction)(void (*)(void))(function)

#endif
