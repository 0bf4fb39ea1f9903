# SPDX-License-Identifier: Apache-2.0
"""`./atoll pack`, and the packing step of everything that boots."""
import argparse
import hashlib
import os
import pathlib
import stat
import struct
import sys
import tempfile

from atoll.address import encode_addresses
from atoll.build import VARIANTS, build_image_parts
from atoll.debug import add_debug_files
from atoll.detour import find_detours
from atoll.errors import ToolError
from atoll.gate import gate_calls, mask_of
from atoll.image import (FLAG_BALANCED, FLAG_DEBUG_WAIT, FLAG_FIXED_SEED, FLAG_FRAMED, FLAG_NEIGHBOUR,
                         FLAG_VERBOSE,
                         FLAG_VIRTIO_CONSOLE, FLAG_WRITE_EXECUTE, Manifest,
                         build_image)
from atoll.iso import build_iso
from atoll.net import PORT_BYTES, devices_of, net_kind, net_of
from atoll.options import add_image_options, settings_from
from atoll.program import check_program
from atoll.rare import makes_rare_calls
from atoll.tree import PROGRAM, Entry, Tree, guest_path

# Hidden from the program: posix/ puts its own /proc there. posix/file/hand_out.c reads it.
OUTPUT_LIST = "/proc/.atoll/out"
TERMINAL_SETTING = "/proc/.atoll/terminal"  # posix/file/terminal.c
ADDRESSES = "/proc/.atoll/addresses"  # posix/inet/setting.c
# Hidden likewise: posix/load/detour.c rewrites the program's pages by it; the file stays as it is.
WATCHDOG = "/proc/.atoll/watchdog"  # debug/watchdog.c
DETOURS = "/proc/.atoll/detours"


def read_input(path, what):
    """The bytes of a file; a clear error if that does not work."""
    try:
        data = pathlib.Path(path).read_bytes()
    except IsADirectoryError:
        raise ToolError(f"{path}: a folder, not a {what}", "give the path of a file") from None
    except OSError as error:
        raise ToolError(f"{path}: {error.strerror}", f"give the path of a {what}") from None
    return data


# @impl ATL-LLR-TOOL-0040~1 ATL-LLR-TOOL-0043~1 ATL-LLR-TOOL-0044~1
def pack(program, arguments, settings, framed):
    """The bytes of an image of a program with its arguments: a host file, or with --root a path in
    that tree."""
    tree = Tree(settings.host_name)
    if settings.root:
        tree.add_root(settings.root, settings.verbose)
    guest, first, elf = _add_program(tree, program, settings)
    for host, path in settings.files:
        tree.add_host(host, path)
    if settings.outputs and framed:
        wanted = [guest_path(path).encode("utf-8", "surrogateescape") for path, _ in settings.outputs]
        tree.entries[OUTPUT_LIST] = Entry(stat.S_IFREG | 0o400, b"".join(p + b"\0" for p in wanted))
    if settings.terminal and framed:
        tree.entries[TERMINAL_SETTING] = Entry(stat.S_IFREG | 0o400,
                                               struct.pack("<HHHH", *settings.terminal))
    net = net_kind(settings.net or net_of(elf))
    if settings.ip:
        tree.entries[ADDRESSES] = Entry(stat.S_IFREG | 0o400, encode_addresses(settings.ip))
    is_plain = settings.net is None and net == "none" and not makes_rare_calls(elf)
    kernel, posix = _parts(settings, "neighbour" if settings.neighbour is not None else "plain" if is_plain else net)
    if settings.debug:
        add_debug_files(tree, kernel, posix)
    if settings.watchdog is not None:
        tree.entries[WATCHDOG] = Entry(stat.S_IFREG | 0o400, struct.pack("<Q", settings.watchdog))
    manifest = Manifest(
        program_path=guest, arguments=[first, *settings.arguments, *arguments],
        environment=[f"{name}={value}" for name, value in settings.environment.items()],
        working_directory=settings.working_directory, host_name=settings.host_name,
        ring=settings.ring, cores=settings.cores or 0, quantum_us=settings.quantum_us,
        flags=_flags(settings, framed), seed=settings.seed or 0,
        gate_calls=mask_of(gate_calls() if settings.gate is None else settings.gate),
        port_bytes=PORT_BYTES * len(devices_of(settings.net)), policy=settings.policy)
    return build_image(read_input(kernel, "kernel"), str(kernel), read_input(posix, "library OS"),
                       str(posix), tree, manifest)


# @impl ATL-LLR-TOOL-0045~1
def _add_program(tree, program, settings):
    """The program's path in the guest, its argument 0, and its Elf."""
    program = str(program)
    inside = tree.resolve(program) if settings.root and program.startswith("/") else None
    if inside is not None:
        data, guest, first = tree.entries[inside].content, inside, program
        if not stat.S_ISREG(tree.entries[inside].mode):
            raise ToolError(f"{program}: not a program in {settings.root}", "give the path of a file")
    else:
        data = read_input(program, "static ELF program")
        guest = first = "/bin/" + pathlib.Path(program).name
    elf = check_program(data, program, settings.cores or 1, settings.allow_write_execute)
    if inside is None:
        # where /bin is a link, as of merged trees, the file goes to where it leads
        folder = tree.resolve("/bin") or "/bin"
        guest = folder + guest.removeprefix("/bin")
        tree.add(guest, Entry(PROGRAM, data))
    # The library OS cannot rewrite pages whose rights it may not change.
    # A debugger shows the program's own code.
    is_shown = settings.debug and not settings.monitor
    if settings.detour and not is_shown and (settings.gate is None or "protect" in settings.gate):
        _add_detours(tree, elf, settings.verbose)
    return guest, first, elf


# @impl ATL-LLR-TOOL-0071~1
def _add_detours(tree, elf, verbose):
    found, table = find_detours(elf)
    if table:
        tree.entries[DETOURS] = Entry(stat.S_IFREG | 0o400, table)
    if verbose:
        print(f"atoll: {elf.name}: {found.describe()}", file=sys.stderr)


def _parts(settings, net):
    if settings.variant not in VARIANTS:
        raise ToolError(f"unknown build variant {settings.variant!r}", f"known: {', '.join(VARIANTS)}")
    if settings.kernel and settings.posix:
        return settings.kernel, settings.posix
    kernel, posix = (settings.find_parts or build_image_parts)(settings.variant, net)
    return settings.kernel or kernel, settings.posix or posix


def _flags(settings, framed):
    return ((FLAG_WRITE_EXECUTE if settings.allow_write_execute else 0)
            | (FLAG_VERBOSE if settings.verbose else 0)
            | (FLAG_FRAMED if framed else 0)
            | (FLAG_VIRTIO_CONSOLE if settings.console == "virtio" else 0)
            | (FLAG_NEIGHBOUR if settings.neighbour is not None else 0)
            | (FLAG_BALANCED if settings.placement == "balanced" else 0)
            | (FLAG_DEBUG_WAIT if settings.debug and settings.debug_wait else 0)
            | (FLAG_FIXED_SEED if settings.seed is not None else 0))


def write_file(path, data):
    """Writes aside and renames: no half an image is ever there."""
    path = pathlib.Path(path)
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".atoll-")
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(data)
            os.chmod(temporary, 0o644)
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise ToolError(f"{path}: {error.strerror}", "give a path that can be written") from None


def pack_parser():
    parser = argparse.ArgumentParser(
        prog="./atoll pack", usage="./atoll pack [options] -o IMAGE PROGRAM [ARGUMENT ...] [-- ARGUMENT ...]",
        description="Makes one bootable ELF image of a static Linux program. Arguments that begin with "
                    "- stand behind --.",
        epilog="It boots without the tool: qemu-system-x86_64 -M q35 -cpu max -m 64 -smp 2 "
               "-kernel IMAGE -serial stdio -display none")
    parser.add_argument("-o", "--output", metavar="IMAGE", help="where the image goes")
    parser.add_argument("--iso", action="store_true",
                        help="a medium with GRUB that boots by BIOS and UEFI, as a CD or a disk")
    parser.add_argument("command", nargs="*", help=argparse.SUPPRESS)
    add_image_options(parser)
    return parser


def pack_command(words):
    parser = pack_parser()
    split = words.index("--") if "--" in words else len(words)
    arguments = parser.parse_intermixed_args(words[:split])
    command = arguments.command + words[split + 1:]
    if not command:
        parser.error("which program? ./atoll pack ./prog -o prog.img")
    if not arguments.output:
        parser.error("where to? add -o IMAGE")
    settings = settings_from(arguments, command[0])
    image = pack(command[0], command[1:], settings, framed=False)
    if arguments.iso:
        image = build_iso(image)
    write_file(arguments.output, image)
    if arguments.verbose:
        digest = hashlib.sha256(image).hexdigest()
        print(f"{arguments.output}: {len(image)} bytes, SHA-256 {digest}", file=sys.stderr)
    return 0
