/* SPDX-License-Identifier: Apache-2.0 */
/* Runs an action that may raise a synchronous signal and reports which, as the handler saw it. The
 * handler returns by siglongjmp to the thread that faulted; each thread has its own record. */
#ifndef CONFORMANCE_FAULT_H
#define CONFORMANCE_FAULT_H

#include "check.h"
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <ucontext.h>

struct fault {
    int signal, code; /* signal 0: the action returned */
    uintptr_t address, rip;
    uint64_t flags;
};

static _Thread_local struct fault fault_record;
static _Thread_local sigjmp_buf fault_return;
static _Thread_local volatile int fault_armed;

__attribute__((unused)) static void fault_handler(int signal, siginfo_t *info, void *context)
{
    const ucontext_t *interrupted = context;
    if (!fault_armed) {
        check_fail("unexpected signal", __FILE__, __LINE__, signal, 0);
    }
    fault_armed = 0;
    fault_record.signal = signal;
    fault_record.code = info->si_code;
    fault_record.address = (uintptr_t)info->si_addr;
    fault_record.rip = (uintptr_t)interrupted->uc_mcontext.gregs[REG_RIP];
    fault_record.flags = (uint64_t)interrupted->uc_mcontext.gregs[REG_EFL];
    siglongjmp(fault_return, 1);
}

/* Handlers for all synchronous signals, on the alternate stack if the thread has one. */
__attribute__((unused)) static void fault_install(void)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
    struct sigaction action = {.sa_sigaction = fault_handler, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        if (sigaction(signals[i], &action, NULL) != 0) {
            check_fail("sigaction", __FILE__, __LINE__, -1, 0);
        }
    }
}

/* Runs action(argument); the record says which signal ended it. */
__attribute__((unused)) static struct fault fault_run(void (*action)(void *), void *argument)
{
    memset(&fault_record, 0, sizeof(fault_record));
    if (sigsetjmp(fault_return, 1) == 0) {
        fault_armed = 1;
        action(argument);
        fault_armed = 0;
    }
    return fault_record;
}

__attribute__((unused)) static void fault_read(void *at)
{
    (void)*(volatile unsigned char *)at;
}

__attribute__((unused)) static void fault_write(void *at)
{
    *(volatile unsigned char *)at = 1;
}

__attribute__((unused)) static void fault_call(void *at)
{
    ((void (*)(void))(uintptr_t)at)();
}

#endif
