# SPDX-License-Identifier: Apache-2.0
"""The options that `run`, `pack` and `bench` share. The command line wins over the manifest
(manifest.py), the manifest over the defaults."""
import argparse
import dataclasses
import pathlib

from atoll.address import check_addresses, ip_setting
from atoll.errors import ToolError
from atoll.machine import CONSOLES, CORES_MAX, MACHINES, QEMU
from atoll.manifest import (MANIFEST_NAME, PLACEMENTS, QUANTUM_US_MAX, QUANTUM_US_MIN, absolute_path,
                            gate_names, host_name, memory_mib, read_manifest)
from atoll.net import has_device, mac_setting, mac_settings, net_kind, net_setting, net_settings

DEFAULT_ENVIRONMENT = {"HOME": "/root", "PATH": "/bin"}


@dataclasses.dataclass
class Settings:
    """Everything that decides what is packed and how it boots."""
    ring: int = 3
    cores: int | None = None
    memory: int = 128
    machine: str = "microvm"
    quantum_us: int = 10000
    console: str = "serial"
    neighbour: str | None = None    # the file; of run
    placement: str = "fixed"
    working_directory: str = "/"
    host_name: str = "atoll"
    allow_write_execute: bool = False
    debug: bool = False                                          # with the debugger's stub
    watchdog: int | None = None                                  # milliseconds
    monitor: bool = False                                        # its line is to look at it: the program runs as ever
    debug_wait: bool = False                                     # which waits at the program's start
    gate: list | None = None                                     # names; None: all calls
    detour: bool = True
    net: object = None    # net.net_setting, or a tuple of several devices'; None: what the program can call
    mac: object = None    # of the first device, or {number of the device: MAC}
    policy: list = dataclasses.field(default_factory=list)       # rules of policy.policy_rules; none: all may pass
    ip: list = dataclasses.field(default_factory=list)           # address.Address; none: DHCP
    pcap: str | None = None         # the file; of run
    seed: int | None = None
    verbose: bool = False
    perturb: bool = False
    variant: str = "image"
    kernel: str | None = None
    posix: str | None = None
    find_parts: object = None       # (variant, net) -> kernel, posix; None: build them
    root: str | None = None
    terminal: tuple | None = None   # (streams as bits, rows, columns, is UTF-8)
    outputs: list = dataclasses.field(default_factory=list)      # (guest, host)
    files: list = dataclasses.field(default_factory=list)        # (host, guest)
    environment: dict = dataclasses.field(default_factory=dict)
    arguments: list = dataclasses.field(default_factory=list)


def core_count(text):
    if not str(text).isdigit() or not 1 <= int(text) <= CORES_MAX:
        raise argparse.ArgumentTypeError(f"{text!r}: give 1 to {CORES_MAX} cores")
    return int(text)


def quantum_us(text):
    if not text.isdigit() or not QUANTUM_US_MIN <= int(text) <= QUANTUM_US_MAX:
        raise argparse.ArgumentTypeError(f"{text!r}: give {QUANTUM_US_MIN} to {QUANTUM_US_MAX}")
    return int(text)


def host_and_guest(text):
    host, separator, guest = text.rpartition(":")
    if not separator or not host or not guest.startswith("/"):
        raise argparse.ArgumentTypeError(f"{text!r}: write HOST:/guest/path")
    return host, guest


def guest_and_host(text):
    guest, separator, host = text.partition(":")
    if not separator or not host or not guest.startswith("/"):
        raise argparse.ArgumentTypeError(f"{text!r}: write /guest/path:HOST")
    return guest, host


def name_and_value(text):
    name, separator, value = text.partition("=")
    if not separator or not name:
        raise argparse.ArgumentTypeError(f"{text!r}: write NAME=VALUE")
    return name, value


def milliseconds(text):
    if not text.isdigit() or not 100 <= int(text) <= 3600000:
        raise argparse.ArgumentTypeError(f"{text!r}: give 100 to 3600000 milliseconds")
    return int(text)


def seed_number(text):
    try:
        value = int(text, 0)
    except ValueError:
        value = -1
    if not 0 <= value < 1 << 64:
        raise argparse.ArgumentTypeError(f"{text!r}: give a number from 0 to 2^64 - 1")
    return value


def port_number(text):
    if not text.isdigit() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: give a number from 1 to 65535")
    return int(text)


def add_image_options(parser):
    """Options that decide what is in an image."""
    add = parser.add_argument
    add("--cores", type=core_count, metavar="N", help="cores of the program")
    add("--ring", type=int, choices=(0, 3), help="3: behind the gate (default); 0: no isolation")
    add("--console", choices=CONSOLES,
        help="what carries the program's streams: the serial port (default) or a virtio console")
    add("--file", action="append", type=host_and_guest, metavar="HOST:GUEST", default=[],
        help="put a file or folder of this machine into the image; may be repeated")
    add("--root", metavar="DIR|TAR",
        help="the guest's whole tree: a folder or a tar archive of this machine")
    add("--neighbour", metavar="FILE|unix:SOCKET",
        help="memory shared with another machine, in FILE of this one, or with doorbells through the server "
             "at SOCKET (./atoll neighbour); needs --machine q35")
    add("--env", action="append", type=name_and_value, metavar="NAME=VALUE", default=[],
        help="set a variable of the program's environment; may be repeated")
    add("--manifest", metavar="FILE",
        help=f"read settings from FILE (default: {MANIFEST_NAME} beside the program, if there)")
    add("--placement", choices=PLACEMENTS,
        help="balanced: an idle core asks the longest queue for a thread (default fixed)")
    add("--quantum-us", type=quantum_us, metavar="N",
        help="microseconds after which an equal thread runs (default 10000)")
    add("--working-directory", type=absolute_path, metavar="PATH", help="where the program starts")
    add("--host-name", type=host_name, metavar="NAME", help="the guest's name (default atoll)")
    add("--allow-write-execute", action="store_true", default=None,
        help="permit memory that is writable and executable (compilers at run time)")
    add("--gate", type=lambda text: gate_names(text.split(",")), metavar="CALL,CALL,...",
        help="the only calls of the gate that the kernel answers (default: all; see docs/GATE.md)")
    add("--no-detour", dest="detour", action="store_false", default=None,
        help="let every system call of the program enter the kernel: nothing in it is rewritten")
    add("--net", type=net_setting, action="append",
        metavar="none|unix|inet|user[,forward=HOST:GUEST]...|tap=NAME[,queues=N]",
        help="none: no sockets; unix: those within the guest; inet: TCP and UDP on the loopback too "
             "(default: if the program can make one); user: also a network through QEMU; forward: who "
             "connects to port HOST of this machine's loopback address reaches port GUEST; tap: the "
             "network of this machine's tap NAME; user and tap may be repeated: each is a device of the "
             "guest, eth0, eth1 and so on in their order, at most four")
    add("--ip", type=ip_setting, action="append", metavar="[ethN=]ADDRESS/PREFIX[,gateway=ADDRESS]", default=[],
        help="the machine's address on a tap, instead of asking by DHCP; once for IPv4, once for IPv6, of "
             "each device; without ethN= of eth0")
    add("--mac", type=mac_setting, action="append", metavar="[ethN=]MAC",
        help="the machine's address on its network, or on that of the device ethN")
    add("--debug", action="store_true", default=None,
        help="an image with the stub for GDB, on a port of its virtio console or on its second serial line: not for "
             "production")
    add("--gdb-wait", action="store_true",
        help="stop at the program's start until GDB lets it go on (implies --debug)")
    add("--watchdog", type=milliseconds, metavar="MS",
        help="end the machine with a report when a core has not passed its scheduler for so long though it has "
             "something to run (implies --debug)")
    add("--seed", type=seed_number, metavar="N", help="fixed seed for address layout; tests only")
    add("--perturb", action="store_true", help="use the build that delays at random; tests only")
    add("--variant", help=argparse.SUPPRESS)
    add("--kernel", metavar="FILE", help=argparse.SUPPRESS)
    add("--posix", metavar="FILE", help=argparse.SUPPRESS)
    add("--verbose", "-v", action="store_true", help="show what kernel and tool do, on stderr")


def add_machine_options(parser):
    """Options that decide which machine boots it."""
    add = parser.add_argument
    add("--memory", "-m", type=memory_mib, metavar="MIB", help="memory (default 128)")
    add("--machine", choices=MACHINES, help="QEMU machine (default microvm)")
    terminal = parser.add_mutually_exclusive_group()
    terminal.add_argument("--tty", action="store_true", default=None, dest="tty",
                          help="the program's streams are a terminal, whatever this command's are")
    terminal.add_argument("--no-tty", action="store_false", default=None, dest="tty",
                          help="the program's streams are pipes, whatever this command's are")
    add("--gdb", type=port_number, metavar="PORT",
        help="make a debug image and let GDB connect to PORT of this machine (implies --debug); the machine has a "
             "second serial line for it or, with --console virtio, a port of the console")
    add("--monitor", type=port_number, metavar="PORT",
        help="make a debug image and let ./atoll live PORT look at it while it runs; as --gdb, but the program's "
             "system calls stay rewritten")
    add("--pcap", metavar="FILE", help="write the frames of the machine's network to FILE, for tcpdump")
    add("--crash", metavar="DIR",
        help="make a debug image; when a signal or a panic ends the program, put a core file for GDB "
             "into DIR and print a report (implies --debug)")
    add("--timeout", type=float, metavar="SECONDS", help="stop the machine after this time")
    add("--qemu", metavar="PROGRAM", default=QEMU, help=f"the QEMU that boots it (default {QEMU})")
    add("--qemu-arg", action="append", default=[], metavar="ARG",
        help="one more argument for QEMU, as --qemu-arg=-device; may be repeated")
    add("--out", action="append", type=guest_and_host, metavar="GUEST:HOST", default=[],
        help="when the program has ended, also by a signal, put its file or folder GUEST here; may be "
             "repeated")
    add("--keep-image", metavar="FILE", help="also leave the image in FILE")


def split_command(parser, words):
    """Splits a command line into the tool's options and [program, its arguments ...]: everything
    from the first word on that is neither an option nor an option's value is the program's."""
    takes_value = {}
    for action in parser._actions:  # argparse has no public list
        for name in action.option_strings:
            takes_value[name] = action.nargs != 0
    position = 0
    while position < len(words):
        word = words[position]
        if word == "--":
            return words[:position], words[position + 1:]
        if not word.startswith("-") or word == "-":
            break
        position += 2 if takes_value.get(word, False) else 1
    return words[:position], words[position:]


def _find_manifest(arguments, program):
    if arguments.manifest:
        return pathlib.Path(arguments.manifest)
    beside = pathlib.Path(program).parent / MANIFEST_NAME
    return beside if beside.is_file() else None


def settings_from(arguments, program):
    """Merges command line, manifest and defaults."""
    path = _find_manifest(arguments, program)
    manifest = read_manifest(path) if path else {}
    settings = Settings()
    for name in ("ring", "cores", "memory", "machine", "quantum_us", "console", "neighbour", "placement",
                 "working_directory", "host_name", "allow_write_execute", "debug", "gate", "detour",
                 "net", "mac", "pcap", "root", "policy"):
        given = getattr(arguments, name, None)
        setattr(settings, name,
                given if given is not None else manifest.get(name, getattr(settings, name)))
    settings.files = [(host, guest) for guest, host in manifest.get("files", {}).items()]
    settings.files += arguments.file
    settings.outputs = list(manifest.get("out", {}).items()) + getattr(arguments, "out", [])
    settings.environment = {**DEFAULT_ENVIRONMENT, **manifest.get("environment", {}),
                            **dict(arguments.env)}
    settings.arguments = manifest.get("arguments", [])
    settings.seed, settings.verbose = arguments.seed, arguments.verbose
    settings.kernel, settings.posix = arguments.kernel, arguments.posix
    is_collected = getattr(arguments, "crash", None) is not None
    settings.monitor = getattr(arguments, "monitor", None) is not None
    if settings.monitor and (is_collected or arguments.gdb is not None):
        raise ToolError("--monitor, and --gdb or --crash: the machine has one line", "choose one")
    if is_collected and (arguments.gdb_wait or arguments.gdb is not None):
        raise ToolError("--crash and GDB: the machine has one line for a debugger", "choose one")
    settings.watchdog = arguments.watchdog
    settings.debug |= settings.watchdog is not None
    settings.debug_wait = arguments.gdb_wait or is_collected
    settings.debug |= settings.debug_wait or settings.monitor or getattr(arguments, "gdb", None) is not None
    settings.ip = arguments.ip or manifest.get("ip", [])
    settings.net = net_settings(settings.net) if settings.net else None
    settings.mac = mac_settings(settings.mac or [], settings.net)
    check_addresses(settings.ip, settings.net)
    if settings.neighbour is not None and settings.net is not None and net_kind(settings.net) in ("inet", "user", "tap"):
        raise ToolError("a neighbour, and TCP/IP: no image has both", "leave out --neighbour, or give --net unix")
    if settings.policy and settings.ring == 0:
        raise ToolError("a network policy, and ring 0: there the program can change the kernel that judges",
                        "leave out one of both")
    if settings.policy and not has_device(settings.net):
        raise ToolError("a network policy, but no network", "add --net user or --net tap=NAME")
    settings.variant = arguments.variant or _variant(arguments, settings)
    return settings


def _variant(arguments, settings):
    if settings.debug and arguments.perturb:
        raise ToolError("--perturb and the debugger's stub are different builds", "choose one")
    return "debug" if settings.debug else "perturb" if arguments.perturb else "image"
