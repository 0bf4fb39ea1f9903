/* SPDX-License-Identifier: Apache-2.0 */
/* See setting.h. */
#include "setting.h"

#include <posix/file.h>

#define SETTING_PATH "/proc/.atoll/addresses"

/* @impl ATL-LLR-POSIX-0970~1 */
const struct net_setting *net_setting(void)
{
    const struct image_file *file = posix_image_exact(SETTING_PATH);
    bool is_whole = file != NULL && file->bytes == sizeof(struct net_setting) &&
                    posix_image_verify(file, 0, file->bytes) == 0;
    return is_whole ? (const void *)posix_image_window(file) : NULL;
}
