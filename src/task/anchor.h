/* SPDX-License-Identifier: MIT */
/*
 * The anchor: by which tools outside of the process find its tasks
 *
 * A constant in an ELF section of its own, `.rota`, and in the shared library
 * also a dynamic symbol, `rota__anchor`: so it is found in a stripped program
 * too. It says where the tasks are and how their structs are laid out, by
 * name, so that a tool needs no debug information and can read a program that
 * was built with another version of rota. rota-ps and the gdb commands do.
 *
 * What may change without a new version: offsets, sizes, fields that are
 * added. A new version is due when a field goes or means something else.
 * Nothing but standard headers here: the tools include it.
 */
#ifndef ROTA_TASK_ANCHOR_H
#define ROTA_TASK_ANCHOR_H

#include <stdint.h>

#define ROTA__ANCHOR_SECTION ".rota"
#define ROTA__ANCHOR_MAGIC "rota's anchor\r\n" /* 16 bytes with its zero */
#define ROTA__ANCHOR_VERSION 1
#define ROTA__ANCHOR_FIELDS 48

/* The end of the table has no name; an unknown offset is UINT32_MAX. */
struct rota__anchor_field {
    char name[24];
    uint32_t offset;
    uint32_t size;
};

struct rota__anchor {
    char magic[16];
    uint32_t version;
    uint32_t pointer_size;
    const struct rota__anchor *self;  /* or it is only a copy of the file */
    struct rota__tasks *const *known; /* the list of all loops with tasks */
    const struct rota__owner *detached;
    struct rota__anchor_field fields[ROTA__ANCHOR_FIELDS];
};

extern const struct rota__anchor rota__anchor;

#endif
