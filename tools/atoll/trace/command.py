# SPDX-License-Identifier: Apache-2.0
"""`./atoll trace`: runs a program on the kernel that notes everything, and keeps what its rings say;
`--summary` tells what is in a folder that was written so; `--core-file` writes one of what a core file has."""
import argparse
import contextlib
import functools
import mmap
import pathlib
import signal
import sys
import tempfile
import threading

from atoll.build import build_image_parts
from atoll.console import STREAM_LOG, STREAM_OUTPUT, STREAM_TRACE
from atoll.core_file import rings_of
from atoll.elf import Elf
from atoll.errors import ToolError
from atoll.machine import CORES_MAX
from atoll.monitor import Monitor, monitor_arguments
from atoll.options import add_image_options, add_machine_options, settings_from, split_command
from atoll.run import run_program
from atoll.trace.chrome import chrome_json
from atoll.trace.ctf import write_ctf
from atoll.trace.memory import GuestMemory, Reader
from atoll.trace.records import parse_rings, piece_of_memory
from atoll.trace.summary import summary

RINGS, JSON, CTF = "rings", "trace.json", "ctf"
STATUS_NO_TRACE = 123
STATUS_TERMINATED = 128 + 15  # debug/trace/announce.c ends a machine as SIGTERM would
ANSWER_SECONDS = 5.0
AUDIT_LINE = b"atoll: audit: "  # kernel/main/core.c
VARIANT = "trace"


def duration(text):
    """Seconds of "5s", "500ms", "1.5" or "2m"."""
    for unit, scale in (("ms", 0.001), ("s", 1.0), ("m", 60.0), ("", 1.0)):
        number = text.removesuffix(unit) if unit else text
        if text.endswith(unit) and number.replace(".", "", 1).isdigit() and float(number) > 0:
            return float(number) * scale
    raise argparse.ArgumentTypeError(f"{text!r}: give a time as 5s, 500ms or 2m")


def trace_parser():
    parser = argparse.ArgumentParser(
        prog="./atoll trace", usage="./atoll trace [options] PROGRAM [ARGUMENT ...] -o DIR\n"
                                    "       ./atoll trace --core-file FILE -o DIR\n"
                                    "       ./atoll trace --saved FOLDER -o DIR\n"
                                    "       ./atoll trace --summary DIR",
        description="Runs a static Linux program as ./atoll run does, on a kernel that notes every event, "
                    f"and writes what its cores, its library OS and the program itself noted into a new folder: {CTF}/ in the Common Trace Format, "
                    f"for babeltrace2; {JSON} for ui.perfetto.dev; and {RINGS}, as the machine sent them.",
        epilog="Options stand before the program, but for -o, --for and --every, which may also be last. Ctrl-C ends "
               "the program and keeps its trace. The exit status is that of ./atoll run, or "
               f"{STATUS_NO_TRACE} instead of 0 if no trace came; 0 if --for or Ctrl-C ended the program.")
    add_image_options(parser)
    add_machine_options(parser)
    parser.add_argument("-o", "--output", metavar="DIR", help="where the trace goes; must not exist")
    parser.add_argument("--for", dest="seconds", type=duration, metavar="TIME",
                        help="end the program when it has run for this time, as 5s or 500ms")
    parser.add_argument("--every", dest="every_s", type=duration, default=0.02, metavar="TIME",
                        help="how often the machine's rings are read while it runs (20ms); what is overwritten "
                             "before it is read is counted")
    parser.add_argument("--core-file", metavar="FILE",
                        help="run nothing: write the trace that a core file of ./atoll run --crash or ./atoll core has")
    parser.add_argument("--saved", metavar="FOLDER",
                        help="run nothing: write the trace of the files core0.ring, core1.ring ... of a folder, which "
                             "GDB has saved by what `monitor trace save` says")
    parser.add_argument("--summary", metavar="DIR", help="tell what is in a trace that was written")
    return parser


def _trailing(command):
    """Splits off -o DIR, --for TIME and --every TIME behind the program's arguments: (command, options)."""
    options = []
    while len(command) > 2 and command[-2] in ("-o", "--output", "--for", "--every"):
        options = command[-2:] + options
        command = command[:-2]
    return command, options


def trace_command(words):
    parser = trace_parser()
    options, command = split_command(parser, words)
    if "--" not in words[:len(words) - len(command)]:
        command, more = _trailing(command)
        options = options + more
    arguments = parser.parse_args(options)
    if arguments.summary is not None:
        if command or arguments.output or arguments.seconds or arguments.core_file:
            parser.error("--summary reads a trace; nothing is run")
        print(summary(read_trace(arguments.summary)), end="")
        return 0
    for name, value, write in (("--core-file", arguments.core_file, _trace_core_file),
                               ("--saved", arguments.saved, _trace_saved)):
        if value is not None:
            if command or arguments.seconds or not arguments.output:
                parser.error(f"{name} needs -o DIR, and nothing is run")
            print(write(value, arguments.output), file=sys.stderr)
            return 0
    if not command:
        parser.error("which program? ./atoll trace ./prog -o DIR")
    if not arguments.output:
        parser.error("where to? add -o DIR")
    return _trace_program(arguments, command)


def read_trace(folder):
    path = pathlib.Path(folder) / RINGS
    try:
        return parse_rings(path.read_bytes())
    except OSError as error:
        raise ToolError(f"{path}: {error.strerror}", "give a folder that ./atoll trace has written") from None


# @impl ATL-LLR-TOOL-0604~1 ATL-LLR-TOOL-0605~1
class _Ender:
    """Ends a machine: core 0 by itself at the first NMI, or wherever it hangs at
    the second; where that does not help either, QEMU. It does so when the program has run for a time
    (None: for ever), or when it is asked."""

    def __init__(self, monitor, seconds):
        self._monitor, self._seconds = monitor, seconds
        self._is_running = False
        self._is_over = threading.Event()
        self._timer = None
        self.has_acted = False

    def feed_log(self, data):
        """The kernel's lines, whole: its last one before the program starts is the audit's."""
        if AUDIT_LINE not in data or self._is_running:
            return
        self._is_running = True
        if self._seconds is not None:
            self._timer = threading.Timer(self._seconds, self.ask)
            self._timer.daemon = True
            self._timer.start()

    def ask(self):
        """True: the machine is about to end. Before its program runs, or a second time, it cannot be asked."""
        if not self._is_running or self.has_acted:
            return False
        self.has_acted = True
        threading.Thread(target=self._end, daemon=True).start()
        return True

    def stop(self):
        self._is_over.set()
        if self._timer is not None:
            self._timer.cancel()

    def _end(self):
        try:
            monitor = Monitor(self._monitor)
            for command in ("inject-nmi", "inject-nmi", "quit"):
                monitor.execute(command)
                if self._is_over.wait(ANSWER_SECONDS):
                    return
        except (OSError, ToolError):
            pass  # QEMU is gone


@contextlib.contextmanager
def _interrupt_asks(ender):
    """Ctrl-C asks the machine to end; the next one, or one before the program runs, is as ever."""
    def handler(*_):
        if not ender.ask():
            raise KeyboardInterrupt
    before = signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _settings(arguments, program):
    settings = settings_from(arguments, program)
    if settings.debug or arguments.perturb or arguments.variant:
        raise ToolError("a kernel that traces is a build of its own", "leave out --debug, --gdb and --perturb")
    settings.variant = VARIANT
    return settings


def _new_folder(path):
    folder = pathlib.Path(path)
    try:
        folder.mkdir()
    except OSError as error:
        raise ToolError(f"{folder}: {error.strerror}",
                        "give the path of a folder that is not there yet") from None
    return folder


# @impl ATL-LLR-TOOL-0610~1
def _trace_core_file(path, output):
    hint = "give a core file of ./atoll run --crash or ./atoll core"
    try:
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            rings = rings_of(data, path)
    except OSError as error:
        raise ToolError(f"{path}: {error.strerror}", hint) from None
    except ValueError:
        raise ToolError(f"{path}: the file is empty", hint) from None
    if rings is None:
        raise ToolError(f"{path}: not a core file with trace rings", hint)
    parse_rings(rings)  # refused before a folder is made
    return write_trace(_new_folder(output), rings, pathlib.Path(path).name)


# @impl ATL-LLR-TOOL-1198~1
def _trace_saved(folder, output):
    paths = [pathlib.Path(folder) / f"core{core}.ring" for core in range(CORES_MAX)]
    count = next((core for core, path in enumerate(paths) if not path.exists()), CORES_MAX)
    if count == 0:
        raise ToolError(f"{folder}: no core0.ring", "save the rings in GDB: monitor trace save")
    try:
        rings = b"".join(piece_of_memory(core, count, path.read_bytes()) for core, path in enumerate(paths[:count]))
    except OSError as error:
        raise ToolError(f"{error.filename}: {error.strerror}") from None
    parse_rings(rings)  # refused before a folder is made
    return write_trace(_new_folder(output), rings, "a machine that stood still")


# @impl ATL-LLR-TOOL-0604~1
def _trace_program(arguments, command):
    settings = _settings(arguments, command[0])
    folder = _new_folder(arguments.output)
    rings = b""
    try:
        status, rings = _run(arguments, command, settings)
    finally:
        if not rings:
            folder.rmdir()
    if not rings:
        print("atoll: the machine did not say where its trace is", file=sys.stderr)
        return status or STATUS_NO_TRACE
    print(write_trace(folder, rings, " ".join(command)), file=sys.stderr)
    return status


def write_trace(folder, rings, title):
    """Fills a folder with what rings (bytes) say; a line about it for the user."""
    (folder / RINGS).write_bytes(rings)
    cores = parse_rings(rings)
    write_ctf(folder / CTF, cores, title)
    (folder / JSON).write_text(chrome_json(cores))
    kept = sum(len(ring.records) for core in cores for _, ring in core.rings())
    plural = "s" if len(cores) > 1 else ""
    return (f"atoll: {folder}: {kept:,} records of {len(cores)} core{plural}. babeltrace2 {folder}; "
            f"{folder / JSON} in ui.perfetto.dev; ./atoll trace --summary {folder}")


def _posix_symbols(settings):
    """posix_symbol of Reader: of whichever library OS the image gets."""
    find, chosen = settings.find_parts or build_image_parts, [settings.posix]

    def found(variant, net):
        parts = find(variant, net)
        chosen[0] = settings.posix or parts[1]
        return parts

    @functools.cache
    def symbols():
        return Elf(pathlib.Path(chosen[0]).read_bytes(), str(chosen[0])).symbols()
    settings.find_parts = found
    return lambda name: symbols()[name]


def _run(arguments, command, settings):
    """(exit status, the rings)"""
    memory = GuestMemory(settings.memory, settings.machine)
    reader = Reader(memory, _posix_symbols(settings), arguments.every_s)
    with contextlib.closing(memory), tempfile.TemporaryDirectory(prefix="atoll-") as place:
        monitor = pathlib.Path(place) / "monitor"
        ender = _Ender(monitor, arguments.seconds)
        try:
            with _interrupt_asks(ender):
                status = run_program(command, arguments, settings,
                                     (*monitor_arguments(monitor), *memory.arguments()),
                                     {STREAM_TRACE: reader.feed, STREAM_LOG: ender.feed_log,
                                      STREAM_OUTPUT: lambda _: reader.poll()})
        finally:
            ender.stop()
            rings = reader.finish()
        if reader.broken_count:
            print(f"atoll: the program has written over {reader.broken_count} of its trace rings", file=sys.stderr)
    return 0 if ender.has_acted and status == STATUS_TERMINATED else status, rings
