/* SPDX-License-Identifier: MIT */
/*
 * rota-ps PID: prints the tree of tasks of a live process
 */
#include "ps.h"
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    STATUS_OK,
    STATUS_NO_ROTA,
    STATUS_USAGE,
    STATUS_NO_PROCESS,
    STATUS_NOT_PERMITTED,
    STATUS_UNKNOWN,
};

static const char help[] =
    "usage: rota-ps [-n] PID\n"
    "\n"
    "Prints the tasks of a process that uses rota: who waits for whom, where\n"
    "each was made, and where it stands. The process is not stopped.\n"
    "\n"
    "  -n, --no-traces  the tree alone, without back-traces\n"
    "  -h, --help       this text\n"
    "      --version    the version of rota that this belongs to\n";

static int complain_about(pid_t pid, int err)
{
    if (err == -ENOENT || err == -ESRCH) {
        fprintf(stderr, "rota-ps: there is no process %d\n", (int)pid);
        return STATUS_NO_PROCESS;
    }
    fprintf(stderr, "rota-ps: process %d: %s\n", (int)pid, strerror(-err));
    if (err != -EACCES && err != -EPERM)
        return STATUS_UNKNOWN;
    fprintf(stderr,
            "The kernel lets those read a process who may debug it: the same "
            "user (if\n/proc/sys/kernel/yama/ptrace_scope is 0, or the "
            "process is a child), or one with\nCAP_SYS_PTRACE, as root has. "
            "Try sudo.\n");
    return STATUS_NOT_PERMITTED;
}

static int say_what_was_not_found(const struct process *process,
                                  const struct anchors *anchors)
{
    int pid = (int)process->pid;

    if (anchors->version != 0) {
        fprintf(stderr,
                "rota-ps: process %d has a rota whose anchor is of version "
                "%u, which this rota-ps does not know\n",
                pid, (unsigned)anchors->version);
        return STATUS_UNKNOWN;
    }
    if (anchors->alien) {
        fprintf(stderr,
                "rota-ps: process %d is of another processor or pointer "
                "size\n",
                pid);
        return STATUS_UNKNOWN;
    }
    fprintf(stderr, "rota-ps: there is no rota in process %d\n", pid);
    if (anchors->unopened > 0)
        fprintf(stderr, "(%zu of its files could not be opened)\n",
                anchors->unopened);
    return STATUS_NO_ROTA;
}

static void print_loops(struct loops *loops, struct tracer *tracer)
{
    if (loops->count == 0)
        printf("no tasks\n");
    for (size_t i = loops->count; i-- > 0;) {
        if (loops->count > 1)
            printf("Loop %llu:\n", (unsigned long long)loops->loops[i].number);
        tree_print(&loops->loops[i], tracer);
    }
    if (loops->torn)
        printf("(the tasks change too fast to see all of them)\n");
}

static const char *missing(const struct anchors *anchors,
                           const struct tracer *tracer)
{
    if (!tracer)
        return tracer_missing();
    for (size_t i = 0; i < anchors->count; i++)
        if (!anchors->layouts[i].has_registers)
            return "its tasks' registers are the C library's";
    return NULL;
}

/* An error if the process has ended meanwhile: what was read is in pieces. */
static int print_process(const struct process *process,
                         const struct anchors *anchors, bool traces)
{
    struct tracer *tracer = traces ? tracer_open(process) : NULL;
    struct loops loops = {0};
    uint64_t known;
    const char *why = traces ? missing(anchors, tracer) : NULL;
    int err;

    for (size_t i = 0; i < anchors->count; i++)
        loops_read(&loops, process, &anchors->layouts[i], tracer);
    err =
        process_read(process, anchors->layouts[0].known, &known, sizeof known);
    if (err == 0)
        print_loops(&loops, tracer);
    loops_free(&loops);
    tracer_close(tracer);
    fflush(stdout);
    if (err == 0 && why)
        fprintf(stderr, "rota-ps: no back-traces: %s\n", why);
    return err;
}

static int look_into(pid_t pid, bool traces)
{
    static struct anchors anchors;
    struct process process;
    int err = process_open(&process, pid);
    int status = STATUS_OK;

    if (err == 0)
        err = anchors_find(&process, &anchors);
    if (err == 0 && anchors.count == 0)
        status = say_what_was_not_found(&process, &anchors);
    else if (err == 0)
        err = print_process(&process, &anchors, traces);
    process_close(&process);
    return err < 0 ? complain_about(pid, err) : status;
}

static pid_t parse_pid(const char *text)
{
    char *end;
    long pid;

    errno = 0;
    pid = strtol(text, &end, 10);
    return errno == 0 && end != text && !*end && pid > 0 && pid <= INT32_MAX
               ? (pid_t)pid
               : 0;
}

static int refuse_usage(void)
{
    fputs("usage: rota-ps [-n] PID\n", stderr);
    return STATUS_USAGE;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"no-traces", no_argument, NULL, 'n'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'v'},
        {0},
    };
    bool traces = true;
    int option;

    while ((option = getopt_long(argc, argv, "nh", options, NULL)) != -1) {
        switch (option) {
        case 'n':
            traces = false;
            break;
        case 'h':
            fputs(help, stdout);
            return STATUS_OK;
        case 'v':
            puts("rota-ps " PS_VERSION);
            return STATUS_OK;
        default:
            return refuse_usage();
        }
    }
    if (optind + 1 != argc || parse_pid(argv[optind]) == 0)
        return refuse_usage();
    return look_into(parse_pid(argv[optind]), traces);
}
