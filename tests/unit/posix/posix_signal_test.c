/* SPDX-License-Identifier: Apache-2.0 */
#include "shim.h"
#include "shim_signal.h"

#include <check.h>
#include <posix/posix.h>
#include <posix/syscalls.h>

#define USR1 10
#define SEGV 11
#define CHLD 17
#define KILL_AND_STOP (bit(9) | bit(19))
#define BLOCK 0
#define UNBLOCK 1
#define SETMASK 2
#define FLAG_SIGINFO 0x4u
#define FLAG_RESTORER 0x04000000u
#define FLAG_ONSTACK 0x08000000u
#define FLAG_RESTART 0x10000000u
#define FLAG_NODEFER 0x40000000u
#define FLAG_RESETHAND 0x80000000u
#define HANDLER 0x401000u
#define RESTORER 0x402000u
#define STACK_DISABLE 2
#define STACK_ONSTACK 1
#define CALL 202u
#define NO_CALL UINT64_MAX

struct action {
    uint64_t handler, flags, restorer, mask;
};

struct stack {
    uint64_t address;
    int32_t flags, padding;
    uint64_t bytes;
};

/* Offsets in Linux's rt_sigframe. */
#define FRAME_STACK (8 + 16)
#define FRAME_REGISTERS (8 + 40)
#define FRAME_RIP (FRAME_REGISTERS + 128)
#define FRAME_EXTENDED (FRAME_REGISTERS + 184)
#define FRAME_MASK (FRAME_REGISTERS + 256)
#define FRAME_INFO (FRAME_MASK + 8)

static alignas(64) uint8_t stack_memory[65536];
static alignas(64) uint8_t alternate_memory[32768];
static const uint8_t call_site[4] = {0x0f, 0x05, 0x90, 0x90};

static uint64_t at(const void *object)
{
    return (uint64_t)(uintptr_t)object;
}

static uint64_t bit(int signal)
{
    return 1ull << (signal - 1);
}

static uint64_t word(uint64_t address)
{
    uint64_t value;
    memcpy(&value, (const void *)(uintptr_t)address, sizeof(value));
    return value;
}

static void set_action(int signal, uint64_t handler, uint64_t flags, uint64_t mask)
{
    struct action action = {handler, flags | FLAG_RESTORER, RESTORER, mask};
    CHECK_EQUAL(posix_rt_sigaction((uint64_t)signal, at(&action), 0, 8), 0);
}

static uint64_t handler_of(int signal)
{
    struct action action;
    CHECK_EQUAL(posix_rt_sigaction((uint64_t)signal, 0, at(&action), 8), 0);
    return action.handler;
}

static void set_mask(uint64_t mask)
{
    CHECK_EQUAL(posix_rt_sigprocmask(SETMASK, at(&mask), 0, 8), 0);
}

static void send_self(int signal)
{
    CHECK_EQUAL(posix_tkill((uint64_t)shim_thread_id(), (uint64_t)signal), 0);
}

static struct gate_frame fresh_frame(void)
{
    struct gate_frame frame = {.r15 = 15, .rbx = 3, .rdi = 7, .rax = 42, .rcx = 9};
    frame.rip = at(call_site) + 2;
    frame.rsp = at(stack_memory) + 60000;
    frame.rflags = 0x202 | 0x1;
    frame.cs = 0x33;
    frame.ss = 0x2b;
    return frame;
}

static int64_t take(uint64_t set)
{
    int64_t zero[2] = {0, 0};
    return posix_rt_sigtimedwait(at(&set), 0, at(zero), 8);
}

/* @verifies ATL-LLR-SIGNAL-0040~1 */
TEST(sigaction_checks_and_keeps)
{
    struct action action = {HANDLER, 0, 0, UINT64_MAX};
    struct action old;
    CHECK_EQUAL(posix_rt_sigaction(0, 0, 0, 8), -EINVAL);
    CHECK_EQUAL(posix_rt_sigaction(65, 0, 0, 8), -EINVAL);
    CHECK_EQUAL(posix_rt_sigaction(USR1, 0, 0, 16), -EINVAL);
    CHECK_EQUAL(posix_rt_sigaction(9, at(&action), 0, 8), -EINVAL);
    CHECK_EQUAL(posix_rt_sigaction(19, at(&action), 0, 8), -EINVAL);
    CHECK_EQUAL(posix_rt_sigaction(USR1, UNMAPPED, 0, 8), -EFAULT);
    CHECK_EQUAL(posix_rt_sigaction(64, at(&action), 0, 8), 0);
    CHECK_EQUAL(posix_rt_sigaction(64, 0, at(&old), 8), 0);
    CHECK_EQUAL(old.handler, HANDLER);
    CHECK_EQUAL(old.mask, ~KILL_AND_STOP);
}

/* @verifies ATL-LLR-SIGNAL-0041~1 */
TEST(sigprocmask_changes_the_mask)
{
    uint64_t set = bit(1) | bit(2);
    uint64_t old;
    set_mask(0);
    CHECK_EQUAL(posix_rt_sigprocmask(BLOCK, at(&set), at(&old), 8), 0);
    CHECK_EQUAL(old, 0);
    CHECK_EQUAL(shim_blocked(), set);
    set = bit(2) | bit(64);
    CHECK_EQUAL(posix_rt_sigprocmask(UNBLOCK, at(&set), 0, 8), 0);
    CHECK_EQUAL(shim_blocked(), bit(1));
    set = UINT64_MAX;
    CHECK_EQUAL(posix_rt_sigprocmask(SETMASK, at(&set), 0, 8), 0);
    CHECK_EQUAL(shim_blocked(), ~KILL_AND_STOP);
    CHECK_EQUAL(posix_rt_sigprocmask(3, at(&set), 0, 8), -EINVAL);
    CHECK_EQUAL(posix_rt_sigprocmask(3, 0, at(&old), 8), 0);
    CHECK_EQUAL(posix_rt_sigprocmask(SETMASK, UNMAPPED, 0, 8), -EFAULT);
    CHECK_EQUAL(posix_rt_sigprocmask(SETMASK, at(&set), 0, 4), -EINVAL);
    set_mask(0);
}

/* @verifies ATL-LLR-SIGNAL-0001~1 */
TEST(standard_signals_are_pending_once_and_real_time_ones_counted)
{
    set_mask(UINT64_MAX);
    for (int i = 0; i < 3; i++) {
        send_self(USR1);
        send_self(40);
    }
    uint64_t pending;
    CHECK_EQUAL(posix_rt_sigpending(at(&pending), 8), 0);
    CHECK_EQUAL(pending, bit(USR1) | bit(40));
    CHECK_EQUAL(take(bit(USR1)), USR1);
    CHECK_EQUAL(take(bit(USR1)), -EAGAIN);
    for (int i = 0; i < 3; i++) {
        CHECK_EQUAL(take(bit(40)), 40);
    }
    CHECK_EQUAL(take(bit(40)), -EAGAIN);
    set_mask(0);
}

/* @verifies ATL-LLR-SIGNAL-0001~1 */
TEST(a_full_queue_refuses_real_time_signals_and_keeps_standard_ones)
{
    set_mask(UINT64_MAX);
    int64_t result = 0;
    int sent = 0;
    while (result == 0 && sent < 1000) {
        result = posix_tkill((uint64_t)shim_thread_id(), 41);
        sent += result == 0;
    }
    CHECK_EQUAL(result, -EAGAIN);
    CHECK_EQUAL(sent, 256);
    send_self(USR1);
    CHECK_EQUAL(take(bit(USR1)), USR1);
    for (int i = 0; i < sent; i++) {
        CHECK_EQUAL(take(bit(41)), 41);
    }
    CHECK_EQUAL(take(bit(41)), -EAGAIN);
    set_mask(0);
}

/* @verifies ATL-LLR-SIGNAL-0043~1 */
TEST(sigtimedwait_tells_who_sent)
{
    int32_t info[32];
    uint64_t set = bit(12);
    int64_t timeout[2] = {0, -1};
    set_mask(UINT64_MAX);
    CHECK_EQUAL(posix_kill(1, 12), 0);
    CHECK_EQUAL(posix_rt_sigtimedwait(at(&set), at(info), 0, 8), 12);
    CHECK_EQUAL(info[0], 12);
    CHECK_EQUAL(info[2], 0); /* SI_USER */
    CHECK_EQUAL(info[4], 1); /* the process */
    CHECK_EQUAL(posix_rt_sigtimedwait(at(&set), 0, at(timeout), 8), -EINVAL);
    CHECK_EQUAL(posix_rt_sigtimedwait(UNMAPPED, 0, 0, 8), -EFAULT);
    CHECK_EQUAL(shim_blocked(), ~KILL_AND_STOP);
    set_mask(0);
}

/* @verifies ATL-LLR-SIGNAL-0002~1 */
TEST(ignored_signals_are_dropped)
{
    send_self(CHLD);
    CHECK(!shim_pending());
    set_mask(bit(USR1));
    send_self(USR1);
    set_action(USR1, 1, 0, 0); /* SIG_IGN discards what waits */
    CHECK_EQUAL(take(bit(USR1)), -EAGAIN);
    set_mask(0);
    send_self(USR1);
    CHECK(!shim_pending());
    set_action(USR1, 0, 0, 0);
}

/* @verifies ATL-LLR-SIGNAL-0045~1 */
TEST(senders_are_checked)
{
    CHECK_EQUAL(posix_kill(1, 65), -EINVAL);
    CHECK_EQUAL(posix_kill(2, 0), -ESRCH);
    CHECK_EQUAL(posix_kill(0, 0), 0);
    CHECK_EQUAL(posix_tkill(9999, 0), -ESRCH);
    CHECK_EQUAL(posix_tkill(0, USR1), -EINVAL);
    CHECK_EQUAL(posix_tgkill(2, (uint64_t)shim_thread_id(), 0), -ESRCH);
    CHECK_EQUAL(posix_tgkill(1, (uint64_t)shim_thread_id(), 0), 0);
    CHECK_EQUAL(posix_tgkill((uint64_t)-1, 1, 0), -EINVAL);
}

/* @verifies ATL-LLR-SIGNAL-0011~1
 * @verifies ATL-LLR-SIGNAL-0020~1
 * @verifies ATL-LLR-SIGNAL-0021~1 */
TEST(a_handler_gets_linux_frame_and_sigreturn_undoes_it)
{
    struct gate_frame frame = fresh_frame();
    struct gate_frame before = frame;
    set_action(USR1, HANDLER, FLAG_SIGINFO, bit(5));
    set_mask(bit(7));
    send_self(USR1);
    shim_leave(&frame, NO_CALL);
    CHECK_EQUAL(frame.rip, HANDLER);
    CHECK_EQUAL(frame.rdi, USR1);
    CHECK_EQUAL(frame.rsi, frame.rsp + FRAME_INFO);
    CHECK_EQUAL(frame.rdx, frame.rsp + 8);
    CHECK_EQUAL(frame.rax, 0);
    CHECK_EQUAL(frame.rsp % 16, 8);
    CHECK(frame.rsp + 440 <= before.rsp - 128);
    CHECK_EQUAL(word(frame.rsp), RESTORER);
    CHECK_EQUAL(word(frame.rsp + FRAME_RIP), before.rip);
    CHECK_EQUAL(word(frame.rsp + FRAME_MASK), bit(7));
    CHECK_EQUAL((uint32_t)word(frame.rsp + FRAME_INFO), USR1);
    CHECK_EQUAL(word(frame.rsp + FRAME_EXTENDED) % 64, 0);
    CHECK(word(frame.rsp + FRAME_EXTENDED) + posix_info.extended_bytes + 4 <= before.rsp - 128);
    CHECK_EQUAL((uint32_t)word(word(frame.rsp + FRAME_EXTENDED) + 464), 0x46505853u);
    CHECK_EQUAL(shim_blocked(), bit(7) | bit(5) | bit(USR1));
    frame.rsp += 8; /* the handler returned to the restorer */
    shim_set_frame(&frame);
    frame.rax = (uint64_t)posix_rt_sigreturn();
    CHECK_BYTES(&frame, &before, sizeof(frame));
    CHECK_EQUAL(shim_blocked(), bit(7));
    set_mask(0);
}

/* @verifies ATL-LLR-LOAD-0013~1 ATL-LLR-LOAD-0014~1 */
TEST(a_signal_in_a_trampoline_shows_the_site_and_returns_to_the_trampoline)
{
    struct gate_frame frame = fresh_frame();
    set_action(USR1, HANDLER, 0, 0);
    frame.rip = SHIM_TRAMPOLINE;
    send_self(USR1);
    shim_leave(&frame, NO_CALL);
    CHECK_EQUAL(word(frame.rsp + FRAME_RIP), SHIM_SITE);
    frame.rsp += 8;
    shim_set_frame(&frame);
    posix_rt_sigreturn();
    CHECK_EQUAL(frame.rip, SHIM_TRAMPOLINE);
    set_mask(0);
}

/* @verifies ATL-LLR-SIGNAL-0021~1 @robust */
TEST(sigreturn_of_a_broken_frame_is_a_fault)
{
    struct gate_frame frame = fresh_frame();
    set_action(USR1, HANDLER, 0, 0);
    set_action(SEGV, HANDLER + 16, 0, 0);
    send_self(USR1);
    shim_leave(&frame, NO_CALL);
    uint64_t wild = 1ull << 50;
    memcpy((void *)(uintptr_t)(frame.rsp + FRAME_RIP), &wild, sizeof(wild));
    frame.rsp += 8;
    shim_set_frame(&frame);
    posix_rt_sigreturn();
    CHECK(shim_pending());
    shim_leave(&frame, NO_CALL);
    CHECK_EQUAL(frame.rip, HANDLER + 16);
    set_mask(0);
    frame = fresh_frame();
    frame.rsp = 64; /* no memory there */
    shim_set_frame(&frame);
    posix_rt_sigreturn();
    CHECK_ABORTS(shim_leave(&frame, NO_CALL)); /* nor room for the handler's frame */
    CHECK_EQUAL(take(bit(SEGV)), SEGV);
    set_action(SEGV, 0, 0, 0);
    set_mask(0);
}

/* @verifies ATL-LLR-SIGNAL-0044~1 */
TEST(the_alternate_stack_is_used_once)
{
    struct stack stack = {at(alternate_memory), 0, 0, sizeof(alternate_memory)};
    struct stack old;
    struct gate_frame frame = fresh_frame();
    shim_set_frame(&frame);
    CHECK_EQUAL(posix_sigaltstack(0, at(&old)), 0);
    CHECK_EQUAL(old.flags, STACK_DISABLE);
    stack.bytes = 100;
    CHECK_EQUAL(posix_sigaltstack(at(&stack), 0), -ENOMEM);
    stack.bytes = sizeof(alternate_memory);
    stack.flags = 8;
    CHECK_EQUAL(posix_sigaltstack(at(&stack), 0), -EINVAL);
    stack.flags = 0;
    CHECK_EQUAL(posix_sigaltstack(at(&stack), 0), 0);
    set_action(USR1, HANDLER, FLAG_ONSTACK | FLAG_NODEFER, 0);
    send_self(USR1);
    shim_leave(&frame, NO_CALL);
    uint64_t first = frame.rsp;
    CHECK(first > stack.address && first < stack.address + stack.bytes);
    CHECK_EQUAL(posix_sigaltstack(at(&stack), 0), -EPERM);
    CHECK_EQUAL(posix_sigaltstack(0, at(&old)), 0);
    CHECK_EQUAL(old.flags, STACK_ONSTACK);
    send_self(USR1); /* nested: goes on below */
    shim_leave(&frame, NO_CALL);
    CHECK(frame.rsp < first && frame.rsp > stack.address);
    frame = fresh_frame();
    shim_set_frame(&frame);
    stack.flags = STACK_DISABLE;
    CHECK_EQUAL(posix_sigaltstack(at(&stack), 0), 0);
    set_mask(0);
}

/* @verifies ATL-LLR-SIGNAL-0011~1 */
TEST(resethand_and_nodefer_do_what_they_say)
{
    struct gate_frame frame = fresh_frame();
    set_action(USR1, HANDLER, FLAG_RESETHAND | FLAG_NODEFER, 0);
    send_self(USR1);
    shim_leave(&frame, NO_CALL);
    CHECK_EQUAL(frame.rip, HANDLER);
    CHECK_EQUAL(shim_blocked(), 0);
    CHECK_EQUAL(handler_of(USR1), 0);
}

/* @verifies ATL-LLR-SIGNAL-0010~1 */
TEST(an_interrupted_call_is_restarted_or_ends)
{
    struct gate_frame frame = fresh_frame();
    set_action(USR1, HANDLER, FLAG_RESTART, 0);
    frame.rax = (uint64_t)-ERESTARTSYS;
    send_self(USR1);
    shim_leave(&frame, CALL);
    CHECK_EQUAL(word(frame.rsp + FRAME_RIP), at(call_site));
    CHECK_EQUAL(word(frame.rsp + FRAME_REGISTERS + 104), CALL); /* rax */
    set_mask(0);
    frame = fresh_frame();
    frame.rax = (uint64_t)-ERESTARTNOHAND;
    send_self(USR1);
    shim_leave(&frame, CALL);
    CHECK_EQUAL(word(frame.rsp + FRAME_REGISTERS + 104), (uint64_t)-EINTR);
    set_mask(0);
    set_action(USR1, HANDLER, 0, 0);
    frame = fresh_frame();
    frame.rax = (uint64_t)-ERESTARTSYS;
    send_self(USR1);
    shim_leave(&frame, CALL);
    CHECK_EQUAL(word(frame.rsp + FRAME_REGISTERS + 104), (uint64_t)-EINTR);
    CHECK_EQUAL(word(frame.rsp + FRAME_RIP), at(call_site) + 2);
    set_mask(0);
}

/* @verifies ATL-LLR-SIGNAL-0012~1 */
TEST(without_a_handler_the_call_is_made_again)
{
    struct gate_frame frame = fresh_frame();
    frame.rax = (uint64_t)-ERESTARTSYS;
    shim_leave(&frame, CALL);
    CHECK_EQUAL(frame.rax, 77);
    CHECK_EQUAL(shim_repeated_number, CALL);
    frame.rax = (uint64_t)-ERESTART_RESTARTBLOCK;
    shim_leave(&frame, CALL);
    CHECK_EQUAL(shim_repeated_number, SYSCALL_RESTART_SYSCALL);
    uint64_t count = shim_repeated_count;
    frame.rax = (uint64_t)-ERESTARTSYS; /* a value of the application's register, no call */
    shim_leave(&frame, NO_CALL);
    CHECK_EQUAL(shim_repeated_count, count);
}

/* @verifies ATL-LLR-SIGNAL-0042~1 */
TEST(sigsuspend_delivers_under_its_mask_and_restores)
{
    struct gate_frame frame = fresh_frame();
    uint64_t open = 0;
    set_action(USR1, HANDLER, 0, 0);
    set_mask(bit(USR1) | bit(3));
    send_self(USR1);
    frame.rax = (uint64_t)posix_rt_sigsuspend(at(&open), 8);
    CHECK_EQUAL(frame.rax, (uint64_t)-ERESTARTNOHAND);
    shim_leave(&frame, CALL);
    CHECK_EQUAL(frame.rip, HANDLER);
    CHECK_EQUAL(word(frame.rsp + FRAME_MASK), bit(USR1) | bit(3));
    CHECK_EQUAL(word(frame.rsp + FRAME_REGISTERS + 104), (uint64_t)-EINTR);
    CHECK_EQUAL(shim_blocked(), bit(USR1));
    set_mask(0);
}

/* @verifies ATL-LLR-SIGNAL-0003~1 @robust */
TEST(faults_are_delivered_first_and_cannot_be_refused)
{
    struct gate_frame frame = fresh_frame();
    set_action(SEGV, HANDLER, FLAG_SIGINFO, UINT64_MAX);
    send_self(1 + 2);
    send_self(USR1);
    set_action(3, HANDLER + 32, 0, 0);
    shim_fault(SEGV, 1, 0xabcd);
    shim_leave(&frame, NO_CALL);
    CHECK_EQUAL(frame.rip, HANDLER);
    CHECK_EQUAL(word(frame.rsi + 16), 0xabcd);
    CHECK_EQUAL(word(frame.rsp + FRAME_REGISTERS + 176), 0xabcd); /* cr2 */
    /* Blocked by its own handler now: the next one ends the program. */
    shim_fault(SEGV, 1, 0xabcd);
    CHECK_ABORTS(shim_leave(&frame, NO_CALL));
    CHECK_EQUAL(take(bit(SEGV)), SEGV);
    CHECK_EQUAL(handler_of(SEGV), 0);
    CHECK_EQUAL(take(bit(3)), 3);
    CHECK_EQUAL(take(bit(USR1)), USR1);
    set_mask(0);
    set_action(SEGV, 1, 0, 0); /* SIG_IGN */
    shim_fault(SEGV, 1, 0xabcd);
    CHECK_ABORTS(shim_leave(&frame, NO_CALL));
    CHECK_EQUAL(take(bit(SEGV)), SEGV);
}

/* @verifies ATL-LLR-SIGNAL-0011~1 */
TEST(default_actions_end_or_do_nothing)
{
    struct gate_frame frame = fresh_frame();
    CHECK_EQUAL(posix_kill(1, 15), 0);
    CHECK_ABORTS(shim_leave(&frame, NO_CALL));
    CHECK_EQUAL(take(bit(15)), 15);
    CHECK_ABORTS(posix_kill(1, 9));
    CHECK_EQUAL(posix_kill(1, 19), 0); /* stopping is not offered: ignored */
    CHECK(!shim_pending());
}

static _Atomic int64_t waited;

static void wait_for_12(void *argument)
{
    (void)argument;
    uint64_t set = bit(12);
    waited = posix_rt_sigtimedwait(at(&set), 0, 0, 8);
}

/* @verifies ATL-LLR-SIGNAL-0002~1
 * @verifies ATL-LLR-SIGNAL-0004~1 */
TEST(a_process_signal_wakes_a_thread_that_wants_it)
{
    set_mask(bit(12));
    uint64_t parks = shim_park_count();
    waited = 0;
    void *token = shim_start(wait_for_12, NULL);
    shim_await_parks(parks + 1);
    CHECK_EQUAL(posix_kill(1, 12), 0);
    shim_join(token);
    CHECK_EQUAL(waited, 12);
    set_mask(0);
}

__attribute__((constructor)) static void begin(void)
{
    shim_thread_begin();
}

CHECK_MAIN()
