# SPDX-License-Identifier: Apache-2.0
"""Which sockets an image has, and which network the machine. Without a setting: those of the library OS if the program can call
`socket` or `socketpair`, without which there is no socket, else none. It can if some instruction
loads one of their numbers where a system call has its number (rax) or where a function has it that
makes one (rdi, or the stack's top). The search is for bytes, at any place in executable segments: what is
found too much costs some kilobytes; a program that computes the numbers needs the setting.

user: a network device of QEMU's, which needs no rights; whatever listens on this machine for it does so on
the loopback address alone."""
import argparse
import re
import socket

from atoll.elf import PF_X
from atoll.errors import ToolError

NETS = ("none", "unix", "inet", "user")
PORT_BYTES = 1 << 20  # of each core, in an image for a network
# mov $n, %eax|%edi; mov $n, %rax|%rdi; movq $n, (%rsp); push $n and pop %rax|%rdi
LOADS = re.compile(rb"(?:[\xb8\xbf]|\xc7[\xc0\xc7]|\xc7\x04\x24)[\x29\x35]\0\0\0|\x6a[\x29\x35][\x58\x5f]")


# @impl ATL-LLR-TOOL-0700~2
def net_of(elf):
    """The setting for a program that has none."""
    code = (elf.data[s.offset:s.offset + s.file_bytes] for s in elf.loads if s.flags & PF_X)
    return "inet" if any(LOADS.search(piece) for piece in code) else "none"


def net_setting(text):
    """A setting that is one of NETS, user perhaps with ,forward=HOST:GUEST several times."""
    kind, *words = text.split(",")
    if kind not in NETS:
        raise argparse.ArgumentTypeError(f"{kind!r} is no network: write {', '.join(NETS[:-1])} or {NETS[-1]}")
    if words and kind != "user":
        raise argparse.ArgumentTypeError(f"{words[0]!r}: only to a network of kind user is something forwarded")
    hosts = [_forward(word)[0] for word in words]
    for host in hosts:
        if hosts.count(host) > 1:
            raise argparse.ArgumentTypeError(f"port {host} of this machine is forwarded twice")
    return text


def net_kind(setting):
    """Of NETS."""
    return setting.split(",")[0]


def _forward(word):
    match = re.fullmatch(r"forward=(\d+):(\d+)", word)
    if not match:
        raise argparse.ArgumentTypeError(f"{word!r}: write forward=HOST:GUEST with two ports")
    ports = int(match[1]), int(match[2])
    for port in ports:
        if not 1 <= port <= 65535:
            raise argparse.ArgumentTypeError(f"{word!r}: {port} is no port: 1 to 65535")
    return ports


def mac_address(text):
    """Six bytes in hexadecimal; not a group's address."""
    if not re.fullmatch(r"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no MAC address: write it as 52:54:00:12:34:56")
    if int(text[:2], 16) & 1:
        raise argparse.ArgumentTypeError(f"{text!r} is the address of a group: make the first byte even")
    if int(text.replace(":", ""), 16) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is nobody's address")
    return text.lower()


def _forwards(setting):
    """[(port of this machine, port of the guest)]"""
    return [_forward(word) for word in setting.split(",")[1:]] if setting else []


# @impl ATL-LLR-TOOL-0801~1
def check_forwards(setting):
    """Refuses ports of this machine that cannot be listened on: of them QEMU says too little."""
    for port, guest in _forwards(setting):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                raise ToolError(f"port {port} of this machine cannot be forwarded: {error.strerror}",
                                f"choose another: forward=PORT:{guest}", status=125) from None


# @impl ATL-LLR-TOOL-0800~1
def net_arguments(setting, mac, machine):
    """QEMU's arguments for the network of a setting; None: it has none."""
    if setting is None or net_kind(setting) != "user":
        return []
    forwards = "".join(f",hostfwd=tcp:127.0.0.1:{host}-:{guest}"
                       for host, guest in _forwards(setting))
    return ["-netdev", f"user,id=net{forwards}", *net_device("net", mac, machine)]


def net_device(netdev, mac, machine, *settings):
    """The device on a network of QEMU."""
    last = [f"netdev={netdev}", *([f"mac={mac}"] if mac else []), *settings]
    if machine == "microvm":
        return ["-global", "virtio-mmio.force-legacy=false", "-device", ",".join(["virtio-net-device", *last])]
    return ["-device", ",".join(["virtio-net-pci", "romfile=", *last])]
