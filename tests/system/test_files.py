# SPDX-License-Identifier: Apache-2.0
"""Whole trees into a guest (--root), files back out of it (--out), and a machine full of files, as a
user sees them."""
import io
import os
import pathlib
import stat
import tarfile
import tempfile

from lib import PAIRWISE, TestFailure, system_test

LARGE = bytes((i * 31 + i // 251) & 0xff for i in range(300000))


def run(guest, *words):
    kernel, posix = guest.parts()
    return guest.tool("run", "--kernel", kernel, "--posix", posix, "--ring", guest.ring, "--cores",
                      guest.cores, "--machine", guest.machine, *words)


def expect(result, holds, what):
    if not holds:
        raise TestFailure(what, f"{result}\n{what}\n")


def check_tree(done, folder):
    expect(done, (folder / "text").read_bytes() == b"hello\n", "text")
    expect(done, stat.S_IMODE((folder / "text").stat().st_mode) == 0o640, "its mode")
    expect(done, (folder / "empty").read_bytes() == b"", "empty")
    expect(done, (folder / "sub/large").read_bytes() == LARGE, "large")
    expect(done, (folder / "sub/deep/last").read_bytes() == b"z", "last")
    expect(done, os.readlink(folder / "link") == "text", "link")
    expect(done, (folder / "mapped").read_bytes() == bytes(9999) + b"m", "mapped")


# @verifies ATL-LLR-FILE-0041~1 ATL-LLR-TOOL-0046~1
@system_test(matrix=PAIRWISE, timeout_s=60,
             end=(("0", 0), ("7", 7), ("crash", 139), ("thread", 5)))
def test_files_come_back(guest):
    program = guest.build("out_files.c")
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        done = run(guest, "--out", f"/out:{folder}/tree", "--out", f"/out/sub/large:{folder}",
                   "--out", f"/out/link:{folder}/plain", program, guest.end[0])
        expect(done, done.returncode == guest.end[1], "status")
        check_tree(done, folder / "tree")
        expect(done, (folder / "large").read_bytes() == LARGE, "a file into a folder")
        expect(done, (folder / "plain").read_bytes() == b"hello\n", "a link leads to its file")


# @verifies ATL-LLR-TOOL-0046~1 @robust
@system_test(matrix=PAIRWISE, timeout_s=60)
def test_a_file_that_is_not_there_is_said(guest):
    program = guest.build("out_files.c")
    with tempfile.TemporaryDirectory() as folder:
        for status, expected in (("0", 123), ("3", 3)):
            done = run(guest, "--out", f"/absent:{folder}/x", "--out", f"/out/text:{folder}/text",
                       program, status)
            expect(done, done.returncode == expected, "status")
            expect(done, b"--out: /absent: No such file or directory in the guest" in done.stderr, "why")
            expect(done, pathlib.Path(folder, "text").read_bytes() == b"hello\n", "the others come")
            expect(done, not pathlib.Path(folder, "x").exists(), "no file")


# @verifies ATL-LLR-TOOL-0045~1
@system_test(matrix=PAIRWISE, timeout_s=60, kind=("folder", "archive"))
def test_root_is_the_tree_of_the_guest(guest):
    program = guest.build("surroundings.c")
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder, "root")
        (root / "usr/bin").mkdir(parents=True)
        (root / "usr/bin/surroundings").write_bytes(program.read_bytes())
        os.chmod(root / "usr/bin/surroundings", 0o755)
        (root / "bin").symlink_to("usr/bin")
        (root / "etc").mkdir()
        (root / "etc/passwd").write_text("own\n")
        os.mkfifo(root / "pipe")
        source = root
        if guest.kind == "archive":
            source = pathlib.Path(folder, "root.tar.gz")
            with tarfile.open(source, "w:gz") as archive:
                archive.add(root, ".")
                extra = tarfile.TarInfo("./etc/late")
                extra.size, extra.uid = 4, 7
                archive.addfile(extra, io.BytesIO(b"late"))
        done = run(guest, "--root", source, "--out", f"/etc/passwd:{folder}/passwd", "--out",
                   f"/etc/hosts:{folder}/hosts", "/bin/surroundings", "x")
        expect(done, done.returncode == 0, "status")
        expect(done, done.stdout.startswith(b"argument 0 [/bin/surroundings]\nargument 1 [x]\n"), "argv")
        expect(done, pathlib.Path(folder, "passwd").read_text() == "own\n", "its file, not the default")
        expect(done, "localhost" in pathlib.Path(folder, "hosts").read_text(), "the default is there")
        expect(done, b"left out 1 device files" in done.stderr, "what was left out")


# @verifies ATL-LLR-FILE-0042~1 @robust
@system_test(matrix=PAIRWISE, timeout_s=90)
def test_a_full_machine_is_enospc_and_recovers(guest):
    result = guest.run(guest.build("file_space.c"), memory=48)
    result.expect(stdout=b"ok full\nok again\nok mapped\nall ok\n", status=0)


# @verifies ATL-LLR-FILE-0035~1
@system_test(matrix=PAIRWISE)
def test_standard_streams_meet_untouched_shared_pages(guest):
    result = guest.run(guest.build("shared_stream.c"), stdin=b"input")
    result.expect(stdout=bytes(8192) + b"input", status=0)
