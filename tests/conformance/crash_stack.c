/* SPDX-License-Identifier: Apache-2.0 */
/* Overflows a stack into its guard, on the main thread or with an argument on a second one; the
 * guard must stop it although the stack is far from empty memory: expected end 139.
 *
 * @verifies ATL-HLR-CONF-0011~1 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>

static volatile uint64_t limit = UINT64_MAX;

__attribute__((noinline)) static uint64_t descend(uint64_t level)
{
    volatile char frame[512];
    frame[0] = (char)level;
    if (level == limit) {
        return 0;
    }
    return descend(level + 1) + (uint64_t)frame[0]; /* needed afterwards: no tail call */
}

static void *run(void *argument)
{
    printf("%llu\n", (unsigned long long)descend(1));
    return argument;
}

int main(int argc, char **argv)
{
    pthread_t thread;
    (void)argv;
    puts("before the fault");
    fflush(stdout);
    if (argc > 1 && pthread_create(&thread, NULL, run, NULL) == 0) {
        pthread_join(thread, NULL);
    } else {
        run(NULL);
    }
    puts("survived");
    return 0;
}
