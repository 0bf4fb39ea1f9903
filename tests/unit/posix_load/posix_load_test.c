/* SPDX-License-Identifier: Apache-2.0 */
/* The loader with real programs: loaded into this process at the product's addresses and then run,
 * in a child; and programs that cannot be run. Paths of the programs come from the build. */
#include "../check.h"
#include "../posix_memory/shim.h"

#include <posix/file.h>
#include <posix/load.h>
#include <posix/memory.h>

static uint8_t *read_whole(const char *path, size_t *bytes)
{
    FILE *file = fopen(path, "rb");
    CHECK(file != NULL);
    uint8_t *content = malloc(16 << 20);
    *bytes = fread(content, 1, 16 << 20, file);
    fclose(file);
    return content;
}

static void start_with(const void *content, size_t bytes, const char *program)
{
    static const char arguments[] = "/bin/program\0one\0";
    static const char environment[] = "KEY=value";
    const struct test_file files[] = {
        {"/bin", 0040755, "", 0},
        {"/bin/link", 0120777, "program", 7},
        {"/bin/program", 0100755, content, bytes},
    };
    struct test_strings argument_strings = {arguments, sizeof(arguments), 3};
    struct test_strings environment_strings = {environment, sizeof(environment), 1};
    static struct test_image image;
    image = test_image_build(files, 3, program, argument_strings, environment_strings);
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
