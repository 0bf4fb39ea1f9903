/* SPDX-License-Identifier: Apache-2.0 */
/* lwIP's periodic work: see timers.h. */
#include "timers.h"

#include "multicast.h"
#include "stack.h"
#include "tcp.h"

#include <lwip/dhcp.h>
#include <lwip/dns.h>
#include <lwip/etharp.h>
#include <lwip/igmp.h>
#include <lwip/ip4_frag.h>
#include <lwip/ip6_frag.h>
#include <lwip/mld6.h>
#include <lwip/nd6.h>
#include <lwip/priv/tcp_priv.h>
#include <lwip/timeouts.h>

#define NEVER UINT64_MAX
#define TIMER_TCP 0u    /* runs only while there are connections */
#define TIMER_GROUPS 1u /* runs only while something is to be said of a group */

_Static_assert(IGMP_TMR_INTERVAL == MLD6_TMR_INTERVAL, "one timer");
static void run_groups(void)
{
    igmp_tmr();
    mld6_tmr();
}

static const struct timer {
    uint32_t interval_ms;
    void (*run)(void);
} timers[] = {
    {TCP_TMR_INTERVAL, tcp_port_timer},
    {IGMP_TMR_INTERVAL, run_groups},
    {IP_TMR_INTERVAL, ip_reass_tmr},
    {ARP_TMR_INTERVAL, etharp_tmr},
    {DHCP_COARSE_TIMER_MSECS, dhcp_coarse_tmr},
    {DHCP_FINE_TIMER_MSECS, dhcp_fine_tmr},
    {DNS_TMR_INTERVAL, dns_tmr},
    {ND6_TMR_INTERVAL, nd6_tmr},
    {IP6_REASS_TMR_INTERVAL, ip6_reass_tmr},
};
#define TIMER_COUNT (sizeof(timers) / sizeof(timers[0]))

static PERCORE uint64_t due_ms[TIMER_COUNT];
static PERCORE uint64_t first_due_ms; /* the least of them: it is asked for with each packet */

static void find_first(void)
{
    first_due_ms = NEVER;
    for (uint32_t i = 0; i < TIMER_COUNT; i++) {
        first_due_ms = due_ms[i] < first_due_ms ? due_ms[i] : first_due_ms;
    }
}

/* lwIP calls it when it is initialized. */
void sys_timeouts_init(void)
{
    for (uint32_t i = 0; i < TIMER_COUNT; i++) {
        due_ms[i] = i <= TIMER_GROUPS ? NEVER : net_now_ms() + timers[i].interval_ms;
    }
    find_first();
}

/* lwIP calls it when a connection is made. */
void tcp_timer_needed(void)
{
    if (due_ms[TIMER_TCP] == NEVER && (tcp_active_pcbs != NULL || tcp_tw_pcbs != NULL)) {
        due_ms[TIMER_TCP] = net_now_ms() + timers[TIMER_TCP].interval_ms;
        find_first();
    }
}

void timers_groups_needed(void)
{
    if (due_ms[TIMER_GROUPS] == NEVER && inet_multicast_is_waiting()) {
        due_ms[TIMER_GROUPS] = net_now_ms() + timers[TIMER_GROUPS].interval_ms;
        find_first();
    }
}

void timers_run(uint64_t now_ms)
{
    if (now_ms < first_due_ms) {
        return;
    }
    for (uint32_t i = 0; i < TIMER_COUNT; i++) {
        if (due_ms[i] > now_ms) {
            continue;
        }
        /* Each on its own grid, however late it is; what was missed is not made up for. */
        due_ms[i] += timers[i].interval_ms;
        if (due_ms[i] <= now_ms) {
            due_ms[i] = now_ms + timers[i].interval_ms;
        }
        timers[i].run();
        if (i == TIMER_TCP && tcp_active_pcbs == NULL && tcp_tw_pcbs == NULL) {
            due_ms[i] = NEVER;
        }
    }
    due_ms[TIMER_GROUPS] = inet_multicast_is_waiting() ? due_ms[TIMER_GROUPS] : NEVER;
    timers_groups_needed();
    find_first();
}

uint64_t timers_next(void)
{
    return first_due_ms;
}
