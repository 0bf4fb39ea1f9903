/* SPDX-License-Identifier: Apache-2.0 */
/* Memory devices: null, zero, full, random; and the table of all device files. */
#ifndef POSIX_FILE_DEVICE_H
#define POSIX_FILE_DEVICE_H

#include <posix/file.h>

extern const struct posix_file_operations device_null_operations;
extern const struct posix_file_operations device_zero_operations;
extern const struct posix_file_operations device_full_operations;
extern const struct posix_file_operations device_random_operations;

/* A name in /dev. Parts that not every image has add theirs by being linked. */
struct posix_device {
    const char *name;
    const struct posix_file_operations *operations;
    uint32_t major, minor, mode;
    void (*finish)(void); /* when the program ends; NULL: nothing to do */
};
/* Aligned so that the rows of all files are one array. */
#define POSIX_DEVICE(name_, ...)                                                                   \
    __attribute__((section("posix_devices"), aligned(8),                                           \
                   used)) static const struct posix_device device_##name_ = __VA_ARGS__
extern const struct posix_device __start_posix_devices[], __stop_posix_devices[];

/* ---- devices that show a text of the moment of open (view.c) */
struct text;
/* make appends what is to be read: 0 or an error, which is open's. */
int64_t device_view_open(struct posix_file *file, int64_t (*make)(struct text *text));
int64_t device_view_read(struct posix_file *file, struct posix_transfer *to);
int64_t device_view_stat(struct posix_file *file, struct posix_stat *stat);
void device_view_release(struct posix_file *file);
#define DEVICE_VIEW_OPERATIONS(open_)                                                              \
    {                                                                                              \
        .open = (open_), .read = device_view_read, .stat = device_view_stat,                       \
        .release = device_view_release                                                             \
    }

#endif
