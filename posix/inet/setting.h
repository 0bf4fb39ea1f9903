/* SPDX-License-Identifier: Apache-2.0 */
/* The addresses that the tool has put into the image (--ip), in a file that the program cannot see.
 */
#ifndef POSIX_INET_SETTING_H
#define POSIX_INET_SETTING_H

#include <posix/posix.h>

/* What tools/atoll/address.py writes, one for each device. Addresses in the order of the network,
 * zero: none. */
struct net_setting {
    uint8_t prefix_4, prefix_6; /* 0: no address of this family */
    uint16_t unused;
    uint8_t address_4[4], gateway_4[4];
    uint8_t address_6[16], gateway_6[16];
};
_Static_assert(sizeof(struct net_setting) == 44, "as the tool writes it");

/* NULL: the image names no address of the device, which asks for one. */
const struct net_setting *net_setting(uint32_t device);

#endif
