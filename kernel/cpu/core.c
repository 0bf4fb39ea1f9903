/* SPDX-License-Identifier: Apache-2.0 */
/* Formats: SDM volume 3, "Segment descriptors", "TSS descriptor in 64-bit mode", "64-bit IDT gate
 * descriptors", "Interrupt stack table". */
#include <cpu/apic.h>
#include <cpu/core.h>
#include <cpu/instructions.h>
#include <cpu/msr.h>
#include <kernel/facts.h>
#include <kernel/region.h>
#include <kernel/stacks.h>
#include <percpu/operations.h>

#define VECTOR_COUNT 256u
#define GATE_PRESENT 0x80u
#define GATE_INTERRUPT 0x0eu /* clears IF */
#define GATE_DPL3 0x60u

struct task_state {
    uint32_t reserved0;
    uint64_t ring_stack[3];
    uint64_t reserved1;
    uint64_t interrupt_stack[LAYOUT_IST_COUNT];
    uint64_t reserved2;
    uint16_t reserved3;
    uint16_t port_bitmap;
} __attribute__((packed));
_Static_assert(sizeof(struct task_state) == 104, "SDM: 64-bit TSS");

enum { GDT_ENTRIES = SELECTOR_TSS / 8 + 2 };

extern const uint8_t trap_stubs[VECTOR_COUNT][TRAP_STUB_BYTES];
extern const uint8_t gate_entry[]; /* the gate's assembly */

/* One for all cores: the stacks that it names are each core's own. Written by core 0 before the
 * others start, read-only after seal. */
static SHARED alignas(16) uint64_t shared_idt[VECTOR_COUNT][2];

static PERCORE alignas(16) struct task_state task_state;
static PERCORE alignas(16) uint64_t gdt[GDT_ENTRIES];

/* At the end of .percore; kernel.ld defines stack_gate_top behind them. */
__attribute__((section(".percore.stack"))) alignas(PAGE_BYTES) uint8_t
    kernel_stacks[LAYOUT_IST_COUNT * STACKS_IST_STRIDE + PAGE_BYTES + LAYOUT_STACK_BYTES];

/* Fills the one IDT that all cores load; the stacks of its vectors are in a TSS. */
static void build_idt(bool has_stacks)
{
    for (uint32_t vector = 0; vector < VECTOR_COUNT; vector++) {
        uintptr_t stub = (uintptr_t)trap_stubs[vector];
        bool is_for_programs = vector == 3 || vector == 4; /* INT3 and INTO */
        uint64_t type = GATE_PRESENT | GATE_INTERRUPT | (is_for_programs ? GATE_DPL3 : 0);
        uint64_t stack = has_stacks ? stacks_ist_of(vector) : 0;
        shared_idt[vector][0] = (stub & 0xffff) | SELECTOR_KERNEL_CODE << 16 | stack << 32 |
                                type << 40 | (stub >> 16 & 0xffff) << 48;
        shared_idt[vector][1] = stub >> 32;
    }
}

static void load_idt(void)
{
    cpu_lidt(&(struct cpu_descriptor_table){sizeof(shared_idt) - 1, (uint64_t)shared_idt});
}

/* @impl ATL-LLR-BOOT-0035~1 */
void cpu_core_early_exceptions(void)
{
    build_idt(false);
    load_idt();
}

/* Fills and loads this core's GDT and TSS, and loads the IDT. */
static void load_descriptors(void)
{
    task_state = (struct task_state){.port_bitmap = sizeof(struct task_state)};
    task_state.ring_stack[0] = (uint64_t)stack_gate_top;
    for (uint32_t i = 0; i < LAYOUT_IST_COUNT; i++) {
        task_state.interrupt_stack[i] = stacks_ist_top(i + 1);
    }
    uint64_t base = (uint64_t)&task_state;
    uint64_t limit = sizeof(task_state) - 1;
    /* Code and data are those of the boot tables' (boot/entry.S): CS, DS, ES and SS stay loaded. */
    gdt[SELECTOR_KERNEL_CODE / 8] = 0x00af9b000000ffff;
    gdt[SELECTOR_KERNEL_DATA / 8] = 0x00cf93000000ffff;
    gdt[SELECTOR_USER_CODE_32 / 8] = 0x00cffb000000ffff;
    gdt[SELECTOR_USER_DATA / 8] = 0x00cff3000000ffff;
    gdt[SELECTOR_USER_CODE / 8] = 0x00affb000000ffff;
    gdt[SELECTOR_TSS / 8] =
        limit | ((base & 0xffffff) << 16) | (0x89ull << 40) | (((base >> 24) & 0xff) << 56);
    gdt[SELECTOR_TSS / 8 + 1] = base >> 32;
    cpu_lgdt(&(struct cpu_descriptor_table){sizeof(gdt) - 1, (uint64_t)gdt});
    cpu_ltr(SELECTOR_TSS);
    load_idt();
}

static void write_control_registers(void)
{
    cpu_write_cr0(CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_PG);
    uint64_t cr4 =
        CR4_PAE | CR4_MCE | CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_FSGSBASE | CR4_OSXSAVE;
    cr4 |= shared_facts.has_smep ? CR4_SMEP : 0;
    cr4 |= shared_facts.has_smap ? CR4_SMAP : 0;
    cr4 |= shared_facts.has_umip ? CR4_UMIP : 0;
    cpu_write_cr4(cr4);
    cpu_xsetbv(0, shared_facts.info.extended_mask);
}

/* SYSCALL: interrupts, single step, direction, alignment checks and nested task off at entry.
 * SYSRET takes CS = base + 16 and SS = base + 8. SDM volume 2, SYSCALL and SYSRET. */
static void write_call_registers(core_id_t core)
{
    uint64_t sysret_base = SELECTOR_USER_CODE_32 | 3;
    cpu_wrmsr(MSR_EFER, MSR_EFER_SCE | MSR_EFER_LME | MSR_EFER_LMA | MSR_EFER_NXE);
    cpu_wrmsr(MSR_STAR, (sysret_base << 48) | ((uint64_t)SELECTOR_KERNEL_CODE << 32));
    cpu_wrmsr(MSR_LSTAR, (uint64_t)gate_entry);
    cpu_wrmsr(MSR_SFMASK, RFLAGS_IF | RFLAGS_TF | RFLAGS_DF | RFLAGS_AC | RFLAGS_NT);
    if (shared_facts.has_rdtscp) {
        cpu_wrmsr(MSR_TSC_AUX, core.value);
    }
}

/* @impl ATL-LLR-BOOT-0014~1 */
void cpu_core_initialize(core_id_t core)
{
    if (core.value == 0) {
        build_idt(true);
    }
    load_descriptors();
    write_control_registers();
    write_call_registers(core);
    cpu_apic_initialize();
}

/* @impl ATL-LLR-BOOT-0015~1 */
noreturn void cpu_other_core_enter(void)
{
    uint32_t apic_id = cpu_apic_id();
    for (uint16_t core = 0; core < shared_facts.core_count; core++) {
        if (shared_facts.apic_id[core] == apic_id) {
            cpu_core_enter((core_id_t){core}, shared_regions[core].root);
        }
    }
    for (;;) {
        cpu_hlt();
    }
}

/* ---- what -fstack-protector-strong calls and reads; the names are the compiler's */

/* Boot gives it a fixed value first, entropy a new one before seal. */
SHARED uintptr_t __stack_chk_guard;

noreturn void __stack_chk_fail(void);

noreturn void __stack_chk_fail(void)
{
    percpu_operation_panic("a stack frame was overwritten");
}
