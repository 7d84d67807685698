/* SPDX-License-Identifier: MIT */
/*
 * Fuzzing: addresses from text and back
 *
 * Whatever is taken comes out as a text that means the same address.
 */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

static void check_host(const char *text, int port)
{
    char host[ROTA_ADDRESS_TEXT];
    char whole[ROTA_ADDRESS_TEXT];
    rota_address address;
    rota_address again;

    if (rota_address_parse(&address, text, port) < 0)
        return;
    assert_in_range(port, 0, 65535);
    assert_int_equal(rota_address_port(&address), port);
    assert_int_equal(rota_address_host(&address, host, sizeof host), 0);
    assert_int_equal(rota_address_parse(&again, host, port), 0);
    assert_true(rota_address_equal(&address, &again));
    assert_non_null(
        strstr(rota_address_text(&address, whole, sizeof whole), host));
}

static void check_path(const char *text)
{
    char path[ROTA_ADDRESS_TEXT];
    rota_address address;
    rota_address again;

    if (rota_address_unix(&address, text) < 0)
        return;
    assert_int_equal(rota_address_path(&address, path, sizeof path), 0);
    assert_string_equal(path, text);
    assert_int_equal(rota_address_unix(&again, path), 0);
    assert_true(rota_address_equal(&address, &again));
}

/* Text of any room, down to none, is terminated and not overrun. */
static void check_room(const char *text, size_t room)
{
    char *out = malloc(room ? room : 1);
    rota_address address;

    assert_non_null(out);
    if (rota_address_parse(&address, text, 80) == 0) {
        rota_address_text(&address, out, room);
        if (room > 0)
            assert_true(strlen(out) < room);
        (void)rota_address_host(&address, out, room);
    }
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[300];
    int port;

    if (size < 3 || size - 3 >= sizeof text)
        return 0;
    port = (data[0] << 16 | data[1] << 8 | data[2]) - 100;
    memcpy(text, data + 3, size - 3);
    text[size - 3] = '\0';
    check_host(text, port);
    check_path(text);
    check_room(text, data[0] % 64);
    return 0;
}
