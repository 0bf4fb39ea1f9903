/* SPDX-License-Identifier: Apache-2.0 */
/* What the system says of itself and of the process: uname, ids, sysinfo, limits, scheduling calls,
 * affinity masks, and that an unknown call fails with ENOSYS. Fault injection: --break CASE.
 *
 * @verifies ATL-HLR-CONF-0009~1 */
#include "check.h"
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>

static void names(void)
{
    struct utsname name;
    int major = 0, minor = 0;
    CHECK_EQUAL(uname(&name), 0);
    CHECK(strcmp(name.sysname, "Linux") == 0); /* the ABI that programs ask about */
    CHECK(strcmp(name.machine, "x86_64") == 0);
    CHECK_EQUAL(sscanf(name.release, "%d.%d", &major, &minor), 2);
    CHECK(major > 3 || (major == 3 && minor >= 2)); /* glibc refuses older ones */
    CHECK(name.nodename[0] != 0);
    CHECK_ERRNO(syscall(SYS_uname, (void *)8), EFAULT);
}

static void identities(void)
{
    CHECK(getpid() > 0);
    CHECK_EQUAL(syscall(SYS_gettid), getpid());
    CHECK(getppid() >= 0 && getppid() != getpid());
    CHECK_EQUAL(getuid(), geteuid());
    CHECK_EQUAL(getgid(), getegid());
    CHECK_EQUAL(syscall(SYS_getpid), getpid());
}

static void system_information(void)
{
    struct sysinfo info;
    CHECK_EQUAL(sysinfo(&info), 0);
    uint64_t total = (uint64_t)info.totalram * info.mem_unit;
    CHECK(total >= 16 << 20 && (uint64_t)info.freeram * info.mem_unit <= total);
    CHECK(info.procs >= 1);
    CHECK(sysconf(_SC_PHYS_PAGES) * 4096ULL <= total);
    CHECK_EQUAL(sysconf(_SC_PAGESIZE), 4096);
}

static void limits(void)
{
    struct rlimit limit, same;
    CHECK_EQUAL(getrlimit(RLIMIT_STACK, &limit), 0);
    CHECK(limit.rlim_cur >= 64 << 10 && limit.rlim_cur <= limit.rlim_max);
    CHECK_EQUAL(getrlimit(RLIMIT_NOFILE, &limit), 0);
    CHECK(limit.rlim_cur >= 64);
    CHECK_EQUAL(setrlimit(RLIMIT_NOFILE, &limit), 0);
    CHECK_EQUAL(getrlimit(RLIMIT_NOFILE, &same), 0);
    CHECK(same.rlim_cur == limit.rlim_cur && same.rlim_max == limit.rlim_max);
    CHECK_ERRNO(syscall(SYS_prlimit64, 0, 9999, NULL, &limit), EINVAL);
    limit.rlim_cur = limit.rlim_max;
    limit.rlim_max -= 1;
    CHECK_ERRNO(syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, &limit, NULL), EINVAL);
    CHECK_EQUAL(getrlimit(RLIMIT_FSIZE, &limit), 0);
    struct rlimit lower = {(rlim_t)1 << 40, limit.rlim_max};
    CHECK_EQUAL(syscall(SYS_prlimit64, 0, RLIMIT_FSIZE, &lower, &same), 0);
    CHECK(same.rlim_cur == limit.rlim_cur && same.rlim_max == limit.rlim_max);
    CHECK_EQUAL(getrlimit(RLIMIT_FSIZE, &same), 0);
    CHECK(same.rlim_cur == lower.rlim_cur && same.rlim_max == lower.rlim_max);
    CHECK_EQUAL(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void scheduling(void)
{
    struct sched_param parameter;
    memset(&parameter, 0xff, sizeof(parameter));
    CHECK_EQUAL(syscall(SYS_sched_getscheduler, 0), SCHED_OTHER);
    CHECK_EQUAL(syscall(SYS_sched_getparam, 0, &parameter), 0);
    CHECK_EQUAL(parameter.sched_priority, 0);
    CHECK_EQUAL(sched_get_priority_max(SCHED_FIFO), 99);
    CHECK_EQUAL(sched_get_priority_min(SCHED_FIFO), 1);
    CHECK_EQUAL(sched_get_priority_max(SCHED_OTHER), 0);
    CHECK_ERRNO(sched_get_priority_max(99), EINVAL);
    CHECK_EQUAL(sched_yield(), 0);
}

static void affinity(void)
{
    cpu_set_t set;
    unsigned core = 99, node = 99;
    CPU_ZERO(&set);
    CHECK_EQUAL(sched_getaffinity(0, sizeof(set), &set), 0);
    CHECK_EQUAL(CPU_COUNT(&set), check_all_cores_count);
    CHECK_EQUAL(sysconf(_SC_NPROCESSORS_ONLN), check_all_cores_count);
    CHECK(syscall(SYS_sched_getaffinity, 0, sizeof(set), &set) >= 8); /* bytes written */
    CHECK_ERRNO(syscall(SYS_sched_getaffinity, 0, 3UL, &set), EINVAL);
    CHECK_ERRNO(syscall(SYS_sched_getaffinity, 0x3ffffff, sizeof(set), &set), ESRCH);
    CHECK_EQUAL(syscall(SYS_getcpu, &core, &node, NULL), 0);
    CHECK(CPU_ISSET(core, &set) && node == 0);
    CPU_ZERO(&set);
    CHECK_ERRNO(sched_setaffinity(0, sizeof(set), &set), EINVAL);
    for (int i = 0; i < 2 * check_all_cores_count; i++) {
        check_pin(i);
        CHECK_EQUAL(sched_getcpu(), check_all_cores[i % check_all_cores_count]);
        CHECK_EQUAL(check_cores(NULL), 1);
    }
    check_unpin();
    CHECK_EQUAL(check_cores(NULL), check_all_cores_count);
}

static const char *program;

static void thread_name(void)
{
    const char *slash = strrchr(program, '/');
    char first[16] = "";
    CHECK_EQUAL(prctl(PR_GET_NAME, first), 0);
    CHECK(strncmp(first, slash != NULL ? slash + 1 : program, 15) == 0 && strlen(first) <= 15);

    char name[16] = {0};
    CHECK_EQUAL(prctl(PR_SET_NAME, "a-rather-long-thread-name"), 0);
    CHECK_EQUAL(prctl(PR_GET_NAME, name), 0);
    CHECK(strcmp(name, "a-rather-long-t") == 0);
    CHECK_ERRNO(prctl(9999, 0, 0, 0, 0), EINVAL);
}

static void usage(void)
{
    struct rusage usage;
    CHECK_EQUAL(getrusage(RUSAGE_SELF, &usage), 0);
    CHECK(usage.ru_utime.tv_sec >= 0 && usage.ru_utime.tv_usec < 1000000);
    CHECK_ERRNO(getrusage(77, &usage), EINVAL);
}

static void unknown_calls(void)
{
    static const long numbers[] = {500, 1000, 0x3fff, 100000, 0x7fffffff};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        CHECK_ERRNO(syscall(numbers[i], 0, 0, 0), ENOSYS);
    }
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        {"names", names},
        {"identities", identities},
        {"system_information", system_information},
        {"limits", limits},
        {"scheduling", scheduling},
        {"affinity", affinity},
        {"thread_name", thread_name},
        {"usage", usage},
        {"unknown_calls", unknown_calls},
    };
    program = argv[0];
    return CHECK_MAIN(cases);
}
