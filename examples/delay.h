/* SPDX-License-Identifier: MIT */
/*
 * What the delay server answers
 */
#ifndef EXAMPLES_DELAY_H
#define EXAMPLES_DELAY_H

#include "http.h"

int delay_answer(rota_stream *stream, const struct http_message *request,
                 void *arg);

#endif
