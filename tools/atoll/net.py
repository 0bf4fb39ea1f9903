# SPDX-License-Identifier: Apache-2.0
"""Which sockets an image has. Without a setting: those of the library OS if the program can call
`socket` or `socketpair`, without which there is no socket, else none. It can if some instruction
loads one of their numbers where a system call has its number (rax) or where a function has it that
makes one (rdi, or the stack's top). The search is for bytes, at any place in executable segments: what is
found too much costs some kilobytes; a program that computes the numbers needs the setting."""
import re

from atoll.elf import PF_X

NETS = ("none", "unix")
# mov $n, %eax|%edi; mov $n, %rax|%rdi; movq $n, (%rsp); push $n and pop %rax|%rdi
LOADS = re.compile(rb"(?:[\xb8\xbf]|\xc7[\xc0\xc7]|\xc7\x04\x24)[\x29\x35]\0\0\0|\x6a[\x29\x35][\x58\x5f]")


# @impl ATL-LLR-TOOL-0700~1
def net_of(elf):
    """The setting for a program that has none."""
    code = (elf.data[s.offset:s.offset + s.file_bytes] for s in elf.loads if s.flags & PF_X)
    return "unix" if any(LOADS.search(piece) for piece in code) else "none"
