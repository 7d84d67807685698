/* SPDX-License-Identifier: MIT */
/*
 * Spawn: programs, options, errors, signals; fds are in test_spawn_fds.c
 */
#define _GNU_SOURCE
#include "spawns.h"

#include <signal.h>
#include <sys/mman.h>

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

/* --- Options ------------------------------------------------------------- */

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
    setenv("OURS", "seen", 1);
    assert_string_equal(words_of(plain, "echo $OURS; umask"), "seen\n0022\n");
    assert_int_equal(umask(before), 022);
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

static pid_t tested;
static volatile sig_atomic_t *strayed; /* seen by a copy of us, too */

static void handle_here(int number)
{
    (void)number;
    if (getpid() != tested)
        *strayed = 1;
}

static pid_t begin_storm(void)
{
    pid_t sender = fork();

    if (sender == 0) {
        signal(SIGUSR1, SIG_IGN);
        while (kill(0, SIGUSR1) == 0 && getppid() == tested)
            ;
        _exit(0);
    }
    return sender;
}

/* One that is hit before it is another program dies of it. */
static void a_storm_of_signals_runs_no_handler_in_a_child(void)
{
    struct rota__spawn spawn = plain;
    const char *argv[] = {"/bin/true", NULL};
    pid_t sender;

    strayed = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(strayed != MAP_FAILED);
    tested = getpid();
    signal(SIGUSR1, handle_here);
    spawn.argv = argv;
    sender = begin_storm();
    for (int i = 0; i < 50; i++) {
        struct rota__process_id id;
        int end;

        assert_int_equal(rota__spawn(&spawn, &id), 0);
        end = end_of(&id);
        assert_true(end == 0 || end == -SIGUSR1);
    }
    kill(sender, SIGKILL);
    assert_int_equal(waitpid(sender, NULL, 0), sender);
    assert_false(*strayed);
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

HARNESS_MAIN(
    TESTS(a_program_runs_and_its_end_is_told),
    TESTS(a_program_is_looked_for_as_python_does),
    TEST(without_a_path_the_usual_folders_are_looked_in),
    TEST(a_relative_program_is_looked_for_in_the_childs_folder),
    TESTS(what_is_wrong_is_told_and_leaves_no_process),
    TEST_SKIP_UNDER(too_many_arguments_are_an_error_by_clone, HARNESS_VALGRIND,
                    "it does not survive such an execve()"),
    TEST_SKIP_UNDER(too_many_arguments_are_an_error_by_fork, HARNESS_VALGRIND,
                    "it does not survive such an execve()"),
    TESTS(cwd_umask_and_env_are_the_childs),
    TESTS(sessions_and_groups_are_made_and_joined),
    TEST(users_and_groups_are_taken_on),
    TEST(who_may_not_change_its_user_is_told),
    TESTS(signals_of_the_child_are_as_promised),
    TESTS(a_storm_of_signals_runs_no_handler_in_a_child),
    TESTS(a_signal_reaches_a_child_and_no_other),
    TESTS(a_thousand_spawns_leave_nothing), TESTS(threads_may_spawn_at_once))
