# SPDX-License-Identifier: Apache-2.0
"""Programs of tests/conformance/real: fetched from Debian and built, at the first use, into the build folder."""
import dataclasses
import hashlib
import os
import pathlib
import re
import subprocess
import tempfile
import threading
import tomllib

from atoll.build import locked
from atoll.debian import binary_tree, source_tree
from atoll.errors import ToolError
from atoll.paths import ROOT, build_directory

FOLDER = ROOT / "tests" / "conformance" / "real"
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
            except ToolError as failure:
                _results[name] = failure
    if isinstance(_results[name], ToolError):
        raise _results[name]
    return _results[name]


def _build(name):
    recipe = recipes()[name]
    trees = [source_tree(*package.split("/")) for package in recipe.get("sources", ())]
    trees += [binary_tree(package) for package in recipe.get("binaries", ())]
    versions = " ".join(f"{tree.package}={tree.version}" for tree in trees)
    paths = {tree.package: tree.path for tree in trees}
    script = FOLDER / "recipes" / f"{name}.sh"
    if not script.exists():
        return Built(None, paths, versions)
    compiler = subprocess.run(["gcc", "--version"], capture_output=True, check=True).stdout
    texts = [path.read_bytes() for path in sorted(script.parent.glob(f"{name}*"))]
    key = hashlib.sha256(repr((texts, versions, compiler)).encode()).hexdigest()[:12]
    folder = build_directory() / "real" / f"{name}-{key}"
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
            raise ToolError(f"{script.name} cannot build:\n{done.stdout[-4000:]}")
        os.rename(aside, folder)
