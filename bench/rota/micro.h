/* SPDX-License-Identifier: MIT */
/*
 * rota's own figures: what the files of rota_micro share
 */
#ifndef BENCH_ROTA_MICRO_H
#define BENCH_ROTA_MICRO_H

#include <rota.h>

/* Runs body(n) as the main task of a new loop and returns its figure. */
double micro_run(double (*body)(long n), long n);

/* Ends the program on an error. */
void micro_must(intptr_t result);

double queue(long n);
double lock(long n);
double gather(long n);
double timeout_scope(long n);
double print_tasks(long n);
double timer_arm(long n);
double timer_cancel(long n);
double timer_fire(long n);
double timer_churn(long n);
double echo_in_process(long n);
double raw_switch(long n);

double executor_1(long n);
double executor_64(long n);
double executor_1_wall(long n);
double executor_64_wall(long n);
double executor_own(long n);
double processes_1(long n);
double processes_map(long n);
double child_1(long n);
double child_big(long n);
double child_1000(long n);
double pipe_out(long n);
double pipe_in(long n);
double pipe_both(long n);
double file_pread(long n);
double file_small(long n);
double file_sync(long n);
double raise_signals(long n);

#endif
