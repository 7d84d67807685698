/* SPDX-License-Identifier: MIT */
/*
 * Part 1: what the event loop is
 */
#include "tutorial.h"
#include <stdio.h>

intptr_t explain_event_loop(void *arg)
{
    (void)arg;
    puts("\n--- What is the Event Loop? ---");
    puts("\n"
         "The Event Loop is like a conductor of an orchestra:\n"
         "- It knows about all the musicians (coroutines)\n"
         "- It tells each when to play (schedule)\n"
         "- It switches between them smoothly (context switching)\n"
         "- It handles pauses and timing (await, sleep)\n"
         "\n"
         "Key responsibilities:\n"
         "1. Schedule coroutines and callbacks\n"
         "2. Perform network I/O operations\n"
         "3. Run subprocesses\n"
         "4. Handle OS signals\n"
         "5. Manage timers and delays\n");
    return 0;
}
