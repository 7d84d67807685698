/* SPDX-License-Identifier: MIT */
/*
 * Schedules: the runs
 *
 *     for each seed: undisturbed --its steps and waits--> one disturbed run
 *                    after the other
 *
 * The steps of an undisturbed run and of a disturbed one with the same seed
 * are the same up to the disturbance, so a walk over the numbers of steps is
 * a walk over all states of all tasks. For the first seeds it is complete;
 * the others go on where the one before has stopped. In the end every place
 * and state (parked there; ready there) that an undisturbed run has shown, and
 * that no cancellation has met yet, is met by one.
 */
#include "schedules.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "task/task.h"

enum {
    IN_ORDER = 4,  /* seeds that do not shuffle */
    COMPLETE = 12, /* seeds whose walk is over all steps and waits */
    CANCELS = 10,  /* of one step, for each other seed */
    LIMITS = 3,    /* of one wait */
    LUCKS = 1,     /* of each mode that disturbs several times */
    STRIDE = 7919, /* of the walk; a prime greater than any run is long */
    MOST_TASKS = 32,
    MOST_SLOTS = 128,
    MOST_LINES = 1024,
    MOST_TURNS = 20000,
    MOST_AT_ONCE = 12, /* disturbances of one run */
};

enum mode {
    UNDISTURBED,
    CANCEL,
    LIMIT,
    SEVERAL_CANCELS,
    SEVERAL_LIMITS,
    STORM
};

static const char *const mode_names[] = {"undisturbed", "cancel", "limit",
                                         "cancels",     "limits", "storm"};

struct schedule {
    enum mode mode;
    uint64_t seed;
    unsigned long at;
};

/* Where a task waits; by its slot. */
struct place {
    uint64_t id;
    const struct schedules_wait *wait; /* the innermost, or NULL */
    bool asked;                        /* the injector has cancelled it */
    bool owed;                         /* and it has not been told */
};

enum state { PARKED, READY };

/* What the injector has met: a line and a state. */
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
    bool failed;
    char happened[512]; /* the last disturbance */
    char what[4096];
} run;

static struct place places[MOST_SLOTS];
static struct site sites[MOST_LINES][2];
static unsigned long walked;

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
    snprintf(run.what, sizeof run.what,
             "ROTA_TEST_SCHEDULE=%s:%" PRIu64 ":%lu, turn %lu%s: ",
             mode_names[run.schedule.mode], run.schedule.seed, run.schedule.at,
             run.turns, run.happened);
}

/* The library may stop the program, and a sanitizer may: in which run? */
void __sanitizer_set_death_callback(void (*callback)(void))
    __attribute__((weak));

static void say_schedule(void)
{
    if (run.loop)
        fprintf(stderr, "it was ROTA_TEST_SCHEDULE=%s:%" PRIu64 ":%lu%s\n",
                mode_names[run.schedule.mode], run.schedule.seed,
                run.schedule.at, run.happened);
}

static void say_schedule_at(int number)
{
    say_schedule();
    signal(number, SIG_DFL);
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

static bool lucky(enum mode one, enum mode several, unsigned long number)
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

void schedules_wait_begin(struct schedules_wait *wait, bool limitable)
{
    struct place *place = my_place();
    double seconds;

    wait->outer = place->wait;
    place->wait = wait;
    if (!limitable || !lucky(LIMIT, SEVERAL_LIMITS, run.waits++))
        return;
    wait->limited = true;
    run.disturbances++;
    seconds = pick(&run.luck, 2) ? 0 : pick(&run.luck, 3);
    snprintf(run.happened, sizeof run.happened,
             ", %g s for \"%.200s\" in line %d at turn %lu", seconds,
             wait->what, wait->line, run.turns);
    if (rota_timeout_begin(&wait->limit, seconds) < 0)
        abort();
}

/* A request must be told once, and nothing else may pass for one. */
static void check_request(struct place *place,
                          const struct schedules_wait *wait, intptr_t result)
{
    bool told = result == -ECANCELED;

    if (wait->strict && place->owed && !told && result != -ROTA_ECLOSING)
        BREAK("line %d: a request to cancel was lost (%s)", wait->line,
              wait->what);
    if (wait->strict && told && rota_task_cancelling(rota_current_task()) == 0)
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
    site = &sites[line][task->waiting ? PARKED : READY];
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

rota_task schedules_start(rota_task_function *function, void *arg)
{
    rota_task task;

    if (rota_loop_create_task(run.loop, &task, function, arg) < 0 ||
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
        .seed = schedule->seed < IN_ORDER ? 0 : schedule->seed,
        .eager_start = variant % 4 == 0,
        .debug = variant / 4 % 8 == 0,
    };

    if (schedule->seed < IN_ORDER) {
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

static bool holds(const schedules_scenario *scenario,
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

/* --- All runs ------------------------------------------------------------ */

static uint64_t number_of_seeds(void)
{
    const char *value = getenv("ROTA_TEST_SCHEDULES");
    uint64_t seeds = value ? strtoull(value, NULL, 0) : 0;

    if (seeds == 0)
        seeds = (uint64_t)(1000 / harness_slowness());
    return seeds < COMPLETE ? COMPLETE : seeds;
}

/* A part of all `count` numbers, or all of them. */
static bool walk(const schedules_scenario *scenario, enum mode mode,
                 uint64_t seed, unsigned long count, unsigned long some)
{
    unsigned long n = seed < COMPLETE ? count : some;

    for (unsigned long i = 0; i < n && count > 0; i++) {
        struct schedule next = {mode, seed, i};

        if (seed >= COMPLETE)
            next.at = walked++ * STRIDE % count;
        if (!holds(scenario, &next))
            return false;
    }
    return true;
}

static bool seed_holds(const schedules_scenario *scenario, uint64_t seed)
{
    struct schedule undisturbed = {UNDISTURBED, seed, 0};
    unsigned long steps, waits;

    if (!holds(scenario, &undisturbed))
        return false;
    steps = run.steps;
    waits = run.waits;
    return walk(scenario, CANCEL, seed, steps, CANCELS) &&
           walk(scenario, LIMIT, seed, waits, LIMITS) &&
           walk(scenario, SEVERAL_CANCELS, seed, LUCKS, LUCKS) &&
           walk(scenario, SEVERAL_LIMITS, seed, LUCKS, LUCKS) &&
           walk(scenario, STORM, seed, LUCKS, LUCKS);
}

/* What was seen, and has not been cancelled in the walk, is. */
static bool sites_hold(const schedules_scenario *scenario)
{
    for (int line = 0; line < MOST_LINES; line++)
        for (int state = PARKED; state <= READY; state++) {
            struct site *site = &sites[line][state];

            if (!site->seen || site->hit)
                continue;
            if (!holds(scenario, &site->first))
                return false;
            if (!site->hit) {
                begin_complaint();
                add("the run is not the same each time");
                return false;
            }
        }
    return true;
}

static bool all_hold(const schedules_scenario *scenario)
{
    uint64_t seeds = number_of_seeds();

    signal(SIGABRT, say_schedule_at);
    if (__sanitizer_set_death_callback)
        __sanitizer_set_death_callback(say_schedule);
    else
        signal(SIGSEGV, say_schedule_at);
    memset(sites, 0, sizeof sites);
    walked = 0;
    for (uint64_t seed = 0; seed < seeds + IN_ORDER; seed++)
        if (!seed_holds(scenario, seed))
            return false;
    return sites_hold(scenario);
}

const char *schedules_run(const schedules_scenario *scenario, const char *name)
{
    struct schedule schedule = {0};
    const char *rest = strchr(name, ':');

    while (rest && schedule.mode <= STORM &&
           strncmp(name, mode_names[schedule.mode], (size_t)(rest - name)) != 0)
        schedule.mode++;
    if (!rest || schedule.mode > STORM ||
        sscanf(rest, ":%" SCNu64 ":%lu", &schedule.seed, &schedule.at) != 2)
        fail_msg("ROTA_TEST_SCHEDULE is not MODE:SEED:AT: %s", name);
    return holds(scenario, &schedule) ? NULL : run.what;
}

const char *schedules_break(const schedules_scenario *scenario)
{
    return all_hold(scenario) ? NULL : run.what;
}

void schedules_hold(const schedules_scenario *scenario)
{
    const char *name = getenv("ROTA_TEST_SCHEDULE");
    const char *what =
        name ? schedules_run(scenario, name) : schedules_break(scenario);

    if (what)
        fail_msg("%s", what);
}
