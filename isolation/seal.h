/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ISOLATION_SEAL_INTERNAL_H
#define ISOLATION_SEAL_INTERNAL_H

#include <isolation/cell.h>

extern PERCORE struct cell *space_cell; /* this core's cell, once it is built */

/* Points this core's root at the tables of every shared slot. All cores have built their cells. */
void cell_link_slots(void);

#endif
