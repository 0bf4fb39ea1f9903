# SPDX-License-Identifier: Apache-2.0
"""One program on one system, counted by the plugin between the program's marks."""
import collections
import dataclasses
import pathlib
import re
import subprocess
import sys
import tempfile

from atoll.bench.figure import figure_of
from atoll.bench.linux_guest import COMMAND_LINE, initial_files, linux_kernel
from atoll.bench.noise import noise_rows, parse_quanta
from atoll.bench.whole import build_whole, whole_programs, workload
from atoll.build import compile_program, locked
from atoll.errors import ToolError
from atoll.machine import (DIE_WITH_PARENT, QEMU, STREAM_ERROR, STREAM_KERNEL_ERROR, STREAM_OUTPUT,
                           Guest, MachineOptions)
from atoll.options import DEFAULT_ENVIRONMENT, Settings
from atoll.pack import pack
from atoll.paths import ROOT, build_directory
from atoll.run import exit_status

PROGRAMS = ROOT / "bench" / "programs"
GATE = ROOT / "isolation" / "gate" / "gate.toml"
HTTP = ROOT / "apps" / "http" / "http.c"
PLUGIN = ROOT / "bench" / "plugin"
MEMORY_MIB = 256
GUEST_SECONDS = 300
# The same address layout each time: on one core the numbers then repeat exactly.
SEED = 1
COMPILERS = {"storm": "gcc"}  # musl-gcc where nothing is said: its allocator has one lock for all
SYSTEMS = ("atoll-ring0", "atoll-ring3", "linux")


@dataclasses.dataclass(frozen=True)
class Options:
    """cores of the machine; kernel and posix: other files than the tool builds; is_counted: machines of Atoll have a
    clock that goes by their instructions."""
    cores: int = 2
    runs: int = 1
    kernel: str | None = None
    posix: str | None = None
    is_counted: bool = False


def build_plugin():
    target = build_directory() / "bench" / "instructions.so"
    with locked(target.parent):
        newest = max(f.stat().st_mtime for f in PLUGIN.iterdir())
        if not target.exists() or target.stat().st_mtime < newest:
            compile_program(["gcc", "-std=gnu2x", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC",
                             *map(str, sorted(PLUGIN.glob("*.c"))), "-o", str(target)])
    return target


def build_program(source):
    """The program, with the headers of the gate for those that call it themselves."""
    target = build_directory() / "bench" / source.stem
    headers = build_directory() / "bench" / "include"
    with locked(target.parent):
        newest = max(f.stat().st_mtime for f in [*PROGRAMS.iterdir(), GATE, HTTP])
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
    systems: tuple = SYSTEMS
    runs_min: int = 1
    is_exact: bool = True  # it repeats where the machine's clock goes by instructions

    def results(self, output, counts):
        return results_of(output + (f"\nsection 0 1 {self.title}\n" if self.title else ""), counts)

    def measure(self, system, options):
        """{operation: (instructions, nanoseconds or None)} of one run."""
        if system == "linux":
            return _measure_linux(self, options)
        return _measure_atoll(self, int(system[-1]), options)


def job_names():
    return [*(path.stem for path in sorted(PROGRAMS.glob("*.c"))), *whole_programs()]


def make_job(name):
    """The job of a name, its program built."""
    rows = whole_programs()
    if name in rows:
        return Job(name, build_whole(rows[name]), *workload(rows[name]), rows[name]["title"])
    return Job(name, build_program(PROGRAMS / f"{name}.c"))


def atoll_image(job, ring, options, machine="q35"):
    settings = Settings(ring=ring, cores=options.cores, memory=MEMORY_MIB, machine=machine, seed=SEED,
                        files=list(job.files), environment=dict(DEFAULT_ENVIRONMENT),
                        kernel=options.kernel, posix=options.posix)
    return pack(job.program, list(job.arguments), settings, framed=True)


def run_atoll(job, ring, options, image, machine, arguments):
    """Standard output of a run that must end well."""
    output, errors = bytearray(), bytearray()
    guest = Guest(MachineOptions(options.cores, MEMORY_MIB, machine, arguments, GUEST_SECONDS,
                                 is_counted=options.is_counted), image,
                  {STREAM_OUTPUT: output.extend, STREAM_ERROR: errors.extend,
                   STREAM_KERNEL_ERROR: errors.extend})
    outcome = guest.run()
    if exit_status(outcome) != 0:
        raise ToolError(f"{job.name} on Atoll ring {ring} ended with status {exit_status(outcome)}:\n"
                        f"{output.decode()}{errors.decode()}{outcome.qemu_message}",
                        f"try it: ./atoll run --ring {ring} {job.program}")
    return output.decode()


def _measure_atoll(job, ring, options):
    with tempfile.TemporaryDirectory(prefix="atoll-bench-") as folder:
        path, counts = pathlib.Path(folder, "image"), pathlib.Path(folder, "counts")
        path.write_bytes(atoll_image(job, ring, options))
        output = run_atoll(job, ring, options, path, "q35",
                           ("-plugin", f"{build_plugin()},out={counts}"))
        return job.results(output, counts.read_text())


def linux_command(kernel, initrd, cores, arguments, extra=()):
    return [QEMU, "-M", "q35", "-accel", "tcg,thread=multi", "-cpu", "max", "-m", str(MEMORY_MIB), "-smp",
            str(cores), "-display", "none", "-nodefaults", "-no-user-config", "-no-reboot", "-serial",
            "stdio", "-kernel", str(kernel), "-initrd", str(initrd), "-append",
            " ".join([COMMAND_LINE, "--", *arguments]), *extra]


def run_linux(job, options, initrd, extra=()):
    """Console output of a run that must end well."""
    command = linux_command(linux_kernel(), initrd, options.cores, job.arguments, extra)
    try:
        done = subprocess.run(DIE_WITH_PARENT + command, capture_output=True, stdin=subprocess.DEVNULL,
                              timeout=GUEST_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise ToolError(f"the Linux guest did not end:\n{(error.stdout or b'').decode()[-2000:]}",
                        "try again, or ./atoll bench --no-linux") from None
    output = done.stdout.decode("utf-8", "replace").replace("\r\n", "\n")
    # The panic of a kernel whose init ends is how this guest says "done"; its code is the status.
    if "exitcode=0x00000000" not in output:
        raise ToolError(f"{job.name} failed on Linux:\n{output[-2000:]}{done.stderr.decode()}",
                        "try it on this machine first")
    return output


def _measure_linux(job, options):
    with tempfile.TemporaryDirectory(prefix="atoll-bench-") as folder:
        initrd, counts = pathlib.Path(folder, "initrd"), pathlib.Path(folder, "counts")
        initrd.write_bytes(initial_files(job.program, job.files))
        output = run_linux(job, options, initrd, ("-plugin", f"{build_plugin()},out={counts}"))
        return job.results(output, counts.read_text())


def median_of_runs(system, job, options, say):
    """{operation: Figure}."""
    count = number_of_runs(job, options)
    runs = []
    for number in range(count):
        say(f"{job.name} on {system}" + (f", run {number + 1} of {count}" if count > 1 else ""))
        runs.append(job.measure(system, options))
    rows = {name: [run[name] for run in runs if name in run] for name in runs[0]}
    return {name: figure_of(several) for name, several in rows.items() if len(several) == count}


def number_of_runs(job, options):
    """What is counted repeats: then one run is enough."""
    return 1 if options.is_counted and job.is_exact else max(options.runs, job.runs_min)
