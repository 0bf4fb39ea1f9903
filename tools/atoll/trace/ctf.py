# SPDX-License-Identifier: Apache-2.0
"""A Common Trace Format 1.8 trace (diamon.org/ctf) of the rings: text that describes, and one file for
each core. babeltrace2 and others read it without Atoll."""
import struct

from atoll.trace.records import KERNEL, call_names, events, gate_names, message_kinds

MAGIC = 0xC1FC1FC1
PACKET = struct.Struct("<IIQQQQQI")  # header: magic, stream; context: see METADATA
EVENT = struct.Struct("<IQ")         # number, time
COUNT_MAX = (1 << 64) - 1
ENUMERATIONS = {(True, "call"): gate_names, (True, "kind"): message_kinds, (False, "call"): call_names}
KERNEL_WIDTHS = (32, 64, 64)         # of the fields a, b, c
OTHER_WIDTHS = (64, 64, 64, 64)
STREAM_KERNEL, STREAM_OTHER = 0, 1   # of posix/ and the program, with the thread
THREAD = struct.Struct("<I")

METADATA = """\
/* CTF 1.8 */

typealias integer {{ size = 32; align = 8; signed = false; }} := uint32_t;
typealias integer {{ size = 64; align = 8; signed = false; }} := uint64_t;
typealias integer {{ size = 64; align = 8; signed = true; }} := int64_t;
typealias integer {{ size = 32; align = 8; signed = false; base = hexadecimal; }} := hex32_t;
typealias integer {{ size = 64; align = 8; signed = false; base = hexadecimal; }} := hex64_t;

trace {{
    major = 1;
    minor = 8;
    byte_order = le;
    packet.header := struct {{ uint32_t magic; uint32_t stream_id; }};
}};

env {{
    domain = "kernel";
    tracer_name = "atoll";
    program = "{program}";
}};

clock {{
    name = boot;
    description = "nanoseconds since boot, the same on every core";
    freq = 1000000000;
}};

typealias integer {{
    size = 64; align = 8; signed = false; map = clock.boot.value;
}} := time_t;
"""

STREAM = """\
stream {{
    id = {stream};
    packet.context := struct {{
        time_t timestamp_begin;
        time_t timestamp_end;
        uint64_t content_size;
        uint64_t packet_size;
        uint64_t events_discarded;
        uint32_t cpu_id;
    }};
    event.header := struct {{ uint32_t id; time_t timestamp; }};
{context}}};
"""
CONTEXT = "    event.context := struct { uint32_t thread; };\n"


def _quoted(text):
    plain = "".join(c if c.isprintable() and c.isascii() else "?" for c in text)
    return plain.replace("\\", "\\\\").replace('"', '\\"')


def _member(event, name, width):
    if (event.ring == KERNEL, name) in ENUMERATIONS:
        table = ENUMERATIONS[event.ring == KERNEL, name]()
        rows = ", ".join(f'"{text}" = {number}' for number, text in table.items())
        return f"        enum : uint{width}_t {{ {rows} }} {name};"
    if name in event.names or name == event.string:
        return f"        string _{name};"
    kind = "hex" if name in event.hexadecimal else "int" if name in event.signed else "uint"
    # _name: the format's way to have any name
    return f"        {kind}{width}_t _{name};"


def _members(event):
    """[(name, width)]; a text is last."""
    widths = KERNEL_WIDTHS if event.ring == KERNEL else OTHER_WIDTHS
    return [(name, width) for name, width in zip((*event.fields, event.string or ""), widths) if name]


def metadata(program):
    """The text that describes the streams."""
    parts = [METADATA.format(program=_quoted(program)), STREAM.format(stream=STREAM_KERNEL, context=""),
             STREAM.format(stream=STREAM_OTHER, context=CONTEXT)]
    for event in events().values():
        stream = STREAM_KERNEL if event.ring == KERNEL else STREAM_OTHER
        name = event.name if event.ring == KERNEL else f"{event.ring}:{event.name}"
        members = [_member(event, field, width) for field, width in _members(event)]
        parts.append("\n".join(["event {", f'    name = "{name}";', f"    id = {event.number};",
                                f"    stream_id = {stream};", "    fields := struct {", *members, "    };", "};", ""]))
    return "\n".join(parts)


def _packet(stream, core, dropped, begin, end, body):
    size = 8 * (PACKET.size + len(body))
    return PACKET.pack(MAGIC, stream, begin, end, size, size, min(dropped, COUNT_MAX), core) + body


def _value(event, name, width, value):
    if isinstance(value, str):
        return value.encode("utf-8", "replace") + b"\0"
    return value.to_bytes(width // 8, "little", signed=name in event.signed)


def _body(records):
    numbers = {event.name: event for event in events().values()}
    body = bytearray()
    for record in records:
        event = numbers[record.name]
        body += EVENT.pack(event.number, record.time)
        if event.ring != KERNEL:
            body += THREAD.pack(record.thread)
        for name, width in _members(event):
            body += _value(event, name, width, record.fields[name])
    return bytes(body)


def stream(number, core, ring):
    """The bytes of the file of one ring of a core: an empty packet, from which readers know that nothing was dropped
    before, and one for the records up to each gap, which tells how many were dropped until then."""
    parts, dropped, begun, last = [_packet(number, core, 0, 0, 0, b"")], 0, 0, 0
    for index, lost in [*ring.gaps, (len(ring.records), 0)]:
        if index > begun:
            times = ring.records[begun].time, ring.records[index - 1].time
            parts.append(_packet(number, core, dropped, *times, _body(ring.records[begun:index])))
            begun, last = index, times[1]
        dropped += lost
    if ring.gaps and ring.gaps[-1][0] == len(ring.records):
        parts.append(_packet(number, core, dropped, last, last, b""))
    return b"".join(parts)


# @impl ATL-LLR-TOOL-0601~1 ATL-LLR-TOOL-1194~1
def write_ctf(folder, cores, program):
    folder.mkdir()
    (folder / "metadata").write_text(metadata(program))
    for core in cores:
        for source, ring in core.rings():
            name = f"core{core.number}" if source == KERNEL else f"core{core.number}-{source}"
            if source == KERNEL or ring.records or ring.gaps:
                kind = STREAM_KERNEL if source == KERNEL else STREAM_OTHER
                (folder / name).write_bytes(stream(kind, core.number, ring))
