/* SPDX-License-Identifier: MIT */
/*
 * The anchor of this build: what its structs look like
 */
#include "task/anchor.h"
#include "task/task.h"

#define FIELD(name, type, member)                                              \
    {                                                                          \
        name, offsetof(struct type, member),                                   \
            sizeof(((struct type *)NULL)->member)                              \
    }
#define WHOLE(name, type)                                                      \
    {                                                                          \
        name, 0, sizeof(struct type)                                           \
    }
#define REGISTER(name, member)                                                 \
    {                                                                          \
        name,                                                                  \
            ROTA__MACHINE_OFFSET(struct rota__task, context.machine, member),  \
            sizeof(void *)                                                     \
    }

ROTA__IN_SECTION(ROTA__ANCHOR_SECTION)
const struct rota__anchor rota__anchor = {
    .magic = ROTA__ANCHOR_MAGIC,
    .version = ROTA__ANCHOR_VERSION,
    .pointer_size = sizeof(void *),
    .self = &rota__anchor,
    .known = &rota__known_tasks,
    .detached = &rota__detached,
    .fields =
        {
            WHOLE("tasks", rota__tasks),
            FIELD("tasks.anchor", rota__tasks, anchor),
            FIELD("tasks.next_known", rota__tasks, next_known),
            FIELD("tasks.number", rota__tasks, number),
            FIELD("tasks.slots", rota__tasks, slots),
            FIELD("tasks.slot_count", rota__tasks, slot_count),
            FIELD("tasks.current", rota__tasks, current),
            FIELD("tasks.eager", rota__tasks, eager),
            WHOLE("task", rota__task),
            FIELD("task.link", rota__task, handle.link),
            REGISTER("task.sp", sp),
            REGISTER("task.ip", ip),
            REGISTER("task.fp", fp),
            FIELD("task.waiting", rota__task, waiting),
            FIELD("task.owner", rota__task, owner),
            FIELD("task.function", rota__task, function),
            FIELD("task.id", rota__task, id),
            FIELD("task.stack", rota__task, stack),
            FIELD("task.where", rota__task, where),
            FIELD("task.cancelling", rota__task, cancelling),
            FIELD("task.begun", rota__task, begun),
            FIELD("task.done", rota__task, done),
            FIELD("task.name", rota__task, name),
            FIELD("task.borrowers", rota__task, borrowers),
            FIELD("owner.task", rota__owner, task),
            FIELD("borrower.link", rota__borrower, handle.link),
            FIELD("borrower.task", rota__borrower, task),
            FIELD("eager.outer", rota__eager, outer),
            FIELD("eager.creator", rota__eager, creator),
            WHOLE("stack", rota__stack),
            FIELD("stack.low", rota__stack, low),
        },
};
