# SPDX-License-Identifier: Apache-2.0
"""Finds the command and turns every kind of end into an exit status."""
import contextlib
import importlib
import os
import signal
import sys

from atoll.errors import ToolError

# Command -> module, function, one line of help. Modules load on use: `run` must start quickly.
COMMANDS = {
    "run": ("atoll.run", "run_command", "boot a static Linux program, or a web server that shows the machine"),
    "pack": ("atoll.pack", "pack_command", "make a bootable image of a program"),
    "inspect": ("atoll.inspect", "inspect_command", "show and check what is in an image"),
    "core": ("atoll.core_command", "core_command", "write a core file of a machine that runs"),
    "trace": ("atoll.trace.command", "trace_command", "run a program and keep what its cores did when"),
    "live": ("atoll.live.command", "live_command", "look into a machine that runs, without stopping it"),
    "neighbour": ("atoll.neighbour", "neighbour_command", "serve memory that machines share, with doorbells"),
    "test": ("atoll.test", "test_command", "run every test"),
    "bench": ("atoll.bench.command", "bench_command", "count guest instructions on Atoll and on Linux"),
    "setup": ("atoll.packages", "setup_command", "install what Atoll needs"),
    "doctor": ("atoll.packages", "doctor_command", "show what is installed and what is missing"),
}
# What live shows, also as commands of their own: ./atoll ps PORT
LOOKS = ("ps", "top", "threads", "mem", "channels", "gate", "irqs", "strace")
NEEDS_PACKAGES = {"run": "run", "pack": "run", "inspect": "run", "trace": "run", "test": "test", "bench": "run"}
STATUS_INTERRUPTED = 130


def usage():
    lines = ["usage: ./atoll COMMAND [options]", ""]
    lines += [f"  {name:<9} {text}" for name, (_, _, text) in COMMANDS.items()]
    lines += [f"  {', '.join(LOOKS)} PORT", "            the same as live PORT ps and so on"]
    lines += ["", "./atoll COMMAND --help tells more. The first two to try: ./atoll run, ./atoll test"]
    return "\n".join(lines)


def _end_by_signal(number, _frame):
    # As an exception, so that QEMU and temporary files go the normal way.
    raise SystemExit(128 + number)


# @impl ATL-LLR-TOOL-1280~1
def _dispatch(name, words):
    if name in NEEDS_PACKAGES and not {"-h", "--help"} & set(words[:1]):
        from atoll.packages import ensure
        ensure("full" if name == "test" and "--full" in words else NEEDS_PACKAGES[name])
    if name in LOOKS:
        if not words:
            raise ToolError(f"{name} of which machine?", "give its port: that of ./atoll run --monitor PORT")
        name, words = "live", [*words[:1], name, *words[1:]]
    module, function, _ = COMMANDS[name]
    return getattr(importlib.import_module(module), function)(words)


def _unheard():
    """Whoever read our output is gone; the interpreter must not try to flush to it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 128 + signal.SIGPIPE


def main(words):
    if not words or words[0] in ("-h", "--help", "help"):
        with contextlib.suppress(BrokenPipeError):
            print(usage(), flush=True)
            return 0 if words else 2
        return _unheard()
    name = words[0]
    if name not in COMMANDS and name not in LOOKS:
        print(f"atoll: there is no command {name!r}\n{usage()}", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, _end_by_signal)
    signal.signal(signal.SIGHUP, _end_by_signal)
    try:
        return _dispatch(name, words[1:])
    except ToolError as error:
        print(f"atoll: {error}", file=sys.stderr)
        return error.status or (125 if name in ("run", "trace") else 1)
    except KeyboardInterrupt:
        return STATUS_INTERRUPTED
    except BrokenPipeError:
        return _unheard()
