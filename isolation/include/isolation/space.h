/* SPDX-License-Identifier: Apache-2.0 */
/* The user half of a cell's address space: map, unmap, protect, and faults on lazy memory. The
 * functions here do the whole operation for a thread of this core, wherever the owner of the slot
 * is: they answer at once or leave the thread WAITING and finish by continuation, with the result
 * in thread->frame.rax. Long ranges proceed in bounded pieces. Own core, interrupts off. */
#ifndef ISOLATION_SPACE_H
#define ISOLATION_SPACE_H

#include <isolation/cell.h>
#include <percpu/channel.h>
#include <percpu/thread.h>

#define SPACE_PENDING ((enum result)1)

/* The arguments of a request: it is the message that carries it to the owner of a slot, also when
 * that is this core. */
enum space_argument {
    SPACE_CELL,
    SPACE_ADDRESS, /* of a range: page multiples, bytes > 0 */
    SPACE_BYTES,
    SPACE_PROTECTION, /* of a map and a protect */
    SPACE_FLAGS,      /* of a map and an unmap */
    SPACE_OFFSET,     /* of a map */
    /* of a fault: */
    SPACE_ACCESS = SPACE_BYTES,      /* enum space_access */
    SPACE_FRAMES = SPACE_PROTECTION, /* of the asking core, which come along: first | count */
    SPACE_COPY_OF = SPACE_FLAGS,     /* the image page that the first of them is a copy of, or 0;
                                      * answer: must be a copy of */
    SPACE_USED = SPACE_OFFSET,       /* answer: how many of them are mapped */
};

/* kind: PERCPU_MESSAGE_MAP, _UNMAP or _PROTECT. The gate has judged the arguments
 * (gate/validate.h): whole pages in one shared slot above the floor, rights and flags that are
 * known and allowed; what does not belong to the kind is 0. RESULT_OK: done; SPACE_PENDING: the
 * thread WAITs and rax will be set; else the failure, nothing changed. RESULT_INVALID: the part of
 * the image that is to be mapped is none. */
enum result isolation_space_request(struct thread *thread, enum percpu_message_kind kind,
                                    const uint64_t arguments[static PERCPU_MESSAGE_ARGUMENTS]);

/* An access needs the right of its value. */
enum space_access {
    SPACE_ACCESS_READ = GATE_READ,
    SPACE_ACCESS_WRITE = GATE_WRITE,
    SPACE_ACCESS_EXECUTE = GATE_EXECUTE,
};

/* Resolves a page fault of the thread at a user address. RESULT_OK: retry the access;
 * SPACE_PENDING: thread WAITs and becomes ready when the access can be retried (rax untouched: its
 * resume kind stays); RESULT_FAULT: a true violation; RESULT_NO_MEMORY. */
enum result isolation_space_fault(struct thread *thread, uint64_t address,
                                  enum space_access access);

/* Copies between kernel memory and the current thread's user half; RESULT_FAULT: *fault_address is
 * the address that is not accessible now (lazy or invalid): nothing visible was done if `to` was
 * kernel memory. bytes <= 4096. */
enum result isolation_copy_from_user(void *to, uint64_t from, uint64_t bytes,
                                     uint64_t *fault_address);
enum result isolation_copy_to_user(uint64_t to, const void *from, uint64_t bytes,
                                   uint64_t *fault_address);

/* Boot, every core: registers message handlers, prepares empty shared slots (own PDPTs were made
 * with the region), maps posix/ and the private slot from the validated image. Core 0 first. */
enum result isolation_cell_build(struct cell *cell);

/* Each core, when every core has built its cell and all boot facts are written: links the other
 * cores' slots into this core's cell and makes the boot facts read-only in this core's tables. From
 * here on no kernel page is writable by two cores; isolation_audit judges it. */
void isolation_seal(void);

/* A wholly free 2 MiB block comes to this core, or leaves it: maps or unmaps it in this core's
 * direct map. Own core, interrupts off; cannot fail: the tables are there since boot. */
void isolation_block_attach(paddr_t block);
void isolation_block_detach(paddr_t block);

#endif
