/* SPDX-License-Identifier: MIT */
/*
 * Calls on paths
 *
 * Each is one call of the system on the pool, with the paths copied behind it.
 */
#include "stream/files.h"

/* What is asked; what the call does not need is 0. */
struct asked {
    intptr_t (*work)(struct rota__file_call *call);
    const char *path;
    const char *other;
    mode_t mode;
    int access;
    uid_t user;
    gid_t group;
    struct timespec times[2];
    struct stat *status; /* the caller's; for its task */
    char *text;
    size_t size;
};

struct path_call {
    struct rota__file_call call;
    struct asked asked; /* with paths of its own */
    struct stat status;
    char *text; /* ROTA__PATH_ROOM bytes, of calls that want one */
    char room[];
};

static struct path_call *path_call_of(struct rota__file_call *call)
{
    return rota__container_of(call, struct path_call, call);
}

static const struct asked *asked_of(struct rota__file_call *call)
{
    return &path_call_of(call)->asked;
}

static const char *keep(char **room, const char *text)
{
    size_t size = strlen(text) + 1;
    const char *kept = memcpy(*room, text, size);

    *room += size;
    return kept;
}

static void answer(struct rota__file_call *call)
{
    const struct path_call *self = path_call_of(call);

    if (call->job.result < 0)
        return;
    if (self->asked.status)
        *self->asked.status = self->status;
    if (self->asked.text && (size_t)call->job.result < self->asked.size)
        memcpy(self->asked.text, self->text, (size_t)call->job.result + 1);
}

static struct path_call *new_call(const struct asked *asked)
{
    size_t paths = strlen(asked->path) + 1;
    size_t others = asked->other ? strlen(asked->other) + 1 : 0;
    size_t text = asked->text ? ROTA__PATH_ROOM : 0;
    struct path_call *self =
        rota__file_call_new(sizeof *self, paths + others + text, asked->work);
    char *room;

    if (!self)
        return NULL;
    room = self->room;
    self->asked = *asked;
    self->asked.path = keep(&room, asked->path);
    if (asked->other)
        self->asked.other = keep(&room, asked->other);
    self->text = room;
    self->call.deliver = answer;
    return self;
}

static intptr_t ask(const char *function, bool complete,
                    const struct asked *asked)
{
    int err = 0;
    struct rota__task *self = rota__waiting_task(function, &err);
    struct rota__file_wait wait;
    struct path_call *call;

    if (!self)
        return err;
    if (!complete)
        return -EINVAL;
    call = new_call(asked);
    if (!call)
        return -ENOMEM;
    return rota__file_call_await(&call->call, self, &wait);
}

static intptr_t ask_text(const char *function, const struct asked *asked)
{
    intptr_t n = ask(function, asked->path && asked->text, asked);

    return n >= 0 && (size_t)n >= asked->size ? -ERANGE : n;
}

/* --- Asking -------------------------------------------------------------- */

static intptr_t do_stat(struct rota__file_call *call)
{
    return rota__path_stat(asked_of(call)->path, &path_call_of(call)->status);
}

int rota_stat(const char *path, struct stat *out)
{
    return (int)ask(
        "rota_stat", path && out,
        &(struct asked){.work = do_stat, .path = path, .status = out});
}

static intptr_t do_lstat(struct rota__file_call *call)
{
    return rota__path_lstat(asked_of(call)->path, &path_call_of(call)->status);
}

int rota_lstat(const char *path, struct stat *out)
{
    return (int)ask(
        "rota_lstat", path && out,
        &(struct asked){.work = do_lstat, .path = path, .status = out});
}

static intptr_t do_access(struct rota__file_call *call)
{
    return rota__path_access(asked_of(call)->path, asked_of(call)->access);
}

int rota_access(const char *path, int mode)
{
    return (int)ask(
        "rota_access", path,
        &(struct asked){.work = do_access, .path = path, .access = mode});
}

static intptr_t do_readlink(struct rota__file_call *call)
{
    return rota__path_readlink(asked_of(call)->path, path_call_of(call)->text,
                               ROTA__PATH_ROOM);
}

intptr_t rota_readlink(const char *path, char *buf, size_t size)
{
    return ask_text("rota_readlink", &(struct asked){.work = do_readlink,
                                                     .path = path,
                                                     .text = buf,
                                                     .size = size});
}

static intptr_t do_realpath(struct rota__file_call *call)
{
    return rota__path_realpath(asked_of(call)->path, path_call_of(call)->text,
                               ROTA__PATH_ROOM);
}

intptr_t rota_realpath(const char *path, char *buf, size_t size)
{
    return ask_text("rota_realpath", &(struct asked){.work = do_realpath,
                                                     .path = path,
                                                     .text = buf,
                                                     .size = size});
}

/* --- Changing ------------------------------------------------------------ */

static intptr_t do_rename(struct rota__file_call *call)
{
    return rota__path_rename(asked_of(call)->path, asked_of(call)->other);
}

int rota_rename(const char *from, const char *to)
{
    return (int)ask(
        "rota_rename", from && to,
        &(struct asked){.work = do_rename, .path = from, .other = to});
}

static intptr_t do_unlink(struct rota__file_call *call)
{
    return rota__path_unlink(asked_of(call)->path);
}

int rota_unlink(const char *path)
{
    return (int)ask("rota_unlink", path,
                    &(struct asked){.work = do_unlink, .path = path});
}

static intptr_t do_link(struct rota__file_call *call)
{
    return rota__path_link(asked_of(call)->path, asked_of(call)->other);
}

int rota_link(const char *path, const char *name)
{
    return (int)ask(
        "rota_link", path && name,
        &(struct asked){.work = do_link, .path = path, .other = name});
}

static intptr_t do_symlink(struct rota__file_call *call)
{
    return rota__path_symlink(asked_of(call)->path, asked_of(call)->other);
}

int rota_symlink(const char *target, const char *name)
{
    return (int)ask(
        "rota_symlink", target && name,
        &(struct asked){.work = do_symlink, .path = target, .other = name});
}

static intptr_t do_mkdir(struct rota__file_call *call)
{
    return rota__path_mkdir(asked_of(call)->path, asked_of(call)->mode);
}

int rota_mkdir(const char *path, mode_t mode)
{
    return (int)ask(
        "rota_mkdir", path,
        &(struct asked){.work = do_mkdir, .path = path, .mode = mode});
}

static intptr_t do_rmdir(struct rota__file_call *call)
{
    return rota__path_rmdir(asked_of(call)->path);
}

int rota_rmdir(const char *path)
{
    return (int)ask("rota_rmdir", path,
                    &(struct asked){.work = do_rmdir, .path = path});
}

static intptr_t do_chmod(struct rota__file_call *call)
{
    return rota__path_chmod(asked_of(call)->path, asked_of(call)->mode);
}

int rota_chmod(const char *path, mode_t mode)
{
    return (int)ask(
        "rota_chmod", path,
        &(struct asked){.work = do_chmod, .path = path, .mode = mode});
}

static intptr_t do_chown(struct rota__file_call *call)
{
    const struct asked *asked = asked_of(call);

    return rota__path_chown(asked->path, asked->user, asked->group);
}

int rota_chown(const char *path, uid_t user, gid_t group)
{
    return (int)ask(
        "rota_chown", path,
        &(struct asked){
            .work = do_chown, .path = path, .user = user, .group = group});
}

static intptr_t do_utimens(struct rota__file_call *call)
{
    return rota__path_utimens(asked_of(call)->path, asked_of(call)->times);
}

int rota_utimens(const char *path, const struct timespec times[2])
{
    struct asked asked = {.work = do_utimens, .path = path};

    if (times)
        memcpy(asked.times, times, sizeof asked.times);
    return (int)ask("rota_utimens", path && times, &asked);
}

/* --- Folders ------------------------------------------------------------- */

static intptr_t do_readdir(struct rota__file_call *call)
{
    rota_directory_entry *entries = NULL;
    intptr_t n =
        rota__path_readdir(asked_of(call)->path, &entries, &call->unwanted);

    call->block = entries;
    return n;
}

int rota_readdir(const char *path, rota_directory *directory)
{
    int err = 0;
    struct rota__task *self = rota__waiting_task("rota_readdir", &err);
    struct asked asked = {.work = do_readdir, .path = path};
    struct rota__file_wait wait;
    struct path_call *call;
    intptr_t n;

    if (!self)
        return err;
    if (!path || !directory)
        return -EINVAL;
    call = new_call(&asked);
    if (!call)
        return -ENOMEM;
    n = rota__file_call_await(&call->call, self, &wait);
    if (n < 0)
        return (int)n;
    directory->entries = wait.block;
    directory->count = (size_t)n;
    return 0;
}

void rota_directory_fini(rota_directory *directory)
{
    rota__free(directory->entries);
    *directory = (rota_directory){0};
}
