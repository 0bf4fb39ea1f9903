/* SPDX-License-Identifier: Apache-2.0 */
/* lwIP includes <stdio.h> for diagnostics that are not built. */
#ifndef POSIX_INET_LWIP_STDIO_H
#define POSIX_INET_LWIP_STDIO_H
#endif
