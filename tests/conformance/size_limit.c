/* SPDX-License-Identifier: Apache-2.0 */
/* RLIMIT_FSIZE: writes end at it, and what is beyond it is EFBIG and SIGXFSZ.
 * Fault injection: --break CASE.
 *
 * @verifies ATL-HLR-CONF-0162~1 ATL-LLR-FILE-0065~1 */
#include "check.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/uio.h>

#define LIMIT 1000

static _Atomic int signals;
static char bytes[5000];
static int file;

static void on_signal(int signal)
{
    signals += signal == SIGXFSZ;
}

static void begin(int flags)
{
    struct sigaction action = {.sa_handler = on_signal};
    struct rlimit limit = {LIMIT, RLIM_INFINITY};
    CHECK_EQUAL(sigaction(SIGXFSZ, &action, NULL), 0);
    CHECK_EQUAL(setrlimit(RLIMIT_FSIZE, &limit), 0);
    CHECK_EQUAL(getrlimit(RLIMIT_FSIZE, &limit), 0);
    CHECK_EQUAL(limit.rlim_cur, LIMIT);
    file = memfd_create("limited", 0);
    CHECK(file >= 0);
    CHECK_EQUAL(fcntl(file, F_SETFL, flags), 0);
    signals = 0;
}

static void end(int wanted)
{
    struct rlimit none = {RLIM_INFINITY, RLIM_INFINITY};
    CHECK_EQUAL(signals, wanted);
    CHECK_EQUAL(setrlimit(RLIMIT_FSIZE, &none), 0);
    CHECK_EQUAL(pwrite(file, bytes, 10, LIMIT), 10);
    CHECK_EQUAL(close(file), 0);
}

static void writing(void)
{
    begin(0);
    CHECK_EQUAL(write(file, bytes, 600), 600);
    CHECK_EQUAL(write(file, bytes, 600), 400);
    CHECK_EQUAL(lseek(file, 0, SEEK_CUR), LIMIT);
    CHECK_EQUAL(signals, 0);
    CHECK_ERRNO(write(file, bytes, 1), EFBIG);
    CHECK_EQUAL(lseek(file, 0, SEEK_END), LIMIT);
    CHECK_EQUAL(pwrite(file, bytes, 5000, 999), 1);
    CHECK_ERRNO(pwrite(file, bytes, 1, 5000), EFBIG);
    struct iovec two[] = {{bytes, 3000}, {bytes, 100}};
    CHECK_EQUAL(pwritev(file, two, 2, 0), LIMIT);
    CHECK_EQUAL(lseek(file, 0, SEEK_END), LIMIT);
    end(2);
}

static void appending(void)
{
    begin(O_APPEND);
    CHECK_EQUAL(write(file, bytes, 900), 900);
    CHECK_EQUAL(write(file, bytes, 900), 100);
    CHECK_ERRNO(write(file, bytes, 900), EFBIG);
    CHECK_EQUAL(lseek(file, 0, SEEK_END), LIMIT);
    CHECK_EQUAL(fcntl(file, F_SETFL, 0), 0);
    end(1);
}

static void changing_the_size(void)
{
    begin(0);
    CHECK_EQUAL(ftruncate(file, LIMIT), 0);
    CHECK_ERRNO(ftruncate(file, LIMIT + 1), EFBIG);
    CHECK_ERRNO(fallocate(file, 0, 500, 501), EFBIG);
    CHECK_EQUAL(fallocate(file, 0, 0, LIMIT), 0);
    CHECK_EQUAL(lseek(file, 0, SEEK_END), LIMIT);
    CHECK_EQUAL(ftruncate(file, 10), 0);
    end(2);
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        {"writing", writing},
        {"appending", appending},
        {"changing_the_size", changing_the_size},
    };
    return CHECK_MAIN(cases);
}
