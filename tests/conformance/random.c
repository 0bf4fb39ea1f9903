/* SPDX-License-Identifier: Apache-2.0 */
/* Random numbers: sizes, errors, all threads get different bytes, and each bit is set about half of
 * the time. With --file seed it prints one value, which must differ from boot to boot.
 * Fault injection: --break CASE.
 *
 * @verifies ATL-HLR-CONF-0009~1 */
#include "check.h"
#include <fcntl.h>
#include <stdint.h>
#include <sys/random.h>
#include <sys/syscall.h>

#define THREADS 8
#define VALUES 64

static uint64_t values[THREADS * VALUES];

static void sizes(void)
{
    static const size_t sizes[] = {0, 1, 7, 16, 255, 256, 257, 4096, 65536};
    static unsigned char buffer[65536 + 1];
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        size_t done = 0;
        memset(buffer, 0, sizeof(buffer));
        while (done < sizes[i]) {
            ssize_t got = getrandom(buffer + done, sizes[i] - done, 0);
            CHECK(got > 0 && (sizes[i] > 256 || (size_t)got == sizes[i]));
            done += (size_t)got;
        }
        CHECK_EQUAL(buffer[sizes[i]], 0); /* nothing beyond */
        if (sizes[i] >= 16) {
            unsigned nonzero = 0;
            for (size_t at = sizes[i] - 16; at < sizes[i]; at++) {
                nonzero += buffer[at] != 0;
            }
            CHECK(nonzero > 0);
        }
    }
    CHECK_EQUAL(getrandom(buffer, 16, GRND_NONBLOCK), 16);
    CHECK_ERRNO(getrandom(buffer, 16, 0x100), EINVAL);
    CHECK_ERRNO(syscall(SYS_getrandom, (void *)8, 16, 0), EFAULT);
}

static void *draw(void *argument)
{
    uintptr_t index = (uintptr_t)argument;
    check_pin((int)index);
    for (int i = 0; i < VALUES; i++) {
        CHECK_EQUAL(getrandom(&values[index * VALUES + (uintptr_t)i], 8, 0), 8);
    }
    return NULL;
}

static void all_different(void)
{
    pthread_t threads[THREADS];
    for (long i = 0; i < THREADS; i++) {
        threads[i] = check_thread(draw, (void *)i);
    }
    for (int i = 0; i < THREADS; i++) {
        check_join(threads[i]);
    }
    for (int i = 0; i < THREADS * VALUES; i++) {
        for (int j = 0; j < i; j++) {
            CHECK(values[i] != values[j]);
        }
    }
}

/* 512 draws per bit: 256 expected, standard deviation 11.3; the bounds are 8 deviations away. */
static void balanced(void)
{
    check_join(check_thread(draw, NULL));
    for (int bit = 0; bit < 64; bit++) {
        int ones = 0;
        for (int i = 0; i < THREADS * VALUES; i++) {
            ones += (int)(values[i] >> bit & 1);
        }
        CHECK(ones > 256 - 91 && ones < 256 + 91);
    }
}

static void device(void)
{
    uint64_t one = 0, two = 0;
    int fd = open("/dev/urandom", O_RDONLY);
    CHECK(fd >= 0);
    CHECK_EQUAL(read(fd, &one, 8), 8);
    CHECK_EQUAL(read(fd, &two, 8), 8);
    CHECK(one != two);
    CHECK_EQUAL(close(fd), 0);
    if (check_state.file != NULL && strcmp(check_state.file, "seed") == 0) {
        printf("value %016llx\n", (unsigned long long)one);
    }
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {{"sizes", sizes},
                                              {"all_different", all_different},
                                              {"balanced", balanced},
                                              {"device", device}};
    return CHECK_MAIN(cases);
}
