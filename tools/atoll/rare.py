# SPDX-License-Identifier: Apache-2.0
"""Whether a program can make one of the calls that posix/syscalls.toml marks as rare: several things waited for at
once, timers, and what moves data between descriptors. An image whose program cannot, and that has no sockets, is given
the library OS without their handlers. The search is that of net.py, for their numbers: what is found too much costs
some kilobytes; a program that computes a number needs a setting of net."""
import re
import struct
import tomllib

from atoll.elf import PF_X
from atoll.paths import ROOT


def rare_numbers():
    with open(ROOT / "posix/syscalls.toml", "rb") as table:
        return [call["number"] for call in tomllib.load(table)["calls"] if call.get("rare")]


def _loads(number):
    """The instructions that put a number where a call, or a function that makes one, takes it."""
    word = re.escape(struct.pack("<I", number))
    found = [rb"(?:[\xb8\xbf]|\xc7[\xc0\xc7]|\xc7\x04\x24)" + word]
    if number < 128:
        found.append(rb"\x6a" + re.escape(bytes([number])) + rb"[\x58\x5f]")
    else:
        found.append(rb"\x68" + word)  # and pop; or the seventh argument of glibc's __syscall_cancel, since 2.41
    return found


# @impl ATL-LLR-TOOL-1100~1
def makes_rare_calls(elf):
    """True if some executable byte sequence loads a rare call's number."""
    loads = re.compile(b"|".join(way for number in rare_numbers() for way in _loads(number)), re.DOTALL)
    return any(loads.search(elf.data[s.offset:s.offset + s.file_bytes]) for s in elf.loads if s.flags & PF_X)
