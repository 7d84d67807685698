/* SPDX-License-Identifier: MIT */
/*
 * Lists: the two operations that are not worth inlining
 */
#include "base/base.h"

static void join(struct rota__link *before, struct rota__link *after)
{
    before->next = after;
    after->prev = before;
}

void rota__list_append(struct rota__link *list, struct rota__link *from)
{
    if (rota__list_empty(from))
        return;
    join(list->prev, from->next);
    join(from->prev, list);
    rota__list_init(from);
}

void rota__list_prepend(struct rota__link *list, struct rota__link *from)
{
    if (rota__list_empty(from))
        return;
    join(from->prev, list->next);
    join(list, from->next);
    rota__list_init(from);
}
