/* SPDX-License-Identifier: Apache-2.0 */
/* Memory devices: null, zero, full, random. */
#ifndef POSIX_FILE_DEVICE_H
#define POSIX_FILE_DEVICE_H

#include <posix/file.h>

extern const struct posix_file_operations device_null_operations;
extern const struct posix_file_operations device_zero_operations;
extern const struct posix_file_operations device_full_operations;
extern const struct posix_file_operations device_random_operations;

#endif
