/* SPDX-License-Identifier: Apache-2.0 */
/* The main thread leaves by pthread_exit, the others go on; when the last one has ended the process
 * ends with status 0 and its exit handlers run, whichever thread is the last.
 *
 * @verifies ATL-HLR-CONF-0001~1 */
#include "check.h"
#include <semaphore.h>
#include <stdint.h>

static void at_exit(void)
{
    puts("exit handlers ran");
}

static sem_t turns[5]; /* one thread ends after the other */

static void *outlive(void *argument)
{
    uintptr_t own = (uintptr_t)argument;
    check_pin((int)own);
    sem_wait(&turns[own]);
    printf("thread %d ends\n", (int)own);
    sem_post(&turns[own + 1]);
    return NULL;
}

int main(void)
{
    atexit(at_exit);
    check_all_cores_count = check_cores(check_all_cores);
    for (uintptr_t i = 1; i <= 3; i++) {
        pthread_detach(check_thread(outlive, (void *)i));
    }
    puts("main ends");
    sem_post(&turns[1]);
    pthread_exit(NULL);
}
