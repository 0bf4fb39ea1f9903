#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Builds and runs the fuzz targets.

    fuzz/run.py                          replays the corpus of every target under ASan and UBSan, then
                                         10 s of AFL++ on each
    fuzz/run.py --seconds 0              replay only
    fuzz/run.py --target kernel_image    one target (may be given more than once)

Prints `PASS fuzz_<target>` or `FAIL fuzz_<target>: reason` for each and ends with status 1 on any
FAIL. A crashing input is kept below --build (findings/<target>/). The canary must crash in both
parts: on its magic input in the replay, and found by AFL++ from harmless seeds."""
import argparse
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
CORPUS = ROOT / "fuzz" / "corpus"
CANARY = "canary"
CANARY_MAGIC = b"crash!"
CANARY_SECONDS_MIN = 5
REPLAY_SECONDS_MAX = 300
FUZZ_ENVIRONMENT = {
    "AFL_SKIP_CPUFREQ": "1", "AFL_NO_AFFINITY": "1", "AFL_NO_UI": "1",
    "AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES": "1",
    "ASAN_OPTIONS": "abort_on_error=1:detect_leaks=0:symbolize=0",
    "UBSAN_OPTIONS": "halt_on_error=1:abort_on_error=1:symbolize=0",
}


class RunError(Exception):
    """Something outside of the targets is wrong: a missing tool, a failed build."""


def command(arguments, **options):
    """Runs a build step; its output is shown only when it fails."""
    done = subprocess.run([str(a) for a in arguments], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False, **options)
    if done.returncode != 0:
        raise RunError(f"{' '.join(str(a) for a in arguments)} failed:\n{done.stdout}")


def build(folder, compiler):
    """Builds all targets; returns {target: executable}."""
    if shutil.which(compiler) is None:
        raise RunError(f"{compiler} is not installed (Debian packages afl++ and gcc)")
    environment = {**os.environ, "AFL_QUIET": "1"}
    generator = ["-G", "Ninja"] if shutil.which("ninja") else []
    command(["cmake", "-S", ROOT, "-B", folder, *generator, "-DATOLL_PART=hosted",
             f"-DCMAKE_C_COMPILER={compiler}"], env=environment)
    command(["cmake", "--build", folder, "--target", "atoll_fuzz", "--parallel", "2"], env=environment)
    return {file.name.removeprefix("fuzz_"): file for file in sorted((folder / "fuzz").glob("fuzz_*"))
            if file.is_file() and os.access(file, os.X_OK)}


def seeds(target):
    return sorted(p for p in (CORPUS / target).iterdir() if p.is_file()) \
        if (CORPUS / target).is_dir() else []


def replay(executable, files):
    """None, or the text of what went wrong with one of the files."""
    try:
        done = subprocess.run([executable, *files], capture_output=True, text=True, errors="replace",
                              timeout=REPLAY_SECONDS_MAX, check=False)
    except subprocess.TimeoutExpired:
        return f"the corpus takes longer than {REPLAY_SECONDS_MAX} s"
    if done.returncode == 0:
        return None
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    return lines[0] if lines else f"status {done.returncode}"


# @impl ATL-LLR-EVID-0010~1
def replay_canary(executable):
    """The canary takes its seeds and must crash on the magic input."""
    problem = replay(executable, seeds(CANARY))
    if problem is not None:
        return f"crashed on a harmless seed: {problem}"
    with tempfile.NamedTemporaryFile() as magic:
        magic.write(CANARY_MAGIC)
        magic.flush()
        if replay(executable, [magic.name]) is None:
            return "did not crash on its magic input: the rig is blind"
    return None


def fuzz(executable, target, seconds, output):
    """Runs AFL++ and returns (executions, crashing files, hanging files)."""
    shutil.rmtree(output, ignore_errors=True)
    output.parent.mkdir(parents=True, exist_ok=True)
    dictionary = ROOT / "fuzz" / "dictionaries" / f"{target}.dict"
    extra = ["-x", dictionary] if dictionary.exists() else []
    if target == CANARY:
        extra.append("-D")  # deterministic steps first: the seed `near` is one subtraction away
    arguments = ["afl-fuzz", "-i", CORPUS / target, "-o", output, "-V", str(seconds), "-m", "none",
                 *extra, "--", executable]
    process = subprocess.Popen([str(a) for a in arguments], env={**os.environ, **FUZZ_ENVIRONMENT},
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                               errors="replace", start_new_session=True)
    try:
        log, _ = process.communicate(timeout=seconds + 60)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        log, _ = process.communicate()
        log += "\nafl-fuzz did not end in time"
    statistics = output / "default" / "fuzzer_stats"
    found = re.search(r"^execs_done\s*:\s*(\d+)", statistics.read_text(), re.M) \
        if statistics.exists() else None
    if not found:
        tail = [line for line in log.splitlines() if line.strip()][-8:]
        raise RunError(f"afl-fuzz did not start on {target}:\n" + "\n".join(tail))
    kept = [sorted((output / "default" / kind).glob("id*")) for kind in ("crashes", "hangs")]
    return int(found.group(1)), *kept


def judge(target, executable, seconds, output):
    """(problem or None, executions) of a fuzzing run."""
    executions, crashes, hangs = fuzz(executable, target, seconds, output)
    if target == CANARY:
        return (None if crashes else f"AFL++ did not find the crash in {seconds} s"), executions
    if crashes or hangs:
        kind, files = ("crash", crashes) if crashes else ("hang", hangs)
        return f"{len(files)} {kind} input(s), the first is {files[0]}", executions
    return None, executions


def run_target(target, plain, instrumented, options):
    """The line to print for one target."""
    if not seeds(target):
        return f"FAIL fuzz_{target}: no seeds in fuzz/corpus/{target}"
    problem = replay_canary(plain) if target == CANARY else replay(plain, seeds(target))
    if problem:
        return f"FAIL fuzz_{target}: replay: {problem}"
    detail = f"{len(seeds(target))} seeds"
    if instrumented is not None:
        seconds = max(options.seconds, CANARY_SECONDS_MIN) if target == CANARY else options.seconds
        problem, executions = judge(target, instrumented, seconds,
                                    options.build / "findings" / target)
        if problem:
            return f"FAIL fuzz_{target}: {problem}"
        detail += f", {executions} executions in {seconds} s"
    return f"PASS fuzz_{target} ({detail})"


def parse():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=10, help="AFL++ time for each target; 0: none")
    parser.add_argument("--target", action="append", help="name without fuzz_; default: all")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build" / "fuzz",
                        help="folder for builds and findings")
    options = parser.parse_args()
    if options.seconds < 0:
        parser.error("--seconds is negative")
    options.build = options.build.resolve()
    return options


def main():
    options = parse()
    try:
        plain = build(options.build / "replay", os.environ.get("CC", "gcc"))
        instrumented = build(options.build / "afl", "afl-clang-fast") if options.seconds else {}
        targets = options.target or sorted(plain)
        unknown = [t for t in targets if t not in plain]
        if unknown:
            raise RunError(f"no target {', '.join(unknown)}; there are {', '.join(sorted(plain))}")
        failed = False
        for target in targets:
            line = run_target(target, plain[target], instrumented.get(target), options)
            failed = failed or line.startswith("FAIL")
            print(line, flush=True)
    except RunError as error:
        sys.exit(str(error))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
