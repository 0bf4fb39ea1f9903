# SPDX-License-Identifier: Apache-2.0
"""Runs the unittest files of a folder and prints a PASS, FAIL or SKIP line for each test, named
file.Class.function. Arguments: folder, then the names to run (none: all)."""
import pathlib
import sys
import traceback
import unittest


class LineResult(unittest.TestResult):
    def startTest(self, test):
        super().startTest(test)
        self._problems = []
        self._skipped = None

    def addError(self, test, error):
        self._problems.append("".join(traceback.format_exception(*error)))
        super().addError(test, error)
        if not hasattr(test, "_testMethodName"):  # a module that does not load, a failed class set-up
            print(self._problems[-1], f"FAIL {test.id()}", sep="", flush=True)

    def addFailure(self, test, error):
        self._problems.append("".join(traceback.format_exception(*error)))
        super().addFailure(test, error)

    def addSubTest(self, test, subtest, error):
        if error is not None:
            self._problems.append(str(subtest) + "\n" + "".join(traceback.format_exception(*error)))
        super().addSubTest(test, subtest, error)

    def addSkip(self, test, reason):
        self._skipped = reason
        super().addSkip(test, reason)

    def stopTest(self, test):
        if self._problems:
            print(*self._problems, f"FAIL {test.id()}", sep="", flush=True)
        elif self._skipped:
            print(f"SKIP {test.id()}: {self._skipped}", flush=True)
        else:
            print(f"PASS {test.id()}", flush=True)
        super().stopTest(test)


def flatten(suite):
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from flatten(item)
        else:
            yield item


def main():
    folder, wanted = pathlib.Path(sys.argv[1]).resolve(), set(sys.argv[2:])
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(folder))
    suite = unittest.defaultTestLoader.discover(str(folder), "test_*.py", str(folder))
    tests = [test for test in flatten(suite) if not wanted or test.id() in wanted]
    result = LineResult()
    unittest.TestSuite(tests).run(result)
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
