/* SPDX-License-Identifier: MIT */
/*
 * What all the C peers share: the files that they read, and their children
 *
 * All is in TMPDIR, or in /tmp, and gone when the program ends well.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "peer.h"

static char folder[PEER_PATH / 2];

static void in_tmpdir(char *path, size_t size)
{
    const char *tmpdir = getenv("TMPDIR");

    snprintf(path, size, "%s/bench.XXXXXX", tmpdir == NULL ? "/tmp" : tmpdir);
}

static void fill(int fd, size_t size)
{
    char *bytes = peer_alloc((long)size, 1);

    memset(bytes, 'r', size);
    peer_check(write(fd, bytes, size) == (ssize_t)size, "cannot write a file");
    free(bytes);
}

int peer_file(void)
{
    char path[PEER_PATH];
    int fd;

    in_tmpdir(path, sizeof path);
    fd = mkstemp(path);
    peer_check(fd >= 0, "cannot make a file");
    unlink(path);
    fill(fd, (size_t)PEER_PAGES * PEER_PAGE);
    return fd;
}

void peer_files_path(char path[PEER_PATH], long i)
{
    snprintf(path, PEER_PATH, "%s/%03ld", folder, i % PEER_FILES);
}

void peer_files_make(void)
{
    char path[PEER_PATH];

    in_tmpdir(folder, sizeof folder);
    peer_check(mkdtemp(folder) != NULL, "cannot make a folder");
    for (long i = 0; i < PEER_FILES; i++) {
        FILE *file;

        peer_files_path(path, i);
        file = fopen(path, "w");
        peer_check(file != NULL, "cannot make a file");
        fill(fileno(file), PEER_FILE_SIZE);
        fclose(file);
    }
}

void peer_files_remove(void)
{
    char path[PEER_PATH];

    for (long i = 0; i < PEER_FILES; i++) {
        peer_files_path(path, i);
        unlink(path);
    }
    rmdir(folder);
}

/* --- Children ------------------------------------------------------------ */

static char *child(const char *command)
{
    const char *before = getenv("BENCH_CHILD");
    char *line = NULL;
    int length =
        asprintf(&line, "exec %s %s", before == NULL ? "" : before, command);

    peer_check(length > 0, "out of memory");
    return line;
}

char *peer_child_that_writes(long bytes)
{
    char command[PEER_PATH];

    snprintf(command, sizeof command,
             "dd if=/dev/zero bs=%d count=%ld status=none", PEER_CHUNK,
             bytes / PEER_CHUNK);
    return child(command);
}

char *peer_child_that_reads(void)
{
    return child("cat >/dev/null");
}

char *peer_child_that_passes_on(void)
{
    return child("cat");
}
