# SPDX-License-Identifier: Apache-2.0
"""Programs of tests/conformance/runtimes: runtimes of other languages, static and unmodified. Each
prints and ends on Atoll as it does on the build machine."""
# @verifies ATL-HLR-RUNT-0001~1
import functools
import hashlib
import os
import pathlib
import shutil
import subprocess
import tempfile
import tomllib

import lib
from atoll.build import locked

FOLDER = lib.ROOT / "tests" / "conformance" / "runtimes"
BUILD_SECONDS_MAX = 300
LINUX_SECONDS_MAX = 60


@functools.cache
def build(name):
    """The program of a runtime, built when its source, command or compiler is new; the path."""
    runtime = RUNTIMES[name]
    source = FOLDER / runtime["source"]
    command = [word.replace("{source}", source.name) for word in runtime["command"]]
    try:
        compiler = os.stat(command[0]).st_mtime_ns
    except FileNotFoundError:
        raise lib.TestFailure(f"{command[0]} is missing: ./atoll setup") from None
    key = hashlib.sha256(repr((command, compiler, source.read_bytes())).encode()).hexdigest()[:12]
    target = lib.build_directory() / "runtimes" / f"{name}-{key}" / "program"
    with locked(lib.build_directory() / "runtimes"):
        if not target.exists():
            _compile(command, source, target)
    return target


def _compile(command, source, target):
    caches = {"GOCACHE": str(target.parents[1] / "go-cache"), "GO111MODULE": "off", "CGO_ENABLED": "0"}
    with tempfile.TemporaryDirectory(dir=target.parents[1]) as work:
        shutil.copy(source, work)
        done = subprocess.run(command, cwd=work, env={**os.environ, **caches}, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, errors="replace",
                              timeout=BUILD_SECONDS_MAX)
        if done.returncode != 0:
            raise lib.TestFailure(f"{source.name} does not compile", done.stdout)
        target.parent.mkdir(exist_ok=True)
        os.replace(pathlib.Path(work, "program"), target)


def on_linux(program, argument, wanted):
    """What the program prints on the build machine, in an empty folder, where it ends as wanted."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run([str(program), argument], cwd=folder, capture_output=True,
                              timeout=LINUX_SECONDS_MAX)
    status = done.returncode if done.returncode >= 0 else 128 - done.returncode
    if status != wanted:
        raise lib.TestFailure(f"ends with {status} on Linux, not with {wanted}",
                              (done.stdout + done.stderr).decode("utf-8", "backslashreplace"))
    return done.stdout


def register(runtime):
    def test(guest):
        program = build(runtime["name"])
        wanted = runtime["ends"][guest.argument]
        stdout = on_linux(program, guest.argument, wanted)
        guest.run(program, guest.argument, memory=runtime["memory"]).expect(stdout, status=wanted)
    test.__name__ = runtime["name"]
    test.__module__ = __name__
    lib.system_test(matrix=lib.PAIRWISE, timeout_s=runtime["timeout"], libc=(runtime["libc"],),
                    argument=tuple(runtime["ends"]))(test)


RUNTIMES = {row["name"]: row for row in tomllib.loads((FOLDER / "runtimes.toml").read_text())["runtime"]}
for row in RUNTIMES.values():
    register(row)
