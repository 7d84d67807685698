/* SPDX-License-Identifier: MIT */
/*
 * Parts 8 and 9: how to treat the event loop, and how to picture it
 */
#include "tutorial.h"
#include <stdio.h>

intptr_t event_loop_best_practices(void *arg)
{
    (void)arg;
    puts("\n--- Event Loop Best Practices ---");
    puts("\n"
         "DO:\n"
         "✓ Use asyncio.run() to start your program\n"
         "✓ Use await with all async operations\n"
         "✓ Let the event loop handle task scheduling\n"
         "✓ Use async libraries (aiohttp, not requests)\n"
         "✓ Keep individual tasks small and focused\n"
         "\n"
         "DON'T:\n"
         "✗ Block the event loop with CPU-intensive work\n"
         "✗ Use time.sleep() - use asyncio.sleep()\n"
         "✗ Use blocking I/O (regular file operations, requests)\n"
         "✗ Manually manage the event loop (unless necessary)\n"
         "✗ Create multiple event loops in one thread\n"
         "\n"
         "REMEMBER:\n"
         "- The event loop is single-threaded\n"
         "- It can only run one task at a time\n"
         "- Concurrency comes from switching during I/O waits\n"
         "- For CPU-bound work, use multiprocessing\n");
    return 0;
}

static const char models[] =
    "\n"
    "Mental Model 1: Restaurant Kitchen\n"
    "- Event loop = Head chef\n"
    "- Coroutines = Dishes being prepared\n"
    "- await = Waiting for oven/ingredient\n"
    "- The chef switches between dishes when each is waiting\n"
    "\n"
    "Mental Model 2: Single-Lane Highway\n"
    "- Event loop = The single lane\n"
    "- Tasks = Cars on the highway\n"
    "- await = Car pulls over (rest stop, gas)\n"
    "- Other cars can pass while one is stopped\n"
    "\n"
    "Mental Model 3: Juggler\n"
    "- Event loop = The juggler\n"
    "- Tasks = Balls in the air\n"
    "- await = Ball is in the air (not in hand)\n"
    "- Juggler catches/throws other balls while each is airborne\n"
    "\n"
    "Key Insight: \n"
    "The event loop doesn't make things happen in parallel.\n"
    "It efficiently switches between tasks when they're waiting.\n"
    "This is called COOPERATIVE MULTITASKING.\n";

intptr_t event_loop_mental_models(void *arg)
{
    (void)arg;
    puts("\n--- Event Loop Mental Models ---");
    puts(models);
    return 0;
}
