/* SPDX-License-Identifier: Apache-2.0 */
/* The families of IP in images without them. */
#include "families.h"

#include <posix/errno.h>
#include <posix/net.h>

int64_t inet_create_4(uint32_t type, uint32_t protocol, struct socket **socket)
{
    (void)type;
    (void)protocol;
    (void)socket;
    return -EAFNOSUPPORT;
}

int64_t inet_create_6(uint32_t type, uint32_t protocol, struct socket **socket)
{
    return inet_create_4(type, protocol, socket);
}

int64_t inet_create_packet(uint32_t type, uint32_t protocol, struct socket **socket)
{
    return inet_create_4(type, protocol, socket);
}

int64_t inet_interface_ioctl(uint64_t what, uint64_t argument)
{
    (void)what;
    (void)argument;
    return -ENOTTY;
}

void posix_network_start(void)
{
}
