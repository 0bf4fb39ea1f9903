/* SPDX-License-Identifier: Apache-2.0 */
/* The image's sorted table of files, for file/. See also posix_image_* in file.h. */
#ifndef POSIX_FILE_IMAGE_H
#define POSIX_FILE_IMAGE_H

#include <posix/file.h>

#define IMAGE_FIRST_NUMBER 2u /* st_ino of the first file; the root has 1 */
int64_t image_initialize(void);
/* NULL: index is behind the last file. */
const struct image_file *image_file_at(uint32_t index);
uint32_t image_file_index(const struct image_file *file);
/* Index of the first file whose path is not below path, in byte order. */
uint32_t image_lower_bound(const char *path);
/* CRC-32C (Castagnoli, reflected, all ones before and after). */
uint32_t image_crc32c(const uint8_t *bytes, uint64_t count);
/* The same in parts: the register, UINT32_MAX at first and to be inverted at last. */
uint32_t image_crc32c_more(uint32_t crc, const uint8_t *bytes, uint64_t count);

#endif
