/* SPDX-License-Identifier: Apache-2.0 */
/* The copy functions as they are: a fault goes on where the exception table says, here from a
 * SIGSEGV handler of the host instead of an upcall. */
#include <check.h>
#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>

#define PAGE 4096u
#define EFAULT_RESULT (-14)
#define ENAMETOOLONG_RESULT (-36)
#define PRIVATE_SLOT 0x7f8000000000u

/* As posix/posix.h declares them, whose names of signals are not the host's. */
int64_t posix_copy_in(void *to, uint64_t from, size_t bytes);
int64_t posix_copy_out(uint64_t to, const void *from, size_t bytes);
int64_t posix_zero_out(uint64_t to, size_t bytes);
int64_t posix_copy_in_string(char *to, uint64_t from, size_t bytes_max);
int64_t posix_load_u32(uint64_t from, uint32_t *value);
int64_t posix_store_u32(uint64_t to, uint32_t value);
int64_t posix_exchange_u32(uint64_t at, uint32_t expected, uint32_t desired, uint32_t *seen);

struct exception_entry {
    int32_t instruction, fixup;
};
extern const struct exception_entry __start_posix_exceptions[], __stop_posix_exceptions[];

static uint8_t *page; /* readable and writable; the next one is not there */
static uint8_t *read_only;
static unsigned faults;

static void on_fault(int signal, siginfo_t *info, void *context)
{
    ucontext_t *interrupted = context;
    uint64_t rip = (uint64_t)interrupted->uc_mcontext.gregs[REG_RIP];
    (void)signal, (void)info;
    for (const struct exception_entry *e = __start_posix_exceptions; e < __stop_posix_exceptions;
         e++) {
        if ((uint64_t)(uintptr_t)&e->instruction + (uint64_t)(int64_t)e->instruction == rip) {
            uint64_t to = (uint64_t)(uintptr_t)&e->fixup + (uint64_t)(int64_t)e->fixup;
            interrupted->uc_mcontext.gregs[REG_RIP] = (greg_t)to;
            faults++;
            return;
        }
    }
    _exit(99);
}

static uint64_t at(const void *object)
{
    return (uint64_t)(uintptr_t)object;
}

/* @verifies ATL-LLR-POSIX-0003~1 */
TEST(copies_are_exact_at_every_length_and_offset)
{
    static uint8_t from[700];
    static uint8_t to[700];
    for (unsigned i = 0; i < sizeof(from); i++) {
        from[i] = (uint8_t)(i * 7 + 1);
    }
    for (unsigned offset = 0; offset < 9; offset++) {
        for (unsigned bytes = 0; bytes < 300; bytes++) {
            memset(to, 0, sizeof(to));
            CHECK_EQUAL(posix_copy_in(to + offset, at(from + 1), bytes), 0);
            CHECK_BYTES(to + offset, from + 1, bytes);
            CHECK_EQUAL(to[offset + bytes], 0);
            memset(to, 0, sizeof(to));
            CHECK_EQUAL(posix_copy_out(at(to + offset), from + 1, bytes), 0);
            CHECK_BYTES(to + offset, from + 1, bytes);
            CHECK_EQUAL(to[offset + bytes], 0);
            memset(to, 0xee, sizeof(to));
            CHECK_EQUAL(posix_zero_out(at(to + offset), bytes), 0);
            for (unsigned i = 0; i < bytes; i++) {
                CHECK_EQUAL(to[offset + i], 0);
            }
            CHECK_EQUAL(to[offset + bytes], 0xee);
        }
    }
}

/* @verifies ATL-LLR-POSIX-0003~1 @robust */
TEST(a_fault_is_an_error_wherever_it_comes)
{
    uint8_t buffer[512];
    for (unsigned inside = 0; inside < 300; inside += 7) {
        for (unsigned outside = 1; outside < 200; outside += 13) {
            uint8_t *edge = page + PAGE - inside;
            CHECK_EQUAL(posix_copy_in(buffer, at(edge), inside + outside), EFAULT_RESULT);
            CHECK_EQUAL(posix_copy_out(at(edge), buffer, inside + outside), EFAULT_RESULT);
            CHECK_EQUAL(posix_zero_out(at(edge), inside + outside), EFAULT_RESULT);
            CHECK_EQUAL(posix_copy_in(buffer, at(edge), inside), 0);
        }
    }
    CHECK_EQUAL(posix_copy_out(at(read_only), buffer, 4), EFAULT_RESULT);
    CHECK_EQUAL(posix_copy_in(buffer, at(read_only), 4), 0);
    CHECK(faults > 0);
}

/* @verifies ATL-LLR-POSIX-0003~1 @robust */
TEST(addresses_from_the_private_slot_on_are_not_touched)
{
    uint8_t buffer[16];
    uint32_t value;
    const uint64_t bad[] = {PRIVATE_SLOT, 0x800000000000u, 0xffff800000000000u, UINT64_MAX - 3};
    unsigned before = faults;
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        CHECK_EQUAL(posix_copy_in(buffer, bad[i], 8), EFAULT_RESULT);
        CHECK_EQUAL(posix_copy_out(bad[i], buffer, 8), EFAULT_RESULT);
        CHECK_EQUAL(posix_zero_out(bad[i], 8), EFAULT_RESULT);
        CHECK_EQUAL(posix_load_u32(bad[i], &value), EFAULT_RESULT);
        CHECK_EQUAL(posix_store_u32(bad[i], 1), EFAULT_RESULT);
        CHECK_EQUAL(posix_exchange_u32(bad[i], 0, 1, &value), EFAULT_RESULT);
        CHECK_EQUAL(posix_copy_in_string((char *)buffer, bad[i], 8), EFAULT_RESULT);
    }
    CHECK_EQUAL(posix_copy_in(buffer, 8, UINT64_MAX - 7), EFAULT_RESULT);
    CHECK_EQUAL(faults, before);
}

/* @verifies ATL-LLR-POSIX-0003~1 */
TEST(strings_end_at_nul_limit_or_fault)
{
    char buffer[16];
    CHECK_EQUAL(posix_copy_in_string(buffer, at("hello"), sizeof(buffer)), 5);
    CHECK_STRING(buffer, "hello");
    CHECK_EQUAL(posix_copy_in_string(buffer, at("hello"), 6), 5);
    CHECK_EQUAL(posix_copy_in_string(buffer, at("hello"), 5), ENAMETOOLONG_RESULT);
    CHECK_EQUAL(posix_copy_in_string(buffer, at(""), 1), 0);
    memset(page + PAGE - 4, 'x', 4);
    CHECK_EQUAL(posix_copy_in_string(buffer, at(page + PAGE - 4), 16), EFAULT_RESULT);
    page[PAGE - 1] = 0;
    CHECK_EQUAL(posix_copy_in_string(buffer, at(page + PAGE - 4), 16), 3);
}

/* @verifies ATL-LLR-POSIX-0003~1 */
TEST(words_are_loaded_stored_and_exchanged)
{
    uint32_t *word = (uint32_t *)page;
    uint32_t seen = 0;
    CHECK_EQUAL(posix_store_u32(at(word), 5), 0);
    CHECK_EQUAL(posix_load_u32(at(word), &seen), 0);
    CHECK_EQUAL(seen, 5);
    CHECK_EQUAL(posix_exchange_u32(at(word), 4, 9, &seen), 0);
    CHECK(seen == 5 && *word == 5);
    CHECK_EQUAL(posix_exchange_u32(at(word), 5, 9, &seen), 0);
    CHECK(seen == 5 && *word == 9);
    CHECK_EQUAL(posix_load_u32(at(page + PAGE), &seen), EFAULT_RESULT);
    CHECK_EQUAL(posix_store_u32(at(read_only), 1), EFAULT_RESULT);
    CHECK_EQUAL(posix_exchange_u32(at(read_only), 0, 1, &seen), EFAULT_RESULT);
}

/* Below the private slot, where the host's own mmap does not place things. */
__attribute__((constructor)) static void begin(void)
{
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER};
    page = mmap((void *)0x200000000000u, 3 * PAGE, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (page == MAP_FAILED || mprotect(page + PAGE, PAGE, PROT_NONE) != 0 ||
        mprotect(page + 2 * PAGE, PAGE, PROT_READ) != 0 || sigaction(SIGSEGV, &action, NULL) != 0) {
        abort();
    }
    read_only = page + 2 * PAGE;
}

CHECK_MAIN()
