/* SPDX-License-Identifier: Apache-2.0 */
/* The only instructions of posix/ that touch application memory. Each has an entry in the exception
 * table: where a fault of it goes on. Addresses at or above the private slot are never touched. */
#define EFAULT 14
#define ENAMETOOLONG 36
#define ADDRESS_END 0x7f8000000000 /* GATE_PRIVATE_SLOT * GATE_SLOT_BYTES */
#define STRING_BYTES_MIN 128       /* from here on the string instructions pay */

/* Two position-independent words: the instruction and its fix-up, from the word's own address. */
#define ON_FAULT(from, to)                                                                         \
    .pushsection posix_exceptions, "a", @progbits; .balign 4;                                     \
    .long from - .; .long to - .; .popsection

/* -EFAULT unless [address, address + bytes) ends below ADDRESS_END; uses rax and r8. */
    .macro check_range address, bytes
    movabs $ADDRESS_END, %r8
    mov \address, %rax
    add \bytes, %rax
    jc fault
    cmp %r8, %rax
    ja fault
    .endm

    .text
fault:
    mov $-EFAULT, %rax
    ret

/* Both copies: rdi to, rsi from, rdx bytes, range checked. The last word may overlap the one before
 * it. */
    .balign 16
copy:
    cmp $STRING_BYTES_MIN, %rdx
    jae 9f
    sub $8, %rdx
    jb 5f
    add %rdx, %rsi
    add %rdx, %rdi
    neg %rdx
    jz 3f
1:  mov (%rsi, %rdx), %rax
2:  mov %rax, (%rdi, %rdx)
    add $8, %rdx
    js 1b
3:  mov (%rsi), %rax
4:  mov %rax, (%rdi)
    xor %eax, %eax
    ret
5:  add $8, %rdx
    jz 8f
6:  movzbl (%rsi), %eax
7:  mov %al, (%rdi)
    inc %rsi
    inc %rdi
    dec %rdx
    jnz 6b
8:  xor %eax, %eax
    ret
9:  mov %rdx, %rcx
    shr $3, %rcx
10: rep movsq
    and $7, %edx
    lea -8(%rsi, %rdx), %rsi
    lea -8(%rdi, %rdx), %rdi
    jmp 3b
    ON_FAULT(1b, fault)
    ON_FAULT(2b, fault)
    ON_FAULT(3b, fault)
    ON_FAULT(4b, fault)
    ON_FAULT(6b, fault)
    ON_FAULT(7b, fault)
    ON_FAULT(10b, fault)

/* int64_t posix_copy_in(void *to, uint64_t from, size_t bytes) @impl ATL-LLR-POSIX-0003~1 */
    .globl posix_copy_in
    .type posix_copy_in, @function
posix_copy_in:
    check_range %rsi, %rdx
    jmp copy
    .size posix_copy_in, . - posix_copy_in

/* int64_t posix_copy_out(uint64_t to, const void *from, size_t bytes) */
    .globl posix_copy_out
    .type posix_copy_out, @function
posix_copy_out:
    check_range %rdi, %rdx
    jmp copy
    .size posix_copy_out, . - posix_copy_out

/* int64_t posix_zero_out(uint64_t to, size_t bytes) */
    .globl posix_zero_out
    .type posix_zero_out, @function
posix_zero_out:
    check_range %rdi, %rsi
    xor %eax, %eax
    mov %rsi, %rcx
    shr $3, %rcx
1:  rep stosq
    mov %esi, %ecx
    and $7, %ecx
2:  rep stosb
    ret
    ON_FAULT(1b, fault)
    ON_FAULT(2b, fault)
    .size posix_zero_out, . - posix_zero_out

/* int64_t posix_copy_in_string(char *to, uint64_t from, size_t bytes_max) */
    .globl posix_copy_in_string
    .type posix_copy_in_string, @function
posix_copy_in_string:
    movabs $ADDRESS_END, %r8
    xor %eax, %eax
1:  cmp %rdx, %rax
    jae 3f
    lea (%rsi, %rax), %r9
    cmp %r8, %r9
    jae fault
2:  movzbl (%r9), %ecx
    mov %cl, (%rdi, %rax)
    inc %rax
    test %cl, %cl
    jnz 1b
    dec %rax
    ret
3:  mov $-ENAMETOOLONG, %rax
    ret
    ON_FAULT(2b, fault)
    .size posix_copy_in_string, . - posix_copy_in_string

/* int64_t posix_load_u32(uint64_t from, uint32_t *value) */
    .globl posix_load_u32
    .type posix_load_u32, @function
posix_load_u32:
    check_range %rdi, $4
1:  mov (%rdi), %ecx
    mov %ecx, (%rsi)
    xor %eax, %eax
    ret
    ON_FAULT(1b, fault)
    .size posix_load_u32, . - posix_load_u32

/* int64_t posix_store_u32(uint64_t to, uint32_t value) */
    .globl posix_store_u32
    .type posix_store_u32, @function
posix_store_u32:
    check_range %rdi, $4
1:  mov %esi, (%rdi)
    xor %eax, %eax
    ret
    ON_FAULT(1b, fault)
    .size posix_store_u32, . - posix_store_u32

/* int64_t posix_exchange_u32(uint64_t at, uint32_t expected, uint32_t desired, uint32_t *seen) */
    .globl posix_exchange_u32
    .type posix_exchange_u32, @function
posix_exchange_u32:
    check_range %rdi, $4
    mov %esi, %eax
1:  lock cmpxchg %edx, (%rdi)
    mov %eax, (%rcx)
    xor %eax, %eax
    ret
    ON_FAULT(1b, fault)
    .size posix_exchange_u32, . - posix_exchange_u32

/* int64_t posix_extended_save(uint64_t to, uint64_t mask): XSAVE to a 64-aligned address whose
 * header is zero. The range was written by the caller just before. */
    .globl posix_extended_save
    .type posix_extended_save, @function
posix_extended_save:
    check_range %rdi, $4096
    mov %esi, %eax
    mov %rsi, %rdx
    shr $32, %rdx
1:  xsave64 (%rdi)
    xor %eax, %eax
    ret
    ON_FAULT(1b, fault)
    .size posix_extended_save, . - posix_extended_save

/* int64_t posix_extended_restore(uint64_t from, uint64_t mask): XRSTOR; a header or MXCSR that the
 * processor refuses is -EFAULT too. */
    .globl posix_extended_restore
    .type posix_extended_restore, @function
posix_extended_restore:
    check_range %rdi, $4096
    mov %esi, %eax
    mov %rsi, %rdx
    shr $32, %rdx
1:  xrstor64 (%rdi)
    xor %eax, %eax
    ret
    ON_FAULT(1b, fault)
    .size posix_extended_restore, . - posix_extended_restore

/* int64_t posix_legacy_restore(uint64_t from): FXRSTOR of the 512 bytes that every frame has. */
    .globl posix_legacy_restore
    .type posix_legacy_restore, @function
posix_legacy_restore:
    check_range %rdi, $512
1:  fxrstor64 (%rdi)
    xor %eax, %eax
    ret
    ON_FAULT(1b, fault)
    .size posix_legacy_restore, . - posix_legacy_restore

    .section .note.GNU-stack, "", @progbits
