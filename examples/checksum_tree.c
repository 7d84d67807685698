/* SPDX-License-Identifier: MIT */
/*
 * The checksum of each file in a folder tree: `checksum_tree FOLDER`
 *
 * The task reads the folders, and waits for each; then all files are given to
 * a pool of threads at once, which read them and compute. It prints what
 * `cksum` prints, in the order of the names: sum, size, name.
 */
#include <dirent.h>
#include <rota.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct entry {
    char *path;
    int64_t size;
    uint32_t sum;
    int error;
};

struct list {
    struct entry *entries;
    size_t count;
};

static struct list folders;
static struct list files; /* a thread may have one when amain() was cancelled */
static bool any_failed;

static void complain(const char *path, intptr_t error)
{
    fprintf(stderr, "checksum_tree: %s: %s\n", path, rota_strerror(error));
    any_failed = true;
}

/* --- The threads: files to sums ------------------------------------------- */

static uint32_t table[256];

static void make_table(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        table[i] = i << 24;
        for (int bit = 0; bit < 8; bit++)
            table[i] = table[i] << 1 ^ (table[i] >> 31) * 0x04C11DB7U;
    }
}

static uint32_t add(uint32_t sum, const unsigned char *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        sum = sum << 8 ^ table[sum >> 24 ^ data[i]];
    return sum;
}

/* POSIX's: after the data comes their size, its lowest byte first. */
static uint32_t finish(uint32_t sum, int64_t size)
{
    for (; size > 0; size >>= 8) {
        const unsigned char byte = (unsigned char)size;

        sum = add(sum, &byte, 1);
    }
    return ~sum;
}

static intptr_t checksum(void *arg)
{
    struct entry *entry = arg;
    unsigned char data[32768];
    FILE *file = fopen(entry->path, "rb");
    size_t n;

    if (!file) {
        entry->error = -errno;
        return 0;
    }
    while ((n = fread(data, 1, sizeof data, file)) > 0) {
        entry->sum = add(entry->sum, data, n);
        entry->size += (int64_t)n;
    }
    if (ferror(file))
        entry->error = -errno;
    entry->sum = finish(entry->sum, entry->size);
    fclose(file);
    return 0;
}

/* --- The task: a tree to a list of files ---------------------------------- */

static int append(struct list *list, char *path)
{
    size_t size = (list->count + 1) * sizeof *list->entries;
    struct entry *entries = path ? realloc(list->entries, size) : NULL;

    if (!entries) {
        free(path);
        return -ENOMEM;
    }
    list->entries = entries;
    entries[list->count++] = (struct entry){.path = path};
    return 0;
}

static char *join(const char *folder, const char *name)
{
    size_t size = strlen(folder) + strlen(name) + 2;
    char *path = malloc(size);

    if (path)
        snprintf(path, size, "%s/%s", folder, name);
    return path;
}

/* What is neither a file nor a folder is left out. */
static int list_folder(const char *path)
{
    rota_directory found;
    int err = rota_readdir(path, &found);

    if (err < 0)
        return err;
    for (size_t i = 0; err == 0 && i < found.count; i++) {
        const rota_directory_entry *entry = &found.entries[i];

        if (entry->type == DT_DIR)
            err = append(&folders, join(path, entry->name));
        else if (entry->type == DT_REG)
            err = append(&files, join(path, entry->name));
    }
    rota_directory_fini(&found);
    return err;
}

/* The list grows while it is walked. */
static int list_folders(void)
{
    for (size_t i = 0; i < folders.count; i++) {
        int err = list_folder(folders.entries[i].path);

        if (err == -ECANCELED || err == -ENOMEM)
            return err;
        if (err < 0)
            complain(folders.entries[i].path, err);
    }
    return 0;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct entry *)a)->path,
                  ((const struct entry *)b)->path);
}

static void print_sums(void)
{
    for (size_t i = 0; i < files.count; i++) {
        const struct entry *file = &files.entries[i];

        if (file->error < 0)
            complain(file->path, file->error);
        else
            printf("%lu %lld %s\n", (unsigned long)file->sum,
                   (long long)file->size, file->path);
    }
}

static intptr_t amain(void *folder)
{
    int err = append(&folders, strdup(folder));

    if (err == 0)
        err = list_folders();
    if (err < 0 || files.count == 0)
        return err;
    qsort(files.entries, files.count, sizeof *files.entries, by_path);
    err = rota_executor_map(NULL, checksum, files.entries, files.count,
                            sizeof *files.entries, 0, NULL);
    if (err == 0)
        print_sums();
    return err;
}

static void clear(struct list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->entries[i].path);
    free(list->entries);
}

int main(int argc, char **argv)
{
    intptr_t err;

    if (argc != 2) {
        fprintf(stderr, "usage: checksum_tree FOLDER\n");
        return 2;
    }
    make_table();
    err = rota_run(amain, argv[1]);
    clear(&folders);
    clear(&files);
    if (err < 0)
        fprintf(stderr, "checksum_tree: %s\n", rota_strerror(err));
    return err < 0 || any_failed;
}
