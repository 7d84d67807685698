/* SPDX-License-Identifier: MIT */
/*
 * A run inside of a run is refused; the right way is to await
 */
#include <rota.h>
#include <stdio.h>

static intptr_t inner(void *arg)
{
    (void)arg;
    return (intptr_t) "inner ran";
}

static intptr_t wrong(void)
{
    return rota_run(inner, NULL);
}

static intptr_t right(void)
{
    rota_task task;
    int err = rota_create_task(&task, inner, NULL);

    return err < 0 ? err : rota_await(task);
}

static void tell(const char *how, intptr_t result)
{
    if (rota_is_error(result))
        printf("%s: error: %s\n", how, rota_strerror(result));
    else
        printf("%s: %s\n", how, (const char *)result);
}

/* To call inner(NULL) does as well: any C function may await. */
static intptr_t outer(void *arg)
{
    (void)arg;
    tell("rota_run inside of a task", wrong());
    tell("create a task and await it", right());
    tell("or just call it", inner(NULL));
    return 0;
}

int main(void)
{
    return rota_run(outer, NULL) < 0;
}
