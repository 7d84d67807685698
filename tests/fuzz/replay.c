/* SPDX-License-Identifier: MIT */
/*
 * A target without a fuzzer: bytes of a generator, or files
 *
 * `fuzz_x` is a test of the suite; `fuzz_x FILE...` repeats what a fuzzer has
 * found. Half of the inputs are of a few values only, which is where the
 * separators, digits and small decisions are.
 */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST = 400 }; /* COUNT inputs: see meson.build */

/* What a target keeps from one input to the next goes here. */
#pragma weak fuzz_end

static uint64_t draw(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + 1442695040888963407;
    return *state >> 16;
}

static void fill(uint8_t *data, size_t size, uint64_t *state)
{
    static const char common[] = "0123456789abcdef.:%@[]/,h2\n";
    uint64_t kind = draw(state) % 4;

    for (size_t i = 0; i < size; i++) {
        uint64_t drawn = draw(state) >> 20;

        if (kind == 0)
            data[i] = (uint8_t)common[drawn % (sizeof common - 1)];
        else
            data[i] = (uint8_t)(kind == 1 ? drawn % 16 : drawn);
    }
}

static void bytes_of_a_generator_do_no_harm(void)
{
    uint64_t state = 1;
    long count = (long)(COUNT / harness_slowness()) + 50;

    for (long i = 0; i < count; i++) {
        size_t size = draw(&state) % LONGEST;
        uint8_t *data = malloc(size ? size : 1); /* its end is guarded */

        assert_non_null(data);
        fill(data, size, &state);
        LLVMFuzzerTestOneInput(data, size);
        free(data);
    }
    if (fuzz_end)
        fuzz_end();
}

static int replay(const char *name)
{
    static uint8_t data[1 << 20];
    FILE *file = fopen(name, "rb");
    size_t size;

    if (!file) {
        perror(name);
        return 1;
    }
    size = fread(data, 1, sizeof data, file);
    fclose(file);
    LLVMFuzzerTestOneInput(data, size);
    return 0;
}

int main(int argc, char **argv)
{
    static const harness_test tests[] = {
        TEST_TIMEOUT(bytes_of_a_generator_do_no_harm, 120),
    };
    int status = 0;

    if (argc == 1 || argv[1][0] == '-')
        return harness_main(argc, argv, tests, 1);
    for (int i = 1; i < argc; i++)
        status |= replay(argv[i]);
    return status;
}
