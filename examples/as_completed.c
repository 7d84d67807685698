/* SPDX-License-Identifier: MIT */
/*
 * Results as they come: four answers, the quickest first, one of them an error
 */
#include <rota.h>
#include <stdio.h>

struct city {
    const char *name;
    double seconds; /* that its answer takes */
    intptr_t answer;
};

static struct city cities[] = {
    {"Paris", 3.0, 18},
    {"Oslo", 1.0, 7},
    {"Atlantis", 2.0, -ENOENT},
    {"Rome", 1.5, 24},
};

enum { CITIES = sizeof cities / sizeof cities[0] };

static intptr_t ask(void *arg)
{
    const struct city *city = arg;
    int err = rota_sleep(city->seconds);

    return err < 0 ? err : city->answer;
}

/* The handles that come are the ones that were given. */
static const struct city *city_of(rota_task task, const rota_task *tasks)
{
    int i = 0;

    while (tasks[i].id != task.id)
        i++;
    return &cities[i];
}

static void print(const struct city *city, intptr_t answer)
{
    if (rota_is_error(answer))
        printf("%s: %s\n", city->name, rota_strerror(answer));
    else
        printf("%s: %d degrees\n", city->name, (int)answer);
}

static intptr_t amain(void *arg)
{
    rota_as_completed answers;
    rota_task tasks[CITIES], task;
    int err = 0;

    (void)arg;
    for (int i = 0; i < CITIES && err == 0; i++)
        err = rota_create_task(&tasks[i], ask, &cities[i]);
    if (err == 0)
        err = rota_as_completed_begin(&answers, tasks, CITIES, 10);
    if (err < 0)
        return err;
    while ((err = rota_as_completed_next(&answers, &task)) == 1)
        print(city_of(task, tasks), rota_await(task));
    rota_as_completed_end(&answers);
    return err;
}

int main(void)
{
    return rota_run(amain, NULL) < 0;
}
