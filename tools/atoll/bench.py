# SPDX-License-Identifier: Apache-2.0
"""`./atoll bench`: instructions that a guest executes for each operation of one program, on Atoll in
both rings and on a Linux guest, under the same QEMU in one run. Times are shown, but judge by
instructions: they repeat, times of an emulator on a busy machine do not."""
import argparse
import collections
import dataclasses
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile

from atoll.build import compile_program, locked
from atoll.errors import ToolError
from atoll.linux_guest import COMMAND_LINE, initial_files, linux_kernel
from atoll.machine import (DIE_WITH_PARENT, QEMU, STREAM_ERROR, STREAM_KERNEL_ERROR, STREAM_OUTPUT,
                           Guest, MachineOptions)
from atoll.noise import noise_rows, parse_quanta
from atoll.options import DEFAULT_ENVIRONMENT, Settings, core_count
from atoll.pack import pack
from atoll.paths import ROOT, build_directory
from atoll.run import exit_status
from atoll.whole import build_whole, whole_programs, workload

PROGRAMS = ROOT / "bench" / "programs"
GATE = ROOT / "isolation" / "gate" / "gate.toml"
PLUGIN = ROOT / "bench" / "plugin" / "instructions.c"
MEMORY_MIB = 256
GUEST_SECONDS = 300
BOOT_SECTION, BOOT_NAME = 127, "boot until main"
COMPILERS = {"storm": "gcc"}  # musl-gcc where nothing is said: its allocator has one lock for all
SYSTEMS = ("atoll-ring0", "atoll-ring3", "linux")


def bench_parser():
    parser = argparse.ArgumentParser(
        prog="./atoll bench", description="Counts guest instructions for each operation of the programs "
        "in bench, on Atoll in both rings and on Linux (Debian's cloud kernel), under the "
        "same QEMU.")
    add = parser.add_argument
    add("--program", action="append", metavar="NAME", help="only this program; may be repeated")
    add("--system", action="append", choices=SYSTEMS, help="only this system; may be repeated")
    add("--no-linux", action="store_true", help="leave Linux out: nothing is downloaded")
    add("--cores", type=core_count, default=2, metavar="N", help="cores (default 2)")
    add("--runs", type=int, default=1, metavar="N", help="median of N runs (default 1)")
    add("--json", metavar="FILE", help="also write the numbers to FILE")
    add("--kernel", metavar="FILE", help=argparse.SUPPRESS)
    add("--posix", metavar="FILE", help=argparse.SUPPRESS)
    return parser


def build_plugin():
    target = build_directory() / "bench" / "instructions.so"
    with locked(target.parent):
        newest = max(f.stat().st_mtime for f in PLUGIN.parent.iterdir())
        if not target.exists() or target.stat().st_mtime < newest:
            compile_program(["gcc", "-std=gnu2x", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC",
                             str(PLUGIN), "-o", str(target)])
    return target


def build_program(source):
    """The program, with the headers of the gate for those that call it themselves."""
    target = build_directory() / "bench" / source.stem
    headers = build_directory() / "bench" / "include"
    with locked(target.parent):
        newest = max(f.stat().st_mtime for f in [*PROGRAMS.iterdir(), GATE])
        if not target.exists() or target.stat().st_mtime < newest:
            compile_program([sys.executable, str(ROOT / "tools" / "gate_generate.py"), str(GATE), "--out",
                             str(headers)])
            compile_program([COMPILERS.get(source.stem, "musl-gcc"), "-std=gnu2x", "-O2", "-Wall",
                             "-Wextra", "-static", "-pthread", f"-I{ROOT / 'isolation' / 'include'}",
                             f"-I{headers}", str(source), "-o", str(target)])
    return target


def parse_output(text):
    """({section: (operations, name)}, {section: why}) of what a program printed."""
    sections = {int(m[1]): (int(m[2]), m[3].strip())
                for m in re.finditer(r"^section (\d+) (\d+) (.+)$", text, re.M)}
    skipped = {int(m[1]): m[2].strip() for m in re.finditer(r"^skipped (\d+) (.+)$", text, re.M)}
    sections[BOOT_SECTION] = (1, BOOT_NAME)
    return sections, skipped


def parse_counts(text):
    """{section: (instructions, nanoseconds)} of what the plugin wrote, summed."""
    sums = collections.defaultdict(lambda: [0, 0])
    for match in re.finditer(r"^(\d+) (\d+) (\d+)$", text, re.M):
        section, instructions, nanoseconds = map(int, match.groups())
        sums[section][0] += instructions
        sums[section][1] += nanoseconds
    return sums


# @impl ATL-LLR-TOOL-0050~1
def per_operation(output, counts):
    """{name: (instructions, nanoseconds) of one operation}."""
    sections, _ = parse_output(output)
    return {name: (counts[s][0] / operations, counts[s][1] / operations)
            for s, (operations, name) in sections.items() if s in counts}


def results_of(output, counts):
    """What one run gave: operations, and quanta, which have no time."""
    noise = {name: (value, None) for name, value in noise_rows(parse_quanta(counts)).items()}
    return per_operation(output, parse_counts(counts)) | noise


@dataclasses.dataclass(frozen=True)
class Job:
    """One program and what it gets. title: of the one section of a program that names none."""
    name: str
    program: pathlib.Path
    arguments: list = ()
    files: list = ()
    title: str = ""

    def results(self, output, counts):
        return results_of(output + (f"\nsection 0 1 {self.title}\n" if self.title else ""), counts)


def measure_atoll(job, ring, options):
    settings = Settings(ring=ring, cores=options.cores, memory=MEMORY_MIB, files=list(job.files),
                        environment=dict(DEFAULT_ENVIRONMENT), kernel=options.kernel,
                        posix=options.posix)
    image = pack(job.program, list(job.arguments), settings, framed=True)
    with tempfile.TemporaryDirectory(prefix="atoll-bench-") as folder:
        path, counts = pathlib.Path(folder, "image"), pathlib.Path(folder, "counts")
        path.write_bytes(image)
        machine = MachineOptions(options.cores, MEMORY_MIB, "q35",
                                 ("-plugin", f"{build_plugin()},out={counts}"), GUEST_SECONDS)
        output, errors = bytearray(), bytearray()
        guest = Guest(machine, path, {STREAM_OUTPUT: output.extend, STREAM_ERROR: errors.extend,
                                      STREAM_KERNEL_ERROR: errors.extend})
        outcome = guest.run()
        if exit_status(outcome) != 0:
            raise ToolError(f"{job.name} on Atoll ring {ring} ended with status "
                            f"{exit_status(outcome)}:\n{output.decode()}{errors.decode()}"
                            f"{outcome.qemu_message}", f"try it: ./atoll run --ring {ring} {job.program}")
        return job.results(output.decode(), counts.read_text())


def linux_command(kernel, initrd, counts, cores, arguments):
    return [QEMU, "-M", "q35", "-accel", "tcg,thread=multi", "-cpu", "max", "-m", str(MEMORY_MIB), "-smp",
            str(cores), "-display", "none", "-nodefaults", "-no-user-config", "-no-reboot", "-serial",
            "stdio", "-kernel", str(kernel), "-initrd", str(initrd), "-append",
            " ".join([COMMAND_LINE, "--", *arguments]), "-plugin",
            f"{build_plugin()},out={counts}"]


def measure_linux(job, options):
    kernel = linux_kernel()
    with tempfile.TemporaryDirectory(prefix="atoll-bench-") as folder:
        initrd, counts = pathlib.Path(folder, "initrd"), pathlib.Path(folder, "counts")
        initrd.write_bytes(initial_files(job.program, job.files))
        try:
            command = linux_command(kernel, initrd, counts, options.cores, job.arguments)
            done = subprocess.run(DIE_WITH_PARENT + command, capture_output=True, stdin=subprocess.DEVNULL, timeout=GUEST_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise ToolError(f"the Linux guest did not end:\n{(error.stdout or b'').decode()[-2000:]}",
                            "try again, or ./atoll bench --no-linux") from None
        output = done.stdout.decode("utf-8", "replace").replace("\r\n", "\n")
        # The panic of a kernel whose init ends is how this guest says "done"; its code is the status.
        if "exitcode=0x00000000" not in output:
            raise ToolError(f"{job.name} failed on Linux:\n{output[-2000:]}{done.stderr.decode()}",
                            "try it on this machine first")
        return job.results(output, counts.read_text())


def measure(system, job, options):
    if system == "linux":
        return measure_linux(job, options)
    return measure_atoll(job, int(system[-1]), options)


def median_of_runs(system, job, options):
    runs = []
    for number in range(options.runs):
        print(f"-- {job.name} on {system}, run {number + 1} of {options.runs}", file=sys.stderr,
              flush=True)
        runs.append(measure(system, job, options))
    return {name: tuple(None if rows[0][i] is None else statistics.median(row[i] for row in rows)
                        for i in (0, 1))
            for name in runs[0] if len(rows := [run[name] for run in runs if name in run]) == len(runs)}


def _number(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def show(program, results):
    """One table: a row for each operation, instructions (and microseconds) for each system."""
    names = list(dict.fromkeys(name for result in results.values() for name in result))
    names.sort(key=lambda name: name != BOOT_NAME)
    print(f"\n{program}: guest instructions for one operation (microseconds in this emulator)\n")
    print(f"{'':42}" + "".join(f"{system:>30}" for system in results))
    for name in names:
        cells = []
        for result in results.values():
            row = result.get(name)
            cells.append("-" if row is None else f"{row[0]:,}" if row[1] is None else
                         f"{_number(row[0])} ({_number(row[1] / 1000)})")
        print(f"{name:42}" + "".join(f"{cell:>30}" for cell in cells))


def bench_command(words):
    options = bench_parser().parse_args(words)
    if options.runs < 1:
        raise ToolError("--runs is at least 1")
    sources = {path.stem: path for path in sorted(PROGRAMS.glob("*.c"))}
    rows = whole_programs()
    for name in options.program or []:
        if name not in sources and name not in rows:
            raise ToolError(f"no program {name!r} in bench", f"there are: {', '.join([*sources, *rows])}")
    systems = options.system or [s for s in SYSTEMS if not (options.no_linux and s == "linux")]
    everything = {}
    for name in options.program or [*sources, *rows]:
        if name in sources:
            job = Job(name, build_program(sources[name]))
        else:
            job = Job(name, build_whole(rows[name]), *workload(rows[name]), rows[name]["title"])
        everything[name] = {s: median_of_runs(s, job, options) for s in systems}
        show(name, everything[name])
    if options.json:
        _write_json(options.json, everything)
    return 0


def _write_json(path, everything):
    rows = [{"program": program, "system": system, "operation": operation,
             "value": round(row[0], 1)} | ({} if row[1] is None else {"nanoseconds": round(row[1])})
            for program, systems in everything.items() for system, result in systems.items()
            for operation, row in result.items()]
    try:
        pathlib.Path(path).write_text(json.dumps({"host_cores": os.cpu_count(), "rows": rows}, indent=1)
                                      + "\n")
    except OSError as error:
        raise ToolError(f"{path}: {error.strerror}", "give a path that can be written") from None
