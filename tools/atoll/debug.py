# SPDX-License-Identifier: Apache-2.0
"""What a debug image carries for GDB: the kernel and posix/ with their symbols, and where in posix/
the table lies that the stub reads (debug/include/debug/table.h); and the line to it."""
import pathlib
import stat
import struct
import subprocess
import tempfile

from atoll.elf import Elf
from atoll.errors import ToolError
from atoll.tree import Entry

# Hidden from the program: posix/ puts its own /proc there.
FOLDER = "/proc/.atoll/"
DEBUG_PORT = "atoll.debug"  # kernel/virtio/console.h
PLACES = struct.Struct("<8sQQQQ")
PLACES_MAGIC = b"DBGPLACE"


def _compressed(path):
    """The bytes of an ELF file with its debug sections packed: the line is slow."""
    with tempfile.TemporaryDirectory(prefix="atoll-") as folder:
        small = pathlib.Path(folder) / "small"
        done = subprocess.run(["objcopy", "--compress-debug-sections=zlib", str(path), str(small)],
                              capture_output=True, text=True)
        if done.returncode != 0:
            raise ToolError(f"objcopy failed on {path}: {done.stderr.strip()}",
                            "install what Atoll needs: ./atoll setup")
        return small.read_bytes()


def _places(data, name):
    elf = Elf(data, name)
    symbols = elf.symbols()
    for symbol in ("posix_debug_table", "posix_debug_signal", "posix_noted_calls"):
        if symbol not in symbols:
            raise ToolError(f"{name}: the symbol {symbol} is missing", "build it again")
    dynamic = next((s.address for s in elf.sections if s.kind == 6), 0)
    return PLACES.pack(PLACES_MAGIC, symbols["posix_debug_table"], dynamic, symbols["posix_debug_signal"],
                       symbols["posix_noted_calls"])


# @impl ATL-LLR-DEBUG-0025~1
def add_debug_files(tree, kernel, posix):
    """Puts what the stub serves into the image's tree."""
    posix_data = pathlib.Path(posix).read_bytes()
    for name, content in (("kernel.elf", _compressed(kernel)), ("posix.elf", _compressed(posix)),
                          ("debug", _places(posix_data, str(posix)))):
        tree.entries[FOLDER + name] = Entry(stat.S_IFREG | 0o400, content)


# @impl ATL-LLR-DEBUG-0025~1
def debug_line(address, console, is_server=True):
    """QEMU's arguments for the line to the stub: a port of the image's virtio console, else the second serial
    port. It listens at an address of this machine, or connects to it: path=FILE or, as tcp_address gives it, a port.
    When the debugger runs the program again, the machine resets."""
    waits = ",server=on,wait=off" if is_server else ""
    # Not virtserialport: of that QEMU 7.2 never gives a buffer back of which it could not send all because the
    # debugger went. A virtconsole waits for no reader; debuggers read each answer before they ask again.
    device = f"virtconsole,nr=3,name={DEBUG_PORT}" if console == "virtio" else "isa-serial,index=1"
    return ("-action", "reboot=reset", "-chardev", f"socket,id=gdb,{address}{waits}",
            "-device", f"{device},chardev=gdb")


def tcp_address(port):
    """A port that only this machine reaches. Without delay: packets are small."""
    return f"host=127.0.0.1,port={port},nodelay=on"
