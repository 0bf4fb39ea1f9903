/* SPDX-License-Identifier: Apache-2.0 */
/* The payload of a sealed image, little-endian, made by tools/image.py and validated once by the
 * kernel (image_validate) and by posix/, which maps the index pages read-only. Layout:
 *
 *   page 0..        index: struct image_header, file table, strings   (index_bytes, page multiple)
 *   then            posix sections, each page-aligned
 *   then            files, each page-aligned, zero-padded to a page; the program is file 0
 *
 * The payload is in PT_LOADs of the final ELF, page-aligned, placed right behind the kernel in
 * physical memory. The kernel finds it through the linker symbol pair that the packer patches:
 * struct image_location in section .image_location. All offsets count from the payload's start. */
#ifndef KERNEL_IMAGE_H
#define KERNEL_IMAGE_H

#include <percpu/base.h>

#define IMAGE_MAGIC 0x314547414d494c41ull          /* "ALIMAGE1" */
#define IMAGE_LOCATION_MAGIC 0x434f4c4547414d49ull /* "IMAGELOC" */
#define IMAGE_VERSION 4u
#define IMAGE_BLOCK_BYTES 65536u          /* of a file: what one digest is of */
#define IMAGE_POSIX_SPAN_MAX (1ull << 30) /* end of posix's last section */
#define IMAGE_PORT_BYTES_MIN 65536u       /* each struct gate_port and room for buffers */
#define IMAGE_PORT_BYTES_MAX (1u << 30)
#define IMAGE_POLICY_RULES_MAX 64u
#define IMAGE_POLICY_RULE_BYTES 24u

/* 32 bytes in the kernel's own .rodata, section .image_location; the packer fills the last three.
 */
struct image_location {
    uint64_t magic;
    uint32_t version;
    uint32_t flags;    /* the header's: the console's mode before the payload is validated */
    uint64_t physical; /* 0: no payload */
    uint64_t bytes;
};

enum image_posix_section {
    IMAGE_POSIX_TEXT,    /* mapped R+X from the image */
    IMAGE_POSIX_RODATA,  /* mapped R from the image; begins with struct gate_posix_header */
    IMAGE_POSIX_RELRO,   /* copied, relocated, then mapped R */
    IMAGE_POSIX_DATA,    /* copied, relocated, mapped R+W, shared by all cores */
    IMAGE_POSIX_PERCORE, /* zero, mapped R+W, own frames on each core; file_bytes = 0 */
    IMAGE_POSIX_SECTION_COUNT,
};

struct image_section {
    uint64_t offset;       /* in the payload, page multiple */
    uint64_t address;      /* offset from posix's base, page multiple */
    uint64_t file_bytes;   /* <= memory_bytes */
    uint64_t memory_bytes; /* page multiple */
};

#define IMAGE_FLAG_WRITE_EXECUTE 1u /* W+X mappings are allowed */
#define IMAGE_FLAG_VERBOSE 2u       /* kernel and posix report what they do on the kernel stream */
#define IMAGE_FLAG_FRAMED 4u        /* console is framed, see kernel/driver/console.h */
#define IMAGE_FLAG_FIXED_SEED 8u    /* tests only: ASLR from .seed; loud on the console */
#define IMAGE_FLAG_BALANCED 16u     /* an idle core asks the longest queue for a thread */
#define IMAGE_FLAG_DEBUG_WAIT 32u   /* with the debugger's stub: it waits at the program's start */
#define IMAGE_FLAG_VIRTIO_CONSOLE 64u /* console on a virtio console, not on the serial port */
#define IMAGE_FLAG_NEIGHBOUR 256u     /* the program gets the memory shared with a neighbour */

struct image_header {
    uint64_t magic;
    uint32_t version;
    uint32_t header_bytes;
    uint64_t image_bytes;
    uint64_t index_bytes;
    uint32_t crc_index; /* CRC-32C of the index with this field 0 */
    uint32_t crc_posix; /* CRC-32C of bytes [index_bytes, posix_end) */
    uint64_t posix_end;
    /* manifest */
    uint32_t ring;       /* 0 or 3 */
    uint32_t cores;      /* 0: all that the machine has */
    uint32_t flags;      /* IMAGE_FLAG_* */
    uint32_t quantum_us; /* round-robin quantum, 100..1000000 */
    uint64_t seed;
    /* posix */
    struct image_section posix[IMAGE_POSIX_SECTION_COUNT];
    uint32_t relocation_offset; /* in the index: uint32_t[count], offsets from posix's base of */
    uint32_t relocation_count;  /* 64-bit words in RELRO or DATA to which the base is added */
    /* files */
    uint32_t file_offset;         /* in the index: struct image_file[count], sorted by path; */
    uint32_t file_count;          /* the program is the one that argument 0 of program_path names */
    uint32_t program_path_offset; /* in the index: NUL-terminated absolute guest path */
    uint32_t argument_offset;     /* in the index: argv strings, each NUL-terminated */
    uint32_t argument_count;
    uint32_t environment_offset;
    uint32_t environment_count;
    uint32_t working_directory_offset; /* absolute path, NUL-terminated */
    uint32_t host_name_offset;
    uint32_t gate_calls; /* bit n: the program's ring may make call n of the gate; exit: always */
    uint32_t digest_offset; /* in the index: uint32_t[count], CRC-32C of each block of the first */
    uint32_t digest_count;  /* file, of the second ...; checked when first touched by posix/ */
    uint64_t port_bytes;    /* port memory of each core, page multiple; 0: there are no ports */
    uint32_t policy_offset; /* in the index: struct policy_rule[count] of policy/policy.h: what */
    uint32_t policy_count;  /* may pass the network port; 0: all that the program sends and gets */
};

struct image_file {
    uint64_t offset;      /* in the payload, page multiple; 0 for directories */
    uint64_t bytes;       /* of a symbolic link: its target is the content */
    uint32_t path_offset; /* in the index, absolute, NUL-terminated, no "." ".." "//", final "/" */
    uint32_t mode;        /* Linux st_mode: type and permission bits */
    int64_t modified_s;
    uint32_t user;
    uint32_t group;
};

/* CRC-32C (Castagnoli, reflected) of bytes, 8-aligned and so many words of 8, continuing from
 * state: the register before the final inversion, 0xffffffff at the start. */
typedef uint32_t (*image_crc32c_update)(uint32_t state, const void *bytes, uint64_t bytes_count);

/* Checks a payload as a whole, once, before anything of it is used, but for the strings and the
 * file table of its index: the kernel does not use them, and posix/ judges them
 * (posix_index_validate).
 *
 * @crc         by the means of the caller's processor
 * @bytes       the payload, 8-aligned; nobody may write it during the call or afterwards
 * @bytes_count what the image location says; any value
 * @header      set to bytes on success: layout, manifest, sections and relocations hold then
 * @reason      on failure: text of the one field that is wrong, different for each field
 * Context:    boot core; work proportional to index, posix sections and relocations. Contents of
 *             files are not read: posix/ checks their blocks when they are first touched
 * Errors:     RESULT_FORMAT malformed; *header is untouched
 * Source:     layout above; CRC-32C: RFC 3720 appendix B.4
 * Req:        ATL-LLR-IMAGE-0001 .. 0005 */
enum result image_validate(image_crc32c_update crc, const void *bytes, uint64_t bytes_count,
                           const struct image_header **header, const char **reason);

#endif
