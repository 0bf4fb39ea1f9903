/* SPDX-License-Identifier: Apache-2.0 */
/* Detours of system-call sites: the check of the image's table, the trampolines, the rewriting, and
 * the way between an address of the program and one of its trampolines. */
#include <posix/detour.h>
#include <posix/file.h>
#include <posix/memory.h>
#include <posix/syscalls.h>

#define TABLE_PATH "/proc/.atoll/detours" /* hidden from the program; tools/atoll/pack.py */
#define JUMP_BYTES 5u
#define SYSCALL_BYTES 2u
#define DISPLACED_MIN 3u /* with the `syscall` they are as long as the jump */
#define LEA_RCX_BYTES 7u
#define JUMP_BY_WORD_BYTES 6u
#define MOV_EAX_BYTES 5u
#define OPCODE_MOV_EAX 0xb8u
#define OPCODE_INT3 0xccu
#define PROT_READ_WRITE 3u
#if defined(ATOLL_DEBUG) || defined(ATOLL_TRACE)
#define NOTES_ALL_CALLS true /* core/noted.c, core/traced.c */
#else
#define NOTES_ALL_CALLS false
#endif

struct answer {
    uint32_t number, value;
};
/* Linux calls whose answer never changes. */
static const struct answer answers[] = {
#define SYSCALL_ANSWER(number, name, value) {number, value},
#include <posix_answers.inc>
};

_Static_assert(POSIX_DETOUR_DISPLACED_MAX + LEA_RCX_BYTES + JUMP_BY_WORD_BYTES <=
                   POSIX_DETOUR_TRAMPOLINE_BYTES,
               "a trampoline holds the longest site");

/* Written once, before the program runs. */
static const struct posix_detour_site *sites; /* ascending */
static uint32_t site_count;
static uint64_t program; /* address that offsets of sites count from */
static uint64_t first;   /* trampoline of site 0; the word is one trampoline's size below */

static uint64_t address_of(const struct posix_detour_site *site)
{
    return program + site->offset;
}

static uint64_t trampoline_of(const struct posix_detour_site *site)
{
    return first + (uint64_t)(site - sites) * POSIX_DETOUR_TRAMPOLINE_BYTES;
}

/* The executable segment whose bytes in the file hold the site whole; NULL: none. */
static const struct posix_elf_segment *segment_of(const struct posix_detour_site *site,
                                                  const struct posix_elf *elf)
{
    uint64_t start = elf->low + site->offset;
    for (uint32_t i = 0; i < elf->segment_count; i++) {
        const struct posix_elf_segment *segment = &elf->segments[i];
        if ((segment->protection & GATE_EXECUTE) != 0 && start >= segment->address &&
            start - segment->address + site->bytes + SYSCALL_BYTES <= segment->file_bytes) {
            return segment;
        }
    }
    return NULL;
}

static const uint8_t *code_of(const struct posix_detour_site *site, const uint8_t *file,
                              const struct posix_elf *elf)
{
    const struct posix_elf_segment *segment = segment_of(site, elf);
    return file + segment->offset + (elf->low + site->offset - segment->address);
}

/* @impl ATL-LLR-LOAD-0010~1 */
bool posix_detour_validate(const struct posix_detour_site *table, uint32_t count,
                           const uint8_t *file, const struct posix_elf *elf)
{
    uint64_t behind = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct posix_detour_site *site = &table[i];
        bool holds = site->offset >= behind && site->bytes >= DISPLACED_MIN &&
                     site->bytes <= POSIX_DETOUR_DISPLACED_MAX && site->reserved == 0 &&
                     (site->fixup == 0 || site->fixup + sizeof(int32_t) <= site->bytes) &&
                     segment_of(site, elf) != NULL;
        if (!holds) {
            return false;
        }
        const uint8_t *call = code_of(site, file, elf) + site->bytes;
        if (call[0] != 0x0f || call[1] != 0x05) {
            return false;
        }
        behind = (uint64_t)site->offset + site->bytes + SYSCALL_BYTES;
    }
    return true;
}

/* Stores the distance from behind its own four bytes; false: it does not fit. */
static bool put_distance(uint8_t *to, uint64_t address, uint64_t target)
{
    int64_t distance = (int64_t)(target - (address + sizeof(int32_t)));
    int32_t stored = (int32_t)distance;
    __builtin_memcpy(to, &stored, sizeof(stored));
    return stored == distance;
}

/* The answer of a site that is `mov $number, %eax` and nothing else; NULL: posix/ is asked. */
static const struct answer *answer_of(const struct posix_detour_site *site, const uint8_t *code)
{
    uint32_t number;
    __builtin_memcpy(&number, code + 1, sizeof(number));
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        if (!NOTES_ALL_CALLS && site->bytes == MOV_EAX_BYTES && code[0] == OPCODE_MOV_EAX &&
            number == answers[i].number) {
            return &answers[i];
        }
    }
    return NULL;
}

/* @impl ATL-LLR-LOAD-0011~1
 * @impl ATL-LLR-LOAD-0840~1 */
bool posix_detour_build(uint8_t trampoline[POSIX_DETOUR_TRAMPOLINE_BYTES],
                        const struct posix_detour_site *site, const uint8_t *code, uint64_t from,
                        uint64_t to, uint64_t word)
{
    static const uint8_t lea_rcx[] = {0x48, 0x8d, 0x0d};
    static const uint8_t jump_by_word[] = {0xff, 0x25};
    static const uint8_t jump_by_rcx[] = {0xff, 0xe1};
    __builtin_memset(trampoline, OPCODE_INT3, POSIX_DETOUR_TRAMPOLINE_BYTES);
    __builtin_memcpy(trampoline, code, site->bytes);
    bool fits = true;
    if (site->fixup != 0) {
        int32_t distance;
        __builtin_memcpy(&distance, code + site->fixup, sizeof(distance));
        int64_t moved = (int64_t)distance + (int64_t)(from - to);
        distance = (int32_t)moved;
        __builtin_memcpy(trampoline + site->fixup, &distance, sizeof(distance));
        fits = distance == moved;
    }
    size_t at = site->bytes;
    __builtin_memcpy(trampoline + at, lea_rcx, sizeof(lea_rcx));
    at += sizeof(lea_rcx);
    fits = put_distance(trampoline + at, to + at, from + site->bytes + SYSCALL_BYTES) && fits;
    at += sizeof(int32_t);
    const struct answer *answer = answer_of(site, code);
    if (answer != NULL) {
        trampoline[at] = OPCODE_MOV_EAX;
        __builtin_memcpy(trampoline + at + 1, &answer->value, sizeof(answer->value));
        __builtin_memcpy(trampoline + at + MOV_EAX_BYTES, jump_by_rcx, sizeof(jump_by_rcx));
        return fits;
    }
    __builtin_memcpy(trampoline + at, jump_by_word, sizeof(jump_by_word));
    at += sizeof(jump_by_word);
    return put_distance(trampoline + at, to + at, word) && fits;
}

/* The table of the image; false: it is not whole. */
static bool find_table(const uint8_t *file, const struct posix_elf *elf)
{
    const struct image_file *found = posix_image_exact(TABLE_PATH);
    if (found == NULL || found->bytes == 0) {
        return true;
    }
    uint64_t count = found->bytes / sizeof(sites[0]);
    const void *table =
        posix_image_verify(found, 0, found->bytes) == 0 ? posix_image_window(found) : NULL;
    if (table == NULL || found->bytes % sizeof(sites[0]) != 0 || count > UINT32_MAX ||
        !posix_detour_validate(table, (uint32_t)count, file, elf)) {
        return false;
    }
    sites = table;
    site_count = (uint32_t)count;
    return true;
}

/* The trampolines, and the word before them; nothing can write there once it is done. */
static bool make_trampolines(const uint8_t *file, const struct posix_elf *elf, uint64_t bytes)
{
    uint64_t word = first - POSIX_DETOUR_TRAMPOLINE_BYTES;
    struct posix_map_request request = {.address = word,
                                        .bytes = bytes,
                                        .protection = PROT_READ_WRITE,
                                        .kind = POSIX_REGION_ANONYMOUS};
    if (posix_memory_map_at(&request) < 0) {
        return false;
    }
    uint64_t entry = (uint64_t)(uintptr_t)posix_detour_entry;
    bool holds = posix_copy_out(word, &entry, sizeof(entry)) == 0;
    for (const struct posix_detour_site *site = sites; site < sites + site_count; site++) {
        uint8_t trampoline[POSIX_DETOUR_TRAMPOLINE_BYTES];
        uint64_t to = trampoline_of(site);
        holds = holds &&
                posix_detour_build(trampoline, site, code_of(site, file, elf), address_of(site), to,
                                   word) &&
                posix_copy_out(to, trampoline, sizeof(trampoline)) == 0;
    }
    return holds && posix_mprotect(word, bytes, GATE_READ | GATE_EXECUTE) == 0;
}

static bool put_jump(const struct posix_detour_site *site)
{
    uint8_t jump[JUMP_BYTES] = {0xe9};
    uint64_t at = address_of(site);
    return put_distance(jump + 1, at + 1, trampoline_of(site)) &&
           posix_copy_out(at, jump, sizeof(jump)) == 0;
}

/* Each executable segment is writable instead while its sites are written. */
static bool rewrite(const struct posix_elf *elf, uint64_t bias)
{
    const struct posix_detour_site *site = sites;
    while (site < sites + site_count) {
        const struct posix_elf_segment *segment = segment_of(site, elf);
        uint64_t start = POSIX_PAGE_DOWN(segment->address + bias);
        uint64_t bytes = POSIX_PAGE_UP(segment->address + bias + segment->file_bytes) - start;
        bool holds = posix_mprotect(start, bytes, PROT_READ_WRITE) == 0;
        for (; holds && site < sites + site_count && segment_of(site, elf) == segment; site++) {
            holds = put_jump(site);
        }
        if (!holds || posix_mprotect(start, bytes, segment->protection) != 0) {
            return false;
        }
    }
    return true;
}

/* @impl ATL-LLR-LOAD-0012~1 */
const char *posix_detour_install(const uint8_t *file, const struct posix_elf *elf, uint64_t bias,
                                 uint64_t *end)
{
    *end = elf->high + bias;
    if (!find_table(file, elf)) {
        return "its table of system-call sites is damaged";
    }
    if (site_count == 0) {
        return NULL;
    }
    program = elf->low + bias;
    first = *end + POSIX_DETOUR_TRAMPOLINE_BYTES;
    uint64_t bytes = POSIX_PAGE_UP((site_count + 1ull) * POSIX_DETOUR_TRAMPOLINE_BYTES);
    if (!make_trampolines(file, elf, bytes) || !rewrite(elf, bias)) {
        return "there is no room for its detours";
    }
    *end += bytes;
    return NULL;
}

/* The last site that begins at or below rip; NULL: none. */
static const struct posix_detour_site *site_below(uint64_t rip)
{
    uint32_t low = 0;
    uint32_t high = site_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (address_of(&sites[middle]) <= rip) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low != 0 ? &sites[low - 1] : NULL;
}

/* The site whose trampoline holds rip; NULL: none. */
static const struct posix_detour_site *site_of_trampoline(uint64_t rip)
{
    uint64_t index = (rip - first) / POSIX_DETOUR_TRAMPOLINE_BYTES;
    return index < site_count ? &sites[index] : NULL;
}

/* @impl ATL-LLR-LOAD-0013~1 */
uint64_t posix_detour_shown(uint64_t rip, uint64_t rcx)
{
    if (rip == (uint64_t)(uintptr_t)posix_detour_entry) {
        return rcx - SYSCALL_BYTES;
    }
    const struct posix_detour_site *site = site_of_trampoline(rip);
    if (site == NULL) {
        return rip;
    }
    uint64_t inside = rip - trampoline_of(site);
    if (inside == site->bytes + LEA_RCX_BYTES + MOV_EAX_BYTES) {
        return address_of(site) + site->bytes + SYSCALL_BYTES; /* the answer is there */
    }
    return address_of(site) + (inside < site->bytes ? inside : site->bytes);
}

/* @impl ATL-LLR-LOAD-0014~1 */
uint64_t posix_detour_taken(uint64_t rip)
{
    const struct posix_detour_site *site = site_below(rip);
    if (site == NULL || rip == address_of(site) || rip - address_of(site) > site->bytes) {
        return rip;
    }
    return trampoline_of(site) + (rip - address_of(site));
}

/* The jump to the trampoline is no step of the program's code, nor is what stands for the `syscall`
 * but the last instruction of it. @impl ATL-LLR-LOAD-0015~1 */
bool posix_detour_is_step(uint64_t rip)
{
    const struct posix_detour_site *site = site_of_trampoline(rip);
    uint64_t inside = site != NULL ? rip - trampoline_of(site) : 1;
    return rip != (uint64_t)(uintptr_t)posix_detour_entry && inside != 0 &&
           (site == NULL || inside <= site->bytes);
}
