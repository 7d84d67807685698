/* SPDX-License-Identifier: MIT */
/*
 * Servers for protocols on Unix sockets
 */
#include "clients.h"

#include <sys/stat.h>

static char folder[] = "/tmp/rota-XXXXXX";

static void enter_folder(void)
{
    assert_non_null(mkdtemp(folder));
    assert_int_equal(chdir(folder), 0);
}

static void leave_folder(void)
{
    assert_int_equal(rmdir(folder), 0);
}

static int serve_unix(rota_server **server, const char *path,
                      const rota_server_options *options)
{
    client_count = 0;
    memset(clients, 0, sizeof clients);
    return rota_create_unix_server(server, the_loop, &client, servers, path,
                                   options);
}

static bool exists(const char *path)
{
    struct stat status;

    return lstat(path, &status) == 0;
}

static void meet_at(const char *path)
{
    struct ear ear = {.then[MADE] = then_close};
    rota_transport *transport;

    assert_int_equal(rota_create_unix_connection(&transport, the_loop, &ears,
                                                 &ear, path, NULL),
                     0);
    while (!ear.lost || client_count == 0 || !clients[client_count - 1].lost)
        turn();
    assert_int_equal(ear.made, 1);
    scenario_line[0] = '\0';
}

static void a_path_is_there_as_long_as_its_server(void)
{
    rota_server *server;

    enter_folder();
    begin();
    assert_int_equal(serve_unix(&server, "socket", NULL), 0);
    assert_true(exists("socket"));
    meet_at("socket");
    rota_server_close(server);
    assert_false(exists("socket"));
    rota_server_free(server);
    assert_int_equal(serve_unix(&server, "socket", NULL), 0);
    end();
    assert_false(exists("socket"));
    rota_server_free(server);
    leave_folder();
}

static void a_path_that_nobody_listens_on_is_replaced(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "socket"};
    rota_server *server;
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    enter_folder();
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 1), 0);
    begin();
    assert_int_equal(serve_unix(&server, "socket", NULL), -EADDRINUSE);
    assert_true(exists("socket"));
    close(fd);
    assert_int_equal(serve_unix(&server, "socket", NULL), 0);
    meet_at("socket");
    rota_server_free(server);
    assert_false(exists("socket"));
    end();
    leave_folder();
}

static void what_is_no_socket_is_never_removed(void)
{
    rota_server *server;

    enter_folder();
    begin();
    close(open("file", O_CREAT | O_WRONLY, 0600));
    assert_int_equal(serve_unix(&server, "file", NULL), -EADDRINUSE);
    assert_int_equal(serve_unix(&server, "nowhere/socket", NULL), -ENOENT);
    assert_true(exists("file"));
    assert_int_equal(serve_unix(&server, "socket", NULL), 0);
    assert_int_equal(rename("file", "socket"), 0);
    rota_server_free(server);
    assert_true(exists("socket")); /* another's by now */
    assert_int_equal(unlink("socket"), 0);
    end();
    leave_folder();
}

static void the_socket_of_a_successor_is_left_alone(void)
{
    rota_server *first, *second;

    enter_folder();
    begin();
    assert_int_equal(serve_unix(&first, "socket", NULL), 0);
    assert_int_equal(unlink("socket"), 0);
    assert_int_equal(serve_unix(&second, "socket", NULL), 0);
    rota_server_free(first);
    assert_true(exists("socket"));
    meet_at("socket");
    rota_server_free(second);
    assert_false(exists("socket"));
    end();
    leave_folder();
}

/* The kernel ends a read behind the bytes that a descriptor came with. */
static void send_with_stdin(int to, const char *text)
{
    char space[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec part = {(void *)(uintptr_t)text, strlen(text)};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = space,
                             .msg_controllen = sizeof space};
    struct cmsghdr *control = CMSG_FIRSTHDR(&message);

    control->cmsg_level = SOL_SOCKET;
    control->cmsg_type = SCM_RIGHTS;
    control->cmsg_len = CMSG_LEN(sizeof(int)); /* 0, as it is */
    assert_int_equal(sendmsg(to, &message, 0), strlen(text));
}

static void descriptors_that_come_along_hold_nothing_up(void)
{
    struct ear ear = {0};
    rota_transport *transport;
    rota_server *server;

    begin();
    assert_int_equal(serve_unix(&server, "@rota-test-server", NULL), 0);
    assert_int_equal(rota_create_unix_connection(&transport, the_loop, &ears,
                                                 &ear, "@rota-test-server",
                                                 NULL),
                     0);
    while (ear.made + client_count < 2)
        turn();
    for (int i = 0; i < 2; i++) {
        struct ear *from = i ? &ear : &clients[0];

        scenario_line[0] = '\0';
        send_with_stdin(rota_transport_fileno(from->transport), "with");
        assert_int_equal(rota_transport_write(from->transport, "out", 3), 0);
        await_word("with");
        settle();
        assert_noted("data:with data:out");
    }
    rota_server_free(server);
    end();
    assert_noted("lost:ROTA_ECLOSING lost:ROTA_ECLOSING");
}

static void an_abstract_name_needs_no_file(void)
{
    rota_server *server, *second;

    begin();
    assert_int_equal(serve_unix(&server, "@rota-test-server", NULL), 0);
    assert_int_equal(serve_unix(&second, "@rota-test-server", NULL),
                     -EADDRINUSE);
    meet_at("@rota-test-server");
    rota_server_free(server);
    end();
}

HARNESS_MAIN(TEST(a_path_is_there_as_long_as_its_server),
             TEST(a_path_that_nobody_listens_on_is_replaced),
             TEST(what_is_no_socket_is_never_removed),
             TEST(the_socket_of_a_successor_is_left_alone),
             TEST(an_abstract_name_needs_no_file),
             TEST(descriptors_that_come_along_hold_nothing_up))
