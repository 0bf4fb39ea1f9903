/* SPDX-License-Identifier: Apache-2.0 */
/* Extended attributes: there are none. Arguments are checked as on Linux; then the answer is that
 * of a file system without them: nothing is listed, everything else is EOPNOTSUPP. */
#include "descriptor.h"
#include "status.h"
#include <posix/syscalls.h>

#define NAME_BYTES_MAX 255u
#define VALUE_BYTES_MAX 65536u
#define FLAGS_KNOWN 3u /* XATTR_CREATE, XATTR_REPLACE */

static int64_t check_name(uint64_t name)
{
    char copy[NAME_BYTES_MAX + 1];
    int64_t bytes = posix_copy_in_string(copy, name, sizeof(copy));
    return bytes == -ENAMETOOLONG || bytes == 0 ? -ERANGE : bytes < 0 ? bytes : 0;
}

static int64_t check_value(uint64_t name, uint64_t bytes, uint64_t flags)
{
    if (((uint32_t)flags & ~FLAGS_KNOWN) != 0) {
        return -EINVAL;
    }
    int64_t result = check_name(name);
    return result == 0 && bytes > VALUE_BYTES_MAX ? -E2BIG : result;
}

/* The file must be there; then `answer`. */
static int64_t at_path(uint64_t text, uint32_t flags, int64_t answer)
{
    struct posix_node *node = NULL;
    int64_t result = status_find((uint64_t)AT_FDCWD, text, flags, &node);
    if (result == 0) {
        node_put(node);
        result = answer;
    }
    return result;
}

static int64_t at_descriptor(uint64_t descriptor, int64_t answer)
{
    struct posix_file *file = posix_file_get(descriptor);
    if (file == NULL) {
        return -EBADF;
    }
    posix_file_put(file);
    return answer;
}

/* An error in the arguments, or what comes of the file. */
static int64_t first_error(int64_t checked, int64_t found)
{
    return found == -EOPNOTSUPP && checked < 0 ? checked : found;
}

/* @impl ATL-LLR-FILE-0038~1 */
int64_t posix_setxattr(uint64_t path, uint64_t name, uint64_t value, uint64_t bytes, uint64_t flags)
{
    (void)value;
    int64_t checked = check_value(name, bytes, flags);
    return checked < 0 ? checked : at_path(path, 0, -EOPNOTSUPP);
}

int64_t posix_lsetxattr(uint64_t path, uint64_t name, uint64_t value, uint64_t bytes,
                        uint64_t flags)
{
    (void)value;
    int64_t checked = check_value(name, bytes, flags);
    return checked < 0 ? checked : at_path(path, AT_SYMLINK_NOFOLLOW, -EOPNOTSUPP);
}

int64_t posix_fsetxattr(uint64_t descriptor, uint64_t name, uint64_t value, uint64_t bytes,
                        uint64_t flags)
{
    (void)value;
    return first_error(check_value(name, bytes, flags), at_descriptor(descriptor, -EOPNOTSUPP));
}

int64_t posix_getxattr(uint64_t path, uint64_t name, uint64_t value, uint64_t bytes)
{
    (void)value, (void)bytes;
    return first_error(check_name(name), at_path(path, 0, -EOPNOTSUPP));
}

int64_t posix_lgetxattr(uint64_t path, uint64_t name, uint64_t value, uint64_t bytes)
{
    (void)value, (void)bytes;
    return first_error(check_name(name), at_path(path, AT_SYMLINK_NOFOLLOW, -EOPNOTSUPP));
}

int64_t posix_fgetxattr(uint64_t descriptor, uint64_t name, uint64_t value, uint64_t bytes)
{
    (void)value, (void)bytes;
    return first_error(check_name(name), at_descriptor(descriptor, -EOPNOTSUPP));
}

int64_t posix_listxattr(uint64_t path, uint64_t list, uint64_t bytes)
{
    (void)list, (void)bytes;
    return at_path(path, 0, 0);
}

int64_t posix_llistxattr(uint64_t path, uint64_t list, uint64_t bytes)
{
    (void)list, (void)bytes;
    return at_path(path, AT_SYMLINK_NOFOLLOW, 0);
}

int64_t posix_flistxattr(uint64_t descriptor, uint64_t list, uint64_t bytes)
{
    (void)list, (void)bytes;
    return at_descriptor(descriptor, 0);
}

int64_t posix_removexattr(uint64_t path, uint64_t name)
{
    return first_error(check_name(name), at_path(path, 0, -EOPNOTSUPP));
}

int64_t posix_lremovexattr(uint64_t path, uint64_t name)
{
    return first_error(check_name(name), at_path(path, AT_SYMLINK_NOFOLLOW, -EOPNOTSUPP));
}

int64_t posix_fremovexattr(uint64_t descriptor, uint64_t name)
{
    return first_error(check_name(name), at_descriptor(descriptor, -EOPNOTSUPP));
}
