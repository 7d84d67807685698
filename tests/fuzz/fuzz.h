/* SPDX-License-Identifier: MIT */
/*
 * Fuzzing: what the targets share
 *
 * A target is a function of some bytes, with libFuzzer's name, so that
 * `./do fuzz` explores it; linked with replay.c it is a test of the suite,
 * which tries bytes of a generator. It aborts when something is wrong.
 */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include "harness.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
void fuzz_end(void); /* gives back what a target has kept; optional */

/* The bytes as a stream of decisions; zeros when they are used up. */
struct input {
    const uint8_t *at;
    const uint8_t *end;
};

static inline unsigned next_byte(struct input *input)
{
    return input->at < input->end ? *input->at++ : 0;
}

static inline uint64_t next_word(struct input *input)
{
    uint64_t word = 0;

    for (int i = 0; i < 8; i++)
        word = word << 8 | next_byte(input);
    return word;
}

#endif
