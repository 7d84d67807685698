/* SPDX-License-Identifier: MIT */
/*
 * The other process: its memory, its mappings, its files
 *
 * The memory is read by process_vm_readv(), which neither stops the process
 * nor shows in it, and which the kernel allows to whom it would allow to
 * attach a debugger.
 */
#define _GNU_SOURCE
#include "ps.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { PAGE = 4096 }; /* the smallest there is */

static void add_mapping(struct process *process, struct mapping mapping)
{
    process->mappings = memory_grow(process->mappings, process->count,
                                    sizeof(*process->mappings));
    process->mappings[process->count++] = mapping;
}

/* A line is "START-END MODE OFFSET DEVICE INODE  PATH". */
static void take_line(struct process *process, char *line)
{
    struct mapping mapping;
    char mode[5];
    int path = 0;

    if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %*s %*s %n",
               &mapping.start, &mapping.end, mode, &mapping.offset,
               &path) < 4 ||
        line[path] != '/')
        return;
    line[strcspn(line, "\n")] = '\0';
    mapping.writable = mode[1] == 'w';
    mapping.path = memory_copy(line + path);
    add_mapping(process, mapping);
}

int process_open(struct process *process, pid_t pid)
{
    char path[64];
    char *line = NULL;
    size_t size = 0;
    int err = 0;
    FILE *maps;

    *process = (struct process){.pid = pid};
    snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
    maps = fopen(path, "re");
    if (!maps)
        return -errno;
    errno = 0;
    while (getline(&line, &size, maps) > 0)
        take_line(process, line);
    if (ferror(maps))
        err = -errno;
    free(line);
    fclose(maps);
    return err;
}

void process_close(struct process *process)
{
    for (size_t i = 0; i < process->count; i++)
        free((char *)process->mappings[i].path);
    free(process->mappings);
}

int process_read(const struct process *process, uint64_t at, void *out,
                 size_t size)
{
    struct iovec here = {out, size};
    struct iovec there = {(void *)(uintptr_t)at, size};
    ssize_t n = process_vm_readv(process->pid, &here, 1, &there, 1, 0);

    if (n < 0)
        return -errno;
    return (size_t)n == size ? 0 : -EFAULT;
}

/* The next page may not be there: to its beginning, and then beyond. */
void process_read_text(const struct process *process, uint64_t at, char *out,
                       size_t size)
{
    size_t first = PAGE - at % PAGE;
    size_t room = size - 1;

    memset(out, 0, size);
    if (first > room)
        first = room;
    if (at == 0 || process_read(process, at, out, first) < 0)
        snprintf(out, size, "?");
    else if (!memchr(out, '\0', first) && first < room)
        (void)process_read(process, at + first, out + first, room - first);
    text_clean(out);
}

/* No C1 control, longer form than needed, surrogate, or number too big. */
static bool is_in_range(unsigned char first, unsigned char second)
{
    switch (first) {
    case 0xc2:
    case 0xe0:
        return second >= 0xa0;
    case 0xed:
        return second < 0xa0;
    case 0xf0:
        return second >= 0x90;
    case 0xf4:
        return second < 0x90;
    default:
        return true;
    }
}

/* How many bytes a well-formed character has that is fit to print, or 0. */
static size_t character(const unsigned char *text)
{
    size_t size = text[0] < 0x80   ? 1
                  : text[0] < 0xc2 ? 0
                  : text[0] < 0xe0 ? 2
                  : text[0] < 0xf0 ? 3
                  : text[0] < 0xf5 ? 4
                                   : 0;

    if (size == 1)
        return text[0] >= ' ' && text[0] != 0x7f;
    for (size_t i = 1; i < size; i++)
        if (text[i] < 0x80 || text[i] > 0xbf)
            return 0;
    return is_in_range(text[0], text[1]) ? size : 0;
}

void text_clean(char *text)
{
    while (*text) {
        size_t size = character((const unsigned char *)text);

        if (size == 0)
            *text = '?';
        text += size ? size : 1;
    }
}

/* A name may stand for a device or a pipe by now: those stay closed. */
static int open_regular(const char *path)
{
    char again[64];
    struct stat about;
    int err = 0;
    int fd;
    int place = open(path, O_PATH | O_CLOEXEC);

    if (place < 0)
        return -errno;
    if (fstat(place, &about) < 0)
        err = -errno;
    else if (!S_ISREG(about.st_mode))
        err = -EACCES;
    snprintf(again, sizeof again, "/proc/self/fd/%d", place);
    fd = err < 0 ? err : open(again, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && err == 0)
        fd = -errno;
    close(place);
    return fd;
}

bool process_is_program(const struct process *process, const char *path)
{
    char link[64];
    char program[PAGE];
    ssize_t size;

    snprintf(link, sizeof link, "/proc/%d/exe", (int)process->pid);
    size = readlink(link, program, sizeof program - 1);
    program[size > 0 ? size : 0] = '\0';
    return strcmp(program, path) == 0;
}

/*
 * By the mapping it is the very file, but few may; by its name it is found
 * unless it is gone, and in the process's own root; the program always is.
 */
int process_open_file(const struct process *process,
                      const struct mapping *mapping)
{
    char path[PAGE + 64];
    int pid = (int)process->pid;
    int fd;

    snprintf(path, sizeof path, "/proc/%d/map_files/%" PRIx64 "-%" PRIx64, pid,
             mapping->start, mapping->end);
    fd = open_regular(path);
    if (fd < 0 && process_is_program(process, mapping->path)) {
        snprintf(path, sizeof path, "/proc/%d/exe", pid);
        fd = open_regular(path);
    }
    if (fd < 0) {
        snprintf(path, sizeof path, "/proc/%d/root%s", pid, mapping->path);
        fd = open_regular(path);
    }
    return fd;
}

const struct mapping *process_find_file(const struct process *process,
                                        const char *path)
{
    for (size_t i = 0; i < process->count; i++)
        if (strcmp(process->mappings[i].path, path) == 0)
            return &process->mappings[i];
    return NULL;
}
