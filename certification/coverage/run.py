#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Line, branch and MC/DC coverage of the kernel as it runs in QEMU.

    certification/coverage/run.py                     conformance programs, both rings, one core
    certification/coverage/run.py --cores 1 2         also on two cores: core 0's share is counted
    certification/coverage/run.py --build DIR         default build/coverage

Builds an instrumented kernel with clang-19, boots each program with it, merges the profiles that the
kernel writes to port 0xe9 at power-off, and prints llvm-cov's table for each file. A report: there is
no threshold, and how the programs end is not judged here. Leaves coverage.profdata, summary.json and
lines.txt in the build folder. A run that leaves no profile is named."""
import argparse
import json
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
COMPILER, PROFDATA, COV = "clang-19", "llvm-profdata-19", "llvm-cov-19"
OBJCOPY, NM = "llvm-objcopy-19", "llvm-nm-19"
FRAME = re.compile(rb"\n@coverage ([0-9a-f]{8}) ([0-9a-f]{8})\n")
# Raw profile of clang 19, version 10: compiler-rt/include/profile/InstrProfData.inc
RAW_HEADER = struct.Struct("<16Q")
RAW_MAGIC, RAW_VERSION, RAW_VALUE_KIND_LAST, RAW_RECORD_BYTES = 0xff6c70726f667281, 10, 2, 64
PROGRAM_FOLDERS = ("tests/conformance", "tests/system/programs")
RUN_SECONDS_MAX = 120


class CoverageError(Exception):
    """The report cannot be made."""


def command(arguments, **options):
    done = subprocess.run([str(a) for a in arguments], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", check=False, **options)
    if done.returncode != 0:
        raise CoverageError(f"{' '.join(str(a) for a in arguments)} failed:\n{done.stdout[-6000:]}")
    return done.stdout


def build_kernels(folder):
    """(instrumented kernel.elf, ordinary posix.elf)."""
    for tool in (COMPILER, PROFDATA, COV, OBJCOPY, NM, "cmake", "ninja"):
        if shutil.which(tool) is None:
            raise CoverageError(f"{tool} is missing (Debian packages clang-19, llvm-19, cmake, "
                                "ninja-build)")
    parts = []
    for target, options in (
            ("kernel.elf", ["-DATOLL_COVERAGE=ON", f"-DCMAKE_C_COMPILER={COMPILER}",
                            f"-DCMAKE_ASM_COMPILER={COMPILER}"]),
            ("posix.elf", [])):
        place = folder / target.removesuffix(".elf")
        command(["cmake", "-S", ROOT, "-B", place, "-G", "Ninja", "-DATOLL_PART=image", *options])
        command(["cmake", "--build", place, "--target", target, "--parallel", "2"])
        parts += [file for file in place.rglob(target) if file.is_file()][:1]
    if len(parts) != 2:
        raise CoverageError("the build made no kernel.elf or no posix.elf")
    return tuple(parts)


def build_programs(folder):
    """Static executables of every program that the tests boot; what does not compile alone is
    skipped: it belongs to a test that builds it in its own way."""
    folder.mkdir(parents=True, exist_ok=True)
    programs = []
    for source in sorted(s for p in PROGRAM_FOLDERS for s in (ROOT / p).glob("*.c")):
        target = folder / source.stem
        done = subprocess.run(["musl-gcc", "-std=gnu2x", "-O2", "-static", "-pthread", source, "-o",
                               target], capture_output=True, check=False)
        if done.returncode == 0:
            programs.append(target)
        else:
            print(f"skipped: {source.relative_to(ROOT)} does not compile alone")
    return programs


class Records:
    """What a raw profile needs of an instrumented kernel.elf: records, names, and addresses."""

    def __init__(self, kernel):
        self.data = self._section(kernel, "__llvm_prf_data")
        self.names = self._section(kernel, "__llvm_prf_names")
        self._symbols = {words[2]: int(words[0], 16) for words in
                         (row.split() for row in command([NM, kernel]).splitlines())
                         if len(words) == 3}

    @staticmethod
    def _section(kernel, name):
        with tempfile.NamedTemporaryFile() as content:
            command([OBJCOPY, f"--dump-section={name}={content.name}", kernel, "/dev/null"])
            return pathlib.Path(content.name).read_bytes()

    def profile(self, counters, bitmap):
        """A raw profile; the records count from address 0, where map.ld puts them."""
        header = RAW_HEADER.pack(
            RAW_MAGIC, RAW_VERSION, 0, len(self.data) // RAW_RECORD_BYTES, 0, len(counters) // 8, 0,
            len(bitmap), -len(bitmap) % 8, len(self.names), self._symbols["coverage_counters_begin"],
            self._symbols["coverage_bitmap_begin"], 0, 0, 0, RAW_VALUE_KIND_LAST)
        return b"".join((header, self.data, counters, padded(bitmap), padded(self.names)))


def padded(data):
    return data + bytes(-len(data) % 8)


# @impl ATL-LLR-EVID-0021~1
def extract(dump):
    """(counters, bitmap) of each complete frame of a dump."""
    data = dump.read_bytes() if dump.exists() else b""
    found = []
    for match in FRAME.finditer(data):
        middle = match.end() + int(match[1], 16)
        end = middle + int(match[2], 16)
        if data[end:].startswith(b"\n@end\n"):
            found.append((data[match.end():middle], data[middle:end]))
    return found


def boot(program, ring, cores, machine, parts, records, folder):
    """Files of raw profiles that one run leaves."""
    name = f"{program.name}-ring{ring}-cores{cores}-{machine}"
    dump = folder / f"{name}.debugcon"
    dump.unlink(missing_ok=True)
    kernel, posix = parts
    arguments = [ROOT / "atoll", "run", "--kernel", kernel, "--posix", posix, "--ring", ring,
                 "--cores", cores, "--machine", machine, "--timeout", RUN_SECONDS_MAX,
                 "--qemu-arg=-debugcon", f"--qemu-arg=file:{dump}", program]
    try:
        subprocess.run([str(a) for a in arguments], stdin=subprocess.DEVNULL, check=False,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                       timeout=RUN_SECONDS_MAX + 30)
    except subprocess.TimeoutExpired:
        print(f"no profile: {name} did not end")
        return []
    profiles = []
    for number, (counters, bitmap) in enumerate(extract(dump)):
        profiles.append(folder / f"{name}-{number}.profraw")
        profiles[-1].write_bytes(records.profile(counters, bitmap))
    if not profiles:
        print(f"no profile: {name}")
    return profiles


def report(kernel, profiles, folder):
    merged = folder / "coverage.profdata"
    listing = folder / "profiles.txt"
    listing.write_text("".join(f"{p}\n" for p in profiles))
    command([PROFDATA, "merge", "--sparse", f"--input-files={listing}", "-o", merged])
    common = [kernel, f"-instr-profile={merged}"]
    (folder / "summary.json").write_text(command([COV, "export", "--summary-only", *common]))
    (folder / "lines.txt").write_text(command([COV, "show", "--show-mcdc", "--show-branches=count",
                                               *common]))
    rows = json.loads((folder / "summary.json").read_text())["data"][0]
    print(f"{'file':44} {'lines':>14} {'branches':>14} {'MC/DC':>14}")
    for row in sorted(rows["files"], key=lambda r: r["filename"]):
        print(line(str(row["filename"]).removeprefix(f"{ROOT}/"), row["summary"]))
    print(line("total", rows["totals"]))


def line(name, summary):
    cells = []
    for kind in ("lines", "branches", "mcdc"):
        counts = summary.get(kind, {"count": 0, "covered": 0})
        share = f"{100 * counts['covered'] / counts['count']:.1f} %" if counts["count"] else "-"
        cells.append(f"{counts['covered']}/{counts['count']} {share}".rjust(14))
    return f"{name[-44:]:44} " + " ".join(cells)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build" / "coverage")
    parser.add_argument("--cores", type=int, nargs="+", default=[1])
    parser.add_argument("--ring", type=int, nargs="+", default=[3, 0], choices=(0, 3))
    parser.add_argument("--machine", nargs="+", default=["microvm"], choices=("q35", "microvm"))
    parser.add_argument("--program", action="append", help="only these; default: all")
    options = parser.parse_args()
    folder = options.build.resolve()
    try:
        parts = build_kernels(folder)
        programs = build_programs(folder / "programs")
        if options.program:
            programs = [p for p in programs if p.name in options.program]
        runs = folder / "runs"
        runs.mkdir(exist_ok=True)
        records = Records(parts[0])
        profiles = [profile for machine in options.machine for cores in options.cores
                    for ring in options.ring for program in programs
                    for profile in boot(program, ring, cores, machine, parts, records, runs)]
        if not profiles:
            raise CoverageError("no run left a profile: does kernel/main call coverage_dump()?")
        report(parts[0], profiles, folder)
    except CoverageError as error:
        sys.exit(str(error))
    return 0


if __name__ == "__main__":
    sys.exit(main())
