# SPDX-License-Identifier: Apache-2.0
"""`./atoll setup` and `./atoll doctor`: the Debian packages of tools/packages.txt."""
import argparse
import dataclasses
import os
import shutil
import subprocess
import sys

from atoll.build import lwip_arguments
from atoll.errors import ToolError
from atoll.paths import TOOLS

# A use needs its own packages and those of the uses behind it.
USES = {"run": {"run"}, "test": {"run", "test"}, "full": {"run", "test", "full"}}


@dataclasses.dataclass(frozen=True)
class Package:
    use: str
    name: str
    evidence: str
    reason: str

    @property
    def present(self):
        if self.evidence.startswith("/"):
            return os.path.exists(self.evidence)
        return shutil.which(self.evidence) is not None


def read_packages():
    packages = []
    for line in (TOOLS / "packages.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            packages.append(Package(*line.split(None, 3)))
    return packages


def missing(use):
    """The packages that a use needs and this machine lacks."""
    return [p for p in read_packages() if p.use in USES[use] and not p.present]


def _in_ci():
    return os.environ.get("CI", "").lower() == "true"


def ensure(use):
    """Installs what a use lacks: asks first, unless CI=true."""
    lacking = missing(use)
    if lacking:
        install(lacking, assume_yes=_in_ci())


def _confirm(names):
    print(f"atoll: these Debian packages are missing: {' '.join(names)}", file=sys.stderr)
    if not sys.stdin.isatty():
        raise ToolError("packages are missing", "install them: ./atoll setup --yes")
    print("Install them with apt-get now? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise ToolError("nothing was installed", "later: ./atoll setup")


def install(packages, assume_yes):
    names = [p.name for p in packages]
    if shutil.which("apt-get") is None:
        raise ToolError(f"missing: {' '.join(names)}; and this is not Debian: there is no apt-get",
                        "install what these names stand for on your system")
    if not assume_yes:
        _confirm(names)
    prefix = []
    if os.geteuid() != 0:
        if shutil.which("sudo") is None:
            raise ToolError(f"missing: {' '.join(names)}",
                            "as root: apt-get install " + " ".join(names))
        prefix = ["sudo"]
    apt = prefix + ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q"]
    _apt(apt + ["update"])
    # Without recommended packages: QEMU alone would bring in a desktop's worth of libraries.
    _apt(apt + ["install", "-y", "--no-install-recommends", *names])
    still = [p.name for p in packages if not p.present]
    if still:
        raise ToolError(f"installed, but still not found: {' '.join(still)}", "see ./atoll doctor")


def _apt(command):
    # Its output goes to stderr: stdout may be a program's.
    if subprocess.run(command, stdout=sys.stderr.fileno()).returncode != 0:
        raise ToolError(f"{' '.join(command)} failed (its message is above)",
                        "check the network and /etc/apt, then ./atoll setup again")


def setup_command(words):
    parser = argparse.ArgumentParser(prog="./atoll setup",
                                     description="Installs the Debian packages that Atoll needs.")
    parser.add_argument("--yes", "-y", action="store_true", help="do not ask")
    parser.add_argument("--for", dest="use", choices=USES, default="test",
                        help="what for (default: test, which includes run)")
    arguments = parser.parse_args(words)
    lacking = missing(arguments.use)
    if lacking:
        install(lacking, arguments.yes or _in_ci())
        print(f"Installed: {' '.join(p.name for p in lacking)}")
    lwip_arguments(True)
    print("Everything is there.")
    return 0


def _installed_versions(names):
    try:
        done = subprocess.run(["dpkg-query", "-W", "-f=${Package} ${Version}\n", *names],
                              capture_output=True, text=True)
    except FileNotFoundError:
        return {}
    return dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)


def doctor_command(words):
    parser = argparse.ArgumentParser(
        prog="./atoll doctor", description="Shows each needed package: version, or that it is "
                                           "missing. Exit status 1 if run or test lack something.")
    parser.parse_args(words)
    packages = read_packages()
    versions = _installed_versions([p.name for p in packages])
    width = max(len(p.name) for p in packages)
    lacking = []
    for package in packages:
        state = versions.get(package.name) or "other source" if package.present else "MISSING"
        print(f"{package.use:<6} {package.name:<{width}} {state:<34} {package.reason}")
        if not package.present:
            lacking.append(package.name)
    print(f"{os.cpu_count()} cores, Python {sys.version.split()[0]}")
    if lacking:
        print(f"atoll: missing: {' '.join(lacking)}\n  install them: ./atoll setup", file=sys.stderr)
        return 1
    return 0
