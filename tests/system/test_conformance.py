# SPDX-License-Identifier: Apache-2.0
"""One test for each program of tests/conformance/programs.toml, and two that look after the programs
themselves on the build machine: all pass there, and every case can fail."""
import contextlib
import functools
import os
import random
import re
import subprocess
import threading
import tomllib

import lib

FOLDER = lib.ROOT / "tests" / "conformance"
GUEST_FILE = "/data/text"
WORDS = ("atoll island core ring gate lagoon reef palm tide wave message credit frame slot page "
         "thread signal clock barrier channel deadline stack").split()
DEFAULTS = {"arguments": [], "flags": [], "extra": [], "environment": {}, "file_bytes": 0,
            "status": 0, "output": "cases", "matrix": "pairwise", "memory": 128, "timeout": 30,
            "gate_headers": False, "stdin": "", "stdin_stays_open": False}
AXES = ("libc", "ring", "cores", "machine")


def programs():
    rows = tomllib.loads((FOLDER / "programs.toml").read_text())["program"]
    return [{**DEFAULTS, **row} for row in rows]


_text_lock = threading.Lock()
_linux_lock = threading.Lock()


def text_file(size):
    """A text of `size` bytes, the same in every run, that a compressor neither loves nor hates."""
    with _text_lock:
        return _text_file(size)


@functools.cache
def _text_file(size):
    path = lib.build_directory() / "conformance" / f"text-{size}"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        source = random.Random(size)
        pieces = [" ".join(source.choices(WORDS, k=12)) + f" {source.getrandbits(64):x}\n"
                  for _ in range(size // 64 + 1)]
        aside = path.with_name(f"{path.name}.{os.getpid()}")
        aside.write_bytes("".join(pieces).encode()[:size])
        os.replace(aside, path)
    assert path.stat().st_size == size
    return path


@functools.cache
def gate_include_flags():
    target = lib.build_directory() / "conformance" / "include"
    subprocess.run(["/usr/bin/python3", str(lib.ROOT / "tools/gate_generate.py"),
                    str(lib.ROOT / "isolation/gate/gate.toml"), "--out", str(target)], check=True)
    return (f"-I{lib.ROOT / 'isolation/include'}", f"-I{target}")


def build(guest, program, libc=None):
    flags = list(program["flags"])
    if program["gate_headers"]:
        flags += gate_include_flags()
    return guest.build(program["source"], *flags, libc=libc)


def arguments_of(program, file):
    return [word.replace("{file}", str(file)) for word in program["arguments"]]


def host_file(program):
    return text_file(program["file_bytes"]) if program["file_bytes"] else ""


def on_linux(program, binary, *more):
    """The program on the build machine: (stdout, stderr, status). One at a time: programs write to
    fixed places below /tmp."""
    environment = {**os.environ, **program["environment"]}
    arguments = arguments_of(program, host_file(program))
    split = arguments.index("--") if "--" in arguments else len(arguments)
    command = ["/usr/bin/env", "-", *(f"{k}={v}" for k, v in environment.items()), str(binary),
               *arguments[:split], *more, *arguments[split:]]
    with _linux_lock, standard_input(program) as stdin:
        source = {"input": stdin} if isinstance(stdin, bytes) else {"stdin": stdin}
        done = subprocess.run(command, **source, capture_output=True, timeout=120)
    return done.stdout, done.stderr, done.returncode if done.returncode >= 0 else 128 - done.returncode


def cases_of(binary):
    return subprocess.run([str(binary), "--list"], capture_output=True, check=True, text=True,
                          timeout=10).stdout.split()


def extra_lines(program, binary, cores):
    """Lines that must appear beside the cases: given ones, or those that match in a run on Linux."""
    for line in program["extra"]:
        if line.startswith("{linux:"):
            pattern = re.compile(line[len("{linux:"):-1])
            output = on_linux(program, binary)[0].decode()
            yield from (found for found in output.splitlines() if pattern.fullmatch(found))
        else:
            yield line.format(cores=cores)


def check_cases(result, program, binary, cores):
    """Every case was passed, in order, and nothing else was said."""
    lines = result.stdout.decode("utf-8", "backslashreplace").splitlines()
    for line in extra_lines(program, binary, cores):
        result.expect_that(line in lines, f"output has the line {line!r}")
        lines.remove(line)
    wanted = [f"ok {case}" for case in cases_of(binary)] + ["all ok"]
    result.expect_that(lines == wanted, f"output is {wanted[-3:]}, not {lines[-3:]}")


@contextlib.contextmanager
def standard_input(program):
    """Bytes, which end; or a descriptor that gives them and then stays open."""
    data = program["stdin"].encode()
    if not program["stdin_stays_open"]:
        yield data
        return
    reader, writer = os.pipe()
    try:
        os.write(writer, data)
        yield reader
    finally:
        os.close(writer)
        os.close(reader)


def run_program(guest, program, variant="image"):
    binary = build(guest, program)
    file = host_file(program)
    with standard_input(program) as stdin:
        result = guest.run(binary, *arguments_of(program, GUEST_FILE), variant=variant,
                           files=[(str(file), GUEST_FILE)] if file else [],
                           memory=program["memory"], environment=program["environment"],
                           stdin=stdin)
    if program["output"] == "linux":
        stdout, _, status = on_linux(program, binary)
        result.expect_that(status == program["status"], f"on Linux the status is {program['status']}")
        result.expect(stdout=stdout, status=program["status"])
    else:
        result.expect(status=program["status"])
        check_cases(result, program, binary, guest.cores)


def register(program):
    def test(guest):
        run_program(guest, program)
    test.__name__ = program["name"]
    test.__module__ = __name__
    axes = {name: tuple(program[name]) for name in AXES if name in program}
    if program["matrix"] == lib.PAIRWISE:
        axes["calls"] = ("detoured", "reflected")
    lib.system_test(matrix=program["matrix"], timeout_s=program["timeout"], **axes)(test)


def register_reflected(program):
    """Those of the full matrix with each system call reflected by the kernel; the others have an
    axis for it."""
    def test(guest):
        run_program(guest, program)
    test.__name__ = program["name"] + "_reflected"
    test.__module__ = __name__
    axes = {"cores": (2, 1), "machine": ("microvm",), "calls": ("reflected",)}
    axes |= {name: tuple(program[name]) for name in ("libc", "ring") if name in program}
    lib.system_test(matrix=lib.PAIRWISE, timeout_s=program["timeout"], **axes)(test)


def register_perturbed(program):
    """The same with the build that delays at random at each step of channels and scheduler; the log
    of a failure has the seeds (--seed N --perturb repeats one)."""
    def test(guest):
        run_program(guest, program, variant="perturb")
    test.__name__ = program["name"] + "_perturbed"
    test.__module__ = __name__
    lib.system_test(matrix=lib.PAIRWISE, timeout_s=2 * program["timeout"], cores=(4, 2),
                    ring=(3,))(test)


PERTURBED = ("threads", "mutex", "condvar", "barrier", "rwlock", "semaphore", "once_tsd", "cancel",
             "timedwait", "signals", "pipes", "epoll", "signal_queue", "timers", "socket_threads", "tcp", "tcp_ports",
             "tcp_groups", "shared_ports", "udp")


for row in programs():
    register(row)
    if row["matrix"] == lib.FULL:
        register_reflected(row)
    if row["name"] in PERTURBED:
        register_perturbed(row)


@lib.system_test(matrix=lib.ONE, timeout_s=60)
def test_random_differs_from_boot_to_boot(guest):
    # @verifies ATL-HLR-CONF-0009~1
    binary = guest.build("random.c")
    values = set()
    for _ in range(3):
        result = guest.run(binary, "--only", "device", "--file", "seed").expect(status=0)
        values |= set(re.findall(rb"value ([0-9a-f]{16})", result.stdout))
    result.expect_that(len(values) == 3, f"three boots gave three values: {values}")


def with_cases():
    return [p for p in programs() if p["output"] == "cases"]


def libcs_of(program):
    return program.get("libc", lib.AXES["libc"])


@lib.host_test
def test_programs_pass_on_linux(guest):
    """What fails there is wrong itself. Those that crash on purpose end with their status."""
    for program in programs():
        for libc in libcs_of(program):
            binary = build(guest, program, libc)
            stdout, stderr, status = on_linux(program, binary)
            if status != program["status"]:
                raise lib.TestFailure(f"{program['name']} ({libc}) ends with {status} on Linux",
                                      (stdout + stderr).decode("utf-8", "backslashreplace"))


@lib.host_test
def test_every_case_can_fail(guest):
    """--break inverts a check of a case: the program must say FAIL and end with status 1."""
    for program in with_cases():
        binary = build(guest, program, libcs_of(program)[0])
        for case in cases_of(binary):
            stdout, _, status = on_linux(program, binary, "--only", case, "--break", case)
            if status != 1 or not any(line.startswith(b"FAIL ") for line in stdout.splitlines()):
                raise lib.TestFailure(f"{program['name']}: case {case} passes although it is broken",
                                      stdout.decode("utf-8", "backslashreplace"))


@lib.host_test
def test_entries_cite_what_their_sources_cite(guest):
    """programs.toml and the sources name the same requirements."""
    for program in programs():
        cited = set(re.findall(r"ATL-[A-Z]+-CONF-\d{4}", (FOLDER / program["source"]).read_text()))
        if cited != set(program["requirements"]):
            raise lib.TestFailure(f"{program['name']}: {program['requirements']}, source: {cited}")


@lib.host_test
def test_hostile_programs_know_the_gate(guest):
    """The errors that gate_raw.h allows are those of gate.toml."""
    text = (FOLDER / "hostile" / "gate_raw.h").read_text()
    allowed = {name: set(re.findall(r"E[A-Z]+", errors)) for name, errors in
               re.findall(r'\[GATE_\w+\] = \{"(\w+)", [01], \{([^}]*)\}\}', text)}
    calls = tomllib.loads((lib.ROOT / "isolation/gate/gate.toml").read_text())["call"]
    defined = {call["name"]: set(call["errors"]) for call in calls}
    if allowed != defined:
        raise lib.TestFailure("the table of gate_raw.h is not that of gate.toml",
                              f"{allowed}\n{defined}")
