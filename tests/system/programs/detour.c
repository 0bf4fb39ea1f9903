/* SPDX-License-Identifier: Apache-2.0 */
/* Says what one of its system-call sites looks like in memory and in its file, and how many calls
 * the kernel reflected while it made a thousand calls there. */
#include <fcntl.h>
#include <isolation/gate_abi.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

extern const unsigned char site[], __ehdr_start[];
__asm__(".globl site, call_often\n"
        ".type call_often, @function\n"
        "call_often: push %rbx\n mov $1000, %ebx\n"
        "1: nop\n"
        "site: mov $39, %eax\n syscall\n"
        "dec %ebx\n jnz 1b\n pop %rbx\n ret\n"
        ".size call_often, . - call_often\n");
void call_often(void);

/* The gate itself; behind a jump, so that no packer rewrites it. */
static unsigned long reflections(void)
{
    long result = GATE_CALL_BASE + GATE_INFORMATION;
    __asm__ volatile("jmp 1f\n1: syscall"
                     : "+a"(result)
                     : "D"(GATE_INFORMATION_CORE), "S"(0), "d"(GATE_COUNT(reflections))
                     : "rcx", "r8", "r9", "r10", "r11", "memory");
    return (unsigned long)result;
}

int main(void)
{
    unsigned char in_file = 0;
    int file = open("/proc/self/exe", O_RDONLY);
    if (pread(file, &in_file, 1, site - __ehdr_start) != 1) {
        return 1;
    }
    unsigned long before = reflections();
    call_often();
    unsigned long during = reflections() - before;
    printf("first byte %02x, file %02x, reflections %lu\n", *site, in_file, during);
    return 0;
}
