/* SPDX-License-Identifier: MIT */
/*
 * A request's id that every log line has, and no argument carries
 *
 * The id is a context variable: a task runs in a copy of the context that it
 * was made in, and so do callbacks. Three requests are served at once, each
 * by several tasks.
 */
#include <rota.h>
#include <stdarg.h>
#include <stdio.h>

static rota_context_var request_id = ROTA_CONTEXT_VAR("request_id", "main");

__attribute__((format(printf, 1, 2))) static void log_line(const char *format,
                                                           ...)
{
    va_list args;

    printf("%-5s ", (const char *)rota_context_var_get(&request_id));
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
}

struct query {
    const char *table;
    double seconds;
};

static void is_slow(void *arg)
{
    log_line("%s takes its time", (const char *)arg);
}

static intptr_t ask(void *arg)
{
    const struct query *query = arg;
    rota_timer_handle timer = {0};
    intptr_t err = rota_call_later(rota_get_running_loop(), &timer, 0.5,
                                   is_slow, (void *)query->table);

    if (err == 0)
        err = rota_sleep(query->seconds);
    rota_timer_handle_cancel(&timer);
    if (err == 0)
        log_line("%s answered", query->table);
    return err;
}

struct request {
    const char *id;
    struct query queries[2];
};

static intptr_t serve(void *arg)
{
    struct request *request = arg;
    rota_task_group group;
    intptr_t err;

    err = rota_context_var_set(&request_id, (void *)request->id, NULL);
    if (err < 0)
        return err;
    log_line("begins");
    err = rota_task_group_begin(&group);
    for (int i = 0; err == 0 && i < 2; i++)
        err = rota_task_group_create_task(&group, ask, &request->queries[i],
                                          NULL);
    err = rota_task_group_end(&group, err);
    log_line("%s", err < 0 ? rota_strerror(err) : "is done");
    return err;
}

static intptr_t amain(void *arg)
{
    static struct request requests[] = {
        {"7f3a", {{"users", 0.1}, {"orders", 0.3}}},
        {"81c0", {{"users", 0.2}, {"prices", 0.7}}},
        {"9d12", {{"prices", 0.4}, {"orders", 0.6}}},
    };
    rota_task tasks[3];

    (void)arg;
    for (int i = 0; i < 3; i++) {
        int err = rota_create_task(&tasks[i], serve, &requests[i]);

        if (err < 0)
            return err;
    }
    log_line("waits for all");
    return rota_gather(tasks, 3, NULL, false);
}

int main(void)
{
    return rota_run(amain, NULL) < 0;
}
