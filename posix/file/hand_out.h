/* SPDX-License-Identifier: Apache-2.0 */
/* Files that go back to the host when the program ends: posix_file_hand_out in posix/file.h. */
#ifndef POSIX_FILE_HAND_OUT_H
#define POSIX_FILE_HAND_OUT_H

#include <stdint.h>

/* Sets the memory aside that the end will need. -ENOMEM */
int64_t hand_out_prepare(void);

#endif
