/* SPDX-License-Identifier: Apache-2.0 */
/* Files that descriptors alone lead to. */
#include "event.h"

#define ANONYMOUS_DEVICE 14u /* minor of the file system that such files are in */
#define ANONYMOUS_NUMBER 1u
#define BLOCK_BYTES 4096

void event_stat(struct posix_stat *stat, uint32_t mode, uint64_t number)
{
    *stat = (struct posix_stat){
        .device = ANONYMOUS_DEVICE,
        .inode = number,
        .link_count = 1,
        .mode = mode,
        .block_bytes = BLOCK_BYTES,
    };
}

int64_t event_stat_anonymous(struct posix_file *file, struct posix_stat *stat)
{
    (void)file;
    event_stat(stat, 0600, ANONYMOUS_NUMBER);
    return 0;
}

int64_t event_install(const struct posix_file_operations *operations, uint32_t flags, void *context)
{
    struct posix_file *file = posix_file_create(operations, flags & ~POSIX_O_CLOEXEC, context);
    if (file == NULL) {
        return -ENOMEM;
    }
    int64_t descriptor = posix_descriptor_install(file, (flags & POSIX_O_CLOEXEC) != 0, 0);
    if (descriptor < 0) {
        posix_free(file); /* nobody has seen it: release is not called */
    }
    return descriptor;
}
