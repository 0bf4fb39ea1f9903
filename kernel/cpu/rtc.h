/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KERNEL_CPU_RTC_H
#define KERNEL_CPU_RTC_H

#include <percpu/base.h>

/* Seconds since 1970 from the MC146818, or 0: there is none or it does not show a date. Boot core.
 */
uint64_t rtc_seconds(void);

#endif
