/* SPDX-License-Identifier: MIT */
/*
 * Files: the calls on paths
 */
#define _GNU_SOURCE
#include "folders.h"

/* Some errors are not made for root. */
static void become_nobody(void)
{
    if (geteuid() != 0)
        return;
    assert_int_equal(chown(".", 65534, 65534), 0);
    assert_int_equal(chmod(".", 0777), 0);
    assert_int_equal(setresgid(65534, 65534, 65534), 0);
    assert_int_equal(setresuid(65534, 65534, 65534), 0);
}

/* --- Looking ------------------------------------------------------------- */

static intptr_t look(void *arg)
{
    struct stat status;

    (void)arg;
    put_text("f", "0123");
    assert_int_equal(symlink("f", "s"), 0);
    assert_int_equal(rota_stat("f", &status), 0);
    assert_int_equal(status.st_size, 4);
    assert_int_equal(rota_stat("s", &status), 0);
    assert_true(S_ISREG(status.st_mode));
    assert_int_equal(rota_lstat("s", &status), 0);
    assert_true(S_ISLNK(status.st_mode));
    assert_int_equal(rota_stat("missing", &status), -ENOENT);
    assert_int_equal(rota_lstat("f/x", &status), -ENOTDIR);
    assert_int_equal(rota_stat("", &status), -ENOENT);
    assert_int_equal(rota_access("f", R_OK | W_OK), 0);
    assert_int_equal(rota_access("missing", F_OK), -ENOENT);
    assert_int_equal(rota_access("f", 077), -EINVAL);
    return 0;
}

static void stat_and_access_look_at_a_path(void)
{
    in_a_folder(look);
}

static intptr_t look_without_permission(void *arg)
{
    rota_directory directory;
    rota_file *file;
    struct stat status;
    void *data;
    size_t size;

    (void)arg;
    become_nobody();
    put_text("f", "0123");
    assert_int_equal(mkdir("d", 0700), 0);
    put_text("d/f", "0123");
    assert_int_equal(rota_chmod("f", 0), 0);
    assert_int_equal(rota_chmod("d", 0), 0);
    assert_int_equal(rota_file_open(&file, "f", O_RDONLY, 0), -EACCES);
    assert_int_equal(rota_access("f", R_OK), -EACCES);
    assert_int_equal(rota_stat("d/f", &status), -EACCES);
    assert_int_equal(rota_readdir("d", &directory), -EACCES);
    assert_int_equal(rota_read_file("f", &data, &size, 0), -EACCES);
    assert_int_equal(rota_write_file("d/f", "x", 1, 0600), -EACCES);
    assert_int_equal(rota_unlink("d/f"), -EACCES);
    assert_int_equal(rota_chown("f", 0, 0), -EPERM);
    assert_int_equal(rota_chmod("d", 0700), 0);
    assert_text_of_file("d/f", "0123");
    return 0;
}

static void what_is_not_allowed_is_said(void)
{
    in_a_folder(look_without_permission);
}

/* --- Changing ------------------------------------------------------------ */

static intptr_t change(void *arg)
{
    char path[] = "a";

    (void)arg;
    put_text("a", "text");
    assert_int_equal(rota_rename(path, "b"), 0);
    assert_false(there_is("a"));
    assert_int_equal(rota_link("b", "c"), 0);
    assert_text_of_file("c", "text");
    assert_int_equal(rota_link("b", "c"), -EEXIST);
    assert_int_equal(rota_symlink("c", "s"), 0);
    assert_text_of_file("s", "text");
    assert_int_equal(rota_symlink("c", "s"), -EEXIST);
    assert_int_equal(rota_unlink("b"), 0);
    assert_int_equal(rota_unlink("b"), -ENOENT);
    assert_int_equal(rota_rename("b", "x"), -ENOENT);
    assert_int_equal(rota_mkdir("d", 0700), 0);
    assert_int_equal(rota_mkdir("d", 0700), -EEXIST);
    assert_int_equal(rota_unlink("d"), -EISDIR);
    put_text("d/f", "");
    assert_int_equal(rota_rmdir("d"), -ENOTEMPTY);
    assert_int_equal(rota_unlink("d/f"), 0);
    assert_int_equal(rota_rmdir("d"), 0);
    assert_int_equal(rota_rmdir("d"), -ENOENT);
    assert_int_equal(rota_rmdir("c"), -ENOTDIR);
    return 0;
}

static void names_and_folders_are_made_and_removed(void)
{
    in_a_folder(change);
}

static intptr_t change_attributes(void *arg)
{
    const struct timespec times[2] = {{1000, 5}, {2000, 7}};
    const struct timespec bad[2] = {{0, 2000000000}, {0, 0}};
    struct stat status;

    (void)arg;
    put_text("f", "text");
    assert_int_equal(rota_chmod("f", 0640), 0);
    assert_int_equal(rota_utimens("f", times), 0);
    assert_int_equal(rota_chown("f", getuid(), getgid()), 0);
    assert_int_equal(stat("f", &status), 0);
    assert_int_equal(status.st_mode & 0777, 0640);
    assert_int_equal(status.st_atim.tv_sec, 1000);
    assert_int_equal(status.st_mtim.tv_sec, 2000);
    assert_int_equal(status.st_mtim.tv_nsec, 7);
    assert_int_equal(rota_utimens("f", bad), -EINVAL);
    assert_int_equal(rota_chmod("missing", 0600), -ENOENT);
    assert_int_equal(rota_chown("missing", 0, 0), -ENOENT);
    assert_int_equal(rota_utimens("missing", times), -ENOENT);
    return 0;
}

static void permissions_owners_and_times_are_changed(void)
{
    in_a_folder(change_attributes);
}

/* The paths are the call's: its task may go on, and use the memory anew. */
static intptr_t unlink_copied(void *arg)
{
    const char *path = arg;

    return rota_unlink(path);
}

static intptr_t change_the_path(void *arg)
{
    char path[] = "a";
    rota_task task;

    (void)arg;
    put_text("a", "");
    put_text("b", "");
    hold_files();
    task = start(unlink_copied, path);
    pass_turns(1);
    path[0] = 'b';
    open_gate();
    assert_int_equal(rota_await(task), 0);
    assert_false(there_is("a"));
    assert_true(there_is("b"));
    return 0;
}

static void paths_are_copied(void)
{
    in_a_folder(change_the_path);
}

/* --- Texts --------------------------------------------------------------- */

static intptr_t read_links(void *arg)
{
    char buf[4200];
    char real[4200];

    (void)arg;
    assert_int_equal(symlink("some/target", "s"), 0);
    assert_int_equal(rota_readlink("s", buf, sizeof buf), 11);
    assert_string_equal(buf, "some/target");
    memset(buf, 'x', sizeof buf);
    assert_int_equal(rota_readlink("s", buf, 12), 11);
    assert_string_equal(buf, "some/target");
    memset(buf, 'x', sizeof buf);
    assert_int_equal(rota_readlink("s", buf, 11), -ERANGE);
    assert_int_equal(rota_readlink("s", buf, 0), -ERANGE);
    assert_true(buf[0] == 'x');
    assert_int_equal(rota_readlink(".", buf, sizeof buf), -EINVAL);
    assert_int_equal(rota_readlink("missing", buf, sizeof buf), -ENOENT);
    assert_non_null(realpath(".", real));
    assert_int_equal(rota_realpath("./.", buf, sizeof buf), strlen(real));
    assert_string_equal(buf, real);
    assert_int_equal(rota_realpath(".", buf, strlen(real)), -ERANGE);
    assert_int_equal(rota_realpath(".", buf, strlen(real) + 1), strlen(real));
    assert_int_equal(rota_realpath("s", buf, sizeof buf), -ENOENT);
    return 0;
}

static void links_are_read_and_paths_resolved(void)
{
    in_a_folder(read_links);
}

/* --- Folders ------------------------------------------------------------- */

static intptr_t list(void *arg)
{
    rota_directory directory;
    struct stat status;

    (void)arg;
    assert_int_equal(rota_readdir(".", &directory), 0);
    assert_int_equal(directory.count, 0);
    rota_directory_fini(&directory);
    put_text("b", "");
    put_text("a", "");
    put_text(".hidden", "");
    assert_int_equal(mkdir("d", 0700), 0);
    assert_int_equal(symlink("a", "c"), 0);
    assert_int_equal(mkfifo("e", 0600), 0);
    assert_int_equal(stat("a", &status), 0);
    assert_int_equal(rota_readdir(".", &directory), 0);
    assert_int_equal(directory.count, 6);
    for (size_t i = 0; i < 6; i++)
        note("%s:%d", directory.entries[i].name, directory.entries[i].type);
    assert_noted(".hidden:8 a:8 b:8 c:10 d:4 e:1");
    assert_true(directory.entries[1].inode == status.st_ino);
    rota_directory_fini(&directory);
    assert_int_equal(directory.count, 0);
    rota_directory_fini(&directory);
    assert_int_equal(rota_readdir("a", &directory), -ENOTDIR);
    assert_int_equal(rota_readdir("missing", &directory), -ENOENT);
    return 0;
}

static void a_folder_is_listed_in_order(void)
{
    in_a_folder(list);
}

#define MANY 3000

static intptr_t list_many(void *arg)
{
    rota_directory directory;
    char name[32];

    (void)arg;
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "%05d", (i * 7919) % MANY);
        put_text(name, "");
    }
    assert_int_equal(rota_readdir(".", &directory), 0);
    assert_int_equal(directory.count, MANY);
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "%05d", i);
        assert_string_equal(directory.entries[i].name, name);
        assert_int_equal(directory.entries[i].type, DT_REG);
    }
    rota_directory_fini(&directory);
    return 0;
}

static void a_big_folder_is_listed_whole(void)
{
    in_a_folder(list_many);
}

/* --- Wrong calls --------------------------------------------------------- */

static intptr_t pass_nothing(void *arg)
{
    const struct timespec times[2] = {{0, 0}, {0, 0}};
    rota_directory directory;
    struct stat status;
    char buf[8];

    (void)arg;
    assert_int_equal(rota_stat(NULL, &status), -EINVAL);
    assert_int_equal(rota_stat("f", NULL), -EINVAL);
    assert_int_equal(rota_lstat(NULL, &status), -EINVAL);
    assert_int_equal(rota_access(NULL, 0), -EINVAL);
    assert_int_equal(rota_rename(NULL, "f"), -EINVAL);
    assert_int_equal(rota_rename("f", NULL), -EINVAL);
    assert_int_equal(rota_unlink(NULL), -EINVAL);
    assert_int_equal(rota_link(NULL, "f"), -EINVAL);
    assert_int_equal(rota_symlink("f", NULL), -EINVAL);
    assert_int_equal(rota_mkdir(NULL, 0), -EINVAL);
    assert_int_equal(rota_rmdir(NULL), -EINVAL);
    assert_int_equal(rota_chmod(NULL, 0), -EINVAL);
    assert_int_equal(rota_chown(NULL, 0, 0), -EINVAL);
    assert_int_equal(rota_utimens(NULL, times), -EINVAL);
    assert_int_equal(rota_readlink(NULL, buf, 8), -EINVAL);
    assert_int_equal(rota_readlink("f", NULL, 8), -EINVAL);
    assert_int_equal(rota_realpath(NULL, buf, 8), -EINVAL);
    assert_int_equal(rota_readdir(NULL, &directory), -EINVAL);
    assert_int_equal(rota_readdir(".", NULL), -EINVAL);
    return 0;
}

static void no_path_is_an_error(void)
{
    in_a_folder(pass_nothing);
}

static void outside_of_a_task_nothing_waits(void)
{
    rota_directory directory;
    rota_file *file;
    struct stat status;
    size_t size;
    void *data;

    assert_int_equal(rota_stat("/", &status), -ROTA_ENOTASK);
    assert_int_equal(rota_unlink("/"), -ROTA_ENOTASK);
    assert_int_equal(rota_readdir("/", &directory), -ROTA_ENOTASK);
    assert_int_equal(rota_file_open(&file, "/", O_RDONLY, 0), -ROTA_ENOTASK);
    assert_int_equal(rota_read_file("/", &data, &size, 0), -ROTA_ENOTASK);
    assert_int_equal(rota_write_file("/", "", 0, 0), -ROTA_ENOTASK);
}

HARNESS_MAIN(TEST(stat_and_access_look_at_a_path),
             TEST(what_is_not_allowed_is_said),
             TEST(names_and_folders_are_made_and_removed),
             TEST(permissions_owners_and_times_are_changed),
             TEST(paths_are_copied), TEST(links_are_read_and_paths_resolved),
             TEST(a_folder_is_listed_in_order),
             TEST(a_big_folder_is_listed_whole), TEST(no_path_is_an_error),
             TEST(outside_of_a_task_nothing_waits))
