/* SPDX-License-Identifier: Apache-2.0 */
/* prctl and arch_prctl: what a thread sets for itself. */
#include "../core/internal.h"

#include <posix/instructions.h>
#include <posix/syscalls.h>

#define PR_SET_PDEATHSIG 1
#define PR_GET_PDEATHSIG 2
#define PR_GET_DUMPABLE 3
#define PR_SET_DUMPABLE 4
#define PR_GET_KEEPCAPS 7
#define PR_SET_KEEPCAPS 8
#define PR_GET_TIMING 13
#define PR_SET_NAME 15
#define PR_GET_NAME 16
#define PR_GET_SECCOMP 21
#define PR_CAPBSET_READ 23
#define PR_SET_TIMERSLACK 29
#define PR_GET_TIMERSLACK 30
#define PR_SET_NO_NEW_PRIVS 38
#define PR_GET_NO_NEW_PRIVS 39
#define PR_GET_THP_DISABLE 42
#define PR_CAPABILITY_LAST 40u
#define DUMPABLE_MAX 1u

#define ARCH_SET_GS 0x1001
#define ARCH_SET_FS 0x1002
#define ARCH_GET_FS 0x1003
#define ARCH_GET_GS 0x1004
#define ADDRESS_END ((uint64_t)GATE_PRIVATE_SLOT * GATE_SLOT_BYTES)

/* Process-wide and of no effect but to be read again. */
static _Atomic uint32_t dumpable = 1;
static _Atomic uint32_t no_new_privileges;

static int64_t set_thread_name(uint64_t from)
{
    struct posix_thread *self = posix_self();
    char name[POSIX_THREAD_NAME_BYTES] = {0};
    int64_t length = posix_copy_in_string(name, from, sizeof(name));
    if (length == -EFAULT) {
        return length;
    }
    name[sizeof(name) - 1] = '\0'; /* a longer name is cut */
    for (uint32_t i = 0; i < sizeof(name); i++) {
        self->name[i] = length >= 0 && i > (uint64_t)length ? '\0' : name[i];
    }
    return 0;
}

/* @impl ATL-LLR-POSIX-0043~1 */
int64_t posix_prctl(uint64_t option, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    switch ((int32_t)option) {
    case PR_SET_NAME:
        return set_thread_name(a);
    case PR_GET_NAME:
        return posix_copy_out(a, posix_self()->name, POSIX_THREAD_NAME_BYTES);
    case PR_GET_DUMPABLE:
        return atomic_load(&dumpable);
    case PR_SET_DUMPABLE:
        if (a > DUMPABLE_MAX) {
            return -EINVAL;
        }
        atomic_store(&dumpable, (uint32_t)a);
        return 0;
    case PR_SET_NO_NEW_PRIVS:
        if (a != 1 || b != 0 || c != 0 || d != 0) {
            return -EINVAL;
        }
        atomic_store(&no_new_privileges, 1);
        return 0;
    case PR_GET_NO_NEW_PRIVS:
        return a != 0 || b != 0 || c != 0 || d != 0 ? -EINVAL
                                                    : (int64_t)atomic_load(&no_new_privileges);
    case PR_SET_PDEATHSIG: /* there is no parent that could die */
        return a <= POSIX_SIGNAL_COUNT ? 0 : -EINVAL;
    case PR_GET_PDEATHSIG:
        return posix_store_u32(a, 0);
    case PR_CAPBSET_READ:
        return a <= PR_CAPABILITY_LAST ? 1 : -EINVAL;
    case PR_GET_KEEPCAPS:
    case PR_GET_TIMING:
    case PR_GET_SECCOMP:
    case PR_GET_THP_DISABLE:
        return 0;
    case PR_SET_KEEPCAPS:
        return a <= 1 ? 0 : -EINVAL;
    case PR_SET_TIMERSLACK: /* timers are exact */
        return 0;
    case PR_GET_TIMERSLACK:
        return 1;
    default:
        return -EINVAL;
    }
}

/* @impl ATL-LLR-POSIX-0044~1 */
int64_t posix_arch_prctl(uint64_t option, uint64_t value)
{
    uint64_t base;
    switch ((int32_t)option) {
    case ARCH_SET_FS:
        if (value >= ADDRESS_END) {
            return -EPERM;
        }
        instruction_wrfsbase(value);
        return 0;
    case ARCH_SET_GS:
        if (value >= ADDRESS_END) {
            return -EPERM;
        }
        instruction_wrgsbase(value);
        return 0;
    case ARCH_GET_FS:
        base = instruction_rdfsbase();
        return posix_copy_out(value, &base, sizeof(base));
    case ARCH_GET_GS:
        base = instruction_rdgsbase();
        return posix_copy_out(value, &base, sizeof(base));
    default:
        return -EINVAL;
    }
}
