/* SPDX-License-Identifier: MIT */
/*
 * Serves a folder: `http_files FOLDER [PORT [WORKERS]]`
 *
 * HTTP/1.1 with keep-alive, GET and HEAD. A large file goes from the file to
 * the socket inside the kernel, by rota_sendfile(); a small one is sent with
 * its head in one piece. With WORKERS, so many threads serve behind the port.
 */
#include "announce.h"
#include "http.h"
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEAD 512
#define SMALL 16384

static int folder;

static const char *type_of(const char *path)
{
    const char *dot = strrchr(path, '.');

    if (dot && strcmp(dot, ".html") == 0)
        return "text/html; charset=utf-8";
    if (dot && strcmp(dot, ".txt") == 0)
        return "text/plain; charset=utf-8";
    return "application/octet-stream";
}

static int hex(char digit)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = digit ? strchr(digits, digit | 0x20) : NULL;

    return at ? (int)(at - digits) : -1;
}

/* The file that a target means, in out[size]: 200, or why there is none. */
static int find_path(const char *target, char *out, size_t size)
{
    size_t used = 0;

    for (target++; *target && *target != '?'; target++) {
        char byte = *target;

        if (used + 1 == size)
            return 404;
        if (byte == '%') {
            int high = hex(target[1]);
            int low = high < 0 ? -1 : hex(target[2]);

            if (low < 0 || high + low == 0)
                return 400;
            byte = (char)(high * 16 + low);
            target += 2;
        }
        out[used++] = byte;
    }
    out[used] = '\0';
    if (out[0] == '/' || strstr(out, ".."))
        return 403;
    if (used == 0)
        snprintf(out, size, "index.html");
    return 200;
}

/* An fd, or a status. */
static int open_file(const char *target, char *path, size_t size,
                     struct stat *file, int *fd)
{
    int status = find_path(target, path, size);

    if (status != 200)
        return status;
    *fd = openat(folder, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (*fd < 0)
        return 404;
    if (fstat(*fd, file) == 0 && S_ISREG(file->st_mode))
        return 200;
    close(*fd);
    return 404;
}

static intptr_t send_file(rota_stream *stream,
                          const struct http_message *request, int fd,
                          const char *path, size_t size)
{
    char buf[HEAD + SMALL];
    size_t length = (size_t)http_print_head(buf, HEAD, request, 200,
                                            type_of(path), size, "");
    bool small = size <= SMALL && !http_is_head(request);
    intptr_t n;

    if (small && pread(fd, buf + length, size, 0) != (ssize_t)size)
        return -EIO; /* it has shrunk */
    n = rota_write(stream, buf, length + (small ? size : 0));
    if (n < 0 || small || http_is_head(request))
        return n;
    n = rota_sendfile(stream, fd, 0, size, NULL);
    return n == (intptr_t)size || n < 0 ? n : -EIO;
}

static int answer(rota_stream *stream, const struct http_message *request,
                  void *arg)
{
    char path[PATH_MAX];
    struct stat file;
    int fd = -1;
    int status = 405;
    intptr_t n;

    (void)arg;
    if (request->parser.method == HTTP_GET || http_is_head(request))
        status = open_file(request->target, path, sizeof path, &file, &fd);
    if (status != 200)
        return http_refuse(stream, request, status);
    n = send_file(stream, request, fd, path, (size_t)file.st_size);
    close(fd);
    return n < 0 ? (int)n : 0;
}

static intptr_t client(rota_stream *stream, void *arg)
{
    return http_serve(stream, answer, arg);
}

/* The first worker that listens tells. */
static int announce_workers(const rota_address *address, void *arg)
{
    static atomic_flag told = ATOMIC_FLAG_INIT;

    (void)arg;
    return atomic_flag_test_and_set(&told) ? 0 : announce_address(address);
}

static intptr_t amain(void *arg)
{
    char **argv = arg;
    int port = argv[2] ? parse_port(argv[2]) : 8000;
    rota_workers_options workers = {.grace = 5, .started = announce_workers};
    rota_server *server;
    int err;

    if (argv[2] && argv[3]) {
        workers.workers = atoi(argv[3]);
        return rota_serve_workers(client, NULL, "127.0.0.1", port, &workers);
    }
    err = rota_start_server(&server, client, NULL, "127.0.0.1", port);
    if (err == 0)
        err = announce(server);
    return err < 0 ? err : rota_serve_forever(server);
}

int main(int argc, char **argv)
{
    intptr_t err;

    if (argc < 2) {
        fprintf(stderr, "usage: http_files FOLDER [PORT [WORKERS]]\n");
        return 2;
    }
    folder = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) {
        perror(argv[1]);
        return 1;
    }
    err = rota_run(amain, argv);
    if (err == -EINTR) /* Ctrl-C */
        err = 0;
    if (err < 0)
        fprintf(stderr, "http_files: %s\n", rota_strerror(err));
    return err < 0;
}
