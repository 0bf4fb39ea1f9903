/* SPDX-License-Identifier: Apache-2.0 */
/* Detours: system-call sites of the program that are jumps to trampolines, so that a call enters
 * posix/ without the kernel. The image's table of sites is made by tools/atoll/detour.py; the
 * program's file stays as it is, its private pages are rewritten before it runs.
 *
 * A site is some displaced instructions and the `syscall` behind them. Its trampoline:
 *
 *     +0        the displaced instructions, byte for byte but for distances relative to rip
 *     +bytes    lea address behind the `syscall`(%rip), %rcx
 *     +bytes+7  jmp *word(%rip)      the word is posix_detour_entry
 *
 * If the displaced instruction is `mov $number, %eax` of a call whose answer never changes
 * (`answer` in syscalls.toml), there is nothing to ask, and nothing of posix/ runs (but in debug
 * images, where each call is noted):
 *
 *     +12       mov $answer, %eax
 *     +17       jmp *%rcx
 *
 * The invariant: the program's own code is all that it ever sees. Whatever posix/ shows of a rip
 * goes through posix_detour_shown, and every rip that it takes back through posix_detour_taken:
 *
 *     where the thread is               shown as                    taken back as
 *     the site's first byte             itself                      itself: the jump is there
 *     trampoline + n, n < bytes         site + n                    trampoline + n
 *     trampoline + 17, with an answer   behind the `syscall`        itself
 *     trampoline + n, n >= bytes,       site + bytes, the           trampoline + bytes
 *     posix_detour_entry                `syscall`
 *     inside posix/, by that call       behind the `syscall`        itself
 *
 * Only rcx differs where the `syscall` is shown: the call destroys it. It destroys r11 as well,
 * which has the flags behind a call of posix/, and behind an answer in place what it had before.
 * Nothing is stored on the program's stack, so no return address ever points into a trampoline. */
#ifndef POSIX_DETOUR_H
#define POSIX_DETOUR_H

#include <posix/load.h>

#define POSIX_DETOUR_DISPLACED_MAX 19u
#define POSIX_DETOUR_TRAMPOLINE_BYTES 32u

/* One site, as the image has it; little-endian. */
struct posix_detour_site {
    uint32_t
        offset;    /* of the first displaced byte, from the page of the program's lowest segment */
    uint8_t bytes; /* displaced; behind them is the `syscall` */
    uint8_t fixup; /* where among them four bytes relative to rip are; 0: nowhere */
    uint16_t reserved; /* 0 */
};
_Static_assert(sizeof(struct posix_detour_site) == 8, "tools/atoll/detour.py");

/* Checks a table against the program that it is for. Pure.
 *
 * @file       the program's bytes
 * @elf        what posix_elf_validate said of them
 * Errors:     false: a site is not in executable bytes of the file, overlaps the one before, or has
 *             no `syscall` */
bool posix_detour_validate(const struct posix_detour_site *sites, uint32_t count,
                           const uint8_t *file, const struct posix_elf *elf);

/* Writes a site's trampoline. Pure.
 *
 * @code       the displaced bytes
 * @from, @to  where they are, and where the trampoline will be
 * @word       where posix_detour_entry's address will be
 * Errors:     false: a distance does not fit */
bool posix_detour_build(uint8_t trampoline[POSIX_DETOUR_TRAMPOLINE_BYTES],
                        const struct posix_detour_site *site, const uint8_t *code, uint64_t from,
                        uint64_t to, uint64_t word);

/* Rewrites the mapped program if the image has a table for it, and maps the trampolines behind it.
 *
 * @file       the program's bytes
 * @bias       what is added to addresses in the file
 * @end        set to the end of what was mapped behind the program: where the heap may begin
 * Context:    the first thread, before the program runs
 * Errors:     a reason why the program cannot be run, else NULL */
const char *posix_detour_install(const uint8_t *file, const struct posix_elf *elf, uint64_t bias,
                                 uint64_t *end);

/* The rip of the program's own code for the rip of a thread in application code.
 *
 * @rcx        the same thread's; counts at posix_detour_entry only */
uint64_t posix_detour_shown(uint64_t rip, uint64_t rcx);
/* Where a thread goes on that the program wants to go on at rip. */
uint64_t posix_detour_taken(uint64_t rip);
/* False if a thread that makes single steps has made none in the program's own code. */
bool posix_detour_is_step(uint64_t rip);

/* entry.S: a detoured call. rsp, flags and registers are the application's, but rcx = the address
 * behind its `syscall`. The first instruction counts as application code. */
void posix_detour_entry(void);

#endif
