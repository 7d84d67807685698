/* SPDX-License-Identifier: MIT */
/*
 * The stack of a task, while it stands still
 *
 * A back-trace can only be made on the stack that it is of. So the task is
 * resumed for a moment: it notes the addresses in the asker's memory, and
 * goes back to standing where it stood.
 */
#include "task/task.h"
#include <stdio.h>

#define ROOM_TO_UNWIND 8192   /* of stack: about four times what it takes */
#define BELOW_THE_POINTER 256 /* which a function may use without moving it */

struct trace_question {
    struct rota__question question;
    struct rota__trace *trace;
};

static void note_trace(struct rota__question *question)
{
    struct rota__trace *trace =
        rota__container_of(question, struct trace_question, question)->trace;

    trace->count = rota__backtrace(trace->pcs, rota__countof(trace->pcs));
}

static bool has_room(const struct rota__task *task)
{
    uintptr_t at = rota__context_stack(&task->context);

    return at == 0 || at - (uintptr_t)task->stack->low > ROOM_TO_UNWIND;
}

/*
 * What the trace has used of the stack does not count; but the task stands
 * where it answered now, with its last words below the stack pointer.
 */
static void ask(struct rota__task *task, struct trace_question *asked)
{
    char *low = task->stack->low;
    char *unused = low;
    char *top;

    if (task->painted)
        unused = (char *)task - rota__stack_used(low, task);
    rota__task_ask(task, &asked->question);
    top = (char *)rota__context_stack(&task->context) - BELOW_THE_POINTER;
    rota__stack_paint(low, unused < top ? unused : top);
}

/*
 * The first trace of a process looks up the unwinder's functions, which takes
 * more of a stack than the trace itself: that is done on the asker's.
 */
void rota__task_trace(struct rota__task *task, struct rota__trace *trace)
{
    struct trace_question asked = {{note_trace, NULL, NULL}, trace};

    if (task == rota__current()) {
        trace->count = rota__backtrace(trace->pcs, rota__countof(trace->pcs));
        return;
    }
    (void)rota__backtrace(trace->pcs, 1);
    trace->count = 0;
    if (task->begun && !task->done && has_room(task))
        ask(task, &asked);
}

/* What stands between the wait itself and the trace is of no interest. */
static bool is_ours(const char *name)
{
    static const char *const inner[] = {
        "rota__backtrace",  "note_trace",  "answer",
        "must_cancel",      "woken",       "rota__park",
        "rota__park_in",    "rota__yield", "rota__task_begin",
        "rota__task_trace", "print_node",  "print_from",
        "print_all",        "print_tasks", "rota__queue_wait",
    };
    size_t length = strcspn(name, "+.");

    for (size_t i = 0; i < rota__countof(inner); i++)
        if (strlen(inner[i]) == length && strncmp(name, inner[i], length) == 0)
            return true;
    return false;
}

static bool is_entry(const char *name)
{
    return strncmp(name, "task_main+", 10) == 0;
}

void rota__trace_print(const struct rota__trace *trace, const char *indent,
                       FILE *out)
{
    char name[160];
    bool inside = true;

    for (size_t i = 0; i < trace->count; i++) {
        rota__name_address(trace->pcs[i], name, sizeof name);
        inside = inside && is_ours(name);
        if (is_entry(name))
            return;
        if (!inside)
            fprintf(out, "%s    at %s\n", indent, name);
    }
    if (trace->count == rota__countof(trace->pcs))
        fprintf(out, "%s    ...\n", indent);
}

int rota_task_print_stack(rota_task handle, FILE *out)
{
    struct rota__task *task;
    struct rota__trace trace;
    int err = rota__task_find(handle, &task);

    if (err < 0)
        return err;
    rota__task_trace(task, &trace);
    fprintf(out, "Stack of %s (%s):\n", rota__task_name(task), task->where);
    rota__trace_print(&trace, "", out);
    return 0;
}
