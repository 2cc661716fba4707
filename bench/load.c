/* Load client for TLS-intercepting forward proxies: one thread, epoll, OpenSSL, HTTP/1.1 with keep-alive.
 *
 * load -P TARGET_PORT [-p PROXY_PORT] [-t HOST] [-u PATH] [-c CONNECTIONS] [-d SECONDS] [-n REQUESTS]
 *      [-m METHOD] [-b BODY_BYTES] [-k 0] [-H HOSTS -O FIRST] [-A CA_FILE] [-V]
 *
 * -p 0 (default): straight to TARGET_PORT, else CONNECT through the proxy. -k 0: a new connection per request.
 * -V: each head differs (a request number). -H N: each new connection takes the next of the names hFIRST.bench.test ...
 * The certificate is verified against CA_FILE and the name. Prints one JSON object: counts, rates, latencies in microseconds.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum state { CONNECTING, ASKING, TUNNELLING, SHAKING, WRITING, READING };

struct connection {
    int fd;
    enum state state;
    SSL *tls;
    char head[16384], tail[5], host[64];
    int head_length, head_done, chunked;
    long need, sent, got, requests;
    double began, first_byte, connected_from;
};

static int vary, proxy_port, target_port = 9443, connections = 1, keep_alive = 1, hosts, first_host, queue;
static long wanted, body;
static double seconds = 5;
static const char *host = "a.bench.test", *path = "/small", *method = "GET", *authority;

static SSL_CTX *context;
static double *latencies, *handshakes, end_time, first_bytes, received;
static long answered, shaken, errors, opened, refused;
static const long ROOM = 4000000;
static char upload[65536];

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static int over(void) { return now() >= end_time || (wanted && answered >= wanted); }

static void wait_for(struct connection *c, int events) {
    struct epoll_event e = {.events = events, .data.ptr = c};
    epoll_ctl(queue, EPOLL_CTL_MOD, c->fd, &e);
}

static void open_connection(struct connection *c) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(proxy_port ? proxy_port : target_port)};
    struct epoll_event e = {.events = EPOLLOUT, .data.ptr = c};
    int one = 1;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    memset(c, 0, sizeof *c);
    if (hosts)
        snprintf(c->host, sizeof c->host, "h%ld.bench.test", first_host + opened % hosts);
    else
        snprintf(c->host, sizeof c->host, "%s", host);
    opened++;
    c->connected_from = now();
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(c->fd, (void *)&to, sizeof to) && errno != EINPROGRESS) {
        perror("connect");
        exit(1);
    }
    epoll_ctl(queue, EPOLL_CTL_ADD, c->fd, &e);
}

static void close_connection(struct connection *c) {
    if (c->tls) SSL_free(c->tls);
    c->tls = NULL;
    close(c->fd);
    c->fd = -1;
}

static void reopen(struct connection *c) {
    close_connection(c);
    if (!over()) open_connection(c);
}

static void failed(struct connection *c, const char *what) {
    if (errors++ < 3) {
        fprintf(stderr, "error: %s, host %s, request %ld: %.100s\n", what, c->host, c->requests, c->head);
        ERR_print_errors_fp(stderr);
    }
    ERR_clear_error();
    if (errors > 1000) exit(3);
    reopen(c);
}

/* 1: call again when the socket is ready. 0: the operation failed for good. */
static int later(struct connection *c, int result) {
    switch (SSL_get_error(c->tls, result)) {
    case SSL_ERROR_WANT_READ: wait_for(c, EPOLLIN); return 1;
    case SSL_ERROR_WANT_WRITE: wait_for(c, EPOLLOUT); return 1;
    default: return 0;
    }
}

static void begin_request(struct connection *c) {
    static long number;
    char extra[128] = "";
    if (vary) number++;
    if (body) snprintf(extra, sizeof extra, "Content-Type: application/octet-stream\r\nContent-Length: %ld\r\n", body);
    c->head_length = snprintf(c->head, sizeof c->head,
        "%s %s HTTP/1.1\r\nHost: %s:%d\r\nUser-Agent: load/1\r\nAccept: */*\r\n"
        "Authorization: Bearer dummy-token-0123456789\r\nX-Request-Id: %016ld\r\n%s%s\r\n",
        method, path, c->host, target_port, number, extra, keep_alive ? "" : "Connection: close\r\n");
    c->began = now();
    c->first_byte = 0;
    c->sent = 0;
    c->state = WRITING;
}

static int ask_proxy(struct connection *c) {
    char text[256];
    int length = snprintf(text, sizeof text, "CONNECT %s:%d HTTP/1.1\r\nHost: %s:%d\r\n\r\n", c->host, target_port,
                          c->host, target_port);
    if (write(c->fd, text, length) != length) return failed(c, "CONNECT"), 0;
    c->head_length = 0;
    c->state = TUNNELLING;
    wait_for(c, EPOLLIN);
    return 0;
}

/* Byte by byte, so that nothing of the TLS stream is taken. */
static int await_tunnel(struct connection *c) {
    ssize_t n = recv(c->fd, c->head + c->head_length, 1, 0);
    if (n < 0 && errno == EAGAIN) return 0;
    if (n <= 0 || c->head_length > 4000) return failed(c, "no tunnel"), 0;
    c->head[++c->head_length] = 0;
    if (c->head_length < 4 || memcmp(c->head + c->head_length - 4, "\r\n\r\n", 4)) return 1;
    if (memcmp(c->head + 8, " 200", 4)) return failed(c, "CONNECT refused"), 0;
    c->state = SHAKING;
    return 1;
}

static int shake_hands(struct connection *c) {
    int result;
    if (!c->tls) {
        c->tls = SSL_new(context);
        SSL_set_fd(c->tls, c->fd);
        SSL_set_tlsext_host_name(c->tls, c->host);
        if (authority) SSL_set1_host(c->tls, c->host);
        SSL_set_connect_state(c->tls);
    }
    result = SSL_do_handshake(c->tls);
    if (result == 1) {
        if (shaken < ROOM) handshakes[shaken++] = now() - c->connected_from;
        begin_request(c);
        return 1;
    }
    if (!later(c, result)) failed(c, "handshake");
    return 0;
}

static int write_request(struct connection *c) {
    while (c->sent < c->head_length + body) {
        long left = c->head_length + body - c->sent;
        int result = c->sent < c->head_length
                         ? SSL_write(c->tls, c->head + c->sent, c->head_length - c->sent)
                         : SSL_write(c->tls, upload, left > (long)sizeof upload ? (int)sizeof upload : left);
        if (result <= 0) {
            if (!later(c, result)) failed(c, "write");
            return 0;
        }
        c->sent += result;
    }
    c->head_length = c->head_done = c->chunked = 0;
    c->got = 0;
    c->need = -1;
    c->state = READING;
    wait_for(c, EPOLLIN);
    return 1;
}

/* Takes the head out of the first bytes; how many of them belong to it, or -1 when more are needed. */
static int take_head(struct connection *c, const char *data, int size) {
    int room = (int)sizeof c->head - 1 - c->head_length, before = c->head_length;
    int copied = size < room ? size : room;
    char *end, *field;
    memcpy(c->head + c->head_length, data, copied);
    c->head[c->head_length += copied] = 0;
    if (!(end = strstr(c->head, "\r\n\r\n"))) return -1;
    end[2] = 0;
    c->head_done = 1;
    if (c->head[9] != '2') refused++;
    if ((field = strcasestr(c->head, "\r\ncontent-length:")))
        c->need = atol(field + 17);
    else if (strcasestr(c->head, "\r\ntransfer-encoding: chunked"))
        c->chunked = 1;
    memset(c->tail, 0, sizeof c->tail);
    return (int)(end + 4 - c->head) - before;
}

static int body_ended(struct connection *c, const char *data, int size) {
    c->got += size;
    if (!c->chunked) return c->need >= 0 && c->got >= c->need;
    if (size >= 5)
        memcpy(c->tail, data + size - 5, 5);
    else if (size > 0) {
        memmove(c->tail, c->tail + size, 5 - size);
        memcpy(c->tail + 5 - size, data, size);
    }
    return !memcmp(c->tail, "0\r\n\r\n", 5);
}

static int finish_request(struct connection *c) {
    double t = now();
    if (answered < ROOM) latencies[answered] = t - c->began;
    first_bytes += c->first_byte - c->began;
    answered++;
    c->requests++;
    if (over()) return close_connection(c), 0;
    if (!keep_alive || strcasestr(c->head, "\r\nconnection: close")) return reopen(c), 0;
    begin_request(c);
    return 1;
}

static int read_response(struct connection *c) {
    static char data[262144];
    for (;;) {
        int taken = 0, result = SSL_read(c->tls, data, sizeof data);
        if (result <= 0) {
            int why = SSL_get_error(c->tls, result);
            if (why == SSL_ERROR_WANT_READ) return 0;
            if (c->requests && !c->head_length && !c->head_done) return reopen(c), 0;
            if (why == SSL_ERROR_ZERO_RETURN && c->head_done && c->need < 0 && !c->chunked) return finish_request(c);
            return failed(c, "read"), 0;
        }
        if (!c->first_byte) c->first_byte = now();
        received += result;
        if (!c->head_done && (taken = take_head(c, data, result)) < 0) continue;
        if (body_ended(c, data + taken, result - taken)) return finish_request(c);
    }
}

static void drive(struct connection *c) {
    for (int go = 1; go;) {
        int error = 0;
        socklen_t size = sizeof error;
        switch (c->state) {
        case CONNECTING:
            getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
            if (error) return failed(c, "connect");
            c->state = proxy_port ? ASKING : SHAKING;
            break;
        case ASKING: go = ask_proxy(c); break;
        case TUNNELLING: go = await_tunnel(c); break;
        case SHAKING: go = shake_hands(c); break;
        case WRITING: go = write_request(c); break;
        case READING: go = read_response(c); break;
        }
    }
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double quantile(double *values, long count, double q) {
    return count ? values[(long)(q * (count - 1))] * 1e6 : 0;
}

static void read_options(int count, char **values) {
    for (int o; (o = getopt(count, values, "p:P:t:u:c:d:n:m:b:k:H:O:A:V")) > 0;) switch (o) {
        case 'p': proxy_port = atoi(optarg); break;
        case 'P': target_port = atoi(optarg); break;
        case 't': host = optarg; break;
        case 'u': path = optarg; break;
        case 'c': connections = atoi(optarg); break;
        case 'd': seconds = atof(optarg); break;
        case 'n': wanted = atol(optarg); break;
        case 'm': method = optarg; break;
        case 'b': body = atol(optarg); break;
        case 'k': keep_alive = atoi(optarg); break;
        case 'H': hosts = atoi(optarg); break;
        case 'O': first_host = atoi(optarg); break;
        case 'V': vary = 1; break;
        case 'A': authority = optarg; break;
        default: exit(2);
        }
}

static SSL_CTX *client_context(void) {
    SSL_CTX *made = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_mode(made, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(made, 1);
    if (authority) {
        if (!SSL_CTX_load_verify_locations(made, authority, NULL)) exit(2);
        SSL_CTX_set_verify(made, SSL_VERIFY_PEER, NULL);
    }
    return made;
}

int main(int count, char **values) {
    struct epoll_event events[256];
    struct connection *all;
    double began, elapsed;
    signal(SIGPIPE, SIG_IGN);
    read_options(count, values);
    latencies = malloc(ROOM * sizeof *latencies);
    handshakes = malloc(ROOM * sizeof *handshakes);
    memset(upload, 'x', sizeof upload);
    context = client_context();
    queue = epoll_create1(0);
    all = calloc(connections, sizeof *all);
    began = now();
    end_time = began + seconds;
    for (int i = 0; i < connections; i++) open_connection(&all[i]);
    while (!over()) {
        int ready = epoll_wait(queue, events, 256, 100);
        for (int i = 0; i < ready; i++) {
            struct connection *c = events[i].data.ptr;
            if (c->fd >= 0) drive(c);
        }
    }
    elapsed = now() - began;
    qsort(latencies, answered, sizeof *latencies, by_size);
    qsort(handshakes, shaken, sizeof *handshakes, by_size);
    printf("{\"requests\":%ld,\"errors\":%ld,\"refused\":%ld,\"opened\":%ld,\"seconds\":%.4f,\"rate\":%.1f,"
           "\"p50\":%.0f,\"p99\":%.0f,\"first_byte\":%.0f,\"connect\":%.0f,\"megabytes\":%.1f}\n",
           answered, errors, refused, opened, elapsed, answered / elapsed, quantile(latencies, answered, .5),
           quantile(latencies, answered, .99), answered ? first_bytes / answered * 1e6 : 0,
           quantile(handshakes, shaken, .5), (body ? (double)body * answered : received) / 1e6);
    return errors ? 1 : 0;
}
