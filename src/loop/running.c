/* SPDX-License-Identifier: MIT */
/*
 * Which loop is whose: the thread's running loop and its set one
 */
#include "loop/loop.h"

_Thread_local rota_loop *rota__running_loop;
static _Thread_local rota_loop *set_loop;

rota_loop *rota_get_running_loop(void)
{
    return rota__running_loop;
}

rota_loop *rota_get_event_loop(void)
{
    return rota__running_loop ? rota__running_loop : set_loop;
}

void rota_set_event_loop(rota_loop *loop)
{
    set_loop = loop;
}
