/* SPDX-License-Identifier: MIT */
/*
 * Reading a folder
 *
 * Entries and names grow in a buffer each while the system lists them, and go
 * into one block at the end. Until then an entry's name is an offset.
 */
#define _GNU_SOURCE
#include "os/os.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>

#define LOOK_EVERY 256 /* entries: whether it is still wanted */

struct listing {
    DIR *folder;
    struct rota__buffer entries; /* of struct rota_directory_entry */
    struct rota__buffer names;
    size_t count;
};

static unsigned char type_of_mode(mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFREG:
        return DT_REG;
    case S_IFDIR:
        return DT_DIR;
    case S_IFLNK:
        return DT_LNK;
    case S_IFIFO:
        return DT_FIFO;
    case S_IFSOCK:
        return DT_SOCK;
    case S_IFCHR:
        return DT_CHR;
    case S_IFBLK:
        return DT_BLK;
    default:
        return DT_UNKNOWN;
    }
}

/* A file that has gone meanwhile stays unknown. */
static unsigned char type_of(DIR *folder, const struct dirent *found)
{
    struct stat status;

    if (found->d_type != DT_UNKNOWN ||
        fstatat(dirfd(folder), found->d_name, &status, AT_SYMLINK_NOFOLLOW) < 0)
        return found->d_type;
    return type_of_mode(status.st_mode);
}

static bool is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static int add(struct listing *listing, const struct dirent *found)
{
    rota_directory_entry entry = {
        .name = (const char *)(uintptr_t)rota__buffer_size(&listing->names),
        .inode = found->d_ino,
        .type = type_of(listing->folder, found),
    };
    int err = rota__buffer_append(&listing->names, found->d_name,
                                  strlen(found->d_name) + 1);

    if (err == 0)
        err = rota__buffer_append(&listing->entries, &entry, sizeof entry);
    if (err == 0)
        listing->count++;
    return err;
}

static int list(struct listing *listing, atomic_bool *stop)
{
    int err = 0;

    while (err == 0) {
        const struct dirent *found;

        errno = 0;
        found = readdir(listing->folder);
        if (!found)
            return -errno;
        if (!is_dots(found->d_name))
            err = add(listing, found);
        if (listing->count % LOOK_EVERY == 0 && atomic_load(stop))
            err = -ECANCELED;
    }
    return err;
}

static int by_name(const void *a, const void *b)
{
    const rota_directory_entry *left = a;
    const rota_directory_entry *right = b;

    return strcmp(left->name, right->name);
}

static int pack(const struct listing *listing, rota_directory_entry **out)
{
    size_t entries = listing->count * sizeof(rota_directory_entry);
    size_t names = rota__buffer_size(&listing->names);
    rota_directory_entry *block = rota__alloc(entries + names + 1);
    char *texts = (char *)block + entries;

    if (!block)
        return -ENOMEM;
    if (listing->count > 0) {
        memcpy(block, rota__buffer_data(&listing->entries), entries);
        memcpy(texts, rota__buffer_data(&listing->names), names);
    }
    for (size_t i = 0; i < listing->count; i++)
        block[i].name = texts + (uintptr_t)block[i].name;
    if (listing->count > 0)
        qsort(block, listing->count, sizeof *block, by_name);
    *out = block;
    return 0;
}

intptr_t rota__path_readdir(const char *path, rota_directory_entry **out,
                            atomic_bool *stop)
{
    struct listing listing = {.folder = opendir(path)};
    int err;

    if (!listing.folder)
        return -errno;
    rota__buffer_init(&listing.entries);
    rota__buffer_init(&listing.names);
    err = list(&listing, stop);
    if (err == 0)
        err = pack(&listing, out);
    rota__buffer_fini(&listing.names);
    rota__buffer_fini(&listing.entries);
    (void)closedir(listing.folder);
    return err < 0 ? err : (intptr_t)listing.count;
}
