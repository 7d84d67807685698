/* SPDX-License-Identifier: MIT */
/*
 * Addresses: from text, to text, and beside each other
 */
#define _GNU_SOURCE
#include "sockets.h"

#include <net/if.h>
#include <stddef.h>
#include <sys/un.h>

static rota_address parsed(const char *host, int port)
{
    rota_address address;

    assert_int_equal(rota_address_parse(&address, host, port), 0);
    return address;
}

static rota_address named(const char *path)
{
    rota_address address;

    assert_int_equal(rota_address_unix(&address, path), 0);
    return address;
}

static const char *host_of(const rota_address *address)
{
    static char text[64];

    assert_int_equal(rota_address_host(address, text, sizeof text), 0);
    return text;
}

static const char *text_of(const rota_address *address)
{
    static char text[ROTA_ADDRESS_TEXT];

    assert_ptr_equal(rota_address_text(address, text, sizeof text), text);
    return text;
}

static const char *path_of(const rota_address *address)
{
    static char text[ROTA_ADDRESS_TEXT];

    assert_int_equal(rota_address_path(address, text, sizeof text), 0);
    return text;
}

/* --- Numbers -------------------------------------------------------------- */

static void numbers_come_back_as_they_were(void)
{
    static const char *const hosts[] = {
        "0.0.0.0", "127.0.0.1",   "255.255.255.255", "::",
        "::1",     "2001:db8::1", "::ffff:1.2.3.4",  "fe80::1",
    };

    for (size_t i = 0; i < rota__countof(hosts); i++) {
        rota_address address = parsed(hosts[i], 65535);

        assert_string_equal(host_of(&address), hosts[i]);
        assert_int_equal(rota_address_port(&address), 65535);
    }
}

static void an_address_is_the_systems_own(void)
{
    rota_address v4 = parsed("127.0.0.1", 80);
    rota_address v6 = parsed("::1", 80);
    struct sockaddr_in in = loopback(80);

    assert_int_equal(v4.size, sizeof in);
    assert_memory_equal(&v4.storage, &in, sizeof in);
    assert_int_equal(v6.size, sizeof(struct sockaddr_in6));
    assert_int_equal(v6.storage.ss_family, AF_INET6);
}

static void another_text_than_a_number_is_refused(void)
{
    static const char *const hosts[] = {
        "",
        "localhost",
        "127.1",
        "127.0.0.1 ",
        " 127.0.0.1",
        "127.0.0.",
        "1.2.3.4.5",
        "256.0.0.1",
        "0x7f.0.0.1",
        ":::",
        "1:2:3",
        "[::1]",
        "::1%",
        "fe80::1%",
        "fe80::1%nowhere",
        "::1%lo%lo",
        "::1%4294967296",
        "::1%-1",
        "%lo",
        "127.0.0.1%lo",
        "0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:00",
    };
    rota_address address = {.size = 77};

    for (size_t i = 0; i < rota__countof(hosts); i++)
        assert_int_equal(rota_address_parse(&address, hosts[i], 1), -EINVAL);
    assert_int_equal(rota_address_parse(&address, NULL, 1), -EINVAL);
    assert_int_equal(address.size, 77); /* untouched */
}

static void a_port_is_of_sixteen_bits(void)
{
    rota_address address;

    assert_int_equal(rota_address_parse(&address, "::1", -1), -EINVAL);
    assert_int_equal(rota_address_parse(&address, "::1", 65536), -EINVAL);
    assert_int_equal(rota_address_parse(&address, "::1", 0), 0);
    assert_int_equal(rota_address_port(&address), 0);
}

static void a_scope_is_an_interface_by_name_or_number(void)
{
    unsigned lo = if_nametoindex("lo");
    rota_address by_name;
    rota_address by_number;
    rota_address strange = parsed("fe80::1%4000000000", 1);
    char text[64];

    assert_string_equal(host_of(&strange), "fe80::1%4000000000");
    if (lo == 0)
        harness_skip("no interface lo");
    snprintf(text, sizeof text, "fe80::1%%%u", lo);
    by_name = parsed("fe80::1%lo", 80);
    by_number = parsed(text, 80);
    assert_true(rota_address_equal(&by_name, &by_number));
    assert_string_equal(host_of(&by_number), "fe80::1%lo");
    assert_string_equal(text_of(&by_number), "[fe80::1%lo]:80");
}

/* --- Unix sockets --------------------------------------------------------- */

static void a_path_comes_back_as_it_was(void)
{
    rota_address address = named("/run/x.sock");

    assert_int_equal(address.storage.ss_family, AF_UNIX);
    assert_string_equal(path_of(&address), "/run/x.sock");
    assert_string_equal(text_of(&address), "/run/x.sock");
    address = named("@abstract");
    assert_string_equal(path_of(&address), "@abstract");
    assert_int_equal(address.size, offsetof(struct sockaddr_un, sun_path) + 9);
    assert_int_equal(((struct sockaddr_un *)&address.storage)->sun_path[0], 0);
}

static void a_path_has_a_greatest_length(void)
{
    size_t room = sizeof((struct sockaddr_un *)0)->sun_path;
    char path[200];
    rota_address address;

    memset(path, 'x', sizeof path);
    path[room - 1] = '\0';
    address = named(path);
    assert_string_equal(path_of(&address), path);
    path[room - 1] = 'x';
    path[room] = '\0';
    assert_int_equal(rota_address_unix(&address, path), -ENAMETOOLONG);
    path[0] = '@'; /* needs no end */
    address = named(path);
    assert_string_equal(path_of(&address), path);
    path[room] = 'x';
    path[room + 1] = '\0';
    assert_int_equal(rota_address_unix(&address, path), -ENAMETOOLONG);
}

static void an_empty_path_is_refused(void)
{
    rota_address address;

    assert_int_equal(rota_address_unix(&address, ""), -EINVAL);
    assert_int_equal(rota_address_unix(&address, "@"), -EINVAL);
    assert_int_equal(rota_address_unix(&address, NULL), -EINVAL);
}

static void a_socket_without_a_name_has_an_empty_path(void)
{
    int fds[2];
    rota_address address;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    assert_int_equal(rota__socket_local(fds[0], &address), 0);
    assert_string_equal(path_of(&address), "");
    assert_string_equal(text_of(&address), "");
    close(fds[0]);
    close(fds[1]);
}

/* The system makes up an abstract name of five digits. */
static void the_system_knows_the_names_that_are_made_here(void)
{
    rota_address mine = named("@rota-test-address");
    rota_address local;
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    assert_int_equal(rota__socket_bind(fd, &mine), 0);
    assert_int_equal(rota__socket_local(fd, &local), 0);
    assert_true(rota_address_equal(&mine, &local));
    assert_string_equal(path_of(&local), "@rota-test-address");
    close(fd);
}

static void zeros_in_an_abstract_name_are_shown(void)
{
    rota_address a = named("@a.b");
    rota_address b = a;

    ((struct sockaddr_un *)&a.storage)->sun_path[2] = '\0';
    assert_string_equal(path_of(&a), "@a@b");
    assert_false(rota_address_equal(&a, &b));
}

/* --- Text ----------------------------------------------------------------- */

static void a_text_names_host_and_port(void)
{
    rota_address v4 = parsed("127.0.0.1", 80);
    rota_address v6 = parsed("::1", 65535);
    rota_address other = {.storage.ss_family = 250, .size = 2};

    assert_string_equal(text_of(&v4), "127.0.0.1:80");
    assert_string_equal(text_of(&v6), "[::1]:65535");
    assert_string_equal(text_of(&other), "(family 250)");
}

static void what_does_not_fit_is_an_error_or_cut_off(void)
{
    rota_address v4 = parsed("127.0.0.1", 80);
    rota_address un = named("/run/x");
    char text[16];

    for (size_t size = 0; size <= 9; size++)
        assert_int_equal(rota_address_host(&v4, text, size), -ENOSPC);
    assert_int_equal(rota_address_host(&v4, text, 10), 0);
    assert_int_equal(rota_address_path(&un, text, 6), -ENOSPC);
    assert_string_equal(text, "/run/");
    assert_int_equal(rota_address_path(&un, text, 0), -ENOSPC);
    assert_int_equal(rota_address_path(&un, text, 7), 0);
    assert_string_equal(rota_address_text(&v4, text, 5), "127.");
    assert_string_equal(rota_address_text(&un, text, 5), "/run");
    memset(text, 'x', sizeof text);
    assert_ptr_equal(rota_address_text(&v4, text, 0), text);
    assert_int_equal(text[0], 'x');
}

static void every_address_fits_into_its_text(void)
{
    char path[sizeof((struct sockaddr_un *)0)->sun_path + 1];
    rota_address longest =
        parsed("2001:1db8:2222:3333:4444:5555:6666:7777%4000000000", 65535);

    assert_string_equal(
        text_of(&longest),
        "[2001:1db8:2222:3333:4444:5555:6666:7777%4000000000]:65535");
    memset(path, 'x', sizeof path);
    path[0] = '@';
    path[sizeof path - 1] = '\0';
    longest = named(path);
    assert_string_equal(text_of(&longest), path);
}

static void each_family_has_its_own_questions(void)
{
    rota_address v4 = parsed("127.0.0.1", 80);
    rota_address un = named("/run/x");
    char text[64];

    assert_int_equal(rota_address_host(&un, text, sizeof text), -EAFNOSUPPORT);
    assert_int_equal(rota_address_port(&un), -EAFNOSUPPORT);
    assert_int_equal(rota_address_path(&v4, text, sizeof text), -EAFNOSUPPORT);
}

/* --- Beside each other ---------------------------------------------------- */

static void addresses_are_equal_by_what_they_say(void)
{
    rota_address all[] = {
        parsed("127.0.0.1", 80), parsed("127.0.0.1", 81),
        parsed("127.0.0.2", 80), parsed("::1", 80),
        parsed("::1", 81),       parsed("::2", 80),
        parsed("::1%7", 80),     named("/run/x"),
        named("/run/y"),         named("@/run/x"),
    };

    for (size_t i = 0; i < rota__countof(all); i++) {
        for (size_t j = 0; j < rota__countof(all); j++)
            assert_int_equal(rota_address_equal(&all[i], &all[j]), i == j);
    }
}

/* The system does not always count a path's end, nor clear what is behind. */
static void what_lies_behind_an_address_does_not_count(void)
{
    rota_address a = parsed("127.0.0.1", 80);
    rota_address b = a;
    rota_address x = named("/run/x");
    rota_address y = x;

    memset(((struct sockaddr_in *)&b.storage)->sin_zero, 1, 8);
    assert_true(rota_address_equal(&a, &b));
    y.size--;
    assert_true(rota_address_equal(&x, &y));
    assert_string_equal(path_of(&y), "/run/x");
}

static void a_list_is_empty_once_it_is_freed(void)
{
    rota_addresses list = {.items = rota__alloc(2 * sizeof(rota_address)),
                           .count = 2};

    rota_addresses_free(&list);
    assert_null(list.items);
    assert_int_equal(list.count, 0);
    rota_addresses_free(&list);
}

/* --- At random ------------------------------------------------------------ */

static rota_address random_address(uint64_t *state)
{
    rota_address address = {0};
    uint64_t bits = rota__random(state);

    if (bits & 1) {
        struct sockaddr_in *in = (struct sockaddr_in *)&address.storage;

        in->sin_family = AF_INET;
        in->sin_port = (in_port_t)(bits >> 8);
        in->sin_addr.s_addr = (in_addr_t)rota__random(state);
        address.size = sizeof *in;
    } else {
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&address.storage;

        in6->sin6_family = AF_INET6;
        in6->sin6_port = (in_port_t)(bits >> 8);
        for (int i = 0; i < 16; i++) /* many zeros: they are shortened */
            in6->sin6_addr.s6_addr[i] =
                (uint8_t)(rota__random(state) % 3 ? 0
                                                  : rota__random(state) >> 9);
        if (bits & 2)
            in6->sin6_scope_id = (uint32_t)(bits >> 32) | 1u << 20;
        address.size = sizeof *in6;
    }
    return address;
}

static void what_becomes_text_can_be_read_again(void)
{
    uint64_t state = 42;

    for (int i = 0; i < 100000; i++) {
        rota_address address = random_address(&state);
        rota_address again =
            parsed(host_of(&address), rota_address_port(&address));

        assert_true(rota_address_equal(&address, &again));
        assert_int_equal(again.size, address.size);
    }
}

/* What is taken is a number for the resolver too, and the same one. */
static void random_texts_are_numbers_or_refused(void)
{
    static const char letters[] = "0123456789abcdef:::...%lo";
    uint64_t state = 7;
    int taken = 0;

    for (int i = 0; i < 200000; i++) {
        char text[12];
        size_t size = (size_t)(rota__random(&state) >> 20) % sizeof text;
        rota_address address;
        rota_addresses list;

        for (size_t at = 0; at < size; at++)
            text[at] =
                letters[(rota__random(&state) >> 20) % (sizeof letters - 1)];
        text[size] = '\0';
        if (rota_address_parse(&address, text, 80) < 0)
            continue;
        taken++;
        assert_int_equal(
            rota__resolve_now(text, 80, AF_UNSPEC, false, true, &list), 0);
        assert_int_equal(list.count, 1);
        assert_true(rota_address_equal(&address, &list.items[0]));
        rota_addresses_free(&list);
    }
    assert_true(taken > 50);
}

HARNESS_MAIN(TEST(numbers_come_back_as_they_were),
             TEST(an_address_is_the_systems_own),
             TEST(another_text_than_a_number_is_refused),
             TEST(a_port_is_of_sixteen_bits),
             TEST(a_scope_is_an_interface_by_name_or_number),
             TEST(a_path_comes_back_as_it_was),
             TEST(a_path_has_a_greatest_length), TEST(an_empty_path_is_refused),
             TEST(a_socket_without_a_name_has_an_empty_path),
             TEST(the_system_knows_the_names_that_are_made_here),
             TEST(zeros_in_an_abstract_name_are_shown),
             TEST(a_text_names_host_and_port),
             TEST(what_does_not_fit_is_an_error_or_cut_off),
             TEST(every_address_fits_into_its_text),
             TEST(each_family_has_its_own_questions),
             TEST(addresses_are_equal_by_what_they_say),
             TEST(what_lies_behind_an_address_does_not_count),
             TEST(a_list_is_empty_once_it_is_freed),
             TEST_TIMEOUT(what_becomes_text_can_be_read_again, 60),
             TEST_TIMEOUT(random_texts_are_numbers_or_refused, 60))
