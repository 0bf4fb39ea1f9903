# SPDX-License-Identifier: Apache-2.0
"""A bad wire between two taps: `bridge.py OUR_TAP GUEST_TAP SEED NAME=PROBABILITY ...` carries frames between a tap that
this process opens, behind which is this machine's stack, and one that QEMU has open. What it does to a frame is
drawn from a generator that starts with SEED, one for each direction, so that equal frames fare equally:

    loss        it is gone
    corrupt     one bit of it is another
    duplicate   it comes twice
    delay       it, and all behind it, come up to DELAY_SECONDS later
    reorder     it comes up to DELAY_SECONDS later, and those behind it overtake it

Frames whose checksum is left to a device, or that it is to cut, are completed and cut first, else nobody could see what
is corrupt. It says "ready", and at the end of its input what it did, as one line of JSON."""
import heapq
import json
import os
import random
import select
import socket
import struct
import sys
import time

FAULTS = ("loss", "corrupt", "duplicate", "delay", "reorder")
DELAY_SECONDS = 0.02
FRAME_BYTES_MAX = 65550
HEADER = struct.Struct("<BBHHHH")  # struct virtio_net_hdr, as PACKET_VNET_HDR has it
NEEDS_CHECKSUM, CUT_IPV4 = 1, 1
ETHERNET_BYTES, TCP, FIN, PUSH = 14, 6, 1, 8
_SOL_PACKET, _PACKET_VNET_HDR, _PACKET_IGNORE_OUTGOING = 263, 15, 23
_ETH_P_ALL = 3


def internet_checksum(data):
    """RFC 1071, of bytes."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def completed(header, frame):
    """The frame with the checksum that its header leaves to the device."""
    flags, _, _, _, start, offset = HEADER.unpack(header)
    if not flags & NEEDS_CHECKSUM:
        return frame
    at = start + offset
    value = internet_checksum(frame[start:]) or 0xFFFF
    return frame[:at] + struct.pack("!H", value) + frame[at + 2:]


def cut(header, frame):
    """The frames of a segment of TCP that its header has the device cut, each whole (RFC 9293, 791, 8200)."""
    _, kind, _, segment_bytes, start, offset = HEADER.unpack(header)
    if kind == 0:
        return [completed(header, frame)]
    head_bytes = start + (frame[start + 12] >> 4) * 4  # the header's own count says how much is not in pages
    data, frames, is_4 = frame[head_bytes:], [], kind == CUT_IPV4
    sequence, flags = struct.unpack_from("!I", frame, start + 4)[0], frame[start + 13]
    for at in range(0, len(data), segment_bytes):
        piece = bytearray(frame[:head_bytes] + data[at:at + segment_bytes])
        is_last = at + segment_bytes >= len(data)
        struct.pack_into("!I", piece, start + 4, (sequence + at) & 0xFFFFFFFF)
        piece[start + 13] = flags if is_last else flags & ~(FIN | PUSH)
        if is_4:
            struct.pack_into("!HH", piece, ETHERNET_BYTES + 2, len(piece) - ETHERNET_BYTES, len(frames))
            struct.pack_into("!H", piece, ETHERNET_BYTES + 10, 0)
            struct.pack_into("!H", piece, ETHERNET_BYTES + 10, internet_checksum(piece[ETHERNET_BYTES:start]))
            addresses = piece[ETHERNET_BYTES + 12:start]
        else:
            struct.pack_into("!H", piece, ETHERNET_BYTES + 4, len(piece) - start)
            addresses = piece[ETHERNET_BYTES + 8:start]
        struct.pack_into("!H", piece, start + offset, 0)
        segment = piece[start:]
        pseudo = bytes(addresses) + struct.pack("!HH", TCP, len(segment))
        struct.pack_into("!H", piece, start + offset, internet_checksum(pseudo + segment))
        frames.append(bytes(piece))
    return frames


def open_guest_side(name):
    """A socket for the frames of a tap that QEMU has open."""
    packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
    packets.setsockopt(_SOL_PACKET, _PACKET_VNET_HDR, 1)
    packets.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
    packets.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    packets.bind((name, 0))
    packets.setblocking(False)
    return packets


class Direction:
    """Draws the fate of each frame that goes one way."""

    def __init__(self, seed, probabilities):
        self._random = random.Random(seed)
        self._probabilities = probabilities
        self._latest = 0.0
        self.done = dict.fromkeys(("frames", *FAULTS), 0)

    def _happens(self, fault):
        probability = self._probabilities.get(fault, 0.0)
        happens = probability > 0 and self._random.random() < probability
        self.done[fault] += happens
        return happens

    def fate(self, frame, now):
        """[(when, frame)]"""
        self.done["frames"] += 1
        if self._happens("loss"):
            return []
        if self._happens("corrupt"):
            place = self._random.randrange(len(frame) * 8)
            changed = bytearray(frame)
            changed[place // 8] ^= 1 << place % 8
            frame = bytes(changed)
        if self._happens("delay"):
            self._latest = max(self._latest, now + self._random.random() * DELAY_SECONDS)
        self._latest = max(self._latest, now)
        when = self._latest
        if self._happens("reorder"):
            when += self._random.random() * DELAY_SECONDS
        return [(when, frame)] * (2 if self._happens("duplicate") else 1)


class Bridge:
    def __init__(self, ours, guest, seed, probabilities):
        self._ours, self._guest = ours, guest
        self._to_guest, self._to_us = (Direction(seed * 2 + i, probabilities) for i in range(2))
        self._to_us.done["cut"] = 0  # frames of several segments
        self._waiting, self._count = [], 0  # (when, number, frame, write): numbers keep the order

    def _accept(self, direction, frame, write):
        for when, late in direction.fate(frame, time.monotonic()):
            self._count += 1
            heapq.heappush(self._waiting, (when, self._count, late, write))

    def _write_to_us(self, frame):
        os.write(self._ours, frame)

    def _write_to_guest(self, frame):
        try:
            self._guest.send(bytes(HEADER.size) + frame)
        except OSError:
            pass  # QEMU's queue is full, or the frame no frame any more: lost, as on any wire

    def _deliver(self):
        """Writes what is due; how long until the next, or None."""
        now = time.monotonic()
        while self._waiting and self._waiting[0][0] <= now:
            _, _, frame, write = heapq.heappop(self._waiting)
            write(frame)
        return self._waiting[0][0] - now if self._waiting else None

    def run(self, control):
        """Until the control descriptor's end."""
        poll = select.poll()
        for descriptor in (self._ours, self._guest.fileno(), control):
            poll.register(descriptor, select.POLLIN)
        while True:
            wait = self._deliver()
            for descriptor, _ in poll.poll(None if wait is None else max(0.0, wait) * 1000):
                if descriptor == self._ours:
                    self._accept(self._to_guest, os.read(self._ours, FRAME_BYTES_MAX), self._write_to_guest)
                elif descriptor == control:
                    return {"to_guest": self._to_guest.done, "to_us": self._to_us.done}
                else:
                    data = self._guest.recv(FRAME_BYTES_MAX)
                    frames = cut(data[:HEADER.size], data[HEADER.size:])
                    self._to_us.done["cut"] += len(frames) > 1
                    for frame in frames:
                        self._accept(self._to_us, frame, self._write_to_us)


def main(ours, guest, seed, *words):
    # the caller of this file has the path of the tool
    from atoll.tap import open_tap
    probabilities = {name: float(value) for name, value in (word.split("=") for word in words)}
    assert set(probabilities) <= set(FAULTS), words
    bridge = Bridge(open_tap(ours), open_guest_side(guest), int(seed), probabilities)
    print("ready", flush=True)
    print(json.dumps(bridge.run(0)), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
