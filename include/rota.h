/* SPDX-License-Identifier: MIT */
/*
 * rota: asyncio's event loop, written in C
 *
 * Include this one header. Each chapter of asyncio's manual has a header of
 * its own below; the comment of a function is its manual page.
 *
 * Conventions that hold everywhere:
 *
 *   - An `int` or `intptr_t` result in [-4095, -1] is an error: -errno of the
 *     system, or one of rota's own (-ROTA_E...). Anything else is a value.
 *     rota_is_error() tells, rota_strerror() explains.
 *   - Times are seconds, as `double`, on the loop's monotonic clock.
 *   - A constructor fills its first parameter, and only on success.
 *   - What a comment calls "awaits" suspends the calling task, and only that
 *     task; it returns -ROTA_ENOTASK outside one.
 *   - Every call belongs to the thread of its loop, but for those whose name
 *     ends in _threadsafe.
 */
#ifndef ROTA_H
#define ROTA_H

#include <rota/address.h>
#include <rota/base.h>
#include <rota/context.h>
#include <rota/loop.h>
#include <rota/future.h>
#include <rota/scope.h>
#include <rota/task.h>
#include <rota/run.h>
#include <rota/concurrent.h>
#include <rota/executor.h>
#include <rota/pool.h>
#include <rota/signal.h>
#include <rota/sync.h>
#include <rota/wait.h>
#include <rota/queue.h>
#include <rota/tls.h>
#include <rota/transport.h>
#include <rota/datagram.h>
#include <rota/dns.h>
#include <rota/sock.h>
#include <rota/stream.h>
#include <rota/server.h>
#include <rota/subprocess.h>
#include <rota/subprocess_transport.h>
#include <rota/file.h>
#include <rota/debug.h>

#endif
