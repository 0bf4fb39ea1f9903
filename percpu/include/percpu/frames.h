/* SPDX-License-Identifier: Apache-2.0 */
/* Physical frames of this core's partition: 4 KiB frames, runs, and 2 MiB blocks, never locked,
 * never shared. A frame belongs to the core whose partition holds it (its home) until its block is
 * granted; a foreign frame that this core has mapped goes home by message.
 *
 * Error policy: exhaustion is a result; freeing what is not allocated or not ours is an ASSERT.
 * Context of every function: own core, interrupts off; bounded work; deterministic. */
#ifndef PERCPU_FRAMES_H
#define PERCPU_FRAMES_H

#include <percpu/thread.h>

/* Bytes of a core's frame tables (struct percpu_config), for a machine whose highest physical
 * address is limit. */
uint64_t percpu_frames_table_bytes(paddr_t limit);

/* Hands [start, end) of the partition to the allocator (boot memory that is not in use). */
void percpu_frames_add(paddr_t start, paddr_t end);

/* One 4 KiB frame; contents undefined. RESULT_NO_MEMORY: none here (grants are the caller's next
 * step: percpu_frames_grant_request).
 *
 * Context:    about 25 instructions while a partly used block has a free frame */
enum result percpu_frame_allocate(paddr_t *frame);
/* Gives a frame back, alone or of a run. ASSERTs that it is this core's and was allocated. */
void percpu_frame_free(paddr_t frame);
/* count contiguous frames, count a power of two 1..512, naturally aligned. Looks at a bounded
 * number of partly used blocks, then takes a wholly free one.
 *
 * Errors:     RESULT_INVALID count | RESULT_NO_MEMORY no run within the bound and no free block */
enum result percpu_frame_run_allocate(uint32_t count, paddr_t *first);
/* True if this core owns the frame now (home or granted block). */
bool percpu_frame_is_own(paddr_t frame);
/* The core that owns the frame now, as published by the home cores; of an allocated frame the
 * answer stays true until it is freed. @frame: RAM of some core's partition. */
core_id_t percpu_frame_owner_remote(paddr_t frame);
/* Asks the other cores, one after another, for a wholly free 2 MiB block. The thread, RUNNING or
 * WAITING, WAITs and is continued with a message of kind PERCPU_MESSAGE_BLOCK_GRANT: status 0:
 * there are frames now (another thread may have taken them: then ask again); RESULT_NO_MEMORY: all
 * refused. Uses thread->next.
 *
 * State:      one search at a time is under way; threads that ask meanwhile share its result
 * Errors:     RESULT_NO_MEMORY there is no other core: nothing was done */
enum result percpu_frames_grant_request(struct thread *thread, thread_continuation continuation);
/* Frames of this core that are free now, and all frames that it has: those that were added, plus
 * granted blocks, minus blocks granted away. */
extern PERCORE uint64_t percpu_frames_free_count;
extern PERCORE uint64_t percpu_frames_total_count;

#endif
