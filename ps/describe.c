/* SPDX-License-Identifier: MIT */
/*
 * What an address is called
 *
 *     at fetch (main.c:33)                    with debug information
 *     at rota_sleep+0x5b (librota.so.0.1.0)   with a symbol
 *     at server+0x1234                        with a file, for addr2line
 *
 * Functions that were inlined have lines of their own, the innermost first;
 * rota's own do not, nobody asked for them.
 */
#include "trace.h"
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *base_name(const char *path)
{
    const char *slash = path ? strrchr(path, '/') : NULL;

    return slash ? slash + 1 : path;
}

static bool begins_with(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static void note_kind(struct place *place, const char *name)
{
    place->is_named = true;
    place->is_private = begins_with(name, "rota__");
    place->is_public = !place->is_private && begins_with(name, "rota_");
}

static void print_line(FILE *to, const char *name, const char *file, int line)
{
    if (file && line > 0)
        fprintf(to, "at %s (%s:%d)\n", name, base_name(file), line);
    else
        fprintf(to, "at %s\n", name);
}

static bool is_function(Dwarf_Die *die)
{
    int tag = dwarf_tag(die);

    return tag == DW_TAG_subprogram || tag == DW_TAG_inlined_subroutine ||
           tag == DW_TAG_entry_point;
}

static const char *name_of(Dwarf_Die *die)
{
    const char *name = dwarf_diename(die);

    return name ? name : "?";
}

/* The scopes from the innermost function outwards, in the code's own nesting.
 */
static int scopes_of(Dwarf_Die *unit, Dwarf_Addr pc, Dwarf_Die **out)
{
    Dwarf_Die *scopes = NULL;
    int count = dwarf_getscopes(unit, pc, &scopes);
    int nested = 0;

    for (int i = 0; i < count && nested == 0; i++)
        if (is_function(&scopes[i]))
            nested = dwarf_getscopes_die(&scopes[i], out);
    if (count > 0)
        free(scopes);
    return nested;
}

static const char *call_site(Dwarf_Die *unit, Dwarf_Die *inlined, int *line)
{
    Dwarf_Attribute attribute;
    Dwarf_Files *files = NULL;
    Dwarf_Word number = 0;
    size_t count = 0;

    *line = 0;
    if (!dwarf_attr(inlined, DW_AT_call_line, &attribute) ||
        dwarf_formudata(&attribute, &number) != 0)
        return NULL;
    *line = (int)number;
    if (!dwarf_attr(inlined, DW_AT_call_file, &attribute) ||
        dwarf_formudata(&attribute, &number) != 0 ||
        dwarf_getsrcfiles(unit, &files, &count) != 0)
        return NULL;
    return dwarf_filesrc(files, number, NULL, NULL);
}

/* Clang leaves out the index that libdw would find the unit by. */
static Dwarf_Die *unit_of(Dwfl_Module *module, uint64_t pc, Dwarf_Addr *bias)
{
    Dwarf_Die *unit = dwfl_module_addrdie(module, pc, bias);

    if (unit)
        return unit;
    while ((unit = dwfl_module_nextcu(module, unit, bias)) != NULL)
        if (dwarf_haspc(unit, pc - *bias) > 0)
            return unit;
    return NULL;
}

static const char *line_of(Dwarf_Die *unit, Dwarf_Addr pc, int *number)
{
    Dwarf_Line *line = unit ? dwarf_getsrc_die(unit, pc) : NULL;

    if (!line || dwarf_lineno(line, number) != 0)
        return NULL;
    return dwarf_linesrc(line, NULL, NULL);
}

/* Of what was inlined into one of rota's own functions nobody wants to know. */
static void note_outermost(struct place *place, Dwarf_Die *scopes, int count)
{
    for (int i = 0; i < count; i++)
        if (dwarf_tag(&scopes[i]) == DW_TAG_subprogram)
            note_kind(place, name_of(&scopes[i]));
}

/* False if there is no debug information for the address. */
static bool print_scopes(FILE *to, struct place *place, Dwfl_Module *module,
                         uint64_t pc)
{
    Dwarf_Addr bias = 0;
    Dwarf_Die *unit = unit_of(module, pc, &bias);
    Dwarf_Die *scopes = NULL;
    int count = unit ? scopes_of(unit, pc - bias, &scopes) : 0;
    bool done = false;
    int line = 0;
    const char *file = line_of(unit, pc - bias, &line);

    note_outermost(place, scopes, count);
    for (int i = 0; i < count && !done; i++) {
        if (!is_function(&scopes[i]))
            continue;
        done = dwarf_tag(&scopes[i]) != DW_TAG_inlined_subroutine;
        if (done || !(place->is_public || place->is_private))
            print_line(to, name_of(&scopes[i]), file, line);
        if (!done)
            file = call_site(unit, &scopes[i], &line);
    }
    if (count > 0)
        free(scopes);
    return done;
}

static void print_symbol(FILE *to, struct place *place, Dwfl_Module *module,
                         uint64_t pc, bool is_call)
{
    GElf_Off offset = 0;
    Dwarf_Addr bias = 0;
    GElf_Sym symbol;
    const char *name =
        dwfl_module_addrinfo(module, pc, &offset, &symbol, NULL, NULL, NULL);
    const char *file = base_name(
        dwfl_module_info(module, NULL, NULL, NULL, NULL, NULL, NULL, NULL));

    if (!name) {
        (void)dwfl_module_getelf(module, &bias);
        fprintf(to, "at %s+0x%" PRIx64 "\n", file, pc + is_call - bias);
        return;
    }
    note_kind(place, name);
    if (is_call)
        fprintf(to, "at %s+0x%" PRIx64 " (%s)\n", name, offset + 1, file);
    else
        fprintf(to, "at %s (%s)\n", name, file);
}

static struct place *describe(Dwfl *dwfl, uint64_t pc, bool is_call)
{
    Dwfl_Module *module = dwfl_addrmodule(dwfl, pc);
    struct place *place = memory_get(sizeof *place);
    size_t size = 0;
    FILE *to = memory_file(&place->lines, &size);

    if (!module)
        fprintf(to, "at 0x%" PRIx64 "\n", pc + is_call);
    else if (!print_scopes(to, place, module, pc))
        print_symbol(to, place, module, pc, is_call);
    fclose(to);
    return place;
}

const struct place *tracer_place(struct tracer *tracer, uint64_t pc,
                                 bool is_call)
{
    struct table *table = is_call ? &tracer->places : &tracer->functions;
    uint64_t key = pc ? pc : 1;
    struct place *place = table_get(table, key);

    if (!place) {
        place = describe(tracer->dwfl, pc, is_call);
        table_put(table, key, place);
    }
    return place;
}

const char *tracer_describe(struct tracer *tracer, uint64_t pc, bool is_call)
{
    return tracer_place(tracer, pc, is_call)->lines;
}
