# SPDX-License-Identifier: Apache-2.0
"""The packer: the format against the C header, relocations, reproducibility, size."""
import re
import struct
import unittest

import support
from atoll import image as packer
from atoll.console import encode_output
from atoll.elf import PT_NOTE, Elf
from atoll.errors import ToolError
from atoll.image import FILE, HEADER, LOCATION, Manifest, build_image, build_payload
from atoll.native_code import crc32c
from atoll.posix_elf import read_posix
from atoll.tree import DIRECTORY, REGULAR, Entry, Tree

PRINT_LAYOUT = r"""
#include <kernel/image.h>
#include <posix/load.h>
#include <stddef.h>
#include <stdio.h>
#define FIELD(s, f) printf("%s.%s %zu\n", #s, #f, offsetof(struct s, f))
int main(void) {
    printf("header %zu\nfile %zu\nlocation %zu\nsection %zu\n", sizeof(struct image_header),
           sizeof(struct image_file), sizeof(struct image_location), sizeof(struct image_section));
    FIELD(image_header, crc_index); FIELD(image_header, posix); FIELD(image_header, ring);
    FIELD(image_header, seed); FIELD(image_header, relocation_offset); FIELD(image_header, host_name_offset);
    FIELD(image_file, path_offset); FIELD(image_file, modified_s); FIELD(image_file, group);
    printf("magic %llx\nversion %u\nfiles %u\narguments %u\nflags %u %u %u %u\n", IMAGE_MAGIC, IMAGE_VERSION,
           IMAGE_FILES_MAX, IMAGE_ARGUMENT_BYTES_MAX, IMAGE_FLAG_WRITE_EXECUTE, IMAGE_FLAG_VERBOSE,
           IMAGE_FLAG_FRAMED, IMAGE_FLAG_FIXED_SEED);
}
"""


def crc32c_reference(data):
    value = 0xffffffff
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0x82f63b78 if value & 1 else 0)
    return value ^ 0xffffffff


def sample_posix():
    return read_posix(support.posix_elf().read_bytes(), "posix.elf")


def sample_tree():
    tree = Tree()
    tree.add("/bin/hello", Entry(REGULAR, support.hello().read_bytes()))
    tree.add("/data/empty", Entry(REGULAR, b""))
    tree.add("/data/one", Entry(REGULAR, b"1", 1234))
    return tree


MANIFEST = Manifest("/bin/hello", ["/bin/hello", "a b", ""], ["HOME=/root"], ring=0, cores=2, seed=9,
                    flags=packer.FLAG_VERBOSE | packer.FLAG_FRAMED)


def sample_image(frames=((4, b"\0\0\0\0"),), manifest=MANIFEST):
    kernel = support.kernel_elf("image", list(frames))
    return build_image(kernel.read_bytes(), "kernel.elf", support.posix_elf().read_bytes(), "posix.elf",
                       sample_tree(), manifest)


def string_at(payload, offset):
    return bytes(payload[offset:payload.index(b"\0", offset)])


class FormatTest(unittest.TestCase):
    # @verifies ATL-LLR-TOOL-0003~1
    def test_layout_equals_the_c_header(self):
        source, program = support.FOLDER / "layout.c", support.FOLDER / "layout"
        source.write_text(PRINT_LAYOUT)
        support.compile_ok("gcc", "-std=gnu2x", "-I", support.ROOT / "kernel/include", "-I",
                           support.ROOT / "posix/include", "-I",
                           support.ROOT / "percpu/include", source, "-o", program)
        lines = support.run(program).stdout.decode().splitlines()
        facts = dict(line.split(" ", 1) for line in lines)
        self.assertEqual(int(facts["header"]), HEADER.size)
        self.assertEqual(int(facts["file"]), FILE.size)
        self.assertEqual(int(facts["location"]), LOCATION.size)
        self.assertEqual(int(facts["image_header.crc_index"]), packer.CRC_INDEX_OFFSET)
        self.assertEqual(facts["image_header.posix"], "72")
        self.assertEqual(facts["image_header.relocation_offset"], "232")
        self.assertEqual(facts["image_file.modified_s"], "24")
        self.assertEqual(int(facts["magic"], 16), packer.IMAGE_MAGIC)
        self.assertEqual(int(facts["version"]), packer.IMAGE_VERSION)
        self.assertEqual(int(facts["files"]), packer.IMAGE_FILES_MAX)
        self.assertEqual(int(facts["arguments"]), packer.IMAGE_ARGUMENT_BYTES_MAX)
        self.assertEqual(facts["flags"], f"{packer.FLAG_WRITE_EXECUTE} {packer.FLAG_VERBOSE} "
                         f"{packer.FLAG_FRAMED} {packer.FLAG_FIXED_SEED}")

    # @verifies ATL-LLR-TOOL-0003~1
    def test_crc32c(self):
        self.assertEqual(crc32c(b"123456789"), 0xe3069283)
        for size in range(40):
            data = bytes(range(7, 7 + size))
            self.assertEqual(crc32c(data), crc32c_reference(data))

    # @verifies ATL-LLR-TOOL-0003~1
    def test_payload_reads_back(self):
        payload = build_payload(sample_posix(), sample_tree(), MANIFEST)
        fields = HEADER.unpack_from(payload)
        (magic, version, size, image_bytes, index_bytes, crc_index, crc_posix, posix_end, ring, cores,
         _, _, seed) = fields[:13]
        self.assertEqual((magic, version, size), (packer.IMAGE_MAGIC, packer.IMAGE_VERSION, HEADER.size))
        self.assertEqual((image_bytes, ring, cores, seed), (len(payload), 0, 2, 9))
        index = bytearray(payload[:index_bytes])
        struct.pack_into("<I", index, 32, 0)
        self.assertEqual(crc_index, crc32c_reference(index))
        self.assertEqual(crc_posix, crc32c_reference(payload[index_bytes:posix_end]))
        for offset, address, file_bytes, memory_bytes in struct.iter_unpack("<QQQQ", payload[72:232]):
            self.assertTrue(offset % 4096 == address % 4096 == memory_bytes % 4096 == 0)
            self.assertTrue(file_bytes <= memory_bytes and index_bytes <= offset <= posix_end)
        file_offset, file_count, program, argument, count = fields[35:40]
        self.assertEqual(string_at(payload, program), b"/bin/hello")
        self.assertEqual(payload[argument:argument + 16], b"/bin/hello\0a b\0\0")
        self.assertEqual(count, 3)
        paths, digests = [], fields[-5]
        for number in range(file_count):
            row = FILE.unpack_from(payload, file_offset + number * FILE.size)
            paths.append(string_at(payload, row[2]))
            self.assertEqual(row[0] % 4096, 0)
            blocks = [crc32c(payload[at:min(at + packer.IMAGE_BLOCK_BYTES, row[0] + row[1])])
                      for at in range(row[0], row[0] + row[1], packer.IMAGE_BLOCK_BYTES)]
            self.assertEqual(blocks, list(struct.unpack_from(f"<{len(blocks)}I", payload, digests)))
            digests += 4 * len(blocks)
            if paths[-1] == b"/data/one":
                self.assertEqual((payload[row[0]:row[0] + 2], row[4]), (b"1\0", 1234))
        self.assertEqual(paths, sorted(paths))
        self.assertIn(b"/data", paths)

    # @verifies ATL-LLR-TOOL-0004~1
    def test_image_is_reproducible_and_has_no_host_path(self):
        image = sample_image()
        self.assertEqual(image, sample_image())
        self.assertNotIn(str(support.FOLDER).encode(), image)
        self.assertNotIn(str(support.ROOT).encode(), image)

    # @verifies ATL-LLR-TOOL-0004~1
    def test_location_note_and_placement(self):
        image = sample_image()
        elf = Elf(image, "image")
        kernel = Elf(support.kernel_elf("image", [(4, b"\0\0\0\0")]).read_bytes(), "kernel")
        position = bytes(image).index(b"IMAGELOC")
        _, version, flags, physical, size = LOCATION.unpack_from(image, position)
        end = max(s.physical + s.memory_bytes for s in kernel.loads)
        self.assertEqual((version, flags, physical % 4096), (packer.IMAGE_VERSION, MANIFEST.flags, 0))
        self.assertTrue(0 <= physical - end < 4096)
        self.assertEqual(packer.image_end(image), physical + size)
        note = [s for s in elf.segments if s.kind == PT_NOTE][0]
        self.assertIn(b"Xen\0", bytes(image[note.offset:note.offset + note.file_bytes]))
        self.assertLess(bytes(image).index(packer.MULTIBOOT2_MAGIC), 32768)

    # @verifies ATL-LLR-TOOL-0004~1
    def test_loaded_memory_is_kernel_and_payload(self):
        image = sample_image()
        elf = Elf(image, "image")
        position = bytes(image).index(b"IMAGELOC")
        _, _, _, physical, size = LOCATION.unpack_from(image, position)
        loads = sorted(elf.loads, key=lambda s: s.physical)
        for low, high in zip(loads, loads[1:]):
            self.assertLessEqual(low.physical + low.memory_bytes, high.physical)
        memory = bytearray(size)
        for segment in loads:
            start = segment.physical - physical
            if start >= 0:
                memory[start:start + segment.file_bytes] = \
                    image[segment.offset:segment.offset + segment.file_bytes]
        self.assertEqual(memory, build_payload(sample_posix(), sample_tree(), MANIFEST))

    # @verifies ATL-LLR-TOOL-0005~1
    def test_zeros_take_no_room(self):
        for content in (b"", bytes(10000), b"a" + bytes(10000), bytes(10000) + b"a",
                        bytes(300) + b"abc" + bytes(255) + b"d" + bytes(256) + b"e", b"x" * 9):
            pieces = packer._pieces(content)
            copy = bytearray(len(content))
            for start, end in pieces:
                copy[start:end] = content[start:end]
            self.assertEqual(copy, content)
            self.assertLessEqual(sum(end - start for start, end in pieces), 260)
        many = (bytes(256) + b"x") * 1000
        self.assertLessEqual(len(packer._pieces(many)), packer.HOLES_MAX + 1)

    # @verifies ATL-LLR-TOOL-0004~1
    def test_kernel_without_location_is_refused(self):
        kernel = support.kernel_elf("image", [(4, b"\0\0\0\0")]).read_bytes()
        for replacement in (b"IMAGELOX", packer.MULTIBOOT2_MAGIC):
            broken = kernel.replace(b"IMAGELOC", b"IMAGELOX") if replacement == b"IMAGELOX" else \
                kernel.replace(packer.MULTIBOOT2_MAGIC, b"\0\0\0\0")
            with self.assertRaises(ToolError):
                build_image(broken, "kernel.elf", support.posix_elf().read_bytes(), "posix.elf",
                            sample_tree(), MANIFEST)


class PosixTest(unittest.TestCase):
    # @verifies ATL-LLR-TOOL-0002~1 @robust
    def test_sections_and_relocations(self):
        posix = sample_posix()
        self.assertEqual(posix.sections[0].address, 0x2000)
        self.assertEqual([len(s.content) % 4096 for s in posix.sections[:3]], [0, 0, 0])
        self.assertEqual(len(posix.sections[4].content), 0)
        self.assertEqual(posix.sections[4].memory_bytes, 4096)
        self.assertEqual(len(posix.relocations), 3)
        targets = []
        for offset in posix.relocations:
            section = next(s for s in posix.sections
                           if s.address <= offset < s.address + len(s.content))
            targets.append(struct.unpack_from("<Q", section.content, offset - section.address)[0])
        self.assertEqual(targets[0], targets[1])  # both point to posix_word
        self.assertEqual(targets[2], posix.relocations[2])  # points to itself

    # @verifies ATL-LLR-TOOL-0002~1 @robust
    def test_damaged_posix_is_refused(self):
        data = support.posix_elf().read_bytes()
        for old, new in ((b"ATLPOSIX", b"NOTPOSIX"), (b"__relro_start", b"__relro_stort")):
            with self.assertRaises(ToolError):
                read_posix(data.replace(old, new), "posix.elf")
        relative = re.escape(struct.pack("<Q", 8))
        position = re.search(relative + b".{8}" + b".{8}" + relative, data, re.DOTALL).start()
        changed = bytearray(data)
        changed[position] = 6
        with self.assertRaisesRegex(ToolError, "R_X86_64_GLOB_DAT"):
            read_posix(bytes(changed), "posix.elf")


class TreeTest(unittest.TestCase):
    def test_given_paths_are_checked(self):
        for path in ("relative", "/" + "x" * 256, "/a\0b"):
            with self.assertRaises(ToolError):
                Tree().add(path, Entry(REGULAR, b""))
        tree = Tree()
        tree.add("/a/../b//c/", Entry(REGULAR, b"1"))
        self.assertIn("/b/c", tree.entries)
        for path in ("/b/c", "/b/c/d", "/b"):
            with self.assertRaises(ToolError):
                tree.add(path, Entry(REGULAR, b""))
        tree.add("/b", Entry(DIRECTORY))

    def test_host_folder_with_links(self):
        folder = support.FOLDER / "tree"
        (folder / "sub").mkdir(parents=True, exist_ok=True)
        (folder / "sub" / "file").write_bytes(b"content")
        if not (folder / "link").is_symlink():
            (folder / "link").symlink_to("sub/file")
        tree = Tree()
        tree.add_host(folder, "/x")
        self.assertEqual(tree.entries["/x/sub/file"].content, b"content")
        self.assertEqual(tree.entries["/x/link"].content, b"sub/file")
        with self.assertRaisesRegex(ToolError, "No such file"):
            tree.add_host(folder / "absent", "/y")

    def test_arguments_are_bounded(self):
        manifest = Manifest("/bin/hello", ["x" * packer.IMAGE_ARGUMENT_BYTES_MAX])
        with self.assertRaisesRegex(ToolError, "131072"):
            build_payload(sample_posix(), sample_tree(), manifest)


class BootTest(unittest.TestCase):
    def test_image_with_large_files_boots_where_it_fits(self):
        big = support.FOLDER / "big"
        big.write_bytes(bytes(20 << 20))
        kernel = support.kernel_elf("big", [encode_output(1, b"up\n"), (4, b"\0\0\0\0")])
        command = [support.ROOT / "atoll", "run", "--kernel", kernel, "--posix", support.posix_elf(),
                   "--file", f"{big}:/big"]
        done = support.run(*command, support.hello())
        self.assertEqual((done.stdout, done.returncode), (b"up\n", 0), done.stderr)
        done = support.run(*command, "--memory", "16", support.hello())
        self.assertEqual(done.returncode, 125)
        self.assertIn(b"--memory 2", done.stderr)


if __name__ == "__main__":
    unittest.main()
