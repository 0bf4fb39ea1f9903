/* SPDX-License-Identifier: Apache-2.0 */
/* iperf3's server by its library; it serves one test after the other. Argument: its port. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <iperf_api.h>

int main(int argc, char **argv)
{
    struct iperf_test *test = iperf_new_test();
    if (argc != 2 || test == NULL || iperf_defaults(test) < 0) {
        return 1;
    }
    iperf_set_test_role(test, 's');
    iperf_set_test_server_port(test, atoi(argv[1]));
    setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
    for (;;) {
        if (iperf_run_server(test) < 0) {
            fprintf(stderr, "iperf3: %s\n", iperf_strerror(i_errno));
            return 1;
        }
        iperf_reset_test(test);
    }
}
