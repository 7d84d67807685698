/* SPDX-License-Identifier: MIT */
/*
 * The module: its types, and what it knows of asyncio
 *
 * What is looked up once is in the module's state. What tools replace at run
 * time (asyncio.tasks.Task, asyncio.futures.Future) is looked up in its
 * module's dict when it is needed.
 */
#include "transport.h"
#include <pthread.h>

core_state *core_state_of(PyTypeObject *type)
{
    PyObject *module = PyType_GetModuleByDef(type, &core_module_def);

    return module ? PyModule_GetState(module) : NULL;
}

PyObject *core_support(core_state *state, const char *name)
{
    PyObject *module, *found;

    if (!state->support) {
        module = PyImport_ImportModule("rota._support");
        if (!module)
            return NULL;
        state->support = Py_NewRef(PyModule_GetDict(module));
        Py_DECREF(module);
    }
    found = PyDict_GetItemString(state->support, name);
    if (!found)
        PyErr_Format(PyExc_SystemError, "rota._support has no %s", name);
    return found;
}

/* Once: each interpreter asks, and with locks of their own two at a time. */
void core_join_methods(PyMethodDef *out, size_t room,
                       const PyMethodDef *const *parts, size_t count)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    bool done;

    pthread_mutex_lock(&lock);
    done = out->ml_name != NULL;
    for (size_t i = 0; i < count && !done; i++)
        for (const PyMethodDef *at = parts[i]; at->ml_name; at++) {
            if (--room == 0)
                Py_FatalError("a table of methods is too small");
            *out++ = *at;
        }
    pthread_mutex_unlock(&lock);
}

/* An attribute of a module, or with NULL its dict. */
static PyObject *from_module(const char *module_name, const char *name)
{
    PyObject *module = PyImport_ImportModule(module_name);
    PyObject *found;

    if (!module)
        return NULL;
    found = name ? PyObject_GetAttrString(module, name)
                 : Py_NewRef(PyModule_GetDict(module));
    Py_DECREF(module);
    return found;
}

static int look_up(core_state *state)
{
    const struct {
        PyObject **into;
        const char *module;
        const char *name;
    } wanted[] = {
        {&state->tasks, "asyncio.tasks", NULL},
        {&state->futures, "asyncio.futures", NULL},
        {&state->events, "asyncio.events", NULL},
        {&state->socket_class, "_socket", "socket"},
        {&state->plain_socket, "socket", "socket"},
        {&state->base_events, "asyncio.base_events", NULL},
        {&state->families[0], "socket", "AF_INET"},
        {&state->families[1], "socket", "AF_INET6"},
        {&state->kinds[0], "socket", "SOCK_STREAM"},
        {&state->kinds[1], "socket", "SOCK_DGRAM"},
        {&state->kinds[2], "socket", "SOCK_RAW"},
        {&state->getaddrinfo, "socket", "getaddrinfo"},
        {&state->buffered_protocol, "asyncio.protocols", "BufferedProtocol"},
        {&state->stream_protocol_type, "asyncio.streams",
         "StreamReaderProtocol"},
        {&state->stream_reader_type, "asyncio.streams", "StreamReader"},
        {&state->extract_stack, "asyncio.format_helpers", "extract_stack"},
    };

    for (size_t i = 0; i < rota__countof(wanted); i++) {
        *wanted[i].into = from_module(wanted[i].module, wanted[i].name);
        if (!*wanted[i].into)
            return -1;
    }
    state->sockets = PyImport_ImportModule("socket");
    return state->sockets ? 0 : -1;
}

/* Of the class in C, whose subclass has properties and methods over them. */
static int look_up_descriptors(core_state *state)
{
    const struct {
        PyObject **into;
        const char *name;
    } wanted[] = {
        {&state->socket_family, "family"},
        {&state->socket_kind, "type"},
        {&state->socket_proto, "proto"},
        {&state->socket_connect, "connect"},
    };

    for (size_t i = 0; i < rota__countof(wanted); i++) {
        *wanted[i].into =
            PyObject_GetAttrString(state->socket_class, wanted[i].name);
        if (!*wanted[i].into)
            return -1;
    }
    return 0;
}

static int intern_names(core_state *state)
{
#define CORE_NAME(name)                                                        \
    state->str_##name = PyUnicode_InternFromString(#name);                     \
    if (!state->str_##name)                                                    \
        return -1;
    CORE_NAMES(CORE_NAME)
#undef CORE_NAME
    state->loop_names = PyTuple_Pack(1, state->str_loop);
    return state->loop_names ? 0 : -1;
}

/* asyncio's class has slots, where our structs have them. */
static PyObject *transport_base(const char *name, size_t slots)
{
    PyObject *base = from_module("asyncio.transports", name);
    size_t size = sizeof(PyObject) + slots * sizeof(PyObject *);

    if (base && ((PyTypeObject *)base)->tp_basicsize != (Py_ssize_t)size) {
        Py_CLEAR(base);
        PyErr_SetString(PyExc_ImportError,
                        "rota does not know the transports of this asyncio");
    }
    return base;
}

struct type {
    PyObject **into;
    PyType_Spec *spec;
    const char *base; /* of asyncio.transports, or NULL */
    size_t slots;     /* that it has */
    const char *also; /* a second base, without slots of its own */
};

static int make_type(PyObject *module, const struct type *type)
{
    PyObject *base = NULL, *also;

    if (type->base) {
        base = transport_base(type->base, type->slots);
        if (!base)
            return -1;
    }
    if (type->also) {
        also = from_module("asyncio.transports", type->also);
        Py_SETREF(base, also ? PyTuple_Pack(2, base, also) : NULL);
        Py_XDECREF(also);
        if (!base)
            return -1;
    }
    *type->into = PyType_FromModuleAndSpec(module, type->spec, base);
    Py_XDECREF(base);
    if (!*type->into)
        return -1;
    return PyModule_AddType(module, (PyTypeObject *)*type->into);
}

static int make_types(PyObject *module, core_state *state)
{
    const struct type types[] = {
        {&state->handle_type, &core_handle_spec, NULL, 0, NULL},
        {&state->timer_handle_type, &core_timer_handle_spec, NULL, 0, NULL},
        {&state->loop_type, core_make_loop_spec(), NULL, 0, NULL},
        {&state->ready_type, &core_ready_spec, NULL, 0, NULL},
        {&state->step_type, &core_step_spec, NULL, 0, NULL},
        {&state->socket_transport_type, core_make_socket_spec(),
         "_FlowControlMixin", 5, NULL},
        {&state->ssl_room_type, &core_ssl_room_spec, NULL, 0, NULL},
        {&state->ssl_protocol_type, &core_ssl_protocol_spec, NULL, 0, NULL},
        {&state->ssl_transport_type, &core_ssl_transport_spec,
         "_FlowControlMixin", 5, NULL},
        {&state->pipe_reader_type, core_make_pipe_spec(false), "ReadTransport",
         1, NULL},
        {&state->pipe_writer_type, core_make_pipe_spec(true),
         "_FlowControlMixin", 5, NULL},
        {&state->child_type, &core_child_spec, NULL, 0, NULL},
        {&state->sock_call_type, &core_sock_call_spec, NULL, 0, NULL},
        {&state->datagram_transport_type, core_make_datagram_spec(),
         "Transport", 1, "DatagramTransport"},
    };

    for (size_t i = 0; i < rota__countof(types); i++)
        if (make_type(module, &types[i]) < 0)
            return -1;
    return 0;
}

static int module_exec(PyObject *module)
{
    core_state *state = PyModule_GetState(module);
    PyObject *globals = PyModule_GetDict(module);

    state->breathe =
        PyRun_String("lambda: None", Py_eval_input, globals, globals);
    if (!state->breathe || intern_names(state) < 0 || look_up(state) < 0 ||
        look_up_descriptors(state) < 0)
        return -1;
    state->feed_data =
        PyObject_GetAttr(state->stream_reader_type, state->str_feed_data);
    state->data_received =
        PyObject_GetAttr(state->stream_protocol_type, state->str_data_received);
    if (!state->feed_data || !state->data_received ||
        make_types(module, state) < 0)
        return -1;
    return core_support(state, "create_task") ? 0 : -1; /* while it can be */
}

static int module_traverse(PyObject *module, visitproc visit, void *arg)
{
    core_state *state = PyModule_GetState(module);

    for (PyObject **at = &state->handle_type; at < &state->last; at++)
        Py_VISIT(*at);
    return 0;
}

static void clear(PyObject **from, PyObject **end)
{
    for (; from < end; from++)
        Py_CLEAR(*from);
}

/*
 * What a late destructor may still need stays: types, names, builtins. Each
 * loop has a reference to the module. The types' own to it end in their clear.
 */
static int module_clear(PyObject *module)
{
    core_state *state = PyModule_GetState(module);

    core_free_handles(state);
    clear(&state->breathe, &state->extract_stack);
    return 0;
}

static void module_free(void *module)
{
    core_state *state = PyModule_GetState(module);

    if (!state)
        return;
    core_free_handles(state);
    clear(&state->handle_type, &state->last);
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, module_exec},
#ifdef Py_mod_multiple_interpreters
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
#ifdef Py_mod_gil /* in a free-threaded build, importing us turns it on */
    {Py_mod_gil, Py_MOD_GIL_USED},
#endif
    {0},
};

struct PyModuleDef core_module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "rota._core",
    .m_doc = "The hot half of rota.Loop, in C.",
    .m_size = sizeof(core_state),
    .m_slots = module_slots,
    .m_traverse = module_traverse,
    .m_clear = module_clear,
    .m_free = module_free,
};

PyMODINIT_FUNC PyInit__core(void);
PyMODINIT_FUNC PyInit__core(void)
{
    return PyModuleDef_Init(&core_module_def);
}
