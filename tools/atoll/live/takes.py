# SPDX-License-Identifier: Apache-2.0
"""What the arguments of Linux calls are: the tables `takes` and `types` of posix/syscalls.toml. Read by
posix/generate_syscalls.py, for what posix/ notes of a call, and by strace.py, which shows it."""
import dataclasses
import re
import tomllib

BEFORE, BEHIND = 1, 2
WHEN = {"in": BEFORE, "out": BEHIND, "both": BEFORE | BEHIND}
RESULT, AT = 7, 8
PATH_BYTES_MAX = 256
ARGUMENTS_MAX = 6
VECTORS_MAX = 8


@dataclasses.dataclass(frozen=True)
class Argument:
    """One argument. when: 0 if it points to nothing that is noted. kind, count, unit, limit: as
    posix/core/noted.c has them."""
    position: int
    type: str
    when: int = 0
    kind: str = "NOTED_DATA"
    count: int = 0
    unit: int = 1
    limit: int = 1


# @impl ATL-LLR-TOOL-1001~1
class Takes:
    """{call: [Argument]}; ValueError for a table that says what cannot be."""

    def __init__(self, path):
        definition = tomllib.loads(path.read_text())
        self._types = definition["types"]
        self.calls = {call["name"]: call for call in definition["calls"]}
        self._rows = {name: self._parse(name, text) for name, text in definition["takes"].items()}

    def arguments(self, name):
        """Of a call: a row for each argument; plain numbers if the table has none."""
        if name in self._rows:
            return self._rows[name]
        count = self.calls.get(name, {}).get("arguments", ARGUMENTS_MAX)
        return [Argument(i, "hex") for i in range(count)]

    def pointers(self, name):
        return [argument for argument in self._rows.get(name, ()) if argument.when]

    def _parse(self, name, text):
        words = [word.strip() for word in text.split(",")]
        if len(words) != self.calls[name].get("arguments", len(words)):
            raise ValueError(f"{name}: takes has another number of arguments than calls")
        return [self._argument(name, i, word) for i, word in enumerate(words)]

    def _argument(self, name, position, text):
        found = re.fullmatch(r"(?:(in|out|both) )?(\w+)(?: (at)?([1-6])| (result))?", text)
        if not found:
            raise ValueError(f"{name}: {text!r} is no type")
        when, kind, is_at, number, is_result = found.groups()
        if kind == "path":
            return Argument(position, kind, BEFORE, "NOTED_STRING", 0, 1, PATH_BYTES_MAX)
        if when is None:
            return Argument(position, kind)
        count = RESULT if is_result else int(number or 0) + (AT - 1 if is_at else 0)
        if kind in ("vectors", "message"):
            return Argument(position, kind, WHEN[when], f"NOTED_{kind.upper()}", count, 1, VECTORS_MAX)
        unit, limit = self._types[kind]
        return Argument(position, kind, WHEN[when], "NOTED_DATA", count, unit, limit)
