# SPDX-License-Identifier: Apache-2.0
"""Debian packages in the build folder, not installed: the sources of programs that tests build, and
programs that tests boot as they are.

apt fetches them with a configuration of its own, derived from this machine's: the same mirror and
keys, so that signatures are checked as for any installed package. The first use needs the network;
what was unpacked stays. No version is pinned, because mirrors drop old ones; `version` is recorded."""
import dataclasses
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

from atoll.build import locked
from atoll.errors import ToolError
from atoll.paths import build_directory

SOURCES = pathlib.Path("/etc/apt")
RELEASE = pathlib.Path("/etc/os-release")
SECONDS_MAX = 300
MIRROR_HINT = ("the first use needs Debian's mirror: check the network and /etc/apt; what was fetched\n"
               "  once stays in the build folder")


@dataclasses.dataclass(frozen=True)
class Tree:
    """An unpacked package."""
    path: pathlib.Path
    package: str
    version: str


def source_tree(package, suite=None):
    """The Tree of a source package; from the machine's own release unless `suite` names one."""
    return _tree("deb-src", package, suite or _codename())


def has_source(package, suite):
    """Whether source_tree needs nothing from the network."""
    return (build_directory() / "debian" / f"{suite}-deb-src" / package / "version").exists()


def binary_tree(package, suite=None):
    """The Tree of a binary package; from the machine's own release unless `suite` names one."""
    return _tree("deb", package, suite or _codename())


# @impl ATL-LLR-REAL-0001~1
def _tree(kind, package, suite):
    top = build_directory() / "debian" / f"{suite}-{kind}"
    folder = top / package
    with locked(top):
        if not (folder / "version").exists():
            _fetch(_configure(top, kind, suite), kind, package, folder)
    return Tree(folder / "tree", package, (folder / "version").read_text())


def _fetch(configuration, kind, package, folder):
    """Leaves `tree` and `version` in the folder, both or none."""
    with tempfile.TemporaryDirectory(dir=folder.parent) as work:
        if kind == "deb-src":
            _run(["apt-get", "-q", "source", "--only-source", package], work, configuration)
            description = next(pathlib.Path(work).glob("*.dsc")).read_text()
            tree = next(path for path in pathlib.Path(work).iterdir() if path.is_dir())
        else:
            _run(["apt-get", "-q", "download", package], work, configuration)
            archive = next(pathlib.Path(work).glob("*.deb"))
            tree = pathlib.Path(work, "tree")
            _run(["dpkg-deb", "-x", archive, tree], work)
            description = _run(["dpkg-deb", "-f", archive], work)
        version = re.search(r"^Version: (\S+)", description, re.M)[1]
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        os.rename(tree, folder / "tree")
        (folder / "version").write_text(version)


def _configure(top, kind, suite):
    """Path of a private configuration of apt whose package lists are there."""
    path, stamp = top / "apt.conf", top / "updated"
    origin = debian_origin(_configuration(), _codename())
    sources = "".join(f"{key}: {value}\n" for key, value in (
        ("Types", kind), ("URIs", origin["uris"]), ("Suites", suite), ("Components", "main"),
        ("Signed-By", origin["signed-by"])) if value)
    # No package counts as installed: its version may be one of another suite's.
    settings = (f'Dir::Etc::sourcelist "{top}/debian.sources";\nDir::Etc::sourceparts "-";\n'
                f'Dir::State::Lists "{top}/lists";\nDir::State::status "{top}/status";\n'
                f'Dir::Cache "{top}/cache";\n'
                'APT::Sandbox::User "root";\nAPT::Update::Error-Mode "any";\n')
    if stamp.exists() and stamp.read_text() == sources + settings:
        return path
    for name in ("lists/partial", "cache/archives/partial"):
        (top / name).mkdir(parents=True, exist_ok=True)
    (top / "debian.sources").write_text(sources)
    (top / "status").write_text("")
    path.write_text(settings)
    _run(["apt-get", "-q", "update"], top, path)
    stamp.write_text(sources + settings)
    return path


def debian_origin(texts, codename):
    """What a machine's apt configuration says of Debian's main archive: {uris, signed-by}, from the
    texts of files, {name: text}, in either of apt's two forms. Other archives' suites have other
    names than the release."""
    for name, text in texts.items():
        if name.endswith(".sources"):
            for stanza in re.split(r"\n\s*\n", text):
                fields = {key.lower(): value.strip() for key, value in
                          re.findall(r"^([\w-]+):((?:.*)(?:\n[ \t].*)*)", stanza, re.M)}
                if codename in fields.get("suites", "").split():
                    return {"uris": fields["uris"], "signed-by": fields.get("signed-by")}
        else:
            for options, uri in re.findall(rf"^deb\s+(?:\[(.*?)\]\s+)?(\S+)\s+{codename}\s", text, re.M):
                key = re.search(r"signed-by=(\S+)", options)
                return {"uris": uri, "signed-by": key and key[1]}
    raise ToolError(f"apt's configuration has no archive of Debian {codename}",
                    f"see {SOURCES}/sources.list and {SOURCES}/sources.list.d")


def _configuration():
    paths = [SOURCES / "sources.list", *sorted((SOURCES / "sources.list.d").glob("*"))]
    return {path.name: path.read_text() for path in paths
            if path.suffix in (".list", ".sources") and path.is_file()}


def _codename():
    try:
        return re.search(r"^VERSION_CODENAME=\"?(\w+)", RELEASE.read_text(), re.M)[1]
    except (OSError, TypeError):
        raise ToolError("this is not a Debian release: /etc/os-release has no VERSION_CODENAME",
                        "use Debian 12") from None


def _run(command, folder, configuration=None):
    """The standard output of a command that must succeed."""
    words = [str(word) for word in command]
    environment = {**os.environ, "LC_ALL": "C"}
    if configuration:
        environment["APT_CONFIG"] = str(configuration)
    try:
        done = subprocess.run(words, cwd=folder, capture_output=True, text=True, errors="replace",
                              timeout=SECONDS_MAX, env=environment)
    except FileNotFoundError:
        raise ToolError(f"{words[0]} is missing", "./atoll setup; this needs Debian") from None
    except subprocess.TimeoutExpired:
        raise ToolError(f"no end after {SECONDS_MAX} s: {' '.join(words)}", MIRROR_HINT) from None
    if done.returncode != 0:
        raise ToolError(f"{' '.join(words)} failed:\n{done.stderr[-2000:]}", MIRROR_HINT)
    return done.stdout
