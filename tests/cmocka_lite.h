/* SPDX-License-Identifier: MIT */
/*
 * The assertions of cmocka that the tests use, for machines without cmocka
 * (a cross build). They print as cmocka prints, and abort.
 */
#ifndef TESTS_CMOCKA_LITE_H
#define TESTS_CMOCKA_LITE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define fail_msg(...)                                                          \
    do {                                                                       \
        fprintf(stderr, __VA_ARGS__);                                          \
        fprintf(stderr, "\n%s:%d: error: Failure!\n", __FILE__, __LINE__);     \
        abort();                                                               \
    } while (0)
#define fail() fail_msg("%s", "fail()")

#define assert_true(expression)                                                \
    do {                                                                       \
        if (!(expression))                                                     \
            fail_msg("not true: %s", #expression);                             \
    } while (0)
#define assert_false(expression)                                               \
    do {                                                                       \
        if (expression)                                                        \
            fail_msg("not false: %s", #expression);                            \
    } while (0)
#define assert_null(pointer) assert_true((pointer) == NULL)
#define assert_non_null(pointer) assert_true((pointer) != NULL)
#define assert_ptr_equal(a, b) assert_true((uintptr_t)(a) == (uintptr_t)(b))
#define assert_ptr_not_equal(a, b) assert_true((uintptr_t)(a) != (uintptr_t)(b))

#define assert_int_equal(a, b)                                                 \
    do {                                                                       \
        intmax_t left_ = (intmax_t)(a), right_ = (intmax_t)(b);                \
                                                                               \
        if (left_ != right_)                                                   \
            fail_msg("%jd != %jd", left_, right_);                             \
    } while (0)
#define assert_int_not_equal(a, b)                                             \
    do {                                                                       \
        intmax_t left_ = (intmax_t)(a), right_ = (intmax_t)(b);                \
                                                                               \
        if (left_ == right_)                                                   \
            fail_msg("%jd == %jd", left_, right_);                             \
    } while (0)
#define assert_in_range(value, lowest, highest)                                \
    do {                                                                       \
        uintmax_t value_ = (uintmax_t)(value);                                 \
        uintmax_t lowest_ = (uintmax_t)(lowest);                               \
        uintmax_t highest_ = (uintmax_t)(highest);                             \
                                                                               \
        if (value_ < lowest_ || value_ > highest_)                             \
            fail_msg("%ju is not in %ju to %ju", value_, lowest_, highest_);   \
    } while (0)
#define assert_string_equal(a, b)                                              \
    do {                                                                       \
        const char *left_ = (a), *right_ = (b);                                \
                                                                               \
        if (strcmp(left_, right_) != 0)                                        \
            fail_msg("\"%s\" != \"%s\"", left_, right_);                       \
    } while (0)
#define assert_string_not_equal(a, b)                                          \
    do {                                                                       \
        const char *left_ = (a), *right_ = (b);                                \
                                                                               \
        if (strcmp(left_, right_) == 0)                                        \
            fail_msg("\"%s\" == \"%s\"", left_, right_);                       \
    } while (0)
#define assert_memory_equal(a, b, size)                                        \
    do {                                                                       \
        if (memcmp((a), (b), (size_t)(size)) != 0)                             \
            fail_msg("%s and %s differ", #a, #b);                              \
    } while (0)

#endif
