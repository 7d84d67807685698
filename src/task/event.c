/* SPDX-License-Identifier: MIT */
/*
 * Event: a flag that tasks wait for
 */
#include "task/task.h"

void rota_event_init(rota_event *event)
{
    rota__queue_open(&event->queue);
    event->set = false;
}

void rota_event_fini(rota_event *event)
{
    rota__queue_end(&event->queue, "rota_event_fini");
}

void rota_event_set(rota_event *event)
{
    event->set = true;
    rota__queue_wake_all(&event->queue);
}

void rota_event_clear(rota_event *event)
{
    event->set = false;
}

bool rota_event_is_set(const rota_event *event)
{
    return event->set;
}

int rota_event_wait(rota_event *event)
{
    struct rota__place place;
    int err = 0;
    struct rota__task *self = rota__waiting_task("rota_event_wait", &err);

    if (!self || event->set)
        return err;
    err = rota__queue_bind(&event->queue, self->loop);
    if (err < 0)
        return err;
    return rota__queue_wait(self, &event->queue, &place);
}
