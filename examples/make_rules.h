/* SPDX-License-Identifier: MIT */
/*
 * What is made of what, and how: the rules of make_runner
 *
 *     # a comment
 *     target: need need
 *     <tab>command of the shell
 *     <tab>another
 */
#ifndef EXAMPLES_MAKE_RULES_H
#define EXAMPLES_MAKE_RULES_H

#include <rota.h>
#include <time.h>

/* A file that is made, or of which others are; or only a name for several. */
struct goal {
    struct goal *next;
    struct goal *then; /* the next to be made; its needs come before */
    char *name;
    struct goal **needs;
    size_t need_count;
    char **commands;
    size_t command_count;
    bool has_rule;
    enum { UNSEEN, BEGUN, SEEN } visit;

    rota_event made;
    struct timespec made_at; /* when the file was last written */
    bool exists;
    bool changed; /* in this run */
};

struct rules {
    struct goal *goals;
    struct goal *first; /* is made when none is named */
    struct goal *latest;
    struct goal *order; /* what is to be made */
    struct goal **order_end;
    struct goal *circle; /* where the one began that is being told */
};

/*
 * Reads them before there is a loop, because this blocks. 0, or -1 after a
 * complaint. Free them in both cases.
 */
int rules_read(struct rules *rules, const char *path);
void rules_free(struct rules *rules);

/*
 * Adds to the order what is to be made for `name` (NULL: the first target),
 * each after its needs. 0, or -1 after a complaint: nothing of that name, a
 * circle.
 */
int rules_add(struct rules *rules, const char *name);

#endif
