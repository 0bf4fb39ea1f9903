/* SPDX-License-Identifier: Apache-2.0 */
/* Speaks to a network port by raw calls of the gate, as posix/ would: the first argument says what,
 * behind perhaps port=N. Says "ready" when the device has buffers, and at the end what it saw. */
#define _GNU_SOURCE
#include "../../conformance/hostile/gate_raw.h"

#include <stdatomic.h>
#include <sys/auxv.h>

#define INFO_BELOW_VDSO 0x1000u /* posix/posix.ld */
#define BUFFERS_AT 36864u
#define BUFFER_BYTES 2048u
#define BUFFERS 240u
#define HEADER 12u
#define WAIT_NS 20000000000ull

static const struct gate_info *info;
static const struct gate_network *network;
static unsigned port_number;
static _Thread_local uint8_t *memory; /* this core's */
static _Thread_local struct gate_port *port;

/* This side of a queue. */
struct side {
    struct gate_port_queue *queue;
    uint32_t submitted, seen;
};
static _Thread_local struct side receive, transmit;

static int64_t kick(uint64_t flags)
{
    return call(GATE_KICK, GATE_PORT_NETWORK + port_number, flags, 0, 0, 0);
}

static void publish(struct side *side)
{
    atomic_store_explicit(&side->queue->submitted, side->submitted, memory_order_release);
}

static void submit(struct side *side, uint32_t offset, uint32_t bytes)
{
    side->queue->submit[side->submitted++ % GATE_PORT_ENTRIES] =
        (struct gate_port_entry){offset, bytes};
    publish(side);
}

static int completion(struct side *side, struct gate_port_entry *entry)
{
    if (atomic_load_explicit(&side->queue->completed, memory_order_acquire) == side->seen) {
        return 0;
    }
    *entry = side->queue->complete[side->seen++ % GATE_PORT_ENTRIES];
    return 1;
}

static void pin(unsigned core)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(core, &set);
    CHECK_EQUAL(sched_setaffinity(0, sizeof(set), &set), 0);
}

static uint64_t handle(void)
{
    return (uint64_t)call(GATE_THREAD_SET, 0, GATE_KEEP, GATE_KEEP, 0, 0);
}

static void find_port(void)
{
    find_gate();
    info = (const void *)(getauxval(AT_SYSINFO_EHDR) - INFO_BELOW_VDSO);
    memory = (uint8_t *)info->port_address + GATE_THREAD_CORE(handle()) * info->port_bytes;
    network = &info->networks[port_number];
    port = (struct gate_port *)(void *)memory + port_number;
    receive = (struct side){.queue = &port->receive};
    transmit = (struct side){.queue = &port->transmit};
}

static uint32_t buffer(unsigned index)
{
    return BUFFERS_AT + index * BUFFER_BYTES;
}

static uint64_t interrupts(void)
{
    int64_t count = call(GATE_INFORMATION, GATE_INFORMATION_CORE, GATE_THREAD_CORE(handle()),
                         GATE_COUNT(interrupts), 0, 0);
    CHECK(count >= 0);
    return (uint64_t)count;
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t waits; /* that were ended by the device */

/* Waits until something was completed; who does not poll, until a frame has come. */
static unsigned await_completions(int is_polling)
{
    for (uint64_t deadline = now_ns() + WAIT_NS; now_ns() < deadline;) {
        int64_t done = kick(is_polling ? 0 : GATE_KICK_ARM);
        CHECK(done >= 0);
        if (done > 0) {
            return (unsigned)done;
        }
        if (!is_polling) {
            CHECK(call(GATE_PARK, deadline, 0, 0, 0, 0) == 0);
            waits++;
        }
    }
    CHECK(!"something was completed in time");
    return 0;
}

static void give_all(void)
{
    for (unsigned i = 0; i < BUFFERS; i++) {
        submit(&receive, buffer(i), BUFFER_BYTES);
    }
    while (atomic_load(&port->receive.taken) != receive.submitted) {
        CHECK(kick(0) >= 0);
    }
}

/* Sends back each frame from where it lies. */
static void echo(uint32_t count, int is_polling)
{
    struct gate_port_entry entry;
    give_all();
    puts("ready");
    fflush(stdout);
    uint32_t received = 0, sent = 0;
    uint64_t before = 0, first_calls = 0;
    while (sent < count) {
        if (received > 0 && before == 0) {
            before = interrupts() + 1; /* the first frame is there: nothing else happens now */
            waits = 0;
        }
        first_calls += await_completions(is_polling || received == count);
        while (completion(&receive, &entry)) {
            CHECK(entry.bytes > HEADER);
            memset(memory + entry.offset, 0, HEADER);
            submit(&transmit, entry.offset, entry.bytes);
            received++;
        }
        while (completion(&transmit, &entry)) {
            CHECK_EQUAL(entry.bytes, 0);
            submit(&receive, entry.offset, BUFFER_BYTES);
            sent++;
        }
    }
    uint64_t during = interrupts() + 1 - before;
    CHECK_EQUAL(first_calls, (uint64_t)received + sent);
    CHECK(is_polling ? during == 0 : during >= waits);
    printf("echoed %u\n", sent);
}

#define CORES_MAX 64
static uint64_t handles[CORES_MAX]; /* of the threads of serve_pair */
static _Atomic uint32_t ready_count;
static volatile int is_over, is_polling;

/* All cores have given all buffers to a device that runs. */
static void tell_ready(void)
{
    if (++ready_count % network->queues == 0) {
        puts("ready");
        fflush(stdout);
    }
}

/* To port 9: it is over. */
static int is_last(const uint8_t *frame)
{
    return frame[36] == 0 && frame[37] == 9;
}

static void end_all(void)
{
    is_over = 1;
    for (unsigned core = 0; core < network->queues; core++) {
        call(GATE_UNPARK, handles[core], 0, 0, 0, 0);
    }
}

static void exchange(uint8_t *a, uint8_t *b, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        uint8_t byte = a[i];
        a[i] = b[i];
        b[i] = byte;
    }
}

/* A datagram of IPv4 goes back to where it came from. */
static void turn(uint8_t *frame)
{
    exchange(frame, frame + 6, 6);
    exchange(frame + 26, frame + 30, 4);
    exchange(frame + 34, frame + 36, 2);
}

static void take_frame(const struct gate_port_entry *entry, uint32_t *echoed, uint32_t *returned)
{
    if (entry->bytes <= HEADER) {
        ++*returned;
        submit(&receive, entry->offset, BUFFER_BYTES);
    } else if (is_last(memory + entry->offset + HEADER)) {
        end_all();
    } else {
        ++*echoed;
        memset(memory + entry->offset, 0, HEADER);
        turn(memory + entry->offset + HEADER);
        submit(&transmit, entry->offset, entry->bytes);
    }
}

/* Sends back what comes by the pair of one core, on it. When the device was reset all buffers come
 * back, and are given to it again. */
static void *serve_pair(void *argument)
{
    struct gate_port_entry entry;
    uint32_t echoed = 0, returned = 0, errors = 0;
    pin((unsigned)(uintptr_t)argument);
    find_port();
    handles[(uintptr_t)argument] = handle();
    give_all();
    tell_ready();
    while (!is_over) {
        uint32_t taken = atomic_load(&port->receive.taken);
        int64_t done = kick(is_polling ? 0 : GATE_KICK_ARM);
        CHECK(done >= 0 || done == -EIO);
        errors += done == -EIO;
        while (completion(&transmit, &entry)) {
            submit(&receive, entry.offset, BUFFER_BYTES);
        }
        while (completion(&receive, &entry)) {
            take_frame(&entry, &echoed, &returned);
        }
        if (returned != 0 && atomic_load(&port->receive.taken) == receive.submitted) {
            returned = 0;
            tell_ready();
        }
        int is_sending = transmit.seen != transmit.submitted;
        if (done == 0 && !is_polling && !is_sending && taken == atomic_load(&port->receive.taken) &&
            !is_over) {
            call(GATE_PARK, GATE_NEVER, 0, 0, 0, 0);
        }
    }
    printf("core %u echoed %u errors %u\n", (unsigned)(uintptr_t)argument, echoed, errors);
    return NULL;
}

static void serve_pairs(void)
{
    pthread_t threads[CORES_MAX];
    for (unsigned core = 0; core < network->queues; core++) {
        threads[core] = check_thread(serve_pair, (void *)(uintptr_t)core);
    }
    for (unsigned core = 0; core < network->queues; core++) {
        check_join(threads[core]);
    }
    check_audits(0);
}

/* Asks who has 10.0.2.2, which is the gateway of QEMU's user network. */
static void arp(void)
{
    static const uint8_t head[] = {0, 1, 8, 0, 6, 4, 0, 1}, gateway[] = {10, 0, 2, 2};
    static const uint8_t own[] = {10, 0, 2, 15};
    uint8_t *frame = memory + buffer(0) + HEADER;
    struct gate_port_entry entry;
    submit(&receive, buffer(1), BUFFER_BYTES);
    memset(frame, 0xff, 6);
    memcpy(frame + 6, network->mac, 6);
    frame[12] = 8;
    frame[13] = 6;
    memcpy(frame + 14, head, sizeof(head));
    memcpy(frame + 22, network->mac, 6);
    memcpy(frame + 28, own, sizeof(own));
    memset(frame + 32, 0, 6);
    memcpy(frame + 38, gateway, sizeof(gateway));
    submit(&transmit, buffer(0), HEADER + 60);
    do {
        await_completions(0);
        while (completion(&transmit, &entry)) {
        }
    } while (!completion(&receive, &entry));
    const uint8_t *answer = memory + entry.offset + HEADER;
    CHECK(entry.bytes >= HEADER + 42 && answer[21] == 2 && memcmp(answer + 28, gateway, 4) == 0);
    printf("10.0.2.2 is at %02x:%02x:%02x:%02x:%02x:%02x\n", answer[22], answer[23], answer[24],
           answer[25], answer[26], answer[27]);
}

static void check_refused(void)
{
    struct gate_port_queue *queues[] = {&port->receive, &port->transmit};
    uint32_t before[4];
    for (int i = 0; i < 2; i++) {
        before[2 * i] = queues[i]->taken;
        before[2 * i + 1] = queues[i]->completed;
    }
    CHECK_EQUAL(kick(0), -EINVAL);
    CHECK_EQUAL(kick(GATE_KICK_ARM), -EINVAL);
    for (int i = 0; i < 2; i++) {
        CHECK_EQUAL(queues[i]->taken, before[2 * i]);
        CHECK_EQUAL(queues[i]->completed, before[2 * i + 1]);
    }
}

/* One entry that is wrong among those that are right, in either direction. */
static void bad_entry(struct side *side, uint32_t offset, uint32_t bytes)
{
    uint32_t start = side->submitted;
    submit(side, buffer(3), 64);
    submit(side, offset, bytes);
    submit(side, buffer(4), 64);
    check_refused();
    side->submitted = start;
    publish(side);
}

static void bad_index(struct side *side, uint32_t by)
{
    atomic_store(&side->queue->submitted, side->submitted + by);
    check_refused();
    publish(side);
}

static volatile int stop;

/* Rewrites entries and indices while another thread of this core kicks. */
static void *rewrite(void *argument)
{
    unsigned long long random = 5;
    pin(0);
    find_port();
    while (!stop) {
        struct side *side = check_random(&random) % 2 ? &receive : &transmit;
        uint32_t offset = (uint32_t)(check_random(&random) % (info->port_bytes + 64));
        uint32_t bytes = (uint32_t)(check_random(&random) % BUFFER_BYTES);
        side->queue->submit[check_random(&random) % GATE_PORT_ENTRIES] =
            (struct gate_port_entry){offset, bytes};
        atomic_store(&side->queue->submitted, (uint32_t)(check_random(&random) % 1024));
        atomic_store(&side->queue->taken, (uint32_t)check_random(&random));
        atomic_store(&side->queue->completed, (uint32_t)check_random(&random));
    }
    return argument;
}

static void write_foreign(void *argument)
{
    *(volatile uint32_t *)argument = 1;
}

static void check_foreign(void)
{
    fault_install();
    for (unsigned core = 0; core < info->core_count; core++) {
        void *there = (void *)(info->port_address + core * info->port_bytes);
        int is_own = there == (void *)memory;
        CHECK_EQUAL(fault_run(fault_read, there).signal, 0);
        CHECK_EQUAL(fault_run(write_foreign, (uint8_t *)there + info->port_bytes - 8).signal,
                    is_own ? 0 : SIGSEGV);
    }
    CHECK_EQUAL(fault_run(fault_read, (void *)(info->port_address - 8)).signal, SIGSEGV);
    uint64_t end = info->port_address + info->core_count * info->port_bytes;
    CHECK_EQUAL(fault_run(fault_read, (void *)end).signal, SIGSEGV);
    CHECK_EQUAL(call(GATE_UNMAP, info->port_address, info->port_bytes, 0, 0, 0), -EINVAL);
}

static void *kick_elsewhere(void *argument)
{
    pin(1);
    CHECK_EQUAL(kick(0), -EINVAL); /* no queue on that core */
    return argument;
}

static void hostile(uint32_t rounds)
{
    uint32_t end = (uint32_t)info->port_bytes;
    struct side *sides[] = {&receive, &transmit};
    for (int i = 0; i < 2; i++) {
        bad_entry(sides[i], end, HEADER);
        bad_entry(sides[i], end - 8, HEADER);
        bad_entry(sides[i], 0, end + 1);
        bad_entry(sides[i], UINT32_MAX - 8, 16);
        bad_entry(sides[i], 4096, UINT32_MAX - 4095);
        bad_entry(sides[i], 4096, HEADER - 1);
        bad_entry(sides[i], 4096, 0);
        bad_index(sides[i], GATE_PORT_ENTRIES + 1);
        bad_index(sides[i], UINT32_MAX);
        bad_index(sides[i], 1u << 31);
    }
    CHECK_EQUAL(kick(2), -EINVAL);
    CHECK_EQUAL(call(GATE_KICK, 1, 0, 0, 0, 0), -EINVAL);
    CHECK_EQUAL(call(GATE_KICK, 1ull << 32, 0, 0, 0, 0), -EINVAL);
    CHECK_EQUAL(kick(1ull << 32), -EINVAL);
    CHECK_EQUAL(kick(0), 0);
    check_foreign();
    if (info->core_count > 1) {
        check_join(check_thread(kick_elsewhere, NULL));
    }
    pthread_t other = check_thread(rewrite, NULL);
    for (uint32_t i = 0; i < rounds; i++) {
        int64_t result = kick(0);
        CHECK(result >= 0 || result == -EINVAL || result == -EIO);
        if (i % 64 == 0) {
            sched_yield();
        }
    }
    stop = 1;
    check_join(other);
    check_audits(0);
    puts("hostile: refused as it should be");
}

/* The device breaks a rule: EIO, and every buffer comes back without bytes. */
static void break_once(int is_polling)
{
    struct gate_port_entry entry;
    uint64_t deadline = now_ns() + WAIT_NS;
    int64_t result = 0;
    give_all();
    puts("ready");
    fflush(stdout);
    while (result >= 0 && now_ns() < deadline) {
        result = kick(is_polling ? 0 : GATE_KICK_ARM);
        if (result == 0 && !is_polling) {
            call(GATE_PARK, deadline, 0, 0, 0, 0);
        }
    }
    CHECK_EQUAL(result, -EIO);
    uint32_t count = 0, sum = 0;
    while (completion(&receive, &entry)) {
        CHECK_EQUAL(entry.bytes, 0);
        sum += (entry.offset - BUFFERS_AT) / BUFFER_BYTES;
        count++;
    }
    CHECK_EQUAL(count, BUFFERS);
    CHECK_EQUAL(sum, BUFFERS * (BUFFERS - 1) / 2);
}

/* Sends what a file holds, each frame behind its length in two bytes, as a hostile library OS
 * would: it asks the device to write a checksum over the addresses, and changes each frame when it
 * is on its way. */
static void send_all(const char *path)
{
    static const uint8_t checksum_over_addresses[HEADER] = {1, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0};
    FILE *file = fopen(path, "r");
    CHECK(file != NULL);
    uint8_t length[2], frame[BUFFER_BYTES - HEADER];
    unsigned count = 0;
    while (fread(length, 1, 2, file) == 2) {
        uint32_t bytes = (uint32_t)length[0] << 8 | length[1];
        uint8_t *at = memory + buffer(count % BUFFERS);
        struct gate_port_entry entry;
        memcpy(at, checksum_over_addresses, HEADER);
        CHECK_EQUAL(fread(frame, 1, bytes, file), bytes);
        memcpy(at + HEADER, frame, bytes);
        submit(&transmit, buffer(count % BUFFERS), HEADER + bytes);
        CHECK(kick(0) >= 0);
        memset(at + HEADER, 0xee, 60);
        while (!completion(&transmit, &entry)) {
            await_completions(1);
        }
        CHECK_EQUAL(entry.offset, buffer(count % BUFFERS));
        count++;
    }
    printf("sent %u\n", count);
}

/* Tells the last byte of each frame that comes, until one ends in 0xff. */
static void listen_to_all(void)
{
    struct gate_port_entry entry;
    uint8_t last = 0;
    give_all();
    puts("ready");
    fflush(stdout);
    while (last != 0xff) {
        await_completions(0);
        while (completion(&receive, &entry)) {
            if (entry.bytes > HEADER) {
                last = memory[entry.offset + entry.bytes - 1];
                printf("%u\n", last);
            }
            submit(&receive, entry.offset, BUFFER_BYTES);
        }
    }
}

int main(int argc, char **argv)
{
    if (argc > 1 && sscanf(argv[1], "port=%u", &port_number) == 1) {
        argv++;
        argc--;
    }
    const char *what = argc > 1 ? argv[1] : "";
    check_all_cores_count = check_cores(check_all_cores);
    pin(argc > 3 ? (unsigned)atoi(argv[3]) : 0);
    find_port();
    if (strcmp(what, "info") == 0) {
        printf(
            "port %d bytes %llu queues %u mtu %u mac %02x:%02x:%02x:%02x:%02x:%02x features %x\n",
            info->port_address != 0, (unsigned long long)info->port_bytes, network->queues,
            network->mtu, network->mac[0], network->mac[1], network->mac[2], network->mac[3],
            network->mac[4], network->mac[5], network->features);
    } else if (strcmp(what, "arp") == 0) {
        arp();
    } else if (strcmp(what, "none") == 0) {
        CHECK_EQUAL(network->queues, 0);
        CHECK_EQUAL(kick(0), -EINVAL);
        puts("refused");
    } else if (strcmp(what, "broken") == 0) {
        break_once(argv[2][0] == 'p');
        echo(20, 0);
    } else if (strcmp(what, "off") == 0) {
        for (int i = 0; i < 5; i++) {
            break_once(1);
        }
        submit(&receive, buffer(0), BUFFER_BYTES);
        for (int i = 0; i < 100; i++) {
            CHECK_EQUAL(kick(i % 2 ? GATE_KICK_ARM : 0), -EIO);
        }
        CHECK_EQUAL(port->receive.taken + 1, receive.submitted);
        puts("off");
    } else if (strcmp(what, "hostile") == 0) {
        hostile((uint32_t)atoi(argv[2]));
    } else if (strcmp(what, "send") == 0) {
        send_all(argv[2]);
    } else if (strcmp(what, "listen") == 0) {
        listen_to_all();
    } else if (strcmp(what, "pairs") == 0) {
        is_polling = argv[2][1] == 'o';
        serve_pairs();
    } else if (strcmp(what, "poll") == 0 || strcmp(what, "park") == 0) {
        echo((uint32_t)atoi(argv[2]), what[1] == 'o');
    }
    return 0;
}
