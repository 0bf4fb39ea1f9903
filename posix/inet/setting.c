/* SPDX-License-Identifier: Apache-2.0 */
/* See setting.h. */
#include "setting.h"

#include <posix/file.h>

#define SETTING_PATH "/proc/.atoll/addresses"

/* @impl ATL-LLR-POSIX-0970~1 */
const struct net_setting *net_setting(uint32_t device)
{
    const struct image_file *file = posix_image_exact(SETTING_PATH);
    if (file == NULL || file->bytes < (device + 1) * sizeof(struct net_setting) ||
        posix_image_verify(file, 0, file->bytes) != 0) {
        return NULL;
    }
    const struct net_setting *settings = (const void *)posix_image_window(file);
    const struct net_setting *setting = &settings[device];
    return setting->prefix_4 != 0 || setting->prefix_6 != 0 ? setting : NULL;
}
