/* SPDX-License-Identifier: MIT */
/*
 * Where an ELF file has a section
 *
 * Section headers outlive strip. Nothing in the file is trusted: what it says
 * of its own sizes is read where it should be, or not at all.
 */
#define _GNU_SOURCE
#include "ps.h"
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST_SECTIONS = 65535, MOST_SEGMENTS = 1024 };

static int read_at(int fd, void *out, size_t size, uint64_t at)
{
    ssize_t n = pread(fd, out, size, (off_t)at);

    if (n < 0)
        return -errno;
    return (size_t)n == size ? 0 : -ENOEXEC;
}

/* Of a file of our own kind: one compiler made this program and that. */
static int check_kind(const ElfW(Ehdr) * header)
{
    ElfW(Ehdr) own;
    int fd;
    int err;

    if (memcmp(header->e_ident, ELFMAG, SELFMAG) != 0)
        return -ENOEXEC;
    fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    err = read_at(fd, &own, sizeof own, 0);
    close(fd);
    if (err == 0 && (own.e_ident[EI_CLASS] != header->e_ident[EI_CLASS] ||
                     own.e_ident[EI_DATA] != header->e_ident[EI_DATA] ||
                     own.e_machine != header->e_machine))
        err = -EXDEV;
    return err;
}

/* The address that the file's first byte would have. */
static int find_base(int fd, const ElfW(Ehdr) * header, uint64_t *base)
{
    ElfW(Phdr) segment;

    for (unsigned i = 0; i < header->e_phnum && i < MOST_SEGMENTS; i++) {
        int err = read_at(fd, &segment, sizeof segment,
                          header->e_phoff + i * sizeof segment);

        if (err < 0)
            return err;
        if (segment.p_type == PT_LOAD) {
            *base = segment.p_vaddr - segment.p_offset;
            return 0;
        }
    }
    return -ENOEXEC;
}

static bool has_name(int fd, uint64_t at, const char *name)
{
    char found[32];
    size_t size = strlen(name) + 1;

    return size <= sizeof found && read_at(fd, found, size, at) == 0 &&
           memcmp(found, name, size) == 0;
}

/* Big files keep the two counts in the first section header. */
static int read_sections(int fd, const ElfW(Ehdr) * header,
                         ElfW(Shdr) * *sections, size_t *count, size_t *names)
{
    ElfW(Shdr) first;
    int err;

    if (header->e_shoff == 0 || header->e_shentsize != sizeof first)
        return -ENOENT;
    err = read_at(fd, &first, sizeof first, header->e_shoff);
    if (err < 0)
        return err;
    *count = header->e_shnum ? header->e_shnum : first.sh_size;
    *names =
        header->e_shstrndx == SHN_XINDEX ? first.sh_link : header->e_shstrndx;
    if (*count > MOST_SECTIONS || *names >= *count)
        return -ENOEXEC;
    *sections = memory_get(*count * sizeof first);
    err = read_at(fd, *sections, *count * sizeof first, header->e_shoff);
    if (err < 0)
        free(*sections);
    return err;
}

int elf_find_section(int fd, const char *name, struct section *out)
{
    ElfW(Ehdr) header;
    ElfW(Shdr) *sections = NULL;
    size_t count = 0;
    size_t names = 0;
    uint64_t base = 0;
    int err = read_at(fd, &header, sizeof header, 0);

    if (err == 0)
        err = check_kind(&header);
    if (err == 0)
        err = find_base(fd, &header, &base);
    if (err == 0)
        err = read_sections(fd, &header, &sections, &count, &names);
    if (err < 0)
        return err;
    err = -ENOENT;
    for (size_t i = 0; err < 0 && i < count; i++) {
        if (!(sections[i].sh_flags & SHF_ALLOC) ||
            !has_name(fd, sections[names].sh_offset + sections[i].sh_name,
                      name))
            continue;
        out->address = sections[i].sh_addr - base;
        out->size = sections[i].sh_size;
        err = 0;
    }
    free(sections);
    return err;
}
