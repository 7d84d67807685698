/* SPDX-License-Identifier: MIT */
/*
 * Finding the anchor, and making a layout of what it says
 *
 * Each file that is mapped from its beginning is asked for its `.rota`. A
 * file that cannot be opened (a library that was replaced, and we are not
 * root) may have one too: then its writable pages are searched for the magic.
 */
#include "ps.h"
#include "../src/task/anchor.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    LARGEST = 65536, /* of the structs that we read */
    BLOCK = 65536,
    MAGIC = sizeof(ROTA__ANCHOR_MAGIC),
    HEAD = offsetof(struct rota__anchor, fields),
    ALIGNED = 8,
};

static const struct {
    const char *name;
    enum field whole; /* that it is inside of, or the same */
} fields[FIELDS] = {
    [TASKS] = {"tasks", TASKS},
    [TASKS_ANCHOR] = {"tasks.anchor", TASKS},
    [TASKS_NEXT_KNOWN] = {"tasks.next_known", TASKS},
    [TASKS_NUMBER] = {"tasks.number", TASKS},
    [TASKS_SLOTS] = {"tasks.slots", TASKS},
    [TASKS_SLOT_COUNT] = {"tasks.slot_count", TASKS},
    [TASKS_CURRENT] = {"tasks.current", TASKS},
    [TASKS_EAGER] = {"tasks.eager", TASKS},
    [TASK] = {"task", TASK},
    [TASK_LINK] = {"task.link", TASK},
    [TASK_SP] = {"task.sp", TASK},
    [TASK_IP] = {"task.ip", TASK},
    [TASK_FP] = {"task.fp", TASK},
    [TASK_WAITING] = {"task.waiting", TASK},
    [TASK_OWNER] = {"task.owner", TASK},
    [TASK_FUNCTION] = {"task.function", TASK},
    [TASK_ID] = {"task.id", TASK},
    [TASK_STACK] = {"task.stack", TASK},
    [TASK_WHERE] = {"task.where", TASK},
    [TASK_CANCELLING] = {"task.cancelling", TASK},
    [TASK_BEGUN] = {"task.begun", TASK},
    [TASK_DONE] = {"task.done", TASK},
    [TASK_NAME] = {"task.name", TASK},
    [TASK_BORROWERS] = {"task.borrowers", TASK},
    [OWNER_TASK] = {"owner.task", FIELDS},
    [BORROWER_LINK] = {"borrower.link", FIELDS},
    [BORROWER_TASK] = {"borrower.task", FIELDS},
    [EAGER_OUTER] = {"eager.outer", FIELDS},
    [EAGER_CREATOR] = {"eager.creator", FIELDS},
    [STACK_LOW] = {"stack.low", FIELDS},
};

static const struct rota__anchor_field *named(const struct rota__anchor *anchor,
                                              const char *name)
{
    for (size_t i = 0; i < ROTA__ANCHOR_FIELDS; i++)
        if (strncmp(anchor->fields[i].name, name,
                    sizeof anchor->fields[i].name) == 0)
            return &anchor->fields[i];
    return NULL;
}

static bool is_register(enum field field)
{
    return field == TASK_SP || field == TASK_IP || field == TASK_FP;
}

/* True if it can be read from a copy of what it is inside of. */
static bool fits(const struct layout *layout, enum field field)
{
    enum field whole = fields[field].whole;
    uint64_t end = (uint64_t)layout->offset[field] + layout->size[field];

    if (is_register(field) && layout->offset[field] == UINT32_MAX)
        return true;
    if (layout->size[field] == 0 || end > LARGEST)
        return false;
    return whole == FIELDS || end <= layout->size[whole];
}

static bool make_layout(struct layout *layout,
                        const struct rota__anchor *anchor)
{
    layout->known = (uintptr_t)anchor->known;
    layout->detached = (uintptr_t)anchor->detached;
    for (enum field i = 0; i < FIELDS; i++) {
        const struct rota__anchor_field *field = named(anchor, fields[i].name);

        if (!field)
            return false;
        layout->offset[i] = field->offset;
        layout->size[i] = field->size;
    }
    layout->has_registers = layout->offset[TASK_SP] != UINT32_MAX &&
                            layout->offset[TASK_IP] != UINT32_MAX &&
                            layout->offset[TASK_FP] != UINT32_MAX;
    for (enum field i = 0; i < FIELDS; i++)
        if (!fits(layout, i))
            return false;
    return true;
}

static bool is_known(const struct anchors *anchors, uint64_t at)
{
    for (size_t i = 0; i < anchors->count; i++)
        if (anchors->layouts[i].at == at)
            return true;
    return false;
}

static void add_layout(const struct process *process, uint64_t at,
                       struct anchors *out)
{
    struct layout *layout = &out->layouts[out->count];
    struct rota__anchor anchor;

    layout->at = at;
    if (process_read(process, at, &anchor, sizeof anchor) == 0 &&
        make_layout(layout, &anchor))
        out->count++;
    else
        out->version = ROTA__ANCHOR_VERSION;
}

/*
 * Another version may have a shorter table. A file that was only mapped to be
 * read has an anchor that does not know its own place.
 */
static int look_at(const struct process *process, uint64_t at,
                   struct anchors *out)
{
    struct rota__anchor head;
    int err = process_read(process, at, &head, HEAD);

    if (err < 0)
        return err == -EFAULT ? 0 : err;
    if (memcmp(head.magic, ROTA__ANCHOR_MAGIC, MAGIC) != 0)
        return 0;
    if (head.pointer_size != sizeof(void *))
        out->alien = true;
    else if ((uintptr_t)head.self != at || is_known(out, at) ||
             out->count == PS_MAX_ANCHORS)
        return 0;
    else if (head.version != ROTA__ANCHOR_VERSION)
        out->version = head.version;
    else
        add_layout(process, at, out);
    return 0;
}

static int search_block(const struct process *process, uint64_t at, size_t size,
                        struct anchors *out)
{
    static unsigned char block[BLOCK];
    int err = process_read(process, at, block, size);

    for (size_t i = 0; err == 0 && i + MAGIC <= size; i += ALIGNED)
        if (memcmp(block + i, ROTA__ANCHOR_MAGIC, MAGIC) == 0)
            err = look_at(process, at + i, out);
    return err == -EFAULT ? 0 : err;
}

/* Blocks overlap: the magic may stand where two of them meet. */
static int search(const struct process *process, const struct mapping *mapping,
                  struct anchors *out)
{
    uint64_t at = mapping->start;
    int err = 0;

    while (err == 0 && at < mapping->end) {
        size_t size = BLOCK;

        if (size > mapping->end - at)
            size = mapping->end - at;
        err = search_block(process, at, size, out);
        at += size == BLOCK ? BLOCK - MAGIC : size;
    }
    return err;
}

static int search_all_of(const struct process *process, const char *path,
                         struct anchors *out)
{
    int err = 0;

    for (size_t i = 0; err == 0 && i < process->count; i++)
        if (process->mappings[i].writable &&
            strcmp(process->mappings[i].path, path) == 0)
            err = search(process, &process->mappings[i], out);
    return err;
}

static int ask_file(const struct process *process,
                    const struct mapping *mapping, struct anchors *out)
{
    struct section section;
    int fd = process_open_file(process, mapping);
    int err;

    if (fd < 0) {
        out->unopened++;
        return search_all_of(process, mapping->path, out);
    }
    err = elf_find_section(fd, ROTA__ANCHOR_SECTION, &section);
    close(fd);
    if (err == -EXDEV)
        out->alien |= process_is_program(process, mapping->path);
    if (err < 0 || section.size < HEAD)
        return 0;
    return look_at(process, mapping->start + section.address, out);
}

int anchors_find(const struct process *process, struct anchors *out)
{
    int err = 0;

    memset(out, 0, sizeof(*out));
    for (size_t i = 0; err == 0 && i < process->count; i++)
        if (process->mappings[i].offset == 0)
            err = ask_file(process, &process->mappings[i], out);
    return err;
}
