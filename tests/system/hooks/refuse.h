/* SPDX-License-Identifier: Apache-2.0 */
/* How a test program controls what the build with hooks refuses: prctl(REFUSE_CONTROL, kind, n)
 * makes the n-th allocation of the kind from now on fail, once (0: none), and returns how many were
 * still to come before the one asked for earlier failed: 0, it has failed or there was none. */
#ifndef HOOKS_REFUSE_H
#define HOOKS_REFUSE_H

#define REFUSE_CONTROL                                                                             \
    0x52454655 /* prctl's option, and the kind of the gate's information call                      \
                */

enum refuse_kind {
    REFUSE_ALLOCATION,    /* posix/: blocks, pages of files, mappings and threads of the kernel */
    REFUSE_FRAME,         /* a frame of the calling thread's core; other cores may give some */
    REFUSE_FRAME_OF_CALL, /* the same in calls of the gate alone, and nobody gives any */
    REFUSE_KINDS,
    /* Blocks and pages of posix/ that are in use; n means nothing. */
    REFUSE_COUNT_OBJECTS = REFUSE_KINDS,
    /* Walks the page tables of the calling core; n means nothing. 0 or -1. */
    REFUSE_AUDIT,
    /* n: address of a struct gate_core_counts, whose first word is the core; frames_free,
     * threads_live and credits are told. 0 or an error. */
    REFUSE_COUNT_CORE,
};

#endif
