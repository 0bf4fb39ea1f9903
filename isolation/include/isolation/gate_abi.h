/* SPDX-License-Identifier: Apache-2.0 */
/* The contract between the kernel and the library OS in the application's ring: calls, the words of
 * the running thread, the upcall, the information page. Included by both sides and by hostile
 * tests; depends on nothing else. The call numbers come from isolation/gate/gate.toml
 * (gate_numbers.h).
 *
 * Calling a gate: `call gate_page + 32 * number` with the C convention (rdi rsi rdx rcx r8 r9 in,
 * rax out; caller-saved registers are destroyed, vector registers are not). A negative result is a
 * negated errno, and then nothing was changed. Both rings. */
#ifndef ISOLATION_GATE_ABI_H
#define ISOLATION_GATE_ABI_H

#include <isolation/gate_numbers.h>
#include <stdint.h>

/* rax at the `syscall` instruction inside the gate page: GATE_CALL_BASE + number. Any other rax at
 * any `syscall` instruction is reflected to posix header .syscall_entry with every register as it
 * was, except rcx and r11; return address and flags are in struct gate_words. */
#define GATE_CALL_BASE 0x4100u
#define GATE_STUB_BYTES 32u

/* The first bytes of posix's per-core section: one instance on each core, at one virtual address.
 * The kernel loads and saves the first four with each thread switch. Writable by both. */
struct gate_words {
    uint64_t stack;        /* while application code runs: where posix/ enters with its stack */
    uint64_t return_rip;   /* written by the reflection */
    uint64_t return_flags; /* written by the reflection */
    uint64_t pending;      /* set to 1 by the kernel when an INTERRUPT arrives inside posix/ */
    uint64_t core;         /* constant: this core */
};

/* Registers of an interrupted thread, as the kernel keeps them and as an upcall hands them over. */
struct gate_frame {
    uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
    uint64_t rip, cs, rflags, rsp, ss; /* what IRETQ pops */
};

enum gate_upcall_reason {
    GATE_UPCALL_INTERRUPT = 1, /* unpark(INTERRUPT) found this thread in application code */
    GATE_UPCALL_FAULT = 2,     /* an exception that the kernel does not resolve */
};

/* Written below the thread's posix stack (application code interrupted: words.stack; posix code
 * interrupted by its own fault: its rsp), 16-aligned, and passed in rdi to header .upcall_entry,
 * with rsp = the address of this record. Extended state (x87, SSE, AVX) is live in the registers.
 */
struct gate_upcall {
    struct gate_frame frame;
    uint64_t reason;  /* enum gate_upcall_reason */
    uint64_t vector;  /* 0..31 of a fault */
    uint64_t error;   /* error code of the exception, 0 if it has none; and of a page fault: */
    uint64_t address; /* CR2 of a page fault */
};

#define GATE_FAULT_NO_MEMORY (1ull << 32) /* there was no frame for it on any core */

#define GATE_POSIX_MAGIC 0x5849534f504c5441ull /* "ATLPOSIX" */
#define GATE_ABI_VERSION 1u

/* Addresses in posix: only such, so that all are moved alike. */
struct gate_posix_places {
    uint64_t start;         /* first thread: rdi = 0, rsp = first_stack, on core 0 */
    uint64_t first_stack;   /* top, 16-aligned, in posix's data */
    uint64_t syscall_entry; /* rsp = the application's */
    uint64_t upcall_entry;
    uint64_t text_begin; /* [text_begin, text_end) and the gate page count as "inside posix" */
    uint64_t text_end;
    /* Leaving after a call: in [begin, swapped) the kernel moves an interrupted rip back to begin
     * and sets words.pending; at [swapped, end) the thread is in the application already: its rip
     * is words.return_rip. */
    uint64_t exit_call_begin, exit_call_swapped, exit_call_end;
    /* Leaving by a frame: rsp = a struct gate_frame throughout [begin, last), and = its .rip at
     * [last, end), the IRETQ. An interrupt inside moves rip back to begin, rsp to the frame. */
    uint64_t exit_frame_begin, exit_frame_last, exit_frame_end;
    uint64_t words;     /* struct gate_words, first bytes of the per-core section */
    uint64_t gate_page; /* two page-sized holes that the kernel fills */
    uint64_t info_page;
};

/* At the start of posix's read-only data. */
struct gate_posix_header {
    uint64_t magic;
    uint32_t version;
    uint32_t bytes;                   /* sizeof(struct gate_posix_header) */
    struct gate_posix_places offsets; /* from posix's load base */
};

#define GATE_CLOCK_REGISTERS 7u
#define GATE_NETWORKS 4u /* network devices, at most: ports 0 to 3 */

/* The read-only page of facts; also what the vDSO reads. time: ns = ((tsc - tsc_base) * multiplier)
 * >> 32, multiplier = 2^32 * 1e9 / tsc_hz, a 128-bit product. */
struct gate_info {
    uint32_t core_count;
    uint32_t ring;             /* 0 or 3 */
    uint32_t thread_count_max; /* kernel threads of each core */
    uint64_t tsc_base;         /* TSC at monotonic 0 (boot) */
    uint64_t tsc_multiplier;
    /* CLOCK_REALTIME at monotonic 0, where a hypervisor tells it; 0: look at the battery clock. */
    uint64_t wall_base_ns;
    uint64_t clock_read_ns; /* when the battery clock was read, since monotonic 0 */
    /* Seconds, minutes, hours, day, month, year and format: registers 0, 2, 4, 7, 8, 9 and 0x0b of
     * an MC146818 as they were; all bits set: there is none. */
    uint8_t clock_registers[GATE_CLOCK_REGISTERS];
    uint64_t memory_bytes;      /* of the machine */
    uint64_t posix_base;        /* where posix/ is loaded */
    uint64_t index_address;     /* the image's index pages (struct image_header first), read-only */
    uint64_t shared_slot_count; /* slots 0..count-1; slot s is owned by core s % core_count */
    uint32_t extended_bytes;    /* XSAVE area size for XCR0 */
    uint32_t write_execute;     /* 1: the manifest allows W+X mappings */
    uint64_t extended_mask;     /* XCR0 */
    uint64_t tsc_hz;
    /* Core c's port memory: port_bytes at port_address + c * port_bytes; mapped for ever, writable
     * on core c alone, to be read on all. 0: there is none. */
    uint64_t port_address, port_bytes;
    struct gate_network {
        uint32_t queues; /* cores 0..queues-1 have a queue pair; 0: there is no such device */
        uint16_t mtu;    /* as the device tells it, or 1500 */
        uint8_t mac[6];
        uint32_t features; /* GATE_PORT_*: what headers of the device's kind may ask and tell */
    } networks[GATE_NETWORKS];
    uint64_t neighbour_address; /* memory that another machine writes too, writable on every core */
    uint64_t neighbour_bytes;   /* 0: none */
};

/* Ports: how data goes between a device and posix/ without a copy. The first ports are network
 * devices; each buffer begins with virtio's header (virtio 1.2, section 5.1.6, 12 bytes), which
 * belongs to posix/. */
#define GATE_PORT_NETWORK 0u
/* Of the memory shared with a neighbour; has no port memory. */
#define GATE_PORT_DOORBELL (GATE_PORT_NETWORK + GATE_NETWORKS)
#define GATE_PORT_ENTRIES 256u
#define GATE_PORT_ENTRY_BYTES_MIN 12u
#define GATE_PORT_CHECKSUM 1u       /* frames to send may leave their checksum to the device */
#define GATE_PORT_GUEST_CHECKSUM 2u /* received frames may have a checksum that is not complete */
#define GATE_PORT_MERGED 32768u     /* a received frame may take several buffers: num_buffers */
/* Received segments of TCP may be larger than the MTU; there are checksum and buffers for them. */
#define GATE_PORT_GUEST_SEGMENTS (1u << 7 | 1u << 8)
/* So may those to send, over IPv4 and IPv6, if the header says how the device is to cut them. The
 * kernel judges what a header asks for, and gives the device what it judged. */
#define GATE_PORT_SEGMENTS (1u << 11 | 1u << 12)

struct gate_port_entry {
    uint32_t offset, bytes; /* from the start of this core's port memory */
};

/* Indices run freely; entry i is [i % GATE_PORT_ENTRIES]. posix/ writes `submit` and `submitted`,
 * the kernel all else. The kernel keeps indices and entries of its own: it reads an entry once,
 * when it takes it, and never what it wrote itself. posix/ has at most GATE_PORT_ENTRIES entries
 * that it submitted and whose completion it has not read. */
struct gate_port_queue {
    _Atomic uint32_t submitted; /* entries put into submit since the start */
    _Atomic uint32_t taken;     /* entries of submit that the kernel took */
    _Atomic uint32_t completed; /* entries put into complete: the offset that was submitted, and the
                                   bytes that the device wrote; 0: it read them, or was reset */
    struct gate_port_entry submit[GATE_PORT_ENTRIES], complete[GATE_PORT_ENTRIES];
};

/* The first bytes of each core's port memory: an array, by port. Buffers lie anywhere in it. */
struct gate_port {
    struct gate_port_queue receive, transmit;
    /* The kernel's, of core 0 alone: 1: the device says that its link is down. Who waits by
     * GATE_KICK_ARM on core 0 is woken when it changes. */
    _Atomic uint32_t is_link_down;
};

#define GATE_SLOT_BYTES (1ull << 39)
#define GATE_USER_FLOOR 0x10000ull /* nothing is mapped below: a null pointer traps */
/* posix/ itself, gate, information, per-core pages; not mappable */
#define GATE_PRIVATE_SLOT 255u

/* thread handles: generation in the high half, core and index in the low; never 0. */
#define GATE_THREAD_INDEX(handle) ((uint32_t)((handle)&0xffffu))
#define GATE_THREAD_CORE(handle) ((uint32_t)(((handle) >> 16) & 0xffffu))
#define GATE_THREAD_GENERATION(handle) ((uint32_t)((handle) >> 32))

#define GATE_PRIORITY_COUNT 32u
#define GATE_PRIORITY_DEFAULT 1u /* a larger number runs first */
#define GATE_PRIORITY_FIFO 32u   /* added to a priority: no quantum */
#define GATE_NEVER UINT64_MAX    /* deadline: no limit */
#define GATE_KEEP (UINT64_MAX)   /* thread_set: leave as it is */

/* park */
#define GATE_PARK_KEEP_EXTENDED 1u /* the thread holds an application call's vector registers */
/* unpark */
#define GATE_UNPARK_INTERRUPT 1u
/* map, protect: protection bits as Linux's PROT_* */
#define GATE_READ 1u
#define GATE_WRITE 2u
#define GATE_EXECUTE 4u
/* map: flags */
#define GATE_MAP_POPULATE 1u /* frames now, from the slot owner's memory: posix's own memory */
#define GATE_MAP_IMAGE 2u    /* pages of the image from `offset` on; writes copy */
#define GATE_MAP_LAST 4u     /* the last page's frame now: a stack is used from there */
/* unmap: flags */
#define GATE_UNMAP_DISCARD 1u /* contents gone, mapping stays lazy-zero with its protection */

/* console: operations */
#define GATE_CONSOLE_WRITE 1u /* stream 1 output, 2 error, 6 files; bytes taken, may be short */
#define GATE_CONSOLE_READ 2u  /* 0: end of input; -EAGAIN: none yet */
#define GATE_CONSOLE_POLL 3u  /* bytes that a READ would return now, else as READ */
/* As POLL; after -EAGAIN the caller is unparked when there is some: the last one that asked so. */
#define GATE_CONSOLE_LISTEN 4u
#define GATE_CONSOLE_BYTES_MAX 4096u
#define GATE_CONSOLE_STREAM_FILES 6u /* files handed back at the end: posix/file/hand_out.c */
/* kick: flags. A call takes, and completes, at most GATE_KICK_ENTRIES_MAX of each queue. */
#define GATE_KICK_ARM 1u /* nothing was received: unpark the caller when something is */
#define GATE_KICK_ENTRIES_MAX 32u
/* Of the doorbell's port instead: ring the machine whose doorbell has the number in these bits. */
#define GATE_KICK_PEER 0xffff0000u

/* random */
#define GATE_RANDOM_BYTES_MAX 256u

/* information: kinds */
#define GATE_INFORMATION_CORE 1u  /* a counter of a core: GATE_COUNT(frames_free), ... */
#define GATE_INFORMATION_AUDIT 2u /* walks this core's tables: 0, or -EPERM if it does not hold */

struct gate_core_counts {
    uint64_t frames_free, frames_total;
    uint64_t threads_live;
    uint64_t credits_free, credits_total; /* summed over this core's outgoing channels */
    uint64_t gate_calls, reflections, interrupts, faults, switches;
    uint64_t idle_ns, busy_ns; /* since boot; their sum is the core's monotonic time */
};
#define GATE_COUNT(name) (__builtin_offsetof(struct gate_core_counts, name) / sizeof(uint64_t))

#endif
