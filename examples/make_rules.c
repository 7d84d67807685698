/* SPDX-License-Identifier: MIT */
/*
 * Reading the rules, and an order for them: a walk that finds circles
 */
#include "make_rules.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char SPACE[] = " \t\r\n";

static int complain(const char *what, const char *why)
{
    fprintf(stderr, "make_runner: %s: %s\n", what, why);
    return -1;
}

static struct goal *find(const struct rules *rules, const char *name)
{
    struct goal *goal = rules->goals;

    while (goal && strcmp(goal->name, name) != 0)
        goal = goal->next;
    return goal;
}

static struct goal *find_or_add(struct rules *rules, const char *name)
{
    struct goal *goal = find(rules, name);

    if (goal)
        return goal;
    goal = calloc(1, sizeof *goal);
    if (!goal)
        return NULL;
    goal->name = strdup(name);
    if (!goal->name) {
        free(goal);
        return NULL;
    }
    rota_event_init(&goal->made);
    goal->next = rules->goals;
    rules->goals = goal;
    return goal;
}

static const char *add_need(struct goal *goal, struct goal *need)
{
    size_t size = (goal->need_count + 1) * sizeof need;
    struct goal **needs = need ? realloc(goal->needs, size) : NULL;

    if (!needs)
        return "no memory";
    goal->needs = needs;
    needs[goal->need_count++] = need;
    return NULL;
}

static const char *add_command(struct goal *goal, const char *text)
{
    size_t size;
    char **commands;

    if (!goal)
        return "a command without a target";
    size = (goal->command_count + 1) * sizeof *commands;
    commands = realloc(goal->commands, size);
    if (!commands)
        return "no memory";
    goal->commands = commands;
    commands[goal->command_count] = strdup(text);
    return commands[goal->command_count++] ? NULL : "no memory";
}

static const char *add_rule(struct rules *rules, char *line)
{
    char *needs = strchr(line, ':');
    char *place;
    const char *error = NULL;
    struct goal *goal;

    if (!needs)
        return "neither a rule nor a command, which begins with a tab";
    *needs++ = '\0';
    line = strtok_r(line, SPACE, &place);
    if (!line || strtok_r(NULL, SPACE, &place))
        return "a rule has one target";
    goal = find_or_add(rules, line);
    if (!goal)
        return "no memory";
    if (goal->has_rule)
        return "a second rule for the same target";
    goal->has_rule = true;
    rules->latest = goal;
    if (!rules->first)
        rules->first = goal;
    for (char *name = strtok_r(needs, SPACE, &place); name && !error;
         name = strtok_r(NULL, SPACE, &place))
        error = add_need(goal, find_or_add(rules, name));
    return error;
}

static const char *add_line(struct rules *rules, char *line)
{
    line[strcspn(line, "\r\n")] = '\0';
    if (line[strspn(line, SPACE)] == '\0' || line[0] == '#')
        return NULL;
    return line[0] == '\t' ? add_command(rules->latest, line + 1)
                           : add_rule(rules, line);
}

static int read_lines(struct rules *rules, const char *path, FILE *file)
{
    const char *error = NULL;
    char *line = NULL;
    size_t room = 0;
    int number = 0;

    while (!error && getline(&line, &room, file) >= 0) {
        number++;
        error = add_line(rules, line);
    }
    free(line);
    if (!error && ferror(file))
        error = "cannot be read";
    if (error)
        fprintf(stderr, "make_runner: %s:%d: %s\n", path, number, error);
    return error ? -1 : 0;
}

int rules_read(struct rules *rules, const char *path)
{
    FILE *file = fopen(path, "r");
    int err;

    *rules = (struct rules){.order_end = &rules->order};
    if (!file)
        return complain(path, rota_strerror(-errno));
    err = read_lines(rules, path, file);
    fclose(file);
    return err;
}

void rules_free(struct rules *rules)
{
    while (rules->goals) {
        struct goal *goal = rules->goals;

        rules->goals = goal->next;
        for (size_t i = 0; i < goal->command_count; i++)
            free(goal->commands[i]);
        free(goal->commands);
        free(goal->needs);
        free(goal->name);
        rota_event_fini(&goal->made);
        free(goal);
    }
}

/* On the way back from where a circle closes, it is told. */
static int visit(struct rules *rules, struct goal *goal)
{
    if (goal->visit == SEEN)
        return 0;
    if (goal->visit == BEGUN) {
        fprintf(stderr, "make_runner: a circle: %s", goal->name);
        rules->circle = goal;
        return -1;
    }
    goal->visit = BEGUN;
    for (size_t i = 0; i < goal->need_count; i++)
        if (visit(rules, goal->needs[i]) < 0) {
            if (rules->circle)
                fprintf(stderr, " < %s", goal->name);
            if (rules->circle == goal) {
                fputc('\n', stderr);
                rules->circle = NULL;
            }
            return -1;
        }
    goal->visit = SEEN;
    *rules->order_end = goal;
    rules->order_end = &goal->then;
    return 0;
}

int rules_add(struct rules *rules, const char *name)
{
    struct goal *goal = name ? find(rules, name) : rules->first;

    if (!goal)
        return complain(name ? name : "the rules",
                        name ? "no rule names it" : "there are none");
    return visit(rules, goal);
}
