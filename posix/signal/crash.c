/* SPDX-License-Identifier: Apache-2.0 */
/* The report about a thread that a signal ends: one screen on the error stream. Application memory
 * is read by the copy functions only, so a ruined stack shortens the report and nothing else. */
#include "../core/internal.h"

#include <posix/detour.h>
#include <posix/memory.h>

#define FRAMES_MAX 12u
#define SCAN_WORDS_MAX 256u
#define SCAN_SHOWN_MAX 12u
#define PROTECTION_EXECUTE 4u

static const char *const signal_names[] = {
    [SIGHUP] = "SIGHUP",   [SIGINT] = "SIGINT",   [SIGQUIT] = "SIGQUIT", [SIGILL] = "SIGILL",
    [SIGTRAP] = "SIGTRAP", [SIGABRT] = "SIGABRT", [SIGBUS] = "SIGBUS",   [SIGFPE] = "SIGFPE",
    [SIGKILL] = "SIGKILL", [SIGUSR1] = "SIGUSR1", [SIGSEGV] = "SIGSEGV", [SIGUSR2] = "SIGUSR2",
    [SIGPIPE] = "SIGPIPE", [SIGALRM] = "SIGALRM", [SIGTERM] = "SIGTERM", [SIGXCPU] = "SIGXCPU",
    [SIGXFSZ] = "SIGXFSZ", [SIGSYS] = "SIGSYS",
};

const char *posix_signal_name(int signal)
{
    if (signal > 0 && (size_t)signal < sizeof(signal_names) / sizeof(signal_names[0]) &&
        signal_names[signal] != NULL) {
        return signal_names[signal];
    }
    return "signal";
}

static bool is_code(uint64_t address)
{
    struct posix_region_info region;
    return posix_memory_find(address, false, &region) &&
           (region.protection & PROTECTION_EXECUTE) != 0;
}

static void print_registers(const struct gate_frame *f)
{
    posix_print("rax %016lx rbx %016lx rcx %016lx rdx %016lx\n", f->rax, f->rbx, f->rcx, f->rdx);
    posix_print("rsi %016lx rdi %016lx rbp %016lx rsp %016lx\n", f->rsi, f->rdi, f->rbp, f->rsp);
    posix_print("r8  %016lx r9  %016lx r10 %016lx r11 %016lx\n", f->r8, f->r9, f->r10, f->r11);
    posix_print("r12 %016lx r13 %016lx r14 %016lx r15 %016lx\n", f->r12, f->r13, f->r14, f->r15);
    posix_print("rip %016lx flags %08lx\n", posix_detour_shown(f->rip, f->rcx), f->rflags);
}

/* Programs that keep frame pointers: each frame lies above the one before. */
static void print_frames(const struct gate_frame *frame)
{
    posix_print("frames:");
    uint64_t at = frame->rbp;
    for (uint32_t i = 0; i < FRAMES_MAX; i++) {
        uint64_t pair[2]; /* caller's rbp, return address */
        if (at == 0 || at % sizeof(uint64_t) != 0 || posix_copy_in(pair, at, sizeof(pair)) != 0 ||
            !is_code(pair[1])) {
            break;
        }
        posix_print(" 0x%lx", pair[1]);
        if (pair[0] <= at) {
            break;
        }
        at = pair[0];
    }
    posix_print("\n");
}

/* Programs that do not: words of the stack that point into code, some of them by chance. */
static void print_scan(const struct gate_frame *frame)
{
    posix_print("code addresses on the stack:");
    uint32_t shown = 0;
    uint64_t at = frame->rsp & ~7ull;
    for (uint32_t i = 0; i < SCAN_WORDS_MAX && shown < SCAN_SHOWN_MAX; i++, at += 8) {
        uint64_t word;
        if (posix_copy_in(&word, at, sizeof(word)) != 0) {
            break;
        }
        if (is_code(word)) {
            posix_print(" 0x%lx", word);
            shown++;
        }
    }
    posix_print("\n");
}

/* @impl ATL-LLR-SIGNAL-0030~1 */
void posix_crash_report(struct posix_thread *self, const struct gate_frame *frame,
                        const struct posix_signal_info *info)
{
    char name[POSIX_THREAD_NAME_BYTES + 1] = {0};
    for (uint32_t i = 0; i < POSIX_THREAD_NAME_BYTES; i++) {
        name[i] = self->name[i];
    }
    posix_report("%s (%d) code %d in thread %d \"%s\" on core %u", posix_signal_name(info->signal),
                 info->signal, info->code, self->id, name, posix_core());
    if (info->code > 0) {
        posix_print("address 0x%lx, vector %lu, error 0x%lx\n", info->fault.address,
                    self->fault.vector, self->fault.error);
    } else {
        posix_print("sent by process %d\n", info->sender.process);
    }
    print_registers(frame);
    print_frames(frame);
    print_scan(frame);
}
