# SPDX-License-Identifier: Apache-2.0
"""A tap of this machine, looked at before QEMU opens it: of what is wrong QEMU says too little, and it would make a tap
that is not there."""
import errno
import fcntl
import os
import socket
import struct

from atoll.errors import ToolError

DEVICE = "/dev/net/tun"
NAME_BYTES_MAX = 15
_TUNSETIFF = 0x400454CA
_IFF_TAP, _IFF_NO_PI, _IFF_MULTI_QUEUE = 0x0002, 0x1000, 0x0100
_SIOCGIFFLAGS, _IFF_UP = 0x8913, 1
_REQUEST = "16sH22x"


def _refuse(message, hint):
    raise ToolError(message, hint, status=125)


def _is_up(name):
    """None: there is no such interface."""
    with socket.socket() as any_socket:
        request = struct.pack(_REQUEST, name.encode(), 0)
        try:
            answer = fcntl.ioctl(any_socket, _SIOCGIFFLAGS, request)
        except OSError:
            return None
    return bool(struct.unpack(_REQUEST, answer)[1] & _IFF_UP)


def open_tap(name, flags=0):
    """The descriptor of a tap, through which its frames come and go; OSError. A tap that is not there is made."""
    descriptor = os.open(DEVICE, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack(_REQUEST, name.encode(), _IFF_TAP | _IFF_NO_PI | flags))
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _try(name, flags):
    """Opens the tap and lets go again; the errno, or 0."""
    try:
        os.close(open_tap(name, flags))
        return 0
    except OSError as error:
        return error.errno


# @impl ATL-LLR-TOOL-0951~1
def check_tap(name, queues):
    """Refuses a tap that QEMU cannot use with so many queues."""
    kind = " multi_queue" if queues > 1 else ""
    make = f"ip tuntap add dev {name} mode tap{kind}"
    is_up = _is_up(name)
    if is_up is None:
        _refuse(f"there is no tap {name}", f"make it: {make} && ip link set {name} up")
    if not os.access(DEVICE, os.R_OK | os.W_OK):
        _refuse(f"{DEVICE} cannot be opened", "a tap needs that device, and the right to open it")
    flags = _IFF_MULTI_QUEUE if queues > 1 else 0
    error = _try(name, flags)
    if error == errno.EINVAL and _try(name, flags ^ _IFF_MULTI_QUEUE) in (0, errno.EBUSY):
        _refuse(f"the tap {name} is {'not ' if queues > 1 else ''}one for several queues",
                f"make it again: ip link del {name} && {make}" if queues > 1 else f"say how many: tap={name},queues=N")
    if error == errno.EINVAL:
        _refuse(f"{name} is no tap", f"give another name, and make it: {make}")
    if error == errno.EBUSY:
        _refuse(f"another machine has the tap {name}", "end that, or make another tap")
    if error == errno.EPERM:
        _refuse(f"the tap {name} is another user's", f"make it yours: {make} user {os.geteuid()}")
    if error != 0:
        _refuse(f"the tap {name}: {os.strerror(error)}", "give another name")
    if not is_up:
        _refuse(f"the tap {name} is down", f"ip link set {name} up")
