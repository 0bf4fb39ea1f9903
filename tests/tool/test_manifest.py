# SPDX-License-Identifier: Apache-2.0
"""atoll.toml: what is taken, and for each mistake its file, its line and what to do."""
import pathlib
import re
import tempfile
import unittest

import support
from atoll.errors import ToolError
from atoll.manifest import SETTINGS, line_of, read_manifest
from atoll.policy import policy_texts

WHOLE = """# all settings
ring = 0
cores = 64
memory = "1G"
machine = "q35"
quantum_us = 100
console = "virtio"
neighbour = "shared"
placement = "balanced"
detour = false
net = "user,forward=8080:80"
mac = "52:54:00:12:34:56"
ip = ["10.0.0.2/24,gateway=10.0.0.1", "fd00::2/64"]
pcap = "frames"
allow_write_execute = true
debug = true
gate = ["random", "exit", "thread_exit", "thread_set", "park", "unpark", "map"]
working_directory = "/data/../data"
host_name = "reef"
arguments = ["--port", 80]
root = "."
[environment]
COLOUR = "blue"
NUMBER = 7
[files]
"/data/page" = "page"
'/data/"two"' = "page"
[out]
"/result" = "result"
[policy]
addresses = ["10.0.2.15"]
dhcp = true
inbound = ["tcp/80"]
"""
# text of the manifest, line, part of the message, part of the hint
MISTAKES = [
    ('net = "bridge"', 1, "net: 'bridge' is no network", "settings"),
    ('ring = 0\nip = ["10.0.0.2"]', 2, "ip: '10.0.0.2': write ADDRESS/PREFIX", "settings"),
    ('ip = 10', 1, "ip: a whole number stands where a text belongs", "settings"),
    ('ring = 0\nmac = "1"', 2, "mac: '1' is no MAC address", "settings"),
    ("=", 1, "Invalid statement", "TOML"),
    ("ring = 0\ncores = [1,\n", 2, "Invalid value", "TOML"),
    ("ring = 0\nring = 3\n", 2, "overwrite", "TOML"),
    ("\ncorse = 1", 2, "no setting 'corse'", "did you mean cores?"),
    ("[file]\n'/a' = 'b'", 1, "no setting 'file'", "did you mean files?"),
    ("ring = 3\nxyzzy.b = 1", 2, "no setting 'xyzzy'", "there are: ring, "),
    ("ring = 1", 1, "ring: 1 is not 0 or 3", "docs/IMAGES.md"),
    ("ring = true", 1, "ring: true or false stands where a whole number belongs", "docs"),
    ("# cores = 1\n\ncores = 65", 3, "cores: 65 is not between 1 and 64", "docs"),
    ("cores = 0", 1, "between 1 and 64", "docs"),
    ("cores = '2'", 1, "cores: a text stands where a whole number belongs", "docs"),
    ("memory = 0", 1, "memory: 0 is no amount", "docs"),
    ("memory = '1T'", 1, "memory: '1T' is no amount", "docs"),
    ("memory = 1.5", 1, "memory: a number with a point stands where a text belongs", "docs"),
    ("machine = 'pc'", 1, "'pc' is not 'q35' or 'microvm'", "docs"),
    ("quantum_us = 99", 1, "99 is not between 100 and 1000000", "docs"),
    ("placement = 'any'", 1, "'any' is not 'fixed' or 'balanced'", "docs"),
    ("allow_write_execute = 1", 1, "a whole number stands where true or false belongs", "docs"),
    ("gate = 'park'", 1, "gate: a text stands where a list belongs", "docs"),
    ("gate = [1]", 1, "gate: a whole number stands where a text belongs", "docs"),
    ("\ngate = ['exit', 'prak']", 2, "the gate has no call 'prak': did you mean park?", "docs"),
    ("gate = ['exit', 'xyzzy']", 1, "the gate has no call 'xyzzy'", "docs"),
    ("gate = ['exit']", 1, "gate: the library OS cannot work without thread_exit", "docs"),
    ("working_directory = 'data'", 1, "'data' is not absolute", "docs"),
    ("host_name = ''", 1, "no host name", "docs"),
    (f"host_name = '{'é' * 33}'", 1, "no host name", "docs"),
    ("arguments = 'a b'", 1, "a text stands where a list belongs", "docs"),
    ("arguments = [\n'a', 1.5]", 1, "a number with a point stands where a text belongs", "docs"),
    ("arguments = [\"a\\u0000b\"]", 1, "NUL", "docs"),
    ("root = 'absent'", 1, "absent: No such file or directory", "docs"),
    ("environment = 1", 1, "a whole number stands where a table belongs", "docs"),
    ("[environment]\nA = '1'\nB = true", 3, "environment: B: true or false", "docs"),
    ("[environment]\n'A=B' = '1'", 2, "no name of a variable", "docs"),
    ("[environment]\nA = '1'\nring = 0", 3, "ring: this is a setting: it belongs above", "docs"),
    ("ring = 3\n[files]\n'/a' = 'page'\nroot = 'x'", 4, "root: this is a setting", "docs"),
    ("[files]\n'a' = 'page'", 2, "'a' is not absolute", "docs"),
    ("[files]\n'/a' = 1", 2, "/a: a whole number stands where a text belongs", "docs"),
    ("[files]\n'/page' = 'page'\n\"/b\" = 'absent'", 3, "absent: No such file or directory", "docs"),
    ("files = {'/page' = 'page', '/b' = 'absent'}", 1, "absent: No such file", "docs"),
    ("ring = 3\nfiles.'/a' = 'page'\nfiles.'/b' = 'absent'", 3, "absent: No such file", "docs"),
    ("ring = 3\n[files.'/a']\nb = 1", 2, "/a: a table stands where a text belongs", "docs"),
    ("[out]\n\"/a\" = 'a'\nb = 'c'", 3, "'b' is not absolute", "docs"),
    ("[policy]\ninbound = ['tcp/80']", 1, "policy: a machine without addresses sends nothing", "docs"),
    ("[policy]", 1, "policy: a machine without addresses sends nothing", "docs"),
    ("[policy]\ndhcp = 1", 2, "policy: dhcp: a whole number stands where true or false belongs", "docs"),
    ("[policy]\naddress = []", 2, "address: no setting of a policy: there are addresses", "docs"),
    ("[policy]\ndhcp = true\naddresses = ['10.0.2.1/24']", 3, "'10.0.2.1/24' is no address and no", "docs"),
    ("[policy]\naddresses = '10.0.2.1'", 2, "addresses: a text stands where a list belongs", "docs"),
    ("[policy]\ndhcp = true\ninbound = ['tcp']", 3, "inbound: 'tcp' names no port", "docs"),
    ("[policy]\ndhcp = true\ninbound = ['tcp/0']", 3, "inbound: 'tcp/0': ports are 1 to 65535", "docs"),
    ("[policy]\ndhcp = true\noutbound = ['tcp/90-80']", 3, "outbound: 'tcp/90-80': ports are", "docs"),
    ("[policy]\ndhcp = true\noutbound = ['tcp/80 from 10.0.0.1']", 3, "outbound: 'tcp/80 from 10.0.0.1' is no rule", "docs"),
    ("[policy]\ndhcp = true\ninbound = ['sctp/80']", 3, "inbound: 'sctp/80' is no rule", "docs"),
    ("[policy]\ndhcp = true\ninbound = ['icmp/8']", 3, "inbound: 'icmp/8': icmp has no ports", "docs"),
    ("[policy]\ndhcp = true", 1, "policy: a machine without addresses sends nothing", "docs"),
    ("[policy]\naddresses = ['10.0.0.1']\ninbound = [" + ", ".join(f"'tcp/{n}'" for n in range(1, 33)) + "]", 1,
     "policy: 65 rules", "docs"),
]


# @verifies ATL-LLR-TOOL-0060~1 ATL-LLR-POLICY-0006~1 @robust
class ManifestTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="atoll-manifest-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        (self.folder / "page").write_text("page\n")
        self.path = self.folder / "atoll.toml"

    def read(self, text):
        self.path.write_text(text)
        return read_manifest(self.path)

    def test_all_settings(self):
        values = self.read(WHOLE)
        self.assertEqual(set(values), set(SETTINGS))
        self.assertEqual((values["ring"], values["cores"], values["memory"]), (0, 64, 1024))
        self.assertEqual(values["gate"], ["exit", "thread_exit", "thread_set", "park", "unpark", "map",
                                          "random"])
        self.assertEqual(values["working_directory"], "/data")
        self.assertEqual(values["arguments"], ["--port", "80"])
        self.assertEqual(values["environment"], {"COLOUR": "blue", "NUMBER": "7"})
        page = str(self.folder / "page")
        self.assertEqual(values["files"], {"/data/page": page, '/data/"two"': page})
        self.assertEqual(values["neighbour"], str(self.folder / "shared"))
        self.assertEqual(self.read('neighbour = "unix:bell"')["neighbour"], f"unix:{self.folder}/bell")
        self.assertEqual(policy_texts(b"".join(values["policy"])),
                         ["address 10.0.2.15/32", "in tcp/80 from 0.0.0.0/0", "in tcp/80 from ::/0",
                          "address 0.0.0.0/32", "out udp/67 to 0.0.0.0/0"])
        self.assertEqual(values["out"], {"/result": str(self.folder / "result")})

    def test_every_mistake_has_its_line(self):
        for text, line, message, hint in MISTAKES:
            with self.assertRaises(ToolError, msg=text) as caught:
                self.read(text)
            self.assertTrue(caught.exception.message.startswith(f"{self.path}:{line}: "),
                            f"{text!r}: {caught.exception.message}")
            self.assertIn(message, caught.exception.message, text)
            self.assertIn(hint, caught.exception.hint, text)

    def test_a_file_that_cannot_be_read(self):
        self.path.write_bytes(b"ring = 0\nhost_name = '\xff'\n")
        with self.assertRaisesRegex(ToolError, r"atoll\.toml:2: not UTF-8"):
            read_manifest(self.path)
        with self.assertRaisesRegex(ToolError, "No such file"):
            read_manifest(self.folder / "absent")

    def test_lines_of_names(self):
        text = 'a = 1\n[t]\na = 2\n"q\\u0041" = 3\n[t.u]\n a=4\n[[v]]\nb . c = 1\n'
        for wanted, line in ((("a",), 1), (("t",), 2), (("t", "a"), 3), (("t", "qA"), 4),
                             (("t", "u", "a"), 6), (("v", "b", "c"), 8), (("v", "x"), 7), (("z",), 1)):
            self.assertEqual(line_of(text, wanted), line, wanted)

    def test_the_page_names_every_setting(self):
        page = (support.ROOT / "docs/IMAGES.md").read_text()
        self.assertEqual(re.findall(r"^\| `(?:\[)?([a-z_]+)(?:\])?` \|", page, re.M), list(SETTINGS))


if __name__ == "__main__":
    unittest.main()
