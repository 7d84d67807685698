/* SPDX-License-Identifier: MIT */
/*
 * Spawn: the streams of a child, and what else it inherits
 */
#define _GNU_SOURCE
#include "spawns.h"

/* --- Streams ------------------------------------------------------------- */

/* Each of the three is a copy of paper[wanted]; what is said where. */
static void try_streams(const int *wanted, const char *command,
                        const char *const *expected)
{
    struct rota__spawn spawn = plain;
    int first = new_paper();
    int paper[3] = {first, new_paper(), new_paper()};

    for (int i = 0; i < 3; i++) {
        assert_int_equal(dup2(paper[i], i), i);
        spawn.fds[i] = wanted[i];
    }
    assert_int_equal(run_command(spawn, command), 0);
    for (int i = 0; i < 3; i++) {
        assert_string_equal(text_on(paper[i]), expected[i]);
        close(paper[i]);
    }
}

static void keep_outputs(int kept[3])
{
    for (int i = 0; i < 3; i++)
        kept[i] = fcntl(i, F_DUPFD_CLOEXEC, 50);
}

static void restore_outputs(const int kept[3])
{
    for (int i = 0; i < 3; i++) {
        assert_int_equal(dup2(kept[i], i), i);
        close(kept[i]);
    }
}

#define SAY "printf a >&0; printf b >&1; printf c >&2"

/* Every way to make three numbers of three, and of "as it is". */
static void streams_may_be_exchanged_in_any_way(void)
{
    int kept[3];

    keep_outputs(kept);
    for (int code = 0; code < 64; code++) {
        const int wanted[3] = {code % 4 - 1, code / 4 % 4 - 1, code / 16 - 1};
        char expected[3][4] = {"", "", ""};
        const char *texts[3] = {expected[0], expected[1], expected[2]};

        for (int i = 0; i < 3; i++) {
            int paper = wanted[i] < 0 ? i : wanted[i];
            size_t at = strlen(expected[paper]);

            expected[paper][at] = (char)('a' + i);
        }
        try_streams(wanted, SAY, texts);
    }
    restore_outputs(kept);
}
ON_EACH_WAY(streams_may_be_exchanged_in_any_way)

/* Whatever of 0, 1 and 2 is closed here, and whatever numbers ours get. */
static void closed_streams_do_no_harm(void)
{
    int kept[3];
    int paper = new_paper();

    keep_outputs(kept);
    for (int closed = 1; closed < 8; closed++) {
        struct rota__spawn spawn = plain;
        int ours, theirs;
        char text[8] = "";

        for (int i = 0; i < 3; i++)
            if (closed & 1 << i)
                close(i);
        assert_int_equal(rota__pipe_open(false, &ours, &theirs), 0);
        spawn.fds[1] = theirs;
        spawn.fds[2] = paper;
        assert_true(ours > 2 && theirs > 2);
        assert_int_equal(run_command(spawn, "printf out; printf err >&2"), 0);
        assert_int_equal(read(ours, text, sizeof text), 3);
        assert_string_equal(text, "out");
        close(ours);
        close(theirs);
        for (int i = 0; i < 3; i++)
            assert_int_equal(dup2(kept[i], i), i);
    }
    restore_outputs(kept);
    assert_string_equal(text_on(paper), "errerrerrerrerrerrerr");
    close(paper);
}
ON_EACH_WAY(closed_streams_do_no_harm)

static void a_stream_that_is_closed_here_is_closed_there(void)
{
    int kept = fcntl(0, F_DUPFD_CLOEXEC, 50);
    const char *text;

    close(0);
    text = words_of(plain, "test -e /proc/self/fd/0 || printf closed");
    assert_string_equal(text, "closed");
    dup2(kept, 0);
    close(kept);
}
ON_EACH_WAY(a_stream_that_is_closed_here_is_closed_there)

static void a_stream_under_its_own_number_is_not_close_on_exec(void)
{
    struct rota__spawn spawn = plain;
    int kept[3];
    int paper = new_paper();

    keep_outputs(kept);
    assert_int_equal(dup3(paper, 2, O_CLOEXEC), 2);
    spawn.fds[2] = 2;
    assert_int_equal(run_command(spawn, "printf there >&2"), 0);
    assert_int_equal(fcntl(2, F_GETFD), FD_CLOEXEC);
    restore_outputs(kept);
    assert_string_equal(text_on(paper), "there");
    close(paper);
}
ON_EACH_WAY(a_stream_under_its_own_number_is_not_close_on_exec)

static void pipes_have_one_end_that_does_not_block(void)
{
    int ours, theirs;

    for (int write = 0; write < 2; write++) {
        assert_int_equal(rota__pipe_open(write, &ours, &theirs), 0);
        assert_true(fcntl(ours, F_GETFL) & O_NONBLOCK);
        assert_false(fcntl(theirs, F_GETFL) & O_NONBLOCK);
        assert_int_equal(fcntl(ours, F_GETFL) & O_ACCMODE,
                         write ? O_WRONLY : O_RDONLY);
        assert_int_equal(fcntl(ours, F_GETFD), FD_CLOEXEC);
        assert_int_equal(fcntl(theirs, F_GETFD), FD_CLOEXEC);
        close(ours);
        close(theirs);
    }
}

/* --- What is inherited --------------------------------------------------- */

/* The child's fds; 3 is the shell's or ls's own. */
#define LIST                                                                   \
    "for f in /proc/$$/fd/*; do test -e $f && printf '%s ' ${f##*/}; done; :"

static void only_what_was_asked_for_is_inherited(void)
{
    struct rota__spawn spawn = plain;
    int open_one = open("/dev/null", O_RDONLY);
    int passed = fcntl(open_one, F_DUPFD, 200);
    int closing = fcntl(open_one, F_DUPFD_CLOEXEC, 300);
    const int pass[] = {passed, closing};

    assert_int_equal(fcntl(open_one, F_DUPFD, 150), 150);
    assert_string_equal(words_of(spawn, LIST), "0 1 2 ");
    spawn.pass_fds = pass;
    spawn.pass_fd_count = 2;
    assert_string_equal(words_of(spawn, LIST), "0 1 2 200 300 ");
    assert_int_equal(fcntl(closing, F_GETFD), FD_CLOEXEC);
    spawn.keep_fds = true;
    assert_non_null(strstr(words_of(spawn, LIST), " 150 "));
    assert_non_null(strstr(words_of(spawn, LIST), " 300 "));
    spawn.pass_fd_count = 0;
    assert_non_null(strstr(words_of(spawn, LIST), " 200 "));
    assert_null(strstr(words_of(spawn, LIST), " 300 "));
    close(150);
    close(open_one);
    close(passed);
    close(closing);
}
ON_EACH_WAY(only_what_was_asked_for_is_inherited)

HARNESS_MAIN(TESTS(streams_may_be_exchanged_in_any_way),
             TESTS(closed_streams_do_no_harm),
             TESTS(a_stream_that_is_closed_here_is_closed_there),
             TESTS(a_stream_under_its_own_number_is_not_close_on_exec),
             TEST(pipes_have_one_end_that_does_not_block),
             TESTS(only_what_was_asked_for_is_inherited))
