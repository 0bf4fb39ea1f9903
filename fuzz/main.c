/* SPDX-License-Identifier: Apache-2.0 */
/* The main function of every fuzz target. Built by afl-clang-fast: persistent mode with the input
 * in shared memory. Built by another compiler: replays the files on the command line. */
#include "fuzz.h"

#ifdef __AFL_COMPILER

#include <unistd.h>

__AFL_FUZZ_INIT();

#define FUZZ_RUNS_PER_PROCESS 10000u

int main(void)
{
    __AFL_INIT();
    const uint8_t *input = __AFL_FUZZ_TESTCASE_BUF;
    while (__AFL_LOOP(FUZZ_RUNS_PER_PROCESS)) {
        size_t bytes = (size_t)__AFL_FUZZ_TESTCASE_LEN;
        if (bytes <= FUZZ_INPUT_BYTES_MAX) {
            fuzz_one(input, bytes);
        }
    }
    return 0;
}

#else

static int replay(const char *name)
{
    FILE *file = fopen(name, "rb");
    if (file == NULL) {
        perror(name);
        return 1;
    }
    uint8_t *space = malloc(FUZZ_INPUT_BYTES_MAX);
    FUZZ_REQUIRE(space != NULL);
    size_t bytes = fread(space, 1, FUZZ_INPUT_BYTES_MAX, file);
    fclose(file);
    uint8_t *input =
        malloc(bytes > 0 ? bytes : 1); /* exact: the sanitizer sees the first byte behind */
    FUZZ_REQUIRE(input != NULL);
    memcpy(input, space, bytes);
    free(space);
    fuzz_one(input, bytes);
    free(input);
    return 0;
}

int main(int argc, char **argv)
{
    int failed = 0;
    for (int i = 1; i < argc; i++) {
        failed |= replay(argv[i]);
    }
    return failed;
}

#endif
