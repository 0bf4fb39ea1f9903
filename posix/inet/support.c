/* SPDX-License-Identifier: Apache-2.0 */
/* What lwIP asks of the machine. */
#include "support.h"
#include "lwip_hooks.h"
#include "stack.h"

#include <lwip/opt.h>
#include <posix/memory.h>

/* The variables of lwIP that do not start at zero: this core's, and what they start with. */
extern uint8_t net_lwip_data[];
extern const uint8_t net_lwip_initial[];
extern const uint8_t net_lwip_initial_end[];

/* Blocks that were taken on this core less those that were freed on it: its threads count. */
static PERCORE _Atomic int64_t blocks;
static PERCORE uint64_t random_state;
static PERCORE uint64_t secret[2];
/* One secret for the machine would do as well; each core has its own, so none is shared. */

void net_support_start(void)
{
    __builtin_memcpy(net_lwip_data, net_lwip_initial,
                     (size_t)(net_lwip_initial_end - net_lwip_initial));
    random_state = posix_memory_random();
    secret[0] = posix_memory_random();
    secret[1] = posix_memory_random();
}

/* splitmix64: lwIP asks for ports, identifications and delays. */
uint32_t net_random(void)
{
    random_state += 0x9e3779b97f4a7c15ull;
    uint64_t mixed = random_state;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9ull;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebull;
    return (uint32_t)(mixed >> 32);
}

noreturn void net_assertion(const char *text)
{
    posix_panic(text);
}

int64_t net_memory_count(void)
{
    return atomic_load_explicit(&blocks, memory_order_relaxed);
}

static void *counted(void *memory)
{
    if (memory != NULL) {
        atomic_fetch_add_explicit(&blocks, 1, memory_order_relaxed);
    }
    return memory;
}

void *net_memory_allocate(size_t bytes)
{
    return counted(posix_allocate(bytes));
}

void *net_memory_allocate_buffer(size_t bytes)
{
    return counted(posix_allocate_buffer(bytes));
}

void *net_memory_allocate_zeroed(size_t count, size_t bytes)
{
    return net_memory_allocate(count * bytes); /* lwIP multiplies constants */
}

void net_memory_free(void *memory)
{
    if (memory != NULL) {
        atomic_fetch_sub_explicit(&blocks, 1, memory_order_relaxed);
        posix_free(memory);
    }
}

static uint64_t add_around(uint64_t one, uint64_t other)
{
    uint64_t sum = one + other;
    return sum + (sum < other);
}

/* The sum of RFC 1071 before it is inverted, in the order of the bytes. */
uint16_t net_checksum(const void *data, int bytes)
{
    const uint8_t *at = data;
    uint64_t sum = 0;
    for (; bytes >= 8; bytes -= 8, at += 8) {
        uint64_t word;
        __builtin_memcpy(&word, at, 8);
        sum = add_around(sum, word);
    }
    if ((bytes & 4) != 0) {
        uint32_t word;
        __builtin_memcpy(&word, at, 4);
        sum = add_around(sum, word);
        at += 4;
    }
    if ((bytes & 2) != 0) {
        uint16_t word;
        __builtin_memcpy(&word, at, 2);
        sum = add_around(sum, word);
        at += 2;
    }
    sum = add_around(sum, (bytes & 1) != 0 ? *at : 0);
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

int strncmp(const char *one, const char *other, size_t bytes_max);
int strncmp(const char *one, const char *other, size_t bytes_max)
{
    for (size_t i = 0; i < bytes_max; i++) {
        if (one[i] != other[i] || one[i] == '\0') {
            return (uint8_t)one[i] - (uint8_t)other[i];
        }
    }
    return 0;
}

int atoi(const char *text);
int atoi(const char *text)
{
    int value = 0;
    while (*text >= '0' && *text <= '9') {
        value = value * 10 + (*text++ - '0');
    }
    return value;
}

#define SIP_ROTATE(value, bits) (((value) << (bits)) | ((value) >> (64 - (bits))))

static void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = SIP_ROTATE(v[1], 13) ^ v[0];
    v[0] = SIP_ROTATE(v[0], 32);
    v[2] += v[3];
    v[3] = SIP_ROTATE(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = SIP_ROTATE(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = SIP_ROTATE(v[1], 17) ^ v[2];
    v[2] = SIP_ROTATE(v[2], 32);
}

/* SipHash-2-4 of whole words. */
static uint64_t sip_hash(const uint64_t *words, uint32_t count)
{
    uint64_t v[4] = {secret[0] ^ 0x736f6d6570736575ull, secret[1] ^ 0x646f72616e646f6dull,
                     secret[0] ^ 0x6c7967656e657261ull, secret[1] ^ 0x7465646279746573ull};
    for (uint32_t i = 0; i <= count; i++) {
        uint64_t word = i < count ? words[i] : (uint64_t)count * 8 << 56;
        v[3] ^= word;
        sip_round(v);
        sip_round(v);
        v[0] ^= word;
    }
    v[2] ^= 0xff;
    for (uint32_t i = 0; i < 4; i++) {
        sip_round(v);
    }
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* RFC 6528: a clock that ticks each 4 us, from an offset that differs for each connection and that
 * nobody can guess.  @impl ATL-LLR-POSIX-0906~1 */
uint32_t net_initial_sequence(const ip_addr_t *local, uint16_t local_port, const ip_addr_t *remote,
                              uint16_t remote_port)
{
    uint64_t words[5] = {0};
    __builtin_memcpy(&words[0], local, IP_IS_V6(local) ? 16 : 4);
    __builtin_memcpy(&words[2], remote, IP_IS_V6(remote) ? 16 : 4);
    words[4] = (uint64_t)local_port << 16 | remote_port;
    return (uint32_t)sip_hash(words, 5) + (uint32_t)(posix_now_ns() / 4000);
}
