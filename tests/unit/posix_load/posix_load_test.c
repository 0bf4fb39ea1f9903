/* SPDX-License-Identifier: Apache-2.0 */
/* The loader with real programs: loaded into this process at the product's addresses and then run,
 * in a child; and programs that cannot be run. Paths of the programs come from the build. */
#include "../check.h"
#include "../posix_memory/shim.h"

#include <posix/detour.h>
#include <posix/file.h>
#include <posix/load.h>
#include <posix/memory.h>
#include <sys/mman.h>

/* What entry.S has: here the host does the call. The count is shared with the child that runs it.
 */
static uint64_t *rewritten_calls;
extern uint64_t *rewritten_calls_at;
__asm__(".pushsection .bss\n.globl rewritten_calls_at\n"
        "rewritten_calls_at: .skip 8\nbehind: .skip 8\n.popsection\n"
        ".globl posix_detour_entry\nposix_detour_entry:\n"
        "mov %rcx, behind(%rip)\nmov rewritten_calls_at(%rip), %r11\n"
        "mov (%r11), %rcx\nlea 1(%rcx), %rcx\nmov %rcx, (%r11)\n"
        "syscall\nmov behind(%rip), %rcx\njmp *behind(%rip)\n");

static uint8_t *read_whole(const char *path, size_t *bytes)
{
    FILE *file = fopen(path, "rb");
    CHECK(file != NULL);
    uint8_t *content = malloc(16 << 20);
    *bytes = fread(content, 1, 16 << 20, file);
    fclose(file);
    return content;
}

/* The sites that are easily found: mov $number, %eax; syscall. */
static size_t find_sites(const uint8_t *content, size_t bytes, struct posix_detour_site *sites)
{
    struct posix_elf elf;
    const char *reason;
    const struct posix_elf_limits limits = {1, 1ull << 39, 1ull << 40, true};
    size_t count = 0;
    if (!posix_elf_validate(content, bytes, &limits, &elf, &reason)) {
        return 0;
    }
    for (uint32_t i = 0; i < elf.segment_count; i++) {
        const struct posix_elf_segment *segment = &elf.segments[i];
        for (uint64_t at = 0; segment->protection == 5 && at + 7 <= segment->file_bytes; at++) {
            const uint8_t *code = content + segment->offset + at;
            if (code[0] == 0xb8 && code[3] == 0 && code[4] == 0 && code[5] == 0x0f &&
                code[6] == 0x05) {
                sites[count++] = (struct posix_detour_site){
                    (uint32_t)(segment->address + at - elf.low), 5, 0, 0};
            }
        }
    }
    return count;
}

static bool with_detours;

static void start_with(const void *content, size_t bytes, const char *program)
{
    static struct posix_detour_site sites[1000];
    size_t site_count = with_detours ? find_sites(content, bytes, sites) : 0;
    static const char arguments[] = "/bin/program\0one\0";
    static const char environment[] = "KEY=value";
    const struct test_file files[] = {
        {"/bin", 0040755, "", 0},
        {"/bin/link", 0120777, "program", 7},
        {"/bin/program", 0100755, content, bytes},
        {"/proc/.atoll/detours", 0100400, sites, site_count * sizeof(sites[0])},
    };
    struct test_strings argument_strings = {arguments, sizeof(arguments), 3};
    struct test_strings environment_strings = {environment, sizeof(environment), 1};
    static struct test_image image;
    image = test_image_build(files, 4, program, argument_strings, environment_strings);
    shim_start(&image);
    posix_memory_initialize();
    posix_file_initialize();
}

/* As entry.S does: the first instruction with the initial stack and no argument in rdx. */
static void enter(const struct posix_program *program)
{
    __asm__ volatile("mov %0, %%rsp\n\txor %%edx, %%edx\n\tjmp *%1"
                     :
                     : "r"(program->stack), "r"(program->entry)
                     : "rdx", "memory");
    __builtin_unreachable();
}

/* Loads in a child and runs it there; its wait status. */
static int run_program(const char *path, const char *name)
{
    fflush(NULL);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        size_t bytes;
        uint8_t *content = read_whole(path, &bytes);
        start_with(content, bytes, name);
        struct posix_program program;
        posix_program_load(&program);
        enter(&program);
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child);
    return status;
}

/* @verifies ATL-LLR-LOAD-0003~1 */
/* @verifies ATL-LLR-LOAD-0002~1 */
TEST(a_fixed_program_runs)
{
    int status = run_program(PROGRAM_FIXED, "/bin/program");
    CHECK(WIFEXITED(status));
    CHECK_EQUAL(WEXITSTATUS(status), 42);
}

/* @verifies ATL-LLR-LOAD-0003~1 */
TEST(a_position_independent_program_runs)
{
    int status = run_program(PROGRAM_PIE, "/bin/program");
    CHECK(WIFEXITED(status));
    CHECK_EQUAL(WEXITSTATUS(status), 42);
}

/* @verifies ATL-LLR-LOAD-0012~1 */
TEST(rewritten_programs_run)
{
    static const char *const programs[] = {PROGRAM_FIXED, PROGRAM_PIE};
    rewritten_calls = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(rewritten_calls != MAP_FAILED);
    rewritten_calls_at = rewritten_calls;
    for (size_t i = 0; i < 2; i++) {
        *rewritten_calls = 0;
        with_detours = true;
        int status = run_program(programs[i], "/bin/program");
        with_detours = false;
        CHECK(WIFEXITED(status));
        CHECK_EQUAL(WEXITSTATUS(status), 42);
        CHECK(*rewritten_calls >= 5);
    }
}

static void print_and_leave(void)
{
    fprintf(stderr, "%s\n", shim_reports);
    _exit((int)shim_exit_status);
}

/* Status of the refusal, its text in report. */
static int refusal(const void *content, size_t bytes, const char *name, char *report, size_t room)
{
    int ends[2];
    CHECK(pipe(ends) == 0);
    fflush(NULL);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        dup2(ends[1], 2);
        shim_at_exit = print_and_leave;
        start_with(content, bytes, name);
        struct posix_program program;
        posix_program_load(&program);
        _exit(0);
    }
    close(ends[1]);
    ssize_t got = read(ends[0], report, room - 1);
    report[got > 0 ? got - 1 : 0] = '\0';
    close(ends[0]);
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* @verifies ATL-LLR-LOAD-0004~1 */
/* @verifies ATL-LLR-FILE-0018~1 */
TEST(programs_that_cannot_run_are_refused_by_name)
{
    char report[512];
    CHECK_EQUAL(refusal("text", 4, "/bin/nothing", report, sizeof(report)), 127);
    CHECK_STRING(report, "cannot run /bin/nothing: there is no such file in the image");
    CHECK_EQUAL(refusal("text", 4, "/bin", report, sizeof(report)), 126);
    CHECK_STRING(report, "cannot run /bin: it is not a regular file");
    CHECK_EQUAL(refusal("text", 4, "/bin/program", report, sizeof(report)), 126);
    CHECK_STRING(report, "cannot run /bin/program: it is too short for an ELF file");
    size_t bytes;
    uint8_t *shell = read_whole("/bin/true", &bytes);
    CHECK_EQUAL(refusal(shell, bytes, "/bin/link", report, sizeof(report)), 126);
    CHECK_STRING(report, "cannot run /bin/link: it is dynamically linked (link it with -static)");
    free(shell);
}

/* @verifies ATL-LLR-LOAD-0003~1 */
TEST(the_stack_is_random_and_has_a_guard)
{
    size_t bytes;
    uint8_t *content = read_whole(PROGRAM_FIXED, &bytes);
    start_with(content, bytes, "/bin/program");
    struct posix_program program;
    posix_program_load(&program);
    CHECK_EQUAL(program.stack % 16, 0);
    CHECK_EQUAL(program.stack / GATE_SLOT_BYTES, 0);
    struct posix_region_info region;
    CHECK(posix_memory_find(program.stack, false, &region));
    CHECK_EQUAL(region.kind, POSIX_REGION_STACK);
    CHECK_EQUAL(region.end - region.start, 8 << 20);
    CHECK_EQUAL(shim_protection_at(region.start - 1), -1);
    struct posix_region_info text;
    CHECK(posix_memory_find(program.entry, false, &text));
    CHECK_EQUAL(text.kind, POSIX_REGION_IMAGE);
    CHECK_EQUAL(text.protection, 5);
    free(content);
}

CHECK_MAIN()
