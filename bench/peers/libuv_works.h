/* SPDX-License-Identifier: MIT */
/*
 * The works of the peer libuv that are not in libuv.c: see bench/README.md
 */
#ifndef BENCH_LIBUV_WORKS_H
#define BENCH_LIBUV_WORKS_H

double libuv_executor_1(long n);
double libuv_executor_64(long n);
double libuv_executor_1_wall(long n);
double libuv_executor_64_wall(long n);
double libuv_child_1(long n);
double libuv_child_big(long n);
double libuv_child_1000(long n);
double libuv_pipe_out(long n);
double libuv_pipe_in(long n);
double libuv_pipe_both(long n);
double libuv_file_pread(long n);
double libuv_file_small(long n);
double libuv_file_sync(long n);
double libuv_signal(long n);

#endif
