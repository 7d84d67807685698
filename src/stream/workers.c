/* SPDX-License-Identifier: MIT */
/*
 * Workers: one server on several threads
 *
 *     caller's task --cancel request--> worker's task   (posts, both ways)
 *                   <----"has ended"----
 *
 * The caller holds the port: sockets that are bound and never listen, so that
 * port 0 is the same one for all. It makes the loops and frees them when their
 * threads have ended, so a post always has a loop to go to.
 */
#include "stream/stream.h"
#include <rota/run.h>
#include <rota/scope.h>
#include <rota/server.h>

struct workers;

struct worker {
    struct workers *all;
    rota_loop *loop;
    pthread_t thread;
    struct rota__task *task; /* of its loop; NULL before and after */
    int told;                /* how often it was told to end */
    rota_handle requests[2]; /* to end; to hurry */
    struct rota__message ended;
    bool over; /* and the caller's loop has heard of it */
    int error;
};

struct workers {
    rota_client_connected *client;
    void *arg;
    rota_workers_options options;
    rota_server_options server_options;
    rota_server *port;
    rota_addresses addresses;  /* of its sockets, with their ports */
    struct rota__link waiters; /* the caller's task */
    struct rota__at_close at_close;
    struct worker *items;
    int count;   /* that were prepared */
    int started; /* threads */
    int alive;
    int requests; /* that each has had */
    int error;    /* the first of those that have ended */
};

/* --- On the worker's thread --------------------------------------------- */

static int wait_for_clients(rota_server *server, double grace)
{
    rota_timeout timeout;
    int err;

    if (grace <= 0)
        return 0;
    rota_timeout_begin(&timeout, grace);
    err = rota_server_wait_closed(server);
    return (int)rota_timeout_end(&timeout, err);
}

/* A request that comes while it ends has nothing more to hurry. */
static void end_clients(rota_server *server)
{
    rota_server_cancel_clients(server);
    while (rota_server_wait_closed(server) == -ECANCELED)
        (void)rota_task_uncancel(rota_current_task());
}

static int serve(struct worker *worker, rota_server *server)
{
    const rota_workers_options *options = &worker->all->options;
    rota_address address;
    double grace;
    int err = rota_server_address(server, 0, &address);

    if (err == 0)
        err = rota_server_start_serving(server);
    if (err == 0 && options->started)
        err = options->started(&address, worker->all->arg);
    if (err < 0)
        return err;
    err = rota_server_wait_closed(server);
    while (rota_task_cancelling(rota_current_task()) > 0)
        (void)rota_task_uncancel(rota_current_task());
    rota_server_close(server);
    /* Both requests may have come at once. */
    grace = worker->told > 1 ? 0 : options->grace;
    if (wait_for_clients(server, grace) == -ECANCELED)
        (void)rota_task_uncancel(rota_current_task());
    end_clients(server);
    if (options->stopped)
        options->stopped(worker->all->arg);
    return err == -ECANCELED ? 0 : err;
}

static intptr_t run_worker(void *arg)
{
    struct worker *worker = arg;
    struct workers *all = worker->all;
    rota_server *server;
    int err;

    if (worker->told > 0)
        return 0;
    worker->task = rota__current();
    err = rota__start_server_at(&server, worker->loop, &all->addresses,
                                all->client, all->arg, &all->server_options);
    if (err == 0) {
        err = serve(worker, server);
        rota_server_free(server);
    }
    worker->task = NULL;
    return err;
}

/* Runs in the worker's loop. */
static void end_worker(void *arg)
{
    struct worker *worker = arg;

    worker->told++;
    if (worker->task)
        rota__task_cancel(worker->task);
}

static void worker_ended(struct rota__message *message, bool dropped);

static void *run_thread(void *arg)
{
    struct worker *worker = arg;

    worker->error =
        (int)rota_loop_run_until_complete(worker->loop, run_worker, worker);
    (void)rota__tasks_cancel_all(worker->loop);
    rota__send(worker->all->port->loop, &worker->ended, worker_ended);
    return NULL;
}

/* --- On the caller's thread --------------------------------------------- */

static void worker_ended(struct rota__message *message, bool dropped)
{
    struct worker *worker = rota__container_of(message, struct worker, ended);
    struct workers *all = worker->all;

    if (dropped)
        return;
    worker->over = true;
    all->alive--;
    if (all->error == 0)
        all->error = worker->error;
    rota__unpark_all(&all->waiters, 0);
}

/* Each request goes out once; there is room for two. */
static void request(struct workers *all)
{
    int which = all->requests;

    if (which == 2)
        return;
    all->requests++;
    for (int i = 0; i < all->started; i++) {
        struct worker *worker = &all->items[i];

        (void)rota_call_soon_threadsafe(worker->loop, &worker->requests[which],
                                        end_worker, worker);
    }
}

static void join(struct workers *all)
{
    for (int i = 0; i < all->started; i++)
        pthread_join(all->items[i].thread, NULL);
}

/* What has been posted to a loop that closes must not outlive its memory. */
static void take_posts_back(struct workers *all)
{
    rota__take_from_threads(all->port->loop);
    for (int i = 0; i < all->started; i++)
        if (!all->items[i].over)
            rota__unready(&all->items[i].ended.handle);
}

static void free_all(struct workers *all)
{
    for (int i = 0; i < all->count; i++)
        rota_loop_free(all->items[i].loop);
    rota__free(all->items);
    rota_addresses_free(&all->addresses);
    rota_server_free(all->port);
}

static void loop_closes(struct rota__at_close *at_close)
{
    struct workers *all =
        rota__container_of(at_close, struct workers, at_close);

    request(all);
    request(all);
    join(all);
    take_posts_back(all);
    free_all(all);
}

/* The port of each bound socket; the workers only read them. */
static int copy_addresses(const rota_server *port, rota_addresses *out)
{
    out->items = rota__zalloc(port->port_count * sizeof(*out->items));
    if (!out->items)
        return -ENOMEM;
    out->count = port->port_count;
    for (size_t i = 0; i < out->count; i++) {
        int err = rota_server_address(port, i, &out->items[i]);

        if (err < 0)
            return err;
    }
    return 0;
}

static int prepare(struct workers *all, int count)
{
    int err = copy_addresses(all->port, &all->addresses);

    if (err < 0)
        return err;
    all->items = rota__zalloc((size_t)count * sizeof(*all->items));
    if (!all->items)
        return -ENOMEM;
    while (err == 0 && all->count < count) {
        struct worker *worker = &all->items[all->count];

        worker->all = all;
        err = rota_new_event_loop(&worker->loop, &all->options.loop);
        all->count++;
    }
    return err;
}

static int start(struct workers *all)
{
    while (all->started < all->count) {
        struct worker *worker = &all->items[all->started];
        int err = rota__thread_start(&worker->thread, run_thread, worker);

        if (err < 0)
            return err;
        all->started++;
        all->alive++;
    }
    return 0;
}

/* Until all have ended. One that ends by itself has failed: so do all. */
static int wait_for_workers(struct workers *all, struct rota__task *self,
                            int err)
{
    int result = err;

    while (all->alive > 0) {
        struct rota__waiter waiter;

        if (result < 0 && all->requests == 0)
            request(all);
        err = (int)rota__park_in(self, &waiter, &all->waiters);
        if (err < 0)
            request(all);
        if (result == 0)
            result = err < 0 ? err : all->error;
    }
    return result;
}

static int run_all(struct workers *all, struct rota__task *self, int count)
{
    int err = prepare(all, count);

    rota__at_close_add(self->loop, &all->at_close, loop_closes);
    if (err == 0)
        err = start(all);
    err = wait_for_workers(all, self, err);
    rota__at_close_remove(&all->at_close);
    join(all);
    free_all(all);
    return err;
}

int rota_serve_workers(rota_client_connected *client, void *arg,
                       const char *host, int port,
                       const rota_workers_options *options)
{
    struct rota__task *self = rota__current();
    struct workers all = {.client = client, .arg = arg};
    int count;
    int err = self ? 0 : -ROTA_ENOTASK;

    rota__list_init(&all.waiters);
    if (options)
        all.options = *options;
    count = all.options.workers ? all.options.workers : rota__processors();
    if (err == 0 && (!client || count < 0 || all.options.grace < 0))
        err = -EINVAL;
    if (err < 0)
        return err;
    all.server_options = all.options.server;
    all.server_options.reuse_port = true;
    all.server_options.do_not_serve = true;
    err = rota_start_server_with(&all.port, client, arg, host, port,
                                 &all.server_options);
    all.server_options.hosts = NULL;
    return err < 0 ? err : run_all(&all, self, count);
}
