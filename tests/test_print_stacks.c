/* SPDX-License-Identifier: MIT */
/*
 * The stacks of tasks that stand still: what is on them, how much of them was
 * used, and that the tasks go on as if nobody had looked
 */
#include "trees.h"

#include "task/task.h"

#include <alloca.h>

static void run_main(rota_task_function *function)
{
    scenario(function);
    forget_printed();
}

/* --- Names -------------------------------------------------------------- */

static __attribute__((noinline)) intptr_t inner_function(void *arg)
{
    intptr_t err = rota_sleep(1);

    return err < 0 ? err : (intptr_t)arg + 1;
}

static __attribute__((noinline)) intptr_t outer_function(void *arg)
{
    intptr_t result = inner_function(arg);

    return result < 0 ? result : result + 1;
}

static void need_names(void)
{
    char name[100];

    rota__name_function((const void *)(uintptr_t)outer_function, name,
                        sizeof name);
    if (strcmp(name, "outer_function") != 0)
        harness_skip("this program has no symbols");
}

/* That the calls stand below each other in the text; where the first does. */
static const char *expect_calls(const char *text, const char *const *calls)
{
    const char *first = NULL;

    for (; *calls; calls++) {
        char line[100];
        const char *found;

        snprintf(line, sizeof line, "    at %s", *calls);
        found = strstr(text, line);
        if (!found || !strchr("+.", found[strlen(line)])) /* f.part.0 */
            fail_msg("no %s in\n%s", *calls, text);
        first = first ? first : found;
        text = strchr(found, '\n');
    }
    return first;
}

static const char *const parked_calls[] = {"inner_function", "outer_function",
                                           NULL};

static intptr_t print_a_parked_one(void *arg)
{
    rota_task task = start_named("parked", outer_function, NULL);
    const char *text;

    (void)arg;
    pass_turns(1);
    text = print_stack(task);
    assert_memory_equal(text, "Stack of parked (", 17);
    assert_non_null(strstr(text, "trees.h:"));
    expect_calls(text, parked_calls);
    assert_null(strstr(text, "task_main"));
    assert_null(strstr(text, "rota__park"));
    return rota_await(task) - 2;
}

static void a_parked_stack_names_static_functions_and_nothing_of_ours(void)
{
    need_names();
    run_main(print_a_parked_one);
}

static __attribute__((noinline)) intptr_t print_myself(void *arg)
{
    static const char *const calls[] = {"print_stack", "print_myself", NULL};
    static const char *const in_tree[] = {"rota_print_tasks", "print_myself",
                                          NULL};

    expect_calls(print_stack(rota_current_task()), calls + 1);
    expect_calls(print_tree(), in_tree);
    assert_null(strstr(printed, "backtrace"));
    return (intptr_t)arg;
}

static void the_running_task_can_look_at_itself(void)
{
    need_names();
    run_main(print_myself);
}

static intptr_t print_a_small_tree(void *arg)
{
    rota_task a = start_named("parked", outer_function, NULL);
    rota_task b = start_named("other", sleep_a_second, NULL);
    const char *calls;

    (void)arg;
    pass_turns(1);
    calls = expect_calls(print_tree(), parked_calls);
    assert_true(strstr(printed, "\nparked (") < calls);
    assert_true(strstr(printed, "\nother (") > calls);
    assert_int_equal(rota_await(b), 0);
    return rota_await(a) - 2;
}

static void in_the_tree_they_stand_below_their_task(void)
{
    need_names();
    run_main(print_a_small_tree);
}

static bool has_calls(const char *text)
{
    return strstr(text, "    at ") != NULL;
}

static intptr_t print_handles(void *arg)
{
    rota_task new = start_named("new", return_arg, NULL);
    FILE *nowhere = fopen("/dev/null", "w");

    (void)arg;
    assert_false(has_calls(print_stack(new)));
    pass_turns(1);
    assert_false(has_calls(print_stack(new)));
    assert_int_equal(rota_await(new), 0);
    assert_int_equal(rota_task_print_stack(new, nowhere), -ROTA_EAWAITED);
    assert_int_equal(rota_task_print_stack((rota_task){0}, nowhere), -EINVAL);
    fclose(nowhere);
    return 0;
}

static void what_has_no_stack_has_no_calls(void)
{
    run_main(print_handles);
}

static __attribute__((noinline)) intptr_t sleep_below(int depth)
{
    intptr_t result = depth > 0 ? sleep_below(depth - 1) : rota_sleep(1);

    return result < 0 ? result : result + 1;
}

static intptr_t sleep_deeply(void *depth)
{
    return sleep_below((int)(intptr_t)depth);
}

static intptr_t print_a_deep_one(void *arg)
{
    rota_task task = start_named("deep", sleep_deeply, (void *)200);
    int lines = 0;

    (void)arg;
    pass_turns(1);
    for (const char *at = print_stack(task); (at = strchr(at, '\n')); at++)
        lines++;
    assert_in_range(lines, 50, 66);
    assert_non_null(strstr(printed, "\n    ...\n"));
    return rota_await(task) - 201;
}

static void of_a_deep_stack_the_innermost_calls_are_shown(void)
{
    run_main(print_a_deep_one);
}

/* --- Who asks ----------------------------------------------------------- */

static rota_task asked;

static void print_asked(void *arg)
{
    (void)arg;
    expect_calls(print_stack(asked), parked_calls);
}

static intptr_t ask_from_a_callback(void *arg)
{
    (void)arg;
    asked = start_named("parked", outer_function, NULL);
    pass_turns(1);
    assert_int_equal(
        rota_call_soon(rota_get_running_loop(), NULL, print_asked, NULL), 0);
    return rota_await(asked) - 2;
}

static void a_callback_may_ask(void)
{
    need_names();
    run_main(ask_from_a_callback);
}

static __attribute__((noinline)) intptr_t begin_at_once(void *arg)
{
    const rota_task_options eager = {.eager_start = true};
    rota_task task;

    asked = rota_current_task();
    assert_int_equal(rota_create_task_with(&task, &eager, arg, NULL), 0);
    return rota_await(task);
}

static intptr_t print_creator(void *arg)
{
    static const char *const calls[] = {"begin_at_once", NULL};

    (void)arg;
    for (int i = 0; i < 3; i++)
        expect_calls(print_stack(asked), calls);
    assert_int_equal(rota_sleep(1), 0);
    expect_calls(print_stack(asked), calls);
    return 0;
}

static intptr_t print_from_an_eager_child(void *arg)
{
    (void)arg;
    return begin_at_once((void *)(uintptr_t)print_creator);
}

static void an_eager_child_sees_its_creator_stand_still(void)
{
    need_names();
    run_main(print_from_an_eager_child);
}

static intptr_t keep_asked(void *arg)
{
    (void)arg;
    asked = start_named("parked", outer_function, NULL);
    pass_turns(1);
    return 0;
}

static intptr_t await_asked(void *arg)
{
    (void)arg;
    return rota_await(asked);
}

static void the_loop_need_not_run(void)
{
    const rota_loop_options options = {.virtual_clock = true};
    rota_loop *loop;

    need_names();
    assert_int_equal(rota_new_event_loop(&loop, &options), 0);
    assert_int_equal(rota_loop_run_until_complete(loop, keep_asked, NULL), 0);
    print_asked(NULL);
    forget_printed();
    assert_int_equal(rota_loop_run_until_complete(loop, await_asked, NULL), 2);
    rota_loop_free(loop);
}

/* --- Going on ----------------------------------------------------------- */

static rota_event event;
static rota_queue *queue;
static rota_future future;

static intptr_t wait_for_event(void *arg)
{
    int err = rota_event_wait(&event);

    return err < 0 ? err : (intptr_t)arg;
}

static intptr_t wait_for_item(void *arg)
{
    intptr_t item = 0;
    int err = rota_queue_get(queue, &item);

    (void)arg;
    return err < 0 ? err : item;
}

static intptr_t wait_for_future(void *arg)
{
    intptr_t result = 0;
    int err = rota_await_future(&future, &result);

    (void)arg;
    return err < 0 ? err : result;
}

static intptr_t gather_two(void *arg)
{
    rota_task tasks[2] = {start(outer_function, arg), start(return_arg, arg)};
    intptr_t results[2] = {0};
    int err = rota_gather(tasks, 2, results, false);

    return err < 0 ? err : results[0] - results[1] + 3;
}

static intptr_t wait_in_scopes(void *arg)
{
    rota_timeout timeout;
    rota_task_group group;
    intptr_t result = 0;
    intptr_t err;

    assert_int_equal(rota_timeout_begin(&timeout, 9), 0);
    assert_int_equal(rota_task_group_begin(&group), 0);
    assert_int_equal(
        rota_task_group_create_task(&group, outer_function, arg, &result), 0);
    err = rota_timeout_end(&timeout, rota_task_group_end(&group, 0));
    return err < 0 ? err : result - (intptr_t)arg + 3;
}

static intptr_t yield_often(void *arg)
{
    for (int i = 0; i < 9; i++)
        if (rota_sleep(0) < 0)
            return -ECANCELED;
    return (intptr_t)arg;
}

static rota_task_function *const waits[] = {
    wait_for_event, wait_for_item,  wait_for_future,
    gather_two,     wait_in_scopes, yield_often,
};

#define WAITS (sizeof waits / sizeof waits[0])

static void start_waits(rota_task *tasks)
{
    rota_event_init(&event);
    assert_int_equal(rota_queue_new(&queue, sizeof(intptr_t), 0), 0);
    rota_future_init(&future, rota_get_running_loop());
    for (size_t i = 0; i < WAITS; i++)
        tasks[i] = start(waits[i], (void *)5);
}

static void end_waits(void)
{
    rota_event_fini(&event);
    rota_queue_free(queue);
    rota_future_fini(&future);
}

static void give_to_waits(void)
{
    const intptr_t item = 5;

    rota_event_set(&event);
    assert_int_equal(rota_queue_put_nowait(queue, &item), 0);
    assert_int_equal(rota_future_set_result(&future, 5), 0);
}

static intptr_t ask_and_let_go_on(void *arg)
{
    rota_task tasks[WAITS];

    (void)arg;
    start_waits(tasks);
    for (int i = 0; i < 3; i++) {
        pass_turns(1);
        (void)print_tree();
        (void)print_tree();
    }
    give_to_waits();
    (void)print_tree(); /* they are woken, and have not run yet */
    for (size_t i = 0; i < WAITS; i++)
        assert_int_equal(rota_await(tasks[i]), 5);
    end_waits();
    return 0;
}

static void who_was_asked_gets_the_result_of_its_wait(void)
{
    run_main(ask_and_let_go_on);
}

static intptr_t ask_and_cancel(void *arg)
{
    rota_task tasks[WAITS];

    (void)arg;
    for (int order = 0; order < 4; order++) {
        start_waits(tasks);
        pass_turns(2);
        if (order & 1)
            (void)print_tree();
        for (size_t i = 0; i < WAITS; i++)
            assert_int_equal(rota_task_cancel(tasks[i]), 1);
        if (order & 2)
            (void)print_tree();
        for (size_t i = 0; i < WAITS; i++)
            assert_int_equal(rota_await(tasks[i]), -ECANCELED);
        end_waits();
    }
    return 0;
}

static void a_cancellation_may_come_before_and_after_the_question(void)
{
    run_main(ask_and_cancel);
}

static intptr_t be_cancelled_while_ready(void *arg)
{
    (void)arg;
    assert_int_equal(rota_sleep(0), -ECANCELED);
    assert_int_equal(rota_sleep(1), 0); /* it was told once */
    return -ECANCELED;
}

static intptr_t ask_and_cancel_the_ready(void *arg)
{
    rota_task task = start(be_cancelled_while_ready, arg);

    pass_turns(1);
    assert_int_equal(rota_task_cancel(task), 1);
    (void)print_tree();
    return rota_await(task) + ECANCELED;
}

static void one_that_is_ready_keeps_its_cancellation(void)
{
    run_main(ask_and_cancel_the_ready);
}

/* --- Little room -------------------------------------------------------- */

/* Leaves so much of its stack, and waits. */
static intptr_t fill_up(void *leave)
{
    struct rota__task *self;
    char here;
    size_t room;
    char *block;

    assert_int_equal(rota__task_find(rota_current_task(), &self), 0);
    room = (size_t)(&here - self->stack->low);
    if (room <= (size_t)leave) /* a fake stack of a sanitizer's */
        return -ENOSPC;
    block = alloca(room - (size_t)leave);
    memset(block, 1, room - (size_t)leave);
    assert_int_equal(rota_sleep(1), 0);
    return block[0];
}

static intptr_t print_the_full(void *arg)
{
    for (intptr_t leave = 4096; leave < 13000; leave += 256) {
        const rota_task_options small = {.stack_size = 16384};
        rota_task task;

        assert_int_equal(
            rota_create_task_with(&task, &small, fill_up, (void *)leave), 0);
        pass_turns(1);
        (void)print_tree();
        if (!rota_task_done(task) && (leave < 8000 || leave > 12500))
            assert_int_equal(has_calls(print_stack(task)), leave > 12500);
        assert_true(rota_await(task) == 1 || harness_under(HARNESS_ASAN));
    }
    return (intptr_t)arg;
}

static void a_small_stack_that_is_nearly_full_is_not_walked(void)
{
    run_main(print_the_full);
}

/* --- High water --------------------------------------------------------- */

static intptr_t use_stack(void *arg)
{
    volatile char *block = alloca((size_t)arg);

    for (size_t i = 0; i < (size_t)arg; i++)
        block[i] = (char)i;
    return rota_sleep(1);
}

/* What a task has used that takes so much. */
static intptr_t high_water_of(size_t size)
{
    rota_task task = start_named("user", use_stack, (void *)size);
    intptr_t high;

    pass_turns(1);
    high = rota_task_stack_high_water(task);
    (void)print_tree(); /* which leaves it a few frames deeper, no more */
    (void)print_stack(task);
    assert_in_range(rota_task_stack_high_water(task) - high, 0, 1500);
    assert_int_equal(rota_await(task), 0);
    return high;
}

static intptr_t measure(void *arg)
{
    intptr_t first = high_water_of(16); /* with the dynamic linker's part */
    intptr_t little = high_water_of(16);
    intptr_t more = high_water_of(10000);

    (void)arg;
    assert_true(first >= little);
    assert_in_range(little, 16, 8000);
    assert_in_range(more - little, 9000, 11000);
    assert_in_range(high_water_of(20000) - more, 9000, 11000);
    assert_in_range(high_water_of(16), 16, 8000); /* on the same stack */
    assert_true(rota_task_stack_high_water(rota_current_task()) > little);
    return 0;
}

static void the_high_water_mark_is_what_a_task_has_ever_used(void)
{
    assert_int_equal(run_in_debug_mode(measure, NULL), 0);
    forget_printed();
}

static intptr_t print_high_water(void *arg)
{
    rota_task task = start_named("user", use_stack, (void *)20000);
    char line[100];

    (void)arg;
    pass_turns(1);
    snprintf(line, sizeof line, ") waits, %td of ",
             rota_task_stack_high_water(task));
    assert_non_null(strstr(print_tree(), line));
    assert_non_null(strstr(printed, " bytes of stack used\n"));
    return rota_await(task);
}

static void the_tree_tells_it_in_debug_mode(void)
{
    assert_int_equal(run_in_debug_mode(print_high_water, NULL), 0);
    forget_printed();
}

static intptr_t ask_for_what_is_not_known(void *arg)
{
    rota_task task = start(return_arg, arg);

    assert_int_equal(rota_task_stack_high_water(task), -ROTA_ESTATE);
    assert_null(strstr(print_tree(), "bytes of stack"));
    rota_set_debug(rota_get_running_loop(), true);
    assert_int_equal(rota_task_stack_high_water(task), -ROTA_ESTATE);
    rota_set_debug(rota_get_running_loop(), false);
    assert_int_equal(rota_await(task), 0);
    assert_int_equal(rota_task_stack_high_water(task), -ROTA_EAWAITED);
    assert_int_equal(rota_task_stack_high_water((rota_task){0}), -EINVAL);
    return 0;
}

static void only_debug_mode_knows_it(void)
{
    run_main(ask_for_what_is_not_known);
}

HARNESS_MAIN(TEST(a_parked_stack_names_static_functions_and_nothing_of_ours),
             TEST(the_running_task_can_look_at_itself),
             TEST(in_the_tree_they_stand_below_their_task),
             TEST(what_has_no_stack_has_no_calls),
             TEST(of_a_deep_stack_the_innermost_calls_are_shown),
             TEST(a_callback_may_ask),
             TEST(an_eager_child_sees_its_creator_stand_still),
             TEST(the_loop_need_not_run),
             TEST(who_was_asked_gets_the_result_of_its_wait),
             TEST(a_cancellation_may_come_before_and_after_the_question),
             TEST(one_that_is_ready_keeps_its_cancellation),
             TEST(a_small_stack_that_is_nearly_full_is_not_walked),
             TEST(the_high_water_mark_is_what_a_task_has_ever_used),
             TEST(the_tree_tells_it_in_debug_mode),
             TEST(only_debug_mode_knows_it))
