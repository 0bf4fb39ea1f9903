/* SPDX-License-Identifier: Apache-2.0 */
/* Users, groups, sessions: one user, 0, in one process that leads its group and session. Changing
 * to what one already is succeeds, anything else is not permitted. */
#include "internal.h"

#include <posix/syscalls.h>

#define ID_KEEP UINT32_MAX
#define GROUPS_MAX 65536

enum {
#define SYSCALL_ANSWER(number, name, value) ANSWER_OF_##name = (value),
#include <posix_answers.inc>
};
_Static_assert(ANSWER_OF_getpid == POSIX_PROCESS_ID && ANSWER_OF_getpgrp == POSIX_PROCESS_ID,
               "one process, one group");

static int64_t change(uint64_t id)
{
    return (uint32_t)id == 0 || (uint32_t)id == ID_KEEP ? 0 : -EPERM;
}

/* setuid and its like: -1 is no id there. */
static int64_t set(uint64_t id)
{
    return (uint32_t)id == ID_KEEP ? -EINVAL : change(id);
}

static int64_t change_all(uint64_t a, uint64_t b, uint64_t c)
{
    return change(a) == 0 && change(b) == 0 && change(c) == 0 ? 0 : -EPERM;
}

static int64_t store_zeros(uint64_t a, uint64_t b, uint64_t c)
{
    if (posix_store_u32(a, 0) != 0 || posix_store_u32(b, 0) != 0) {
        return -EFAULT;
    }
    return posix_store_u32(c, 0);
}

int64_t posix_getresuid(uint64_t real, uint64_t effective, uint64_t saved)
{
    return store_zeros(real, effective, saved);
}

int64_t posix_getresgid(uint64_t real, uint64_t effective, uint64_t saved)
{
    return store_zeros(real, effective, saved);
}

/* @impl ATL-LLR-POSIX-0040~1 */
int64_t posix_setuid(uint64_t id)
{
    return set(id);
}

int64_t posix_setgid(uint64_t id)
{
    return set(id);
}

int64_t posix_setreuid(uint64_t real, uint64_t effective)
{
    return change_all(real, effective, ID_KEEP);
}

int64_t posix_setregid(uint64_t real, uint64_t effective)
{
    return change_all(real, effective, ID_KEEP);
}

int64_t posix_setresuid(uint64_t real, uint64_t effective, uint64_t saved)
{
    return change_all(real, effective, saved);
}

int64_t posix_setresgid(uint64_t real, uint64_t effective, uint64_t saved)
{
    return change_all(real, effective, saved);
}

/* These two return the old id, whatever happens. */
int64_t posix_setfsuid(uint64_t id)
{
    (void)id;
    return 0;
}

int64_t posix_setfsgid(uint64_t id)
{
    (void)id;
    return 0;
}

int64_t posix_getgroups(uint64_t count, uint64_t to)
{
    (void)to;
    return (int32_t)count < 0 ? -EINVAL : 0;
}

/* Giving up groups that one does not have succeeds; getting one does not. */
int64_t posix_setgroups(uint64_t count, uint64_t from)
{
    if ((uint32_t)count > GROUPS_MAX) {
        return -EINVAL;
    }
    for (uint32_t i = 0; i < (uint32_t)count; i++) {
        uint32_t group;
        if (posix_load_u32(from + i * sizeof(group), &group) != 0) {
            return -EFAULT;
        }
        if (group != 0) {
            return -EPERM;
        }
    }
    return 0;
}

static int64_t of_process(uint64_t process)
{
    int32_t id = (int32_t)process;
    return id == 0 || id == POSIX_PROCESS_ID ? POSIX_PROCESS_ID : -ESRCH;
}

int64_t posix_getpgid(uint64_t process)
{
    return of_process(process);
}

int64_t posix_getsid(uint64_t process)
{
    return of_process(process);
}

int64_t posix_setpgid(uint64_t process, uint64_t group)
{
    if ((int32_t)group < 0) {
        return -EINVAL;
    }
    int64_t of = of_process(process);
    return of < 0 ? of : -EPERM; /* a session leader stays in its group */
}

int64_t posix_setsid(void)
{
    return -EPERM; /* leads its group already */
}
