/* SPDX-License-Identifier: Apache-2.0 */
/* Must crash on inputs that begin with "crash!", and only on them: shows in each run that the rig
 * finds a crash that is there. The comparison goes byte by byte so that coverage leads to it.
 * @verifies ATL-LLR-EVID-0010~1 */
#include "fuzz.h"

void fuzz_one(const uint8_t *input, size_t bytes)
{
    static const char magic[] = "crash!";
    size_t matched = 0;
    while (matched < sizeof(magic) - 1 && matched < bytes &&
           input[matched] == (uint8_t)magic[matched]) {
        matched++;
        if (matched == sizeof(magic) - 1) {
            abort();
        }
    }
}
