# SPDX-License-Identifier: Apache-2.0
"""The real GDB in batch mode beside a machine, over a socket in a folder of the test's own."""
import contextlib
import pathlib
import re
import socket
import subprocess
import tempfile
import threading
import time

from lib import ROOT

from atoll.debug import debug_line
from atoll.live.line import Line
from atoll.live.tables import STATES
from atoll.testing.results import TestFailure

GDB_SECONDS = 100
CONSOLES = ("virtio", "serial")
NO_LIBRARIES = "set auto-solib-add off"


class Session:
    """A machine with a program, running beside the test, and debuggers that come and go. boot: options
    of guest.boot. The axis console=CONSOLES has the line be a second serial port or a port of a virtio console."""

    def __init__(self, guest, folder, program, arguments, wait, seed=None, monitor=False, qemu=(), **boot):
        self._guest = guest
        self._qemu = tuple(qemu)
        console = guest.configuration.get("console", "serial")
        self._options = {"console": console, **boot}
        self.program = program
        self.begun = threading.Event()  # it has said something
        self.line = pathlib.Path(folder) / "gdb"
        # Listens before QEMU has it: who connects from now on waits for QEMU, however late that is.
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.line))
        self._listener.listen(1)
        image = guest.pack(program, *map(str, arguments), variant="debug", debug=True, debug_wait=wait,
                           seed=seed, monitor=monitor, console=console)
        self._result = None
        self._error = None
        self.is_judged = False  # the test has asked how it ended
        self._thread = threading.Thread(target=self._boot, args=(image,))
        self._thread.start()

    def _boot(self, image):
        try:
            line = debug_line(f"fd={self._listener.fileno()}", self._options["console"])
            self._result = self._guest.boot(image, qemu=line + self._qemu, descriptors=(self._listener.fileno(),),
                                            **{"on_output": lambda _: self.begun.set(), **self._options})
        except TestFailure as error:
            self._error = error
        finally:
            self._listener.close()  # who waits there is refused now

    def gdb(self, *commands, libraries=False, seconds=GDB_SECONDS, target="remote"):
        """Runs GDB with commands after `target remote`, or extended-remote; what it printed."""
        words = ["gdb", "-q", "-nx", "-batch", "-ex", "set pagination off", "-ex", "set width 0"]
        for command in ([] if libraries else [NO_LIBRARIES]) + [f"target {target} {self.line}",
                                                                *commands]:
            words += ["-ex", command]
        try:
            done = subprocess.run(words, capture_output=True, text=True, timeout=seconds,
                                  stdin=subprocess.DEVNULL)
        except subprocess.TimeoutExpired as error:
            said = (error.stdout or b"").decode("utf-8", "replace")
            raise TestFailure(f"GDB did not end within {seconds} s", said) from None
        return Said(done.stdout + done.stderr)

    def end(self):
        """Waits for the machine; its Result, of which the test must say what it shall be."""
        self._thread.join()
        self.is_judged = True
        if self._error is not None:
            raise self._error
        return self._result


class Said:
    """What GDB printed."""

    def __init__(self, text):
        self.text = text

    def has(self, pattern, count=1):
        found = len(re.findall(pattern, self.text, re.M))
        if found < count:
            raise TestFailure(f"GDB does not say /{pattern}/ {count} times but {found}", self.text)
        return self

    def has_not(self, pattern):
        if re.search(pattern, self.text, re.M):
            raise TestFailure(f"GDB says /{pattern}/", self.text)
        return self


@contextlib.contextmanager
def debugged(guest, *arguments, source="debugged.c", wait=True, **boot):
    program = guest.build(source, "-g", "-O0")
    with tempfile.TemporaryDirectory(prefix="atoll-gdb-") as folder:
        session = Session(guest, folder, program, arguments, wait, **boot)
        try:
            yield session
        finally:
            session._thread.join()
        if not session.is_judged:
            raise TestFailure("the test does not say how the machine ends")


def settle(session, count):
    """Waits until so many threads of the program are parked, and have called nothing between two looks."""
    def look():
        with Line(str(session.line)) as line:
            cores = range(line.core_count())
            calls = [line.core(core)["gate_calls"] for core in cores]
            parked = [t for core in cores for t in line.threads(core) if t["name"] and STATES[t["state"]] == "parked"]
            return calls, len(parked)
    before = None
    while (now := look()) != before or now[1] < count:
        before = now
        time.sleep(0.2)


def line_of(mark, source="debugged.c"):
    text = (ROOT / "tests/system/programs" / source).read_text().splitlines()
    return next(number for number, line in enumerate(text, 1) if f"/* mark: {mark} */" in line)
