/* SPDX-License-Identifier: Apache-2.0 */
/* What core/ knows of the network, which is in some images only. */
#ifndef POSIX_NET_H
#define POSIX_NET_H

/* Before the program: waits until the machine has an address, if it has a network, and makes the
 * files by which names are found.
 *
 * Context:    the first thread; files are there */
void posix_network_start(void);

#endif
