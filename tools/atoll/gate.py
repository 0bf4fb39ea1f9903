# SPDX-License-Identifier: Apache-2.0
"""The calls of the gate, as isolation/gate/gate.toml defines them, and sets of them as an image holds
them: bit n for call n."""
import functools
import tomllib

from atoll.paths import ROOT


@functools.cache
def gate_calls():
    """Name -> definition, in the order of their numbers."""
    rows = tomllib.loads((ROOT / "isolation/gate/gate.toml").read_text())["call"]
    return {row["name"]: row for row in rows}


def mask_of(names):
    return sum(1 << gate_calls()[name]["number"] for name in set(names))


def names_of(mask):
    return [name for name, row in gate_calls().items() if mask >> row["number"] & 1]
