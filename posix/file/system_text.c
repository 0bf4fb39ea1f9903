/* SPDX-License-Identifier: Apache-2.0 */
/* Texts about the machine: /proc/cpuinfo and its kind, numbers of /sys. */
#include "synthetic.h"
#include <posix/instructions.h>
#include <posix/memory.h>
#include <posix/thread.h>
#include <posix/time.h>

#define TICK_NS 10000000u

void machine_count(struct machine_counts *counts)
{
    *counts = (struct machine_counts){0};
    for (uint32_t core = 0; core < posix_info.core_count; core++) {
        counts->frames_total += posix_core_count(core, GATE_COUNT(frames_total));
        counts->frames_free += posix_core_count(core, GATE_COUNT(frames_free));
        counts->switches += posix_core_count(core, GATE_COUNT(switches));
        counts->interrupts += posix_core_count(core, GATE_COUNT(interrupts));
        counts->idle_ns += posix_core_count(core, GATE_COUNT(idle_ns));
    }
}

/* A feature bit of CPUID by the name that Linux gives it. */
struct feature {
    uint32_t leaf;
    char output; /* b, c or d: register */
    uint8_t bit;
    const char *name;
};

static const struct feature features[] = {
    {1, 'd', 0, "fpu"},
    {1, 'd', 4, "tsc"},
    {1, 'd', 5, "msr"},
    {1, 'd', 6, "pae"},
    {1, 'd', 8, "cx8"},
    {1, 'd', 9, "apic"},
    {1, 'd', 11, "sep"},
    {1, 'd', 15, "cmov"},
    {1, 'd', 16, "pat"},
    {1, 'd', 19, "clflush"},
    {1, 'd', 23, "mmx"},
    {1, 'd', 24, "fxsr"},
    {1, 'd', 25, "sse"},
    {1, 'd', 26, "sse2"},
    {1, 'd', 28, "ht"},
    {0x80000001, 'd', 11, "syscall"},
    {0x80000001, 'd', 20, "nx"},
    {0x80000001, 'd', 26, "pdpe1gb"},
    {0x80000001, 'd', 27, "rdtscp"},
    {0x80000001, 'd', 29, "lm"},
    {1, 'c', 0, "pni"},
    {1, 'c', 1, "pclmulqdq"},
    {1, 'c', 9, "ssse3"},
    {1, 'c', 12, "fma"},
    {1, 'c', 13, "cx16"},
    {1, 'c', 19, "sse4_1"},
    {1, 'c', 20, "sse4_2"},
    {1, 'c', 22, "movbe"},
    {1, 'c', 23, "popcnt"},
    {1, 'c', 25, "aes"},
    {1, 'c', 26, "xsave"},
    {1, 'c', 28, "avx"},
    {1, 'c', 29, "f16c"},
    {1, 'c', 30, "rdrand"},
    {1, 'c', 31, "hypervisor"},
    {0x80000001, 'c', 0, "lahf_lm"},
    {0x80000001, 'c', 5, "abm"},
    {0x80000001, 'c', 6, "sse4a"},
    {7, 'b', 0, "fsgsbase"},
    {7, 'b', 3, "bmi1"},
    {7, 'b', 5, "avx2"},
    {7, 'b', 7, "smep"},
    {7, 'b', 8, "bmi2"},
    {7, 'b', 9, "erms"},
    {7, 'b', 16, "avx512f"},
    {7, 'b', 18, "rdseed"},
    {7, 'b', 19, "adx"},
    {7, 'b', 20, "smap"},
    {7, 'b', 29, "sha_ni"},
    {7, 'c', 2, "umip"},
};

static void append_features(struct text *text)
{
    uint32_t leaf = 0;
    struct instruction_cpuid_result result = {0};
    for (size_t i = 0; i < sizeof(features) / sizeof(features[0]); i++) {
        const struct feature *feature = &features[i];
        if (feature->leaf != leaf) {
            leaf = feature->leaf;
            result = instruction_cpuid(leaf, 0);
        }
        uint32_t bits = feature->output == 'b'   ? result.ebx
                        : feature->output == 'c' ? result.ecx
                                                 : result.edx;
        if ((bits >> feature->bit & 1) != 0) {
            text_string(text, " ");
            text_string(text, feature->name);
        }
    }
}

static void append_brand(struct text *text)
{
    char brand[49] = {0};
    for (uint32_t i = 0; i < 3; i++) {
        struct instruction_cpuid_result part = instruction_cpuid(0x80000002 + i, 0);
        __builtin_memcpy(brand + 16 * i, &part, 16);
    }
    text_string(text, brand);
}

static void append_family(struct text *text)
{
    uint32_t signature = instruction_cpuid(1, 0).eax;
    uint32_t family = signature >> 8 & 15;
    uint32_t model = signature >> 4 & 15;
    if (family == 6 || family == 15) {
        model |= signature >> 12 & 0xf0;
    }
    if (family == 15) {
        family += signature >> 20 & 0xff;
    }
    text_string(text, "\ncpu family\t: ");
    text_number(text, family);
    text_string(text, "\nmodel\t\t: ");
    text_number(text, model);
    text_string(text, "\nmodel name\t: ");
    append_brand(text);
    text_string(text, "\nstepping\t: ");
    text_number(text, signature & 15);
}

static void append_frequency(struct text *text, uint64_t hertz)
{
    text_number(text, hertz / 1000000);
    text_string(text, ".");
    uint64_t thousandths = hertz / 1000 % 1000;
    text_string(text, thousandths < 10 ? "00" : thousandths < 100 ? "0" : "");
    text_number(text, thousandths);
}

static void append_cpu(struct text *text, uint32_t core)
{
    struct instruction_cpuid_result vendor = instruction_cpuid(0, 0);
    const uint32_t words[3] = {vendor.ebx, vendor.edx, vendor.ecx};
    text_string(text, "processor\t: ");
    text_number(text, core);
    text_string(text, "\nvendor_id\t: ");
    text_append(text, (const char *)words, sizeof(words));
    append_family(text);
    text_string(text, "\ncpu MHz\t\t: ");
    append_frequency(text, posix_info.tsc_hz);
    text_string(text, "\nphysical id\t: 0\nsiblings\t: ");
    text_number(text, posix_info.core_count);
    text_string(text, "\ncore id\t\t: ");
    text_number(text, core);
    text_string(text, "\ncpu cores\t: ");
    text_number(text, posix_info.core_count);
    text_string(text, "\nfpu\t\t: yes\nflags\t\t:");
    append_features(text);
    text_string(text, "\nbogomips\t: ");
    append_frequency(text, 2 * posix_info.tsc_hz);
    text_string(text,
                "\nclflush size\t: 64\naddress sizes\t: 48 bits physical, 48 bits virtual\n\n");
}

/* @impl ATL-LLR-FILE-0031~1 */
int64_t text_cpu_information(struct text *text, uint64_t argument)
{
    (void)argument;
    for (uint32_t core = 0; core < posix_info.core_count; core++) {
        append_cpu(text, core);
    }
    return 0;
}

static void append_kilobytes(struct text *text, const char *name, uint64_t bytes)
{
    text_string(text, name);
    text_number_padded(text, bytes / 1024, 8);
    text_string(text, " kB\n");
}

/* @impl ATL-LLR-FILE-0031~1 */
int64_t text_memory_information(struct text *text, uint64_t argument)
{
    (void)argument;
    struct machine_counts counts;
    machine_count(&counts);
    append_kilobytes(text, "MemTotal:       ", counts.frames_total * POSIX_PAGE_BYTES);
    append_kilobytes(text, "MemFree:        ", counts.frames_free * POSIX_PAGE_BYTES);
    append_kilobytes(text, "MemAvailable:   ", counts.frames_free * POSIX_PAGE_BYTES);
    append_kilobytes(text, "Buffers:        ", 0);
    append_kilobytes(text, "Cached:         ", 0);
    append_kilobytes(text, "SwapCached:     ", 0);
    append_kilobytes(text, "SwapTotal:      ", 0);
    append_kilobytes(text, "SwapFree:       ", 0);
    append_kilobytes(text, "Shmem:          ", 0);
    text_string(text,
                "HugePages_Total:       0\nHugePages_Free:        0\nHugePages_Rsvd:        0\n"
                "Hugepagesize:       2048 kB\n");
    return 0;
}

static void append_times(struct text *text, uint64_t total_ns, uint64_t idle_ns)
{
    uint64_t busy_ns = total_ns > idle_ns ? total_ns - idle_ns : 0;
    text_string(text, " ");
    text_number(text, busy_ns / TICK_NS);
    text_string(text, " 0 0 ");
    text_number(text, idle_ns / TICK_NS);
    text_string(text, " 0 0 0 0 0 0\n");
}

/* @impl ATL-LLR-FILE-0031~1 */
int64_t text_system_stat(struct text *text, uint64_t argument)
{
    (void)argument;
    struct machine_counts counts;
    machine_count(&counts);
    uint64_t now_ns = posix_now_ns();
    text_string(text, "cpu ");
    append_times(text, now_ns * posix_info.core_count, counts.idle_ns);
    for (uint32_t core = 0; core < posix_info.core_count; core++) {
        text_string(text, "cpu");
        text_number(text, core);
        append_times(text, now_ns, posix_core_count(core, GATE_COUNT(idle_ns)));
    }
    text_string(text, "intr ");
    text_number(text, counts.interrupts);
    text_string(text, "\nctxt ");
    text_number(text, counts.switches);
    text_string(text, "\nbtime ");
    text_number(text, posix_wall_base_ns / 1000000000);
    text_string(text, "\nprocesses 1\nprocs_running 1\nprocs_blocked 0\n");
    return 0;
}

int64_t text_interrupts(struct text *text, uint64_t argument)
{
    (void)argument;
    text_string(text, "     ");
    for (uint32_t core = 0; core < posix_info.core_count; core++) {
        text_string(text, "       CPU");
        text_number(text, core);
    }
    text_string(text, "\nINT:");
    for (uint32_t core = 0; core < posix_info.core_count; core++) {
        text_string(text, " ");
        text_number_padded(text, posix_core_count(core, GATE_COUNT(interrupts)), 10);
    }
    text_string(text, "   All interrupts\n");
    return 0;
}

int64_t text_vm_statistics(struct text *text, uint64_t argument)
{
    (void)argument;
    struct machine_counts counts;
    machine_count(&counts);
    text_string(text, "nr_free_pages ");
    text_number(text, counts.frames_free);
    text_string(text, "\npgpgin 0\npgpgout 0\npswpin 0\npswpout 0\noom_kill 0\n");
    return 0;
}

int64_t text_load_average(struct text *text, uint64_t argument)
{
    (void)argument;
    text_string(text, "0.00 0.00 0.00 1/");
    text_number(text, posix_thread_count());
    text_string(text, " 1\n");
    return 0;
}

static void append_hundredths(struct text *text, uint64_t ns)
{
    uint64_t hundredths = ns / TICK_NS % 100;
    text_number(text, ns / 1000000000);
    text_string(text, hundredths < 10 ? ".0" : ".");
    text_number(text, hundredths);
}

int64_t text_uptime(struct text *text, uint64_t argument)
{
    (void)argument;
    struct machine_counts counts;
    machine_count(&counts);
    append_hundredths(text, posix_now_ns());
    text_string(text, " ");
    append_hundredths(text, counts.idle_ns);
    text_string(text, "\n");
    return 0;
}

int64_t text_version(struct text *text, uint64_t argument)
{
    (void)argument;
    text_string(text, "Linux version " SYNTHETIC_RELEASE " (atoll) #1 SMP\n");
    return 0;
}

int64_t text_host_name(struct text *text, uint64_t argument)
{
    (void)argument;
    text_string(text, posix_image_string(posix_image()->host_name_offset));
    text_string(text, "\n");
    return 0;
}

/* A version-4 UUID; RFC 4122 section 4.4. */
static int64_t append_uuid(struct text *text, const uint8_t random[16])
{
    uint8_t bytes[16];
    __builtin_memcpy(bytes, random, sizeof(bytes));
    bytes[6] = (uint8_t)((bytes[6] & 0x0f) | 0x40);
    bytes[8] = (uint8_t)((bytes[8] & 0x3f) | 0x80);
    for (size_t i = 0; i < sizeof(bytes); i++) {
        text_hexadecimal(text, bytes[i], 2);
        text_string(text, i == 3 || i == 5 || i == 7 || i == 9 ? "-" : "");
    }
    text_string(text, "\n");
    return 0;
}

/* A fresh one at each read. */
int64_t text_uuid(struct text *text, uint64_t argument)
{
    (void)argument;
    uint8_t bytes[16];
    int64_t result = gate_random((uintptr_t)bytes, sizeof(bytes));
    return result < 0 ? result : append_uuid(text, bytes);
}

/* One for each boot: drawn at the first read. */
int64_t text_boot_id(struct text *text, uint64_t argument)
{
    static struct posix_lock lock;
    static uint8_t bytes[16];
    static bool is_drawn;
    (void)argument;
    posix_lock_acquire(&lock);
    int64_t result = is_drawn ? 0 : gate_random((uintptr_t)bytes, sizeof(bytes));
    is_drawn = result >= 0;
    posix_lock_release(&lock);
    return result < 0 ? result : append_uuid(text, bytes);
}

int64_t text_cpu_mask(struct text *text, uint64_t argument)
{
    uint64_t all = posix_info.core_count < 64 ? (1ull << posix_info.core_count) - 1 : UINT64_MAX;
    uint64_t mask = argument == CPU_MASK_ALL ? all : 1ull << argument;
    if (posix_info.core_count > 32) { /* words of 32 bits */
        text_hexadecimal(text, mask >> 32, 1);
        text_string(text, ",");
        text_hexadecimal(text, mask & UINT32_MAX, 8);
    } else {
        text_hexadecimal(text, mask, 1);
    }
    text_string(text, "\n");
    return 0;
}

int64_t text_kilobytes(struct text *text, uint64_t argument)
{
    text_number(text, argument / 1024);
    text_string(text, "K\n");
    return 0;
}

int64_t text_cpu_range(struct text *text, uint64_t argument)
{
    (void)argument;
    text_string(text, "0");
    if (posix_info.core_count > 1) {
        text_string(text, "-");
        text_number(text, posix_info.core_count - 1);
    }
    text_string(text, "\n");
    return 0;
}

int64_t text_constant_number(struct text *text, uint64_t argument)
{
    text_number(text, argument);
    text_string(text, "\n");
    return 0;
}

int64_t text_constant(struct text *text, uint64_t argument)
{
    text_string(text, (const char *)(uintptr_t)argument); // NOLINT: address of a constant
    return 0;
}
