/* SPDX-License-Identifier: Apache-2.0 */
/* Ring 0: the last core answers to nothing any more, neither to interrupts nor to NMIs, as one of
 * its threads has given it handlers of its own, and spins. Another thread of it waits. */
#include "../../waiting.h"

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define VECTOR_NMI 2
#define GATE_INTERRUPT 0x8e00u

struct gate {
    uint16_t low, selector, kind, middle;
    uint32_t high, zero;
};

static struct gate handlers[256];
volatile int must_end;

static void go_to_last_core(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((int)sysconf(_SC_NPROCESSORS_ONLN) - 1, &set);
    sched_setaffinity(0, sizeof(set), &set);
}

__attribute__((noinline)) static void sleep_long(int nights)
{
    while (nights > 0) {
        sleep(1000);
    }
}

static void *sleeper(void *argument)
{
    go_to_last_core();
    sleep_long((int)(intptr_t)argument);
    return NULL;
}

extern const char spin[];
__asm__("spin: jmp spin");

static void *silent(void *argument)
{
    struct __attribute__((packed)) {
        uint16_t limit;
        const void *base;
    } table = {sizeof(handlers) - 1, handlers};
    uint64_t handler = (uint64_t)spin;
    uint16_t selector;
    go_to_last_core();
    __asm__("mov %%cs, %0" : "=r"(selector));
    handlers[VECTOR_NMI] = (struct gate){.low = (uint16_t)handler,
                                         .selector = selector,
                                         .kind = GATE_INTERRUPT,
                                         .middle = (uint16_t)(handler >> 16),
                                         .high = (uint32_t)(handler >> 32)};
    puts("silent");
    fflush(stdout);
    __asm__ volatile("cli; lidt %0; jmp spin" : : "m"(table));
    return argument;
}

int main(void)
{
    pthread_t threads[2];
    pthread_create(&threads[0], NULL, sleeper, (void *)8);
    threads_await_waiting(1);
    pthread_create(&threads[1], NULL, silent, NULL);
    while (!must_end) {
        usleep(100000);
    }
    _exit(6);
}
