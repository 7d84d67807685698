/* SPDX-License-Identifier: MIT */
/*
 * The peer libevent: the echo by TCP and by TLS
 *
 * A bufferevent whose input becomes its output without a copy; over TLS one of
 * libevent's own for OpenSSL.
 */
#include "libevent_net.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#ifdef BENCH_LIBEVENT_TLS
#include <event2/bufferevent_ssl.h>
#include <openssl/ssl.h>
#endif

#include "peer.h"

static void on_read(struct bufferevent *connection, void *arg)
{
    (void)arg;
    bufferevent_write_buffer(connection, bufferevent_get_input(connection));
}

static void on_event(struct bufferevent *connection, short events, void *arg)
{
    (void)arg;
    if (events & (BEV_EVENT_EOF | BEV_EVENT_ERROR))
        bufferevent_free(connection);
}

static void begin(struct bufferevent *connection)
{
    peer_check(connection != NULL, "no bufferevent");
    setsockopt(bufferevent_getfd(connection), IPPROTO_TCP, TCP_NODELAY,
               &(int){1}, sizeof(int));
    bufferevent_set_max_single_read(connection, 65536);
    bufferevent_set_max_single_write(connection, 65536);
    bufferevent_setcb(connection, on_read, NULL, on_event, NULL);
    bufferevent_enable(connection, EV_READ | EV_WRITE);
}

static void serve(const char *port, evconnlistener_cb on_connection, void *arg)
{
    struct event_base *base = event_base_new();
    struct evconnlistener *listener =
        evconnlistener_new(base, on_connection, arg, LEV_OPT_CLOSE_ON_EXEC, 0,
                           peer_listen(atoi(port)));

    peer_check(listener != NULL, "no listener");
    event_base_dispatch(base);
}

static void on_connection(struct evconnlistener *listener, evutil_socket_t fd,
                          struct sockaddr *peer, int length, void *arg)
{
    struct event_base *base = evconnlistener_get_base(listener);

    (void)peer, (void)length, (void)arg;
    begin(bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE));
}

void libevent_echo(const char *port, const char *what)
{
    (void)what;
    serve(port, on_connection, NULL);
}

#ifdef BENCH_LIBEVENT_TLS

static void on_secure(struct evconnlistener *listener, evutil_socket_t fd,
                      struct sockaddr *peer, int length, void *context)
{
    struct event_base *base = evconnlistener_get_base(listener);

    (void)peer, (void)length;
    begin(bufferevent_openssl_socket_new(base, fd, SSL_new(context),
                                         BUFFEREVENT_SSL_ACCEPTING,
                                         BEV_OPT_CLOSE_ON_FREE));
}

void libevent_tls(const char *port, const char *pem)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());

    peer_check(context != NULL && pem != NULL, "no TLS context");
    peer_check(
        SSL_CTX_use_certificate_chain_file(context, pem) == 1 &&
            SSL_CTX_use_PrivateKey_file(context, pem, SSL_FILETYPE_PEM) == 1,
        "cannot load the certificate");
    serve(port, on_secure, context);
}

#endif
