/* SPDX-License-Identifier: MIT */
/*
 * A program that is interrupted from its terminal
 *
 * Says "ready" when its main task waits ("wait"), does not heed to be
 * cancelled ("stay"), or holds the loop for ever ("hold"); then what has become
 * of the run.
 */
#include <rota.h>
#include <stdio.h>
#include <string.h>

static void say(const char *what)
{
    puts(what);
    fflush(stdout);
}

static intptr_t amain(void *how)
{
    int err;

    say("ready");
    while (strcmp(how, "hold") == 0)
        ;
    err = rota_sleep(1e9);
    say("cancelled");
    if (strcmp(how, "stay") == 0)
        err = rota_sleep(1e9);
    return err;
}

int main(int argc, char **argv)
{
    intptr_t result = rota_run(amain, argc > 1 ? argv[1] : "wait");

    say(rota_errname(result));
    return 3;
}
