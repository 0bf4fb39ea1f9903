# SPDX-License-Identifier: Apache-2.0
"""`./atoll live PORT strace`: lines like those of strace, of the program's system calls while it runs."""
import collections
import contextlib
import signal
import time

from atoll.console import KIND_SIGNAL
from atoll.errors import ToolError
from atoll.live import show
from atoll.live.calls import ENTER, LEAVE, SIGNAL, Calls
from atoll.live.decode import Call, call_name, takes
from atoll.live.line import Line

RESULT_COLUMN = 40
PAUSE_SECONDS = 0.02   # while nothing is called
START_SECONDS = 60.0   # until a machine of --gdb-wait stands at its program's start
UNKNOWN = max(call["number"] for call in takes().calls.values()) + 1  # numbers that Linux does not have
GROUPS = {"file": lambda name, call: any(a.type == "path" for a in takes().arguments(name)),
          "desc": lambda name, call: any(a.type in ("fd", "dirfd") for a in takes().arguments(name)),
          "network": lambda name, call: call.get("part") == "net",
          "memory": lambda name, call: call.get("part") == "memory",
          "signal": lambda name, call: call.get("part") == "signal"}


# @impl ATL-LLR-TOOL-1002~1
def selected(expression):
    """The numbers that -e trace=EXPRESSION names: calls, %groups, or behind ! all but those."""
    text = expression.removeprefix("trace=")
    is_inverse = text.startswith("!")
    every = {call["number"] for call in takes().calls.values()} | {UNKNOWN}
    found = set()
    for word in text.lstrip("!").split(","):
        if word == "all":
            found |= every
        elif word.startswith("%") and word[1:] in GROUPS:
            found |= {call["number"] for name, call in takes().calls.items() if GROUPS[word[1:]](name, call)}
        elif word in takes().calls:
            found.add(takes().calls[word]["number"])
        else:
            raise ToolError(f"-e trace={text}: {word!r} is no system call",
                            f"give names of calls, all, or %{', %'.join(GROUPS)}; ! in front: all but those")
    return every - found if is_inverse else found


class Lines:
    """Writes records as lines. A call that is followed by another thread's line before it ends is cut in
    two, as strace cuts it; and one that does not end at once, so that it is seen."""

    def __init__(self, write):
        self._write = write
        self._open = {}      # thread: its Record of ENTER
        self._cut = set()    # of those, the threads whose line is written
        self._lost = 0

    @staticmethod
    def _who(record):
        return f"[{record.thread} {record.name}@{record.core}] "

    def add(self, record):
        if record.kind == SIGNAL:
            self.show_open()
            self._write(f"{self._who(record)}--- {show.signal_name(record.number)} "
                        f"{show.signal_information(record.items.get((0, 0), bytes(48)))} ---")
        elif record.kind == ENTER:
            self.show_open()
            self._give_up(record.thread)
            self._open[record.thread] = record
        else:
            self._leave(record)

    def _leave(self, record):
        enter = self._open.pop(record.thread, None)
        if enter is not None and enter.number != record.number:
            enter = None
        call = Call(enter, record)
        rest, result = call.rest()
        if record.thread in self._cut:
            self._cut.discard(record.thread)
            self.show_open()
            rest = rest.removeprefix(", ")
            text = f"{self._who(record)}<... {call.name} resumed>{rest}"
        else:
            self.show_open()
            text = f"{self._who(record)}{call.beginning()}{rest}"
        self._write(f"{text:<{RESULT_COLUMN}} = {result}")

    def _give_up(self, thread):
        """The end of the thread's last call was not told."""
        enter = self._open.pop(thread, None)
        if enter is not None:
            self._cut.discard(thread)
            self._write(f"{self._who(enter)}<... {call_name(enter.number)} resumed>) = ? <not seen>")

    def show_open(self):
        """Calls that have begun and not ended yet."""
        for thread, record in self._open.items():
            if thread not in self._cut:
                call = Call(record)
                ends = call_name(record.number) in ("exit", "exit_group")
                if ends:
                    text = f"{self._who(record)}{call.beginning()})"
                    self._write(f"{text:<{RESULT_COLUMN}} = ?")
                else:
                    self._write(f"{self._who(record)}{call.beginning()}"
                                f"{', ' if call.beginning()[-1] != '(' and call.has_more() else ''} <unfinished ...>")
                self._cut.add(thread)
        for thread in [t for t, r in self._open.items() if call_name(r.number) in ("exit", "exit_group")]:
            del self._open[thread]
            self._cut.discard(thread)

    def say_lost(self, lost):
        if lost > self._lost:
            self._write(f"+++ {lost - self._lost} calls are missing: they came faster than the line takes them +++")
            self._lost = lost

    def finish(self, ended):
        self.show_open()
        if ended is not None:
            kind, status, number = ended
            self._write(f"+++ killed by {show.signal_name(number)} +++" if kind == KIND_SIGNAL
                        else f"+++ exited with {status} +++")


class Summary:
    """Counts of strace -c."""

    def __init__(self):
        self._begun = {}
        self._rows = collections.defaultdict(lambda: [0, 0, 0])  # name: calls, errors, nanoseconds
        self._lost = 0

    def add(self, record):
        if record.kind == ENTER:
            self._begun[record.thread] = record
            if call_name(record.number) in ("exit", "exit_group"):
                self._rows[call_name(record.number)][0] += 1
        elif record.kind == LEAVE:
            enter = self._begun.pop(record.thread, None)
            row = self._rows[call_name(record.number)]
            row[0] += 1
            row[1] += -4096 < record.result < 0
            if enter is not None and enter.time_ns:
                row[2] += record.time_ns - enter.time_ns

    def say_lost(self, lost):
        self._lost = lost

    def lines(self):
        total = [sum(row[i] for row in self._rows.values()) for i in range(3)]
        lines = ["% time     seconds  usecs/call     calls    errors syscall", _RULE]
        for name, (calls, errors, ns) in sorted(self._rows.items(), key=lambda item: -item[1][2]):
            lines.append(_row(100 * ns / max(1, total[2]), ns, calls, errors, name))
        lines += [_RULE, _row(100.0 if total[0] else 0.0, total[2], total[0], total[1], "total")]
        return lines + ([f"{self._lost} calls are missing"] if self._lost else [])


_RULE = "------ ----------- ----------- --------- --------- ----------------"


def _row(share, ns, calls, errors, name):
    return (f"{share:>6.2f} {ns / 1e9:>11.6f} {ns // 1000 // max(1, calls):>11} {calls:>9} {errors or '':>9} {name}")


def add_options(parser):
    group = parser.add_argument_group("strace")
    group.add_argument("-e", dest="expression", metavar="trace=SET", default="trace=all",
                       help=f"only these calls: names or %%groups ({', '.join('%%' + name for name in GROUPS)}), "
                            "separated by commas; ! in front: all but those")
    group.add_argument("-p", dest="thread", type=int, metavar="TID", action="append",
                       help="only this thread; may be repeated")
    group.add_argument("-c", dest="summary", action="store_true", help="counts at the end instead of lines")
    group.add_argument("--start", action="store_true",
                       help="let a machine that waits at its program's start (--gdb-wait) begin")


# @impl ATL-LLR-TOOL-1003~1
def strace(arguments, write=None):
    """Until the program ends, or Ctrl-C, which ends it in order."""
    numbers = selected(arguments.expression)
    write = write or _print
    with _interruptible() as stop, _connect(arguments) as line:
        calls = Calls(line, line.core_count(), numbers)
        if arguments.start:
            line.let_go()
        shown = Summary() if arguments.summary else Lines(write)
        try:
            _follow(calls, shown, arguments, stop)
        finally:
            with contextlib.suppress(ToolError):
                calls.end()
        if arguments.summary:
            write("\n".join(shown.lines()))
        else:
            shown.finish(calls.ended)
    return 0


def _follow(calls, shown, arguments, stop):
    while not stop.is_set():
        is_last = calls.ended is not None
        records = calls.take()
        for record in records:
            if arguments.thread is None or record.thread in arguments.thread:
                shown.add(record)
        shown.say_lost(calls.lost)
        if not records and is_last:
            return
        if not records:
            if not arguments.summary:
                shown.show_open()
            time.sleep(PAUSE_SECONDS)


def _print(text):
    try:
        print(text, flush=True)
    except BrokenPipeError:
        raise ToolError("nobody reads the lines any more") from None


class _Stop:
    def __init__(self):
        self._is_set = False

    def set(self, *_):
        self._is_set = True

    def is_set(self):
        return self._is_set


@contextlib.contextmanager
def _interruptible():
    """Ctrl-C and SIGTERM end the look, not this command in the middle of a question."""
    stop = _Stop()
    before = {number: signal.signal(number, stop.set) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _connect(arguments):
    """With --start the machine may not have begun yet."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            line = Line(arguments.address)
            if not arguments.start or line.core(0) is not None:
                return line
            line.__exit__()
        except ToolError:
            if not arguments.start or time.monotonic() > deadline:
                raise
        if time.monotonic() > deadline:
            raise ToolError("the machine does not stand at its program's start",
                            "start it with ./atoll run --monitor PORT --gdb-wait")
        time.sleep(PAUSE_SECONDS)
