/* SPDX-License-Identifier: Apache-2.0 */
/* Makes every call of the gate that its image does not allow, with hostile arguments and with
 * arguments that would do, from one thread on each core where there may be threads, and by way of
 * posix/. Each answer must be EPERM. Arguments: the allowed calls as a mask, and a file with the
 * instructions of a raw call: no rights are changed here, that call may be refused as well. It says
 * nothing, the console may be refused: exit status 0, or 1 + the call whose answer was wrong. */
#include "gate_raw.h"

#include <fcntl.h>

#define ROUNDS 500

static unsigned long allowed;
static uint64_t scratch[64];

static int is_allowed(unsigned number)
{
    return (allowed >> number & 1) != 0;
}

static void expect_refused(unsigned number, int64_t result)
{
    if (result != -EPERM) {
        _exit(1 + (int)number);
    }
}

static uint64_t argument(unsigned long long *random)
{
    const uint64_t values[] = {0,
                               1,
                               PAGE,
                               (uintptr_t)scratch,
                               KERNEL_ADDRESS,
                               UINT64_MAX,
                               0x0000800000000000,
                               check_random(random)};
    return values[check_random(random) % (sizeof(values) / sizeof(values[0]))];
}

static void *attack(void *core)
{
    unsigned long long random = 17 + (uintptr_t)core;
    for (int i = 0; i < ROUNDS; i++) {
        for (unsigned number = 0; number < GATE_CALL_COUNT; number++) {
            if (!is_allowed(number)) {
                expect_refused(number, call(number, argument(&random), argument(&random),
                                            argument(&random), argument(&random), 0));
            }
        }
    }
    return NULL;
}

/* Calls that would succeed: what they ask for does not happen. */
static void ask_well(void)
{
    if (!is_allowed(GATE_PROTECT)) {
        expect_refused(GATE_PROTECT, call(GATE_PROTECT, (uintptr_t)gate, PAGE, 3, 0, 0));
        expect_refused(GATE_PROTECT, mprotect((void *)(uintptr_t)gate, PAGE, 3) == 0 ? 0 : -errno);
    }
    if (!is_allowed(GATE_INFORMATION)) {
        expect_refused(GATE_INFORMATION, call(GATE_INFORMATION, GATE_INFORMATION_CORE, 0,
                                              GATE_COUNT(frames_total), 0, 0));
    }
    if (!is_allowed(GATE_UNMAP)) {
        expect_refused(GATE_UNMAP, call(GATE_UNMAP, (uintptr_t)gate, PAGE, 0, 0, 0));
    }
    if (!is_allowed(GATE_THREAD_CREATE)) {
        pthread_t thread;
        expect_refused(GATE_THREAD_CREATE,
                       pthread_create(&thread, NULL, attack, NULL) == EAGAIN ? -EPERM : 0);
    }
}

/* What is allowed answers as ever. */
static void ask_allowed(void)
{
    if (is_allowed(GATE_CONSOLE) && puts("allowed") < 0) {
        _exit(1 + GATE_CONSOLE);
    }
    if (call(GATE_RANDOM, (uintptr_t)scratch, 8, 0, 0, 0) != 0) {
        _exit(1 + GATE_RANDOM);
    }
    if (is_allowed(GATE_INFORMATION) &&
        call(GATE_INFORMATION, GATE_INFORMATION_AUDIT, 0, 0, 0, 0) != 0) {
        _exit(1 + GATE_INFORMATION);
    }
}

int main(int, char **arguments)
{
    allowed = strtoul(arguments[1], NULL, 16);
    int file = open(arguments[2], O_RDONLY);
    gate = mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, file, 0);
    if (gate == MAP_FAILED) {
        return 100;
    }
    ask_well();
    if (!is_allowed(GATE_THREAD_CREATE)) {
        cpu_set_t last; /* nobody serves it on the console's core */
        CPU_ZERO(&last);
        CPU_SET((int)sysconf(_SC_NPROCESSORS_ONLN) - 1, &last);
        if (sched_setaffinity(0, sizeof(last), &last) != 0) {
            return 101;
        }
    }
    for (long core = 1; is_allowed(GATE_THREAD_CREATE) && core < sysconf(_SC_NPROCESSORS_ONLN);
         core++) {
        check_join(check_thread(attack, (void *)core));
    }
    attack(NULL);
    ask_allowed();
    fflush(stdout);
    _exit(0);
}
