/* SPDX-License-Identifier: Apache-2.0 */
/* Files of the image for the debugger (GDB manual, "Host I/O Packets"): the program, and in a debug
 * image kernel.elf and posix.elf with their symbols. Read only. A descriptor is a file's position
 * in the image's table plus 1. */
#include "internal.h"

#include "../isolation/cell.h"
#include "../isolation/physical.h"

#define ERROR_NO_ENTRY 2u
#define ERROR_BAD_DESCRIPTOR 9u
#define ERROR_INVALID 22u
#define ERROR_READ_ONLY 30u
#define PATH_BYTES_MAX 1024u
#define OPEN_WRITES 0x60bu /* O_WRONLY, O_RDWR, O_APPEND, O_CREAT, O_TRUNC of GDB */

static const struct image_file *file_at(uint64_t position)
{
    const struct image_header *image = boot_image();
    const uint8_t *index = (const uint8_t *)image;
    return position < image->file_count
               ? (const struct image_file *)(index + image->file_offset) + position
               : NULL;
}

static bool is_named(const struct image_file *file, const uint8_t *path, uint32_t bytes)
{
    const uint8_t *own = (const uint8_t *)boot_image() + file->path_offset;
    uint32_t i = 0;
    while (i < bytes && own[i] != '\0' && own[i] == path[i]) {
        i++;
    }
    return i == bytes && own[i] == '\0';
}

const struct image_file *debug_file_find(const uint8_t *path, uint32_t bytes)
{
    for (uint64_t i = 0; file_at(i) != NULL; i++) {
        if (is_named(file_at(i), path, bytes)) {
            return file_at(i);
        }
    }
    return NULL;
}

const uint8_t *debug_file_content(const struct image_file *file)
{
    return physical_image((paddr_t){shared_facts.image_physical + file->offset});
}

static void fail(struct debug_reply *reply, uint32_t error)
{
    debug_reply_text(reply, "F-1,");
    debug_reply_number(reply, error);
}

static void open(struct debug_text *text, struct debug_reply *reply)
{
    static PERCORE uint8_t path[PATH_BYTES_MAX];
    uint64_t flags = 0;
    uint32_t bytes = (uint32_t)debug_text_hex(text, path, sizeof(path));
    if (!debug_text_word(text, ",") || !debug_text_number(text, &flags)) {
        fail(reply, ERROR_INVALID);
        return;
    }
    const struct image_file *file = debug_file_find(path, bytes);
    if ((flags & OPEN_WRITES) != 0) {
        fail(reply, ERROR_READ_ONLY);
    } else if (file == NULL) {
        fail(reply, ERROR_NO_ENTRY);
    } else {
        debug_reply_text(reply, "F");
        debug_reply_number(reply, (uint64_t)(file - file_at(0)) + 1);
    }
}

static void put_big(uint8_t *to, uint64_t value, uint32_t bytes)
{
    for (uint32_t i = 0; i < bytes; i++) {
        to[i] = (uint8_t)(value >> (8 * (bytes - 1 - i)));
    }
}

/* struct stat of the protocol: 64 bytes, big-endian. */
static void status(const struct image_file *file, struct debug_reply *reply)
{
    uint8_t out[64] = {0};
    put_big(out + 4, (uint64_t)(file - file_at(0)) + 1, 4);
    put_big(out + 8, file->mode, 4);
    put_big(out + 12, 1, 4);
    put_big(out + 28, file->bytes, 8);
    put_big(out + 36, PAGE_BYTES, 8);
    put_big(out + 44, (file->bytes + 511) / 512, 8);
    put_big(out + 56, (uint64_t)file->modified_s, 4);
    debug_reply_text(reply, "F40;");
    (void)debug_reply_binary(reply, out, sizeof(out));
}

static void read(const struct image_file *file, struct debug_text *text, struct debug_reply *reply)
{
    uint64_t count = 0, offset = 0;
    if (!debug_text_word(text, ",") || !debug_text_number(text, &count) ||
        !debug_text_word(text, ",") || !debug_text_number(text, &offset)) {
        fail(reply, ERROR_INVALID);
        return;
    }
    const uint8_t *content = debug_file_content(file);
    uint64_t left = offset < file->bytes ? MIN(count, file->bytes - offset) : 0;
    /* The length stands before the bytes, whose number depends on how many have to be escaped: half
     * of what fits always does. */
    left = MIN(left, DEBUG_PACKET_BYTES_MAX / 2 - 16);
    debug_reply_text(reply, "F");
    debug_reply_number(reply, left);
    debug_reply_text(reply, ";");
    (void)debug_reply_binary(reply, content + offset, left);
}

/* @impl ATL-LLR-DEBUG-0017~1 */
void debug_file(struct debug_text *text, struct debug_reply *reply)
{
    if (debug_text_word(text, "setfs:")) {
        debug_reply_text(reply, "F0");
    } else if (debug_text_word(text, "open:")) {
        open(text, reply);
    } else {
        bool is_read = debug_text_word(text, "pread:"), is_status = false, is_close = false;
        is_status = !is_read && debug_text_word(text, "fstat:");
        is_close = !is_read && !is_status && debug_text_word(text, "close:");
        uint64_t descriptor = 0;
        if (!is_read && !is_status && !is_close) {
            return; /* empty: not offered */
        }
        (void)debug_text_number(text, &descriptor);
        const struct image_file *file = file_at(descriptor - 1);
        if (file == NULL) {
            fail(reply, ERROR_BAD_DESCRIPTOR);
        } else if (is_read) {
            read(file, text, reply);
        } else if (is_status) {
            status(file, reply);
        } else {
            debug_reply_text(reply, "F0");
        }
    }
}
