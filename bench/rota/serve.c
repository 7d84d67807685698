/* SPDX-License-Identifier: MIT */
/*
 * rota's services: the command line
 */
#include "serve.h"

#include <stdio.h>
#include <string.h>

enum { UNSUPPORTED = 3 };

struct call {
    const struct service *service;
    const char *at, *what;
};

static intptr_t amain(void *arg)
{
    const struct call *call = arg;

    return call->service->serve(call->at, call->what);
}

rota_tls_context *serve_tls(const char *pem)
{
    rota_tls_context_options options = {.server = true, .certificate = pem};
    rota_tls_context *context = NULL;
    char why[ROTA_TLS_MESSAGE];
    int err = rota_tls_context_new(&context, &options, why);

    if (err < 0)
        fprintf(stderr, "bench: TLS: %s: %s\n", rota_strerror(err), why);
    return err < 0 ? NULL : context;
}

int serve_main(int argc, char **argv, const struct service *services)
{
    const struct service *service = services;
    struct call call;
    intptr_t result;

    if (argc < 3 || argc > 4) {
        fprintf(stderr, "usage: %s SERVICE AT [WHAT]\n", argv[0]);
        return 2;
    }
    while (service->name != NULL && strcmp(service->name, argv[1]) != 0)
        service++;
    if (service->name == NULL ||
        (strcmp(argv[1], "tls") == 0 && !rota_has_tls())) {
        printf("%s unsupported\n", argv[1]);
        return UNSUPPORTED;
    }
    call = (struct call){service, argv[2], argv[3]};
    result = rota_run(amain, &call);
    if (rota_is_error(result))
        fprintf(stderr, "bench: %s: %s\n", argv[1], rota_strerror(result));
    return rota_is_error(result);
}
