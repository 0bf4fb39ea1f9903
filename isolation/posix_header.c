/* SPDX-License-Identifier: Apache-2.0 */
/* posix's own header: every address that the kernel will use must lie where it may. Pure. */
#include "cell.h"

static bool is_in(const struct image_section *section, uint64_t address, uint64_t bytes)
{
    return address >= section->address && bytes <= section->memory_bytes &&
           address - section->address <= section->memory_bytes - bytes;
}

/* begin < middle < end, all code. */
static bool is_code_sequence(const struct image_section *text, uint64_t begin, uint64_t middle,
                             uint64_t end)
{
    return begin < middle && middle < end && is_in(text, begin, end - begin);
}

/* A page of its own: a whole page in none of the sections. */
static bool is_hole(const struct image_header *image, uint64_t address)
{
    if (!IS_ALIGNED(address, PAGE_BYTES) || address > UINT32_MAX) {
        return false;
    }
    for (unsigned i = 0; i < IMAGE_POSIX_SECTION_COUNT; i++) {
        const struct image_section *section = &image->posix[i];
        if (address + PAGE_BYTES > section->address &&
            address < section->address + section->memory_bytes) {
            return false;
        }
    }
    return true;
}

static bool is_code_right(const struct image_section *text, const struct gate_posix_places *at)
{
    return at->text_begin < at->text_end &&
           is_in(text, at->text_begin, at->text_end - at->text_begin) &&
           is_in(text, at->start, 1) && is_in(text, at->syscall_entry, 1) &&
           is_in(text, at->upcall_entry, 1) &&
           is_code_sequence(text, at->exit_call_begin, at->exit_call_swapped, at->exit_call_end) &&
           is_code_sequence(text, at->exit_frame_begin, at->exit_frame_last, at->exit_frame_end);
}

/* @impl ATL-LLR-ISOL-0022~1 */
enum result posix_header_validate(const struct image_header *image,
                                  const struct gate_posix_header *header)
{
    const struct gate_posix_places *at = &header->offsets;
    const struct image_section *sections = image->posix;
    bool holds = sections[IMAGE_POSIX_RODATA].file_bytes >= sizeof(*header) &&
                 header->magic == GATE_POSIX_MAGIC && header->version == GATE_ABI_VERSION &&
                 header->bytes == sizeof(*header);
    holds = holds && is_code_right(&sections[IMAGE_POSIX_TEXT], at);
    holds = holds && IS_ALIGNED(at->first_stack, 16ull) && at->first_stack > 0 &&
            is_in(&sections[IMAGE_POSIX_DATA], at->first_stack - 1, 1);
    holds = holds && at->words == sections[IMAGE_POSIX_PERCORE].address &&
            sections[IMAGE_POSIX_PERCORE].memory_bytes >= sizeof(struct gate_words);
    holds = holds && is_hole(image, at->gate_page) && is_hole(image, at->info_page) &&
            at->gate_page != at->info_page;
    return holds ? RESULT_OK : RESULT_FORMAT;
}
