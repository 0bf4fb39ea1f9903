# SPDX-License-Identifier: Apache-2.0
"""The sessions of docs/DEBUGGING.md: the same commands, and each line that is shown there comes."""
import re
import tempfile

from debugger import Session, settle
from lib import EACH, ROOT, system_test

from atoll.testing.results import TestFailure

SESSION = re.compile(r"^    \$ (\./atoll run .*?) \./walked (\w+)\n((?:    .*\n)*)", re.M)


def sessions():
    """{mode: (whether the machine waits, [line of the transcript])} of the document."""
    text = (ROOT / "docs/DEBUGGING.md").read_text()
    return {mode: ("--gdb-wait" in command, [line[4:] for line in body.splitlines()])
            for command, mode, body in SESSION.findall(text)}


def pattern_of(line):
    """Blanks are alike; ... stands for anything."""
    return r"\s+".join(r".*" if word == "..." else re.escape(word).replace(r"\.\.\.", ".*")
                       for word in line.split())


# @verifies ATL-HLR-DEBUG-0001~2 ATL-LLR-DEBUG-0751~1
@system_test(matrix=EACH, timeout_s=100, cores=(2, 4), libc=("glibc",),
             mode=("hang", "crash", "slow", "wrong"))
def test_walks(guest):
    waits, lines = sessions()[guest.mode]
    program = guest.build("walked.c", "-g", "-O0")
    with tempfile.TemporaryDirectory(prefix="atoll-walk-") as folder:
        session = Session(guest, folder, program, [guest.mode], waits)
        try:
            if not waits and not session.begun.wait(guest.timeout_s):
                raise TestFailure("the program does not begin")
            if guest.mode == "hang":
                settle(session, 2)
            said = ["begins"]
            for line in lines:
                if line.startswith("$ ./atoll live 1234 "):
                    done = guest.tool("live", session.line, line.split()[4])
                    said.append(done.stdout.decode() + done.stderr.decode())
            commands = [line.removeprefix("(gdb) ") for line in lines if line.startswith("(gdb) ")]
            said.append(session.gdb(*commands, "kill", libraries=guest.mode == "hang").text)
        except TestFailure:
            session.gdb("kill")
            raise
        finally:
            session._thread.join()
        session.end().expect(status=137)  # killed
    text = "\n".join(said)
    for line in lines:
        if not line.startswith(("$ ./", "$ gdb", "(gdb) ")) and not re.search(pattern_of(line), text):
            raise TestFailure(f"docs/DEBUGGING.md shows what does not come: {line}", text)
