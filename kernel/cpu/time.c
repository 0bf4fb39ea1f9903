/* SPDX-License-Identifier: Apache-2.0 */
/* Where the frequencies come from, best source first: the hypervisor's word (paravirtual clock or
 * CPUID), the processor's (CPUID 15h), measured against the APIC timer where its rate is known
 * (QEMU without acceleration: 1 GHz), measured against the PIT. */
#include "clock_convert.h"

#include <cpu/apic.h>
#include <cpu/features.h>
#include <cpu/msr.h>
#include <cpu/string.h>
#include <cpu/time.h>
#include <percpu/operations.h>
#include <percpu/trace.h>

#define HYPERVISOR_BIT (1u << 31) /* CPUID 1 ECX */
#define HYPERVISOR_LEAF 0x40000000u
#define HYPERVISOR_LEAF_MAX 0x40010000u
#define HYPERVISOR_LEAF_STEP 0x100u
#define LEAF_TIMING 0x10u /* hypervisor leaf 0x40000010: TSC and bus frequency in kHz */
#define LEAF_CRYSTAL 0x15u
#define KVM_FEATURE_CLOCKSOURCE2 (1u << 3)
#define TCG_APIC_HZ 1000000000ull
/* Of at most 3 ms that calibration may take: 2 for the TSC and then 1 for the APIC timer. */
#define CALIBRATE_TSC_NS 2000000ull
#define CALIBRATE_APIC_NS 1000000ull
#define CALIBRATE_POLLS_MAX 2000000u
#define SAMPLE_TRIES 8u
#define PIT_HZ 1193182ull
#define PIT_TICKS 2386u /* 2 ms */
#define PIT_COMMAND 0x43
#define PIT_CHANNEL2 0x42
#define PIT_GATE 0x61
/* The battery clock: MC146818. What its registers mean is posix/'s business. */
#define RTC_INDEX 0x70
#define RTC_DATA 0x71
#define RTC_UPDATING 0x80u /* register 0x0a */
#define RTC_TRIES 8u
#define RTC_POLLS_MAX 10000u

/* Of both clocks: a reading, or the ticks between two. The APIC's counts down. */
struct sample {
    uint64_t tsc;
    uint32_t count;
};

/* What the paravirtual clock of KVM writes: Documentation/virt/kvm/x86/msr.rst of Linux. */
struct kvm_time {
    uint32_t version, pad;
    uint64_t tsc, system_ns;
    uint32_t scale;
    int8_t shift;
    uint8_t flags, pad2[2];
};
_Static_assert(sizeof(struct kvm_time) == 32, "ABI of the hypervisor");

struct kvm_wall {
    uint32_t version, seconds, nanoseconds;
};

/* The hypervisor writes here during boot only: the addresses are given back before seal. */
static SHARED alignas(64) struct kvm_time shared_kvm_time;
static SHARED alignas(64) struct kvm_wall shared_kvm_wall;

/* The base leaf of a hypervisor's interface, or 0; several may be offered side by side. */
static uint32_t hypervisor_find(const char *signature)
{
    if ((cpu_cpuid(1, 0).ecx & HYPERVISOR_BIT) == 0) {
        return 0;
    }
    for (uint32_t leaf = HYPERVISOR_LEAF; leaf < HYPERVISOR_LEAF_MAX;
         leaf += HYPERVISOR_LEAF_STEP) {
        struct cpu_id id = cpu_cpuid(leaf, 0);
        const uint32_t words[] = {id.ebx, id.ecx, id.edx};
        if (memcmp(words, signature, sizeof(words)) == 0) {
            return leaf;
        }
    }
    return 0;
}

/* Validator of the hypervisor's clock: copies it while it does not change, then judges. */
static uint64_t kvm_hz(void)
{
    uint32_t leaf = hypervisor_find("KVMKVMKVM\0\0");
    if (leaf == 0 || (cpu_cpuid(leaf + 1, 0).eax & KVM_FEATURE_CLOCKSOURCE2) == 0) {
        return 0;
    }
    cpu_wrmsr(MSR_KVM_SYSTEM_TIME, ((uint64_t)&shared_kvm_time - LAYOUT_KERNEL_BASE) | 1);
    cpu_wrmsr(MSR_KVM_WALL_CLOCK, (uint64_t)&shared_kvm_wall - LAYOUT_KERNEL_BASE);
    const volatile struct kvm_time *clock = &shared_kvm_time;
    uint64_t hz = 0;
    for (uint32_t i = 0; i < SAMPLE_TRIES && hz == 0; i++) {
        uint32_t version = clock->version;
        cpu_lfence();
        uint32_t scale = clock->scale;
        int8_t shift = clock->shift;
        cpu_lfence();
        if ((version & 1) == 0 && version == clock->version) {
            hz = clock_hz_from_scale(scale, shift);
        }
    }
    cpu_wrmsr(MSR_KVM_SYSTEM_TIME, 0);
    return hz;
}

static uint64_t xen_hz(void)
{
    uint32_t leaf = hypervisor_find("XenVMMXenVMM");
    struct cpu_id time = cpu_features_leaf(leaf + 3, 1);
    return leaf != 0 ? clock_hz_from_scale(time.ecx, (int8_t)time.edx) : 0;
}

static uint64_t hypervisor_leaf_hz(void)
{
    if ((cpu_cpuid(1, 0).ecx & HYPERVISOR_BIT) == 0) {
        return 0;
    }
    struct cpu_id timing = cpu_features_leaf(HYPERVISOR_LEAF + LEAF_TIMING, 0);
    if (timing.ebx != 0 && timing.ebx <= CLOCK_HZ_MAX / 1000) {
        shared_facts.lapic_timer_hz = timing.ebx * 1000ull;
    }
    return clock_hz_from_ratio(timing.eax, 1, 1000);
}

static uint64_t crystal_hz(void)
{
    struct cpu_id id = cpu_features_leaf(LEAF_CRYSTAL, 0);
    uint64_t hz = clock_hz_from_ratio(id.ebx, id.eax, id.ecx);
    if (hz != 0) {
        shared_facts.lapic_timer_hz = id.ecx; /* SDM: the timer runs at the crystal's rate */
    }
    return hz;
}

/* One reading of both clocks, as close together as can be had in a few tries. */
static struct sample apic_sample(void)
{
    struct sample best = {0};
    uint64_t best_distance = UINT64_MAX;
    for (uint32_t i = 0; i < SAMPLE_TRIES; i++) {
        uint64_t before = cpu_rdtsc();
        uint32_t count = cpu_apic_read(APIC_TIMER_CURRENT);
        uint64_t distance = cpu_rdtsc() - before;
        if (distance < best_distance) {
            best_distance = distance;
            best = (struct sample){before + distance / 2, count};
        }
    }
    return best;
}

/* The ticks of both while they run beside each other, until either has made its own. */
static struct sample run_beside_apic(uint64_t tsc_ticks, uint64_t apic_ticks)
{
    uint32_t mode = cpu_apic_read(APIC_LVT_TIMER);
    cpu_apic_write(APIC_LVT_TIMER, APIC_LVT_MASKED);
    cpu_apic_write(APIC_TIMER_INITIAL, UINT32_MAX);
    struct sample first = apic_sample();
    for (uint32_t i = 0; i < CALIBRATE_POLLS_MAX && cpu_rdtsc() - first.tsc < tsc_ticks &&
                         first.count - cpu_apic_read(APIC_TIMER_CURRENT) < apic_ticks;
         i++) {
        cpu_pause();
    }
    struct sample last = apic_sample();
    cpu_apic_write(APIC_TIMER_INITIAL, 0);
    cpu_apic_write(APIC_LVT_TIMER, mode);
    return (struct sample){last.tsc - first.tsc, first.count - last.count};
}

static uint64_t tcg_hz(void)
{
    if (hypervisor_find("TCGTCGTCGTCG") == 0) {
        return 0;
    }
    shared_facts.lapic_timer_hz = TCG_APIC_HZ;
    struct sample ran = run_beside_apic(UINT64_MAX, TCG_APIC_HZ * CALIBRATE_TSC_NS / NS_PER_SECOND);
    return clock_hz_from_ratio(ran.tsc, ran.count, TCG_APIC_HZ);
}

/* Channel 2 of the i8254 in mode 0: its output, readable at port 0x61, rises when the count ends.
 * The gate bit is read back: on a machine without the port all bits are set. */
static uint64_t pit_hz(void)
{
    uint8_t gate = cpu_in8(PIT_GATE);
    cpu_out8(PIT_GATE, (uint8_t)((gate & ~2u) | 1u));
    if ((cpu_in8(PIT_GATE) & 3u) != 1u) {
        return 0;
    }
    cpu_out8(PIT_COMMAND, 0xb0);
    cpu_out8(PIT_CHANNEL2, PIT_TICKS & 0xff);
    cpu_out8(PIT_CHANNEL2, PIT_TICKS >> 8);
    uint64_t start = cpu_rdtsc(), polls = 0;
    while ((cpu_in8(PIT_GATE) & 0x20u) == 0 && polls < CALIBRATE_POLLS_MAX) {
        polls++;
    }
    uint64_t ticks = cpu_rdtsc() - start;
    cpu_out8(PIT_GATE, gate);
    return polls < CALIBRATE_POLLS_MAX ? clock_hz_from_ratio(ticks, PIT_TICKS, PIT_HZ) : 0;
}

/* ---- the date */

static uint8_t read_register(uint8_t index)
{
    cpu_out8(RTC_INDEX, (uint8_t)(index | 0x80u)); /* NMI stays off meanwhile */
    return cpu_in8(RTC_DATA);
}

static void read_all(uint8_t values[static GATE_CLOCK_REGISTERS])
{
    static const uint8_t registers[GATE_CLOCK_REGISTERS] = {0, 2, 4, 7, 8, 9, 0x0b};
    uint32_t polls = 0;
    while ((read_register(0x0a) & RTC_UPDATING) != 0 && polls < RTC_POLLS_MAX) {
        polls++;
    }
    for (uint32_t i = 0; i < GATE_CLOCK_REGISTERS; i++) {
        values[i] = read_register(registers[i]);
    }
}

/* What the MC146818 shows, as in struct gate_info; all bits are set where there is none or it does
 * not stand still. Two equal readings: an update in the middle of one would show. */
static void rtc_read(uint8_t values[static GATE_CLOCK_REGISTERS])
{
    uint8_t again[GATE_CLOCK_REGISTERS];
    bool is_equal = false;
    for (uint32_t i = 0; i < RTC_TRIES && !is_equal; i++) {
        read_all(values);
        read_all(again);
        is_equal = memcmp(values, again, sizeof(again)) == 0;
    }
    if (!is_equal) {
        memset(values, UINT8_MAX, sizeof(again));
    }
    cpu_out8(RTC_INDEX, 0); /* NMI on again */
}

/* The hypervisor's date, which is that of its clock's zero (the clock showed system_ns at .tsc), or
 * else the battery clock's. */
static void find_date(void)
{
    const struct kvm_wall wall = shared_kvm_wall;
    const struct kvm_time clock = shared_kvm_time;
    if (wall.version == 0 || (wall.version & 1) != 0 || wall.nanoseconds >= NS_PER_SECOND) {
        rtc_read(shared_facts.info.clock_registers);
        shared_facts.info.clock_read_ns = cpu_now_ns();
        return;
    }
    uint64_t ticks = cpu_rdtsc() - clock.tsc;
    uint64_t since =
        (uint64_t)(((unsigned __int128)ticks * shared_facts.info.tsc_multiplier) >> 32);
    shared_facts.info.wall_base_ns =
        wall.seconds * NS_PER_SECOND + wall.nanoseconds + clock.system_ns + since - cpu_now_ns();
}

/* @impl ATL-LLR-BOOT-0019~1 */
enum result cpu_time_initialize(void)
{
    static const struct {
        uint64_t (*hz)(void);
        const char *name;
    } sources[] = {
        {kvm_hz, "pvclock"},   {xen_hz, "pvclock"}, {hypervisor_leaf_hz, "cpuid"},
        {crystal_hz, "cpuid"}, {tcg_hz, "lapic"},   {pit_hz, "pit"},
    };
    uint64_t hz = 0;
    for (size_t i = 0; i < ARRAY_COUNT(sources) && hz == 0; i++) {
        hz = sources[i].hz();
        shared_facts.tsc_source = sources[i].name;
    }
    if (hz == 0) {
        return RESULT_IO;
    }
    shared_facts.info.tsc_hz = hz;
    shared_facts.info.tsc_multiplier = clock_multiplier(hz);
    if (shared_facts.lapic_timer_hz == 0) { /* nobody told it: from the TSC's */
        struct sample ran = run_beside_apic(hz / (NS_PER_SECOND / CALIBRATE_APIC_NS), UINT64_MAX);
        shared_facts.lapic_timer_hz = ran.count * hz / ran.tsc; /* 1 ms or so: the product fits */
    }
    find_date();
    return RESULT_OK;
}

/* @impl ATL-LLR-BOOT-0020~1 */
void cpu_timer_arm(uint64_t deadline_ns)
{
    percpu_timer_ns = deadline_ns;
    TRACE(TRACE_TIMER, 0, deadline_ns, 0);
    uint64_t ticks = 0, now = cpu_now_ns();
    if (deadline_ns != THREAD_NEVER) {
        /* 1 s at most, so the product fits; one tick more than the truncation lost. */
        uint64_t distance = MIN(deadline_ns > now ? deadline_ns - now : 0, NS_PER_SECOND);
        ticks = distance * (shared_facts.lapic_timer_hz / 1000) / 1000000 + 1;
    }
    cpu_apic_write(APIC_TIMER_INITIAL, (uint32_t)MIN(ticks, UINT32_MAX));
}
