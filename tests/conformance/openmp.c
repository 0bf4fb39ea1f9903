/* SPDX-License-Identifier: Apache-2.0 */
/* OpenMP: parallel loops with reductions under every schedule, tasks with dependences, sections,
 * critical regions and nested teams, each compared with the serial result.
 * Fault injection: --break CASE.
 *
 * @verifies ATL-HLR-CONF-0012~1 */
#include "check.h"
#include <omp.h>
#include <stdint.h>

static void reduction(void)
{
    long count = check_count(200000);
    uint64_t parallel = 0, serial = 0;
    for (long i = 0; i < count; i++) {
        serial += (uint64_t)i * 2654435761u;
    }
    for (int kind = 1; kind <= 3; kind++) {
        omp_set_schedule((omp_sched_t)kind, 100);
        parallel = 0;
#pragma omp parallel for schedule(runtime) reduction(+ : parallel)
        for (long i = 0; i < count; i++) {
            parallel += (uint64_t)i * 2654435761u;
        }
        CHECK_EQUAL(parallel, serial);
    }
}

static long fibonacci(int n)
{
    long a, b;
    if (n < 2) {
        return n;
    }
#pragma omp task shared(a) if (n > 8)
    a = fibonacci(n - 1);
#pragma omp task shared(b) if (n > 8)
    b = fibonacci(n - 2);
#pragma omp taskwait
    return a + b;
}

static void tasks(void)
{
    long result = 0;
#pragma omp parallel
#pragma omp single
    result = fibonacci(18);
    CHECK_EQUAL(result, 2584);
}

static void dependences(void)
{
    static long cells[64];
#pragma omp parallel
#pragma omp single
    for (int i = 0; i < 64; i++) {
        int before = i == 0 ? 0 : i - 1;
#pragma omp task depend(in : cells[before]) depend(out : cells[i]) firstprivate(i, before)
        cells[i] = i == 0 ? 1 : cells[before] + i;
    }
    CHECK_EQUAL(cells[63], 1 + 63 * 64 / 2);
}

static void critical(void)
{
    long counter = 0, expected = 0, order_errors = 0, last = -1;
#pragma omp parallel num_threads(8)
    {
#pragma omp single
        expected = 1000L * omp_get_num_threads();
        for (int i = 0; i < 1000; i++) {
#pragma omp critical
            counter++;
        }
#pragma omp for ordered schedule(dynamic, 1)
        for (long i = 0; i < 100; i++) {
#pragma omp ordered
            {
                order_errors += last != i - 1;
                last = i;
            }
        }
    }
    CHECK_EQUAL(counter, expected);
    CHECK_EQUAL(order_errors, 0);
}

static void teams(void)
{
    int inner[4] = {0};
    omp_set_max_active_levels(2);
#pragma omp parallel num_threads(4)
    {
        int outer = omp_get_thread_num();
#pragma omp parallel num_threads(2)
        {
#pragma omp atomic
            inner[outer] += 1 + omp_get_level();
        }
    }
    for (int i = 0; i < 4; i++) {
        CHECK_EQUAL(inner[i], 6);
    }
    CHECK_EQUAL(omp_get_num_procs(), check_all_cores_count);
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {{"reduction", reduction},
                                              {"tasks", tasks},
                                              {"dependences", dependences},
                                              {"critical", critical},
                                              {"teams", teams}};
    return CHECK_MAIN(cases);
}
