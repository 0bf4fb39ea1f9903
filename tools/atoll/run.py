# SPDX-License-Identifier: Apache-2.0
"""`./atoll run`: pack, boot, and be the program: its streams and its exit status."""
import argparse
import contextlib
import os
import pathlib
import signal
import sys
import tempfile

from atoll.console import KIND_EXIT, KIND_PANIC, KIND_REFUSED, KIND_SIGNAL, STREAM_FILES
from atoll.crash import collecting
from atoll.debug import debug_line, tcp_address
from atoll.demo import SOURCE, prepare_demo
from atoll.errors import ToolError
from atoll.image import image_end
from atoll.machine import (STREAM_ERROR, STREAM_KERNEL_ERROR, STREAM_LOG, STREAM_OUTPUT, Guest,
                           MachineOptions)
from atoll.net import check_capture, check_network, where_to_reach
from atoll.options import (add_image_options, add_machine_options, settings_from, split_command)
from atoll.pack import pack, write_file
from atoll.receive import Receiver
from atoll.terminal import HELP as TERMINAL_HELP
from atoll.terminal import choose as choose_terminal
from atoll.terminal import connected, is_raw, line_ends

STATUS_OUT, STATUS_TIMEOUT, STATUS_REFUSED, STATUS_DIED, STATUS_PANIC = 123, 124, 125, 254, 255
FREE_MIB_MIN = 1  # for the smallest machine; the kernel judges the rest
# What the kernel says in plain text when it cannot even read how its console is to be used.
REFUSAL = b"atoll: cannot start: "


def run_parser():
    parser = argparse.ArgumentParser(
        prog="./atoll run", usage="./atoll run [options] [PROGRAM [ARGUMENT ...]]",
        description="Packs a static Linux program, boots it in QEMU and connects its standard "
                    "streams to this terminal. Without PROGRAM it boots a web server that shows the machine "
                    "to a browser. If input and output are a terminal, the program has one, and Ctrl-C is the program's: "
                    f"{TERMINAL_HELP}.",
        epilog="The exit status is the program's; 128 + signal after a crash; 123 if that would be 0 "
               "but a file of --out did not come; 124 after --timeout, "
               "125 if the machine was not started or refused to boot, 254 if it died silently, "
               "255 after a kernel panic.")
    add_image_options(parser)
    add_machine_options(parser)
    return parser


def run_command(words):
    parser = run_parser()
    options, command = split_command(parser, words)
    arguments = parser.parse_args(options)
    settings = settings_from(arguments, command[0] if command else SOURCE)
    if not command:
        command = [str(prepare_demo(settings))]
    with _line(arguments, command, settings) as extra:
        return run_program(command, arguments, settings, extra)


def _line(arguments, command, settings):
    """What is at the other end of a debug image's line to its stub: QEMU's arguments for it."""
    if arguments.crash is not None:
        return collecting(arguments.crash, command, settings)
    port = arguments.gdb if arguments.gdb is not None else arguments.monitor
    return contextlib.nullcontext(debug_line(tcp_address(port), settings.console) if port is not None else ())


def run_program(command, arguments, settings, extra=(), sinks=None):
    """Packs [program, its arguments ...], boots it, returns the exit status. extra: arguments for QEMU;
    sinks: {stream of the console: who else gets its bytes}."""
    settings.cores = settings.cores or min(4, os.cpu_count() or 1)
    settings.terminal = choose_terminal(arguments.tty)
    if settings.terminal:
        settings.environment.setdefault("TERM", os.environ.get("TERM", "linux"))
    check_network(settings.net, settings.cores)
    check_capture(settings.pcap, settings.net)
    image = pack(command[0], command[1:], settings, framed=True)
    check_memory(image, settings.memory)
    if arguments.keep_image:
        write_file(arguments.keep_image, image)
    machine = MachineOptions(settings.cores, settings.memory, settings.machine,
                             (*extra, *arguments.qemu_arg), arguments.timeout, arguments.qemu,
                             settings.console, settings.neighbour, settings.net, settings.mac,
                             settings.pcap)
    receiver = Receiver(settings.outputs) if settings.outputs else None
    for line in where_to_reach(settings.net, settings.ip):
        _say(line)
    return boot(image, machine, settings.verbose, receiver, settings.terminal, sinks)


# @impl ATL-LLR-TOOL-0042~1
def check_memory(image, memory_mib):
    """Refuses a machine into which the image does not fit."""
    needed = image_end(image) // (1 << 20) + 1 + FREE_MIB_MIN
    if memory_mib < needed:
        raise ToolError(f"the image needs more than {memory_mib} MiB of memory",
                        f"give it at least --memory {needed}", status=STATUS_REFUSED)


# @impl ATL-LLR-TOOL-0013~1
def boot(image, machine, verbose, receiver=None, terminal=None, sinks=None):
    """Boots image bytes with this process's streams; returns the exit status."""
    with tempfile.TemporaryDirectory(prefix="atoll-") as folder:
        path = os.path.join(folder, "image")
        pathlib.Path(path).write_bytes(image)
        try:
            with connected(terminal[0] if terminal else 0) as source:
                guest = Guest(machine, path, _sinks(verbose, receiver, sinks or {}),
                              source=source)
                if verbose:
                    _text_writer()(b"atoll: " + " ".join(guest.command).encode() + b"\n")
                outcome = guest.run()
        except BrokenPipeError:
            return 128 + signal.SIGPIPE
    status = report(outcome, machine, verbose)
    if receiver is not None:
        for problem in receiver.finish():
            _say(f"--out: {problem}")
            status = status or STATUS_OUT
    return status


def _sinks(show_log, receiver, further):
    sinks = {STREAM_OUTPUT: _writer(1), STREAM_ERROR: _writer(2), STREAM_KERNEL_ERROR: _text_writer()}
    if receiver is not None:
        sinks[STREAM_FILES] = receiver.feed
    if show_log:
        sinks[STREAM_LOG] = _text_writer()
    for stream, sink in further.items():
        sinks[stream] = _both(sink, sinks[stream]) if stream in sinks else sink
    return sinks


def _both(first, second):
    def feed(data):
        first(data)
        second(data)
    return feed


def _text_writer():
    """Lines of the kernel and of this command, while the program's terminal may be this one."""
    return line_ends(_writer(2)) if is_raw(2) else _writer(2)


def _writer(descriptor):
    def write(data):
        view = memoryview(data)
        while view:
            written = os.write(descriptor, view)
            view = view[written:]
    return write


def exit_status(outcome):
    """What the tool ends with: 8 bits."""
    record = outcome.record
    if record is None and REFUSAL in outcome.noise:
        return STATUS_REFUSED
    if record is None:
        return STATUS_TIMEOUT if outcome.timed_out else STATUS_DIED
    if record.kind == KIND_EXIT:
        return record.status
    if record.kind == KIND_SIGNAL:
        return 128 + record.signal
    return {KIND_PANIC: STATUS_PANIC, KIND_REFUSED: STATUS_REFUSED}[record.kind]


def report(outcome, machine, verbose):
    """Says what a user must know of the end of a run; returns the exit status."""
    status = exit_status(outcome)
    record = outcome.record
    if verbose and outcome.noise:
        _show("outside of the console protocol", outcome.noise)
    if status == STATUS_REFUSED and record is None:
        reason = outcome.noise[outcome.noise.index(REFUSAL):].decode("utf-8", "replace").strip()
        print(reason, file=sys.stderr)
        _say("the image refused to boot (reason above)")
    elif record is None:
        _report_no_record(outcome, machine, verbose)
    elif record.kind == KIND_SIGNAL:
        name = signal.strsignal(record.signal) or "?"
        _say(f"the program was ended by signal {record.signal} ({name})")
    elif record.kind == KIND_PANIC:
        _say("the kernel stopped itself (report above); this is a fault of Atoll",
             "run it again with --verbose and keep the output")
    elif record.kind == KIND_REFUSED:
        _say("the image refused to boot (reason above)")
    return status


def _report_no_record(outcome, machine, verbose):
    if outcome.qemu_message:
        _say(f"QEMU: {outcome.qemu_message}")
    if outcome.timed_out:
        _say(f"no end after {machine.timeout_s:g} s: stopped", "give it more time: --timeout")
        return
    if not verbose and outcome.noise:
        _show("the machine's last words", outcome.noise[-4096:])
    other = "q35" if machine.machine == "microvm" else "microvm"
    _say(f"the machine ended without telling why (QEMU exit status {outcome.qemu_status})",
         f"try --verbose, more --memory (it has {machine.memory_mib} MiB), or --machine {other}")


def _say(message, hint=None):
    print(f"atoll: {message}" + (f"\n  {hint}" if hint else ""), file=sys.stderr)


def _show(title, data):
    text = data.decode("utf-8", "replace").replace("\r\n", "\n").strip()
    print(f"atoll: {title}:\n{text}", file=sys.stderr)
