/* SPDX-License-Identifier: MIT */
/*
 * Debug mode, misuse, and errors that no caller can be told of
 */
#include "loop/loop.h"
#include <rota/debug.h>
#include <stdarg.h>
#include <stdio.h>

void rota_set_debug(rota_loop *loop, bool on)
{
    loop->debug = on;
    loop->watched = on || loop->watchdog;
}

bool rota_get_debug(const rota_loop *loop)
{
    return loop->debug;
}

void rota_set_slow_callback_duration(rota_loop *loop, double seconds)
{
    loop->slow_callback = rota__to_ns(seconds);
}

double rota_get_slow_callback_duration(const rota_loop *loop)
{
    return (double)loop->slow_callback / (double)ROTA__SECOND;
}

void rota__report(const char *format, ...)
{
    va_list args;
    char line[512];

    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    fprintf(stderr, "rota: %s\n", line);
}

void rota__name_handle(rota_loop *loop, struct rota__handle *handle, char *out,
                       size_t size)
{
    char name[96];

    if (loop->describe && loop->describe(loop, handle, out, size))
        return;
    rota__name_function(rota__handle_function(handle), name, sizeof name);
    snprintf(out, size, "callback %s", name);
}

int rota__misuse(const rota_loop *loop, int error, const char *function,
                 const char *fix)
{
    if (loop && loop->debug)
        rota__fatal("%s: %s; %s", function, rota_strerror(error), fix);
    return error;
}

static bool foreign_thread(const rota_loop *loop)
{
    uintptr_t owner = loop->thread;

    return owner != 0 && owner != rota__thread_self();
}

void rota__check_thread_closely(const rota_loop *loop, const char *function)
{
    if (foreign_thread(loop))
        (void)rota__misuse(loop, -ROTA_ETHREAD, function,
                           "use rota_call_soon_threadsafe");
}

int rota__check_closely(const rota_loop *loop, const char *function)
{
    if (rota__unlikely(loop->closed))
        return rota__misuse(loop, -ROTA_ECLOSED, function,
                            "a closed loop takes no more work");
    if (rota__unlikely(loop->debug) && foreign_thread(loop))
        return rota__misuse(loop, -ROTA_ETHREAD, function,
                            "use rota_call_soon_threadsafe");
    return 0;
}

void rota_set_exception_handler(rota_loop *loop,
                                rota_exception_handler *handler, void *arg)
{
    rota__check_thread(loop, "rota_set_exception_handler");
    loop->exception_handler = handler;
    loop->exception_arg = arg;
}

void rota_call_exception_handler(rota_loop *loop,
                                 const rota_exception_context *context)
{
    if (loop->exception_handler)
        loop->exception_handler(loop, context, loop->exception_arg);
    else
        rota_default_exception_handler(loop, context);
}

void rota_default_exception_handler(rota_loop *loop,
                                    const rota_exception_context *context)
{
    (void)loop;
    fprintf(stderr, "rota: %s", context->message);
    if (context->name)
        fprintf(stderr, ": %s", context->name);
    if (context->error)
        fprintf(stderr, ": %s (%s)", rota_strerror(context->error),
                rota_errname(context->error));
    fputc('\n', stderr);
}
