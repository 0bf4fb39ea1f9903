/* SPDX-License-Identifier: Apache-2.0 */
/* System calls whose strace is known; the argument chooses:
 *     files, memory, waits, sockets, signals     one thread, the same calls on every Linux
 *     interrupted                                 calls that a signal interrupts
 *     threads     two threads that take turns, each on a core of its own if there are two
 *     many N      two threads that call getppid N times each, then "made"
 * What is made in vain is made on purpose. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static char bytes[200];
static struct iovec vectors[3] = {{"ab", 2}, {"", 0}, {"cdef", 4}};

static void data(int file)
{
    static const char text[] = "hello \"world\"\n\001\0022\377";
    write(file, text, sizeof(text) - 1);
    pwrite(file, "a long text that goes beyond what is shown of it", 48, 100);
    lseek(file, 0, SEEK_SET);
    read(file, bytes, 100);
    read(file, bytes, 100);
    read(file, bytes, 5);
    writev(file, vectors, 3);
    struct iovec in[2] = {{bytes, 3}, {bytes + 3, 100}};
    preadv(file, in, 2, 150);
}

static void files(void)
{
    struct stat status;
    static const char folder[] = "calls";
    mkdir(folder, 0755);
    chdir(folder);
    int file = open("a file\n", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    data(file);
    fstat(file, &status);
    stat("/nowhere", &status);
    lstat("a file\n", &status);
    fcntl(file, F_GETFL);
    fcntl(file, F_SETFL, O_NONBLOCK | O_APPEND);
    fcntl(file, F_GETFD);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 1, .l_len = 2};
    fcntl(file, F_SETLK, &lock);
    fcntl(file, F_DUPFD, 30);
    dup2(file, 20);
    dup3(file, 21, O_CLOEXEC);
    ftruncate(file, 10);
    close(file);
    close(77);
    access("a file\n", R_OK | W_OK);
    unlinkat(AT_FDCWD, "none", 0);
    rename("a file\n", "b");
    symlink("b", "c");
    readlink("c", bytes, sizeof(bytes));
    unlink("c");
    chmod("b", 0600);
    umask(022);
    openat(AT_FDCWD, "none", O_RDONLY | O_DIRECTORY);
    open((char *)16, O_RDONLY);
    read(0, (void *)8, -1);
    unlink("b");
    chdir("..");
    rmdir(folder);
    chdir("/");
    getcwd(bytes, sizeof(bytes));
}

static void memory(void)
{
    char *at = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(at, 4096, PROT_READ);
    madvise(at, 4096, MADV_DONTNEED);
    mmap((void *)1, 10, PROT_NONE, MAP_SHARED | MAP_FIXED, -1, 0);
    mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    mremap(at, 8192, 16384, MREMAP_MAYMOVE);
    msync(at, 10, MS_SYNC | 32);
    munmap(at, 4095 + 1);
    munmap((void *)1, 1);
    syscall(1234, 1, 2, 3);
    getpid();
    prctl(PR_SET_NAME, "renamed");
    clock_gettime(99, NULL);
    sched_get_priority_max(SCHED_RR);
}

static void waits(void)
{
    int ends[2];
    pipe(ends);
    pipe2(ends, O_NONBLOCK);
    struct pollfd polled[2] = {{ends[0], POLLIN, 0}, {ends[1], POLLOUT, 0}};
    poll(polled, 2, 0);
    poll(polled, 1, 1);
    read(ends[0], bytes, 1);
    write(ends[1], "x", 1);
    poll(polled, 2, -1);
    fd_set in, out;
    FD_ZERO(&in);
    FD_ZERO(&out);
    FD_SET(ends[0], &in);
    FD_SET(ends[1], &out);
    syscall(SYS_select, ends[1] + 1, &in, &out, NULL, NULL);
    int poller = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u64 = 5};
    epoll_ctl(poller, EPOLL_CTL_ADD, ends[0], &event);
    epoll_ctl(poller, EPOLL_CTL_DEL, 99, NULL);
    epoll_wait(poller, &event, 1, 0);
    epoll_wait(poller, &event, 1, 0);
    int counter = eventfd(3, EFD_NONBLOCK | EFD_CLOEXEC);
    read(counter, bytes, 8);
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    struct itimerspec setting = {.it_value = {1000, 5}};
    timerfd_settime(timer, 0, &setting, NULL);
    struct timespec moment = {0, 1000000};
    nanosleep(&moment, NULL);
    clock_nanosleep(CLOCK_MONOTONIC, 0, &moment, NULL);
    int word = 1;
    syscall(SYS_futex, &word, 0 /* FUTEX_WAIT */, 2, NULL);
    syscall(SYS_futex, &word, 1 | 128 /* FUTEX_WAKE_PRIVATE */, 1);
    syscall(SYS_futex, &word, 9 | 128 /* FUTEX_WAIT_BITSET_PRIVATE */, 1, &setting.it_interval,
            NULL, -1);
}

static void connection(int listener, struct sockaddr *address, socklen_t size)
{
    int one = 1;
    socklen_t bytes_one = sizeof(one);
    int client = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    connect(client, address, size);
    int server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    send(client, "ping", 4, MSG_NOSIGNAL);
    recv(server, bytes, 10, MSG_PEEK);
    recv(server, bytes, 10, 0);
    recv(server, bytes, 10, MSG_DONTWAIT);
    getsockopt(listener, SOL_SOCKET, SO_TYPE, &one, &bytes_one);
    shutdown(client, SHUT_WR);
}

static void sockets(void)
{
    int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001)};
    socklen_t size = sizeof(address);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    bind(listener, (struct sockaddr *)&address, size);
    listen(listener, 5);
    getsockname(listener, (struct sockaddr *)&address, &size);
    connection(listener, (struct sockaddr *)&address, size);
    int pair[2];
    socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    struct msghdr message = {.msg_iov = vectors, .msg_iovlen = 1};
    sendmsg(pair[0], &message, 0);
    message.msg_iov = &(struct iovec){bytes, 50};
    recvmsg(pair[1], &message, 0);
    struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "/tmp/none"};
    int datagram = socket(AF_UNIX, SOCK_DGRAM, 0);
    connect(datagram, (struct sockaddr *)&name, sizeof(name));
    sendto(datagram, "x", 1, 0, (struct sockaddr *)&name, sizeof(name));
    getpeername(datagram, (struct sockaddr *)&address, &size);
}

static int fed[2]; /* a pipe that the handler writes to */

static void handle(int number)
{
    if (number == SIGALRM) {
        write(fed[1], "x", 1);
    }
}

/* A call that begins again after its handler, and one that does not. The signal may come before
 * its call on a machine that is busy: many times, and nobody waits for ever. */
static void interrupted(void)
{
    const struct itimerval soon = {.it_value = {0, 20000}};
    struct sigaction action = {.sa_handler = handle, .sa_flags = SA_RESTART};
    pipe(fed);
    sigaction(SIGALRM, &action, NULL);
    for (int i = 0; i < 10; i++) {
        setitimer(ITIMER_REAL, &soon, NULL);
        read(fed[0], bytes, 1);
        setitimer(ITIMER_REAL, &soon, NULL);
        nanosleep(&(struct timespec){0, 50000000}, NULL);
        read(fed[0], bytes, 1);
    }
}

static void signals(void)
{
    sigset_t set;
    struct sigaction action = {.sa_handler = handle, .sa_flags = SA_RESTART};
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    sigaction(SIGUSR1, &action, NULL);
    raise(SIGUSR1);
    signal(SIGPIPE, SIG_IGN);
    kill(getpid(), SIGINT);
    struct timespec none = {0, 0};
    sigtimedwait(&set, NULL, &none);
    sigtimedwait(&set, NULL, &none);
    sigpending(&set);
}

/* ---- two threads */

static int there[2], back[2];

static void settle(long core)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((int)(core % sysconf(_SC_NPROCESSORS_ONLN)), &set);
    sched_setaffinity(0, sizeof(set), &set);
}

static void *answer(void *unused)
{
    char letter;
    settle(1);
    for (int i = 0; i < 3; i++) {
        read(there[0], &letter, 1);
        letter++;
        write(back[1], &letter, 1);
    }
    return unused;
}

static void threads(void)
{
    pthread_t thread;
    char letter = 'a';
    pipe(there);
    pipe(back);
    pthread_create(&thread, NULL, answer, NULL);
    for (int i = 0; i < 3; i++) {
        write(there[1], &letter, 1);
        read(back[0], &letter, 1);
    }
    pthread_join(thread, NULL);
    printf("%c\n", letter);
}

static void *call(void *count)
{
    settle(1);
    for (long i = 0; i < (long)count; i++) {
        syscall(SYS_getppid);
    }
    return NULL;
}

static void many(long count)
{
    pthread_t thread;
    pthread_create(&thread, NULL, call, (void *)count);
    for (long i = 0; i < count; i++) {
        syscall(SYS_getppid);
    }
    pthread_join(thread, NULL);
    puts("made");
}

int main(int argument_count, char **arguments)
{
    static const struct {
        const char *name;
        void (*make)(void);
    } modes[] = {{"files", files},
                 {"memory", memory},
                 {"waits", waits},
                 {"sockets", sockets},
                 {"signals", signals},
                 {"threads", threads},
                 {"interrupted", interrupted}};
    for (int i = 1; i < argument_count; i++) {
        for (size_t m = 0; m < sizeof(modes) / sizeof(modes[0]); m++) {
            if (strcmp(arguments[i], modes[m].name) == 0) {
                modes[m].make();
            }
        }
        if (strcmp(arguments[i], "many") == 0) {
            many(atol(arguments[i + 1]));
        }
    }
    return argument_count;
}
