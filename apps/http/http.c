/* SPDX-License-Identifier: Apache-2.0 */
/* A small web server, and the program behind a bare `./atoll run`: one thread on each core, which
 * has a listener (SO_REUSEPORT) and an epoll instance of its own; keep-alive and pipelined
 * requests. `/` is a page (page.html) that shows what /status.json tells of the machine; every
 * other path says which core answers. An ordinary Linux program, which runs on Linux as it is.
 *
 * Arguments: the port (80), and after how many answers it ends (never). SIGINT and SIGTERM end it
 * in order. PUBLIC_URL in its environment is shown as where a browser finds it. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#define PAGE_PATH "/srv/page.html"
#define REQUEST_BYTES_MAX 8192
#define HEAD_BYTES_MAX 256
#define EVENTS 64
#define CORES_MAX 64

struct connection {
    int socket;
    size_t bytes; /* of a request that is not whole yet */
    char request[REQUEST_BYTES_MAX];
};

struct content {
    const char *status, *type, *body;
    size_t bytes;
};

static _Thread_local int listener;
static pthread_barrier_t all_listen;
static int port;
static char *page; /* NULL: there is none */
static size_t page_bytes;
static cpu_set_t core_set;     /* those of the program */
static _Thread_local int here; /* the thread's core, on which it stays */
static int has_limit;          /* of answers */
static long answers_left;
static long open_connections;

/* Each is written on its own core alone, in its own cache line. */
static struct {
    _Alignas(64) _Atomic unsigned long answers;
} cores[CORES_MAX];

static void stop(const char *what)
{
    perror(what);
    exit(1);
}

static void drop(struct connection *connection)
{
    close(connection->socket);
    free(connection);
    if (__atomic_sub_fetch(&open_connections, 1, __ATOMIC_SEQ_CST) == 0 && has_limit &&
        __atomic_load_n(&answers_left, __ATOMIC_SEQ_CST) <= 0) {
        exit(0); /* every peer has read its last answer, and closed */
    }
}

static char *append_number(char *at, unsigned long number)
{
    char digits[24];
    int count = 0;
    do {
        digits[count++] = (char)('0' + number % 10);
        number /= 10;
    } while (number != 0);
    while (count > 0) {
        *at++ = digits[--count];
    }
    *at = '\0';
    return at;
}

/* ---- /status.json: what a program can know of itself and the machine, out of /proc */

/* The ring in which this program runs: the low bits of its code segment say it. */
static int ring(void)
{
    uint16_t segment;
    __asm__("mov %%cs, %0" : "=r"(segment));
    return segment & 3;
}

/* Ticks of 10 ms that a core has worked and idled. */
static void read_ticks(int core, unsigned long *busy, unsigned long *idle)
{
    char line[256], name[16];
    FILE *file = fopen("/proc/stat", "r");
    *busy = *idle = 0;
    snprintf(name, sizeof(name), "cpu%d ", core);
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        unsigned long user, nice, system;
        if (strncmp(line, name, strlen(name)) == 0 &&
            sscanf(line, "%*s %lu %lu %lu %lu", &user, &nice, &system, idle) == 4) {
            *busy = user + nice + system;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
}

/* Packets that a core has processed, and how often other cores have left it something to do. */
static void read_packets(int core, unsigned long *packets, unsigned long *messages)
{
    char line[256];
    FILE *file = fopen("/proc/net/softnet_stat", "r");
    *packets = *messages = 0;
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        unsigned column[13];
        int count = sscanf(line, "%x %x %x %x %x %x %x %x %x %x %x %x %x", &column[0], &column[1],
                           &column[2], &column[3], &column[4], &column[5], &column[6], &column[7],
                           &column[8], &column[9], &column[10], &column[11], &column[12]);
        if (count == 13 && column[12] == (unsigned)core) {
            *packets = column[0];
            *messages = column[9];
        }
    }
    if (file != NULL) {
        fclose(file);
    }
}

static void write_cores(FILE *out)
{
    const char *comma = "";
    fprintf(out, "\"cores\":[");
    for (int core = 0; core < CORES_MAX; core++) {
        if (!CPU_ISSET(core, &core_set)) {
            continue;
        }
        unsigned long busy, idle, packets, messages;
        read_ticks(core, &busy, &idle);
        read_packets(core, &packets, &messages);
        fprintf(out,
                "%s{\"core\":%d,\"answers\":%lu,\"busy\":%lu,\"idle\":%lu,\"packets\":%lu,"
                "\"messages\":%lu}",
                comma, core, atomic_load_explicit(&cores[core].answers, memory_order_relaxed), busy,
                idle, packets, messages);
        comma = ",";
    }
    fprintf(out, "]");
}

/* A thread's name, core and ticks; false: it has ended. */
static int read_thread(const char *id, char name[32], int *core, unsigned long *ticks)
{
    char path[64], line[512];
    snprintf(path, sizeof(path), "/proc/self/task/%.16s/stat", id);
    FILE *file = fopen(path, "r");
    char *text = file != NULL ? fgets(line, sizeof(line), file) : NULL;
    if (file != NULL) {
        fclose(file);
    }
    char *begin = text != NULL ? strchr(text, '(') : NULL;
    char *end = text != NULL ? strrchr(text, ')') : NULL;
    if (begin == NULL || end == NULL) {
        return 0;
    }
    *end = '\0';
    snprintf(name, 32, "%s", begin + 1);
    unsigned long user, system;
    int fields = sscanf(end + 1,
                        " %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %lu %lu %*s %*s %*s %*s %*s "
                        "%*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
                        "%d",
                        &user, &system, core);
    *ticks = user + system;
    return fields == 3;
}

static void write_threads(FILE *out)
{
    DIR *tasks = opendir("/proc/self/task");
    const char *comma = "";
    fprintf(out, "\"threads\":[");
    for (struct dirent *task; tasks != NULL && (task = readdir(tasks)) != NULL;) {
        char name[32];
        int core;
        unsigned long ticks;
        if (task->d_name[0] != '.' && read_thread(task->d_name, name, &core, &ticks)) {
            fprintf(out, "%s{\"id\":%s,\"name\":\"%s\",\"core\":%d,\"ticks\":%lu}", comma,
                    task->d_name, name, core, ticks);
            comma = ",";
        }
    }
    if (tasks != NULL) {
        closedir(tasks);
    }
    fprintf(out, "]");
}

/* NULL: no memory. To be freed. */
static char *make_status(size_t *bytes)
{
    struct utsname system;
    struct timespec now;
    char *text = NULL;
    FILE *out = open_memstream(&text, bytes);
    if (out == NULL) {
        return NULL;
    }
    uname(&system);
    clock_gettime(CLOCK_MONOTONIC, &now);
    fprintf(out,
            "{\"system\":\"%s %s\",\"host\":\"%s\",\"ring\":%d,\"milliseconds\":%lld,"
            "\"answered_by\":%d,\"connections\":%ld,",
            system.sysname, system.release, system.nodename, ring(),
            (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000, here,
            __atomic_load_n(&open_connections, __ATOMIC_RELAXED));
    write_cores(out);
    fprintf(out, ",");
    write_threads(out);
    fprintf(out, "}\n");
    fclose(out);
    return text;
}

/* ---- answers */

/* False: the peer is gone, or does not read what it asked for. */
static int send_content(int socket, const struct content *content, int is_last)
{
    char head[HEAD_BYTES_MAX];
    char *at = stpcpy(head, "HTTP/1.1 ");
    at = stpcpy(stpcpy(at, content->status), "\r\nContent-Type: ");
    at = stpcpy(stpcpy(at, content->type), "\r\nContent-Length: ");
    at = stpcpy(append_number(at, content->bytes), "\r\n");
    at = stpcpy(at, is_last ? "Connection: close\r\n\r\n" : "\r\n");
    struct iovec parts[] = {{head, (size_t)(at - head)}, {(void *)content->body, content->bytes}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    return sendmsg(socket, &message, MSG_NOSIGNAL) == at - head + (ssize_t)content->bytes;
}

static int is_path(const char *request, const char *path)
{
    size_t bytes = strlen(path);
    return strncmp(request + 4, path, bytes) == 0 && strchr(" ?", request[4 + bytes]) != NULL;
}

/* Where the head of a request ends, behind its empty line; NULL: it is not whole. Whether one of
 * its lines says that the peer wants no other answer. */
static char *find_end(char *request, const char *all_end, int *is_last)
{
    static const char wish[] = "onnection: close";
    *is_last = 0;
    char *line = request;
    while ((line = memchr(line, '\n', (size_t)(all_end - line))) != NULL) {
        size_t left = (size_t)(all_end - ++line);
        if (left >= 2 && line[0] == '\r' && line[1] == '\n') {
            return line + 2;
        }
        *is_last |= left >= sizeof(wish) && (line[0] | 0x20) == 'c' &&
                    strncasecmp(line + 1, wish, sizeof(wish) - 1) == 0;
    }
    return NULL;
}

static int answer_greeting(int socket, const char *status, int is_last)
{
    char text[64];
    char *end = append_number(stpcpy(text, "Hello from core "), (unsigned long)here);
    end = stpcpy(end, " of Atoll.\n");
    return send_content(socket, &(struct content){status, "text/plain", text, (size_t)(end - text)},
                        is_last);
}

/* False: the connection is to be closed. */
static int answer(int socket, const char *request, int is_last)
{
    int is_sent;
    if (strncmp(request, "GET /", 5) != 0) {
        is_sent = answer_greeting(socket, "405 Method Not Allowed", is_last);
    } else if (page != NULL && is_path(request, "/")) {
        struct content content = {"200 OK", "text/html; charset=utf-8", page, page_bytes};
        is_sent = send_content(socket, &content, is_last);
    } else if (is_path(request, "/status.json")) {
        struct content content = {.status = "200 OK", .type = "application/json"};
        char *text = make_status(&content.bytes);
        content.body = text;
        is_sent = text != NULL && send_content(socket, &content, is_last);
        free(text);
    } else {
        is_sent = answer_greeting(socket, "200 OK", is_last);
    }
    atomic_fetch_add_explicit(&cores[here].answers, 1, memory_order_relaxed);
    if (has_limit) {
        __atomic_sub_fetch(&answers_left, 1, __ATOMIC_SEQ_CST);
    }
    return is_sent && !is_last;
}

/* Answers the whole requests that are there. False: the connection is to be closed. */
static int answer_all(struct connection *connection)
{
    char *request = connection->request, *all_end = request + connection->bytes;
    int is_last;
    for (char *end; (end = find_end(request, all_end, &is_last)) != NULL; request = end) {
        if (!answer(connection->socket, request, is_last)) {
            return 0;
        }
    }
    connection->bytes = (size_t)(all_end - request);
    memmove(connection->request, request, connection->bytes);
    return connection->bytes < REQUEST_BYTES_MAX;
}

/* Takes and answers what there is. The connection may be gone afterwards. */
static void serve(struct connection *connection)
{
    for (;;) {
        size_t room = REQUEST_BYTES_MAX - connection->bytes;
        ssize_t bytes = recv(connection->socket, connection->request + connection->bytes, room, 0);
        if (bytes < 0 && errno == EAGAIN) {
            return;
        }
        if (bytes <= 0) {
            drop(connection);
            return;
        }
        connection->bytes += (size_t)bytes;
        if (!answer_all(connection)) {
            drop(connection);
            return;
        }
        if ((size_t)bytes < room) {
            return; /* all of it: the next event tells of more */
        }
    }
}

static void take(int instance)
{
    int socket = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (socket < 0) {
        return; /* another thread was first, or the peer is gone */
    }
    int on = 1;
    struct connection *connection = calloc(1, sizeof(*connection));
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET, .data.ptr = connection};
    setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (connection == NULL) {
        close(socket);
        return;
    }
    connection->socket = socket;
    __atomic_add_fetch(&open_connections, 1, __ATOMIC_SEQ_CST);
    if (epoll_ctl(instance, EPOLL_CTL_ADD, socket, &event) != 0) {
        drop(connection);
    }
}

/* ---- threads */

static void settle_on(int core)
{
    char name[16];
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(core, &set);
    snprintf(name, sizeof(name), "server %d", core);
    pthread_setname_np(pthread_self(), name);
    if (sched_setaffinity(0, sizeof(set), &set) != 0) {
        stop("sched_setaffinity");
    }
    here = sched_getcpu();
}

/* The calling thread's core has its share of the connections. */
static void start_listening(void)
{
    int on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener < 0) {
        stop("socket");
    }
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    setsockopt(listener, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
    if (bind(listener, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(listener, SOMAXCONN) != 0) {
        stop("listen");
    }
}

static void *loop(void *core)
{
    settle_on((int)(intptr_t)core);
    start_listening();
    int instance = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    if (instance < 0 || epoll_ctl(instance, EPOLL_CTL_ADD, listener, &event) != 0) {
        stop("epoll");
    }
    pthread_barrier_wait(&all_listen);
    for (;;) {
        struct epoll_event events[EVENTS];
        int count = epoll_wait(instance, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr == NULL) {
                take(instance);
            } else {
                serve(events[i].data.ptr);
            }
        }
    }
    return NULL;
}

static void start_threads(void)
{
    if (sched_getaffinity(0, sizeof(core_set), &core_set) != 0) {
        stop("sched_getaffinity");
    }
    pthread_barrier_init(&all_listen, NULL, 1 + (unsigned)CPU_COUNT(&core_set));
    for (int core = 0; core < CORES_MAX; core++) {
        pthread_t thread;
        if (CPU_ISSET(core, &core_set) &&
            pthread_create(&thread, NULL, loop, (void *)(intptr_t)core) != 0) {
            stop("pthread_create");
        }
    }
    pthread_barrier_wait(&all_listen);
}

static void read_page(void)
{
    FILE *file = fopen(PAGE_PATH, "r");
    ssize_t bytes = file != NULL ? getdelim(&page, &page_bytes, '\0', file) : -1;
    page_bytes = bytes > 0 ? (size_t)bytes : 0;
    if (file != NULL) {
        fclose(file);
    }
    if (bytes <= 0) {
        page = NULL;
    }
}

int main(int argc, char **argv)
{
    int signal = 0;
    port = argc > 1 ? atoi(argv[1]) : 80;
    const char *url = getenv("PUBLIC_URL");
    has_limit = argc > 2;
    answers_left = has_limit ? atol(argv[2]) : 0;
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &ends, NULL); /* in all threads, which inherit it */
    read_page();
    start_threads();
    if (url != NULL) {
        printf("%s shows this machine; Ctrl-C ends it\n", url);
    } else {
        printf("serving port %d\n", port);
    }
    fflush(stdout);
    sigwait(&ends, &signal);
    unsigned long answers = 0;
    for (int core = 0; core < CORES_MAX; core++) {
        answers += cores[core].answers;
    }
    printf("%lu requests answered\n", answers);
    return 0;
}
