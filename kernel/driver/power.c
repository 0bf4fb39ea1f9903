/* SPDX-License-Identifier: Apache-2.0 */
/* ACPI specification 6.5, sections 4.8.3.2 (PM1 control) and 4.8.3.7 (sleep control). */
#include <driver/power.h>

#include <cpu/core.h>
#include <cpu/instructions.h>
#include <driver/console.h>
#include <kernel/facts.h>

#define PM1_SLEEP_TYPE_SHIFT 10
#define PM1_SLEEP_TYPE_MASK (7u << PM1_SLEEP_TYPE_SHIFT)
#define PM1_SLEEP_ENABLE (1u << 13)
#define SLEEP_CONTROL_TYPE_SHIFT 2
#define SLEEP_CONTROL_ENABLE (1u << 5)
/* The machine goes on for a moment after it was told to stop. A read of the delay port takes about
 * a microsecond, and in an emulator it hands the processor to who must stop it; looking at the
 * clock instead kept a busy host from it for 60 million instructions. */
#define DELAY_PORT 0x80
#define AFTERLIFE_READS 200000u

static void write_pm1(uint16_t port, uint8_t type)
{
    if (port != 0) {
        uint32_t value = cpu_in16(port) & ~PM1_SLEEP_TYPE_MASK;
        value |= ((uint32_t)type << PM1_SLEEP_TYPE_SHIFT) | PM1_SLEEP_ENABLE;
        cpu_out16(port, (uint16_t)value);
    }
}

/* Where the registers are known. */
static void soft_off(void)
{
    uint64_t control = shared_facts.acpi_sleep_control;
    uint8_t value =
        (uint8_t)((shared_facts.acpi_s5_a << SLEEP_CONTROL_TYPE_SHIFT) | SLEEP_CONTROL_ENABLE);
    if (control != 0 && shared_facts.acpi_sleep_is_memory) {
        cpu_boot_store_u8(control, value);
    } else if (control != 0) {
        cpu_out8((uint16_t)control, value);
    } else if (shared_facts.acpi_pm1a_control != 0) {
        write_pm1(shared_facts.acpi_pm1a_control, shared_facts.acpi_s5_a);
        write_pm1(shared_facts.acpi_pm1b_control, shared_facts.acpi_s5_b);
    } else {
        return;
    }
    for (uint32_t i = 0; i < AFTERLIFE_READS; i++) {
        (void)cpu_in8(DELAY_PORT);
    }
}

/* @impl ATL-LLR-BOOT-0026~1 */
noreturn void power_off(bool has_failed)
{
    cpu_cli();
    console_panic_begin();
    power_off_xen(has_failed);
    soft_off();
    /* Without handlers any fault becomes a triple fault, which resets the machine. */
    cpu_lidt(&(struct cpu_descriptor_table){0});
    for (;;) {
        __builtin_trap();
    }
}
