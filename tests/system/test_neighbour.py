# SPDX-License-Identifier: Apache-2.0
"""The channel to a neighbour machine: two images with one another, an image with the C program that an
RTOS would compile, and with one that writes whatever it can."""
import contextlib
import os
import pathlib
import subprocess
import tempfile
import threading

from lib import FULL, ONE, PAIRWISE, ROOT, system_test

from atoll.build import compile_program
from atoll.neighbour import DoorbellServer
from atoll.paths import build_directory
from atoll.testing.results import TestFailure

COUNT = 10000
LIVES_OF_LIES = 12
RINGS = 300000
_lock = threading.Lock()


def host_program():
    """The other side as a program of this machine, compiled once."""
    sources = [ROOT / "apps/neighbour" / name for name in ("host.c", "ivshmem.c", "neighbour.c")]
    target = build_directory() / "programs" / "neighbour-host"
    with _lock:
        if not target.exists() or any(s.stat().st_mtime > target.stat().st_mtime for s in sources):
            target.parent.mkdir(parents=True, exist_ok=True)
            compile_program(["gcc", "-std=gnu2x", "-O2", *map(str, sources), "-o", str(target)])
    return target


@contextlib.contextmanager
def shared_file():
    with tempfile.TemporaryDirectory(prefix="atoll-neighbour-") as folder:
        yield pathlib.Path(folder) / "shared"


@contextlib.contextmanager
def shared(bell):
    """What the two machines are told of memory that they share: [of the first, of the second]. bell: who
    has a doorbell: none, first or both."""
    with shared_file() as file:
        if bell == "none":
            yield [file, file]
            return
        server = DoorbellServer(str(file.parent / "bell"), file)
        thread = threading.Thread(target=server.serve)
        thread.start()
        try:
            setting = f"unix:{server.path}"
            yield [setting, setting if bell == "both" else file]
        finally:
            server.stop()
            thread.join()
            server.close()


@contextlib.contextmanager
def host(file, *words):
    """A host program that has joined; it is gone afterwards. The file must be there."""
    process = subprocess.Popen([host_program(), file, *(str(w) for w in words)],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        if process.stdout.readline() != b"joined\n":
            raise TestFailure(f"the host program did not join: {process.communicate()}")
        yield process
    finally:
        process.kill()
        process.wait()


def play(file, words, told):
    """Runs a host program to its end; what is wrong with it is added to told."""
    try:
        with host(file, 0, *words) as process:
            output, errors = process.communicate(timeout=60)
            if process.returncode != 0:
                told.append(f"{words}: {process.returncode} {output} {errors}")
    except (TestFailure, subprocess.TimeoutExpired) as error:
        told.append(f"{words}: {error}")


def make(file, size=65536):
    if isinstance(file, str):
        return file  # a server's, which has made it
    with open(file, "wb") as stream:
        stream.truncate(size)
    return file


def sum_of(count):
    return sum((i * 29 + k * 3) & 255 for i in range(count) for k in range(1 + i * 97 % 3072))


# @verifies ATL-LLR-NEIGHBOUR-1020~1 ATL-LLR-NEIGHBOUR-1021~1 ATL-LLR-NEIGHBOUR-1022~2 ATL-LLR-NEIGHBOUR-1023~1 @robust
@system_test(matrix=PAIRWISE, machine=("q35",), bell=("none", "first"))
def test_both_sides_in_one_machine(guest):
    with shared(guest.bell) as (file, _):
        guest.run(guest.build("neighbour.c"), "/dev/neighbour0", "both", neighbour=file).expect(
            stdout=f"500 messages, sum {sum_of(500)}\nboth sides\n".encode(), status=0)


# @verifies ATL-LLR-NEIGHBOUR-1010~1 ATL-LLR-NEIGHBOUR-1020~1 ATL-LLR-NEIGHBOUR-1021~1 ATL-LLR-NEIGHBOUR-1022~2
@system_test(matrix=PAIRWISE, machine=("q35",), libc=("musl",), cores=(1, 2), bell=("none", "both"),
             timeout_s=180)
def test_two_images(guest):
    program = guest.build("neighbour.c")
    results = {}
    with shared(guest.bell) as settings:
        def run(device, *words):
            results[device] = guest.run(program, device, *words, neighbour=settings[int(device[-1])])
        other = threading.Thread(target=run, args=("/dev/neighbour1", "echo" if guest.ring == 3 else "watch"))
        other.start()
        run("/dev/neighbour0", "ping", str(COUNT))
        other.join()
    line = f"{COUNT} messages, sum {sum_of(COUNT)}"
    results["/dev/neighbour0"].expect(stdout=f"{line}\n".encode(), stderr=b"", status=0)
    results["/dev/neighbour1"].expect(stdout=f"{line}, end\n".encode(), stderr=b"", status=0)


# @verifies ATL-LLR-NEIGHBOUR-1006~1 ATL-LLR-NEIGHBOUR-1020~1
@system_test(matrix=PAIRWISE, machine=("q35",), libc=("musl",), cores=(2,), side=(0, 1),
             bell=("none", "first", "both"))
def test_an_image_and_a_program_that_an_rtos_could_be(guest):
    with shared(guest.bell) as (ours, theirs), host(make(theirs), guest.side, "echo", 0) as process:
        result = guest.run(guest.build("neighbour.c"), f"/dev/neighbour{1 - guest.side}", "ping", "2000",
                           neighbour=ours)
        result.expect(stdout=f"2000 messages, sum {sum_of(2000)}\n".encode(), status=0)
        # It has seen the end of the program, which closed nothing.
        result.expect_that(process.wait(30) == 0, "the host program ends well")


def endure(guest, lives):
    """The guest's run, while one host program after the other plays the other side."""
    told = []
    with shared(guest.bell) as (ours, theirs):
        make(theirs)

        def play_all():
            for words in lives:
                if not told:
                    play(theirs, words, told)
        player = threading.Thread(target=play_all)
        player.start()
        try:
            result = guest.run(guest.build("neighbour.c"), "/dev/neighbour1", "endure", neighbour=ours)
        finally:
            player.join()
    result.expect_that(not told, f"the host programs end well: {told}")
    return result


# @verifies ATL-LLR-NEIGHBOUR-1020~1 ATL-LLR-NEIGHBOUR-1023~1 @robust
@system_test(matrix=PAIRWISE, machine=("q35",), libc=("musl",), cores=(1, 2), bell=("none", "both"))
def test_a_neighbour_restarts(guest):
    # A life that ends without a word is noticed when the next one begins.
    result = endure(guest, [("die", 7), ("die", 5), ("ping", 100), ("ping", 3), ("stop", 0)])
    lost = "Connection reset by peer\n"
    result.expect(stdout=f"{lost}{lost}end\nend\nstop\n".encode(), status=0)


# @verifies ATL-LLR-NEIGHBOUR-1020~1 ATL-LLR-NEIGHBOUR-1023~1 @robust
@system_test(matrix=PAIRWISE, machine=("q35",), libc=("musl",), cores=(1, 2), bell=("none", "both"),
             timeout_s=120)
def test_a_neighbour_lies(guest):
    lies = [("lie", seed) for seed in range(LIVES_OF_LIES)]
    result = endure(guest, [*lies, ("ping", 100), ("stop", 0)])
    lines = result.stdout.decode().split("\n")
    result.expect(status=0)
    result.expect_that(lines[-3:] == ["end", "stop", ""], "the program went on to the end")
    known = {"Protocol error", "Connection reset by peer", "end"}
    result.expect_that(set(lines[:-2]) <= known, "the errors are clear")
    # The other half also lies about its lives, and a life that seems to be another is no lie.
    result.expect_that(lines.count("Protocol error") >= LIVES_OF_LIES // 2, "a wrong index is an error")
    result.expect_that(len(lines) - 3 >= LIVES_OF_LIES, "each lie was told")
    result.expect_that(not result.kernel_errors, "the kernel has nothing to say")


# @verifies ATL-LLR-NEIGHBOUR-1010~1 ATL-LLR-NEIGHBOUR-1023~1 ATL-LLR-NEIGHBOUR-1011~1
@system_test(matrix=PAIRWISE, machine=("q35", "microvm"), libc=("musl",), asks=(True, False))
def test_memory_is_there_when_asked_for(guest):
    """The image asks, or the machine has it, or neither, or both."""
    device, small = (("-object", f"memory-backend-ram,id=m,share=on,size={size}",
                      "-device", "ivshmem-plain,memdev=m") for size in ("64K", "32K"))
    image = guest.pack(guest.build("neighbour.c"), "/dev/neighbour0", "open",
                       neighbour="any" if guest.asks else None)
    for qemu in ((), small, device) if guest.machine == "q35" else ((),):
        text = ("No such file or directory" if not guest.asks else "open" if qemu == device
                else "No such device or address")
        guest.boot(image, qemu=qemu).expect(stdout=f"{text}\n".encode(), status=0)


# @verifies ATL-LLR-NEIGHBOUR-1030~1
@system_test(matrix=ONE, machine=("q35",), libc=("musl",), timeout_s=60)
def test_run_makes_the_file(guest):
    program = guest.build("neighbour.c")

    def refused(message, *words):
        done = guest.tool("run", *words, program, "/dev/neighbour0", "both")
        if done.returncode != 125 or message not in done.stderr:
            raise TestFailure(f"{message} is not said: {done}")
    with shared_file() as file:
        words = ("--neighbour", file, "--machine", "q35")
        done = guest.tool("run", *words, program, "/dev/neighbour0", "both")
        if not done.stdout.endswith(b"both sides\n") or file.stat().st_size != 65536:
            raise TestFailure(f"it does not work: {done}")
        for size in (1000, 65536 + 4096, 32768):
            os.truncate(file, size)
            refused(b"%d bytes" % size, *words)
        refused(b"--machine q35", *words[:2])
        refused(b"Is a directory", "--neighbour", file.parent, *words[2:])


# @verifies ATL-LLR-NEIGHBOUR-1040~1 ATL-LLR-NEIGHBOUR-1041~1 ATL-LLR-NEIGHBOUR-1046~1 ATL-LLR-NEIGHBOUR-1048~1
@system_test(matrix=FULL, machine=("q35",), libc=("musl",), cores=(1,), bell=("none", "both"))
def test_nobody_looks_while_nothing_happens(guest):
    """Judged by counts: without a doorbell a timer looks, with one neither a timer nor a ring."""
    with shared(guest.bell) as (ours, theirs), host(make(theirs), 1, "echo", 0) as process:
        result = guest.run(guest.build("neighbour.c"), "/dev/neighbour0", "idle", neighbour=ours)
        found = ("read: quiet, epoll: quiet, woken by the bell" if guest.bell == "both"
                 else "read: timer, epoll: timer, woken by a timer")
        result.expect(stdout=f"10 messages, sum {sum_of(10)}\n{found}\n".encode(), status=0)
        result.expect_that(process.wait(30) == 0, "the host program ends well")


# @verifies ATL-LLR-NEIGHBOUR-1041~1 ATL-LLR-NEIGHBOUR-1047~1 @robust
@system_test(matrix=PAIRWISE, machine=("q35",), libc=("musl",), cores=(1, 2), timeout_s=120)
def test_a_storm_of_rings_takes_nothing(guest):
    told = []
    with shared("both") as (ours, theirs):
        player = threading.Thread(target=play, args=(theirs, ("storm", RINGS), told))
        player.start()
        try:
            result = guest.run(guest.build("neighbour.c"), "/dev/neighbour1", "calm", neighbour=ours)
        finally:
            player.join()
    result.expect(stdout=b"6 messages, calm\n", status=0)
    result.expect_that(not told, f"the host program ends well: {told}")


# @verifies ATL-LLR-NEIGHBOUR-1050~1
@system_test(matrix=ONE, machine=("q35",), libc=("musl",), timeout_s=60)
def test_run_takes_a_server(guest):
    program = guest.build("neighbour.c")
    words = ("run", "--machine", "q35", "--neighbour")
    with shared("both") as (setting, _):
        done = guest.tool(*words, setting, program, "/dev/neighbour0", "both")
        if not done.stdout.endswith(b"both sides\n"):
            raise TestFailure(f"it does not work: {done}")
    for name, message in ((setting, b"./atoll neighbour"), ("unix:" + "x" * 200, b"1 to 107 bytes")):
        done = guest.tool(*words, name, program, "/dev/neighbour0", "both")
        if done.returncode != 125 or message not in done.stderr:
            raise TestFailure(f"{message} is not said: {done}")
