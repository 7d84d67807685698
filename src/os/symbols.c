/* SPDX-License-Identifier: MIT */
/*
 * Symbols: what messages call an address
 *
 * The dynamic loader knows exported functions only, and most callbacks are
 * static. So the symbols are read from the file that the address was loaded
 * from: .symtab, which has them all, or .dynsym in a stripped file. A file is
 * read anew for each address, and only if its program headers are those in
 * memory: it may have been replaced since. What was found is kept in a small
 * table of fixed size, until a module comes or goes; the same few addresses
 * are asked for again and again. Nothing is allocated.
 */
#define _GNU_SOURCE
#include "os/fork.h"
#include "os/os.h"
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#if !defined(__APPLE__)
#include <elf.h>
#include <link.h>
#if !defined(ElfW)
#define ElfW(type) Elf_##type
#endif
#endif

struct symbol {
    const char *address; /* that was asked for; NULL: a free place */
    size_t offset;       /* in the function, or else in the file */
    char name[112];      /* of the function, or "" */
    char file[128];      /* "": no module is loaded there */
};

/* A file's whole path is good for addr2line; one too long goes. */
static void set_file(struct symbol *symbol, const char *path)
{
    const char *base = strrchr(path, '/');

    if (strlen(path) >= sizeof symbol->file && base)
        path = base + 1;
    snprintf(symbol->file, sizeof symbol->file, "%s", path);
}

#if defined(__APPLE__)

static unsigned long long modules_changed(void)
{
    return 0;
}

static void resolve(struct symbol *symbol)
{
    const char *start;
    Dl_info info;

    if (dladdr(symbol->address, &info) == 0)
        return;
    set_file(symbol, info.dli_fname);
    start = info.dli_sname ? info.dli_saddr : info.dli_fbase;
    symbol->offset = (size_t)(symbol->address - start);
    if (info.dli_sname)
        snprintf(symbol->name, sizeof symbol->name, "%s", info.dli_sname);
}

#else

static bool read_at(int fd, uint64_t offset, void *out, size_t size)
{
    return pread(fd, out, size, (off_t)offset) == (ssize_t)size;
}

/* True for the very file that was loaded there. */
static bool is_file_of(int fd, const struct dl_phdr_info *module,
                       ElfW(Ehdr) * header)
{
    ElfW(Phdr) segment;

    if (!read_at(fd, 0, header, sizeof *header) ||
        memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 ||
        header->e_phnum != module->dlpi_phnum ||
        header->e_phentsize != sizeof segment)
        return false;
    for (size_t i = 0; i < header->e_phnum; i++)
        if (!read_at(fd, header->e_phoff + i * sizeof segment, &segment,
                     sizeof segment) ||
            memcmp(&segment, &module->dlpi_phdr[i], sizeof segment) != 0)
            return false;
    return true;
}

static int open_checked(const char *path, const struct dl_phdr_info *module,
                        ElfW(Ehdr) * header)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd >= 0 && !is_file_of(fd, module, header)) {
        close(fd);
        fd = -1;
    }
    return fd;
}

/* Fills in the section's header; one of this type, the first. */
static bool find_section(int fd, const ElfW(Ehdr) * header, uint32_t type,
                         ElfW(Shdr) * section)
{
    for (size_t i = 0; i < header->e_shnum; i++) {
        if (!read_at(fd, header->e_shoff + i * sizeof *section, section,
                     sizeof *section))
            return false;
        if (section->sh_type == type)
            return true;
    }
    return false;
}

static bool covers(const ElfW(Sym) * function, ElfW(Addr) at)
{
    unsigned type = function->st_info & 0xf;

    if ((type != STT_FUNC && type != STT_GNU_IFUNC) ||
        function->st_shndx == SHN_UNDEF || function->st_value > at)
        return false;
    return at == function->st_value ||
           at - function->st_value < function->st_size;
}

/* Of names for one function, __read, read and read.alias, that for people. */
static size_t strangeness(const char *name)
{
    return strspn(name, "_") + (strchr(name, '.') ? 100 : 0);
}

static bool is_better(const char *name, const char *other)
{
    return !*other || strangeness(name) < strangeness(other);
}

static void take_name(int fd, const ElfW(Shdr) * strings,
                      const ElfW(Sym) * function, struct symbol *symbol)
{
    char name[sizeof symbol->name] = "";
    ssize_t size = pread(fd, name, sizeof name - 1,
                         (off_t)(strings->sh_offset + function->st_name));

    if (size <= 0)
        return;
    name[strcspn(name, "@")] = '\0'; /* a version follows */
    if (is_better(name, symbol->name))
        memcpy(symbol->name, name, sizeof name);
}

/* The innermost of the functions that cover the address. */
static void search(int fd, const ElfW(Shdr) * table, const ElfW(Shdr) * strings,
                   ElfW(Addr) at, struct symbol *symbol)
{
    ElfW(Sym) some[128];
    ElfW(Addr) start = 0;
    uint64_t left = table->sh_size / sizeof some[0];

    for (uint64_t from = table->sh_offset; left > 0; from += sizeof some) {
        size_t count = left < rota__countof(some) ? left : rota__countof(some);

        if (!read_at(fd, from, some, count * sizeof some[0]))
            return;
        for (size_t i = 0; i < count; i++) {
            if (!covers(&some[i], at) || some[i].st_value < start)
                continue;
            if (some[i].st_value > start)
                symbol->name[0] = '\0';
            start = some[i].st_value;
            take_name(fd, strings, &some[i], symbol);
            symbol->offset = at - start;
        }
        left -= count;
    }
}

static void search_file(int fd, const ElfW(Ehdr) * header, ElfW(Addr) at,
                        struct symbol *symbol)
{
    ElfW(Shdr) table, strings;

    if (header->e_shentsize != sizeof table ||
        (!find_section(fd, header, SHT_SYMTAB, &table) &&
         !find_section(fd, header, SHT_DYNSYM, &table)) ||
        !read_at(fd, header->e_shoff + table.sh_link * sizeof strings, &strings,
                 sizeof strings))
        return;
    search(fd, &table, &strings, at, symbol);
}

static bool contains(const struct dl_phdr_info *module, ElfW(Addr) at)
{
    for (size_t i = 0; i < module->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &module->dlpi_phdr[i];

        if (segment->p_type == PT_LOAD && at >= segment->p_vaddr &&
            at - segment->p_vaddr < segment->p_memsz)
            return true;
    }
    return false;
}

/* The main program has no name there; its file may have been deleted. */
static int open_file(const struct dl_phdr_info *module, ElfW(Ehdr) * header,
                     struct symbol *symbol)
{
    const char *self = "/proc/self/exe";
    char path[512];
    ssize_t size;
    int fd;

    if (module->dlpi_name && module->dlpi_name[0]) {
        set_file(symbol, module->dlpi_name);
        return strchr(module->dlpi_name, '/')
                   ? open_checked(module->dlpi_name, module, header)
                   : -1; /* the kernel's own vdso */
    }
    size = readlink(self, path, sizeof path - 1);
    path[size > 0 ? size : 0] = '\0';
    set_file(symbol, size > 0 ? path : "program");
    fd = open_checked(self, module, header);
    return fd < 0 ? open_checked(path, module, header) : fd;
}

/* No module goes while this runs. */
static int look_into(struct dl_phdr_info *module, size_t size, void *arg)
{
    struct symbol *symbol = arg;
    ElfW(Addr) at = (ElfW(Addr))symbol->address - module->dlpi_addr;
    ElfW(Ehdr) header;
    int fd;

    (void)size;
    if (!contains(module, at))
        return 0;
    symbol->offset = at;
    fd = open_file(module, &header, symbol);
    if (fd >= 0) {
        search_file(fd, &header, at, symbol);
        close(fd);
    }
    return 1;
}

static void resolve(struct symbol *symbol)
{
    int saved = errno;

    dl_iterate_phdr(look_into, symbol);
    errno = saved;
}

static int count_changes(struct dl_phdr_info *module, size_t size, void *arg)
{
    (void)size;
    *(unsigned long long *)arg = module->dlpi_adds + module->dlpi_subs;
    return 1;
}

static unsigned long long modules_changed(void)
{
    unsigned long long changes = 0;

    dl_iterate_phdr(count_changes, &changes);
    return changes;
}

#endif

/* --- What was found before --------------------------------------------- */

enum { SETS = 32, WAYS = 8 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct symbol known[SETS][WAYS];
static unsigned next_way[SETS];
static unsigned long long known_since;

void rota__symbols_forget(void)
{
    pthread_mutex_init(&lock, NULL);
    memset(known, 0, sizeof known);
}

static void forget_after_changes(void)
{
    unsigned long long changes = modules_changed();

    if (changes != known_since)
        memset(known, 0, sizeof known);
    known_since = changes;
}

static const struct symbol *look_up(const void *address)
{
    uint64_t hash = (uint64_t)(uintptr_t)address * 0x9e3779b97f4a7c15;
    size_t set = hash >> 32 & (SETS - 1);
    struct symbol *symbol;

    forget_after_changes();
    for (size_t way = 0; way < WAYS; way++)
        if (known[set][way].address == address)
            return &known[set][way];
    symbol = &known[set][next_way[set]++ % WAYS];
    memset(symbol, 0, sizeof *symbol);
    symbol->address = address;
    resolve(symbol);
    return symbol;
}

static void name_place(const struct symbol *symbol, char *out, size_t size)
{
    if (symbol->file[0])
        snprintf(out, size, "at %s+0x%zx", symbol->file, symbol->offset);
    else
        snprintf(out, size, "at %p", (const void *)symbol->address);
}

void rota__name_function(const void *function, char *out, size_t size)
{
    const struct symbol *symbol;

    pthread_mutex_lock(&lock);
    symbol = look_up(function);
    if (symbol->name[0])
        snprintf(out, size, "%s", symbol->name);
    else
        name_place(symbol, out, size);
    pthread_mutex_unlock(&lock);
}

void rota__name_address(const void *pc, char *out, size_t size)
{
    const struct symbol *symbol;
    const char *base;

    pthread_mutex_lock(&lock);
    symbol = look_up((const void *)((uintptr_t)pc - 1));
    base = strrchr(symbol->file, '/');
    if (symbol->name[0])
        snprintf(out, size, "%s+0x%zx (%s)", symbol->name, symbol->offset + 1,
                 base ? base + 1 : symbol->file);
    else
        name_place(symbol, out, size);
    pthread_mutex_unlock(&lock);
}
