# SPDX-License-Identifier: Apache-2.0
"""`./atoll inspect`: everything that was packed is shown, everything that is damaged is said, and what
somebody hostile wrote ends in neither an exception nor endless work."""
import hashlib
import json
import random
import struct
import unittest

import support
from atoll.elf import Elf
from atoll.errors import ToolError
from atoll.image import (CRC_INDEX_OFFSET, FILE, FLAG_BALANCED, FLAG_FIXED_SEED, FLAG_WRITE_EXECUTE, HEADER,
                         LOCATION, Manifest, build_image)
from atoll.inspect import inspect_image
from atoll.native_code import crc32c
from atoll.policy import policy_rules
from atoll.tree import LINK, PROGRAM, REGULAR, Entry, Tree

HOSTILE_NAME = "/data/\x1b[2Jé\udcff"
MUTATIONS = 500


def sample(**manifest):
    tree = Tree()
    tree.add("/bin/hello", Entry(PROGRAM, support.hello().read_bytes()))
    tree.add("/data/one", Entry(REGULAR, b"1" * 5000, 1234, 7, 8))
    tree.add("/data/almost", Entry(REGULAR, b"2" * 4000))  # the zeros behind it are in the file
    tree.add("/data/empty", Entry(REGULAR))
    tree.add("/data/link", Entry(LINK, b"one"))
    tree.add(HOSTILE_NAME, Entry(REGULAR, b"x"))
    values = {"program_path": "/bin/hello", "arguments": ["/bin/hello", "a b", ""], "ring": 0, "cores": 2,
              "gate_calls": 0b10001, "port_bytes": 0x15000,
              "policy": policy_rules({"addresses": ["10.0.2.15"], "inbound": ["tcp/80 from 10.0.0.0/8"]}),
              "environment": ["A=\n"], "quantum_us": 500, "seed": 9,
              "flags": FLAG_BALANCED | FLAG_WRITE_EXECUTE | FLAG_FIXED_SEED, **manifest}
    kernel = support.kernel_elf("inspect", [(4, b"\0\0\0\0")])
    return bytearray(build_image(kernel.read_bytes(), "kernel.elf", support.posix_elf().read_bytes(),
                                 "posix.elf", tree, Manifest(**values)))


class Payload:
    """Finds the payload's bytes in the file, to change and to seal them."""

    def __init__(self, image):
        self.image = image
        self.location = bytes(image).index(b"IMAGELOC")
        _, _, _, self.physical, self.bytes = LOCATION.unpack_from(image, self.location)
        self.segments = [s for s in Elf(bytes(image), "image").loads if s.physical >= self.physical]
        self.index_bytes = HEADER.unpack_from(image, self.file_offset(0))[4]

    def file_offset(self, offset):
        """Where a byte of the payload is in the file; None: in a hole of zeros."""
        for segment in self.segments:
            inside = self.physical + offset - segment.physical
            if 0 <= inside < segment.file_bytes:
                return segment.offset + inside
        return None

    def positions(self):
        """Where the file has bytes of the payload."""
        return [at for s in self.segments for at in range(s.offset, s.offset + s.file_bytes)]

    def index(self):
        """The index as the loader makes it."""
        index = bytearray(self.index_bytes)
        for segment in self.segments:
            at = segment.physical - self.physical
            taken = min(segment.file_bytes, max(0, len(index) - at))
            index[at:at + taken] = self.image[segment.offset:segment.offset + taken]
        return index

    def seal(self):
        """Writes the right checksum of the index."""
        start = self.file_offset(0)
        struct.pack_into("<I", self.image, start + CRC_INDEX_OFFSET, 0)
        struct.pack_into("<I", self.image, start + CRC_INDEX_OFFSET, crc32c(self.index()))


class InspectTest(unittest.TestCase):
    def refused(self, image, text):
        with self.assertRaises(ToolError) as caught:
            inspect_image(bytes(image), "x.img")
        self.assertIn(text, str(caught.exception))
        self.assertTrue(str(caught.exception).startswith("x.img: "))

    # @verifies ATL-LLR-TOOL-0142~1 ATL-LLR-POLICY-0007~1 @robust
    def test_everything_that_was_packed_is_shown(self):
        image = sample()
        facts = inspect_image(bytes(image), "x.img")
        self.assertEqual(facts["image"], {"bytes": len(image),
                                          "sha256": hashlib.sha256(image).hexdigest()})
        program = support.hello().read_bytes()
        self.assertEqual(facts["program"], {"path": "/bin/hello", "bytes": len(program),
                                            "sha256": hashlib.sha256(program).hexdigest()})
        expected = {"ring": 0, "cores": 2, "quantum_us": 500, "placement": "balanced", "seed": 9,
                    "allow_write_execute": True, "working_directory": "/", "host_name": "atoll",
                    "arguments": ["/bin/hello", "a b", ""], "environment": ["A=\n"], "console": "plain",
                    "gate": ["exit", "park"], "port_bytes": 0x15000,
                    "policy": ["address 10.0.2.15/32", "in tcp/80 from 10.0.0.0/8"],
                    "neighbour": False, "verbose": False, "debug": False}
        self.assertEqual({key: facts["settings"][key] for key in expected}, expected)
        files = {row["path"]: row for row in facts["files"]}
        one = files["/data/one"]
        self.assertEqual((one["mode"], one["bytes"], one["modified_s"], one["user"], one["group"]),
                         (REGULAR, 5000, 1234, 7, 8))
        self.assertEqual(one["sha256"], hashlib.sha256(b"1" * 5000).hexdigest())
        self.assertEqual(files["/data/empty"]["sha256"], hashlib.sha256().hexdigest())
        self.assertEqual((files["/data/link"]["mode"], files["/data/link"]["target"]), (LINK, "one"))
        self.assertIn(HOSTILE_NAME, files)

    # @verifies ATL-LLR-TOOL-0142~1
    def test_digest_of_the_kernel_does_not_depend_on_the_payload(self):
        first = inspect_image(bytes(sample()), "x.img")
        second = inspect_image(bytes(sample(arguments=["other"])), "x.img")
        self.assertEqual((first["kernel"], first["posix"]), (second["kernel"], second["posix"]))
        self.assertNotEqual(first["image"], second["image"])

    # @verifies ATL-LLR-TOOL-0142~1 @robust
    def test_the_command_prints_text_or_json_and_ends_with_status_1_for_damage(self):
        path = support.FOLDER / "x.img"
        image = sample()
        path.write_bytes(image)
        done = support.run(support.ROOT / "atoll", "inspect", path)
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        self.assertIn(b"/data/\\x1b[2J\xc3\xa9\\udcff", done.stdout)
        self.assertNotIn(b"\x1b", done.stdout)
        done = support.run(support.ROOT / "atoll", "inspect", "--json", path)
        self.assertEqual(json.loads(done.stdout), inspect_image(bytes(image), str(path)))
        image[Payload(image).file_offset(0) + 8] ^= 1
        path.write_bytes(image)
        done = support.run(support.ROOT / "atoll", "inspect", "--json", path)
        self.assertEqual((done.returncode, done.stdout), (1, b""))
        self.assertIn(f"atoll: {path}: damaged: version is not known\n".encode(), done.stderr)

    # @verifies ATL-LLR-TOOL-0142~1 @robust
    def test_what_is_no_image_is_said(self):
        self.refused(b"", "empty")
        self.refused(b"hello", "./atoll pack")
        self.refused(support.hello().read_bytes(), "no image")
        self.refused(support.kernel_elf("inspect", [(4, b"\0\0\0\0")]).read_bytes(), "no image")

    # @verifies ATL-LLR-TOOL-0143~1 @robust
    def test_every_shorter_file_is_refused(self):
        image = bytes(sample())
        for size in [*range(0, 2000, 7), *range(2000, len(image), 997), len(image) - 1]:
            self.refused(image[:size], "x.img")

    # @verifies ATL-LLR-TOOL-0143~1 @robust
    def test_every_changed_byte_of_the_payload_is_seen(self):
        image = sample()
        positions = Payload(image).positions()
        for position in random.Random(1).sample(positions, MUTATIONS):
            image[position] ^= 0x40
            self.refused(image, "damaged: ")
            image[position] ^= 0x40
        inspect_image(bytes(image), "x.img")

    # @verifies ATL-LLR-TOOL-0143~1 @robust
    def test_bytes_between_files_are_seen(self):
        image = sample()
        files = {row["path"]: row for row in inspect_image(bytes(image), "x.img")["files"]}
        image[Payload(image).file_offset(files["/data/almost"]["offset"] + 4010)] = 1
        self.refused(image, "bytes behind /data/almost are not zero")

    # @verifies ATL-LLR-TOOL-0143~1 @robust
    def test_changed_bytes_elsewhere_never_confuse(self):
        whole, source = bytes(sample()), random.Random(2)
        end = Payload(bytearray(whole)).file_offset(0)
        for _ in range(MUTATIONS):
            image = bytearray(whole)
            for _ in range(source.randint(1, 4)):
                struct.pack_into("<Q", image, source.randrange(min(end, 2048)),
                                 source.choice([0, 1, 255, 1 << 12, 1 << 31, 1 << 32, 1 << 40, 1 << 63,
                                                (1 << 64) - 1, source.getrandbits(64)]))
            self._survives(image)

    # @verifies ATL-LLR-TOOL-0143~1 @robust
    def test_a_hostile_index_with_the_right_checksum_never_confuses(self):
        whole, source = bytes(sample()), random.Random(3)
        payload = Payload(bytearray(whole))
        words = [at for at in range(0, payload.index_bytes, 4) if payload.file_offset(at + 3) is not None]
        for _ in range(MUTATIONS):
            payload = Payload(bytearray(whole))
            for _ in range(source.randint(1, 3)):
                struct.pack_into("<I", payload.image, payload.file_offset(source.choice(words)),
                                 source.choice([0, 1, 2, 4096, 8192, 1 << 31, (1 << 32) - 1,
                                                source.getrandbits(32)]))
            payload.seal()
            self._survives(payload.image)

    def _survives(self, image):
        try:
            inspect_image(bytes(image), "x.img")
        except ToolError as error:
            self.assertTrue(error.message)

    # @verifies ATL-LLR-TOOL-0143~1 @robust
    def test_claims_that_would_cost_memory_or_time_are_refused(self):
        image = sample()
        rows = struct.unpack_from("<Q", image, 32)[0]
        first = rows + 56 * next(i for i in range(40) if struct.unpack_from("<I", image, rows + 56 * i)[0] == 1)
        for field, value, text in ((40, 1 << 60, "overlap"), (24, 1 << 40, "beyond 4 GiB"), (40, 1 << 30, "overlap")):
            changed = bytearray(image)
            struct.pack_into("<Q", changed, first + field, value)
            self.refused(changed, text)
        changed = bytearray(image)
        struct.pack_into("<Q", changed, Payload(image).location + 24, 1 << 60)
        self.refused(changed, "no image")

    # @verifies ATL-LLR-TOOL-0142~1
    def test_location_whose_zeros_the_file_leaves_out(self):
        image = sample()
        location = Payload(image).location
        first_zero = location + len(image[location:location + LOCATION.size].rstrip(b"\0"))
        rows, count = struct.unpack_from("<Q", image, 32)[0], struct.unpack_from("<H", image, 56)[0]
        for row in range(rows, rows + 56 * count, 56):
            kind, _, offset, _, _, size = struct.unpack_from("<IIQQQQ", image, row)
            if kind == 1 and offset <= location < offset + size:
                struct.pack_into("<Q", image, row + 32, first_zero - offset)
        self.assertEqual(inspect_image(bytes(image), "image")["settings"]["cores"], 2)

    # @verifies ATL-LLR-TOOL-0143~1 @robust
    def test_flags_that_differ_are_refused(self):
        changed = sample()
        changed[Payload(changed).location + 12] ^= 4
        self.refused(changed, "different flags")

    # @verifies ATL-LLR-TOOL-0143~1 @robust
    def test_files_that_share_bytes_are_refused(self):
        payload = Payload(sample())
        start = payload.file_offset(0)
        table, count = HEADER.unpack_from(payload.image, start)[35:37]
        rows = [payload.file_offset(table + FILE.size * i) for i in range(count)]
        full = [row for row in rows if FILE.unpack_from(payload.image, row)[1] > 0]
        struct.pack_into("<Q", payload.image, full[1], FILE.unpack_from(payload.image, full[0])[0])
        payload.seal()
        self.refused(payload.image, "does not stand behind the file before it")

    # @verifies ATL-LLR-TOOL-0143~1 @robust
    def test_an_absent_program_is_refused(self):
        self.refused(sample(program_path="/bin/absent"), "the program /bin/absent is not in it")


if __name__ == "__main__":
    unittest.main()
