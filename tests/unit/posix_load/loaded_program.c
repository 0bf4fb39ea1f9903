/* SPDX-License-Identifier: Apache-2.0 */
/* A static program that load_test loads with the product's loader and then really runs. Its status
 * says what was wrong first; 42 says that nothing was. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>

extern char **environ;
static _Thread_local int tls_data = 7;
static _Thread_local int tls_zero;
static int bss[5000];
static int data = 5;

int main(int argc, char **argv)
{
    if (argc != 3 || strcmp(argv[0], "/bin/program") != 0 || strcmp(argv[1], "one") != 0 ||
        strcmp(argv[2], "") != 0 || argv[3] != NULL) {
        return 1;
    }
    if (getenv("KEY") == NULL || strcmp(getenv("KEY"), "value") != 0 || environ[1] != NULL) {
        return 2;
    }
    if (tls_data != 7 || tls_zero != 0 || data != 5) {
        return 3;
    }
    for (size_t i = 0; i < sizeof(bss) / sizeof(bss[0]); i++) {
        if (bss[i] != 0) {
            return 4;
        }
    }
    if (getauxval(AT_PAGESZ) != 4096 || getauxval(AT_PHNUM) == 0 || getauxval(AT_RANDOM) == 0 ||
        strcmp((const char *)getauxval(AT_EXECFN), "/bin/program") != 0 ||
        strcmp((const char *)getauxval(AT_PLATFORM), "x86_64") != 0) {
        return 5;
    }
    char text[64];
    snprintf(text, sizeof(text), "%.3f %d", 1.5, 42);
    char *memory = malloc(100000);
    if (memory == NULL || strcmp(text, "1.500 42") != 0) {
        return 6;
    }
    memset(memory, 1, 100000);
    free(memory);
    return 42;
}
