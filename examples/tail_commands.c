/* SPDX-License-Identifier: MIT */
/*
 * What several commands say, as they say it: `tail_commands COMMAND...`
 *
 *     tail_commands 'tail -f /var/log/syslog' 'ping -i 5 localhost'
 *
 * A line of a command's stdout goes to stdout, one of its stderr to stderr,
 * with its number and first word before it. It ends when all have ended. On
 * SIGINT or SIGTERM they are asked to end, with all that they have started,
 * and are listened to until they have; after a few seconds, or at once by a
 * second signal, they are killed.
 */
#include <rota.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE 8192
#define PATIENCE 3.0

struct command {
    const char *text;
    int number;
    rota_process *process; /* while it runs */
};

static struct command *commands;
static int command_count;
static rota_task main_task;
static int interrupted_by;
static bool any_failed;

/* --- Lines ---------------------------------------------------------------- */

static void print_name(const struct command *command, FILE *to)
{
    int length = (int)strcspn(command->text, " \t");

    fprintf(to, "[%d %.*s] ", command->number, length, command->text);
}

static intptr_t print_line(const struct command *command, const char *line,
                           size_t size, FILE *to)
{
    print_name(command, to);
    fwrite(line, 1, size, to);
    if (line[size - 1] != '\n')
        putc('\n', to);
    return fflush(to) == 0 ? 0 : -errno;
}

/* One that is too long comes in pieces. */
static intptr_t print_lines(const struct command *command, rota_stream *from,
                            FILE *to)
{
    char line[LINE];
    intptr_t n;

    do {
        n = rota_read_line(from, line, sizeof line);
        if (n == -ROTA_ELIMIT)
            n = rota_read(from, line, sizeof line);
        if (n <= 0)
            return n;
        n = print_line(command, line, (size_t)n, to);
    } while (n == 0);
    return n;
}

static intptr_t print_errors(void *arg)
{
    const struct command *command = arg;

    return print_lines(command, rota_process_stderr(command->process), stderr);
}

static intptr_t print_both(struct command *command)
{
    rota_task_group group;
    intptr_t err = rota_task_group_begin(&group);

    if (err == 0)
        err = rota_task_group_create_task(&group, print_errors, command, NULL);
    if (err == 0)
        err =
            print_lines(command, rota_process_stdout(command->process), stdout);
    return rota_task_group_end(&group, err);
}

/* --- Commands ------------------------------------------------------------- */

/* All that it has started and that is still in its group. */
static void send_signal(const struct command *command, int number)
{
    if (command->process)
        kill(-rota_process_pid(command->process), number);
}

static void tell_end(const struct command *command, int returncode)
{
    print_name(command, stderr);
    if (returncode < 0)
        fprintf(stderr, "killed by %s\n", rota_signal_name(-returncode));
    else
        fprintf(stderr, "exit status %d\n", returncode);
    any_failed |= returncode != 0;
}

static intptr_t listen_to(struct command *command)
{
    int returncode;
    intptr_t err = print_both(command);

    if (err == 0)
        err = rota_process_wait(command->process, &returncode);
    if (err == 0)
        tell_end(command, returncode);
    return err;
}

static intptr_t follow(void *arg)
{
    const rota_subprocess_options options = {
        .in = ROTA_DEVNULL,
        .out = ROTA_PIPE,
        .err = ROTA_PIPE,
        .process_group = ROTA_OWN_GROUP,
    };
    struct command *command = arg;
    intptr_t err;

    if (interrupted_by)
        return 0;
    err = rota_create_subprocess_shell(&command->process, command->text,
                                       &options);
    if (err < 0)
        return err;
    err = listen_to(command);
    if (err < 0)
        send_signal(command, SIGKILL);
    rota_process_free(command->process);
    command->process = NULL;
    return err;
}

/* --- All of them ---------------------------------------------------------- */

static void give_up(void *arg)
{
    (void)arg;
    if (!rota_task_done(main_task))
        rota_task_cancel(main_task);
}

static void on_signal(void *number)
{
    rota_loop *loop = rota_get_running_loop();
    const bool again = interrupted_by != 0;

    interrupted_by = (int)(intptr_t)number;
    if (again || rota_call_later(loop, NULL, PATIENCE, give_up, NULL) < 0)
        give_up(NULL);
    for (int i = 0; i < command_count; i++)
        send_signal(&commands[i], SIGTERM);
}

static intptr_t follow_all(void)
{
    rota_task_group group;
    intptr_t err = rota_task_group_begin(&group);

    for (int i = 0; err == 0 && i < command_count; i++)
        err = rota_task_group_create_task(&group, follow, &commands[i], NULL);
    return rota_task_group_end(&group, err);
}

static intptr_t amain(void *arg)
{
    rota_loop *loop = rota_get_running_loop();
    int err;

    (void)arg;
    main_task = rota_current_task();
    err = rota_add_signal_handler(loop, SIGINT, on_signal, (void *)SIGINT);
    if (err == 0)
        err =
            rota_add_signal_handler(loop, SIGTERM, on_signal, (void *)SIGTERM);
    return err < 0 ? err : follow_all();
}

int main(int argc, char **argv)
{
    intptr_t err;

    command_count = argc - 1;
    if (command_count == 0) {
        fprintf(stderr, "usage: tail_commands COMMAND...\n");
        return 2;
    }
    commands = calloc((size_t)command_count, sizeof *commands);
    if (!commands)
        return 1;
    for (int i = 0; i < command_count; i++)
        commands[i] = (struct command){argv[i + 1], i + 1, NULL};
    signal(SIGPIPE, SIG_IGN); /* a write fails, and the commands are ended */
    err = rota_run(amain, NULL);
    free(commands);
    if (interrupted_by)
        raise(interrupted_by); /* whoever has started us is to know */
    if (err < 0)
        fprintf(stderr, "tail_commands: %s\n", rota_strerror(err));
    return err < 0 || any_failed;
}
