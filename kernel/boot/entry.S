/* SPDX-License-Identifier: Apache-2.0 */
/* The first instructions. Both loaders enter in 32-bit protected mode, paging off, flat segments,
 * interrupts off, A20 on (Xen: "x86/HVM direct boot ABI"; Multiboot2 specification, "I386 machine
 * state"). Ends in boot_collect and kernel_main on the boot tables, in long mode. */
#include <cpu/msr.h>
#include <kernel/layout.h>

#define MULTIBOOT2_MAGIC 0xe85250d6
#define PVH_NOTE_TYPE 18 /* XEN_ELFNOTE_PHYS32_ENTRY */

#define ENTRY_TABLE 3      /* present, writable */
#define ENTRY_LARGE 0x83   /* and 2 MiB */
#define SELECTOR_CODE_32 0x18
#define GDT_LIMIT 31
#define LONG_MODE (1 << 29)  /* CPUID 80000001h EDX */
#define NO_EXECUTE (1 << 20)
#define UART 0x3f8
#define STACK_BYTES 16384

    .section .multiboot2, "a"
    .globl boot_multiboot2_header
    .balign 8
boot_multiboot2_header:
    .long MULTIBOOT2_MAGIC
    .long 0
    .long header_end - boot_multiboot2_header
    .long -(MULTIBOOT2_MAGIC + (header_end - boot_multiboot2_header))
    .balign 8
    .word 6, 0 /* modules page-aligned: our own pages stay whole */
    .long 8
    .balign 8
    .word 0, 0
    .long 8
header_end:

    .section .note.pvh, "a", @note
    .globl boot_pvh_note
    .balign 4
boot_pvh_note:
    .long 4, 4, PVH_NOTE_TYPE
    .asciz "Xen"
    .long boot_entry

    .section .boot.text, "ax"
    .code32
    .globl boot_entry
/* ebx = the loader's structure, which tells the loader. */
boot_entry:
    cli
    cld
    /* QEMU leaves what has no bytes in the file as it was, also at a reset.
     * @impl ATL-LLR-BOOT-0601~1 */
    mov $boot_zero_physical, %edi
    mov $boot_zero_words, %ecx
    xor %eax, %eax
    rep stosl
    mov $1, %esi /* is the boot core */
    mov %ebx, %edi
    rdtsc
    mov %eax, boot_tsc
    mov %edx, boot_tsc + 4
    mov $0x80000000, %eax
    cpuid
    cmp $0x80000001, %eax
    jb no_long_mode
    mov $0x80000001, %eax
    cpuid
    and $(LONG_MODE | NO_EXECUTE), %edx
    cmp $(LONG_MODE | NO_EXECUTE), %edx
    jne no_long_mode

    /* Boot tables: 4 GiB at 0 and the first 1 GiB at KERNEL_BASE. They lie in zeroed memory. */
    movl $(boot_pdpt_low_physical + ENTRY_TABLE), boot_pml4_physical
    movl $(boot_pdpt_high_physical + ENTRY_TABLE), boot_pml4_physical + 511 * 8
    movl $(boot_pd_physical + ENTRY_TABLE), boot_pdpt_high_physical + 510 * 8
    .irp gib, 0, 1, 2, 3
    movl $(boot_pd_physical + \gib * 4096 + ENTRY_TABLE), boot_pdpt_low_physical + \gib * 8
    .endr
    mov $ENTRY_LARGE, %eax
    mov $boot_pd_physical, %edx
    mov $(4 * 512), %ecx
1:  mov %eax, (%edx)
    add $0x200000, %eax
    add $8, %edx
    dec %ecx
    jnz 1b

    lgdt gdt_pointer
    jmp enter_long_mode

/* Where another core starts: copied to a page below 640 KiB. Real mode, CS = page / 16, IP = 0,
 * interrupts off. Goes to 32-bit protected mode, where the boot core began too. */
    .globl boot_trampoline_start, boot_trampoline_end
    .balign 16
boot_trampoline_start:
    .code16
    cli
    cld
    mov %cs, %ax
    mov %ax, %ds
    lgdtl gdt_pointer - boot_trampoline_start
    mov %cr0, %eax
    or $CR0_PE, %eax
    mov %eax, %cr0
    ljmpl $SELECTOR_CODE_32, $other_core
gdt_pointer: /* the boot core's too */
    .word GDT_LIMIT
    .long boot_gdt
boot_trampoline_end:

    .code32
other_core:
    xor %esi, %esi
enter_long_mode:
    mov $CR4_PAE, %eax
    mov %eax, %cr4
    mov $boot_pml4_physical, %eax
    mov %eax, %cr3
    mov $MSR_EFER, %ecx
    mov $(MSR_EFER_NXE | MSR_EFER_LME), %eax
    xor %edx, %edx
    wrmsr
    mov $(CR0_PG | CR0_WP | CR0_NE | CR0_ET | CR0_MP | CR0_PE), %eax
    mov %eax, %cr0
    ljmp $SELECTOR_KERNEL_CODE, $long_mode

/* Nothing works yet but the serial port. */
no_long_mode:
    mov $text_long_mode, %esi
1:  mov $100000, %ecx
    mov $(UART + 5), %edx
2:  in %dx, %al
    test $0x20, %al
    loopz 2b
    mov $UART, %edx
    outsb
    cmpb $0, (%esi)
    jne 1b
    lidt boot_gdt /* zeros: a fault without handlers resets the machine */
    ud2

    .code64
long_mode:
    mov $SELECTOR_KERNEL_DATA, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    xor %eax, %eax
    mov %eax, %fs
    mov %eax, %gs
    movabs $boot_high, %rax
    jmp *%rax

    .balign 8
boot_tsc:
    .quad 0
/* Begins as each core's own does (cpu/core.c): what is loaded from it stays right. */
boot_gdt:
    .quad 0
    .quad 0x00af9b000000ffff
    .quad 0x00cf93000000ffff
    .quad 0x00cf9b000000ffff
text_long_mode:
    .asciz "atoll: cannot start: this processor has no 64-bit mode or no NX\r\n"

/* At KERNEL_BASE now. edi, esi as above (their upper halves are not defined). */
    .section .text.boot_high, "ax"
boot_high:
    xor %ebp, %ebp
    test %esi, %esi
    jz 1f
    mov $boot_stack_top, %rsp
    mov %edi, %edi
    mov boot_tsc, %rsi
    call boot_collect
    call kernel_main
    ud2
1:  mov $BOOT_OTHER_STACK_BYTES, %esp
    lock xadd %esp, boot_other_stacks /* cores start side by side: a stack for each */
    add $boot_buffer + BOOT_OTHER_STACK_BYTES, %rsp
    call cpu_other_core_enter
    ud2

    .section .bss.boot.stack, "aw", @nobits
    .balign 16
    .skip STACK_BYTES
boot_stack_top:
boot_other_stacks:
    .skip 4 /* bytes that are taken */

    .section .note.GNU-stack, "", @progbits
