# SPDX-License-Identifier: Apache-2.0
"""Which sockets an image has, and which network the machine. Without a setting: those of the library OS if the program can call
`socket` or `socketpair`, without which there is no socket, else none. It can if some instruction
loads one of their numbers where a system call has its number (rax) or where a function has it that
makes one (rdi, or the stack's top). The search is for bytes, at any place in executable segments: what is
found too much costs some kilobytes; a program that computes the numbers needs the setting.

user: a network device of QEMU's, which needs no rights; whatever listens on this machine for it does so on
the loopback address alone. tap: one that is joined to an interface of this machine. Several of these two are so many devices:
the guest's eth0, eth1 and so on, in their order."""
import argparse
import collections
import itertools
import re
import socket

from atoll.elf import PF_X
from atoll.errors import ToolError
from atoll.tap import NAME_BYTES_MAX, check_tap

NETS = ("none", "unix", "inet", "user", "tap")
MACHINE_NETS = ("user", "tap")  # those with a device
QUEUES_MAX = 64
DEVICES_MAX = 4  # GATE_NETWORKS
PORT_BYTES = 1 << 20  # of each core, in an image for a network, for each device
MAC_FIRST = 0x525400123456  # QEMU's
# mov $n, %eax|%edi; mov $n, %rax|%rdi; movq $n, (%rsp); push $n and pop %rax|%rdi
LOADS = re.compile(rb"(?:[\xb8\xbf]|\xc7[\xc0\xc7]|\xc7\x04\x24)[\x29\x35]\0\0\0|\x6a[\x29\x35][\x58\x5f]")


# @impl ATL-LLR-TOOL-0700~2
def net_of(elf):
    """The setting for a program that has none."""
    code = (elf.data[s.offset:s.offset + s.file_bytes] for s in elf.loads if s.flags & PF_X)
    return "inet" if any(LOADS.search(piece) for piece in code) else "none"


def net_setting(text):
    """A setting that is one of NETS: user perhaps with ,forward=HOST:GUEST several times; tap=NAME, perhaps with
    ,queues=N."""
    kind, *words = text.split(",")
    name = kind.partition("=")[0]
    if name == "tap":
        _tap(text)
        return text
    if kind not in NETS:
        raise argparse.ArgumentTypeError(f"{kind!r} is no network: write {', '.join(NETS[:-1])} or tap=NAME")
    if words and kind != "user":
        raise argparse.ArgumentTypeError(f"{words[0]!r}: only to a network of kind user is something forwarded")
    hosts = [_forward(word)[0] for word in words]
    for host in hosts:
        if hosts.count(host) > 1:
            raise argparse.ArgumentTypeError(f"port {host} of this machine is forwarded twice")
    return text


# @impl ATL-LLR-TOOL-0950~1
def _tap(setting):
    """The name and the number of queues of a tap's setting."""
    first, *words = setting.split(",")
    name = first.removeprefix("tap").removeprefix("=")
    if not re.fullmatch(r"[^\s/:,\0]+", name) or len(name.encode()) > NAME_BYTES_MAX or name in (".", ".."):
        raise argparse.ArgumentTypeError(f"{first!r}: write tap=NAME with the name of a tap of this machine")
    if not words:
        return name, 1
    match = re.fullmatch(r"queues=(\d{1,3})", words[0])
    if not match or len(words) > 1:
        raise argparse.ArgumentTypeError(f"{','.join(words)!r}: behind a tap's name stands queues=N, once")
    queues = int(match[1])
    if not 1 <= queues <= QUEUES_MAX:
        raise argparse.ArgumentTypeError(f"{words[0]!r}: give 1 to {QUEUES_MAX} queues")
    return name, queues


# @impl ATL-LLR-TOOL-1295~1
def net_settings(settings):
    """One of the settings' list, or a tuple of those of several devices. ToolError: they do not go together."""
    if len(settings) == 1:
        return settings[0]
    alone = [each for each in settings if net_kind(each) not in MACHINE_NETS]
    if alone:
        raise ToolError(f"--net {alone[0]}, and another --net", "several are devices: give each as user or tap=NAME")
    if len(settings) > DEVICES_MAX:
        raise ToolError(f"{len(settings)} networks", f"a machine has at most {DEVICES_MAX}")
    taps = [_tap(each)[0] for each in settings if net_kind(each) == "tap"]
    for what, values in (("the tap", taps), ("the port of this machine", [host for host, _ in forwards(settings)])):
        twice = [value for value, count in collections.Counter(values).items() if count > 1]
        if twice:
            raise ToolError(f"two networks have {what} {twice[0]}", "give each its own")
    return tuple(settings)


def devices_of(setting):
    """The setting of each device of the machine."""
    if setting is None or isinstance(setting, str):
        return (setting,) if setting is not None and net_kind(setting) in MACHINE_NETS else ()
    return tuple(setting)


def net_kind(setting):
    """Of NETS; of several devices that of the first."""
    return re.split("[,=]", setting if isinstance(setting, str) else setting[0])[0]


def has_device(setting):
    """Whether the machine has a network; None: no setting."""
    return bool(devices_of(setting))


def device_and(text, parse):
    """[ethN=]WHAT as (N, parse(WHAT)); without ethN= it is the first device's."""
    match = re.match(r"eth(\d{1,3})=", text)
    device = int(match[1]) if match else 0
    if device >= DEVICES_MAX:
        raise argparse.ArgumentTypeError(f"{text!r}: devices are eth0 to eth{DEVICES_MAX - 1}")
    return device, parse(text[match.end():] if match else text)


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


# @impl ATL-LLR-TOOL-1295~1
def mac_setting(text):
    """[ethN=]MAC: (number of the device, MAC)"""
    return device_and(text, mac_address)


def mac_settings(macs, net):
    """{number of the device: MAC} of a list of mac_setting's. ToolError: there is no such device."""
    for device, _ in macs:
        if device >= len(devices_of(net)):
            raise ToolError(f"a MAC address{f' of eth{device}' if device else ''}, but no network",
                            "add --net user or --net tap=NAME")
    if len(dict(macs)) < len(macs):
        raise ToolError("two MAC addresses of one device", "leave one out")
    given = [mac for _, mac in macs]
    if twice := [mac for mac in given if given.count(mac) > 1]:
        raise ToolError(f"two devices have the MAC address {twice[0]}", "give each its own")
    return dict(macs)


def _with_defaults(macs, count):
    """The same of all devices: who has none gets QEMU's address and those behind it, of which none is another's."""
    given = {int(mac.replace(":", ""), 16) for mac in macs.values()}
    free = (next(mac for mac in itertools.count(MAC_FIRST + number, DEVICES_MAX) if mac not in given)
            for number in range(count))
    return {number: f"{mac:012x}" for number, mac in enumerate(free)} | macs


def forwards(setting):
    """[(port of this machine, port of the guest)] of all devices"""
    return [_forward(word) for each in devices_of(setting) if net_kind(each) == "user" for word in each.split(",")[1:]]


# @impl ATL-LLR-TOOL-0801~1 ATL-LLR-TOOL-0951~1
def check_network(setting, cores):
    """Refuses what of this machine cannot be used: of it QEMU says too little."""
    for port, guest in forwards(setting):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                raise ToolError(f"port {port} of this machine cannot be forwarded: {error.strerror}",
                                f"choose another: forward=PORT:{guest}", status=125) from None
    for name, queues in (_tap(each) for each in devices_of(setting) if net_kind(each) == "tap"):
        if queues > cores:
            raise ToolError(f"{queues} queues for {cores} core{'s' if cores > 1 else ''}: a core has one at most",
                            f"give --cores {queues} or queues={cores}", status=125)
        check_tap(name, queues)


# @impl ATL-LLR-TOOL-0954~1
def check_capture(path, setting):
    """Refuses frames that QEMU cannot write to the file."""
    if path is None:
        return
    if not has_device(setting):
        raise ToolError("--pcap, but no network", "add --net user or --net tap=NAME", status=125)
    if any(net_kind(each) == "tap" and _tap(each)[1] > 1 for each in devices_of(setting)):
        raise ToolError("--pcap, and several queues: QEMU writes down one", "leave out one of both", status=125)
    for device in range(len(devices_of(setting))):
        try:
            with open(_capture(path, device), "ab"):
                pass
        except OSError as error:
            raise ToolError(f"{_capture(path, device)}: {error.strerror}",
                            "give --pcap the path of a file that can be written", status=125) from None


def _capture(path, device):
    """The file for the frames of a device."""
    return f"{path}.eth{device}" if device else str(path)


# @impl ATL-LLR-TOOL-0953~1
def where_to_reach(setting, addresses):
    """Lines that say how the program is reached from here."""
    lines = [f"port {host} of 127.0.0.1 leads to the program's port {guest}" for host, guest in forwards(setting)]
    taps = [(device, _tap(each)[0]) for device, each in enumerate(devices_of(setting)) if net_kind(each) == "tap"]
    for device, name in taps:
        where = " and ".join(str(a.interface.ip) for a in addresses if a.device == device)
        lines.append(f"the program is at {where} ({name})" if where else
                     f"the program asks on {name} for an address (DHCP; --ip gives one)")
    return lines


# @impl ATL-LLR-TOOL-0800~1 ATL-LLR-TOOL-0950~1 ATL-LLR-TOOL-1295~1
def net_arguments(setting, mac, machine, capture=None):
    """QEMU's arguments for the networks of a setting; None: it has none. mac: of the first, or {number: MAC}; capture: a
    file for frames."""
    devices = devices_of(setting)
    macs = mac if isinstance(mac, dict) else {0: mac} if mac else {}
    if len(devices) > 1:
        macs = _with_defaults(macs, len(devices))
    ends, fronts = [], []
    for number, each in enumerate(devices):
        name = f"net{number or ''}"
        mac = ":".join(re.findall("..", macs[number].replace(":", ""))) if number in macs else None
        ends += _netdev(name, number, each, capture and _capture(capture, number))
        fronts += net_device(name, mac, machine, *_settings(each, machine))
    return ends + fronts


def _netdev(name, number, setting, capture):
    """QEMU's side of a device."""
    if net_kind(setting) == "user":
        netdev = f"user,id={name}" + (f",net=10.0.{2 + number}.0/24,ipv6-prefix=fec0:0:0:{number}::" if number else "")
        netdev += "".join(f",hostfwd=tcp:127.0.0.1:{host}-:{guest}" for host, guest in forwards(setting))
    else:
        tap, queues = _tap(setting)
        netdev = f"tap,id={name},ifname={tap},script=no,downscript=no,vhost=off"
        # What is written down are the frames of the wire, without QEMU's header before each.
        netdev += ",vnet_hdr=off" if capture else ""
        netdev += f",queues={queues}" if queues > 1 else ""
    number = name.removeprefix("net")
    dump = ["-object", f"filter-dump,id=capture{number},netdev={name},file={capture.replace(',', ',,')}"] if capture else []
    return ["-netdev", netdev, *dump]


def _settings(setting, machine):
    """What a device of several pairs of queues needs."""
    queues = _tap(setting)[1] if net_kind(setting) == "tap" else 1
    if queues == 1:
        return []
    return ["mq=on"] + ([] if machine == "microvm" else [f"vectors={2 * queues + 2}", "page-per-vq=on"])


def net_device(netdev, mac, machine, *settings):
    """The device on a network of QEMU."""
    last = [f"netdev={netdev}", *([f"mac={mac}"] if mac else []), *settings]
    if machine == "microvm":
        return ["-global", "virtio-mmio.force-legacy=false", "-device", ",".join(["virtio-net-device", *last])]
    return ["-device", ",".join(["virtio-net-pci", "romfile=", *last])]
