/* SPDX-License-Identifier: MIT */
/*
 * Task groups under all schedules
 *
 * When a group has ended, so have all its children; an error of one is what
 * it returns; and a request from outside is told, if not by the group's end,
 * then by the next wait.
 */
#include "schedules.h"

#include <stdlib.h>
#include <string.h>

#include "task/task.h"

/* A child that sleeps, may have more children, and may fail. */
struct member {
    double seconds;
    int error;
    rota_task_group *group;
    struct member *next; /* that it starts, or NULL */
};

static int inside; /* children that have begun and not ended */
static int failures;

static intptr_t take_part(void *arg)
{
    const struct member *member = arg;
    intptr_t err;

    inside++;
    err = AWAIT(rota_sleep(member->seconds));
    if (err == 0 && member->next) {
        member->next->group = member->group;
        err = rota_task_group_create_task(member->group, take_part,
                                          member->next, NULL);
    }
    if (err == -ROTA_ESCOPE)
        err = 0; /* the group is aborting */
    inside--;
    if (err < 0 || member->error == 0)
        return schedules_outcome(err);
    failures++;
    return member->error;
}

static void add_members(rota_task_group *group, struct member *members,
                        size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int err;

        members[i].group = group;
        err = rota_task_group_create_task(group, take_part, &members[i], NULL);
        CHECK(err == 0 || (err == -ROTA_ESCOPE && failures > 0));
    }
}

/* The request from outside is counted, and told here or by the next wait. */
static intptr_t check_end(const rota_task_group *group, intptr_t result)
{
    bool cancelled = rota_task_cancelling(rota_current_task()) > 0;

    CHECK(inside == 0);
    CHECK(rota__list_empty(&group->children));
    CHECK((result == -EIO) == (failures > 0));
    CHECK(cancelled || result != -ECANCELED);
    CHECK(!cancelled || result < 0);
    CHECK(result == 0 || failures > 0 || schedules_disturbed());
    if (result == -ECANCELED)
        return result;
    result = AWAIT_UNLIMITED(rota_sleep(0));
    CHECK(schedules_asked() == (result == -ECANCELED));
    CHECK(!cancelled || result == -ECANCELED);
    return schedules_outcome(result);
}

static void begin_task(rota_task_function *function)
{
    inside = 0;
    failures = 0;
    schedules_start(function, NULL);
}

/* --- Children that work -------------------------------------------------- */

static intptr_t lead(void *arg)
{
    static struct member grandchild = {.seconds = 2};
    static struct member child = {.seconds = 1, .next = &grandchild};
    static struct member members[] = {
        {.seconds = 0, .next = &child}, {.seconds = 1}, {.seconds = 2}};
    rota_task_group group;
    intptr_t err;

    (void)arg;
    (void)rota_task_group_begin(&group);
    add_members(&group, members, 3);
    err = AWAIT(rota_sleep(1));
    if (err == -ETIMEDOUT)
        err = 0;
    return check_end(&group, AWAIT_UNLIMITED(rota_task_group_end(&group, err)));
}

static void begin_lead(rota_loop *loop)
{
    (void)loop;
    begin_task(lead);
}

static void a_group_waits_for_the_children_of_its_children(void)
{
    static const schedules_scenario scenario = {.begin = begin_lead};

    schedules_hold(&scenario);
}

/* --- One that fails ------------------------------------------------------ */

static intptr_t lead_to_failure(void *arg)
{
    static struct member child = {.seconds = 1};
    static struct member members[] = {{.seconds = 2},
                                      {.seconds = 1, .error = -EIO},
                                      {.seconds = 0, .next = &child},
                                      {.seconds = 1}};
    rota_task_group group;
    intptr_t err = 0;

    (void)arg;
    (void)rota_task_group_begin(&group);
    add_members(&group, members, 4);
    for (int i = 0; err == 0 && i < 3; i++)
        err = AWAIT(rota_sleep(i));
    if (err == -ETIMEDOUT || failures > 0)
        err = 0; /* what the group says is enough */
    return check_end(&group, AWAIT_UNLIMITED(rota_task_group_end(&group, err)));
}

static void begin_failure(rota_loop *loop)
{
    (void)loop;
    begin_task(lead_to_failure);
}

static void a_child_that_fails_hides_no_request_from_outside(void)
{
    static const schedules_scenario scenario = {.begin = begin_failure};

    schedules_hold(&scenario);
}

/* --- Several that fail --------------------------------------------------- */

static intptr_t lead_to_failures(void *arg)
{
    static struct member members[] = {{.seconds = 1, .error = -EIO},
                                      {.seconds = 1, .error = -EIO},
                                      {.seconds = 0},
                                      {.seconds = 0, .error = -EIO}};
    rota_task_error errors[3];
    rota_task_group group;

    (void)arg;
    (void)rota_task_group_begin(&group);
    CHECK(rota_task_group_keep_errors(&group, errors, 3) == 0);
    add_members(&group, members, 4);
    return check_end(&group, AWAIT_UNLIMITED(rota_task_group_end(&group, 0)));
}

static void begin_failures(rota_loop *loop)
{
    (void)loop;
    begin_task(lead_to_failures);
}

static void children_that_fail_together_are_all_waited_for(void)
{
    static const schedules_scenario scenario = {.begin = begin_failures};

    schedules_hold(&scenario);
}

/* --- Groups in groups ---------------------------------------------------- */

static intptr_t lead_a_part(void *arg)
{
    static struct member members[2][2] = {{{.seconds = 1}, {.seconds = 2}},
                                          {{.seconds = 0}, {.seconds = 1}}};
    rota_task_group group;
    intptr_t err;

    (void)rota_task_group_begin(&group);
    add_members(&group, members[(intptr_t)arg], 2);
    err = AWAIT(rota_sleep(1));
    if (err == -ETIMEDOUT)
        err = 0;
    err = AWAIT_UNLIMITED(rota_task_group_end(&group, err));
    CHECK(rota__list_empty(&group.children));
    return err;
}

/* A time limit around all of it cancels what is inside. */
static intptr_t lead_parts(void)
{
    rota_task_group group;
    intptr_t err = 0;

    (void)rota_task_group_begin(&group);
    for (intptr_t i = 0; err == 0 && i < 2; i++)
        err = rota_task_group_create_task(&group, lead_a_part, (void *)i, NULL);
    CHECK(err == 0);
    err = AWAIT_UNLIMITED(rota_task_group_end(&group, 0));
    CHECK(inside == 0);
    CHECK(rota__list_empty(&group.children));
    return err;
}

static intptr_t lead_all(void *arg)
{
    intptr_t err = 0;

    (void)arg;
    for (int i = 0; err != -ECANCELED && i < 2; i++) {
        rota_timeout timeout;

        (void)rota_timeout_begin(&timeout, 1.5 + i);
        err = rota_timeout_end(&timeout, AWAIT_RESULT(lead_parts()));
        CHECK(err == 0 || err == -ETIMEDOUT || schedules_asked());
        CHECK(err == -ECANCELED || !schedules_asked());
        CHECK(err == -ETIMEDOUT || i == 1 || schedules_disturbed());
    }
    return schedules_outcome(err);
}

static void begin_groups(rota_loop *loop)
{
    (void)loop;
    begin_task(lead_all);
}

static void a_time_limit_around_groups_ends_all_of_them(void)
{
    static const schedules_scenario scenario = {.begin = begin_groups};

    schedules_hold(&scenario);
}

/* --- A group that is left ------------------------------------------------ */

static intptr_t leave_group(void)
{
    static struct member members[] = {{.seconds = 1}, {.seconds = 0}};
    ROTA_TASK_GROUP(group);

    add_members(&group, members, 2);
    return AWAIT(rota_sleep(0));
}

static intptr_t leave_groups(void *arg)
{
    intptr_t err = 0;

    (void)arg;
    for (int i = 0; err != -ECANCELED && i < 2; i++) {
        err = AWAIT_UNLIMITED(leave_group());
        CHECK(inside == 0);
        if (err != -ECANCELED)
            err = AWAIT_UNLIMITED(rota_sleep(0));
    }
    CHECK((err == -ECANCELED) == schedules_asked());
    return schedules_outcome(err);
}

static void begin_left(rota_loop *loop)
{
    (void)loop;
    begin_task(leave_groups);
}

static void a_group_that_is_left_loses_no_request(void)
{
    static const schedules_scenario scenario = {.begin = begin_left};

    schedules_hold(&scenario);
}

HARNESS_MAIN(TEST_TIMEOUT(a_group_waits_for_the_children_of_its_children, 60),
             TEST_TIMEOUT(a_child_that_fails_hides_no_request_from_outside, 60),
             TEST_TIMEOUT(children_that_fail_together_are_all_waited_for, 60),
             TEST_TIMEOUT(a_time_limit_around_groups_ends_all_of_them, 60),
             TEST_TIMEOUT(a_group_that_is_left_loses_no_request, 60))
