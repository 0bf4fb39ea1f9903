# SPDX-License-Identifier: Apache-2.0
"""Programs of Debian that `./atoll bench` runs as a whole (bench/whole/programs.toml)."""
import tomllib

from atoll.build import compile_program, locked
from atoll.debian import binary_tree, source_tree
from atoll.paths import ROOT, build_directory

FOLDER = ROOT / "bench" / "whole"
ARCHITECTURE_LIBRARIES = "usr/lib/x86_64-linux-gnu"
# What Debian's build of Lua generates.
GENERATED = {"lua5.4-deb-multiarch.h": '#define DEB_HOST_MULTIARCH "x86_64-linux-gnu"\n'}


def whole_programs():
    """{name: row}."""
    rows = tomllib.loads((FOLDER / "programs.toml").read_text())["program"]
    return {row["name"]: row for row in rows}


def build_whole(row):
    """The path of the program, fetched and built at the first use."""
    target = build_directory() / "bench" / "whole" / row["name"]
    newest = max(path.stat().st_mtime for path in [*FOLDER.iterdir(), ROOT / "bench/programs/bench.h"])
    packages = {name: source_tree(name).path for name in row["packages"]}
    libraries = [binary_tree(name).path for name in row["libraries"]]
    with locked(target.parent):
        if not target.exists() or target.stat().st_mtime < newest:
            for name, text in GENERATED.items():
                (target.parent / name).write_text(text)
            sources = [path for pattern in row["sources"]
                       for path in sorted(packages[pattern.split("/")[0]].glob(pattern.split("/", 1)[1]))
                       if path.name not in row.get("without", ())]
            search = [flag for path in libraries
                      for flag in (f"-I{path / 'usr/include'}", f"-L{path / ARCHITECTURE_LIBRARIES}")]
            compile_program(["gcc", "-O2", "-w", "-static", "-pthread", f"-I{target.parent}", *search,
                             str(FOLDER / "marks.c"), *map(str, sources), *row["flags"], "-o", str(target)])
    return target


def workload(row):
    """(arguments, [(host file, path in the guest)])."""
    return row["arguments"], [(str(FOLDER / name), f"/{name}") for name in row.get("files", ())]
