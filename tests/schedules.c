/* SPDX-License-Identifier: MIT */
/*
 * Schedules: one run
 *
 * The injector is a handle of each turn. It looks at every task, notes where
 * it stands, cancels the one whose step it is, and goes back into the ready
 * queue; or, when nothing else is there, it takes the time of the next timer,
 * so that the clock can move on. So nothing happens between two of its looks
 * but one turn, in two parts.
 */
#include "schedules_run.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "task/task.h"

enum {
    MOST_TASKS = 32,
    MOST_SLOTS = 128,
    MOST_STARTS = 128,
    MOST_LINES = 1024,
    MOST_TURNS = 20000,
    MOST_AT_ONCE = 12, /* disturbances of one run */
};

const char *const schedules_modes[] = {"undisturbed", "cancel", "limit",
                                       "cancels",     "limits", "storm"};

/* Where a task waits; by its slot. */
struct place {
    uint64_t id;
    const struct schedules_wait *wait; /* the innermost, or NULL */
    bool asked;                        /* the injector has cancelled it */
    bool owed;                         /* and it has not been told */
    int told;                          /* requests, not taken back since */
};

/* What schedules_start() was given. */
struct start {
    rota_task_function *function;
    void *arg;
};

/* What the injector has met: a line, and whether its task is parked. */
struct site {
    bool seen;
    bool hit;
    struct schedule first; /* that would hit it */
};

static struct {
    const schedules_scenario *scenario;
    struct schedule schedule;
    rota_loop *loop;
    struct rota__timer injector;
    uint64_t luck;          /* the injector's */
    uint64_t scenario_luck; /* the same for the same seed */
    unsigned rarity;
    unsigned disturbances;
    unsigned long turns;
    unsigned long steps;
    unsigned long waits;
    size_t started;
    bool failed;
    char name[64];
    char happened[512]; /* the last disturbance */
    char what[4096];
} run;

static struct place places[MOST_SLOTS];
static struct start starts[MOST_STARTS];
static struct site sites[2 * MOST_LINES];

/* --- What goes wrong ----------------------------------------------------- */

__attribute__((format(printf, 1, 2))) static void add(const char *format, ...)
{
    size_t used = strlen(run.what);
    va_list args;

    va_start(args, format);
    vsnprintf(run.what + used, sizeof run.what - used, format, args);
    va_end(args);
}

static void describe_tasks(void)
{
    rota_task tasks[MOST_TASKS];
    size_t count = rota_all_tasks(run.loop, tasks, MOST_TASKS);

    for (size_t i = 0; i < count && i < MOST_TASKS; i++) {
        const struct place *place = &places[tasks[i].slot % MOST_SLOTS];
        struct rota__task *task = NULL;

        if (rota__task_find(tasks[i], &task) < 0 || !task)
            continue;
        add("\n  %s, %s, ", rota__task_name(task),
            task->waiting ? "parked" : "ready");
        if (place->id == tasks[i].id && place->wait)
            add("at line %d: %s", place->wait->line, place->wait->what);
        else
            add("at its beginning, or in no AWAIT");
    }
}

/* Only the first thing that goes wrong counts. */
#define BREAK(...)                                                             \
    do {                                                                       \
        if (!run.failed) {                                                     \
            begin_complaint();                                                 \
            add(__VA_ARGS__);                                                  \
            describe_tasks();                                                  \
        }                                                                      \
    } while (0)

static void begin_complaint(void)
{
    run.failed = true;
    snprintf(run.what, sizeof run.what, "%s, turn %lu%s: ", run.name, run.turns,
             run.happened);
}

static void say(const char *text)
{
    ssize_t written = write(STDERR_FILENO, text, strlen(text));

    (void)written;
}

static void say_run(void)
{
    if (!run.loop)
        return;
    say("it was ");
    say(run.name);
    say(run.happened);
    say("\n");
}

/* The library may stop the program, and a sanitizer may: in which run? */
void __sanitizer_set_death_callback(void (*callback)(void))
    __attribute__((weak));

static void say_run_at(int number)
{
    say_run();
    signal(number, SIG_DFL);
}

void schedules_watch_death(void)
{
    signal(SIGABRT, say_run_at);
    if (__sanitizer_set_death_callback)
        __sanitizer_set_death_callback(say_run);
    else
        signal(SIGSEGV, say_run_at);
}

void schedules_check(bool ok, const char *what, int line)
{
    if (!ok)
        BREAK("line %d: not true: %s", line, what);
}

static void take_exception(rota_loop *loop,
                           const rota_exception_context *context, void *arg)
{
    (void)loop;
    (void)arg;
    BREAK("%s: %s (%s)", context->message, rota_errname(context->error),
          context->name ? context->name : "no task");
}

/* --- Luck ---------------------------------------------------------------- */

static uint64_t mix(uint64_t a, uint64_t b)
{
    uint64_t state = (a + 1) * 0x9e3779b97f4a7c15u + b + 1;

    (void)rota__random(&state);
    return rota__random(&state);
}

static unsigned pick(uint64_t *luck, unsigned below)
{
    return (unsigned)((rota__random(luck) >> 32) % below);
}

unsigned schedules_pick(unsigned below)
{
    return pick(&run.scenario_luck, below);
}

static bool lucky(enum schedules_mode one, enum schedules_mode several,
                  unsigned long number)
{
    if (run.schedule.mode == one)
        return number == run.schedule.at;
    if (run.schedule.mode != several && run.schedule.mode != STORM)
        return false;
    return run.disturbances < MOST_AT_ONCE && pick(&run.luck, run.rarity) == 0;
}

/* --- Waits --------------------------------------------------------------- */

static struct place *my_place(void)
{
    rota_task self = rota_current_task();
    struct place *place = &places[self.slot % MOST_SLOTS];

    if (place->id != self.id)
        *place = (struct place){.id = self.id};
    return place;
}

bool schedules_asked(void)
{
    return my_place()->asked;
}

bool schedules_disturbed(void)
{
    return run.disturbances > 0;
}

size_t schedules_alive(void)
{
    return rota_all_tasks(run.loop, NULL, 0);
}

static int requests(void)
{
    return rota_task_cancelling(rota_current_task());
}

static void limit(struct schedules_wait *wait)
{
    double seconds = pick(&run.luck, 2) ? 0 : pick(&run.luck, 3);

    wait->limited = true;
    run.disturbances++;
    snprintf(run.happened, sizeof run.happened,
             ", %g s for \"%.200s\" in line %d at turn %lu", seconds,
             wait->what, wait->line, run.turns);
    if (rota_timeout_begin(&wait->limit, seconds) < 0)
        abort();
}

void schedules_wait_begin(struct schedules_wait *wait, bool limitable)
{
    struct place *place = my_place();

    wait->outer = place->wait;
    place->wait = wait;
    if (place->told > requests())
        place->told = requests();
    if (limitable && lucky(LIMIT, SEVERAL_LIMITS, run.waits++))
        limit(wait);
}

/* Each request must be told once, and nothing else may pass for one. */
static void check_request(struct place *place,
                          const struct schedules_wait *wait, intptr_t result)
{
    bool told = result == -ECANCELED;

    if (wait->strict && place->owed && !told && result != -ROTA_ECLOSING)
        BREAK("line %d: a request to cancel was lost (%s)", wait->line,
              wait->what);
    if (wait->strict && told && ++place->told > requests())
        BREAK("line %d: cancelled without a request (%s)", wait->line,
              wait->what);
    if (told)
        place->owed = false;
}

intptr_t schedules_wait_end(struct schedules_wait *wait, intptr_t result)
{
    struct place *place = my_place();

    if (wait->limited)
        result = rota_timeout_end(&wait->limit, result);
    check_request(place, wait, result);
    place->wait = wait->outer;
    return result;
}

/* --- The injector -------------------------------------------------------- */

static void cancel(rota_task handle, struct place *place, const char *name)
{
    const struct schedules_wait *wait = place ? place->wait : NULL;

    run.disturbances++;
    snprintf(run.happened, sizeof run.happened,
             ", %s cancelled in line %d (\"%.200s\") at turn %lu", name,
             wait ? wait->line : 0, wait ? wait->what : "", run.turns);
    if (rota_task_cancel(handle) != 1)
        BREAK("a task that is alive cannot be cancelled");
    if (!place)
        return;
    place->asked = true;
    place->owed |= !wait || wait->strict;
}

static void look_at(rota_task handle)
{
    struct place *place = &places[handle.slot % MOST_SLOTS];
    struct rota__task *task = NULL;
    unsigned long step = run.steps++;
    struct site *site;
    int line;

    if (rota__task_find(handle, &task) < 0 || !task)
        return;
    if (place->id != handle.id)
        place = NULL;
    line = place && place->wait ? place->wait->line % MOST_LINES : 0;
    site = &sites[2 * line + (task->waiting != NULL)];
    if (!site->seen && run.schedule.mode == UNDISTURBED) {
        site->seen = true;
        site->first = (struct schedule){CANCEL, run.schedule.seed, step};
    }
    if (!lucky(CANCEL, SEVERAL_CANCELS, step))
        return;
    site->hit = true;
    cancel(handle, place, rota__task_name(task));
}

/* Nothing is ready but the injector, which has just been taken out. */
static bool nothing_goes_on(void)
{
    return rota__list_empty(&run.loop->running) &&
           rota__list_empty(&run.loop->ready);
}

/* True while there is something to wait for. */
static bool come_again(void)
{
    struct rota__heap_node *next = rota__heap_min(&run.loop->timers);
    bool resting = nothing_goes_on();

    if (resting && run.scenario->rest)
        run.scenario->rest();
    if (resting && next)
        return rota__timer_arm(run.loop, &run.injector, next->key) == 0;
    if (resting && !(run.scenario->idle && run.scenario->idle())) {
        BREAK("a deadlock: nothing is ready, no timer is set");
        return false;
    }
    rota__ready(run.loop, &run.injector.handle);
    return true;
}

static void inject(struct rota__handle *handle)
{
    rota_task tasks[MOST_TASKS];
    size_t count = rota_all_tasks(run.loop, tasks, MOST_TASKS);

    (void)handle;
    if (count > MOST_TASKS)
        abort();
    if (++run.turns > MOST_TURNS)
        BREAK("it goes on after %lu turns", run.turns);
    for (size_t i = 0; i < count; i++)
        look_at(tasks[i]);
    if (count == 0 || run.failed || !come_again())
        rota_loop_stop(run.loop);
}

/* --- One run ------------------------------------------------------------- */

/* A task that was cancelled waits once more: it must not be told again. */
static intptr_t run_start(void *arg)
{
    const struct start *start = arg;
    struct schedules_wait last = {.what = "the last wait", .strict = true};
    intptr_t result = start->function(start->arg);

    if (result != -ECANCELED)
        return result;
    schedules_wait_begin(&last, false);
    (void)schedules_wait_end(&last, rota_sleep(0));
    return result;
}

rota_task schedules_start(rota_task_function *function, void *arg)
{
    struct start *start = &starts[run.started++ % MOST_STARTS];
    rota_task task;

    *start = (struct start){function, arg};
    if (run.started > MOST_STARTS ||
        rota_loop_create_task(run.loop, &task, run_start, start) < 0 ||
        rota_detach(task) < 0)
        abort();
    return task;
}

static void make_loop(const struct schedule *schedule)
{
    uint64_t variant = mix(schedule->seed, 0);
    rota_loop_options options = {
        .poller = getenv("ROTA_POLLER") ? NULL : "sim",
        .virtual_clock = true,
        .seed = schedule->seed < SCHEDULES_IN_ORDER ? 0 : schedule->seed,
        .eager_start = variant % 4 == 0,
        .debug = variant / 4 % 8 == 0,
    };

    if (schedule->seed < SCHEDULES_IN_ORDER) {
        options.eager_start = schedule->seed & 1;
        options.debug = schedule->seed & 2;
    }
    if (rota_new_event_loop(&run.loop, &options) < 0)
        abort();
    rota_set_exception_handler(run.loop, take_exception, NULL);
}

static void prepare(const schedules_scenario *scenario,
                    const struct schedule *schedule)
{
    memset(&run, 0, sizeof run);
    memset(places, 0, sizeof places);
    run.scenario = scenario;
    run.schedule = *schedule;
    snprintf(run.name, sizeof run.name, "ROTA_TEST_SCHEDULE=%s:%" PRIu64 ":%lu",
             schedules_modes[schedule->mode], schedule->seed, schedule->at);
    run.luck = mix(schedule->seed, schedule->at + 1);
    run.scenario_luck = mix(schedule->seed, 0);
    run.rarity = 2u << pick(&run.luck, 4);
    make_loop(schedule);
    rota__timer_init(&run.injector, inject);
    rota__ready(run.loop, &run.injector.handle);
}

/* A run that has broken down may have left its tasks where they stand. */
static void take_down(void)
{
    if (run.failed)
        rota_loop_close(run.loop);
    if (run.scenario->end)
        run.scenario->end();
    rota_loop_free(run.loop);
    run.loop = NULL;
}

bool schedules_holds(const schedules_scenario *scenario,
                     const struct schedule *schedule)
{
    long blocks = harness_live_blocks();

    prepare(scenario, schedule);
    scenario->begin(run.loop);
    if (rota_loop_run_forever(run.loop) < 0)
        abort();
    if (schedule->mode == CANCEL && run.disturbances == 0)
        BREAK("this run has no such step");
    take_down();
    if (!run.failed && harness_live_blocks() != blocks) {
        begin_complaint();
        add("%ld blocks are left", harness_live_blocks() - blocks);
    }
    return !run.failed;
}

const char *schedules_complaint(void)
{
    return run.what;
}

unsigned long schedules_steps(void)
{
    return run.steps;
}

unsigned long schedules_waits(void)
{
    return run.waits;
}

void schedules_forget_sites(void)
{
    memset(sites, 0, sizeof sites);
}

const struct schedule *schedules_site_left(size_t *at)
{
    for (; *at < rota__countof(sites); ++*at)
        if (sites[*at].seen && !sites[*at].hit)
            return &sites[*at].first;
    return NULL;
}
