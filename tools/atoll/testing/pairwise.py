# SPDX-License-Identifier: Apache-2.0
"""Choices of configurations: all of them, or few that still cover every pair of values, or every value."""
import itertools


def full(axes):
    """Every combination. `axes` is {name: values}."""
    names = list(axes)
    return [dict(zip(names, values)) for values in itertools.product(*axes.values())]


# @impl ATL-LLR-TOOL-1041~1
def each(axes):
    """As many combinations as the longest axis has values: row i has the i-th value of each, beginning again."""
    count = max(len(values) for values in axes.values())
    return [{name: values[i % len(values)] for name, values in axes.items()} for i in range(count)]


def _pairs(row):
    return {(a, b) for a, b in itertools.combinations(sorted(row.items(), key=lambda i: i[0]), 2)}


# @impl ATL-LLR-TOOL-0031~1
def pairwise(axes):
    """Few combinations such that each pair of values of two axes is in one. Greedy: always the row
    with the most uncovered pairs, the first such in the order of full(); so it is deterministic."""
    if len(axes) < 2:
        return full(axes)
    candidates = full(axes)
    uncovered = set().union(*(_pairs(row) for row in candidates))
    chosen = []
    while uncovered:
        best = max(candidates, key=lambda row: len(_pairs(row) & uncovered))
        chosen.append(best)
        uncovered -= _pairs(best)
    return chosen
