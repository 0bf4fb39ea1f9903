# SPDX-License-Identifier: Apache-2.0
"""atoll.toml: the settings of an image in a file, documented in docs/IMAGES.md. Every mistake in it
is told with the file and the line."""
import argparse
import difflib
import os
import pathlib
import re
import tomllib

from atoll.address import ip_setting
from atoll.errors import ToolError
from atoll.gate import gate_calls
from atoll.image import HOST_NAME_BYTES_MAX
from atoll.machine import CONSOLES, CORES_MAX, MACHINES
from atoll.neighbour import DOORBELL
from atoll.net import mac_setting, net_setting
from atoll.policy import policy_rows, policy_rules
from atoll.tree import guest_path

MANIFEST_NAME = "atoll.toml"
PLACEMENTS = ("fixed", "balanced")
QUANTUM_US_MIN, QUANTUM_US_MAX = 100, 1000000
_KINDS = {bool: "true or false", int: "a whole number", float: "a number with a point", str: "a text",
          list: "a list", dict: "a table"}
# What stands before = or between brackets, and each name of it: bare, "quoted" or 'quoted'.
_NAME = r"\"(?:\\.|[^\"\\])*\"|'[^']*'|[A-Za-z0-9_-]+"
_HEADER = re.compile(rf"\s*\[+\s*((?:{_NAME})(?:\s*\.\s*(?:{_NAME}))*)\s*\]")
_ASSIGNMENT = re.compile(rf"\s*((?:{_NAME})(?:\s*\.\s*(?:{_NAME}))*)\s*=")


class Wrong(argparse.ArgumentTypeError):
    """What is wrong with a value, as a phrase behind its name. entry: of a table, if one is."""

    def __init__(self, message, entry=None):
        super().__init__(message)
        self.entry = entry


def memory_mib(text):
    """MiB from 128, 128M or 2G."""
    match = re.fullmatch(r"(\d+)([MG]?)", str(text), re.IGNORECASE)
    if not match or int(match[1]) == 0:
        raise Wrong(f"{text!r} is no amount of memory; write 128, 128M or 2G")
    return int(match[1]) * (1024 if match[2].upper() == "G" else 1)


def host_name(text):
    if not 1 <= len(text.encode("utf-8", "surrogateescape")) <= HOST_NAME_BYTES_MAX or "\0" in text:
        raise Wrong(f"{text[:80]!r} is no host name: 1 to {HOST_NAME_BYTES_MAX} bytes")
    return text


def absolute_path(text):
    try:
        return guest_path(text)
    except ToolError as error:
        raise Wrong(error.message) from None


def _of(kind, value):
    if type(value) is not kind:  # a bool is an int for isinstance
        raise Wrong(f"{_KINDS.get(type(value), 'a date')} stands where {_KINDS[kind]} belongs")
    return value


def _whole(low, high):
    def check(value, _folder):
        if not low <= _of(int, value) <= high:
            raise Wrong(f"{value} is not between {low} and {high}")
        return value
    return check


def _one_of(*choices):
    def check(value, _folder):
        if _of(type(choices[0]), value) not in choices:
            raise Wrong(f"{value!r} is not {' or '.join(repr(c) for c in choices)}")
        return value
    return check


def _memory(value, _folder):
    return memory_mib(value if type(value) is int else _of(str, value))


def gate_names(names):
    """Names of calls of the gate, in the order of their numbers; those that posix/ needs are there."""
    for name in names:
        if name not in gate_calls():
            near = difflib.get_close_matches(name, gate_calls(), 1)
            raise Wrong(f"the gate has no call {name!r}" + (f": did you mean {near[0]}?" if near else ""))
    for name, row in gate_calls().items():
        if row.get("needed") and name not in names:
            raise Wrong(f"the library OS cannot work without {name}")
    return [name for name in gate_calls() if name in names]


def _gate(value, _folder):
    return gate_names([_of(str, name) for name in _of(list, value)])


def _text(check):
    return lambda value, _folder: check(_of(str, value))


def _existing(value, folder):
    path = os.path.join(folder, _of(str, value))
    if not os.path.exists(path):
        raise Wrong(f"{path}: No such file or directory")
    return path


def _word(value):
    """A text; a number is taken as it is written in decimal."""
    text = str(value) if type(value) is int else _of(str, value)
    if "\0" in text:
        raise Wrong("a NUL byte cannot be in arguments and environment")
    return text


def _texts(check):
    """A text, or a list of such."""
    return lambda value, _folder: [check(_of(str, item)) for item in (value if type(value) is list else [value])]


def _words(value, _folder):
    return [_word(item) for item in _of(list, value)]


def _table(check_entry):
    """Each entry is judged by check_entry(name, value, folder), which gives what is kept."""
    def check(value, folder):
        entries = {}
        for name, item in _of(dict, value).items():
            try:
                entries[name] = check_entry(name, item, folder)
            except Wrong as wrong:
                raise Wrong(f"{name}: {wrong}", name) from None
        return entries
    return check


def _misplaced(name):
    # TOML has no way back from a table to the top.
    if name in SETTINGS:
        raise Wrong("this is a setting: it belongs above the first [table]")


def _variable(name, value, _folder):
    _misplaced(name)
    if not name or "=" in name or "\0" in name:
        raise Wrong("no name of a variable")
    return _word(value)


def _file(name, value, folder):
    _misplaced(name)
    absolute_path(name)
    return _existing(value, folder)


def _output(name, value, folder):
    _misplaced(name)
    absolute_path(name)
    return os.path.join(folder, _of(str, value))


def _policy_entry(name, value, folder):
    _misplaced(name)
    if name == "dhcp":
        return _of(bool, value)
    if name not in ("addresses", "inbound", "outbound"):
        raise Wrong("no setting of a policy: there are addresses, inbound, outbound, dhcp")
    texts = [_of(str, text) for text in _of(list, value)]
    try:
        policy_rows(name, texts)
    except argparse.ArgumentTypeError as error:
        raise Wrong(str(error)) from None
    return texts


def _policy(value, folder):
    return policy_rules(_table(_policy_entry)(value, folder))


def _neighbour(value, folder):
    scheme = DOORBELL if _of(str, value).startswith(DOORBELL) else ""
    return scheme + os.path.join(folder, value.removeprefix(scheme))


# Setting -> check(value, folder of the manifest): the value as the tool uses it, or Wrong.
SETTINGS = {
    "ring": _one_of(0, 3),
    "cores": _whole(1, CORES_MAX),
    "memory": _memory,
    "machine": _one_of(*MACHINES),
    "quantum_us": _whole(QUANTUM_US_MIN, QUANTUM_US_MAX),
    "console": _one_of(*CONSOLES),
    "neighbour": _neighbour,
    "placement": _one_of(*PLACEMENTS),
    "allow_write_execute": _one_of(False, True),
    "debug": _one_of(False, True),
    "gate": _gate,
    "detour": _one_of(True, False),
    "net": _texts(net_setting),
    "mac": _texts(mac_setting),
    "ip": _texts(ip_setting),
    "pcap": lambda value, folder: os.path.join(folder, _of(str, value)),
    "working_directory": _text(absolute_path),
    "host_name": _text(host_name),
    "arguments": _words,
    "environment": _table(_variable),
    "root": _existing,
    "files": _table(_file),
    "out": _table(_output),
    "policy": _policy,
}


def _unquoted(name):
    return next(iter(tomllib.loads(f"{name} = 0"))) if name[0] in "\"'" else name


def line_of(text, wanted):
    """The line that sets `wanted`, a tuple of names; else that of the table around it, else 1. It
    looks at the beginnings of lines: text of several lines may mislead it."""
    table, best = (), (0, 1)
    for number, line in enumerate(text.split("\n"), 1):
        header = _HEADER.match(line)
        match = header or _ASSIGNMENT.match(line)
        if not match:
            continue
        names = tuple(_unquoted(name) for name in re.findall(_NAME, match[1]))
        table, names = (names, names) if header else (table, table + names)
        common = min(len(names), len(wanted))
        if names[:common] == wanted[:common] and common > best[0]:
            best = common, number
    return best[1]


def _syntax_error(path, text, error):
    message = str(error)
    place = re.search(r" \(at (?:line (\d+), column \d+|end of document)\)$", message)
    line = int(place[1]) if place and place[1] else len(text.splitlines()) or 1
    what = message[:place.start()] if place else message
    return ToolError(f"{path}:{line}: {what}", "write it as TOML: name = value")


# @impl ATL-LLR-TOOL-0060~1
def read_manifest(path):
    """The settings of an atoll.toml, checked; paths of this machine are relative to its folder."""
    try:
        text = pathlib.Path(path).read_text(encoding="utf-8")
        values = tomllib.loads(text)
    except OSError as error:
        raise ToolError(f"{path}: {error.strerror}", "check the path given to --manifest") from None
    except UnicodeDecodeError as error:
        line = error.object[:error.start].count(b"\n") + 1
        raise ToolError(f"{path}:{line}: not UTF-8", "save it as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise _syntax_error(path, text, error) from None
    for key, value in values.items():
        where = f"{path}:{line_of(text, (key,))}"
        if key not in SETTINGS:
            near = difflib.get_close_matches(key, SETTINGS, 1)
            raise ToolError(f"{where}: there is no setting {key!r}",
                            f"did you mean {near[0]}?" if near else f"there are: {', '.join(SETTINGS)}")
        try:
            values[key] = SETTINGS[key](value, pathlib.Path(path).parent)
        except argparse.ArgumentTypeError as wrong:
            entry = getattr(wrong, "entry", None)
            where = f"{path}:{line_of(text, (key, entry))}" if entry else where
            raise ToolError(f"{where}: {key}: {wrong}", "docs/IMAGES.md lists the settings") from None
    return values
