/* SPDX-License-Identifier: Apache-2.0 */
/* What inet/ offers to the table of families: net/socket.c. An image without IP has absent.c. */
#ifndef POSIX_INET_FAMILIES_H
#define POSIX_INET_FAMILIES_H

#include <stdint.h>

#define AF_INET 2u
#define AF_INET6 10u
#define AF_PACKET 17u

struct socket;
/* -ENOBUFS | -EPROTONOSUPPORT | -ESOCKTNOSUPPORT | -EAFNOSUPPORT: not in this image */
int64_t inet_create_4(uint32_t type, uint32_t protocol, struct socket **socket);
int64_t inet_create_6(uint32_t type, uint32_t protocol, struct socket **socket);
int64_t inet_create_packet(uint32_t type, uint32_t protocol, struct socket **socket);

/* What a network interface says of itself to any socket: struct ifreq at the argument. -ENOTTY |
 * -ENODEV | -EFAULT */
int64_t inet_interface_ioctl(uint64_t what, uint64_t argument);

#endif
