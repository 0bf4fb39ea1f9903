/* SPDX-License-Identifier: Apache-2.0 */
/* The initial stack, before any C library runs: alignment, argc, argv, envp, the auxiliary vector,
 * and the registers. _start of this file saves %rsp and jumps to the library's own start code, so
 * the program is linked with -Wl,-e,auxv_start. Arguments after `--` are compared with
 * ATOLL_ARGUMENTS of the environment if that is set. Fault injection: --break CASE.
 *
 * @verifies ATL-HLR-CONF-0010~1 */
#include "check.h"
#include <elf.h>
#include <stdint.h>

uintptr_t auxv_stack; /* %rsp at the entry point */
uint64_t auxv_flags;
extern char **environ;

__asm__(".text\n.globl auxv_start\n.type auxv_start, @function\n"
        "auxv_start:\n"
        "mov %rsp, auxv_stack(%rip)\n"
        "lea -128(%rsp), %rsp\n pushfq\n pop auxv_flags(%rip)\n lea 128(%rsp), %rsp\n"
        "jmp _start\n");

static uint64_t entry_of(uint64_t type, int *present)
{
    uintptr_t *word = (uintptr_t *)auxv_stack;
    word += 1 + *word + 1; /* argc, argv, NULL */
    while (*word++ != 0) { /* envp */
    }
    for (const Elf64_auxv_t *entry = (const Elf64_auxv_t *)word;; entry++) {
        *present = entry->a_type == type;
        if (*present || entry->a_type == AT_NULL) {
            return entry->a_un.a_val;
        }
    }
}

static uint64_t required(uint64_t type)
{
    int present;
    uint64_t value = entry_of(type, &present);
    CHECK_EQUAL(present ? type : 0, type);
    return value;
}

static int saved_argc;
static char **saved_argv;

static void stack_layout(void)
{
    uintptr_t *word = (uintptr_t *)auxv_stack;
    CHECK_EQUAL(auxv_stack % 16, 0);
    CHECK_EQUAL(auxv_flags & 0xcd5, 0); /* no condition, direction clear */
    CHECK_EQUAL(word[0], saved_argc);
    for (int i = 0; i < saved_argc; i++) {
        CHECK(word[1 + i] == (uintptr_t)saved_argv[i]);
    }
    CHECK_EQUAL(word[1 + saved_argc], 0);
    CHECK(word[2 + saved_argc] == (uintptr_t)environ[0]);
}

static void vector(void)
{
    int present;
    CHECK_EQUAL(required(AT_PAGESZ), 4096);
    CHECK_EQUAL(required(AT_PHENT), sizeof(Elf64_Phdr));
    CHECK_EQUAL(required(AT_UID), getuid());
    CHECK_EQUAL(required(AT_EUID), geteuid());
    CHECK_EQUAL(required(AT_GID), getgid());
    CHECK_EQUAL(required(AT_EGID), getegid());
    CHECK_EQUAL(required(AT_SECURE), 0);
    CHECK_EQUAL(required(AT_CLKTCK), sysconf(_SC_CLK_TCK));
    CHECK((required(AT_HWCAP) & (1u << 25 | 1u << 26)) == (1u << 25 | 1u << 26)); /* SSE, SSE2 */
    CHECK(strcmp((const char *)required(AT_PLATFORM), "x86_64") == 0);
    CHECK(((const char *)required(AT_EXECFN))[0] != 0);
    entry_of(AT_NULL, &present);
    CHECK(present);
}

static void program_headers(void)
{
    const Elf64_Phdr *header = (const Elf64_Phdr *)required(AT_PHDR);
    uint64_t count = required(AT_PHNUM), bias = 0;
    int executable = 0;
    extern void auxv_start(void);
    CHECK_EQUAL(required(AT_ENTRY), (uintptr_t)auxv_start);
    for (uint64_t i = 0; i < count; i++) {
        if (header[i].p_type == PT_LOAD && header[i].p_offset == 0) { /* holds the headers */
            bias = (uintptr_t)header - sizeof(Elf64_Ehdr) - header[i].p_vaddr;
        }
    }
    for (uint64_t i = 0; i < count; i++) {
        uintptr_t begin = bias + header[i].p_vaddr;
        if (header[i].p_type == PT_LOAD && (header[i].p_flags & PF_X) != 0) {
            executable += (uintptr_t)auxv_start - begin < header[i].p_memsz;
        }
    }
    CHECK_EQUAL(executable, 1);
}

static void random_bytes(void)
{
    const unsigned char *bytes = (const unsigned char *)required(AT_RANDOM);
    int nonzero = 0;
    for (int i = 0; i < 16; i++) {
        nonzero += bytes[i] != 0;
    }
    CHECK(nonzero >= 8);
}

/* The vDSO must be a whole ELF object with a dynamic symbol table. */
static void vdso(void)
{
    const Elf64_Ehdr *header = (const Elf64_Ehdr *)required(AT_SYSINFO_EHDR);
    CHECK(memcmp(header->e_ident, ELFMAG, SELFMAG) == 0);
    CHECK(header->e_type == ET_DYN && header->e_machine == EM_X86_64);
    const Elf64_Phdr *segments = (const Elf64_Phdr *)((const char *)header + header->e_phoff);
    int dynamic = 0;
    for (int i = 0; i < header->e_phnum; i++) {
        dynamic += segments[i].p_type == PT_DYNAMIC;
    }
    CHECK_EQUAL(dynamic, 1);
}

static void environment(void)
{
    const char *expected = getenv("ATOLL_ARGUMENTS");
    char joined[512] = {0};
    int after = 0;
    CHECK(getenv("ATOLL_SURELY_NOT_SET") == NULL);
    for (int i = 1; i < saved_argc; i++) {
        if (after) {
            strncat(joined, saved_argv[i], 64);
            strncat(joined, "|", 2);
        }
        after = after || strcmp(saved_argv[i], "--") == 0;
    }
    CHECK(expected == NULL || strcmp(joined, expected) == 0);
}

static void floating_point(void)
{
    uint32_t mxcsr;
    uint16_t control;
    __asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
    __asm__ volatile("fnstcw %0" : "=m"(control));
    CHECK_EQUAL(mxcsr & 0xffc0, 0x1f80);
    CHECK_EQUAL(control, 0x37f);
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        {"stack_layout", stack_layout},
        {"vector", vector},
        {"program_headers", program_headers},
        {"random_bytes", random_bytes},
        {"vdso", vdso},
        {"environment", environment},
        {"floating_point", floating_point},
    };
    int own = 1;
    saved_argc = argc;
    saved_argv = argv;
    while (own < argc && strcmp(argv[own], "--") != 0) {
        own++;
    }
    argc = own; /* the rest is data of the environment case */
    return CHECK_MAIN(cases);
}
