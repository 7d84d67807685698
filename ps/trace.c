/* SPDX-License-Identifier: MIT */
/*
 * Back-traces of parked tasks, by libdw
 *
 * libdw is told that the process has one thread, which stands where the task
 * does: three registers, the copy of its stack, and the process's own memory
 * for the rest. It unwinds by the tables in the process's files. An address
 * is kept less one, as that of the call, so that it is in the right line.
 */
#include "trace.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* DWARF's numbers for the stack pointer and the frame pointer. */
#if defined(__x86_64__)
enum { SP = 7, FP = 6, KNOWN = 1 };
#elif defined(__aarch64__)
enum { SP = 31, FP = 29, KNOWN = 1 };
#else
enum { SP = 0, FP = 0, KNOWN = 0 };
#endif

enum {
    THREAD = 1,
    ENTRY = 2, /* frames below the task's function: every task has them */
};

/* The process whose files are looked for; libdw passes nothing of ours. */
static const struct process *looked_into;

static bool is_deleted(const char *name)
{
    const char *space = strrchr(name, ' ');

    return space && strcmp(space, " (deleted)") == 0;
}

/*
 * The very file that is mapped. Where there is none, the vdso above all, libdw
 * reads the process's memory; a name it would look up in our own root.
 */
static int find_elf(Dwfl_Module *module, void **userdata, const char *name,
                    Dwarf_Addr base, char **file_name, Elf **elf)
{
    const struct mapping *mapping = process_find_file(looked_into, name);
    int fd = mapping ? process_open_file(looked_into, mapping) : -ENOENT;

    if (fd >= 0) {
        *file_name = memory_copy(name);
        return fd;
    }
    if (name[0] == '/' && !is_deleted(name))
        return -1;
    return dwfl_linux_proc_find_elf(module, userdata, name, base, file_name,
                                    elf);
}

static pid_t next_thread(Dwfl *dwfl, void *tracer, void **thread)
{
    (void)dwfl;
    if (*thread)
        return 0;
    *thread = tracer;
    return THREAD;
}

static bool get_thread(Dwfl *dwfl, pid_t tid, void *tracer, void **thread)
{
    (void)dwfl;
    *thread = tracer;
    return tid == THREAD;
}

static bool set_registers(Dwfl_Thread *thread, void *arg)
{
    const struct tracer *tracer = arg;
    Dwarf_Word sp = tracer->registers->sp;
    Dwarf_Word fp = tracer->registers->fp;

    if (!dwfl_thread_state_registers(thread, SP, 1, &sp) ||
        !dwfl_thread_state_registers(thread, FP, 1, &fp))
        return false;
    dwfl_thread_state_register_pc(thread, tracer->registers->ip);
    return true;
}

static bool read_memory(Dwfl *dwfl, Dwarf_Addr at, Dwarf_Word *result,
                        void *arg)
{
    const struct tracer *tracer = arg;
    const struct stack_copy *stack = tracer->stack;

    (void)dwfl;
    if (at >= stack->at && at - stack->at < stack->size &&
        stack->size - (at - stack->at) >= sizeof(*result)) {
        memcpy(result, stack->bytes + (at - stack->at), sizeof(*result));
        return true;
    }
    return process_read(tracer->process, at, result, sizeof(*result)) == 0;
}

/* Attaching wants to know the processor, and skips files that are gone. */
static int take_elf(Dwfl_Module *module, void **userdata, const char *name,
                    Dwarf_Addr base, void *arg)
{
    Dwarf_Addr bias;

    (void)userdata;
    (void)name;
    (void)base;
    *(Elf **)arg = dwfl_module_getelf(module, &bias);
    return *(Elf **)arg ? DWARF_CB_ABORT : DWARF_CB_OK;
}

static bool attach(struct tracer *tracer)
{
    static const Dwfl_Thread_Callbacks callbacks = {
        .next_thread = next_thread,
        .get_thread = get_thread,
        .memory_read = read_memory,
        .set_initial_registers = set_registers,
    };
    Elf *elf = NULL;

    if (dwfl_linux_proc_report(tracer->dwfl, tracer->process->pid) != 0 ||
        dwfl_report_end(tracer->dwfl, NULL, NULL) != 0)
        return false;
    (void)dwfl_getmodules(tracer->dwfl, take_elf, &elf, 0);
    return elf && dwfl_attach_state(tracer->dwfl, elf, tracer->process->pid,
                                    &callbacks, tracer);
}

const char *tracer_missing(void)
{
    return KNOWN ? dwfl_errmsg(-1) : "not on this processor";
}

/* What is on this machine must do: nobody waits for a server here. */
struct tracer *tracer_open(const struct process *process)
{
    struct tracer *tracer = memory_get(sizeof *tracer);

    unsetenv("DEBUGINFOD_URLS");
    looked_into = process;
    tracer->process = process;
    tracer->callbacks.find_elf = find_elf;
    tracer->callbacks.find_debuginfo = dwfl_standard_find_debuginfo;
    tracer->callbacks.debuginfo_path = &tracer->debuginfo_path;
    tracer->dwfl = KNOWN ? dwfl_begin(&tracer->callbacks) : NULL;
    if (tracer->dwfl && attach(tracer))
        return tracer;
    tracer_close(tracer);
    return NULL;
}

static void free_places(struct table *places)
{
    for (size_t i = 0; i < places->capacity; i++) {
        struct place *place = places->values[i];

        if (place)
            free(place->lines);
        free(place);
    }
    table_free(places);
}

void tracer_close(struct tracer *tracer)
{
    if (!tracer)
        return;
    dwfl_end(tracer->dwfl);
    free_places(&tracer->places);
    free_places(&tracer->functions);
    free(tracer);
}

static int take_frame(Dwfl_Frame *frame, void *arg)
{
    struct trace *trace = arg;
    Dwarf_Addr pc;
    bool activation;

    if (!dwfl_frame_pc(frame, &pc, &activation))
        return DWARF_CB_ABORT;
    if (trace->count == PS_MAX_FRAMES) {
        trace->longer = true;
        return DWARF_CB_ABORT;
    }
    trace->pcs[trace->count++] = pc - 1;
    return DWARF_CB_OK;
}

/*
 * How many frames at the top are rota's own affair. In a stripped library
 * some have no name: these go only before the call that the program made.
 */
static uint32_t frames_inside(struct tracer *tracer, const struct trace *trace)
{
    uint32_t private = 0;
    bool sure = true;

    for (uint32_t i = 0; i < trace->count; i++) {
        const struct place *place = tracer_place(tracer, trace->pcs[i], true);

        if (place->is_public)
            return i;
        if (place->is_named && !place->is_private)
            return private;
        sure = sure && place->is_private;
        private += sure;
    }
    return 0;
}

void tracer_walk(struct tracer *tracer, const struct registers *registers,
                 const struct stack_copy *stack, struct trace *out)
{
    uint32_t inside;
    int result;

    *out = (struct trace){0};
    tracer->registers = registers;
    tracer->stack = stack;
    result = dwfl_getthread_frames(tracer->dwfl, THREAD, take_frame, out);
    out->broken = result != 0 && !out->longer;
    if (result == 0 && out->count > ENTRY)
        out->count -= ENTRY;
    inside = frames_inside(tracer, out);
    out->count -= inside;
    memmove(out->pcs, out->pcs + inside, out->count * sizeof(*out->pcs));
}
