/* SPDX-License-Identifier: Apache-2.0 */
/* Control data of datagrams (packet_info.c). */
#ifndef POSIX_INET_PACKET_INFO_H
#define POSIX_INET_PACKET_INFO_H

#include "inet.h"

struct packet_info {
    ip_addr_t to;
    uint32_t own; /* of IPv4: the machine's address where it came */
    uint8_t interface;
};

/* Of the packet that lwIP delivers. In the stack. */
void packet_info_note(struct packet_info *info);
/* Puts what the socket asks for into the message. */
void packet_info_store(const struct inet_socket *socket, const struct packet_info *info,
                       struct socket_message *message);
/* The source that a message to send names; any address: none. -EINVAL */
int64_t packet_info_load(const struct socket_message *message, ip_addr_t *source);

#endif
