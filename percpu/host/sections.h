/* SPDX-License-Identifier: Apache-2.0 */
/* For percpu/base.h in hosted tests: a core is a host thread, or one thread plays several cores by
 * exchanging the section. */
#ifndef PERCPU_HOST_SECTIONS_H
#define PERCPU_HOST_SECTIONS_H

#ifdef ATOLL_PERCORE_SECTION
#define PERCORE __attribute__((section("percore")))
#else
#define PERCORE _Thread_local
#endif
#define SHARED

#endif
