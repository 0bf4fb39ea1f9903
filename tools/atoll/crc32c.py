# SPDX-License-Identifier: Apache-2.0
"""CRC-32C. A C helper does the work: a table in Python takes seconds for a program of 16 MiB. It is
compiled once, into the build folder, under a name made from its source."""
import ctypes
import functools
import hashlib
import os
import subprocess
import tempfile

from atoll.errors import ToolError
from atoll.paths import TOOLS, build_directory


@functools.cache
def _helper():
    source = TOOLS / "atoll" / "crc32c.c"
    digest = hashlib.sha256(source.read_bytes()).hexdigest()[:16]
    library = build_directory() / "tools" / f"crc32c-{digest}.so"
    if not library.exists():
        library.parent.mkdir(parents=True, exist_ok=True)
        _compile(source, library)
    function = ctypes.CDLL(str(library)).atoll_crc32c
    function.argtypes = [ctypes.c_uint32, ctypes.c_char_p, ctypes.c_size_t]
    function.restype = ctypes.c_uint32
    return function


def _compile(source, library):
    # Another `./atoll` may do the same now: compile aside, then rename.
    handle, temporary = tempfile.mkstemp(dir=library.parent, suffix=".so")
    os.close(handle)
    command = ["gcc", "-std=gnu2x", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC",
               str(source), "-o", temporary]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
        os.replace(temporary, library)
    except FileNotFoundError:
        raise ToolError("gcc is missing", "install what Atoll needs: ./atoll setup") from None
    except subprocess.CalledProcessError as error:
        raise ToolError(f"cannot compile {source}:\n{error.stderr}",
                        "see what is installed: ./atoll doctor") from None
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)


def crc32c(data):
    """The CRC-32C of bytes or bytearray."""
    data = bytes(data)
    return _helper()(0, data, len(data))
