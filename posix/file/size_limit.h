/* SPDX-License-Identifier: Apache-2.0 */
/* RLIMIT_FSIZE: no write or change of size makes a file longer. */
#ifndef POSIX_FILE_SIZE_LIMIT_H
#define POSIX_FILE_SIZE_LIMIT_H

#include <posix/file.h>

/* How many of the bytes from start on may be written. */
uint64_t size_allowed(uint64_t start, uint64_t bytes);
/* What a call that is beyond the limit does and returns: SIGXFSZ and -EFBIG. No lock held. */
int64_t size_refuse(void);

#endif
