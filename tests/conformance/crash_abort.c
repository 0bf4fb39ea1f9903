/* SPDX-License-Identifier: Apache-2.0 */
/* Dies by abort(), although SIGABRT is blocked and ignored: expected end 134.
 *
 * @verifies ATL-HLR-CONF-0011~1 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

int main(void)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    signal(SIGABRT, SIG_IGN);
    puts("before the fault");
    fflush(stdout);
    abort();
}
