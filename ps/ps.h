/* SPDX-License-Identifier: MIT */
/*
 * rota-ps: the tree of tasks of a process, read from outside
 *
 *     main      options, messages, exit statuses
 *     process   the other process: its memory, its mappings, its files
 *     elf       where a file has the section `.rota`
 *     anchor    the anchor in memory: where the tasks are, and their layout
 *     loops     loops and their tables of tasks
 *     tasks     one task, copied with care
 *     trace     back-traces of parked tasks (or no_trace: built without libdw)
 *     describe  what an address is called
 *     tree      who waits for whom, and printing it
 *
 * The process runs on while it is read, and it may be broken: whatever comes
 * from it is copied once, checked, and never followed further than it could
 * reach. Results are 0 or -errno where nothing else is said. No memory ends
 * the program.
 */
#ifndef PS_PS_H
#define PS_PS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

enum {
    PS_MAX_ANCHORS = 16,
    PS_MAX_LOOPS = 4096,
    PS_MAX_FRAMES = 64,
    PS_STACK_COPY = 1 << 20, /* what is beyond is read when it is needed */
};

/* Memory that is there, or the program ends; grow: for one item more. */
void *memory_get(size_t size);
void *memory_grow(void *array, size_t count, size_t item);
void *memory_resize(void *memory, size_t size);
char *memory_copy(const char *text);
FILE *memory_file(char **text, size_t *size);

/* Table: from numbers other than 0 to pointers; a pointer once put stays. */
struct table {
    uint64_t *keys;
    void **values;
    size_t count;
    size_t capacity;
};

void *table_get(const struct table *table, uint64_t key);
void table_put(struct table *table, uint64_t key, void *value);
void table_free(struct table *table);

/* Process */
struct mapping {
    uint64_t start;
    uint64_t end;
    uint64_t offset;
    bool writable;
    const char *path;
};

struct process {
    pid_t pid;
    struct mapping *mappings; /* those of files */
    size_t count;
};

/* -ENOENT or -ESRCH: there is none; -EACCES or -EPERM: it may not be read. */
int process_open(struct process *process, pid_t pid);
void process_close(struct process *process);
/* All of it or an error. */
int process_read(const struct process *process, uint64_t at, void *out,
                 size_t size);
/* A text of up to `size` - 1 bytes, cut if longer; "?" if unreadable. */
void process_read_text(const struct process *process, uint64_t at, char *out,
                       size_t size);
/* What stands for what a terminal must not get. */
void text_clean(char *text);
/* The file itself, also one that was deleted or is another root's; -errno. */
int process_open_file(const struct process *process,
                      const struct mapping *mapping);
/* True for the path of the program that it runs. */
bool process_is_program(const struct process *process, const char *path);
/* The first mapping of a file, or NULL. */
const struct mapping *process_find_file(const struct process *process,
                                        const char *path);

/* ELF: the section in a file, when it is one for this very processor. */
struct section {
    uint64_t address; /* from where the file's first byte is mapped */
    uint64_t size;
};

/* -ENOENT: it has none; -ENOEXEC: no ELF file; -EXDEV: another's. */
int elf_find_section(int fd, const char *name, struct section *out);

/* Anchor */
enum field {
    TASKS,
    TASKS_ANCHOR,
    TASKS_NEXT_KNOWN,
    TASKS_NUMBER,
    TASKS_SLOTS,
    TASKS_SLOT_COUNT,
    TASKS_CURRENT,
    TASKS_EAGER,
    TASK,
    TASK_LINK,
    TASK_SP,
    TASK_IP,
    TASK_FP,
    TASK_WAITING,
    TASK_OWNER,
    TASK_FUNCTION,
    TASK_ID,
    TASK_STACK,
    TASK_WHERE,
    TASK_CANCELLING,
    TASK_BEGUN,
    TASK_DONE,
    TASK_NAME,
    TASK_BORROWERS,
    OWNER_TASK,
    BORROWER_LINK,
    BORROWER_TASK,
    EAGER_OUTER,
    EAGER_CREATOR,
    STACK_LOW,
    FIELDS
};

struct layout {
    uint64_t at; /* the anchor itself */
    uint64_t known;
    uint64_t detached;
    bool has_registers;
    uint32_t offset[FIELDS];
    uint32_t size[FIELDS];
};

struct anchors {
    struct layout layouts[PS_MAX_ANCHORS];
    size_t count;
    size_t unopened;  /* files that could not be looked into */
    uint32_t version; /* of one that we do not know, or 0 */
    bool alien;       /* it is of another processor or pointer size */
};

/* 0, also when there is none, or why the process cannot be read. */
int anchors_find(const struct process *process, struct anchors *out);

/* Trace */
struct registers {
    uint64_t sp;
    uint64_t ip;
    uint64_t fp;
};

/* What was copied of a stack, from sp on. */
struct stack_copy {
    uint64_t at;
    size_t size;
    const unsigned char *bytes;
};

struct trace {
    uint32_t count;
    bool broken; /* it goes on, but could not be followed */
    bool longer; /* than there was room for */
    uint64_t pcs[PS_MAX_FRAMES];
};

struct tracer;

/* Says why there are no back-traces, or NULL if they are to be had. */
const char *tracer_missing(void);
/* NULL if it cannot be. */
struct tracer *tracer_open(const struct process *process);
void tracer_close(struct tracer *tracer);
void tracer_walk(struct tracer *tracer, const struct registers *registers,
                 const struct stack_copy *stack, struct trace *out);
/*
 * The lines for an address, each ended by '\n'; they stay the tracer's. Of a
 * call it is one before where that returns to, else a function's.
 */
const char *tracer_describe(struct tracer *tracer, uint64_t pc, bool is_call);

/* Tasks */
enum state { NEW, READY, RUNNING, BEGINS, WAITS, DONE };

struct task {
    uint64_t address;
    uint64_t id;
    uint64_t function;
    uint64_t waiter; /* the address of the task that waits for it, or 0 */
    enum state state;
    bool detached;
    bool cancelling;
    bool broken;
    bool longer;
    uint32_t frames;
    uint64_t *pcs;
    const char *where;
    char name[64];
    /* the tree's own */
    struct task *parent;
    struct task *first;
    struct task *next;
    struct task *ring; /* that waits for it, and closes a ring */
    uint64_t walk;
};

struct loop {
    uint64_t number;
    struct task *tasks; /* by id */
    size_t count;
};

struct loops {
    struct loop *loops;
    size_t count;
    size_t task_count;
    struct table texts; /* `where`, by address */
    bool torn;          /* they changed too fast to see all */
};

/* What it takes to read the tasks of a loop. */
struct reader {
    const struct process *process;
    const struct layout *layout;
    struct tracer *tracer; /* or NULL */
    struct loops *loops;
    uint64_t tasks;       /* of the loop that is read */
    unsigned char *one;   /* a copy of a task's struct */
    unsigned char *other; /* the same a moment later */
    unsigned char *stack;
};

/* A field of a copy, and a pointer in the other process, or 0. */
uint64_t reader_get(const struct reader *reader, const unsigned char *copy,
                    enum field field);
uint64_t reader_pointer(const struct reader *reader, uint64_t at);
/* False if there is no task. */
bool reader_task(const struct reader *reader, uint64_t at, struct task *task);

/* Adds the loops of one anchor. */
void loops_read(struct loops *loops, const struct process *process,
                const struct layout *layout, struct tracer *tracer);
void loops_free(struct loops *loops);

/* Tree: prints a loop's tasks. */
void tree_print(struct loop *loop, struct tracer *tracer);

#endif
