# SPDX-License-Identifier: Apache-2.0
"""What a system takes from a computing program: each quantum of fixed work that cost more
instructions than most of its core was disturbed by the difference."""
import collections
import re
import statistics

BOUNDS = (500, 2000, 10000)


def parse_quanta(text):
    """{core: [instructions of each quantum]} of what the plugin wrote."""
    quanta = collections.defaultdict(list)
    for match in re.finditer(r"^quantum (\d+) (\d+)$", text, re.M):
        quanta[int(match[1])].append(int(match[2]))
    return quanta


# @impl ATL-LLR-TOOL-0051~1
def noise_rows(quanta):
    """{name: value} for each core: how many disturbances there were, by length, and the longest."""
    rows = {}
    for core, lengths in sorted(quanta.items()):
        usual = statistics.mode(lengths)
        extra = [length - usual for length in lengths if length > usual]
        rows[f"core {core}: disturbed of {len(lengths):,} quanta"] = len(extra)
        lower = 1
        for bound in BOUNDS:
            rows[f"core {core}: by {lower:,} to {bound - 1:,}"] = sum(lower <= e < bound for e in extra)
            lower = bound
        rows[f"core {core}: by {lower:,} or more"] = sum(e >= lower for e in extra)
        rows[f"core {core}: longest"] = max(extra, default=0)
        rows[f"core {core}: instructions taken of a million"] = round(1e6 * sum(extra) / sum(lengths))
    return rows
