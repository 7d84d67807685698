/* SPDX-License-Identifier: MIT */
/*
 * Spawn: the parent's part
 *
 * Where the program may be is worked out before there is a child, which could
 * not allocate. As in Python: in each folder of the PATH that the child will
 * have; an empty one is the folder that it starts in.
 */
#include "os/os.h"
#include "os/spawn_plan.h"
#include <fcntl.h>
#include <stdlib.h>

/* The child needs 6 KB, if the dynamic linker has to work for it. */
#define STACK_SIZE ((size_t)32768)
#define DEFAULT_PATH "/bin:/usr/bin"

#if defined(__APPLE__)
#include <crt_externs.h>

static char **our_env(void)
{
    return *_NSGetEnviron();
}
#else
static char **our_env(void)
{
    extern char **environ;

    return environ;
}
#endif

static int check_fd(int fd)
{
    return fcntl(fd, F_GETFD) < 0 ? -errno : 0;
}

int rota__spawn_check_fds(const struct rota__spawn *spawn)
{
    int err = 0;

    for (size_t i = 0; i < 3 && err == 0; i++)
        if (spawn->fds[i] >= 0)
            err = check_fd(spawn->fds[i]);
    for (size_t i = 0; i < spawn->pass_fd_count && err == 0; i++)
        err = check_fd(spawn->pass_fds[i]);
    return err;
}

static const char *path_of(char *const *env)
{
    for (; env && *env; env++)
        if (strncmp(*env, "PATH=", 5) == 0)
            return *env + 5;
    return DEFAULT_PATH;
}

static size_t count_folders(const char *path)
{
    size_t count = 1;

    for (; *path; path++)
        count += *path == ':';
    return count;
}

/* "folder/name"; returns what is behind its zero byte. */
static char *join(char *at, const char *folder, size_t size, const char *name)
{
    size_t name_size = strlen(name) + 1;

    memcpy(at, folder, size);
    at += size;
    if (size > 0 && folder[size - 1] != '/')
        *at++ = '/';
    memcpy(at, name, name_size);
    return at + name_size;
}

static void list_paths(const char **paths, char *text, const char *path,
                       const char *name)
{
    size_t count = count_folders(path);

    for (size_t i = 0; i < count; i++) {
        size_t size = strcspn(path, ":");

        paths[i] = text;
        text = join(text, path, size, name);
        path += size + 1;
    }
    paths[count] = NULL;
}

/* One block: the stack, the list, the texts. */
static int make_plan(struct rota__spawn_plan *plan,
                     const struct rota__spawn *spawn)
{
    const char *name = spawn->argv[0];
    char *const *env = spawn->env ? spawn->env : our_env();
    const char *path = strchr(name, '/') ? "" : path_of(env);
    size_t count = count_folders(path);
    size_t texts = strlen(path) + 1 + count * (strlen(name) + 2);
    size_t list = (count + 1) * sizeof(char *);
    char *block = rota__alloc(STACK_SIZE + list + texts);

    if (!block)
        return -ENOMEM;
    *plan = (struct rota__spawn_plan){
        .spawn = spawn,
        .env = env,
        .stack = block,
        .stack_size = STACK_SIZE,
        .paths = (const char *const *)(void *)(block + STACK_SIZE),
        .report = -1,
    };
    list_paths((const char **)(void *)(block + STACK_SIZE),
               block + STACK_SIZE + list, path, name);
    return 0;
}

/*
 * One who gives away rights must not share our memory meanwhile: its new user
 * could look into it. Nor may its change be told to our other threads, as the
 * C library does with that of a thread.
 */
static bool may_share(const struct rota__spawn *spawn)
{
    return !spawn->user && !spawn->group && !spawn->extra_groups;
}

int rota__spawn(const struct rota__spawn *spawn, struct rota__process_id *out)
{
    struct rota__spawn_plan plan;
    int err = make_plan(&plan, spawn);
    int before;

    if (err < 0)
        return err;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
    err = may_share(spawn) ? rota__spawn_clone(&plan, out) : -ENOSYS;
    if (err == -ENOSYS)
        err = rota__spawn_fork(&plan, out);
    pthread_setcancelstate(before, NULL);
    rota__free(plan.stack);
    return err;
}
