/* SPDX-License-Identifier: Apache-2.0 */
#ifndef POSIX_CORE_TRACED_H
#define POSIX_CORE_TRACED_H

#include <atoll/trace_abi.h>

/* In images of ./atoll trace: the first bytes of what the program has written to trace_marker.
 *
 * @kept       at most ATOLL_TRACE_TEXT_BYTES, and at most bytes */
void posix_trace_marker(const char *text, uint32_t kept, uint32_t bytes);

#endif
