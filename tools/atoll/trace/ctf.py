# SPDX-License-Identifier: Apache-2.0
"""A Common Trace Format 1.8 trace (diamon.org/ctf) of the rings: text that describes, and one file for
each core. babeltrace2 and others read it without Atoll."""
import struct

from atoll.trace.records import events, gate_names, message_kinds

MAGIC = 0xC1FC1FC1
PACKET = struct.Struct("<IIQQQQQI")  # header: magic, stream; context: see METADATA
EVENT = struct.Struct("<IQ")         # number, time
ENUMERATIONS = {"call": gate_names, "kind": message_kinds}
WIDTHS = (32, 64, 64)                # of the fields a, b, c

METADATA = """\
/* CTF 1.8 */

typealias integer {{ size = 32; align = 8; signed = false; }} := uint32_t;
typealias integer {{ size = 64; align = 8; signed = false; }} := uint64_t;
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

stream {{
    id = 0;
    packet.context := struct {{
        time_t timestamp_begin;
        time_t timestamp_end;
        uint64_t content_size;
        uint64_t packet_size;
        uint64_t events_discarded;
        uint32_t cpu_id;
    }};
    event.header := struct {{ uint32_t id; time_t timestamp; }};
}};
"""


def _quoted(text):
    plain = "".join(c if c.isprintable() and c.isascii() else "?" for c in text)
    return plain.replace("\\", "\\\\").replace('"', '\\"')


def _member(event, name, width):
    if name in ENUMERATIONS:
        rows = ", ".join(f'"{text}" = {number}' for number, text in ENUMERATIONS[name]().items())
        return f"        enum : uint{width}_t {{ {rows} }} {name};"
    kind = "hex" if name in event.hexadecimal else "uint"
    # _name: the format's way to have any name
    return f"        {kind}{width}_t _{name};"


def metadata(program):
    """The text that describes the streams."""
    parts = [METADATA.format(program=_quoted(program))]
    for event in events().values():
        members = [_member(event, name, width) for name, width in zip(event.fields, WIDTHS) if name]
        parts.append("\n".join(["event {", f'    name = "{event.name}";', f"    id = {event.number};",
                                "    stream_id = 0;", "    fields := struct {", *members, "    };", "};", ""]))
    return "\n".join(parts)


def _packet(core, dropped, begin, end, body):
    size = 8 * (PACKET.size + len(body))
    return PACKET.pack(MAGIC, 0, begin, end, size, size, dropped, core.number) + body


def stream(core):
    """The bytes of one core's file: an empty packet, from which readers know that nothing was dropped
    before, and one with all records."""
    numbers = {event.name: event for event in events().values()}
    body = bytearray()
    for record in core.records:
        event = numbers[record.name]
        body += EVENT.pack(event.number, record.time)
        for name, width in zip(event.fields, WIDTHS):
            if name:
                body += record.fields[name].to_bytes(width // 8, "little")
    times = [record.time for record in core.records] or [0]
    return (_packet(core, 0, 0, 0, b"")
            + _packet(core, core.dropped, times[0], times[-1], bytes(body)))


# @impl ATL-LLR-TOOL-0601~1
def write_ctf(folder, cores, program):
    folder.mkdir()
    (folder / "metadata").write_text(metadata(program))
    for core in cores:
        (folder / f"core{core.number}").write_bytes(stream(core))
