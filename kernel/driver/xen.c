/* SPDX-License-Identifier: Apache-2.0 */
/* Xen's public headers sched.h and arch-x86/cpuid.h: a domain is off when it says so. */
#include <cpu/features.h>
#include <driver/power.h>

#define LEAF_HYPERVISOR 0x40000000u
#define SIGNATURE_EBX 0x566e6558u /* "XenV" */
#define VENDOR_AMD_EBX 0x68747541u
#define VENDOR_HYGON_EBX 0x6f677948u
enum { HYPERCALL_SCHEDULE = 29, SCHEDULE_SHUTDOWN = 2 };

/* @impl ATL-LLR-BOOT-1247~1 */
void power_off_xen(void)
{
    uint32_t reason = 0; /* power off */
    uint32_t vendor = cpu_features_leaf(0, 0).ebx;
    if (cpu_features_leaf(LEAF_HYPERVISOR, 0).ebx == SIGNATURE_EBX) {
        cpu_hypercall(vendor == VENDOR_AMD_EBX || vendor == VENDOR_HYGON_EBX, HYPERCALL_SCHEDULE,
                      SCHEDULE_SHUTDOWN, &reason);
    }
}
