/* SPDX-License-Identifier: Apache-2.0 */
/* See size_limit.h. */
#include "size_limit.h"

#include <posix/thread.h>

static _Atomic uint64_t limit = UINT64_MAX;

void posix_file_size_set_limit(uint64_t soft)
{
    limit = soft;
}

/* @impl ATL-LLR-FILE-0065~1 */
uint64_t size_allowed(uint64_t start, uint64_t bytes)
{
    uint64_t end = limit;
    uint64_t room = end > start ? end - start : 0;
    return room < bytes ? room : bytes;
}

int64_t size_refuse(void)
{
    struct posix_signal_info info = {.signal = SIGXFSZ, .code = SI_USER};
    info.sender.process = POSIX_PROCESS_ID;
    (void)posix_signal_send(posix_self(), &info);
    return -EFBIG;
}
