/* SPDX-License-Identifier: Apache-2.0 */
/* Calls on an arena of pages, which is looked at page by page afterwards: contents, or the fault.
 */
#include "generate.h"
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>

#define ARENA_PAGES 24ul

static unsigned char *arena;
static int has_shared_memory; /* MAP_SHARED | MAP_ANONYMOUS; then no mremap grows */
static sigjmp_buf on_fault;
static volatile sig_atomic_t fault_signal, fault_code;

static void note_fault(int signal, siginfo_t *information, void *context)
{
    (void)context;
    fault_signal = signal;
    fault_code = information->si_code;
    siglongjmp(on_fault, 1);
}

static void memory_start(void)
{
    struct sigaction action = {.sa_sigaction = note_fault, .sa_flags = SA_SIGINFO | SA_NODEFER};
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
    arena = mmap(NULL, ARENA_PAGES * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

/* Begins with a letter for a fault: M no mapping, A no right, B beyond the end of a file. */
static unsigned look(unsigned char *page, int writes)
{
    if (sigsetjmp(on_fault, 0) != 0) {
        return fault_signal == SIGBUS ? 'B' : fault_code == SEGV_MAPERR ? 'M' : 'A';
    }
    if (writes) {
        *(volatile unsigned char *)page = (unsigned char)call_number;
        *(volatile unsigned char *)(page + PAGE - 1) = (unsigned char)(call_number >> 3);
    }
    return digest(page, PAGE);
}

static unsigned char *some_page(void)
{
    return arena + below(ARENA_PAGES - 6) * PAGE + (one_in(20) ? 8 : 0);
}

static size_t some_length(void)
{
    return one_in(20) ? 0 : below(5) * PAGE + (one_in(4) ? 1 + below(PAGE) : PAGE);
}

static int some_protection(void)
{
    static const int protections[] = {PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE,
                                      PROT_READ | PROT_WRITE};
    return one_in(40) ? 0x40 : PICK(protections);
}

/* Addresses of the kernel's choice differ: a result inside of the arena is shown by its distance.
 */
static long shown(long address)
{
    return address < 0 && address > -(long)PAGE ? address : address - (long)(uintptr_t)arena;
}

static void memory_map(void)
{
    static const int kinds[] = {MAP_PRIVATE, MAP_SHARED, 0, MAP_PRIVATE | MAP_POPULATE};
    unsigned char *at = some_page();
    size_t bytes = some_length();
    int protection = some_protection(), kind = PICK(kinds);
    int fixed = one_in(4) ? MAP_FIXED_NOREPLACE : MAP_FIXED;
    kind = has_shared_memory || kind != MAP_SHARED ? kind | MAP_ANONYMOUS : MAP_PRIVATE;
    int fd = (kind & MAP_ANONYMOUS) != 0 ? -1 : 900;
    long result = CALL(mmap, at, bytes, protection, kind | fixed, fd, one_in(20) ? 1 : 0);
    line("mmap(%ld, %zu, %#x, %#x, %d) = %ld", shown((long)(uintptr_t)at), bytes, protection,
         kind | fixed, fd, shown(result));
}

static void memory_change(void)
{
    static const int advices[] = {MADV_NORMAL,   MADV_DONTNEED, MADV_WILLNEED,
                                  MADV_DONTNEED, MADV_RANDOM,   999};
    unsigned char *at = some_page();
    size_t bytes = some_length();
    int protection = some_protection(), advice = PICK(advices), flags = (int)below(8);
    long distance = shown((long)(uintptr_t)at);
    switch (below(4)) {
    case 0:
        line("munmap(%ld, %zu) = %ld", distance, bytes, CALL(munmap, at, bytes));
        return;
    case 1:
        line("mprotect(%ld, %zu, %#x) = %ld", distance, bytes, protection,
             CALL(mprotect, at, bytes, protection));
        return;
    case 2:
        line("madvise(%ld, %zu, %d) = %ld", distance, bytes, advice,
             CALL(madvise, at, bytes, advice));
        return;
    default:
        flags = one_in(3) ? flags & ~MS_INVALIDATE : MS_SYNC;
        line("msync(%ld, %zu, %d) = %ld", distance, bytes, flags, CALL(msync, at, bytes, flags));
    }
}

/* What lies in one region and what in two is the kernel's own affair: one page grows or moves, more
 * only shrink in place. */
static void memory_move(void)
{
    static const int flags[] = {0, MREMAP_FIXED | MREMAP_MAYMOVE, MREMAP_FIXED | MREMAP_MAYMOVE,
                                MREMAP_FIXED, 0x40};
    unsigned char *from = some_page(), *to = some_page();
    int flag = PICK(flags), shrinks = one_in(2);
    size_t new = some_length(), old = shrinks ? new + below(3) * PAGE : PAGE;
    flag = shrinks && new > PAGE ? 0 : flag;
    new = !shrinks &&has_shared_memory &&new > PAGE ? PAGE : new;
    old = old == 0 ? PAGE : old;
    line("mremap(%ld, %zu, %zu, %d, %ld) = %ld", shown((long)(uintptr_t)from), old, new, flag,
         shown((long)(uintptr_t)to), shown(CALL(mremap, from, old, new, flag, to)));
}

static void memory_look(void)
{
    char text[ARENA_PAGES * 9 + 1] = "";
    int bytes = 0, writes = one_in(2);
    for (unsigned long i = 0; i < ARENA_PAGES; i++) {
        unsigned found = look(arena + i * PAGE, writes && below(4) != 0);
        bytes +=
            snprintf(text + bytes, sizeof(text) - (size_t)bytes, found < 128 ? "%c" : ".%x", found);
    }
    line("pages %s", text);
}
