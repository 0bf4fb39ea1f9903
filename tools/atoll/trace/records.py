# SPDX-License-Identifier: Apache-2.0
"""The trace rings as a machine sends them (debug/trace/send.c), little-endian; for each core in order:

    magic (8 bytes), core, number of cores (4 each), records made since boot, records that follow (8 each)
    records, oldest first: nanoseconds since boot (8), event, a (4 each), b, c (8 each)

What they mean is in debug/trace.toml. The guest may be hostile: everything is checked."""
import dataclasses
import functools
import re
import struct
import tomllib

from atoll.errors import ToolError
from atoll.gate import gate_calls
from atoll.machine import CORES_MAX
from atoll.paths import ROOT

HEADER = struct.Struct("<8sIIQQ")
RECORD = struct.Struct("<QIIQQ")
MAGIC = b"ALTRACE1"
RECORDS_MAX = 1 << 20


@dataclasses.dataclass(frozen=True)
class Event:
    number: int
    name: str
    fields: tuple       # names of a, b, c; "" is unused
    hexadecimal: frozenset


@dataclasses.dataclass(frozen=True)
class Record:
    time: int           # nanoseconds since boot
    name: str
    fields: dict        # {name of the field: number}


@dataclasses.dataclass
class Core:
    number: int
    dropped: int        # older records that newer ones pushed out
    records: list


@functools.cache
def events():
    """{number: Event}."""
    rows = tomllib.loads((ROOT / "debug/trace.toml").read_text())["event"]
    return {row["number"]: Event(row["number"], row["name"], tuple(row["fields"]),
                                 frozenset(row.get("hexadecimal", ())))
            for row in rows}


@functools.cache
def gate_names():
    """{number: name of a gate call}."""
    return {row["number"]: name for name, row in gate_calls().items()}


@functools.cache
def message_kinds():
    """{number: name}, from the list in percpu/channel.h."""
    text = (ROOT / "percpu/include/percpu/channel.h").read_text()
    body = re.search(r"enum percpu_message_kind\s*\{(.*?)\}", text, re.S)[1]
    names = re.findall(r"PERCPU_MESSAGE_(\w+)", re.sub(r"/\*.*?\*/", "", body, flags=re.S))
    return {number: name.lower() for number, name in enumerate(names)}


def describe(record):
    """A record's name with what tells it apart, for people."""
    if record.name.startswith("gate_"):
        return gate_names().get(record.fields["call"], str(record.fields["call"]))
    if record.name == "interrupt":
        return f"interrupt {record.fields['vector']}"
    if record.name == "fault":
        return f"fault {record.fields['vector']}"
    if record.name in ("send", "receive"):
        return message_kinds().get(record.fields["kind"], str(record.fields["kind"]))
    return record.name


# @impl ATL-LLR-TOOL-0600~1
def parse_rings(data):
    """[Core] of what a machine sent."""
    cores, position = [], 0
    while position < len(data):
        if len(data) - position < HEADER.size:
            raise _broken("the header of a ring is cut off")
        magic, number, count, made, kept = HEADER.unpack_from(data, position)
        if magic != MAGIC or number != len(cores) or not number < count <= CORES_MAX:
            raise _broken(f"the header of ring {len(cores)} is not one")
        position += HEADER.size
        if kept > min(made, RECORDS_MAX) or len(data) - position < kept * RECORD.size:
            raise _broken(f"the ring of core {number} is cut off")
        end = position + kept * RECORD.size
        cores.append(Core(number, made - kept,
                          [_record(*row) for row in RECORD.iter_unpack(data[position:end])]))
        position = end
    if not cores or len(cores) != count:
        raise _broken("not all rings are there")
    for core in cores:
        if any(later.time < earlier.time for earlier, later in zip(core.records, core.records[1:])):
            raise _broken(f"the records of core {core.number} are not in their order")
    return cores


def _record(time, number, *values):
    if number not in events():
        raise _broken(f"there is no event {number}")
    event = events()[number]
    return Record(time, event.name, {name: value for name, value in zip(event.fields, values) if name})


def _broken(what):
    return ToolError(f"the trace is not whole: {what}", "trace the program again")
