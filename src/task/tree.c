/* SPDX-License-Identifier: MIT */
/*
 * The tree of tasks: who waits for whom
 *
 * A task stands below the one that waits for its end: its awaiter, the task
 * that gathers it or whose group it is in, or else one that looks on (shield,
 * wait). The nodes stand in the order of the slots, so that a parent is found
 * without a search; a walk follows them with parent pointers, because a chain
 * may be longer than a stack is deep. Tasks that wait for each other in a ring
 * have no root: the ring is cut open at one of them.
 */
#include "task/task.h"
#include <stdio.h>
#include <stdlib.h>

#define DEEPEST_INDENT 40

struct node {
    struct rota__task *task; /* NULL: a free slot */
    struct node *parent;
    struct node *first_child;
    struct node *next; /* of the same parent, in order of making */
    bool printed;
    bool visited;
};

struct tree {
    struct node *nodes;
    struct node **order; /* by age */
    size_t count;
    FILE *out;
};

static struct rota__task *parent_of(const struct rota__task *task)
{
    struct rota__link *first = task->borrowers.next;
    const struct rota__borrower *borrower;

    if (task->owner && task->owner->task)
        return task->owner->task;
    if (first == &task->borrowers)
        return NULL;
    borrower =
        rota__container_of(rota__container_of(first, struct rota__handle, link),
                           struct rota__borrower, handle);
    if (!borrower->task || borrower->task->id != borrower->task_id)
        return NULL;
    return borrower->task;
}

static int by_age(const void *a, const void *b)
{
    const struct node *const *x = a;
    const struct node *const *y = b;

    return ((*x)->task->id > (*y)->task->id) -
           ((*x)->task->id < (*y)->task->id);
}

static void list_tasks(struct tree *tree, const struct rota__tasks *tasks)
{
    for (size_t i = 0; i < tasks->slot_count; i++) {
        tree->nodes[i] = (struct node){0};
        if (tasks->slots[i]->id == 0)
            continue;
        tree->nodes[i].task = tasks->slots[i];
        tree->order[tree->count++] = &tree->nodes[i];
    }
    qsort(tree->order, tree->count, sizeof(struct node *), by_age);
}

/* From the youngest, each in front of the others. */
static void join_parents(struct tree *tree)
{
    for (size_t i = tree->count; i-- > 0;) {
        struct node *node = tree->order[i];
        const struct rota__task *parent = parent_of(node->task);

        if (!parent || parent->id == 0)
            continue;
        node->parent = &tree->nodes[parent->stack->slot];
        node->next = node->parent->first_child;
        node->parent->first_child = node;
    }
}

/* It has begun another one at once, and goes on when that one waits. */
static bool stands_still(const struct rota__task *task)
{
    const struct rota__eager *eager = task->loop->tasks->eager;

    while (eager && eager->creator != task)
        eager = eager->outer;
    return eager != NULL;
}

static const char *state_of(const struct rota__task *task)
{
    if (task->done)
        return "done";
    if (task == rota__current())
        return "running";
    if (task->waiting)
        return "waits";
    if (!task->begun)
        return "new";
    return stands_still(task) ? "begins another" : "ready";
}

static void print_stack_use(const struct rota__task *task, FILE *out)
{
    if (task->painted)
        fprintf(out, ", %zu of %zu bytes of stack used",
                rota__stack_used(task->stack->low, task), task->stack->size);
}

static void print_node(struct tree *tree, struct node *node, size_t depth)
{
    struct rota__trace trace;
    struct rota__task *task = node->task;
    char indent[2 * DEEPEST_INDENT + 1];
    size_t shown = depth < DEEPEST_INDENT ? depth : DEEPEST_INDENT;

    memset(indent, ' ', 2 * shown);
    indent[2 * shown] = '\0';
    node->printed = true;
    fprintf(tree->out, "%s%s (%s) %s", indent, rota__task_name(task),
            task->where, state_of(task));
    if (task->owner == &rota__detached)
        fputs(", detached", tree->out);
    if (task->cancelling > 0 && !task->done)
        fputs(", being cancelled", tree->out);
    print_stack_use(task, tree->out);
    fputc('\n', tree->out);
    rota__task_trace(task, &trace);
    rota__trace_print(&trace, indent, tree->out);
}

static void print_from(struct tree *tree, struct node *root)
{
    struct node *node = root;
    size_t depth = 0;

    while (node) {
        print_node(tree, node, depth);
        if (node->first_child) {
            node = node->first_child;
            depth++;
            continue;
        }
        while (node != root && !node->next) {
            node = node->parent;
            depth--;
        }
        node = node == root ? NULL : node->next;
    }
}

/* Upwards from a node without a root: one of the ring, now a root itself. */
static struct node *cut_ring(struct node *node)
{
    struct node **at;

    while (!node->visited) {
        node->visited = true;
        node = node->parent;
    }
    at = &node->parent->first_child;
    while (*at != node)
        at = &(*at)->next;
    *at = node->next;
    return node;
}

static void print_all(struct tree *tree)
{
    for (size_t i = 0; i < tree->count; i++)
        if (!tree->order[i]->parent)
            print_from(tree, tree->order[i]);
    for (size_t i = 0; i < tree->count; i++)
        if (!tree->order[i]->printed)
            print_from(tree, cut_ring(tree->order[i]));
}

static int print_tasks(const struct rota__tasks *tasks, FILE *out)
{
    struct tree tree = {.out = out};
    int err = -ENOMEM;

    tree.nodes = rota__alloc(tasks->slot_count * sizeof(*tree.nodes));
    tree.order = rota__alloc(tasks->slot_count * sizeof(struct node *));
    if (tree.nodes && tree.order) {
        list_tasks(&tree, tasks);
        join_parents(&tree);
        print_all(&tree);
        err = 0;
    }
    rota__free(tree.order);
    rota__free(tree.nodes);
    return err;
}

int rota_print_tasks(rota_loop *loop, FILE *out)
{
    int err = rota__check(loop, "rota_print_tasks");

    if (err < 0 || !loop->tasks || loop->tasks->slot_count == 0)
        return err;
    return print_tasks(loop->tasks, out);
}
