# SPDX-License-Identifier: Apache-2.0
"""Programs of tests/conformance/real: fetched, built, and run on the build machine and in an image
with the same files, arguments and environment."""
import dataclasses
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import threading
import tomllib

import lib
from atoll.build import locked
from atoll.debian import binary_tree, source_tree
from atoll.errors import ToolError

FOLDER = lib.ROOT / "tests" / "conformance" / "real"
SCRIPTS = FOLDER / "scripts"
GUEST_FOLDER = "/data"
ENVIRONMENT = {"LC_ALL": "C", "TZ": "UTC0", "HOME": "/root", "PATH": "/bin"}
BUILD_SECONDS_MAX = 300


@dataclasses.dataclass(frozen=True)
class Built:
    """What a recipe made. folder: its working folder; trees: {package: unpacked package}."""
    folder: pathlib.Path
    trees: dict
    versions: str


def recipes():
    rows = tomllib.loads((FOLDER / "recipes.toml").read_text())["recipe"]
    return {row["name"]: row for row in rows}


_lock = threading.Lock()
_results = {}


def build(name):
    """The Built of a recipe, fetched and built when it is not there yet; what failed is not tried
    again in the same run."""
    with _lock:
        if name not in _results:
            try:
                _results[name] = _build(name)
            except lib.TestFailure as failure:
                _results[name] = failure
    if isinstance(_results[name], lib.TestFailure):
        raise _results[name]
    return _results[name]


def _build(name):
    recipe = recipes()[name]
    try:
        trees = [source_tree(*package.split("/")) for package in recipe.get("sources", ())]
        trees += [binary_tree(package) for package in recipe.get("binaries", ())]
    except ToolError as error:
        raise lib.TestFailure(str(error)) from None
    versions = " ".join(f"{tree.package}={tree.version}" for tree in trees)
    paths = {tree.package: tree.path for tree in trees}
    script = FOLDER / "recipes" / f"{name}.sh"
    if not script.exists():
        return Built(None, paths, versions)
    compiler = subprocess.run(["gcc", "--version"], capture_output=True, check=True).stdout
    texts = [path.read_bytes() for path in sorted(script.parent.glob(f"{name}*"))]
    key = hashlib.sha256(repr((texts, versions, compiler)).encode()).hexdigest()[:12]
    folder = lib.build_directory() / "real" / f"{name}-{key}"
    with locked(folder.parent):
        if not folder.exists():
            _run_script(script, paths, folder)
    return Built(folder, paths, versions)


def _run_script(script, paths, folder):
    """Leaves the folder with all that the script made, or no folder."""
    with tempfile.TemporaryDirectory(dir=folder.parent) as work:
        aside = pathlib.Path(work, "made")
        aside.mkdir()
        variables = {"recipes": str(script.parent)}
        variables |= {re.sub(r"[^A-Za-z0-9]", "_", name): str(path) for name, path in paths.items()}
        done = subprocess.run(["bash", "-euo", "pipefail", str(script)], cwd=aside, text=True,
                              env={**os.environ, **variables}, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, errors="replace", timeout=BUILD_SECONDS_MAX)
        if done.returncode != 0:
            raise lib.TestFailure(f"{script.name} cannot build", done.stdout)
        os.rename(aside, folder)


def on_linux(program, arguments, folder=None, stdin=b"", environment=None, timeout_s=120):
    """What the program does on the build machine, in a copy of the folder: subprocess's result, whose
    returncode is the status as a shell shows it."""
    with tempfile.TemporaryDirectory() as work:
        here = pathlib.Path(work, "data")
        if folder:
            shutil.copytree(folder, here, symlinks=True)
        else:
            here.mkdir()
        done = subprocess.run([str(program), *arguments], cwd=here, input=stdin,
                              env={**ENVIRONMENT, **(environment or {})}, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=timeout_s)
    done.returncode = done.returncode if done.returncode >= 0 else 128 - done.returncode
    return done


def run(guest, program, *arguments, folder=None, stdin=b"", memory=128, files=(), environment=None,
        timeout_s=None):
    """The Result in an image, whose working directory is a copy of the folder."""
    content = [(str(folder), GUEST_FOLDER)] if folder else []
    image = guest.pack(program, *arguments, files=[*content, *files], memory=memory,
                       working_directory=GUEST_FOLDER if folder else "/tmp",
                       environment={**ENVIRONMENT, **(environment or {})})
    return guest.boot(image, stdin=stdin, memory=memory, timeout_s=timeout_s)


def same(guest, program, *arguments, stream="stdout", keep=bytes, **options):
    """Runs in an image and on the build machine: the same output on the stream, after `keep` has
    taken out what may differ (times), and the same status. The Result."""
    result = run(guest, program, *arguments, **options)
    linux = on_linux(program, arguments, options.get("folder"), options.get("stdin", b""),
                     options.get("environment"))
    result.expect(status=linux.returncode)
    ours, theirs = keep(getattr(result, stream)), keep(getattr(linux, stream))
    if ours != theirs:
        result.fail(f"{' '.join(arguments)}: {_difference(ours, theirs)}")
    return result


def _difference(ours, linux):
    ours, linux = (value.splitlines() if isinstance(value, bytes) else value for value in (ours, linux))
    for number, (left, right) in enumerate(zip(ours, linux), 1):
        if left != right:
            return f"line {number} is {left[:200]!r}, on Linux {right[:200]!r}"
    return f"{len(ours)} lines, on Linux {len(linux)}: {ours[-3:]!r}, on Linux {linux[-3:]!r}"
