/* SPDX-License-Identifier: Apache-2.0 */
/* Copies that fault for real: a signal handler stands in for the kernel's page-fault handler. And
 * the page functions, which run in user mode as well. */
#include <check.h>
#include <cpu/exception.h>
#include <cpu/string.h>
#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>

uint8_t shared_cpu_has_smap, shared_cpu_page_by_avx;

static uint8_t *area; /* one page, then a page without access */

static void on_fault(int number, siginfo_t *, void *context)
{
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    uint64_t fixup = cpu_exception_fixup((uint64_t)registers[REG_RIP]);
    if (fixup == 0) {
        signal(number, SIG_DFL);
        return;
    }
    registers[REG_RIP] = (greg_t)fixup;
}

static void prepare(void)
{
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &action, NULL);
    area = mmap(NULL, 2 * PAGE_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(area != MAP_FAILED);
    CHECK_EQUAL(mprotect(area, PAGE_BYTES, PROT_READ | PROT_WRITE), 0);
    for (unsigned i = 0; i < PAGE_BYTES; i++) {
        area[i] = (uint8_t)(i * 11);
    }
}

/* @verifies ATL-LLR-BOOT-0010~1 */
TEST(copies_of_every_size_are_whole)
{
    prepare();
    for (unsigned bytes = 0; bytes < 300; bytes++) {
        uint8_t to[320];
        memset(to, 0xee, sizeof(to));
        CHECK_EQUAL(cpu_user_copy(to + 1, area + 5, bytes), 0);
        CHECK_BYTES(to + 1, area + 5, bytes);
        CHECK(to[0] == 0xee && to[bytes + 1] == 0xee);
    }
}

/* @verifies ATL-LLR-BOOT-0010~1 @robust */
TEST(reads_beyond_a_page_stop_at_the_exact_byte)
{
    prepare();
    for (unsigned there = 0; there < 100; there++) {
        for (unsigned bytes = there + 1; bytes < 160; bytes++) {
            uint8_t to[160] = {0};
            const uint8_t *from = area + PAGE_BYTES - there;
            CHECK_EQUAL(cpu_user_copy(to, from, bytes), bytes - there);
            CHECK_BYTES(to, from, there);
        }
    }
}

/* @verifies ATL-LLR-BOOT-0010~1 @robust */
TEST(writes_beyond_a_page_stop_at_the_exact_byte)
{
    prepare();
    uint8_t from[160];
    memset(from, 0x77, sizeof(from));
    for (unsigned there = 0; there < 100; there++) {
        for (unsigned bytes = there + 1; bytes < 160; bytes++) {
            CHECK_EQUAL(cpu_user_copy(area + PAGE_BYTES - there, from, bytes), bytes - there);
            CHECK_BYTES(area + PAGE_BYTES - there, from, there);
        }
    }
    CHECK_EQUAL(cpu_user_copy((void *)8, from, 16), 16);
}

/* @verifies ATL-LLR-BOOT-0010~1 @robust */
TEST(other_instructions_have_no_fixup)
{
    CHECK_EQUAL(cpu_exception_fixup((uint64_t)prepare), 0);
    CHECK_EQUAL(cpu_exception_fixup(0), 0);
}

static alignas(4096) uint8_t pages[3][PAGE_BYTES];

/* Runs a page function with known vector registers and returns what they are afterwards. */
static void run_sse(uint8_t after[32], bool is_copy)
{
    static const uint8_t before[32] = "0123456789abcdefABCDEFGHIJKLMNO";
    __asm__ volatile("movups (%0), %%xmm0\n\tmovups 16(%0), %%xmm1" : : "r"(before));
    if (is_copy) {
        cpu_page_copy(pages[1], pages[2]);
    } else {
        cpu_page_zero(pages[1]);
    }
    __asm__ volatile("movups %%xmm0, (%0)\n\tmovups %%xmm1, 16(%0)" : : "r"(after) : "memory");
    CHECK_BYTES(after, before, 32);
}

static void check_pages(void)
{
    uint8_t after[32];
    for (unsigned i = 0; i < 3 * PAGE_BYTES; i++) {
        pages[i / PAGE_BYTES][i % PAGE_BYTES] = (uint8_t)(i * 5 + i / 256);
    }
    uint8_t edge = pages[0][PAGE_BYTES - 1];
    run_sse(after, true);
    CHECK_BYTES(pages[1], pages[2], PAGE_BYTES);
    uint8_t behind = pages[2][0];
    run_sse(after, false);
    for (unsigned i = 0; i < PAGE_BYTES; i++) {
        CHECK_EQUAL(pages[1][i], 0);
    }
    CHECK(pages[0][PAGE_BYTES - 1] == edge && pages[2][0] == behind);
}

/* @verifies ATL-LLR-BOOT-0011~1 */
TEST(pages_by_sse)
{
    shared_cpu_page_by_avx = 0;
    check_pages();
}

/* @verifies ATL-LLR-BOOT-0011~1 */
TEST(pages_by_avx)
{
    if (__builtin_cpu_supports("avx")) {
        shared_cpu_page_by_avx = 1;
        check_pages();
    }
}

CHECK_MAIN()
