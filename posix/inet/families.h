/* SPDX-License-Identifier: Apache-2.0 */
/* What inet/ offers to the table of families: net/socket.c. An image without IP has absent.c. */
#ifndef POSIX_INET_FAMILIES_H
#define POSIX_INET_FAMILIES_H

#include <stdint.h>

#define AF_INET 2u
#define AF_INET6 10u

struct socket;
/* -ENOBUFS | -EPROTONOSUPPORT | -ESOCKTNOSUPPORT | -EAFNOSUPPORT: not in this image */
int64_t inet_create_4(uint32_t type, uint32_t protocol, struct socket **socket);
int64_t inet_create_6(uint32_t type, uint32_t protocol, struct socket **socket);

#endif
