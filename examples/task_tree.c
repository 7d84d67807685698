/* SPDX-License-Identifier: MIT */
/*
 * Who waits for whom, and where: the tree of tasks, printed by a callback
 *
 * Below each task stand those that it waits for, with the calls on the stack
 * of each. rota-ps prints the same of a program that knows nothing of it.
 */
#include <rota.h>
#include <stdio.h>

static const rota_task_options rice = {.name = "rice"};
static const rota_task_options soup = {.name = "soup"};
static const rota_task_options cook = {.name = "cook"};
static const rota_task_options guest = {.name = "guest"};
static const rota_task_options table = {.name = "table"};

static intptr_t boil(void *arg)
{
    int err = rota_sleep(3);

    if (err == 0)
        printf("%s is ready\n", (const char *)arg);
    return err;
}

static intptr_t make_dinner(void *arg)
{
    rota_task pots[2];
    int err = rota_create_task_with(&pots[0], &rice, boil, "rice");

    (void)arg;
    if (err == 0)
        err = rota_create_task_with(&pots[1], &soup, boil, "soup");
    if (err == 0)
        err = rota_gather(pots, 2, NULL, false);
    return err;
}

static intptr_t look_forward(void *cooking)
{
    intptr_t err = rota_shield(*(rota_task *)cooking);

    if (err == 0)
        puts("dinner!");
    return err;
}

static intptr_t be_patient(void *cooking)
{
    rota_task task;
    intptr_t err = rota_create_task_with(&task, &guest, look_forward, cooking);

    if (err == 0)
        err = rota_wait_for(task, 60);
    return err;
}

static void print_tasks(void *loop)
{
    (void)rota_print_tasks(loop, stdout);
}

static intptr_t amain(void *arg)
{
    static rota_task tasks[2]; /* outlive amain(), if that fails */
    rota_loop *loop = rota_get_running_loop();
    int err = rota_create_task_with(&tasks[0], &cook, make_dinner, arg);

    if (err == 0)
        err = rota_create_task_with(&tasks[1], &table, be_patient, &tasks[0]);
    if (err == 0)
        err = rota_call_later(loop, NULL, 1, print_tasks, loop);
    if (err == 0)
        err = rota_gather(tasks, 2, NULL, false);
    return err;
}

int main(void)
{
    return rota_run(amain, NULL) < 0;
}
