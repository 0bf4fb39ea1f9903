/* SPDX-License-Identifier: Apache-2.0 */
/* Reading and writing open files, for other calls of file/. */
#ifndef POSIX_FILE_IO_H
#define POSIX_FILE_IO_H

#include <posix/file.h>

/* Where a call reads or writes. */
struct span {
    bool is_positioned; /* offset; else the file's position, which moves */
    uint64_t offset;
};

bool io_can_read(const struct posix_file *file);
bool io_can_write(const struct posix_file *file);
/* As write or pwrite from one buffer; its errors. */
int64_t io_write(struct posix_file *file, uint64_t from, uint64_t bytes, const struct span *span);

#endif
