/* SPDX-License-Identifier: MIT */
/*
 * Context variables between threads, and in the clients of a server
 */
#include "contexts.h"
#include "sockets.h"

#include <pthread.h>

#define THREADS 8
#define TIMES 200

static void start_threads(pthread_t *threads, void *(*function)(void *),
                          void *arg)
{
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, function, arg), 0);
}

static void join_threads(const pthread_t *threads)
{
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

static void on_a_thread(void *(*function)(void *), void *arg)
{
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, function, arg), 0);
    pthread_join(thread, NULL);
}

/* --- A thread's own context --------------------------------------------- */

static void *set_here(void *word)
{
    assert_string_equal(value(), "none");
    set(word);
    assert_string_equal(value(), word);
    return NULL;
}

static void a_thread_begins_with_nothing_and_leaves_nothing(void)
{
    rota_context_token token = set_with_token("main");
    long before = harness_live_blocks();

    on_a_thread(set_here, (void *)"thread");
    assert_int_equal(harness_live_blocks(), before);
    assert_string_equal(value(), "main");
    assert_int_equal(reset(&token), 0);
}

static pthread_key_t key;

static void set_at_the_end(void *word)
{
    set(word);
}

static void *keep_for_the_end(void *word)
{
    set(word);
    assert_int_equal(pthread_setspecific(key, word), 0);
    return NULL;
}

static void what_a_thread_sets_while_it_ends_is_given_back_too(void)
{
    assert_int_equal(pthread_key_create(&key, set_at_the_end), 0);
    on_a_thread(keep_for_the_end, (void *)"late");
    assert_int_equal(harness_live_blocks(), 0);
    pthread_key_delete(key);
}

static intptr_t set_in_a_context(void *word)
{
    set(word);
    return 1;
}

static void *run_in(void *context)
{
    assert_string_equal(value(), "none");
    assert_int_equal(
        rota_context_run(context, set_in_a_context, (void *)"thread"), 1);
    assert_string_equal(value(), "none");
    return NULL;
}

static void a_context_may_go_to_another_thread_and_come_back(void)
{
    rota_context_token token = set_with_token("main");
    rota_context *context = copy_here();

    on_a_thread(run_in, context);
    assert_string_equal(value_in(context), "thread");
    rota_context_free(context);
    assert_int_equal(reset(&token), 0);
}

/* What a reset looks at is a pointer of another thread. */
static void *reset_main(void *token)
{
    assert_int_equal(reset(token), -EINVAL);
    set("a");
    assert_int_equal(reset(token), -EINVAL);
    return NULL;
}

static void a_token_of_one_thread_is_of_no_use_in_another(void)
{
    rota_context_token token = set_with_token("main");

    on_a_thread(reset_main, &token);
    assert_int_equal(reset(&token), 0);
}

static intptr_t inherit_and_set(void *word)
{
    assert_int_equal(expect(word), 0);
    set("task");
    return 0;
}

static void *run_a_loop(void *word)
{
    set(word);
    assert_int_equal(rota_run(inherit_and_set, word), 0);
    assert_string_equal(value(), word);
    return NULL;
}

static void each_threads_loop_begins_with_the_threads_own(void)
{
    pthread_t threads[THREADS];

    start_threads(threads, run_a_loop, (void *)"thread");
    join_threads(threads);
    assert_string_equal(value(), "none");
}

/* --- Shared by many ----------------------------------------------------- */

static intptr_t copy_and_change(void *context)
{
    rota_context *copy = copy_here();

    assert_string_equal(value(), "main");
    if (context) {
        set("changed");
        assert_int_equal(rota_context_run(copy, copy_and_change, NULL), 0);
    }
    rota_context_free(copy);
    return 0;
}

static rota_context *copies[THREADS][TIMES];

static void *use_copies(void *number)
{
    for (int i = 0; i < TIMES; i++) {
        rota_context **copy = &copies[(intptr_t)number][i];

        assert_int_equal(rota_context_run(*copy, copy_and_change, copy), 0);
        assert_string_equal(value_in(*copy), "changed");
        rota_context_free(*copy);
    }
    return NULL;
}

static void copies_on_many_threads_share_and_part(void)
{
    rota_context_token token = set_with_token("main");
    pthread_t threads[THREADS];

    for (int i = 0; i < THREADS; i++)
        for (int j = 0; j < TIMES; j++)
            copies[i][j] = copy_here();
    for (intptr_t i = 0; i < THREADS; i++)
        assert_int_equal(
            pthread_create(&threads[i], NULL, use_copies, (void *)i), 0);
    for (int i = 0; i < TIMES; i++)
        rota_context_free(copy_here());
    join_threads(threads);
    assert_string_equal(value(), "main");
    assert_int_equal(reset(&token), 0);
    assert_int_equal(harness_live_blocks(), 0);
}

/* --- Posts -------------------------------------------------------------- */

static rota_future all_came;
static int to_come;

static void come(void *word)
{
    assert_string_equal(value(), word);
    set("gone");
    if (--to_come == 0)
        assert_int_equal(rota_future_set_result(&all_came, 0), 0);
}

/* Half of the posts keep their handles themselves. */
struct poster {
    pthread_t thread;
    char word[8];
    rota_handle handles[TIMES];
    rota_loop *loop;
};

static struct poster posters[THREADS];

static void *post_from_here(void *arg)
{
    struct poster *poster = arg;

    for (int i = 0; i < TIMES; i++) {
        rota_handle *handle = i % 2 ? &poster->handles[i] : NULL;

        set(poster->word);
        assert_int_equal(
            rota_call_soon_threadsafe(poster->loop, handle, come, poster->word),
            0);
        set("other");
    }
    return NULL;
}

static void start_poster(int number)
{
    struct poster *poster = &posters[number];

    snprintf(poster->word, sizeof poster->word, "%d", number);
    poster->loop = rota_get_running_loop();
    assert_int_equal(
        pthread_create(&poster->thread, NULL, post_from_here, poster), 0);
}

static intptr_t await_posts(void *arg)
{
    (void)arg;
    set("main");
    to_come = THREADS * TIMES;
    rota_future_init(&all_came, rota_get_running_loop());
    for (int i = 0; i < THREADS; i++)
        start_poster(i);
    assert_int_equal(rota_await_future(&all_came, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(posters[i].thread, NULL);
    rota_future_fini(&all_came);
    assert_string_equal(value(), "main");
    return 0;
}

static void a_posted_callback_has_the_context_of_the_thread_that_posts(void)
{
    assert_int_equal(rota_run(await_posts, NULL), 0);
}

static void *post_to_a_loop_that_closes(void *loop)
{
    set("posted");
    assert_int_equal(rota_call_soon_threadsafe(loop, NULL, come, NULL), 0);
    return NULL;
}

static void a_post_that_never_runs_gives_its_context_back(void)
{
    rota_loop *loop;

    assert_int_equal(rota_new_event_loop(&loop, NULL), 0);
    on_a_thread(post_to_a_loop_that_closes, loop);
    rota_loop_free(loop);
    assert_int_equal(harness_live_blocks(), 0);
}

/* --- Tasks of other threads --------------------------------------------- */

static void *ask_for_a_task(void *loop)
{
    rota_concurrent_future *future;

    set("asker");
    assert_int_equal(rota_run_coroutine_threadsafe(
                         loop, &future, inherit_and_set, (void *)"asker"),
                     0);
    set("later");
    assert_int_equal(rota_concurrent_future_result(future, INFINITY), 0);
    rota_concurrent_future_free(future);
    assert_string_equal(value(), "later");
    assert_int_equal(
        rota_call_soon_threadsafe(loop, NULL, come, (void *)"later"), 0);
    return NULL;
}

static intptr_t serve_a_thread(void *arg)
{
    pthread_t thread;

    (void)arg;
    set("main");
    to_come = 1;
    rota_future_init(&all_came, rota_get_running_loop());
    assert_int_equal(
        pthread_create(&thread, NULL, ask_for_a_task, rota_get_running_loop()),
        0);
    assert_int_equal(rota_await_future(&all_came, NULL), 0);
    pthread_join(thread, NULL);
    rota_future_fini(&all_came);
    assert_string_equal(value(), "main");
    return 0;
}

static void a_task_for_another_thread_runs_in_a_copy_of_that_threads(void)
{
    assert_int_equal(rota_run(serve_a_thread, NULL), 0);
}

static rota_loop *moving;

static void *go_on_with_it(void *arg)
{
    (void)arg;
    set("thread");
    assert_int_equal(rota_loop_run_forever(moving), 0);
    assert_string_equal(value(), "thread");
    return NULL;
}

static intptr_t stop_in_between(void *arg)
{
    (void)arg;
    set("task");
    rota_loop_stop(moving);
    assert_int_equal(expect((void *)"task"), 0);
    rota_loop_stop(moving);
    return 0;
}

static void a_task_keeps_its_own_when_its_loop_changes_threads(void)
{
    rota_task task;

    assert_int_equal(rota_new_event_loop(&moving, NULL), 0);
    assert_int_equal(
        rota_loop_create_task(moving, &task, stop_in_between, NULL), 0);
    assert_int_equal(rota_detach(task), 0);
    assert_int_equal(rota_loop_run_forever(moving), 0);
    on_a_thread(go_on_with_it, NULL);
    assert_string_equal(value(), "none");
    rota_loop_free(moving);
}

/* --- The clients of a server -------------------------------------------- */

static int clients_left;

static intptr_t look_and_set(rota_stream *stream, void *arg)
{
    char byte;

    assert_string_equal(value(), "server");
    set("client");
    assert_int_equal(rota_read(stream, &byte, 1), 1);
    assert_string_equal(value(), "client");
    assert_ptr_equal(arg, &clients_left);
    clients_left--;
    return 0;
}

static int port_of(const rota_server *server)
{
    rota_address address;

    assert_int_equal(rota_server_address(server, 0, &address), 0);
    return rota_address_port(&address);
}

static intptr_t connect_clients(void *arg)
{
    rota_server *server;
    int fds[3];

    (void)arg;
    set("server");
    assert_int_equal(
        rota_start_server(&server, look_and_set, &clients_left, "127.0.0.1", 0),
        0);
    set("later");
    clients_left = 3;
    for (int i = 0; i < 3; i++)
        fds[i] = bare_connect(port_of(server));
    for (int i = 0; i < 3; i++)
        bare_send(fds[i], "x", 1);
    while (clients_left > 0)
        assert_int_equal(rota_sleep(0), 0);
    rota_server_free(server);
    for (int i = 0; i < 3; i++)
        close(fds[i]);
    return expect((void *)"later");
}

static void the_clients_of_a_server_inherit_from_who_started_it(void)
{
    assert_int_equal(rota_run(connect_clients, NULL), 0);
}

HARNESS_MAIN(TEST(a_thread_begins_with_nothing_and_leaves_nothing),
             TEST(what_a_thread_sets_while_it_ends_is_given_back_too),
             TEST(a_context_may_go_to_another_thread_and_come_back),
             TEST(a_token_of_one_thread_is_of_no_use_in_another),
             TEST(each_threads_loop_begins_with_the_threads_own),
             TEST(copies_on_many_threads_share_and_part),
             TEST(a_posted_callback_has_the_context_of_the_thread_that_posts),
             TEST(a_post_that_never_runs_gives_its_context_back),
             TEST(a_task_for_another_thread_runs_in_a_copy_of_that_threads),
             TEST(a_task_keeps_its_own_when_its_loop_changes_threads),
             TEST(the_clients_of_a_server_inherit_from_who_started_it))
