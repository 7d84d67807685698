/* SPDX-License-Identifier: MIT */
/*
 * The monotonic clock
 */
#include "os/os.h"
#include <time.h>

int64_t rota__clock_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * ROTA__SECOND + now.tv_nsec;
}
