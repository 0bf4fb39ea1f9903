/* SPDX-License-Identifier: Apache-2.0 */
/* What the debugger asks for by qXfer: registers, threads, the program's file, auxiliary vector,
 * libraries (posix/ and the kernel at their addresses), memory. Each is a text of which the
 * debugger reads pieces; it is written anew for each piece, and only the piece is kept. */
#include "server.h"

#include "../isolation/cell.h"

#include <cpu/string.h>
#include <gate/gate.h>
#include <kernel/image.h>

struct document {
    struct debug_reply *reply;
    uint64_t offset, bytes; /* the piece that is wanted */
    uint64_t at;            /* written so far, of the whole */
    uint64_t done;          /* of the piece */
};

static void put(struct document *document, const void *from, size_t count)
{
    const uint8_t *bytes = from;
    for (size_t i = 0; i < count; i++, document->at++) {
        if (document->at >= document->offset && document->done < document->bytes) {
            document->done += debug_reply_binary(document->reply, &bytes[i], 1);
        }
    }
}

static void text(struct document *document, const char *string)
{
    size_t count = 0;
    while (string[count] != '\0') {
        count++;
    }
    put(document, string, count);
}

static void number(struct document *document, uint64_t value, uint32_t base)
{
    char digits[20];
    uint32_t count = 0;
    do {
        digits[sizeof(digits) - ++count] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value != 0);
    put(document, digits + sizeof(digits) - count, count);
}

/* ---- registers */

static void vector_types(struct document *document)
{
    text(document, "<vector id=\"v4f\" type=\"ieee_single\" count=\"4\"/>"
                   "<vector id=\"v2d\" type=\"ieee_double\" count=\"2\"/>"
                   "<vector id=\"v16i8\" type=\"int8\" count=\"16\"/>"
                   "<vector id=\"v8i16\" type=\"int16\" count=\"8\"/>"
                   "<vector id=\"v4i32\" type=\"int32\" count=\"4\"/>"
                   "<vector id=\"v2i64\" type=\"int64\" count=\"2\"/>"
                   "<union id=\"vec128\"><field name=\"v4_float\" type=\"v4f\"/>"
                   "<field name=\"v2_double\" type=\"v2d\"/>"
                   "<field name=\"v16_int8\" type=\"v16i8\"/>"
                   "<field name=\"v8_int16\" type=\"v8i16\"/>"
                   "<field name=\"v4_int32\" type=\"v4i32\"/>"
                   "<field name=\"v2_int64\" type=\"v2i64\"/>"
                   "<field name=\"uint128\" type=\"uint128\"/></union>");
}

static void flag_type(struct document *document, const char *const names[], const uint8_t *bits)
{
    for (uint32_t i = 0; names[i] != NULL; i++) {
        text(document, "<field name=\"");
        text(document, names[i]);
        text(document, "\" start=\"");
        number(document, bits[i], 10);
        text(document, "\" end=\"");
        number(document, bits[i], 10);
        text(document, "\" type=\"bool\"/>");
    }
    text(document, "</flags>");
}

static void reg(struct document *document, const char *name, uint32_t bits, const char *type)
{
    text(document, "<reg name=\"");
    text(document, name);
    text(document, "\" bitsize=\"");
    number(document, bits, 10);
    text(document, "\" type=\"");
    text(document, type);
    text(document, "\"/>");
}

static void reg_row(struct document *document, const char *prefix, const char *suffix,
                    uint32_t first, uint32_t count, uint32_t bits, const char *type)
{
    for (uint32_t i = first; i < first + count; i++) {
        text(document, "<reg name=\"");
        text(document, prefix);
        number(document, i, 10);
        text(document, suffix);
        text(document, "\" bitsize=\"");
        number(document, bits, 10);
        text(document, "\" type=\"");
        text(document, type);
        text(document, "\"/>");
    }
}

/* The order and sizes of struct debug_registers. */
static void core_registers(struct document *document)
{
    static const char *const general[] = {"rax", "rbx", "rcx", "rdx", "rsi", "rdi"};
    static const char *const segments[] = {"cs", "ss", "ds", "es", "fs", "gs"};
    static const char *const control[] = {"fctrl", "fstat", "ftag",  "fiseg",
                                          "fioff", "foseg", "fooff", "fop"};
    static const char *const flags[] = {"CF", "PF", "AF", "ZF", "SF", "TF", "IF",
                                        "DF", "OF", "NT", "RF", "AC", NULL};
    static const uint8_t bits[] = {0, 2, 4, 6, 7, 8, 9, 10, 11, 14, 16, 18};
    text(document, "<feature name=\"org.gnu.gdb.i386.core\"><flags id=\"eflags\" size=\"4\">");
    flag_type(document, flags, bits);
    for (uint32_t i = 0; i < ARRAY_COUNT(general); i++) {
        reg(document, general[i], 64, "int64");
    }
    reg(document, "rbp", 64, "data_ptr");
    reg(document, "rsp", 64, "data_ptr");
    reg_row(document, "r", "", 8, 8, 64, "int64");
    reg(document, "rip", 64, "code_ptr");
    reg(document, "eflags", 32, "eflags");
    for (uint32_t i = 0; i < ARRAY_COUNT(segments); i++) {
        reg(document, segments[i], 32, "int32");
    }
    reg_row(document, "st", "", 0, 8, 80, "i387_ext");
    for (uint32_t i = 0; i < ARRAY_COUNT(control); i++) {
        reg(document, control[i], 32, "int");
    }
    text(document, "</feature>");
}

static void registers(struct document *document)
{
    text(document, "<?xml version=\"1.0\"?><!DOCTYPE target SYSTEM \"gdb-target.dtd\"><target>"
                   "<architecture>i386:x86-64</architecture><osabi>GNU/Linux</osabi>");
    core_registers(document);
    text(document, "<feature name=\"org.gnu.gdb.i386.sse\">");
    vector_types(document);
    reg_row(document, "xmm", "", 0, 16, 128, "vec128");
    reg(document, "mxcsr", 32, "int32");
    text(document, "</feature><feature name=\"org.gnu.gdb.i386.segments\">");
    reg(document, "fs_base", 64, "int");
    reg(document, "gs_base", 64, "int");
    text(document, "</feature><feature name=\"org.gnu.gdb.i386.avx\">");
    reg_row(document, "ymm", "h", 0, 16, 128, "uint128");
    text(document, "</feature><feature name=\"org.gnu.gdb.i386.linux\">");
    reg(document, "orig_rax", 64, "int");
    text(document, "</feature></target>");
}

/* ---- threads */

static void attribute(struct document *document, const char *value)
{
    for (; *value != '\0'; value++) {
        bool is_plain = *value >= ' ' && *value <= '~' && *value != '<' && *value != '&' &&
                        *value != '"' && *value != '>';
        put(document, is_plain ? value : "?", 1);
    }
}

static void threads(struct document *document)
{
    text(document, "<?xml version=\"1.0\"?><threads>");
    for (uint32_t i = 0; i < debug_list_count(); i++) {
        const struct debug_listed *entry = debug_list_at(i);
        text(document, "<thread id=\"");
        number(document, entry->id, 16);
        text(document, "\" core=\"");
        number(document, entry->thread.core, 10);
        if (entry->name[0] != '\0') {
            text(document, "\" name=\"");
            attribute(document, entry->name);
        }
        text(document, "\">core ");
        number(document, entry->thread.core, 10);
        text(document, ", ");
        text(document, debug_state_name(entry));
        text(document, ", priority ");
        number(document, entry->thread.priority, 10);
        text(document, "</thread>");
    }
    text(document, "</threads>");
}

/* ---- the program */

static void program_path(struct document *document)
{
    text(document, (const char *)boot_image() + boot_image()->program_path_offset);
}

#define VECTOR_WORDS_MAX 65536u

/* Behind the arguments and the environment, each of which ends with a zero word. */
static void auxiliary(struct document *document)
{
    struct debug_table table;
    uint64_t word[2] = {0};
    if (!debug_table_read(&table) || table.entry == 0) {
        return;
    }
    uint64_t at = table.stack + sizeof(word[0]), zeros = 0, root = gate_cell.root.value;
    for (uint32_t i = 0; i < VECTOR_WORDS_MAX && zeros < 2; i++, at += sizeof(word[0])) {
        if (debug_memory_read(root, at, word, sizeof(word[0])) != sizeof(word[0])) {
            return;
        }
        zeros += word[0] == 0;
    }
    do {
        if (debug_memory_read(root, at, word, sizeof(word)) != sizeof(word)) {
            return;
        }
        put(document, word, sizeof(word));
        at += sizeof(word);
    } while (word[0] != 0 && document->at < VECTOR_WORDS_MAX);
}

static void library(struct document *document, const char *path, uint64_t base, uint64_t dynamic)
{
    text(document, "<library name=\"");
    text(document, path);
    text(document, "\" lm=\"0x");
    number(document, base + 1, 16); /* only has to differ */
    text(document, "\" l_addr=\"0x");
    number(document, base, 16);
    text(document, "\" l_ld=\"0x");
    number(document, dynamic, 16);
    text(document, "\" lmid=\"0x0\"/>");
}

static void libraries(struct document *document)
{
    const struct debug_places *places = debug_places();
    text(document, "<library-list-svr4 version=\"1.0\">");
    if (places != NULL) {
        library(document, DEBUG_POSIX_PATH, shared_plan.posix_base,
                shared_plan.posix_base + places->dynamic);
        library(document, DEBUG_KERNEL_PATH, 0, 0);
    }
    text(document, "</library-list-svr4>");
}

static void memory(struct document *document)
{
    text(document, "<?xml version=\"1.0\"?><memory-map>"
                   "<memory type=\"ram\" start=\"0x0\" length=\"0x800000000000\"/>"
                   "<memory type=\"ram\" start=\"0xffff800000000000\" length=\"0x800000000000\"/>"
                   "</memory-map>");
}

/* Of the thread that stopped. */
static void signal_information(struct document *document)
{
    struct debug_siginfo information;
    const struct debug_event *event = debug_told();
    if (event != NULL && debug_signal_information(event, &information)) {
        put(document, &information, sizeof(information));
    }
}

static const struct {
    const char *name; /* with the annex that it must have, if any */
    void (*write)(struct document *document);
} documents[] = {
    {"features:read:target.xml:", registers},
    {"threads:read::", threads},
    {"auxv:read::", auxiliary},
    {"libraries-svr4:read::", libraries},
    {"memory-map:read::", memory},
    {"siginfo:read::", signal_information},
};

static void answer(struct debug_text *packet, struct debug_reply *reply,
                   void (*write)(struct document *))
{
    struct document document = {.reply = reply};
    if (!debug_text_number(packet, &document.offset) || !debug_text_word(packet, ",") ||
        !debug_text_number(packet, &document.bytes)) {
        debug_reply_text(reply, "E00");
        return;
    }
    document.bytes = MIN(document.bytes, DEBUG_PACKET_BYTES_MAX / 2 - 1);
    debug_reply_text(reply, "m");
    write(&document);
    if (document.offset + document.done >= document.at) {
        reply->body[0] = 'l';
    }
}

/* @impl ATL-LLR-DEBUG-0018~1 */
void debug_describe(struct debug_text *packet, struct debug_reply *reply)
{
    uint64_t process;
    if (debug_text_word(packet, "exec-file:read:")) {
        (void)debug_text_number(packet, &process);
        if (debug_text_word(packet, ":")) {
            answer(packet, reply, program_path);
        }
        return;
    }
    for (size_t i = 0; i < ARRAY_COUNT(documents); i++) {
        if (debug_text_word(packet, documents[i].name)) {
            answer(packet, reply, documents[i].write);
            return;
        }
    }
}
