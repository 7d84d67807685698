/* SPDX-License-Identifier: MIT */
/*
 * Spawn: what a child is given, and why there is none
 */
#define _GNU_SOURCE
#include "spawns.h"

#include <signal.h>

/* --- Programs and where they are ----------------------------------------- */

static void a_program_runs_and_its_end_is_told(void)
{
    const char *argv[] = {"/bin/sh", "-c", "exit $1", "name", "7", NULL};

    assert_int_equal(run_child(plain, argv), 7);
    assert_int_equal(run_command(plain, "kill -TERM $$"), -SIGTERM);
    assert_int_equal(run_command(plain, "kill -KILL $$"), -SIGKILL);
}
ON_EACH_WAY(a_program_runs_and_its_end_is_told)

/* A folder with a program, and others that only look like it. */
static char *make_folder(void)
{
    static char folder[] = "/tmp/rota-path-XXXXXX";

    assert_non_null(mkdtemp(folder));
    assert_int_equal(chdir(folder), 0);
    assert_int_equal(system("mkdir good bad none raw; ln -s /bin/sh good/prog;"
                            "echo text > bad/prog; echo 'exit 3' > raw/prog;"
                            "chmod 755 raw/prog; ln -s /bin/sh here;"
                            "echo > file; mkdir dir; mkdir dir/prog"),
                     0);
    return folder;
}

static void remove_folder(const char *folder)
{
    char command[128];

    snprintf(command, sizeof command, "rm -r %s", folder);
    assert_int_equal(chdir("/"), 0);
    assert_int_equal(system(command), 0);
}

/* What comes of a program when PATH is this. */
static int look_in(const char *path, const char *program)
{
    const char *argv[] = {program, "-c", "exit 5", NULL};
    char variable[256];
    char *env[] = {variable, NULL};
    struct rota__spawn spawn = plain;

    snprintf(variable, sizeof variable, "PATH=%s", path);
    spawn.env = env;
    return run_child(spawn, argv);
}

/* As subprocess of CPython does with the same folders. */
static void a_program_is_looked_for_as_python_does(void)
{
    char *folder = make_folder();

    assert_int_equal(look_in("good", "prog"), 5);
    assert_int_equal(look_in("good/", "prog"), 5);
    assert_int_equal(look_in("none:missing:file:good", "prog"), 5);
    assert_int_equal(look_in("none:missing", "prog"), -ENOENT);
    /* What cannot be run is passed over, but remembered. */
    assert_int_equal(look_in("bad:good", "prog"), 5);
    assert_int_equal(look_in("dir:bad:none", "prog"), -EACCES);
    assert_int_equal(look_in("bad:raw", "prog"), -EACCES);
    assert_int_equal(look_in("raw:bad", "prog"), -ENOEXEC);
    assert_int_equal(look_in("raw:good", "prog"), 5);
    /* An empty folder is the one that the child is in. */
    assert_int_equal(look_in("", "here"), 5);
    assert_int_equal(look_in("none:", "here"), 5);
    assert_int_equal(look_in("none::bad", "here"), 5);
    assert_int_equal(look_in("none", "here"), -ENOENT);
    /* A name with a slash is looked for nowhere. */
    assert_int_equal(look_in("none", "./here"), 5);
    assert_int_equal(look_in("good", "./prog"), -ENOENT);
    assert_int_equal(look_in("good", "raw/prog"), -ENOEXEC);
    remove_folder(folder);
}
ON_EACH_WAY(a_program_is_looked_for_as_python_does)

static void without_a_path_the_usual_folders_are_looked_in(void)
{
    const char *argv[] = {"sh", "-c", "exit 5", NULL};
    char *none[] = {NULL};
    struct rota__spawn spawn = plain;

    spawn.env = none;
    assert_int_equal(run_child(spawn, argv), 5);
    spawn.env = NULL;
    assert_int_equal(run_child(spawn, argv), 5);
    setenv("PATH", "/nowhere", 1);
    assert_int_equal(run_child(spawn, argv), -ENOENT);
}

static void a_relative_program_is_looked_for_in_the_childs_folder(void)
{
    char *folder = make_folder();
    struct rota__spawn spawn = plain;
    const char *argv[] = {"./prog", "-c", "exit 5", NULL};

    spawn.cwd = "good";
    assert_int_equal(run_child(spawn, argv), 5);
    spawn.cwd = "bad";
    assert_int_equal(run_child(spawn, argv), -EACCES);
    remove_folder(folder);
}

/* --- Errors -------------------------------------------------------------- */

static void what_is_wrong_is_told_and_leaves_no_process(void)
{
    const char *missing[] = {"/no/such", NULL};
    const char *text[] = {"/etc/passwd", NULL};
    const char *folder[] = {"/", NULL};
    const char *below[] = {"/etc/passwd/x", NULL};
    const char *works[] = {"/bin/true", NULL};
    struct rota__spawn spawn = plain;
    const int closed[] = {999};
    int fds = count_fds();

    assert_int_equal(run_child(plain, missing), -ENOENT);
    assert_int_equal(run_child(plain, text), -EACCES);
    assert_int_equal(run_child(plain, folder), -EACCES);
    assert_int_equal(run_child(plain, below), -ENOTDIR);
    spawn.cwd = "/no/such";
    assert_int_equal(run_child(spawn, works), -ENOENT);
    spawn.cwd = "/etc/passwd";
    assert_int_equal(run_child(spawn, works), -ENOTDIR);
    spawn = plain;
    spawn.fds[1] = 999;
    assert_int_equal(rota__spawn_check_fds(&spawn), -EBADF);
    assert_int_equal(run_child(spawn, works), -EBADF);
    spawn = plain;
    spawn.pass_fds = closed;
    spawn.pass_fd_count = 1;
    assert_int_equal(rota__spawn_check_fds(&spawn), -EBADF);
    assert_int_equal(run_child(spawn, works), -EBADF);
    spawn = plain;
    spawn.set_group = true;
    spawn.process_group = 1; /* of another session */
    assert_int_equal(run_child(spawn, works), -EPERM);
    assert_int_equal(count_fds(), fds);
}
ON_EACH_WAY(what_is_wrong_is_told_and_leaves_no_process)

static void too_many_arguments_are_an_error(void)
{
    static char big[4 << 20];
    const char *argv[] = {"true", big, NULL};

    memset(big, 'x', sizeof big - 1);
    assert_int_equal(run_child(plain, argv), -E2BIG);
}
ON_EACH_WAY(too_many_arguments_are_an_error)

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
    "for f in /proc/$$/fd/*; do test -e $f && printf '%s ' ${f##*/}; done"

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
    assert_non_null(strstr(words_of(spawn, LIST), "150 200 300 "));
    spawn.pass_fd_count = 0;
    assert_non_null(strstr(words_of(spawn, LIST), "150 200 "));
    assert_null(strstr(words_of(spawn, LIST), "300"));
    close(150);
    close(open_one);
    close(passed);
    close(closing);
}
ON_EACH_WAY(only_what_was_asked_for_is_inherited)

static void cwd_umask_and_env_are_the_childs(void)
{
    struct rota__spawn spawn = plain;
    char *env[] = {"A=b", "C=d e", NULL};
    const mode_t mask = 0147;
    mode_t before = umask(022);

    spawn.cwd = "/usr/bin";
    spawn.umask = &mask;
    spawn.env = env;
    assert_string_equal(words_of(spawn, "pwd -P; umask; echo $A $C $HOME"),
                        "/usr/bin\n0147\nb d e\n");
    assert_int_equal(umask(before), 022);
    setenv("OURS", "seen", 1);
    assert_string_equal(words_of(plain, "echo $OURS; umask"),
                        before == 022 ? "seen\n0022\n" : "seen\n0022\n");
}
ON_EACH_WAY(cwd_umask_and_env_are_the_childs)

/* Session and process group, from /proc/PID/stat. */
#define WHERE "read p c s pp g n rest < /proc/$$/stat; echo $p $g $n"

static void try_group(struct rota__spawn spawn, bool own_group,
                      bool own_session)
{
    int pid, group, session;

    assert_int_equal(
        sscanf(words_of(spawn, WHERE), "%d %d %d", &pid, &group, &session), 3);
    assert_int_equal(group, own_group ? pid : getpgid(0));
    assert_int_equal(session, own_session ? pid : getsid(0));
}

static void sessions_and_groups_are_made_and_joined(void)
{
    struct rota__spawn spawn = plain;

    try_group(spawn, false, false);
    spawn.new_session = true;
    try_group(spawn, true, true);
    spawn.new_session = false;
    spawn.set_group = true;
    try_group(spawn, true, false);
    spawn.process_group = getpgid(0);
    try_group(spawn, false, false);
}
ON_EACH_WAY(sessions_and_groups_are_made_and_joined)

static void be_root(void)
{
    if (getuid() != 0)
        harness_skip("only root may become another user");
}

static void users_and_groups_are_taken_on(void)
{
    const uid_t user = 65534;
    const gid_t group = 65533;
    const gid_t extra[] = {65531, 65532};
    struct rota__spawn spawn = plain;
    char text[64];

    be_root();
    spawn.user = &user;
    assert_string_equal(words_of(spawn, "id -ru; id -u"), "65534\n65534\n");
    spawn.group = &group;
    spawn.extra_groups = extra;
    spawn.extra_group_count = 2;
    assert_string_equal(words_of(spawn, "id -u; id -rg; id -g; id -G"),
                        "65534\n65533\n65533\n65533 65531 65532\n");
    spawn.extra_group_count = 0;
    assert_string_equal(words_of(spawn, "id -G"), "65533\n");
    snprintf(text, sizeof text, "%d\n", (int)getuid());
    assert_string_equal(words_of(plain, "id -u"), text);
    assert_int_equal(getuid(), 0);
    assert_int_equal(getegid(), getgid());
}

static void become_nobody_and_try(void)
{
    const uid_t root = 0;
    const gid_t group = 0;
    const char *works[] = {"/bin/true", NULL};
    struct rota__spawn spawn = plain;

    assert_int_equal(setgroups(0, NULL), 0);
    assert_int_equal(setgid(65534), 0);
    assert_int_equal(setuid(65534), 0);
    spawn.user = &root;
    assert_int_equal(run_child(spawn, works), -EPERM);
    spawn.user = NULL;
    spawn.group = &group;
    assert_int_equal(run_child(spawn, works), -EPERM);
    spawn.group = NULL;
    spawn.extra_groups = &group;
    spawn.extra_group_count = 1;
    assert_int_equal(run_child(spawn, works), -EPERM);
    assert_int_equal(run_child(plain, works), 0);
}

static void who_may_not_change_its_user_is_told(void)
{
    be_root();
    become_nobody_and_try();
}

/* --- Signals ------------------------------------------------------------- */

static volatile sig_atomic_t handled;

static void handle(int number)
{
    (void)number;
    handled++;
}

static unsigned long long mask_of(const char *status, const char *name)
{
    const char *at = strstr(status, name);

    assert_non_null(at);
    return strtoull(at + strlen(name), NULL, 16);
}

#define BIT(number) (1ULL << ((number)-1))

/* cat, as a shell has handlers of its own. */
static void signals_of_the_child_are_as_promised(void)
{
    const char *argv[] = {"/bin/cat", "/proc/self/status", NULL};
    struct rota__spawn spawn = plain;
    int paper = new_paper();
    sigset_t some;
    const char *text;

    signal(SIGTERM, handle);
    signal(SIGUSR1, handle);
    signal(SIGRTMAX, handle);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    sigemptyset(&some);
    sigaddset(&some, SIGUSR1);
    sigaddset(&some, SIGINT);
    sigprocmask(SIG_BLOCK, &some, NULL);
    spawn.fds[1] = paper;
    assert_int_equal(run_child(spawn, argv), 0);
    text = text_on(paper);
    assert_int_equal(mask_of(text, "SigBlk:"), 0);
    assert_int_equal(mask_of(text, "SigCgt:"), 0);
    assert_int_equal(mask_of(text, "SigIgn:") &
                         (BIT(SIGHUP) | BIT(SIGPIPE) | BIT(SIGXFSZ)),
                     BIT(SIGHUP));
    close(paper);
    sigprocmask(SIG_BLOCK, NULL, &some);
    assert_true(sigismember(&some, SIGUSR1) && sigismember(&some, SIGINT));
    assert_false(sigismember(&some, SIGTERM));
    raise(SIGTERM);
    assert_int_equal(handled, 1);
}
ON_EACH_WAY(signals_of_the_child_are_as_promised)

static void a_storm_of_signals_runs_no_handler_in_a_child(void)
{
    const char *argv[] = {"/bin/sh", "-c", "exit 0", NULL};
    pid_t ours = getpid();
    pid_t sender = fork();
    int ends[2] = {0, 0};

    signal(SIGUSR1, handle);
    if (sender == 0) {
        while (kill(ours, SIGUSR1) == 0)
            ;
        _exit(0);
    }
    for (int i = 0; i < 50; i++) {
        struct rota__spawn spawn = plain;
        struct rota__process_id id;

        spawn.argv = argv;
        assert_int_equal(rota__spawn(&spawn, &id), 0);
        ends[end_of(&id) != 0]++;
    }
    kill(sender, SIGKILL);
    assert_int_equal(waitpid(sender, NULL, 0), sender);
    assert_int_equal(ends[0], 50);
}
ON_EACH_WAY(a_storm_of_signals_runs_no_handler_in_a_child)

/* --- Signals to it, and its end ------------------------------------------ */

static void a_signal_reaches_a_child_and_no_other(void)
{
    const char *argv[] = {"/bin/sleep", "3600", NULL};
    struct rota__spawn spawn = plain;
    struct rota__process_id id, same;
    int returncode = 5;

    spawn.argv = argv;
    assert_int_equal(rota__spawn(&spawn, &id), 0);
    assert_int_equal(rota__process_reap(&id, false, &returncode), 0);
    assert_int_equal(returncode, 5);
    assert_int_equal(rota__process_signal(&id, 0), 0);
    assert_int_equal(rota__process_signal(&id, 999), -EINVAL);
    assert_int_equal(rota__process_signal(&id, SIGKILL), 0);
    same = id;
    same.fd = -1; /* by its number, as where there are no pidfds */
    assert_int_equal(rota__process_signal(&same, 0), 0);
    assert_int_equal(rota__process_reap(&same, true, &returncode), 1);
    assert_int_equal(returncode, -SIGKILL);
    assert_int_equal(rota__process_reap(&id, false, &returncode), -ECHILD);
    assert_int_equal(rota__process_signal(&id, SIGKILL), -ESRCH);
    rota__process_close(&id);
    assert_int_equal(rota__process_signal(&id, SIGKILL), -ESRCH);
    assert_int_equal(rota__process_reap(&id, true, &returncode), -ECHILD);
}
ON_EACH_WAY(a_signal_reaches_a_child_and_no_other)

static void a_thousand_spawns_leave_nothing(void)
{
    const char *works[] = {"/bin/true", NULL};
    const char *missing[] = {"/no/such", NULL};
    int fds = count_fds();

    for (int i = 0; i < 1000; i++)
        assert_int_equal(run_child(plain, i % 10 ? missing : works),
                         i % 10 ? -ENOENT : 0);
    assert_int_equal(count_fds(), fds);
}
ON_EACH_WAY(a_thousand_spawns_leave_nothing)

static void *spawn_many(void *arg)
{
    const char *works[] = {"/bin/true", NULL};

    (void)arg;
    for (int i = 0; i < 25; i++) {
        struct rota__spawn spawn = plain;
        struct rota__process_id id;

        spawn.argv = works;
        assert_int_equal(rota__spawn(&spawn, &id), 0);
        assert_int_equal(end_of(&id), 0);
    }
    return NULL;
}

static void threads_may_spawn_at_once(void)
{
    pthread_t threads[4];

    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, spawn_many, NULL),
                         0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
}
ON_EACH_WAY(threads_may_spawn_at_once)

HARNESS_MAIN(TESTS(a_program_runs_and_its_end_is_told),
             TESTS(a_program_is_looked_for_as_python_does),
             TEST(without_a_path_the_usual_folders_are_looked_in),
             TEST(a_relative_program_is_looked_for_in_the_childs_folder),
             TESTS(what_is_wrong_is_told_and_leaves_no_process),
             TESTS(too_many_arguments_are_an_error),
             TESTS(streams_may_be_exchanged_in_any_way),
             TESTS(closed_streams_do_no_harm),
             TESTS(a_stream_that_is_closed_here_is_closed_there),
             TESTS(a_stream_under_its_own_number_is_not_close_on_exec),
             TEST(pipes_have_one_end_that_does_not_block),
             TESTS(only_what_was_asked_for_is_inherited),
             TESTS(cwd_umask_and_env_are_the_childs),
             TESTS(sessions_and_groups_are_made_and_joined),
             TEST(users_and_groups_are_taken_on),
             TEST(who_may_not_change_its_user_is_told),
             TESTS(signals_of_the_child_are_as_promised),
             TESTS(a_storm_of_signals_runs_no_handler_in_a_child),
             TESTS(a_signal_reaches_a_child_and_no_other),
             TESTS(a_thousand_spawns_leave_nothing),
             TESTS(threads_may_spawn_at_once))
