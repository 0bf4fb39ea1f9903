/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of the stub. Core 0 has the line to the debugger and serves it; the other cores
 * stop, answer what core 0 asks, and go on when it says so. What a core tells lies in its own debug
 * pages, behind the staging pages of its outbox: the others only read them.
 *
 * Context of every function: own core, interrupts off; "stopped": between debug_stop_all and
 * debug_release. */
#ifndef DEBUG_INTERNAL_H
#define DEBUG_INTERNAL_H

#include "packet.h"

#include <debug/table.h>
#include <isolation/gate_abi.h>
#include <kernel/region.h>
#include <percpu/scheduler.h>

#define DEBUG_VECTOR 0xfd /* look at core 0's epoch; to core 0: somebody has stopped */
#define DEBUG_DATA_BYTES 2048u
#define DEBUG_BREAKPOINTS_MAX 64u
#define DEBUG_ACTIONS_MAX 16u
#define DEBUG_WATCHES 4u
#define DEBUG_CONDITION_BYTES 512u
#define DEBUG_THREADS_MAX 1024u

/* Numbers of GDB, which are not Linux's throughout. */
enum debug_signal {
    DEBUG_SIGNAL_INTERRUPT = 2,
    DEBUG_SIGNAL_TRAP = 5,
    DEBUG_SIGNAL_ABORT = 6,
};
#define DEBUG_SIGNAL_WORDS 3u /* of a set of them */

enum debug_event_kind {
    DEBUG_EVENT_NONE,       /* it was asked to stop */
    DEBUG_EVENT_BREAKPOINT, /* in memory; rip stands on it again */
    DEBUG_EVENT_HARDWARE,   /* of a debug register, before the instruction */
    DEBUG_EVENT_WATCH,      /* after the access to address */
    DEBUG_EVENT_STEP,
    DEBUG_EVENT_SIGNAL, /* posix/ is about to deliver it; address: its siginfo_t */
    DEBUG_EVENT_START,  /* the program is about to start */
};

struct debug_event {
    enum debug_event_kind kind;
    uint32_t signal;
    uint64_t thread; /* handle, 0: none */
    uint64_t address;
};

/* What a thread is to do when the machine goes on. */
enum debug_action_kind { DEBUG_ACTION_CONTINUE, DEBUG_ACTION_STEP, DEBUG_ACTION_STOP };

struct debug_action {
    uint64_t thread; /* handle */
    enum debug_action_kind kind;
    uint32_t signal;     /* to be delivered, 0: none */
    uint64_t start, end; /* of a STEP: goes on while rip is in there */
};

/* Conditions of a breakpoint, one of which must hold: each is its length (uint16_t) and its program
 * (expression.h). */
struct debug_conditions {
    uint32_t bytes; /* 0: none */
    uint8_t programs[DEBUG_CONDITION_BYTES];
};

/* Written by core 0 while all are stopped. */
struct debug_plan {
    struct debug_action actions[DEBUG_ACTIONS_MAX];
    uint32_t action_count;
    enum debug_action_kind others; /* threads that no action names */
    uint64_t reported;             /* a bit for each core whose event is known to the debugger */
    uint64_t watch[DEBUG_WATCHES]; /* DR0..3 */
    uint64_t control;              /* DR7 */
    bool is_memory[DEBUG_WATCHES]; /* stands for a breakpoint in memory, for its conditions */
    struct debug_conditions conditions[DEBUG_WATCHES];
};

struct debug_breakpoint {
    uint64_t address; /* 0: free */
    uint8_t original;
    bool is_in_memory;
};

enum debug_question_kind {
    DEBUG_QUESTION_READ,          /* bytes at address, as this core sees them */
    DEBUG_QUESTION_WRITE,         /* data to address */
    DEBUG_QUESTION_FILL,          /* gives the page at address a frame of its own */
    DEBUG_QUESTION_THREADS,       /* struct debug_thread of pool indices from address on */
    DEBUG_QUESTION_REGISTERS,     /* of the thread with pool index address */
    DEBUG_QUESTION_REGISTERS_SET, /* the same, from data */
    DEBUG_QUESTION_FRAME,         /* the same, as it left for the kernel */
    DEBUG_QUESTION_DELIVER, /* thread address, at a signal: goes on with Linux's signal data */
    DEBUG_QUESTION_AUDIT,
    /* From here on also of a core that runs. The answer is that many bytes, little-endian, as
     * tools/atoll/live reads them. */
    DEBUG_QUESTION_CORE,         /* struct debug_core */
    DEBUG_QUESTION_LISTED,       /* struct debug_listed of pool indices from address on */
    DEBUG_QUESTION_CHANNELS,     /* for each peer: struct debug_channel */
    DEBUG_QUESTION_INTERRUPTS,   /* for each vector: how many, uint64_t */
    DEBUG_QUESTION_TRACE_KEEP,   /* keeps a copy of the trace ring: struct debug_trace */
    DEBUG_QUESTION_TRACE,        /* records of the copy from number address on */
    DEBUG_QUESTION_CALLS_BEGIN,  /* from here on: calls.c. A session with number address; 0: none */
    DEBUG_QUESTION_CALLS_SELECT, /* which calls are noted: 32 of them, low half, high half: which */
    DEBUG_QUESTION_CALLS_TAKE,   /* struct debug_calls_answer and slots from position address on */
    DEBUG_QUESTION_CALLS_OPEN,   /* struct debug_open_call of pool indices from address on */
    DEBUG_QUESTION_GATE,         /* for each call of the gate: how many, uint64_t */
    DEBUG_QUESTION_KINDS,
};

struct debug_question {
    enum debug_question_kind kind;
    uint32_t core, bytes;
    uint64_t address;
};

/* Where and why something could not go on. */
struct debug_fault {
    uint64_t time_ns, vector, error, rip, rsp, address;
    uint64_t thread; /* handle of the program's; 0: the kernel's */
};

/* A core's own page. */
struct debug_page {
    _Atomic uint64_t epoch_seen;    /* the last one for which it stopped */
    _Atomic uint64_t answered;      /* number of the last question */
    _Atomic uint64_t live_answered; /* the same, of a question while all run */
    _Atomic bool is_trapped;        /* has an event and waits for core 0 */
    _Atomic bool is_urgent;         /* and has waited so long that it has sent an NMI */
    struct debug_event event;
    uint64_t current; /* handle of the thread that it runs, 0: none */
    bool is_in_kernel, is_idle;
    struct debug_fault fault; /* the last one that was to become a signal */
    int64_t result;
    alignas(8) uint8_t answer[DEBUG_DATA_BYTES];
};
_Static_assert(sizeof(struct debug_page) <= PAGE_BYTES, "one page");

/* Core 0's, behind its own page. */
struct debug_server_page {
    _Atomic uint64_t epoch;    /* odd: everybody is to stop */
    _Atomic uint64_t urgent;   /* the last one for which it has sent NMIs */
    _Atomic uint64_t question; /* its number */
    bool is_attached, is_nonstop;
    uint64_t passed_signals[DEBUG_SIGNAL_WORDS]; /* GDB's signals that are delivered at once */
    struct debug_plan plan;
    /* Non-stop mode: handles of the threads that stand still, while all others run. */
    uint64_t stopped[DEBUG_THREADS_MAX];
    uint32_t stopped_count;
    struct debug_breakpoint breakpoints[DEBUG_BREAKPOINTS_MAX];
    struct debug_question asked;
    _Atomic uint64_t live_question; /* number of live_asked, which goes to cores that run */
    struct debug_question live_asked;
    uint64_t calls_session; /* of core 0's ring of calls; 0: nobody looks */
    uint64_t ended;         /* DEBUG_CALLS_ENDED, and how: the record's kind, status, signal */
    alignas(8) uint8_t data[DEBUG_DATA_BYTES]; /* that goes with it */
};
_Static_assert(sizeof(struct debug_page) + sizeof(struct debug_server_page) <=
                   REGION_DEBUG_PAGES * PAGE_BYTES,
               "the debug pages");

static inline struct debug_page *debug_page_of_remote(uint32_t core)
{
    return (struct debug_page *)(region_staging(core) + REGION_STAGING_PAGES * PAGE_BYTES);
}

static inline struct debug_page *debug_page_own(void)
{
    return debug_page_of_remote(percpu_self.value);
}

static inline struct debug_server_page *debug_server(void)
{
    return (struct debug_server_page *)((uint8_t *)debug_page_of_remote(0) + PAGE_BYTES);
}

/* ---- stop.c */

/* This core stops with an event, or because it was asked (NULL), until core 0 lets it go on. On
 * core 0: serves the debugger meanwhile. */
void debug_stop(const struct debug_event *event);
/* True: core 0 wants everybody to stop, and this core has not yet. */
bool debug_stop_is_wanted(void);
/* True: an NMI that has come now is of the stub, and this core has not stopped yet. */
bool debug_stop_is_urgent(void);
/* An interrupt of the stub's. True: this core was stopped already, and looks again. */
bool debug_stop_is_under_way(void);
/* The next time that this core's scheduler is asked, debug_live_poll, and before it, if the core
 * must stop, debug_stop(NULL): its kernel is halted now. */
void debug_look_soon(bool must_stop);
void debug_look(void);
/* Stopped: waits for an interrupt of the stub's, which may have come already. */
void debug_halt(void);
/* Non-stop mode, in the kernel, which goes on: this core stops with the event where it leaves its
 * kernel. */
void debug_stop_later(const struct debug_event *event);
bool debug_stop_is_put_off(void);
/* Core 0, stopped: stops the others; false: at least one did not. Lets them go on. */
bool debug_stop_all(void);
void debug_release(void);
/* Core 0: asks a core (also itself) and waits a bounded time. What the core answered; *answer is
 * valid until the next question. RESULT_TIMED_OUT: it does not. @data of kinds that have some:
 * question->bytes, at most DEBUG_DATA_BYTES; else NULL */
int64_t debug_ask(const struct debug_question *question, const void *data, const uint8_t **answer);
/* silent.c: in the place of a core that does not stop, what memory, threads and registers it has
 * left. RESULT_TIMED_OUT: only the core itself could say. */
int64_t debug_silent_answer(const struct debug_question *question, const uint8_t **answer);
bool debug_is_stopped_remote(uint32_t core);

/* ---- freeze.c: threads of this core that are not to run */

/* What the plan says of a thread of this core. */
struct debug_action debug_action_of(const struct thread *thread);
/* The plan may be another one. */
void debug_freeze_refresh(void);

/* ---- answer.c: the core that is asked */
int64_t debug_answer(const struct debug_question *question, const uint8_t *data,
                     uint8_t answer[DEBUG_DATA_BYTES]);

struct debug_core {
    uint64_t now_ns;
    uint64_t stops;   /* of the machine, for a debugger */
    uint64_t current; /* handle of the thread that it runs, 0: none */
    struct gate_core_counts counts;
};
_Static_assert(sizeof(struct debug_core) == 120, "tools/atoll/live");

struct debug_channel {
    uint32_t sent, taken; /* modulo 2^32: messages to the peer; messages of the peer */
};

struct debug_trace {
    uint64_t made, kept; /* records since boot; those in the copy, the newest */
};

#define DEBUG_VECTORS 256u
/* Interrupts and exceptions of this core, by vector. */
extern PERCORE uint64_t debug_vector_counts[DEBUG_VECTORS];

/* ---- gate.c: calls of the gate on this core, by number; their names */
extern PERCORE uint64_t debug_gate_counts[GATE_CALL_COUNT];
const char *debug_gate_name(uint32_t number);

/* ---- memory.c */

void debug_memory_initialize(void);
/* Memory as a core's page tables show it, rights aside: the bytes that could be copied from the
 * front on. Lazy memory reads as zeros. Writes go to present frames that are not the image's. */
uint32_t debug_memory_read(uint64_t root, uint64_t address, void *to, uint32_t bytes);
uint32_t debug_memory_write(uint64_t root, uint64_t address, const void *from, uint32_t bytes);
/* A core's own tables are in use and its window is there. */
bool debug_memory_is_ready(void);
/* Copies bytes of one page of physical memory from `copy` or into it, whatever is there. */
void debug_memory_physical(uint64_t physical, void *copy, uint32_t bytes, bool is_write);
/* The entries of the table in which the entry that decides the address lies; what each spans. */
uint64_t debug_memory_table(uint64_t root, uint64_t address, uint64_t entries[512]);
/* A shared slot's page of this core that has no frame of its own gets one. RESULT_FAULT. */
enum result debug_memory_fill(uint64_t address);
/* Takes frames from the allocator for later: where this core's kernel is in order. */
void debug_memory_prepare(void);

/* ---- thread.c */

extern PERCORE struct percpu_config percpu_config;

struct debug_thread {
    uint64_t handle;
    uint64_t rip, rsp, stack; /* stack: words[0] */
    uint64_t run_ns;
    uint8_t state, priority;
    bool is_current;
    uint8_t core;
};
_Static_assert(sizeof(struct debug_thread) == 48, "tools/atoll/live");
#define DEBUG_THREADS_ASKED (DEBUG_DATA_BYTES / sizeof(struct debug_thread))

/* In GDB's order: target.xml in describe.c. */
struct debug_registers {
    uint64_t general[16]; /* rax rbx rcx rdx rsi rdi rbp rsp r8 .. r15 */
    uint64_t rip;
    uint32_t eflags, segments[6];
    uint8_t x87[8][10];
    uint32_t x87_control[8];
    uint8_t xmm[16][16];
    uint32_t mxcsr;
    uint64_t fs_base, gs_base;
    uint8_t ymm_high[16][16];
} __attribute__((packed));
#define DEBUG_REGISTERS_BYTES 808u
_Static_assert(sizeof(struct debug_registers) == DEBUG_REGISTERS_BYTES, "target.xml");

/* Where a core's kernel was interrupted: what is live of its running thread. */
struct kernel_trap;
struct debug_context {
    struct kernel_trap *trap; /* NULL: the thread's frame has everything */
    uint64_t *kept;           /* r15 r14 r13 r12 rbp rbx */
};
extern PERCORE struct debug_context debug_context;

/* Where posix/ asks about a signal (table.h); 0: nowhere. */
uint64_t debug_signal_place(void);
/* Such a thread is shown, stepped and moved where the program is: by the frame with which it will
 * go there. */
bool debug_is_at_signal(const struct thread *thread);
struct thread *debug_thread_at(uint64_t index);
/* How many threads of this core wait to run. */
uint32_t debug_threads_ready(void);
void debug_registers_read(struct thread *thread, struct debug_registers *registers);
/* RESULT_PERMISSION: rip or rsp of a thread that is inside posix/ or the kernel. */
enum result debug_registers_write(struct thread *thread, const struct debug_registers *registers);
/* RFLAGS.TF of a thread's next instruction, of the program for one at a signal. */
void debug_step_set(struct thread *thread, bool is_on);
/* True, once: a step that a thread at a signal was to do is done only now. */
bool debug_step_is_stray(const struct thread *thread);
/* A register by its number in target.xml: where it lies in the structure; bytes, 0: there is none.
 */
uint32_t debug_register_place(uint64_t number, uint32_t *offset);
/* Its rip, wherever it is kept. */
uint64_t debug_thread_rip(const struct thread *thread);

/* ---- live.c: questions to a machine that runs */

/* Core 0: behind a packet's $: false: it is another packet. */
bool debug_live_take(struct debug_text *text, bool is_stopped);
/* Answers what this core was asked; on core 0 sends what is there. Where the kernel is in order. */
void debug_live_poll(void);
/* Core 0, as all stop: an open question gets no answer; what the line still has is sent. */
void debug_live_cancel(void);
/* Core 0, stopped for good: what the line still has is sent, and an open question answered. */
void debug_live_settle(void);

/* ---- calls.c: the system calls that posix/ has noted; each core its own */
#define DEBUG_CALLS_ENDED (1ull << 63)
struct debug_calls_answer {
    uint64_t first; /* position of the first slot here */
    uint64_t lost;  /* calls and signals of this session for which there was no room */
    uint64_t ended; /* 0: the program runs */
    uint64_t now_ns;
};
_Static_assert(sizeof(struct debug_calls_answer) == 32, "tools/atoll/live");

struct debug_open_call {
    uint64_t number, arguments[6];
    uint32_t index; /* in the core's pool */
    int32_t id;
    char name[DEBUG_NAME_BYTES];
};
_Static_assert(sizeof(struct debug_open_call) == 80, "tools/atoll/live");

/* Each is a question's answer: bytes, or RESULT_*. */
int64_t debug_calls_begin(uint64_t session);
int64_t debug_calls_select(uint64_t what);
int64_t debug_calls_take(uint64_t from, uint8_t *answer);
int64_t debug_calls_open(uint64_t first, uint8_t *answer);
/* The cell has ended: who notes calls takes what is left. */
void debug_calls_end(uint8_t kind, uint8_t status, uint8_t signal);

/* ---- server.c, core 0 */

/* Stopped for good: answers one live question if it has come whole. True: a byte has come. */
bool debug_server_answer(void);

/* Everybody has stopped: serves the debugger until it lets the machine go on. */
void debug_serve(void);
/* A byte has come while the machine runs. True: it must stop. */
bool debug_server_listen(void);
/* The cell has ended: tells the debugger. */
void debug_server_ended(uint32_t kind, uint32_t status, uint32_t signal);
/* Core 0, before the first thread. True: a debugger has asked for this boot, and waits for the
 * program's first instruction. */
bool debug_server_resume(void);
/* The machine stopped by itself before any debugger came. */
bool debug_server_must_wait(void);

/* ---- signal.c */

/* GDB's number of Linux's signal, and back; 0: there is none. */
uint32_t debug_signal_number(uint64_t signal);
uint32_t debug_signal_of_number(uint32_t number);
/* Linux's number of one that an exception becomes. */
bool debug_signal_is_of_exception(uint64_t signal);

/* ---- list.c, core 0, stopped: the threads of all cores, as GDB numbers them */
struct debug_listed {
    struct debug_thread thread;
    uint32_t id;
    char name[DEBUG_NAME_BYTES];
};
_Static_assert(sizeof(struct debug_listed) == 72, "tools/atoll/live");
#define DEBUG_LISTED_ASKED (DEBUG_DATA_BYTES / sizeof(struct debug_listed))
/* Of a thread of this core, whether it is stopped or runs. */
struct debug_listed debug_list_entry(const struct debug_thread *thread);
void debug_list_build(void);
uint32_t debug_list_count(void);
const struct debug_listed *debug_list_at(uint32_t position);
const struct debug_listed *debug_list_find(uint64_t id);          /* NULL: none */
const struct debug_listed *debug_list_of_handle(uint64_t handle); /* NULL: none */
const char *debug_state_name(const struct debug_listed *thread);
uint64_t debug_list_running(void); /* id of one that runs, or of any; 0: none */
/* Memory of the program and, per core, of posix/ and the kernel: bytes done from the front on. */
uint32_t debug_reach_read(uint32_t core, uint64_t address, void *to, uint32_t bytes);
uint32_t debug_reach_write(uint32_t core, uint64_t address, const void *from, uint32_t bytes);
/* posix/'s table; false: there is none, or it is not credible. */
bool debug_table_read(struct debug_table *table);
const struct debug_places *debug_places(void); /* NULL: none */

/* ---- breakpoint.c, core 0, stopped */
/* With conditions it takes a debug register, where they are judged by the core that meets it, and
 * nothing stops; if none is free it is in memory, and the debugger judges them. */
enum result debug_breakpoint_set(uint32_t core, uint64_t address,
                                 const struct debug_conditions *conditions);
enum result debug_breakpoint_clear(uint64_t address);
enum result debug_watch_set(uint32_t kind, uint64_t address, uint64_t bytes,
                            const struct debug_conditions *conditions);
enum result debug_watch_clear(uint32_t kind, uint64_t address, uint64_t bytes);
void debug_breakpoints_clear_all(void);
/* Takes them out of memory while the stub works, and puts them back. */
void debug_breakpoints_lift(void);
void debug_breakpoints_drop(void);
/* ;X bytes,program ... behind a breakpoint's packet; false: that is not what it says. */
bool debug_conditions_parse(struct debug_text *text, struct debug_conditions *conditions);
/* Any core, at a breakpoint: there is no condition, or one holds, or cannot be judged here. */
bool debug_conditions_hold(const struct debug_conditions *conditions);
/* Any core: there is one, in memory. */
bool debug_breakpoint_is_at_remote(uint64_t address);

/* ---- describe.c, file.c, monitor.c: parts of a packet's answer */
void debug_describe(struct debug_text *text, struct debug_reply *reply); /* behind qXfer: */
void debug_file(struct debug_text *text, struct debug_reply *reply);     /* behind vFile: */
void debug_monitor(struct debug_text *text, struct debug_reply *reply);  /* behind qRcmd, */
/* A file of the image; NULL: none. */
struct image_file;
const struct image_file *debug_file_find(const uint8_t *path, uint32_t bytes);
const uint8_t *debug_file_content(const struct image_file *file);

#endif
