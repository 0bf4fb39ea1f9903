# SPDX-License-Identifier: Apache-2.0
"""A network of its own for a test or a measurement: the calling thread, the threads and the programs that it starts
are in it, and nobody else; what happens there reaches nothing of this machine. It needs root, as taps do."""
import contextlib
import ctypes
import os
import subprocess

from atoll.errors import ToolError

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def _check(result, what):
    if result != 0:
        raise ToolError(f"{what}: {os.strerror(ctypes.get_errno())}", "networks with a tap need root")


@contextlib.contextmanager
def private_network():
    """Inside, the calling thread has a network without anything but a loopback."""
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    _check(_libc.unshare(_CLONE_NEWNET), "a network namespace")
    try:
        ip("link", "set", "lo", "up")
        yield
    finally:
        _check(_libc.setns(before, _CLONE_NEWNET), "the network namespace of before")
        os.close(before)


def ip(*words):
    """ip(8); ToolError with what it says."""
    done = subprocess.run(["ip", *words], capture_output=True)
    if done.returncode != 0:
        raise ToolError(f"ip {' '.join(words)}: {done.stderr.decode()}")


def add_tap(name, *addresses, several=False):
    """A tap that is up. Without addresses the kernel here says nothing on it by itself."""
    ip("tuntap", "add", "dev", name, "mode", "tap", *(["multi_queue"] if several else []))
    if not addresses:
        ip("link", "set", name, "addrgenmode", "none", "arp", "off")
    for address in addresses:
        ip("addr", "add", address, "dev", name, *(["nodad"] if ":" in address else []))
    ip("link", "set", name, "up")
