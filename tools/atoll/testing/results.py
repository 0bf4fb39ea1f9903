# SPDX-License-Identifier: Apache-2.0
"""One line for each test on stdout, one JSON line in the results file, one log per failure."""
import json
import re
import threading

TAIL_LINES = 15


class TestFailure(Exception):
    """A test did not hold. `log` is everything that helps to see why."""

    def __init__(self, message, log=""):
        super().__init__(message)
        self.log = log


class Reporter:
    """Takes results from any thread. Names are unique; a second result of a name is a failure."""

    def __init__(self, folder):
        self.logs = folder / "logs"
        self.logs.mkdir(parents=True, exist_ok=True)
        self._file = open(folder / "results.jsonl", "w")
        self._lock = threading.Lock()
        self._seen = set()
        self.passed = self.failed = self.skipped = 0

    def has(self, name):
        return name in self._seen

    def passes(self, name, seconds, **facts):
        self._record(name, "pass", seconds, "", facts)

    def skips(self, name, reason, **facts):
        self._record(name, "skip", 0.0, reason, facts)

    def fails(self, name, seconds, log, **facts):
        self._record(name, "fail", seconds, log, facts)

    # @impl ATL-LLR-TOOL-0030~1
    def _record(self, name, result, seconds, text, facts):
        with self._lock:
            if name in self._seen:
                result, text = "fail", f"two results for {name}\n{text}"
            self._seen.add(name)
            row = {"test": name, "result": result, "seconds": round(seconds, 3), **facts}
            self._file.write(json.dumps(row, sort_keys=True) + "\n")
            self._file.flush()
            if result == "pass":
                self.passed += 1
                print(f"PASS {name} ({seconds:.1f} s)", flush=True)
            elif result == "skip":
                self.skipped += 1
                print(f"SKIP {name}: {text}", flush=True)
            else:
                self.failed += 1
                self._print_failure(name, text)

    def _print_failure(self, name, text):
        log = self.logs / (re.sub(r"[^\w.=,-]+", "_", name) + ".log")
        log.write_text(text if text.endswith("\n") else text + "\n", errors="surrogateescape")
        print(f"FAIL {name} log: {log}")
        lines = text.strip().splitlines()
        for line in lines[-TAIL_LINES:]:
            # Indented, so that no line of a log can be taken for a result.
            print("    " + line.encode("utf-8", "replace").decode())
        print(end="", flush=True)

    def summary(self):
        """The last line of a run."""
        line = f"{self.passed} passed, {self.failed} failed"
        return line + (f", {self.skipped} skipped" if self.skipped else "")

    def close(self):
        self._file.close()
