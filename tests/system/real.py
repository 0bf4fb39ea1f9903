# SPDX-License-Identifier: Apache-2.0
"""Programs of tests/conformance/real, run on the build machine and in an image with the same files,
arguments and environment."""
import pathlib
import shutil
import subprocess
import tempfile

from atoll.recipes import FOLDER, build  # noqa: F401 (build: for the tests)

SCRIPTS = FOLDER / "scripts"
GUEST_FOLDER = "/data"
ENVIRONMENT = {"LC_ALL": "C", "TZ": "UTC0", "HOME": "/root", "PATH": "/bin"}


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
