/* SPDX-License-Identifier: Apache-2.0 */
/* The files in which a program reads about itself and its machine: /proc, /sys, /dev. What they say
 * must agree with the calls that say the same. Fault injection: --break CASE.
 *
 * @verifies ATL-HLR-CONF-0015~1 ATL-LLR-FILE-0040~1 ATL-LLR-FILE-1350~1 */
#include "../waiting.h"

#include "check.h"
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

static char content[1 << 18];

static ssize_t read_all(const char *path)
{
    int fd = open(path, O_RDONLY);
    CHECK(fd >= 0);
    size_t used = 0;
    for (ssize_t got; used + 1 < sizeof(content) &&
                      (got = read(fd, content + used, sizeof(content) - 1 - used)) != 0;) {
        CHECK(got > 0);
        used += (size_t)got;
    }
    content[used] = 0;
    CHECK_EQUAL(close(fd), 0);
    return (ssize_t)used;
}

static int has(const char *path, const char *text)
{
    read_all(path);
    return strstr(content, text) != NULL;
}

static void process(void)
{
    char text[256], link[4096] = {0}, cwd[4096];
    read_all("/proc/self/stat");
    int fields = 1;
    for (const char *at = strrchr(content, ')'); *at != 0; at++) {
        fields += *at == ' ';
    }
    CHECK_EQUAL(fields, 51); /* 52 with the number before the name */
    CHECK_EQUAL(atoi(content), getpid());
    snprintf(text, sizeof(text), "\nPid:\t%d\n", getpid());
    CHECK(has("/proc/self/status", text));
    CHECK(has("/proc/self/status", "\nThreads:\t1\n"));
    CHECK(read_all("/proc/self/statm") > 0);
    CHECK(read_all("/proc/self/cmdline") > 0 && strstr(content, "proc_files") != NULL);
    CHECK(read_all("/proc/self/environ") > 0);
    CHECK(has("/proc/self/limits", "Max open files"));
    CHECK(has("/proc/self/mounts", "proc /proc proc"));
    CHECK(has("/proc/self/mountinfo", " /proc "));
    CHECK(has("/proc/self/cgroup", ":/"));
    CHECK(has("/proc/self/io", "write_bytes: "));
    CHECK(readlink("/proc/self/exe", link, sizeof(link) - 1) > 0);
    CHECK(strstr(link, "proc_files") != NULL);
    memset(link, 0, sizeof(link));
    CHECK_EQUAL(chdir("/proc/self/fd"), 0);
    CHECK_EQUAL(chdir("/"), 0);
    CHECK_EQUAL(chdir("/tmp"), 0);
    CHECK(readlink("/proc/self/cwd", link, sizeof(link) - 1) > 0);
    CHECK(getcwd(cwd, sizeof(cwd)) != NULL && strcmp(cwd, link) == 0);
    int fd = open("/proc/self/cwd/..", O_RDONLY | O_DIRECTORY);
    CHECK(fd >= 0);
    close(fd);
    CHECK_EQUAL(readlink("/proc/self/root", link, sizeof(link)), 1);
    CHECK_EQUAL(link[0], '/');
}

static void vectors(void)
{
    ssize_t bytes = read_all("/proc/self/auxv");
    const unsigned long *words = (const void *)content;
    CHECK(bytes > 0 && bytes % 16 == 0);
    size_t count = (size_t)bytes / 16;
    CHECK(words[2 * count - 2] == AT_NULL);
    for (size_t i = 0; i + 1 < count; i++) {
        int is_masked = words[2 * i] == AT_HWCAP; /* glibc tells less than it got */
        CHECK(is_masked || getauxval(words[2 * i]) == words[2 * i + 1]);
    }
}

static void memory_map(void)
{
    char line[128];
    int fd = open("/tmp/conformance-proc", O_RDWR | O_CREAT | O_TRUNC, 0600);
    CHECK_EQUAL(ftruncate(fd, 4096), 0);
    char *memory = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
    CHECK(memory != MAP_FAILED);
    read_all("/proc/self/maps");
    snprintf(line, sizeof(line), "%08lx-%08lx r--s 00000000", (unsigned long)memory,
             (unsigned long)memory + 4096);
    const char *found = strstr(content, line);
    CHECK(found != NULL);
    const char *name = strstr(found, "/tmp/conformance-proc\n");
    CHECK(name != NULL && name == strchr(found, '/'));
    CHECK(strstr(content, "[stack]") != NULL);
    CHECK(has("/proc/self/smaps", "Size:                  4 kB"));
    CHECK_EQUAL(munmap(memory, 4096), 0);
    close(fd);
    unlink("/tmp/conformance-proc");
}

static pthread_barrier_t barrier;
static int thread_id;
static _Atomic int may_end;

static void *named_thread(void *argument)
{
    cpu_set_t *last = argument;
    CHECK_EQUAL(sched_setaffinity(0, sizeof(*last), last), 0);
    CHECK_EQUAL(prctl(PR_SET_NAME, "worker"), 0);
    char link[64] = {0}, expected[64];
    thread_id = (int)syscall(SYS_gettid);
    snprintf(expected, sizeof(expected), "%d/task/%d", getpid(), thread_id);
    CHECK(readlink("/proc/thread-self", link, sizeof(link) - 1) > 0);
    CHECK(strcmp(link, expected) == 0);
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    while (!may_end) {
    }
    return NULL;
}

static int count_tasks(void)
{
    int count = 0;
    DIR *directory = opendir("/proc/self/task");
    CHECK(directory != NULL);
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        count += entry->d_name[0] != '.';
        CHECK(entry->d_type == DT_DIR);
    }
    closedir(directory);
    return count;
}

/* The field `processor`, the 39th, of the text that was read. */
static int core_in_stat(void)
{
    const char *at = strrchr(content, ')');
    for (int field = 2; field < 39; field++) {
        at = strchr(at + 1, ' ');
    }
    return atoi(at);
}

static void threads(void)
{
    char path[64], text[64];
    CHECK_EQUAL(pthread_barrier_init(&barrier, NULL, 2), 0);
    cpu_set_t all, last;
    CHECK_EQUAL(sched_getaffinity(0, sizeof(all), &all), 0);
    int core = CPU_SETSIZE - 1;
    while (!CPU_ISSET(core, &all)) {
        core--;
    }
    CPU_ZERO(&last);
    CPU_SET(core, &last);
    pthread_t thread = check_thread(named_thread, &last);
    pthread_barrier_wait(&barrier);
    CHECK_EQUAL(count_tasks(), 2);
    snprintf(path, sizeof(path), "/proc/self/task/%d/comm", thread_id);
    CHECK(read_all(path) > 0 && strcmp(content, "worker\n") == 0);
    snprintf(path, sizeof(path), "/proc/self/task/%d/stat", thread_id);
    snprintf(text, sizeof(text), "%d (worker) ", thread_id);
    CHECK(has(path, text));
    CHECK_EQUAL(core_in_stat(), core);
    snprintf(path, sizeof(path), "/proc/self/task/%d/status", thread_id);
    snprintf(text, sizeof(text), "\nPid:\t%d\n", thread_id);
    CHECK(has(path, text));
    int held = open(path, O_RDONLY);
    threads_await_waiting(1);
    CHECK(has(path, "\nState:\tS (sleeping)\n"));
    pthread_barrier_wait(&barrier);
    while (threads_state(thread_id) != 'R') { /* it has not seen yet that it may go on */
        sched_yield();
    }
    CHECK(has(path, "\nState:\tR (running)\n"));
    CHECK_EQUAL(threads_state(getpid()), 'R');
    may_end = 1;
    check_join(thread);
    while (access(path, F_OK) == 0) { /* gone soon after it ended */
        sched_yield();
    }
    CHECK_ERRNO(read(held, text, sizeof(text)), ESRCH);
    close(held);
    CHECK_EQUAL(count_tasks(), 1);
}

static void descriptors(void)
{
    char text[64];
    int fd = open("/tmp/conformance-proc", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    CHECK_EQUAL(write(fd, "12345", 5), 5);
    snprintf(text, sizeof(text), "/proc/self/fdinfo/%d", fd);
    CHECK(has(text, "pos:\t5\n"));
    unsigned flags = 0;
    CHECK_EQUAL(sscanf(strstr(content, "flags:"), "flags:\t%o", &flags), 1);
    CHECK_EQUAL(flags & (O_ACCMODE | O_CLOEXEC), O_RDWR | O_CLOEXEC);
    snprintf(text, sizeof(text), "/dev/fd/%d", fd);
    int again = open(text, O_RDONLY);
    char byte = 0;
    CHECK_EQUAL(read(again, &byte, 1), 1); /* a new open file on the same file */
    CHECK_EQUAL(byte, '1');
    close(again);
    close(fd);
    CHECK_ERRNO(open(text, O_RDONLY), ENOENT);
    unlink("/tmp/conformance-proc");
}

static void settings(void)
{
    int fd = open("/proc/self/oom_score_adj", O_RDWR);
    CHECK(fd >= 0);
    CHECK_EQUAL(write(fd, "500\n", 4), 4);
    CHECK_ERRNO(write(fd, "5000", 4), EINVAL);
    CHECK_ERRNO(write(fd, "x", 1), EINVAL);
    close(fd);
    CHECK(read_all("/proc/self/oom_score_adj") == 4 && strcmp(content, "500\n") == 0);
    CHECK_ERRNO(open("/proc/version/x", O_RDONLY), ENOTDIR);
    CHECK_ERRNO(open("/proc/self/blah", O_RDONLY), ENOENT);
}

static void machine(void)
{
    struct utsname name;
    char first[64], text[64];
    double one, two;
    CHECK_EQUAL(uname(&name), 0);
    read_all("/proc/sys/kernel/osrelease");
    CHECK(strncmp(content, name.release, strlen(name.release)) == 0);
    CHECK(has("/proc/version", name.release));
    read_all("/proc/sys/kernel/random/boot_id");
    CHECK_EQUAL(strlen(content), 37);
    memcpy(first, content, 37);
    read_all("/proc/sys/kernel/random/boot_id");
    CHECK(memcmp(first, content, 37) == 0);
    read_all("/proc/sys/kernel/random/uuid");
    CHECK(memcmp(first, content, 37) != 0);
    CHECK(has("/proc/meminfo", "MemTotal: ") && strstr(content, "MemAvailable: ") != NULL);
    read_all("/proc/uptime");
    CHECK_EQUAL(sscanf(content, "%lf %lf", &one, &two), 2);
    read_all("/proc/loadavg");
    CHECK_EQUAL(sscanf(content, "%lf %lf", &one, &two), 2);
    CHECK(has("/proc/stat", "\ncpu0 "));
    CHECK(has("/proc/interrupts", "CPU0"));
    CHECK(has("/proc/vmstat", "nr_free_pages "));
    CHECK(has("/proc/filesystems", "proc"));
    CHECK(read_all("/proc/sys/vm/overcommit_memory") == 2);
    CHECK(read_all("/proc/sys/kernel/pid_max") > 1);
    CHECK(read_all("/proc/sys/kernel/threads-max") > 1);
    CHECK(read_all("/proc/sys/kernel/ngroups_max") == 6);
    CHECK(read_all("/proc/sys/net/core/somaxconn") > 1);
    read_all("/proc/cpuinfo");
    int count = 0;
    for (const char *at = content; (at = strstr(at, "processor\t: ")) != NULL; at++) {
        count++;
    }
    CHECK_EQUAL(count, sysconf(_SC_NPROCESSORS_ONLN));
    snprintf(text, sizeof(text), "0-%d\n", count - 1);
    read_all("/sys/devices/system/cpu/online");
    CHECK(strcmp(content, count > 1 ? text : "0\n") == 0);
    CHECK(read_all("/sys/devices/system/cpu/possible") >= 2);
    CHECK(read_all("/sys/devices/system/cpu/present") >= 2);
    CHECK(read_all("/sys/devices/system/cpu/cpu0/topology/core_id") >= 2);
    CHECK(read_all("/sys/devices/system/cpu/cpu0/topology/thread_siblings_list") >= 2);
    CHECK(read_all("/sys/devices/system/cpu/cpu0/topology/physical_package_id") >= 2);
}

static void devices(void)
{
    char byte = 1;
    int fd = open("/dev/null", O_RDWR);
    CHECK_EQUAL(read(fd, &byte, 1), 0);
    CHECK_EQUAL(write(fd, "x", 1), 1);
    close(fd);
    fd = open("/dev/zero", O_RDWR);
    CHECK_EQUAL(read(fd, &byte, 1), 1);
    CHECK_EQUAL(byte, 0);
    close(fd);
    fd = open("/dev/full", O_RDWR);
    CHECK_ERRNO(write(fd, "x", 1), ENOSPC);
    close(fd);
    fd = open("/dev/urandom", O_RDONLY);
    CHECK_EQUAL(read(fd, content, 1000), 1000);
    close(fd);
    struct stat status;
    CHECK_EQUAL(stat("/dev/null", &status), 0);
    CHECK(S_ISCHR(status.st_mode) && status.st_rdev == 0x103);
    CHECK_EQUAL(stat("/dev/shm", &status), 0);
    CHECK(S_ISDIR(status.st_mode));
    fd = shm_open("/conformance", O_RDWR | O_CREAT, 0600);
    CHECK(fd >= 0);
    CHECK_EQUAL(shm_unlink("/conformance"), 0);
    close(fd);
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        {"process", process},         {"vectors", vectors},   {"memory_map", memory_map},
        {"threads", threads},         {"settings", settings}, {"machine", machine},
        {"descriptors", descriptors}, {"devices", devices},
    };
    return CHECK_MAIN(cases);
}
