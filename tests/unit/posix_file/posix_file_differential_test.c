/* SPDX-License-Identifier: Apache-2.0 */
/* The same random calls on file/ and on the Linux below, in a directory of its own each: every
 * result, errno, stat and byte must be the same. Skipped where the build machine is not root or has
 * no tmpfs-like /dev/shm: permissions would differ. */
#include "../check.h"
#include "shim.h"

#include <errno.h>
#include <posix/file.h>
#include <posix/syscalls.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define ROUNDS 60
#define STEPS 1500
#define FILES_MAX 8
#define BUFFER_BYTES 20000

static uint64_t random_state;
static uint32_t next_random(uint32_t below)
{
    random_state = random_state * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(random_state >> 33) % below;
}

typedef int64_t (*invoke)(long number, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e);

static int64_t on_linux(long number, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e)
{
    long result = syscall(number, a, b, c, d, e, 0);
    return result < 0 ? -errno : result;
}

static int64_t on_posix(long number, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e)
{
    switch (number) {
    case SYS_openat:
        return posix_openat(a, b, c, d);
    case SYS_close:
        return posix_close(a);
    case SYS_read:
        return posix_read(a, b, c);
    case SYS_write:
        return posix_write(a, b, c);
    case SYS_pread64:
        return posix_pread64(a, b, c, d);
    case SYS_pwrite64:
        return posix_pwrite64(a, b, c, d);
    case SYS_lseek:
        return posix_lseek(a, b, c);
    case SYS_ftruncate:
        return posix_ftruncate(a, b);
    case SYS_truncate:
        return posix_truncate(a, b);
    case SYS_fallocate:
        return posix_fallocate(a, b, c, d);
    case SYS_mkdir:
        return posix_mkdir(a, b);
    case SYS_rmdir:
        return posix_rmdir(a);
    case SYS_unlink:
        return posix_unlink(a);
    case SYS_unlinkat:
        return posix_unlinkat(a, b, c);
    case SYS_renameat2:
        return posix_renameat2(a, b, c, d, e);
    case SYS_link:
        return posix_link(a, b);
    case SYS_symlink:
        return posix_symlink(a, b);
    case SYS_readlink:
        return posix_readlink(a, b, c);
    case SYS_newfstatat:
        return posix_newfstatat(a, b, c, d);
    case SYS_fstat:
        return posix_fstat(a, b);
    case SYS_access:
        return posix_access(a, b);
    case SYS_dup3:
        return posix_dup3(a, b, c);
    case SYS_fcntl:
        return posix_fcntl(a, b, c);
    case SYS_chmod:
        return posix_chmod(a, b);
    case SYS_getdents64:
        return posix_getdents64(a, b, c);
    default:
        return -1000;
    }
}

static const char *const names[] = {
    "a",    "b",   "c",   "d",   "d/a",      "d/b", "d/e", "d/e/a", "d/e/f",
    "l",    "l/a", "d/l", "./a", "d/../b",   "d/",  "a/",  ".",     "..",
    "d/..", "d/.", "l/",  "",    "d/e/../a", "m",   "m/x", "a/b",   "d//a",
};
#define NAME_COUNT (sizeof(names) / sizeof(names[0]))
static const char *const targets[] = {"a", "d", "e", "../a", "l", "m", "nowhere", "d/e", ".", "d/"};

static const char *random_name(void)
{
    return names[next_random(NAME_COUNT)];
}

/* One call, its arguments chosen; descriptors are indices into each side's table. */
struct call {
    long number;
    uint64_t argument[5];
    int descriptor; /* index of the argument's file, or -1 */
    int opened;     /* slot that a success fills, or -1 */
    int closed;
    uint64_t out_bytes;
};

struct side {
    invoke call;
    int64_t descriptors[FILES_MAX];
    uint8_t out[BUFFER_BYTES];
};
static struct side sides[2];
static uint8_t in[BUFFER_BYTES];

#define TEXT(string_) ((uint64_t)(uintptr_t)(string_))

static void choose_open(struct call *call)
{
    static const uint32_t flags[] = {0,         1,         2,         0100,   0101,    0102,
                                     0302,      01002,     02001,     02102,  0200000, 0400000,
                                     0100102,   03101,     01000,     0300,   0200002, 0500000,
                                     010000000, 010400000, 020200002, 0200100};
    call->number = SYS_openat;
    call->argument[0] = (uint64_t)-100;
    call->argument[1] = TEXT(random_name());
    call->argument[2] = flags[next_random(sizeof(flags) / sizeof(flags[0]))];
    call->argument[3] = next_random(2) ? 0755 : 0644;
    call->opened = (int)next_random(FILES_MAX);
}

static uint64_t random_offset(void)
{
    static const uint32_t scales[] = {16, 5000, 20000, 300000};
    uint64_t offset = next_random(scales[next_random(4)]);
    return next_random(30) == 0 ? -offset : offset;
}

static uint64_t random_bytes(void)
{
    static const uint32_t scales[] = {4, 600, 5000, BUFFER_BYTES};
    return next_random(scales[next_random(4)]);
}

static void choose_data(struct call *call)
{
    static const long numbers[] = {SYS_read,  SYS_write,     SYS_pread64,   SYS_pwrite64,
                                   SYS_lseek, SYS_ftruncate, SYS_fallocate, SYS_fstat};
    call->number = numbers[next_random(8)];
    call->descriptor = (int)next_random(FILES_MAX);
    switch (call->number) {
    case SYS_lseek:
        call->argument[1] = random_offset();
        call->argument[2] = next_random(4);
        if (call->argument[2] == 3) {
            call->argument[2] = 5; /* SEEK_DATA and SEEK_HOLE differ by file system */
        }
        break;
    case SYS_ftruncate:
        call->argument[1] = random_offset();
        break;
    case SYS_fallocate: {
        static const uint32_t modes[] = {0, 1, 3, 3, 2, 4};
        call->argument[1] = modes[next_random(6)];
        call->argument[2] = random_offset();
        call->argument[3] = random_bytes();
        break;
    }
    default:
        call->argument[2] = random_bytes();
        call->argument[3] = random_offset();
        call->out_bytes =
            call->number == SYS_read || call->number == SYS_pread64 ? BUFFER_BYTES : 0;
        break;
    }
}

static void choose_names(struct call *call)
{
    static const long numbers[] = {SYS_mkdir, SYS_rmdir,    SYS_unlink,     SYS_renameat2,
                                   SYS_link,  SYS_symlink,  SYS_newfstatat, SYS_access,
                                   SYS_chmod, SYS_truncate, SYS_readlink,   SYS_unlinkat};
    call->number = numbers[next_random(12)];
    call->argument[0] = TEXT(random_name());
    switch (call->number) {
    case SYS_mkdir:
    case SYS_chmod:
        call->argument[1] = next_random(2) ? 0755 : 0700;
        break;
    case SYS_access:
        call->argument[1] = next_random(9);
        break;
    case SYS_truncate:
        call->argument[1] = random_offset();
        break;
    case SYS_renameat2: {
        static const uint32_t flags[] = {0, 0, 0, 1, 2, 3};
        call->argument[0] = (uint64_t)-100;
        call->argument[1] = TEXT(random_name());
        call->argument[2] = (uint64_t)-100;
        call->argument[3] = TEXT(random_name());
        call->argument[4] = flags[next_random(6)];
        break;
    }
    case SYS_link:
        call->argument[1] = TEXT(random_name());
        break;
    case SYS_symlink:
        call->argument[0] = TEXT(targets[next_random(sizeof(targets) / sizeof(targets[0]))]);
        call->argument[1] = TEXT(random_name());
        break;
    case SYS_newfstatat:
    case SYS_unlinkat:
        call->argument[0] = (uint64_t)-100;
        call->argument[1] = TEXT(random_name());
        call->argument[3] = next_random(2) ? 0x100 : 0;
        if (call->number == SYS_unlinkat) {
            call->argument[2] = next_random(2) ? 0x200 : 0;
        }
        break;
    case SYS_readlink:
        call->argument[2] = next_random(12);
        call->out_bytes = 64;
        break;
    default:
        break;
    }
}

static void choose(struct call *call)
{
    memset(call, 0, sizeof(*call));
    call->descriptor = -1;
    call->opened = -1;
    call->closed = -1;
    uint32_t kind = next_random(10);
    if (kind < 2) {
        choose_open(call);
    } else if (kind < 6) {
        choose_data(call);
    } else if (kind < 9) {
        choose_names(call);
    } else if (next_random(3) == 0) {
        call->number = SYS_fcntl;
        call->descriptor = (int)next_random(FILES_MAX);
        call->argument[1] = next_random(2) ? 3 : 4; /* F_GETFL, F_SETFL */
        call->argument[2] = next_random(2) ? 02000 : 0;
    } else {
        call->number = SYS_close;
        call->descriptor = (int)next_random(FILES_MAX);
        call->closed = call->descriptor;
    }
}

static int64_t run(struct side *side, struct call call)
{
    memset(side->out, 0xee, sizeof(side->out));
    if (call.descriptor >= 0) {
        call.argument[0] = (uint64_t)side->descriptors[call.descriptor];
    }
    switch (call.number) {
    case SYS_read:
    case SYS_pread64:
    case SYS_readlink:
    case SYS_fstat:
        call.argument[1] = TEXT(side->out);
        break;
    case SYS_write:
    case SYS_pwrite64:
        call.argument[1] = TEXT(in);
        break;
    case SYS_newfstatat:
        call.argument[2] = TEXT(side->out);
        break;
    default:
        break;
    }
    int64_t result = side->call(call.number, call.argument[0], call.argument[1], call.argument[2],
                                call.argument[3], call.argument[4]);
    if (call.opened >= 0 && result >= 0) {
        if (side->descriptors[call.opened] >= 0) {
            side->call(SYS_close, (uint64_t)side->descriptors[call.opened], 0, 0, 0, 0);
        }
        side->descriptors[call.opened] = result;
        result = 0;
    }
    if (call.closed >= 0 && result >= 0) {
        side->descriptors[call.closed] = -1;
    }
    return result;
}

/* The fields of stat that do not depend on the file system below. */
static bool stats_differ(const uint8_t *a, const uint8_t *b)
{
    const struct posix_stat *x = (const struct posix_stat *)a;
    const struct posix_stat *y = (const struct posix_stat *)b;
    bool is_directory = (x->mode & 0170000) == 0040000;
    return x->mode != y->mode || x->link_count != y->link_count || x->user != y->user ||
           x->group != y->group || (!is_directory && x->bytes != y->bytes);
}

static bool differs(const struct call *call, int64_t result)
{
    if (result < 0) {
        return false;
    }
    if (call->number == SYS_fstat || call->number == SYS_newfstatat) {
        return stats_differ(sides[0].out, sides[1].out);
    }
    return call->out_bytes != 0 && memcmp(sides[0].out, sides[1].out, call->out_bytes) != 0;
}

static void describe_stat(const struct side *side)
{
    const struct posix_stat *stat = (const struct posix_stat *)side->out;
    printf("mode 0%o, %llu links, %lld bytes\n", stat->mode, (unsigned long long)stat->link_count,
           (long long)stat->bytes);
}

static void describe(const struct call *call, int step)
{
    if (call->number == SYS_fstat || call->number == SYS_newfstatat) {
        describe_stat(&sides[0]);
        describe_stat(&sides[1]);
    }
    printf("step %d: call %ld(", step, call->number);
    for (int i = 0; i < 5; i++) {
        bool is_text = false;
        for (size_t n = 0; n < NAME_COUNT; n++) {
            is_text = is_text || call->argument[i] == TEXT(names[n]);
        }
        for (size_t n = 0; n < sizeof(targets) / sizeof(targets[0]); n++) {
            is_text = is_text || call->argument[i] == TEXT(targets[n]);
        }
        if (is_text) {
            printf("\"%s\", ", (const char *)(uintptr_t)call->argument[i]);
        } else {
            printf("0x%llx, ", (unsigned long long)call->argument[i]);
        }
    }
    printf(") descriptor %d\n", call->descriptor);
}

static void close_all(struct side *side)
{
    for (int i = 0; i < FILES_MAX; i++) {
        if (side->descriptors[i] >= 0) {
            side->call(SYS_close, (uint64_t)side->descriptors[i], 0, 0, 0, 0);
        }
        side->descriptors[i] = -1;
    }
}

static bool enter_fresh_directory(int round)
{
    char path[128];
    snprintf(path, sizeof(path), "/dev/shm/atoll-differential-%d-%d", getpid(), round);
    char command[256];
    snprintf(command, sizeof(command), "mkdir -p %s/w", path);
    if (system(command) != 0) {
        return false;
    }
    snprintf(command, sizeof(command), "%s/w", path);
    if (chdir(command) != 0) {
        return false;
    }
    char inside[64];
    snprintf(inside, sizeof(inside), "/tmp/%d", round);
    CHECK_EQUAL(posix_mkdir(TEXT(inside), 0755), 0);
    snprintf(inside, sizeof(inside), "/tmp/%d/w", round);
    CHECK_EQUAL(posix_mkdir(TEXT(inside), 0755), 0);
    CHECK_EQUAL(posix_chdir(TEXT(inside)), 0);
    return true;
}

static void leave_directory(int round)
{
    char command[256];
    snprintf(command, sizeof(command), "rm -rf /dev/shm/atoll-differential-%d-%d", getpid(), round);
    CHECK_EQUAL(chdir("/"), 0);
    CHECK_EQUAL(system(command), 0);
}

static const struct test_file files[] = {{"/app", 0100755, "x", 1}};

static bool prepare(void)
{
    static struct test_image image;
    if (geteuid() != 0 || access("/dev/shm", W_OK) != 0) {
        printf("not root or no /dev/shm: nothing to compare with\n");
        return false;
    }
    umask(022);
    struct test_strings none = {"", 0, 0};
    image = test_image_build(files, 1, "/app", none, none);
    shim_start(&image, IMAGE_FLAG_FRAMED);
    posix_file_initialize();
    sides[0] = (struct side){.call = on_linux};
    sides[1] = (struct side){.call = on_posix};
    for (int i = 0; i < FILES_MAX; i++) {
        sides[0].descriptors[i] = -1;
        sides[1].descriptors[i] = -1;
    }
    for (size_t i = 0; i < sizeof(in); i++) {
        in[i] = (uint8_t)(i * 31 + i / 256 + 1);
    }
    return true;
}

/* @verifies ATL-LLR-FILE-0009~1 */
/* @verifies ATL-LLR-FILE-0010~1 */
/* @verifies ATL-LLR-FILE-0011~1 */
/* @verifies ATL-LLR-FILE-0015~1 */
/* @verifies ATL-LLR-FILE-0016~1 */
/* @verifies ATL-LLR-FILE-0021~1 */
/* @verifies ATL-LLR-FILE-0022~1 */
/* @verifies ATL-LLR-FILE-0023~1 */
/* @verifies ATL-LLR-FILE-0027~1 */
TEST(random_calls_do_what_linux_does)
{
    if (!prepare()) {
        return;
    }
    for (int round = 0; round < ROUNDS; round++) {
        random_state = (uint64_t)round * 7919 + 17;
        if (!enter_fresh_directory(round)) {
            return;
        }
        for (int step = 0; step < STEPS; step++) {
            struct call call;
            choose(&call);
            int64_t expected = run(&sides[0], call);
            int64_t actual = run(&sides[1], call);
            if (expected != actual || differs(&call, expected)) {
                describe(&call, step);
                printf("round %d: Linux %lld, posix %lld\n", round, (long long)expected,
                       (long long)actual);
                leave_directory(round);
                CHECK_EQUAL(actual, expected);
                CHECK(!differs(&call, expected));
            }
        }
        close_all(&sides[0]);
        close_all(&sides[1]);
        leave_directory(round);
    }
}

CHECK_MAIN()
