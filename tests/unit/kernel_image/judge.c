/* SPDX-License-Identifier: Apache-2.0 */
/* Prints what the validators say about a payload file: "valid" or the reason. For test_packer.py.
 */
#include "sample.h"

#include <posix/load.h>
#include <stdio.h>
#include <stdlib.h>

#define PAYLOAD_BYTES_MAX (64u << 20)

noreturn void percpu_assert_failed(const char *expression, const char *file, int line)
{
    fprintf(stderr, "%s:%d: ASSERT(%s)\n", file, line, expression);
    abort();
}

int main(int argc, char **argv)
{
    const struct image_header *header = NULL;
    const char *reason = "valid";
    FILE *file = argc == 2 ? fopen(argv[1], "rb") : NULL;
    void *payload = aligned_alloc(PAGE_BYTES, PAYLOAD_BYTES_MAX);
    if (file == NULL || payload == NULL) {
        fprintf(stderr, "usage: judge PAYLOAD\n");
        return 2;
    }
    size_t bytes = fread(payload, 1, PAYLOAD_BYTES_MAX, file);
    fclose(file);
    enum result result = image_validate(sample_crc32c, payload, bytes, &header, &reason);
    if (result == RESULT_OK) {
        result = posix_index_validate(header, &reason);
    }
    puts(reason);
    free(payload);
    return result == RESULT_OK ? 0 : 1;
}
