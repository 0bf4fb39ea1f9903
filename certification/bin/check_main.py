# SPDX-License-Identifier: Apache-2.0
"""The command line of a check that has a root and says what is wrong."""
import pathlib
import sys


def run(check, what):
    """check(root) gives [what is wrong] and a count, which `what` names. The exit status: 1 if anything is wrong."""
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parents[2])
    wrong, count = check(root)
    for line in wrong:
        print(line)
    print(f"{what.format(count)}, {len(wrong)} errors")
    return 1 if wrong else 0
