# SPDX-License-Identifier: Apache-2.0
"""`./atoll live`: looks into a machine that runs, over its debug line, and does not stop it."""
import argparse
import contextlib
import pathlib
import sys
import time

from atoll.errors import ToolError
from atoll.live.line import Line
from atoll.live.strace import add_options, strace
from atoll.live.tables import TABLES, Top
from atoll.options import port_number
from atoll.trace.command import duration, write_trace
from atoll.trace.records import MAGIC, piece

HELP = """what to show:
  cores     what each core does, for how long it did something and nothing
  ps, threads  all threads: state, priority, processor time, where they are
  top       use of each core and thread between two looks (--every, default 1s)
  mem, memory  frames of each core
  channels  messages between cores
  gate      how often each core's kernel was entered
  irqs      interrupts and exceptions of each core
  strace    the program's system calls as they are made, until it ends or Ctrl-C (-e, -p, -c, --start)
  trace     the cores' trace rings, into a new folder (-o DIR), as ./atoll trace writes one; with --for, --every or
            --count over and over, each time what is new
"""


def live_parser():
    parser = argparse.ArgumentParser(
        prog="./atoll live", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Shows a machine that runs, started with ./atoll run --monitor PORT or --gdb PORT. Nothing stops for it.",
        epilog=HELP)
    parser.add_argument("address", metavar="PORT", type=_address,
                        help="of ./atoll run --gdb, or the path of the line's socket")
    parser.add_argument("what", choices=(*TABLES, "top", "trace", "strace"), metavar="WHAT", help="see below")
    parser.add_argument("--every", type=duration, metavar="TIME", help="look again after TIME, until Ctrl-C")
    parser.add_argument("--count", type=int, metavar="N", help="as --every, but N looks only")
    parser.add_argument("-o", "--output", metavar="DIR", help="of trace: where it goes; must not exist")
    parser.add_argument("--for", dest="seconds", type=duration, metavar="TIME",
                        help="of trace: collect what is noted for so long; else one look")
    add_options(parser)
    return parser


def _address(text):
    return text if "/" in text else port_number(text)


# @impl ATL-LLR-TOOL-0930~1
def live_command(words):
    parser = live_parser()
    arguments = parser.parse_args(words)
    if (arguments.what == "trace") != (arguments.output is not None):
        parser.error("trace, and nothing else, goes to -o DIR")
    if arguments.seconds is not None and arguments.what != "trace":
        parser.error("--for is for trace")
    if arguments.count is not None and arguments.count < 1:
        parser.error("--count: give 1 or more")
    if arguments.what == "strace":
        return strace(arguments)
    with Line(arguments.address) as line:
        count = line.core_count()
        if arguments.what == "trace":
            return _save_trace(line, count, arguments)
        _show(line, count, arguments)
    return 0


def _show(line, count, arguments):
    top = Top()
    is_top = arguments.what == "top"
    is_once = arguments.every is None and arguments.count is None
    looks = 1 if is_once else arguments.count
    if is_top:
        top.look(line, count)
        time.sleep(arguments.every or 1.0)
    shown = 0
    while looks is None or shown < looks:
        if shown > 0:
            print()
            time.sleep(arguments.every or 1.0)
        lines = top.look(line, count) if is_top else TABLES[arguments.what](line, count)
        print("\n".join(lines), flush=True)
        shown += 1


# @impl ATL-LLR-TOOL-0931~1 ATL-LLR-TOOL-1197~1
def _save_trace(line, count, arguments):
    """One look, or as many as --every, --count and --for say: each adds what is new."""
    pieces, made_before = [], [0] * count
    is_once = arguments.every is None and arguments.count is None and arguments.seconds is None
    looks = 1 if is_once else arguments.count
    end = time.monotonic() + arguments.seconds if arguments.seconds is not None else None
    with contextlib.suppress(KeyboardInterrupt):
        while looks is None or looks > 0:
            for core in range(count):
                pieces.append(_new_records(line, core, count, made_before))
            looks = looks - 1 if looks is not None else None
            if looks == 0 or (end is not None and time.monotonic() >= end):
                break
            time.sleep(arguments.every or 0)
    if len(pieces) < count:
        raise ToolError("no core was asked before the end", "a trace is of all cores")
    folder = pathlib.Path(arguments.output)
    try:
        folder.mkdir()
    except OSError as error:
        raise ToolError(f"{folder}: {error.strerror}",
                        "give the path of a folder that is not there yet") from None
    print(write_trace(folder, b"".join(pieces), "a machine that runs"), file=sys.stderr)
    return 0


def _new_records(line, core, count, made_before):
    said = line.trace(core, made_before[core])
    if said is None or said[0] < made_before[core]:
        raise ToolError(f"core {core} does not answer", "a trace is of all cores")
    made_before[core] = said[0]
    return piece(MAGIC, core, count, *said)
